"""Plans as rows: edits of a project, estimates, policies, and what was approved on it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.budget import Delivered, Earned, Worked
from project_provisioning.domain.closing import PlanTooLarge, Undecided
from project_provisioning.domain.policy import PlanPolicy
from project_provisioning.domain.progress import Done, Estimate
from project_provisioning.domain.project import Project, ProjectEvent, ProjectNotFound
from project_provisioning.domain.task_edit import TaskExists
from project_provisioning.repository import project as projects
from project_provisioning.wire import project as wire
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.change import Change
from throughline_core.money import Money
from throughline_runtime import audit

# An event holds the whole project; the rest of the room is for its headers and its growth.
_EVENT_BYTES_MAX: Final = 240 * 1024

_UNDECIDED: Final = text("""
    SELECT
        (SELECT count(DISTINCT entry.timesheet_id)
         FROM time_entry AS entry JOIN timesheet AS sheet USING (timesheet_id)
         WHERE entry.project_id = :project_id AND sheet.status <> 'approved') AS timesheets,
        (SELECT count(DISTINCT line.expense_report_id)
         FROM expense_line AS line JOIN expense_report AS report USING (expense_report_id)
         WHERE line.project_id = :project_id AND report.status <> 'approved') AS expense_reports
""")

_DONE: Final = text("""
    WITH latest AS (
        SELECT DISTINCT ON (estimate.task_id) estimate.task_id, remaining_hours, as_of
        FROM task_estimate AS estimate JOIN task USING (task_id)
        WHERE task.project_id = :project_id
        ORDER BY estimate.task_id, estimate.estimate_id DESC
    ), done AS (
        SELECT entry.task_id, sum(entry.minutes) AS minutes,
               sum(entry.minutes) FILTER (WHERE entry.work_date > latest.as_of) AS minutes_since
        FROM time_entry AS entry
        JOIN timesheet AS sheet USING (timesheet_id)
        LEFT JOIN latest ON latest.task_id = entry.task_id
        WHERE entry.project_id = :project_id AND sheet.status = 'approved'
        GROUP BY entry.task_id
    )
    SELECT coalesce(done.task_id, latest.task_id) AS task_id, latest.remaining_hours,
           coalesce(done.minutes, 0) AS minutes, coalesce(done.minutes_since, 0) AS minutes_since
    FROM done FULL JOIN latest ON latest.task_id = done.task_id
""")

_COSTS: Final = text("""
    SELECT task.contract_line_id, cost.currency, sum(cost.amount) AS amount,
           sum(cost.minutes) AS minutes
    FROM time_cost AS cost JOIN task USING (task_id)
    WHERE cost.project_id = :project_id
    GROUP BY task.contract_line_id, cost.currency
    ORDER BY task.contract_line_id, cost.currency
""")

_WORKED: Final = text("""
    SELECT entry.project_id, entry.contract_line_id, entry.work_date, entry.role, entry.person_id,
           sum(entry.minutes) AS minutes
    FROM time_entry AS entry JOIN timesheet AS sheet USING (timesheet_id)
    WHERE entry.project_id = ANY(CAST(:project_ids AS uuid[])) AND sheet.status = 'approved'
    GROUP BY entry.project_id, entry.contract_line_id, entry.work_date, entry.role, entry.person_id
    HAVING sum(entry.minutes) <> 0
""")

_EARNED: Final = text("""
    SELECT project_id, contract_line_id, accepted_on AS earned_on, amount, currency
    FROM milestone
    WHERE project_id = ANY(CAST(:project_ids AS uuid[])) AND status = 'accepted'
    UNION ALL
    SELECT line.project_id, line.contract_line_id, line.incurred_on, line.net_amount, line.currency
    FROM expense_line AS line
    JOIN expense_report AS report USING (expense_report_id)
    JOIN project USING (project_id)
    WHERE line.project_id = ANY(CAST(:project_ids AS uuid[])) AND report.status = 'approved'
      AND line.billable AND line.contract_line_id IS NOT NULL AND line.currency = project.currency
""")


async def get(tx: AsyncConnection, project_id: UUID) -> Project:
    """Return a project, locked until the transaction ends.

    Raises:
        ProjectNotFound: there is none.
    """
    found = await projects.get_locked(tx, [project_id])
    if not found:
        raise ProjectNotFound(f"no project {project_id}", field="project_id")
    return found[0]


async def find(tx: AsyncConnection, project_id: UUID) -> Project:
    """Return a project, which nobody closes until the transaction ends; others may read it so.

    Raises:
        ProjectNotFound: there is none.
    """
    table = tables.project
    query = select(table).where(table.c.project_id == project_id).with_for_update(read=True)
    found = await projects.assemble(tx, (await tx.execute(query)).all())
    if not found:
        raise ProjectNotFound(f"no project {project_id}", field="project_id")
    return found[0]


async def save(tx: AsyncConnection, change: Change[Project, ProjectEvent]) -> None:
    """Write the new state of a project and queue its events.

    Raises:
        PlanTooLarge: no event could hold the project.
        StaleVersion: the stored row is not exactly one version behind.
    """
    for event in change.events:
        if wire.write_event(event).message.ByteSize() > _EVENT_BYTES_MAX:
            raise PlanTooLarge(
                f"the plan of project {change.state.number} is too large to be announced",
                field="project_id",
                advice="plan in larger tasks, or shorten their names",
            )
    await projects.save(tx, change)


async def refuse_known_tasks(tx: AsyncConnection, task_ids: Collection[UUID]) -> None:
    """Refuse ids of new tasks that are taken, in whatever project.

    Raises:
        TaskExists: one of them is.
    """
    table = tables.task
    query = select(table.c.task_id).where(table.c.task_id.in_(task_ids)).limit(1)
    taken = await tx.scalar(query)
    if taken is not None:
        raise TaskExists(
            f"there is a task {taken}", field="task_id", advice="send another id, or none"
        )


async def lock_tasks(tx: AsyncConnection, project_id: UUID) -> None:
    """Let nobody record work on the project's tasks until the transaction ends."""
    table = tables.task
    query = select(table.c.task_id).where(table.c.project_id == project_id)
    await tx.execute(query.order_by(table.c.task_id).with_for_update())


async def undecided(tx: AsyncConnection, project_id: UUID) -> Undecided:
    """Return how many sheets and reports with work on a project are not approved."""
    row = (await tx.execute(_UNDECIDED, {"project_id": project_id})).one()
    return Undecided(row.timesheets, row.expense_reports)


async def add_estimate(tx: AsyncConnection, estimate: Estimate, project: Project) -> None:
    """Write what somebody thinks remains."""
    values = {
        "estimate_id": estimate.estimate_id,
        "task_id": estimate.task_id,
        "remaining_hours": estimate.remaining_hours,
        "as_of": estimate.as_of,
        "note": estimate.note,
        "entered_by": estimate.entered_by,
        "entered_at": estimate.entered_at,
    }
    await tx.execute(insert(tables.task_estimate), values)
    audit.touch(tx, estimate.task_id, project.project_id, engagement_id=project.engagement_id)


async def latest_estimate(tx: AsyncConnection, task_id: UUID) -> date | None:
    """Return the day the latest estimate of a task takes into account, None without one."""
    table = tables.task_estimate
    query = select(table.c.as_of).where(table.c.task_id == task_id)
    day: date | None = await tx.scalar(query.order_by(table.c.estimate_id.desc()).limit(1))
    return day


async def done(tx: AsyncConnection, project_id: UUID) -> Mapping[UUID, Done]:
    """Return approved minutes and estimates by task, of those tasks that have any."""
    rows = await tx.execute(_DONE, {"project_id": project_id})
    return {row.task_id: Done(row.minutes, row.remaining_hours, row.minutes_since) for row in rows}


async def costs(tx: AsyncConnection, project_id: UUID) -> list[tuple[UUID, Money, int]]:
    """Return the cost of approved time by contract line and currency, with its minutes."""
    rows = await tx.execute(_COSTS, {"project_id": project_id})
    return [(row.contract_line_id, Money(row.amount, row.currency), row.minutes) for row in rows]


async def delivered(tx: AsyncConnection, project_ids: Iterable[UUID]) -> Mapping[UUID, Delivered]:
    """Return what was approved on these projects: two queries, however many."""
    ids = {"project_ids": list(project_ids)}
    worked: dict[UUID, list[Worked]] = {each: [] for each in ids["project_ids"]}
    earned: dict[UUID, list[Earned]] = {each: [] for each in ids["project_ids"]}
    for row in await tx.execute(_WORKED, ids):
        worked[row.project_id].append(
            Worked(row.contract_line_id, row.work_date, row.role, row.person_id, row.minutes)
        )
    for row in await tx.execute(_EARNED, ids):
        earned[row.project_id].append(
            Earned(row.contract_line_id, row.earned_on, Money(row.amount, row.currency))
        )
    return {each: Delivered(worked[each], earned[each]) for each in ids["project_ids"]}


async def terms_of(
    tx: AsyncConnection, planned: Collection[Project]
) -> Mapping[UUID, contract_pb2.Contract]:
    """Return, by project, the contract in the version of its terms that the plan follows."""
    table = tables.provisioning_run
    wanted = {(each.contract_id, each.contract_version) for each in planned}
    key = tuple_(table.c.contract_id, table.c.contract_version)
    query = select(table.c.contract_id, table.c.contract_version, table.c.contract)
    found = {
        (row.contract_id, row.contract_version): contract_pb2.Contract.FromString(row.contract)
        for row in await tx.execute(query.where(key.in_(wanted)))
    }
    return {
        each.project_id: found[each.contract_id, each.contract_version]
        for each in planned
        if (each.contract_id, each.contract_version) in found
    }


async def put_policy(tx: AsyncConnection, policy: PlanPolicy) -> None:
    """Write a legal entity's policy."""
    table = tables.plan_policy
    values = {
        "acceptance_reminder_days": policy.acceptance_reminder_days,
        "budget_warning_percent": policy.budget_warning_percent,
    }
    statement = upsert(table).values(legal_entity_id=policy.legal_entity_id, version=1, **values)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.legal_entity_id],
            set_={**values, "version": table.c.version + 1},
        )
    )
    audit.touch(tx, policy.legal_entity_id)


async def policies(
    tx: AsyncConnection, legal_entity_ids: Collection[UUID]
) -> Mapping[UUID, PlanPolicy]:
    """Return the policy of each of these legal entities, the default where none was recorded."""
    table = tables.plan_policy
    rows = await tx.execute(select(table).where(table.c.legal_entity_id.in_(legal_entity_ids)))
    recorded = {row.legal_entity_id: _policy_from(row) for row in rows}
    return {each: recorded.get(each, PlanPolicy(each)) for each in legal_entity_ids}


def _policy_from(row: Row[Any]) -> PlanPolicy:
    return PlanPolicy(row.legal_entity_id, row.acceptance_reminder_days, row.budget_warning_percent)
