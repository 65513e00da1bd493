"""Templates as rows; a version is written once and never changed."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.template import (
    BillingModel,
    Template,
    TemplateNotFound,
    TemplatePhase,
    TemplateRole,
    TemplateTask,
)
from throughline_core.errors import StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import audit


async def latest_versions(tx: AsyncConnection, codes: Iterable[str]) -> Mapping[str, int]:
    """Return the latest version of each template that exists."""
    table = tables.template
    query = (
        select(table.c.code, func.max(table.c.version).label("latest"))
        .where(table.c.code.in_(list(codes)))
        .group_by(table.c.code)
    )
    return {row.code: row.latest for row in await tx.execute(query)}


async def get_pinned(tx: AsyncConnection, pins: Mapping[str, int]) -> Mapping[str, Template]:
    """Return the pinned versions by code."""
    table = tables.template
    wanted = tuple_(table.c.code, table.c.version).in_(list(pins.items()))
    rows = await tx.execute(select(table).where(wanted))
    return {row.code: template_from(row) for row in rows}


async def get(tx: AsyncConnection, code: str, version: int | None) -> Template:
    """Return one version, by default the latest.

    Raises:
        TemplateNotFound: there is no such template or version.
    """
    table = tables.template
    query = select(table).where(table.c.code == code).order_by(table.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(table.c.version == version)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise TemplateNotFound(f"no delivery template {code} of this version", field="code")
    return template_from(row)


async def add(tx: AsyncConnection, template: Template) -> None:
    """Write a version.

    Raises:
        StaleVersion: another writer published this version first; safe to retry.
    """
    values = {
        "code": template.code,
        "version": template.version,
        "name": template.name,
        "billing_models": list(template.billing_models),
        "plan": _plan(template),
        "published_at": template.published_at,
        "published_by": template.published_by,
    }
    statement = insert(tables.template).values(values).on_conflict_do_nothing()
    if (await tx.execute(statement)).rowcount != 1:
        raise StaleVersion(
            f"template {template.code} has a version {template.version} already", advice="try again"
        )
    audit.touch(tx, derived_id("template", template.code))


def template_from(row: Row[Any]) -> Template:
    """Return the version a row holds."""
    return Template(
        code=row.code,
        version=row.version,
        name=row.name,
        billing_models=tuple(map(BillingModel, row.billing_models)),
        phases=tuple(
            TemplatePhase(phase["name"], tuple(TemplateTask(**task) for task in phase["tasks"]))
            for phase in row.plan["phases"]
        ),
        roles=tuple(
            TemplateRole(role["role"], _number(role["hours"]), _number(role["share"]))
            for role in row.plan["roles"]
        ),
        published_at=row.published_at,
        published_by=row.published_by,
    )


def _plan(template: Template) -> Mapping[str, Any]:
    return {
        "phases": [
            {
                "name": phase.name,
                "tasks": [
                    {"key": task.key, "name": task.name, "billable": task.billable}
                    for task in phase.tasks
                ],
            }
            for phase in template.phases
        ],
        "roles": [
            {
                "role": role.role,
                "hours": _digits(role.planned_hours),
                "share": _digits(role.share_percent),
            }
            for role in template.roles
        ],
    }


def _digits(number: Decimal | None) -> str | None:
    """Numbers stay text in JSON, which knows binary floats only."""
    return None if number is None else str(number)


def _number(digits: str | None) -> Decimal | None:
    return None if digits is None else Decimal(digits)
