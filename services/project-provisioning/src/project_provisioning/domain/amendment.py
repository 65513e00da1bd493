"""Amendments: how projects follow a later version of their contract's terms.

Lines that came with it are planned by their templates. Of the others, terms, dates and budgets
move, tasks of ended lines end, and milestones nobody has completed yet follow what was agreed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from typing import Final
from uuid import UUID

from project_provisioning.domain.milestone import Milestone, MilestoneStatus, cancel, step_to
from project_provisioning.domain.planning import (
    plan_budgets,
    plan_line,
    plan_lines,
    plan_milestones,
    plan_project,
)
from project_provisioning.domain.project import (
    LineBudget,
    Project,
    ProjectActivated,
    ProjectEvent,
    ProjectLine,
    ProjectStatus,
    Task,
    changed,
)
from project_provisioning.domain.template import Plan, Template
from project_provisioning.domain.terms import SoldLine, Terms
from throughline_core.change import Change
from throughline_core.money import Money

_NO_PLAN: Final = Plan()
_UNBEGUN: Final = (MilestoneStatus.PLANNED, MilestoneStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Templates:
    """The versions new lines are planned by, by code, and those of old lines, by label."""

    by_code: Mapping[str, Template]
    by_label: Mapping[str, Template]


def made_lines(projects: Sequence[Project]) -> frozenset[UUID]:
    """Return the contract lines that projects deliver already."""
    return frozenset(line.contract_line_id for project in projects for line in project.lines)


def amend_projects(
    projects: Sequence[Project],
    terms: Terms,
    templates: Templates,
    *,
    run_id: UUID,
    change_order_id: UUID | None,
    numbers: Iterator[str],
    at: datetime,
) -> Sequence[Change[Project, ProjectEvent]]:
    """Return the contract's projects at these terms, the master first, then those that are new.

    Projects that follow these terms or later ones stay as they are, and so do closed ones.
    """
    ordered = sorted(projects, key=lambda project: project.master_project_id is not None)
    changes = [_follow(project, terms, templates, change_order_id) for project in ordered]
    known = {project.workstream for project in projects}
    is_newer = all(project.contract_version < terms.contract_version for project in projects)
    if not is_newer or all(project.status is ProjectStatus.CLOSED for project in projects):
        return changes
    for workstream, lines in terms.workstreams.items():
        fresh = _not_made(lines, projects)
        if workstream not in known and fresh:
            project = plan_project(
                terms,
                workstream,
                plan_lines(terms, workstream, fresh, templates.by_code),
                number=next(numbers),
                at=at,
                name=fresh[0].description,
                master_project_id=ordered[0].project_id,
                work_ends_on=ordered[0].work_ends_on,
            )
            changes.append(Change(project, (ProjectActivated(project, run_id),)))
    return changes


def _follow(
    project: Project, terms: Terms, templates: Templates, change_order_id: UUID | None
) -> Change[Project, ProjectEvent]:
    is_stale = project.contract_version >= terms.contract_version
    if is_stale or project.status is ProjectStatus.CLOSED:
        return Change(project, ())
    sold = {line.contract_line_id: line for line in terms.lines}
    kept = _amend_lines(project, terms, sold, templates.by_label)
    fresh = _not_made(terms.workstreams.get(project.workstream, ()), [project])
    plans = plan_lines(terms, project.workstream, fresh, templates.by_code, after=kept)
    lines = (*kept.lines, *(plan.line for plan in plans))
    followed = replace(
        kept,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        contract_version=terms.contract_version,
        lines=lines,
        budget=Money.total((line.net_total for line in lines), terms.currency),
        templates=tuple(sorted({*kept.templates, *(plan.line.template for plan in plans)})),
        tasks=(*kept.tasks, *chain.from_iterable(plan.tasks for plan in plans)),
        milestones=(*kept.milestones, *chain.from_iterable(plan.milestones for plan in plans)),
        role_requirements=(
            *kept.role_requirements,
            *chain.from_iterable(plan.roles for plan in plans),
        ),
        budgets=(*kept.budgets, *chain.from_iterable(plan.budgets for plan in plans)),
    )
    return changed(followed, change_order_id)


def _amend_lines(
    project: Project,
    terms: Terms,
    sold: Mapping[UUID, SoldLine],
    by_label: Mapping[str, Template],
) -> Project:
    """Return the project with the lines it has as they are agreed now."""
    lines: list[ProjectLine] = []
    budgets: list[LineBudget] = []
    milestones: list[Milestone] = []
    for line in project.lines:
        agreed = sold.get(line.contract_line_id)
        own = [each for each in project.milestones if _is_of(each, line)]
        if agreed is None:
            lines.append(line)
            milestones += own
            budgets += (each for each in project.budgets if _is_of(each, line))
            continue
        template = by_label.get(line.template)
        plan = template.plan_of(agreed.billing_model, project.region) if template else _NO_PLAN
        lines.append(plan_line(agreed, line.template))
        budgets += plan_budgets(agreed, plan)
        milestones += _amend_milestones(project, terms, agreed, plan, own)
    return replace(
        project,
        lines=tuple(lines),
        budgets=tuple(budgets),
        milestones=tuple(sorted(milestones, key=lambda each: each.position)),
        tasks=tuple(_amend_task(task, sold.get(task.contract_line_id)) for task in project.tasks),
    )


def _amend_task(task: Task, line: SoldLine | None) -> Task:
    """Let work on a task end with its line, and its planned days stay within the line's term."""
    if line is None:
        return task
    last = line.ended_on or line.ends_on
    starts_on, ends_on = _within(task.starts_on, task.ends_on, line.starts_on, last)
    return replace(task, work_ends_on=line.ended_on, starts_on=starts_on, ends_on=ends_on)


def _within(
    starts_on: date | None, ends_on: date | None, first: date, last: date
) -> tuple[date | None, date | None]:
    if starts_on is None or ends_on is None:
        return starts_on, ends_on
    starts, ends = max(starts_on, first), min(ends_on, last)
    # What would have no day left was planned outside the new term: that plan stays for people.
    return (starts, ends) if starts < ends else (starts_on, ends_on)


def _amend_milestones(
    project: Project, terms: Terms, line: SoldLine, plan: Plan, own: Sequence[Milestone]
) -> Sequence[Milestone]:
    """Return a line's milestones: completed ones as they are, planned ones as agreed now."""
    if line.ended_on is not None or not line.needs_milestones:
        return own
    settled = [each for each in own if each.status not in _UNBEGUN]
    after = max((each.position for each in project.milestones), default=0)
    agreed = plan_milestones(project.project_id, terms, line, plan, after)
    known = {each.milestone_id: each for each in own}
    dated = {part.key for part in line.milestones if part.due_on is not None}
    done = {each.milestone_id for each in settled}
    open_ = [
        _as_agreed(known[each.milestone_id], each, is_dated=each.key in dated)
        if each.milestone_id in known
        else each
        for each in agreed
        if each.milestone_id not in done
    ]
    if not line.milestones and settled:
        open_ = _shared_rest(line, settled, open_)
    kept = {each.milestone_id for each in (*settled, *open_)}
    return [*settled, *open_, *(_dropped(each) for each in own if each.milestone_id not in kept)]


def _dropped(milestone: Milestone) -> Milestone:
    """Return a milestone that is no longer agreed, cancelled."""
    return milestone if milestone.status is MilestoneStatus.CANCELLED else cancel(milestone)


def _as_agreed(known: Milestone, agreed: Milestone, *, is_dated: bool) -> Milestone:
    """Return a planned milestone with the amount and the name that were agreed, and the day if any.

    One that was cancelled is planned again.
    """
    due_on = agreed.due_on if is_dated else known.due_on or agreed.due_on
    followed = replace(known, amount=agreed.amount, due_on=due_on, name=agreed.name)
    if known.status is MilestoneStatus.CANCELLED:
        return step_to(followed, MilestoneStatus.PLANNED)
    return known if followed == known else replace(followed, version=known.version + 1)


def _shared_rest(
    line: SoldLine, settled: Sequence[Milestone], open_: Sequence[Milestone]
) -> list[Milestone]:
    """Return the open milestones with what the settled ones leave of the line's net total.

    The template's shares are of the whole line: after a change of the fee they no longer sum up
    with what was completed at the old one.
    """
    done = Money.total((each.amount for each in settled), line.net_total.currency)
    rest = line.net_total - done
    if not open_ or rest.amount < 0 or not any(each.amount.amount for each in open_):
        return list(open_)
    amounts = rest.split([each.amount.amount for each in open_])
    return [replace(each, amount=amount) for each, amount in zip(open_, amounts, strict=True)]


def _is_of(part: Milestone | LineBudget, line: ProjectLine) -> bool:
    return part.contract_line_id == line.contract_line_id


def _not_made(lines: Sequence[SoldLine], projects: Sequence[Project]) -> list[SoldLine]:
    made = made_lines(projects)
    return [line for line in lines if line.contract_line_id not in made]
