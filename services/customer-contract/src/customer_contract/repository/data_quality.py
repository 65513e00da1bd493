"""Versions of data-quality rules."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, Row, Uuid, any_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.data_quality import (
    Condition,
    Rule,
    RuleObject,
    RuleStatus,
    RuleTerms,
    Severity,
)
from customer_contract.domain.values import LegalEntityId
from throughline_core.errors import NotFound
from throughline_core.ids import derived_id
from throughline_runtime import audit
from throughline_runtime.statement import Statement

_IN_FORCE: Final = Statement(
    select(tables.data_quality_rule)
    .where(tables.data_quality_rule.c.status == RuleStatus.ACTIVE)
    .where(
        or_(
            tables.data_quality_rule.c.legal_entity_id.is_(None),
            tables.data_quality_rule.c.legal_entity_id
            == any_(bindparam("legal_entity_ids", type_=ARRAY(Uuid))),
        )
    )
    .order_by(tables.data_quality_rule.c.code)
)


class RuleNotFound(NotFound):
    """There is no such version of a rule."""

    code = "data_quality.rule_not_found"


async def get(tx: AsyncConnection, code: str, *, rule_version: int) -> Rule:
    """Return a version of a rule; no other writer touches the rule until the end.

    Raises:
        RuleNotFound: there is none.
    """
    await _lock(tx, code)
    table = tables.data_quality_rule
    query = select(table).where(table.c.code == code, table.c.rule_version == rule_version)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise RuleNotFound(f"there is no version {rule_version} of {code}", field="rule_version")
    return rule_from(row)


async def latest(tx: AsyncConnection, code: str) -> Rule | None:
    """Return the latest version of a rule, None before the first; no other writer touches it."""
    await _lock(tx, code)
    table = tables.data_quality_rule
    query = select(table).where(table.c.code == code).order_by(table.c.rule_version.desc()).limit(1)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else rule_from(row)


async def in_force(
    tx: AsyncConnection, legal_entity_ids: Collection[LegalEntityId] = ()
) -> Sequence[Rule]:
    """Return the rules in force for all legal entities, and those for the ones named, by code."""
    rows = await _IN_FORCE.fetch(tx, {"legal_entity_ids": list(legal_entity_ids)})
    return [rule_from(row) for row in rows]


async def add(tx: AsyncConnection, rule: Rule) -> None:
    """Write a proposed version."""
    _touch(tx, rule)
    terms = rule.terms
    await tx.execute(
        insert(tables.data_quality_rule).values(
            code=rule.code,
            rule_version=rule.rule_version,
            object=terms.object,
            field=terms.field,
            condition=terms.condition,
            pattern=terms.pattern,
            values=list(terms.values),
            legal_entity_id=terms.legal_entity_id,
            country=terms.country,
            severity=terms.severity,
            owner=terms.owner,
            advice=terms.advice,
            proposed_by=rule.proposed_by,
            proposed_at=rule.proposed_at,
            **_state_columns(rule),
        )
    )


async def save(tx: AsyncConnection, rule: Rule) -> None:
    """Write where a version stands; one put in force takes the place of the one before it."""
    _touch(tx, rule)
    table = tables.data_quality_rule
    if rule.status is RuleStatus.ACTIVE:
        await tx.execute(
            update(table)
            .where(table.c.code == rule.code, table.c.status == RuleStatus.ACTIVE)
            .values(status=RuleStatus.RETIRED)
        )
    await tx.execute(
        update(table)
        .where(table.c.code == rule.code, table.c.rule_version == rule.rule_version)
        .values(_state_columns(rule))
    )


def rule_from(row: Row[Any]) -> Rule:
    return Rule(
        code=row.code,
        rule_version=row.rule_version,
        terms=RuleTerms(
            object=RuleObject(row.object),
            field=row.field,
            condition=Condition(row.condition),
            pattern=row.pattern,
            # `values` is also a method of rows.
            values=tuple(row._mapping["values"]),
            legal_entity_id=row.legal_entity_id,
            country=row.country,
            severity=Severity(row.severity),
            owner=row.owner,
            advice=row.advice,
        ),
        status=RuleStatus(row.status),
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        activated_by=row.activated_by,
        activated_at=row.activated_at,
        retired_reason=row.retired_reason,
    )


async def _lock(tx: AsyncConnection, code: str) -> None:
    # Before the first version there is no row to lock.
    name = f"data_quality_rule:{code}"
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def _touch(tx: AsyncConnection, rule: Rule) -> None:
    audit.touch(tx, derived_id("data_quality_rule", rule.code))


def _state_columns(rule: Rule) -> dict[str, object]:
    return {
        "status": rule.status,
        "activated_by": rule.activated_by,
        "activated_at": rule.activated_at,
        "retired_reason": rule.retired_reason,
    }
