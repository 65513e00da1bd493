"""What contract lines say about expenses, by the version of the terms, as rows."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.expense_policy import ContractPolicy
from project_provisioning.wire.expense_terms import LineTerms, read_stored

_table = tables.expense_terms


async def keep(tx: AsyncConnection, terms: Sequence[LineTerms]) -> None:
    """Keep what versions of contracts say; a version that is kept already stays."""
    if not terms:
        return
    rows = [
        {
            "contract_line_id": each.contract_line_id,
            "contract_version": each.contract_version,
            "effective_on": each.effective_on,
            "policy": each.policy,
        }
        for each in terms
    ]
    await tx.execute(insert(_table).on_conflict_do_nothing(), rows)


async def of_lines(
    tx: AsyncConnection, contract_line_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[tuple[date, ContractPolicy]]]:
    """Return what these lines say, latest version first, each with the day it holds from."""
    if not contract_line_ids:
        return {}
    query = (
        select(_table)
        .where(_table.c.contract_line_id.in_(set(contract_line_ids)))
        .order_by(_table.c.contract_line_id, _table.c.contract_version.desc())
    )
    found: dict[UUID, Any] = {}
    for row in await tx.execute(query):
        policy = read_stored(row.policy)
        found.setdefault(row.contract_line_id, []).append((row.effective_on, policy))
    return found
