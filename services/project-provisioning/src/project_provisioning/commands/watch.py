"""What the plans' jobs look after: acceptance that is slow to come, and budgets near their end."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.budget import Budget, BudgetState, Figures, budget_of
from project_provisioning.domain.policy import PlanPolicy
from project_provisioning.domain.project import Project, ProjectStatus
from project_provisioning.repository import plan as repository
from project_provisioning.repository import project as project_repository
from project_provisioning.repository.milestone import AWAITING
from project_provisioning.wire.priced import read_orders, read_priced_lines
from throughline_core.ids import derived_id
from throughline_runtime import exceptions
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.exceptions import Halt

BUDGET: Final = "budget"
"""The kind of exception that a budget near its end becomes."""

_PMO: Final = "pmo"
_PROJECTS_AT_ONCE: Final = 50

# Counted from the day the client was asked, or else from completion; what is told is told once.
_WAITING: Final = text("""
    SELECT milestone.milestone_id, milestone.key, milestone.legal_entity_id,
           milestone.engagement_id, project.number,
           CAST(timezone(project.time_zone, CAST(:now AS timestamptz)) AS date)
               - coalesce(acceptance_requested_on, completed_on) AS days
    FROM milestone
    JOIN project USING (project_id)
    LEFT JOIN plan_policy AS policy ON policy.legal_entity_id = milestone.legal_entity_id
    WHERE milestone.status = 'completed'
      AND CAST(timezone(project.time_zone, CAST(:now AS timestamptz)) AS date)
          - coalesce(acceptance_requested_on, completed_on)
          > coalesce(policy.acceptance_reminder_days, :days_default)
      AND NOT EXISTS (
          SELECT FROM exception_item AS item
          WHERE item.kind = :kind AND item.subject_id = milestone.milestone_id
            AND item.closed_at IS NULL
      )
    ORDER BY milestone.milestone_id
""")

_TOLD: Final = text("""
    SELECT subject_id, reason FROM exception_item
    WHERE kind = :kind AND closed_at IS NULL AND subject_id = ANY(CAST(:subject_ids AS uuid[]))
""")


async def remind_of_acceptance(context: Context) -> None:
    """Put milestones that wait too long for the client before the project office, each once."""
    values = {
        "now": context.clock.now(),
        "kind": AWAITING,
        "days_default": PlanPolicy(UUID(int=0)).acceptance_reminder_days,
    }
    async with write(context.engine) as tx:
        rows = (await tx.execute(_WAITING, values)).all()
        await exceptions.open_all(
            tx,
            [
                Halt(
                    AWAITING,
                    row.milestone_id,
                    "milestone.acceptance_overdue",
                    _PMO,
                    "ask the client again, or record what it said",
                    row.legal_entity_id,
                    row.engagement_id,
                    {"project": row.number, "milestone": row.key, "days": row.days},
                )
                for row in rows
            ],
        )


async def watch_budgets(context: Context) -> None:
    """Tell of budgets that come near their end or pass it, and no longer of those that do not."""
    last: UUID | None = None
    while True:
        async with read(context.engine) as tx:
            ids = await _active_after(tx, last)
        if not ids:
            return
        async with write(context.engine) as tx:
            await _watch(tx, ids)
        last = ids[-1]


async def _active_after(tx: AsyncConnection, last: UUID | None) -> Sequence[UUID]:
    table = tables.project
    query = select(table.c.project_id).where(table.c.status == ProjectStatus.ACTIVE)
    if last is not None:
        query = query.where(table.c.project_id > last)
    query = query.order_by(table.c.project_id).limit(_PROJECTS_AT_ONCE)
    return (await tx.execute(query)).scalars().all()


async def _watch(tx: AsyncConnection, project_ids: Sequence[UUID]) -> None:
    projects = list((await project_repository.get_all(tx, project_ids)).values())
    terms = await repository.terms_of(tx, projects)
    delivered = await repository.delivered(tx, project_ids)
    policies = await repository.policies(tx, {each.legal_entity_id for each in projects})
    halts: dict[UUID, Halt | None] = {}
    for project in projects:
        contract = terms.get(project.project_id)
        budget = budget_of(
            project,
            read_priced_lines(contract, project),
            read_orders(contract),
            delivered[project.project_id],
        )
        halts |= _halts(project, budget, policies[project.legal_entity_id])
    values = {"kind": BUDGET, "subject_ids": list(halts)}
    told = {row.subject_id: row.reason for row in await tx.execute(_TOLD, values)}
    fresh = [halt for key, halt in halts.items() if halt and told.get(key) != halt.reason]
    await exceptions.open_all(tx, fresh)
    await exceptions.close(tx, BUDGET, [key for key in told if halts[key] is None])


def _halts(project: Project, budget: Budget, policy: PlanPolicy) -> Mapping[UUID, Halt | None]:
    """Return what is to be told of each budget of a project, None where nothing is."""
    named: list[tuple[str, Figures]] = [("project", budget.figures)]
    named += [(f"line {each.line.contract_line_id}", each.figures) for each in budget.lines]
    named += [(f"purchase order {each.order.number}", each.figures) for each in budget.orders]
    return {
        derived_id("budget", project.project_id, name): _halt(project, name, figures, policy)
        for name, figures in named
    }


def _halt(project: Project, name: str, figures: Figures, policy: PlanPolicy) -> Halt | None:
    state = figures.state(policy.budget_warning_percent)
    if state is BudgetState.WITHIN:
        return None
    return Halt(
        BUDGET,
        derived_id("budget", project.project_id, name),
        f"budget.{state}",
        _PMO,
        "look at what remains, and agree a change order before the work goes on",
        project.legal_entity_id,
        project.engagement_id,
        {"project": project.number, "budget": name, "used_percent": str(figures.used_percent)},
    )
