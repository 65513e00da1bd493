"""Versioned rules as rows; what they say is kept as the contract's own JSON."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.expense_policy import ExpensePolicy
from project_provisioning.domain.rule_set import (
    RuleBook,
    RuleSet,
    RuleSetKind,
    RuleSetNotFound,
    RuleSetStatus,
    Scope,
    next_version,
)
from project_provisioning.domain.time_rules import TimeRules
from project_provisioning.repository import legal_entity as entity_repository
from project_provisioning.wire import rule_set as wire
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_table = tables.rule_set
# Two proposals for one scope at once would take the same number.
_SERIALISE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 0))")


async def add(tx: AsyncConnection, rule_set: RuleSet[TimeRules | ExpensePolicy]) -> int:
    """Write a proposal as the next version of its scope, and return that number."""
    scope = str(rule_set.scope)
    await tx.execute(_SERIALISE, {"scope": f"rule_set {rule_set.kind} {scope}"})
    query = select(_table.c.version).where(_table.c.kind == rule_set.kind, _table.c.scope == scope)
    version = next_version((await tx.execute(query)).scalars())
    await tx.execute(
        insert(_table).values(
            rule_set_id=rule_set.rule_set_id,
            kind=rule_set.kind,
            scope=scope,
            legal_entity_id=rule_set.scope.legal_entity_id,
            country=rule_set.scope.country,
            version=version,
            effective_from=rule_set.effective_from,
            status=rule_set.status,
            rules=wire.write_stored(rule_set.rules),
            proposed_by=rule_set.proposed_by,
            proposed_at=rule_set.proposed_at,
        )
    )
    audit.touch(tx, rule_set.rule_set_id)
    return version


async def get(
    tx: AsyncConnection, kind: RuleSetKind, rule_set_id: UUID
) -> RuleSet[TimeRules | ExpensePolicy]:
    """Return a version, locked until the transaction ends.

    Raises:
        RuleSetNotFound: there is none of this kind.
    """
    query = select(_table).where(_table.c.rule_set_id == rule_set_id, _table.c.kind == kind)
    row = (await tx.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise RuleSetNotFound(f"no {kind} rules {rule_set_id}", field=f"{kind}_rules_id")
    return rule_set_from(row)


async def save_decision(tx: AsyncConnection, rule_set: RuleSet[TimeRules | ExpensePolicy]) -> None:
    """Write that a proposal was activated or withdrawn.

    Raises:
        StaleVersion: it is no draft any more.
    """
    written = await tx.execute(
        update(_table)
        .where(_table.c.rule_set_id == rule_set.rule_set_id)
        .where(_table.c.status == RuleSetStatus.DRAFT)
        .values(
            status=rule_set.status,
            decided_by=rule_set.decided_by,
            decided_at=rule_set.decided_at,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"rules {rule_set.rule_set_id} are no draft any more")
    audit.touch(tx, rule_set.rule_set_id)


async def time_rules(tx: AsyncConnection) -> RuleBook[TimeRules]:
    """Return the working-time rules in force, of all companies: two queries, a few rows."""
    versions = [_time_rules_from(row) for row in await _active(tx, RuleSetKind.TIME)]
    return RuleBook(tuple(versions), await _countries(tx, versions))


async def expense_policies(tx: AsyncConnection) -> RuleBook[ExpensePolicy]:
    """Return the expense policies in force, of all companies: two queries, a few rows."""
    versions = [_expense_policy_from(row) for row in await _active(tx, RuleSetKind.EXPENSE)]
    return RuleBook(tuple(versions), await _countries(tx, versions))


def rule_set_from(row: Row[Any]) -> RuleSet[TimeRules | ExpensePolicy]:
    """Return the version a row holds."""
    if row.kind == RuleSetKind.TIME:
        return _time_rules_from(row)
    return _expense_policy_from(row)


async def _active(tx: AsyncConnection, kind: RuleSetKind) -> list[Row[Any]]:
    query = select(_table).where(_table.c.kind == kind, _table.c.status == RuleSetStatus.ACTIVE)
    return list(await tx.execute(query))


async def _countries(tx: AsyncConnection, versions: list[RuleSet[Any]]) -> Mapping[UUID, str]:
    if not any(each.scope.country for each in versions):
        return {}
    return await entity_repository.countries(tx)


def _time_rules_from(row: Row[Any]) -> RuleSet[TimeRules]:
    return RuleSet(rules=wire.read_stored_time_rules(row.rules), **_head(row))


def _expense_policy_from(row: Row[Any]) -> RuleSet[ExpensePolicy]:
    return RuleSet(rules=wire.read_stored_expense_policy(row.rules), **_head(row))


def _head(row: Row[Any]) -> dict[str, Any]:
    return {
        "rule_set_id": row.rule_set_id,
        "kind": RuleSetKind(row.kind),
        "scope": Scope(row.legal_entity_id, row.country),
        "version": row.version,
        "effective_from": row.effective_from,
        "status": RuleSetStatus(row.status),
        "proposed_by": row.proposed_by,
        "proposed_at": row.proposed_at,
        "decided_by": row.decided_by or "",
        "decided_at": row.decided_at,
    }
