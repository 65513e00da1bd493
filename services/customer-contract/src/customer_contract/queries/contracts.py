"""Contracts: lists, points in time and control totals."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.contract_state import as_of as on_day
from customer_contract.domain.contract_terms import Contract, ContractStatus
from customer_contract.domain.values import ContractId
from customer_contract.queries.paging import after_id, cut, filtered, limited, page_of
from customer_contract.repository import contract
from customer_contract.repository.contract_statements import current
from customer_contract.wire.contract import write_contract
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.errors import InvalidArgument
from throughline_runtime.page import Page
from throughline_runtime.totals import ControlTotal

_CONTRACTED: Final = text("""
    SELECT contract.currency, count(*) AS lines, sum(line.net_total) AS contracted
    FROM contract JOIN contract_line AS line USING (contract_id, contract_version)
    WHERE contract.status = 'active' AND line.ended_on IS NULL
    GROUP BY contract.currency
""")


class TwoPointsInTime(InvalidArgument):
    """A contract is asked for at two points in time at once."""

    code = "contract.two_points_in_time"


class KnownAtWithoutDay(InvalidArgument):
    """What was known at an instant is asked for without the day it is about."""

    code = "contract.known_at_without_day"


async def contracts(
    tx: AsyncConnection,
    page: Page,
    *,
    customer_id: UUID | None,
    legal_entity_id: UUID | None,
    status: ContractStatus | None,
    number: str,
) -> tuple[list[contract_pb2.Contract], str]:
    """Return contracts as they stand by id, and the token of the next page."""
    table = tables.contract
    query = page_of(current(), table.c.contract_id, after_id(page), page)
    query = limited(query, table.c.legal_entity_id)
    query = filtered(
        query,
        {
            table.c.customer_id: customer_id,
            table.c.legal_entity_id: legal_entity_id,
            table.c.status: status,
            table.c.number: number,
        },
    )
    found = await contract.load(tx, query)
    return cut([write_contract(one) for one in found], [one.contract_id for one in found], page)


async def visible(tx: AsyncConnection, contract_id: ContractId) -> Contract:
    """Return the contract as it stands, where the caller may see its legal entity.

    Raises:
        ContractNotFound: there is none, or none for the caller.
    """
    query = current().where(tables.contract.c.contract_id == contract_id)
    found = await contract.load(tx, limited(query, tables.contract.c.legal_entity_id))
    if not found:
        raise contract.ContractNotFound(f"there is no contract {contract_id}", field="contract_id")
    return found[0]


async def contract_at(
    tx: AsyncConnection,
    contract_id: ContractId,
    *,
    contract_version: int | None,
    as_of: date | None,
    known_at: datetime | None,
) -> Contract:
    """Return the contract as it stands, with one version of its terms, or as of a day.

    `known_at` tells the day as it was on record then.

    Raises:
        TwoPointsInTime: both a version and a day are asked for.
        KnownAtWithoutDay: an instant is given without a day.
        ContractNotFound: there is no such contract for the caller.
        VersionNotFound, NoTermsYet: there are no such terms.
    """
    if contract_version is not None and as_of is not None:
        raise TwoPointsInTime(
            "contract_version and as_of are two ways to ask for a point in time",
            field="as_of",
            advice="send one of them",
        )
    if known_at is not None and as_of is None:
        raise KnownAtWithoutDay(
            "known_at tells what was on record about a day",
            field="known_at",
            advice="send as_of as well",
        )
    found = await visible(tx, contract_id)
    if contract_version is not None:
        return await contract.get_version(tx, contract_id, contract_version)
    if as_of is not None:
        terms = await contract.get_on(tx, contract_id, as_of, known_at=known_at)
        return on_day(terms, as_of, known_at=known_at)
    return found


async def control_totals(tx: AsyncConnection) -> Sequence[ControlTotal]:
    """Return what is in force: contracts, their lines, and the agreed amounts by currency.

    A line that a change order cuts short is left out: its amount is not agreed any more.
    """
    table = tables.contract
    active = select(func.count()).select_from(table).where(table.c.status == ContractStatus.ACTIVE)
    figures: defaultdict[str, Decimal | int] = defaultdict(int)
    figures["active"] = (await tx.execute(active)).scalar_one()
    figures["lines"] = 0
    for row in await tx.execute(_CONTRACTED):
        figures["lines"] += row.lines
        figures[f"contracted.{row.currency}"] = row.contracted
    return [ControlTotal("contracts", figures)]
