"""Closing a project, once nothing on it is open, and opening it again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.domain.project import (
    Project,
    ProjectEvent,
    ProjectStatus,
    changed,
)
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition
from throughline_core.transition import move

TRANSITIONS: Final[Mapping[ProjectStatus, frozenset[ProjectStatus]]] = {
    ProjectStatus.ACTIVE: frozenset({ProjectStatus.CLOSED}),
    ProjectStatus.CLOSED: frozenset({ProjectStatus.ACTIVE}),
}
_NAMED_MAX: Final = 5


class ProjectClosed(FailedPrecondition):
    """Nothing is planned or recorded on a closed project."""

    code = "project.closed"


class PlanTooLarge(FailedPrecondition):
    """The project has more in it than one event can hold."""

    code = "project.plan_too_large"


class OpenMilestones(FailedPrecondition):
    """The client has not accepted all milestones."""

    code = "project.open_milestones"


class UnapprovedTime(FailedPrecondition):
    """Time on the project awaits a decision."""

    code = "project.unapproved_time"


class UnapprovedExpenses(FailedPrecondition):
    """Expenses of the project await a decision."""

    code = "project.unapproved_expenses"


@dataclass(frozen=True, slots=True)
class Undecided:
    """How many sheets and reports with work on the project are not approved."""

    timesheets: int
    expense_reports: int


def close(project: Project, reason: str, undecided: Undecided) -> Change[Project, ProjectEvent]:
    """Take nothing more on a project on which everything is decided.

    Raises:
        IllegalTransition: it is closed.
        OpenMilestones, UnapprovedTime, UnapprovedExpenses: what stands in the way.
    """
    status = move(f"project {project.number}", project.status, ProjectStatus.CLOSED, TRANSITIONS)
    waiting = [each.key for each in project.milestones if _is_open(project, each)]
    if waiting:
        raise OpenMilestones(
            f"{len(waiting)} milestones are not accepted: {', '.join(waiting[:_NAMED_MAX])}",
            field="project_id",
            advice="have them accepted, or end their line by a change order",
        )
    if undecided.timesheets:
        raise UnapprovedTime(
            f"{undecided.timesheets} timesheets with time on the project are not approved",
            field="project_id",
            advice="submit and approve them, or take the time off the project",
        )
    if undecided.expense_reports:
        raise UnapprovedExpenses(
            f"{undecided.expense_reports} expense reports of the project are not approved",
            field="project_id",
            advice="submit and approve them, or take the lines off the project",
        )
    return changed(replace(project, status=status, closed_reason=reason))


def reopen(project: Project) -> Change[Project, ProjectEvent]:
    """Take work on a closed project again.

    Raises:
        IllegalTransition: it is active.
    """
    status = move(f"project {project.number}", project.status, ProjectStatus.ACTIVE, TRANSITIONS)
    return changed(replace(project, status=status, closed_reason=""))


def require_active(project: Project) -> None:
    """Refuse a closed project.

    Raises:
        ProjectClosed: it is closed.
    """
    if project.status is ProjectStatus.CLOSED:
        raise ProjectClosed(
            f"project {project.number} is closed", field="project_id", advice="reopen it first"
        )


def _is_open(project: Project, milestone: Milestone) -> bool:
    """Whether the client has still to accept; what was never begun under ended terms is not."""
    if milestone.status is MilestoneStatus.PLANNED:
        ended = {line.contract_line_id for line in project.lines if line.ended_on is not None}
        return project.work_ends_on is None and milestone.contract_line_id not in ended
    return milestone.status not in (MilestoneStatus.ACCEPTED, MilestoneStatus.CANCELLED)
