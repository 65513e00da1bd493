"""Versions of rules."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.expense_policy import ExpensePolicy
from project_provisioning.domain.person import Sight
from project_provisioning.domain.rule_set import (
    RuleSet,
    RuleSetKind,
    RuleSetNotFound,
    RuleSetStatus,
)
from project_provisioning.domain.time_rules import TimeRules
from project_provisioning.queries.paging import after, cut
from project_provisioning.repository.rule_set import rule_set_from
from throughline_runtime.page import Page

_table = tables.rule_set


async def get_rule_set(
    tx: AsyncConnection, kind: RuleSetKind, rule_set_id: UUID, sight: Sight
) -> RuleSet[TimeRules | ExpensePolicy]:
    """Return a version.

    Raises:
        RuleSetNotFound: there is none the caller may see.
    """
    query = _visible(kind, sight).where(_table.c.rule_set_id == rule_set_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise RuleSetNotFound(f"no {kind} rules {rule_set_id}")
    return rule_set_from(row)


async def rule_sets(
    tx: AsyncConnection,
    kind: RuleSetKind,
    *,
    legal_entity_id: UUID | None,
    country: str,
    status: RuleSetStatus | None,
    sight: Sight,
    page: Page,
) -> tuple[list[RuleSet[TimeRules | ExpensePolicy]], str]:
    """Return versions, latest proposal first, and the next page's token."""
    query = _visible(kind, sight)
    if legal_entity_id is not None:
        query = query.where(_table.c.legal_entity_id == legal_entity_id)
    if country:
        query = query.where(_table.c.country == country)
    if status is not None:
        query = query.where(_table.c.status == status)
    if page.after is not None:
        query = query.where(_table.c.rule_set_id < after(page))
    query = query.order_by(_table.c.rule_set_id.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.rule_set_id)
    return list(map(rule_set_from, kept)), token


def _visible(kind: RuleSetKind, sight: Sight) -> Select[Any]:
    """What the whole firm or a country goes by is seen by everybody."""
    query = select(_table).where(_table.c.kind == kind)
    if sight.entities is None:
        return query
    entity = _table.c.legal_entity_id
    return query.where(or_(entity.is_(None), entity.in_(sight.entities)))
