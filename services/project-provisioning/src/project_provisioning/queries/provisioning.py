"""Templates, provisioning runs, projects and milestones."""

from uuid import UUID

from sqlalchemy import any_, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.milestone import Milestone, MilestoneNotFound, MilestoneStatus
from project_provisioning.domain.person import Sight
from project_provisioning.domain.project import Project, ProjectNotFound, ProjectStatus
from project_provisioning.domain.run import Run, RunNotFound, RunState
from project_provisioning.domain.template import BillingModel, Template
from project_provisioning.queries.paging import by_id, cut, latest_first, within
from project_provisioning.repository import milestone, project, run, template
from throughline_runtime.page import Page

_run, _project, _milestone = tables.provisioning_run, tables.project, tables.milestone


async def templates(
    tx: AsyncConnection, *, billing_model: BillingModel | None, page: Page
) -> tuple[list[Template], str]:
    """Return the latest version of each template by code, and the next page's token."""
    table = tables.template
    latest = select(table).ext(distinct_on(table.c.code))
    found = latest.order_by(table.c.code, table.c.version.desc()).subquery()
    query = select(found).order_by(found.c.code)
    if billing_model is not None:
        query = query.where(literal(str(billing_model)) == any_(found.c.billing_models))
    if page.after is not None:
        query = query.where(found.c.code > page.after[0])
    rows = (await tx.execute(query.limit(page.size + 1))).all()
    kept, token = cut(rows, page, lambda row: row.code)
    return list(map(template.template_from, kept)), token


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
    state: RunState | None,
    reason: str,
    owner: str,
    contract_id: UUID | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Run], str]:
    """Return runs, latest first, and the next page's token."""
    query = within(select(_run), _run.c.legal_entity_id, sight)
    if state is not None:
        query = query.where(_run.c.state == state)
    if reason:
        query = query.where(_run.c.reason == reason)
    if owner:
        query = query.where(_run.c.owner == owner)
    if contract_id is not None:
        query = query.where(_run.c.contract_id == contract_id)
    query = latest_first(query, _run.c.received_at, _run.c.run_id, page)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.run_id)
    return list(map(run.run_from, kept)), token


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
    contract_id: UUID | None,
    status: ProjectStatus | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Project], str]:
    """Return projects with their plans, latest first, and the next page's token."""
    query = within(select(_project), _project.c.legal_entity_id, sight)
    if contract_id is not None:
        query = query.where(_project.c.contract_id == contract_id)
    if status is not None:
        query = query.where(_project.c.status == status)
    query = latest_first(query, _project.c.activated_at, _project.c.project_id, page)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.project_id)
    return await project.assemble(tx, kept), token


async def get_milestone(tx: AsyncConnection, milestone_id: UUID, sight: Sight) -> Milestone:
    """Return a milestone.

    Raises:
        MilestoneNotFound: there is none the caller may see.
    """
    query = select(_milestone).where(_milestone.c.milestone_id == milestone_id)
    row = (await tx.execute(within(query, _milestone.c.legal_entity_id, sight))).one_or_none()
    if row is None:
        raise MilestoneNotFound(f"no milestone {milestone_id}", field="milestone_id")
    return milestone.milestone_from(row)


async def milestones(
    tx: AsyncConnection,
    *,
    contract_id: UUID | None,
    project_id: UUID | None,
    status: MilestoneStatus | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Milestone], str]:
    """Return milestones by id, and the next page's token."""
    query = within(select(_milestone), _milestone.c.legal_entity_id, sight)
    if contract_id is not None:
        query = query.where(_milestone.c.contract_id == contract_id)
    if project_id is not None:
        query = query.where(_milestone.c.project_id == project_id)
    if status is not None:
        query = query.where(_milestone.c.status == status)
    rows = (await tx.execute(by_id(query, _milestone.c.milestone_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.milestone_id)
    return list(map(milestone.milestone_from, kept)), token
