"""Contracts: lists, points in time, readiness and control totals."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.contract import as_of as on_day
from customer_contract.domain.contract_terms import Contract, ContractStatus
from customer_contract.domain.readiness import Facts, deal_of, judge
from customer_contract.domain.values import ContractId
from customer_contract.queries.paging import after_id, cut, filtered, limited, page_of
from customer_contract.repository import (
    catalogue,
    contract,
    customer,
    legal_entity,
    rate_card,
)
from customer_contract.wire.contract import write_contract, write_readiness
from throughline.customer_contract.v1 import (
    contract_pb2,
    contract_service_pb2,
)
from throughline_core.errors import InvalidArgument
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page
from throughline_runtime.totals import ControlTotal

_CONTRACTED: Final = text("""
    SELECT contract.currency, count(*) AS lines, sum(line.net_total) AS contracted
    FROM contract JOIN contract_line AS line USING (contract_id, contract_version)
    WHERE contract.status = 'active'
    GROUP BY contract.currency
""")


class TwoPointsInTime(InvalidArgument):
    """A contract is asked for at two points in time at once."""

    code = "contract.two_points_in_time"


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
    query = page_of(contract.current(), table.c.contract_id, after_id(page), page)
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


async def contract_at(
    tx: AsyncConnection,
    contract_id: ContractId,
    *,
    contract_version: int | None,
    as_of: date | None,
) -> Contract:
    """Return the contract as it stands, with one version of its terms, or as of a past day.

    Raises:
        TwoPointsInTime: both a version and a day are asked for.
        ContractNotFound, EntityForbidden: the contract.
        VersionNotFound, NoTermsYet: there are no such terms.
    """
    if contract_version is not None and as_of is not None:
        raise TwoPointsInTime(
            "contract_version and as_of are two ways to ask for a point in time",
            field="as_of",
            advice="send one of them",
        )
    found = await contract.get(tx, contract_id)
    require_entity(found.legal_entity_id)
    if contract_version is not None:
        return await contract.get_version(tx, contract_id, contract_version)
    if as_of is not None:
        return on_day(await contract.get_on(tx, contract_id, as_of), as_of)
    return found


async def readiness(
    tx: AsyncConnection, contract_id: ContractId, *, today: Callable[[str], date]
) -> contract_service_pb2.CheckReadinessResponse:
    """Return every check of whether work under the contract can start; changes nothing.

    Raises:
        ContractNotFound, EntityForbidden: the contract.
    """
    judged = await contract.get(tx, contract_id)
    require_entity(judged.legal_entity_id)
    lines = [line.terms for line in judged.lines]
    sold_to = await customer.get(tx, judged.customer_id)
    bill_to_id = judged.billing.bill_to_customer_id
    facts = Facts(
        customer=sold_to,
        bill_to=sold_to
        if bill_to_id == sold_to.customer_id
        else await customer.get(tx, bill_to_id),
        entity_currency=(await legal_entity.get(tx, judged.legal_entity_id)).currency,
        catalogue=await catalogue.entries(tx, (line.service_code for line in lines)),
        templates=await catalogue.templates(tx, (line.template_code for line in lines)),
        cards=await rate_card.in_scope(tx, deal_of(judged)),
        today=today(judged.time_zone),
    )
    return write_readiness(judged, judge(judged, facts))


async def control_totals(tx: AsyncConnection) -> Sequence[ControlTotal]:
    """Return what is in force: contracts, their lines, and the agreed amounts by currency."""
    table = tables.contract
    active = select(func.count()).select_from(table).where(table.c.status == ContractStatus.ACTIVE)
    figures: defaultdict[str, Decimal | int] = defaultdict(int)
    figures["active"] = (await tx.execute(active)).scalar_one()
    figures["lines"] = 0
    for row in await tx.execute(_CONTRACTED):
        figures["lines"] += row.lines
        figures[f"contracted.{row.currency}"] = row.contracted
    return [ControlTotal("contracts", figures)]
