"""Lists of delegations."""

from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.delegation import Delegation
from project_provisioning.domain.person import Sight
from project_provisioning.queries.paging import by_id, cut
from project_provisioning.repository.delegation import delegation_from
from throughline_runtime.page import Page

_table = tables.delegation


async def delegations(
    tx: AsyncConnection,
    *,
    delegator: str,
    delegate: str,
    in_force_on: date | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Delegation], str]:
    """Return delegations by id, and the next page's token; who sees own work only sees own ones."""
    query = select(_table)
    if delegator:
        query = query.where(_table.c.delegator == delegator)
    if delegate:
        query = query.where(_table.c.delegate == delegate)
    if in_force_on is not None:
        query = query.where(
            _table.c.revoked_at.is_(None),
            _table.c.starts_on <= in_force_on,
            _table.c.ends_on > in_force_on,
        )
    if sight.own_subject is not None:
        query = query.where(
            or_(_table.c.delegator == sight.own_subject, _table.c.delegate == sight.own_subject)
        )
    if sight.entities is not None:
        query = query.where(
            or_(_table.c.legal_entity_id.is_(None), _table.c.legal_entity_id.in_(sight.entities))
        )
    rows = (await tx.execute(by_id(query, _table.c.delegation_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.delegation_id)
    return list(map(delegation_from, kept)), token
