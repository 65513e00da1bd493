"""Templates as rows; a version and the decision on it are written once and never changed."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.formula import Formula
from project_provisioning.domain.template import (
    BillingModel,
    BudgetKind,
    Plan,
    Template,
    TemplateBudget,
    TemplateMilestone,
    TemplateNotFound,
    TemplatePhase,
    TemplateRole,
    TemplateStatus,
    TemplateTask,
    Variant,
)
from throughline_core.errors import StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import audit

_template, _decision = tables.template, tables.template_decision
_SAME: Final = and_(
    _decision.c.code == _template.c.code, _decision.c.version == _template.c.version
)

standing: Final[ColumnElement[str]] = func.coalesce(
    _decision.c.outcome, str(TemplateStatus.PROPOSED)
)
"""Where a version of `versions()` stands."""


def versions() -> Select[Any]:
    """Return the query of all versions with what was decided on them."""
    return select(
        _template,
        _decision.c.outcome,
        _decision.c.decided_at,
        _decision.c.decided_by,
        _decision.c.comment,
    ).outerjoin_from(_template, _decision, _SAME)


async def latest_version(tx: AsyncConnection, code: str) -> int:
    """Return the version proposed last, 0 before the first."""
    query = select(func.max(_template.c.version)).where(_template.c.code == code)
    return (await tx.scalar(query)) or 0


async def published_versions(tx: AsyncConnection, codes: Iterable[str]) -> Mapping[str, int]:
    """Return the latest published version of each template that has one."""
    query = (
        select(_decision.c.code, func.max(_decision.c.version).label("latest"))
        .where(_decision.c.code.in_(list(codes)))
        .where(_decision.c.outcome == TemplateStatus.PUBLISHED)
        .group_by(_decision.c.code)
    )
    return {row.code: row.latest for row in await tx.execute(query)}


async def get_versions(
    tx: AsyncConnection, wanted: Iterable[tuple[str, int]]
) -> Mapping[tuple[str, int], Template]:
    """Return those of the versions that exist, by code and version."""
    keys = tuple_(_template.c.code, _template.c.version)
    rows = await tx.execute(versions().where(keys.in_(list(wanted))))
    return {(row.code, row.version): template_from(row) for row in rows}


async def get(tx: AsyncConnection, code: str, version: int | None) -> Template:
    """Return one version, by default the latest published.

    Raises:
        TemplateNotFound: there is no such template or version.
    """
    query = versions().where(_template.c.code == code)
    query = query.order_by(_template.c.version.desc()).limit(1)
    if version is None:
        query = query.where(standing == TemplateStatus.PUBLISHED)
    else:
        query = query.where(_template.c.version == version)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise TemplateNotFound(f"no delivery template {code} of this version", field="code")
    return template_from(row)


async def add(tx: AsyncConnection, template: Template) -> None:
    """Write a proposed version.

    Raises:
        StaleVersion: another writer proposed this version first; safe to retry.
    """
    values = {
        "code": template.code,
        "version": template.version,
        "name": template.name,
        "billing_models": list(template.billing_models),
        "plan": {
            **_plan(template.plan),
            "variants": [
                {"region": each.region, "model": each.billing_model, **_plan(each.plan)}
                for each in template.variants
            ],
        },
        "proposed_at": template.proposed_at,
        "proposed_by": template.proposed_by,
    }
    statement = insert(_template).values(values).on_conflict_do_nothing()
    if (await tx.execute(statement)).rowcount != 1:
        raise StaleVersion(
            f"template {template.code} has a version {template.version} already", advice="try again"
        )
    audit.touch(tx, derived_id("template", template.code))


async def decide(tx: AsyncConnection, template: Template) -> None:
    """Write what was decided on a version.

    Raises:
        StaleVersion: somebody else decided first.
    """
    values = {
        "code": template.code,
        "version": template.version,
        "outcome": template.status,
        "decided_at": template.decided_at,
        "decided_by": template.decided_by,
        "comment": template.comment,
    }
    statement = insert(_decision).values(values).on_conflict_do_nothing()
    if (await tx.execute(statement)).rowcount != 1:
        raise StaleVersion(f"template {template.label} was decided meanwhile")
    audit.touch(tx, derived_id("template", template.code))


def template_from(row: Row[Any]) -> Template:
    """Return the version a row of `versions()` holds."""
    return Template(
        code=row.code,
        version=row.version,
        name=row.name,
        billing_models=tuple(map(BillingModel, row.billing_models)),
        plan=_plan_from(row.plan),
        variants=tuple(
            Variant(
                each["region"],
                BillingModel(each["model"]) if each["model"] else None,
                _plan_from(each),
            )
            for each in row.plan.get("variants", ())
        ),
        status=TemplateStatus(row.outcome or TemplateStatus.PROPOSED),
        proposed_at=row.proposed_at,
        proposed_by=row.proposed_by,
        decided_at=row.decided_at,
        decided_by=row.decided_by or "",
        comment=row.comment or "",
    )


# Versions of before formulas lack the keys that came with them.
def _plan_from(plan: Mapping[str, Any]) -> Plan:
    return Plan(
        phases=tuple(
            TemplatePhase(phase["name"], tuple(map(_task_from, phase["tasks"])))
            for phase in plan["phases"]
        ),
        roles=tuple(
            TemplateRole(
                role["role"],
                _number(role["hours"]),
                _number(role["share"]),
                _formula(role.get("formula")),
            )
            for role in plan["roles"]
        ),
        milestones=tuple(
            TemplateMilestone(
                part["key"], part["name"], Decimal(part["share"]), _formula(part["due_after_days"])
            )
            for part in plan.get("milestones", ())
        ),
        budgets=tuple(
            TemplateBudget(BudgetKind(budget["kind"]), Formula(budget["formula"]))
            for budget in plan.get("budgets", ())
        ),
    )


def _task_from(task: Mapping[str, Any]) -> TemplateTask:
    return TemplateTask(
        key=task["key"],
        name=task["name"],
        billable=task["billable"],
        children=tuple(map(_task_from, task.get("children", ()))),
        hours=_formula(task.get("hours")),
        starts_after_days=_formula(task.get("starts_after_days")),
        lasts_days=_formula(task.get("lasts_days")),
    )


def _plan(plan: Plan) -> Mapping[str, Any]:
    return {
        "phases": [
            {"name": phase.name, "tasks": list(map(_task_values, phase.tasks))}
            for phase in plan.phases
        ],
        "roles": [
            {
                "role": role.role,
                "hours": _digits(role.planned_hours),
                "share": _digits(role.share_percent),
                "formula": _text(role.formula),
            }
            for role in plan.roles
        ],
        "milestones": [
            {
                "key": part.key,
                "name": part.name,
                "share": str(part.share_percent),
                "due_after_days": _text(part.due_after_days),
            }
            for part in plan.milestones
        ],
        "budgets": [
            {"kind": budget.kind, "formula": budget.formula.text} for budget in plan.budgets
        ],
    }


def _task_values(task: TemplateTask) -> Mapping[str, Any]:
    return {
        "key": task.key,
        "name": task.name,
        "billable": task.billable,
        "children": list(map(_task_values, task.children)),
        "hours": _text(task.hours),
        "starts_after_days": _text(task.starts_after_days),
        "lasts_days": _text(task.lasts_days),
    }


def _text(formula: Formula | None) -> str | None:
    return None if formula is None else formula.text


def _formula(text: str | None) -> Formula | None:
    return None if text is None else Formula(text)


def _digits(number: Decimal | None) -> str | None:
    """Numbers stay text in JSON, which knows binary floats only."""
    return None if number is None else str(number)


def _number(digits: str | None) -> Decimal | None:
    return None if digits is None else Decimal(digits)
