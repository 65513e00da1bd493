"""Projects and the work done in them: plan, time, expenses, milestones."""

from collections.abc import Iterable
from decimal import Decimal

from reporting.domain import Kind, Link, Node, Rows
from reporting.folds.common import add_source, day, label
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as events_pb2,
)
from throughline.project_provisioning.v1 import project_pb2, work_pb2


def fold_project(rows: Rows, project: project_pb2.Project) -> None:
    """A project's tasks and milestones stand between contract lines and the work on them.

    A workstream follows from the project of the selling side.
    """
    rows.nodes.append(
        Node(
            kind=Kind.PROJECT,
            object_id=project.project_id,
            label=label(f"{project.number} {project.name}"),
            version=project.version,
            amount=Decimal(project.budget.amount),
            currency=project.budget.currency,
            happened_on=day(project.starts_on),
            legal_entity_id=project.legal_entity_id,
        )
    )
    if project.master_project_id:
        rows.links.append(
            Link(Kind.PROJECT, project.master_project_id, Kind.PROJECT, project.project_id)
        )
    for task in project.tasks:
        rows.nodes.append(
            Node(
                kind=Kind.TASK,
                object_id=task.task_id,
                label=label(f"{task.phase}: {task.name}"),
                version=project.version,
                contract_line_id=task.contract_line_id or None,
                legal_entity_id=project.legal_entity_id,
            )
        )
        rows.links.append(Link(Kind.PROJECT, project.project_id, Kind.TASK, task.task_id))
        if task.contract_line_id:
            rows.links.append(
                Link(Kind.CONTRACT_LINE, task.contract_line_id, Kind.TASK, task.task_id)
            )
    for milestone in project.milestones:
        fold_milestone(rows, milestone, legal_entity_id=project.legal_entity_id)


def fold_milestone(
    rows: Rows, milestone: project_pb2.Milestone, *, legal_entity_id: str | None = None
) -> None:
    """A milestone follows from its contract line, or from the one whose rest it is."""
    rows.nodes.append(
        Node(
            kind=Kind.MILESTONE,
            object_id=milestone.milestone_id,
            label=label(milestone.name),
            version=milestone.version,
            state=project_pb2.MilestoneStatus.Name(milestone.status)
            .removeprefix("MILESTONE_STATUS_")
            .lower(),
            quantity=Decimal(1),
            amount=Decimal(milestone.amount.amount),
            currency=milestone.amount.currency,
            happened_on=day(milestone.accepted_on or milestone.completed_on or milestone.due_on),
            contract_line_id=milestone.contract_line_id,
            legal_entity_id=legal_entity_id,
        )
    )
    rows.links.append(
        Link(
            Kind.CONTRACT_LINE,
            milestone.contract_line_id,
            Kind.MILESTONE,
            milestone.milestone_id,
        )
    )
    if milestone.split_from_milestone_id:
        rows.links.append(
            Link(
                Kind.MILESTONE,
                milestone.split_from_milestone_id,
                Kind.MILESTONE,
                milestone.milestone_id,
            )
        )


def fold_acceptance(
    rows: Rows, event: events_pb2.MilestoneAccepted | events_pb2.MilestoneAcceptanceWithdrawn
) -> None:
    """An accepted milestone, and the rest that an acceptance in part leaves behind.

    When the acceptance is taken back, the rest may have gone back into the milestone.
    """
    fold_milestone(rows, event.milestone)
    if event.HasField("rest"):
        fold_milestone(rows, event.rest)


def fold_time(rows: Rows, entries: Iterable[work_pb2.TimeEntry]) -> None:
    """Approved time follows from its task; what reverses or replaces an entry, from that too."""
    for entry in entries:
        rows.nodes.append(
            Node(
                kind=Kind.TIME_ENTRY,
                object_id=entry.time_entry_id,
                label=label(f"{entry.role.replace('_', ' ')}, {entry.minutes} min"),
                personal_label=label(f"{entry.person_name}, {entry.minutes} min: {entry.note}"),
                state="billable" if entry.billable and entry.contract_line_id else "cost",
                quantity=Decimal(entry.minutes),
                happened_on=day(entry.work_date),
                contract_line_id=entry.contract_line_id or None,
                legal_entity_id=entry.legal_entity_id,
            )
        )
        rows.links.append(Link(Kind.TASK, entry.task_id, Kind.TIME_ENTRY, entry.time_entry_id))
        for before in (entry.reverses_time_entry_id, entry.replaces_time_entry_id):
            if before:
                rows.links.append(
                    Link(Kind.TIME_ENTRY, before, Kind.TIME_ENTRY, entry.time_entry_id)
                )
        add_source(rows, entry, Kind.TIME_ENTRY, entry.time_entry_id)


def fold_expenses(rows: Rows, lines: Iterable[work_pb2.ExpenseLine]) -> None:
    """Approved expenses follow from the contract line that lets them be billed."""
    for line in lines:
        rows.nodes.append(
            Node(
                kind=Kind.EXPENSE_LINE,
                object_id=line.expense_line_id,
                label=label(line.category),
                personal_label=label(f"{line.category}: {line.description}"),
                state="billable" if line.billable and line.contract_line_id else "cost",
                quantity=Decimal(1),
                amount=Decimal(line.net_amount.amount),
                currency=line.net_amount.currency,
                happened_on=day(line.incurred_on),
                contract_line_id=line.contract_line_id or None,
                legal_entity_id=line.legal_entity_id,
            )
        )
        if line.contract_line_id:
            rows.links.append(
                Link(
                    Kind.CONTRACT_LINE,
                    line.contract_line_id,
                    Kind.EXPENSE_LINE,
                    line.expense_line_id,
                )
            )
        if line.reverses_expense_line_id:
            rows.links.append(
                Link(
                    Kind.EXPENSE_LINE,
                    line.reverses_expense_line_id,
                    Kind.EXPENSE_LINE,
                    line.expense_line_id,
                )
            )
        add_source(rows, line, Kind.EXPENSE_LINE, line.expense_line_id)
