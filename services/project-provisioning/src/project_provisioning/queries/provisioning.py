"""Templates, provisioning runs, projects and milestones."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, ScalarSelect, Select, Table, any_, literal, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.person import Sight
from project_provisioning.domain.project import Project, ProjectNotFound
from project_provisioning.domain.run import Run, RunNotFound
from project_provisioning.domain.template import BillingModel, Template, TemplateStatus
from project_provisioning.queries.paging import cut, latest_first, within
from project_provisioning.repository import project, run, template
from throughline_runtime.page import MalformedPage, Page, next_token

_run, _project, _milestone = tables.provisioning_run, tables.project, tables.milestone

_DIGITS_MAX: Final = 9


async def templates(
    tx: AsyncConnection, *, billing_model: BillingModel | None, page: Page
) -> tuple[list[Template], str]:
    """Return the latest published version of each template by code, and the next page's token."""
    table = tables.template
    latest = template.versions().where(template.standing == TemplateStatus.PUBLISHED)
    latest = latest.ext(distinct_on(table.c.code))
    found = latest.order_by(table.c.code, table.c.version.desc()).subquery()
    query = select(found).order_by(found.c.code)
    if billing_model is not None:
        query = query.where(literal(str(billing_model)) == any_(found.c.billing_models))
    if page.after is not None:
        query = query.where(found.c.code > page.after[0])
    rows = (await tx.execute(query.limit(page.size + 1))).all()
    kept, token = cut(rows, page, lambda row: row.code)
    return list(map(template.template_from, kept)), token


async def template_versions(
    tx: AsyncConnection, *, code: str, status: TemplateStatus | None, page: Page
) -> tuple[list[Template], str]:
    """Return versions, latest proposed first, and the next page's token."""
    table = tables.template
    keys = tuple_(table.c.proposed_at, table.c.code, table.c.version)
    query = template.versions().order_by(
        table.c.proposed_at.desc(), table.c.code.desc(), table.c.version.desc()
    )
    if code:
        query = query.where(table.c.code == code)
    if status is not None:
        query = query.where(template.standing == status)
    if page.after is not None:
        last = _last_version(page.after)
        query = query.where(keys < last)
    rows = (await tx.execute(query.limit(page.size + 1))).all()
    kept, token = rows[: page.size], ""
    if len(rows) > page.size:
        token = next_token(kept[-1].code, kept[-1].version)
    return list(map(template.template_from, kept)), token


def _last_version(after: tuple[str, ...]) -> ScalarSelect[Any]:
    table = tables.template
    code, version = after
    return (
        select(table.c.proposed_at, table.c.code, table.c.version)
        .where(table.c.code == code, table.c.version == _read_version(version))
        .scalar_subquery()
    )


def _read_version(text: str) -> int:
    if not text.isdecimal() or len(text) > _DIGITS_MAX:
        raise MalformedPage(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        )
    return int(text)


async def get_run(tx: AsyncConnection, run_id: UUID, sight: Sight) -> Run:
    """Return a run.

    Raises:
        RunNotFound: there is none the caller may see.
    """
    query = within(select(_run).where(_run.c.run_id == run_id), _run.c.legal_entity_id, sight)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise RunNotFound(f"no provisioning run {run_id}", field="run_id")
    return run.run_from(row)


async def runs(
    tx: AsyncConnection,
    *,
    equal: Mapping[str, object],
    sight: Sight,
    page: Page,
) -> tuple[list[Run], str]:
    """Return runs whose columns are as in `equal`, latest first, and the next page's token."""
    query = within(select(_run), _run.c.legal_entity_id, sight)
    query = _where(query, _run, equal)
    query = latest_first(query, _run.c.received_at, _run.c.run_id, page)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.run_id)
    return list(map(run.run_from, kept)), token


async def run_steps(
    tx: AsyncConnection, run_id: UUID, page: Page
) -> tuple[Sequence[Row[Any]], str]:
    """Return a run's steps, oldest first, and the next page's token."""
    table = tables.run_step
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.version)
    if page.after is not None:
        query = query.where(table.c.version > _read_version(page.after[0]))
    rows = (await tx.execute(query.limit(page.size + 1))).all()
    return cut(rows, page, lambda row: row.version)


async def get_project(tx: AsyncConnection, project_id: UUID, sight: Sight) -> Project:
    """Return a project with its plan.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    query = select(_project).where(_project.c.project_id == project_id)
    rows = (await tx.execute(within(query, _project.c.legal_entity_id, sight))).all()
    if not rows:
        raise ProjectNotFound(f"no project {project_id}", field="project_id")
    [found] = await project.assemble(tx, rows)
    return found


async def projects(
    tx: AsyncConnection,
    *,
    equal: Mapping[str, object],
    sight: Sight,
    page: Page,
) -> tuple[list[Project], str]:
    """Return projects whose columns are as in `equal`, latest first, and the next page's token."""
    query = within(select(_project), _project.c.legal_entity_id, sight)
    query = _where(query, _project, equal)
    query = latest_first(query, _project.c.activated_at, _project.c.project_id, page)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.project_id)
    return await project.assemble(tx, kept), token


def _where(query: Select[Any], table: Table, equal: Mapping[str, object]) -> Select[Any]:
    """Limit a query to rows with these values; empty ones do not limit it."""
    for name, value in equal.items():
        if value:
            query = query.where(table.c[name] == value)
    return query
