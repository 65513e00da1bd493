"""Planning: what a contract's lines become by their templates, and how that follows new terms.

Ids are derived from the contract, its lines and the keys of the template, so that making a project
twice makes the same one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from project_provisioning.domain.formula import Formula
from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.domain.project import (
    LineBudget,
    Project,
    ProjectActivated,
    ProjectEvent,
    ProjectLine,
    ProjectStatus,
    RoleRequirement,
    Task,
    project_id_of,
)
from project_provisioning.domain.template import (
    BillingModel,
    BudgetKind,
    Plan,
    Template,
    TemplateMilestone,
    TemplateTask,
)
from project_provisioning.domain.terms import SoldLine, Terms, Workstream
from throughline_core.change import Change
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.rounding import round_half_away

_NAME_LENGTH_MAX: Final = 120
_MINUTES_OF_HOUR: Final = 60
_HOURS_PLACES: Final = 2
_CLOCK_MODELS: Final = (BillingModel.TIME_AND_MATERIALS, BillingModel.RETAINER)


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What one line brings to its project."""

    line: ProjectLine
    tasks: tuple[Task, ...]
    milestones: tuple[Milestone, ...]
    roles: tuple[RoleRequirement, ...]
    budgets: tuple[LineBudget, ...]


def plan_projects(
    terms: Terms,
    templates: Mapping[str, Template],
    *,
    run_id: UUID,
    numbers: Iterator[str],
    at: datetime,
    work_ends_on: date | None = None,
) -> Sequence[Change[Project, ProjectEvent]]:
    """Return one project for each workstream, the master first; `templates` are by code."""
    projects: list[Project] = []
    for workstream, lines in terms.workstreams.items():
        projects.append(
            plan_project(
                terms,
                workstream,
                plan_lines(terms, workstream, lines, templates),
                number=next(numbers),
                at=at,
                name=lines[0].description,
                master_project_id=projects[0].project_id if projects else None,
                work_ends_on=work_ends_on,
            )
        )
    return [Change(project, (ProjectActivated(project, run_id),)) for project in projects]


def plan_project(
    terms: Terms,
    workstream: Workstream,
    plans: Sequence[LinePlan],
    *,
    number: str,
    at: datetime,
    name: str,
    master_project_id: UUID | None,
    work_ends_on: date | None,
) -> Project:
    """Return the project of a workstream; its milestones' amounts sum to their lines'."""
    return Project(
        project_id=project_id_of(terms.contract_id, workstream),
        version=1,
        number=number,
        name=f"{terms.contract_number} {name}".strip()[:_NAME_LENGTH_MAX],
        status=ProjectStatus.ACTIVE,
        contract_id=terms.contract_id,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        customer_id=terms.customer_id,
        legal_entity_id=workstream.legal_entity_id,
        time_zone=terms.time_zone,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        budget=Money.total((plan.line.net_total for plan in plans), terms.currency),
        activated_at=at,
        templates=tuple(sorted({plan.line.template for plan in plans})),
        lines=tuple(plan.line for plan in plans),
        tasks=tuple(task for plan in plans for task in plan.tasks),
        milestones=tuple(milestone for plan in plans for milestone in plan.milestones),
        role_requirements=tuple(role for plan in plans for role in plan.roles),
        selling_legal_entity_id=terms.legal_entity_id,
        region=workstream.region,
        master_project_id=master_project_id,
        contract_version=terms.contract_version,
        work_ends_on=work_ends_on,
        budgets=tuple(budget for plan in plans for budget in plan.budgets),
    )


def plan_lines(
    terms: Terms,
    workstream: Workstream,
    lines: Iterable[SoldLine],
    templates: Mapping[str, Template],
    *,
    after: Project | None = None,
) -> Sequence[LinePlan]:
    """Return what lines bring to their workstream's project, numbered on from what it has."""
    project_id = project_id_of(terms.contract_id, workstream)
    task_count = max((task.position for task in after.tasks), default=0) if after else 0
    milestone_count = max((each.position for each in after.milestones), default=0) if after else 0
    phase_count = _phases(after.tasks) if after else 0
    plans: list[LinePlan] = []
    for line in lines:
        template = templates[line.template_code]
        plan = template.plan_of(line.billing_model, line.region)
        tasks = tuple(_plan_tasks(project_id, line, plan, task_count, phase_count))
        milestones = plan_milestones(project_id, terms, line, plan, milestone_count)
        plans.append(
            LinePlan(
                line=plan_line(line, template.label),
                tasks=tasks,
                milestones=milestones,
                roles=tuple(_plan_roles(line, plan)),
                budgets=plan_budgets(line, plan),
            )
        )
        task_count += len(tasks)
        milestone_count += len(milestones)
        phase_count += len(plan.phases)
    return plans


def plan_line(line: SoldLine, template: str) -> ProjectLine:
    """Return the line as its project keeps it."""
    return ProjectLine(
        contract_line_id=line.contract_line_id,
        quote_line_id=line.quote_line_id,
        position=line.position,
        billing_model=line.billing_model,
        net_total=line.net_total,
        starts_on=line.starts_on,
        ends_on=line.ends_on,
        ended_on=line.ended_on,
        template=template,
    )


def plan_milestones(
    project_id: UUID, terms: Terms, line: SoldLine, plan: Plan, after: int
) -> tuple[Milestone, ...]:
    """Return the milestones agreed on a line, or those of the template where it agreed none.

    The template plans the day of an agreed one that has none, by its key.
    """
    if not line.needs_milestones:
        return ()
    return tuple(
        Milestone(
            milestone_id=derived_id("milestone", project_id, line.contract_line_id, key),
            version=1,
            project_id=project_id,
            contract_id=terms.contract_id,
            contract_line_id=line.contract_line_id,
            quote_line_id=line.quote_line_id,
            engagement_id=terms.engagement_id,
            correlation_id=terms.correlation_id,
            legal_entity_id=line.legal_entity_id,
            position=position,
            key=key,
            name=name,
            amount=amount,
            status=MilestoneStatus.PLANNED,
            due_on=due_on,
        )
        for position, (key, name, amount, due_on) in enumerate(
            _agreed_parts(line, plan) or _template_parts(line, plan), start=after + 1
        )
    )


def plan_budgets(line: SoldLine, plan: Plan) -> tuple[LineBudget, ...]:
    """Return what the line may take; a cost budget agreed on the quote goes before the formula."""
    values = line.values
    amounts = {budget.kind: budget.formula.value(values) for budget in plan.budgets}
    places = {BudgetKind.HOURS: _HOURS_PLACES}
    currency = line.net_total.currency
    if line.cost_budget is not None:
        amounts[BudgetKind.COST] = line.cost_budget.amount
    return tuple(
        LineBudget(
            line.contract_line_id,
            kind,
            round_half_away(amount, places[kind])
            if kind in places
            else Money(amount, currency).rounded().amount,
        )
        for kind, amount in sorted(amounts.items())
    )


def _plan_tasks(
    project_id: UUID, line: SoldLine, plan: Plan, after: int, phases_before: int
) -> Iterator[Task]:
    position = after
    for phase_number, phase in enumerate(plan.phases, start=phases_before + 1):
        for path, code, task, parent in _walk(phase.tasks, (), str(phase_number)):
            position += 1
            starts_on, ends_on = _dates_of(task, line)
            yield Task(
                task_id=_task_id(project_id, line, path),
                position=position,
                phase=phase.name,
                name=task.name,
                contract_line_id=line.contract_line_id,
                billable=task.billable and line.billing_model in _CLOCK_MODELS,
                parent_task_id=_task_id(project_id, line, parent) if parent else None,
                wbs_code=code,
                starts_on=starts_on,
                ends_on=ends_on,
                planned_minutes=_minutes_of(task, line),
                work_ends_on=line.ended_on,
            )


def _walk(
    tasks: Sequence[TemplateTask], parent: tuple[str, ...], code: str
) -> Iterator[tuple[tuple[str, ...], str, TemplateTask, tuple[str, ...]]]:
    """Yield each task's path of keys, WBS code, and its parent's path, parents first."""
    for number, task in enumerate(tasks, start=1):
        path, own_code = (*parent, task.key), f"{code}.{number}"
        yield path, own_code, task, parent
        yield from _walk(task.children, path, own_code)


def _task_id(project_id: UUID, line: SoldLine, path: tuple[str, ...]) -> UUID:
    return derived_id("task", project_id, line.contract_line_id, "/".join(path))


def _dates_of(task: TemplateTask, line: SoldLine) -> tuple[date | None, date | None]:
    """Return the planned first day and the day after the last, within the line's term."""
    if task.starts_after_days is None and task.lasts_days is None:
        return None, None
    values = line.values
    last_day = line.ends_on - timedelta(1)
    starts_on = _day_after(line.starts_on, task.starts_after_days, values, last_day)
    if task.lasts_days is None:
        return starts_on, line.ends_on
    ends_on = _day_after(starts_on, task.lasts_days, values, line.ends_on)
    return starts_on, max(ends_on, starts_on + timedelta(1))


def _day_after(
    day: date, formula: Formula | None, values: Mapping[str, Decimal], latest: date
) -> date:
    days = Decimal(0) if formula is None else round_half_away(formula.value(values), 0)
    return day + timedelta(min(int(days), (latest - day).days))


def _minutes_of(task: TemplateTask, line: SoldLine) -> int | None:
    if task.hours is None:
        return None
    return int(round_half_away(task.hours.value(line.values) * _MINUTES_OF_HOUR, 0))


def _agreed_parts(line: SoldLine, plan: Plan) -> Sequence[tuple[str, str, Money, date | None]]:
    """Return key, name, amount and day of each agreed milestone."""
    days = {part.key: _due_on(part, line) for part in plan.milestones}
    amounts = [part.amount for part in line.milestones]
    if None in amounts:
        amounts = [*line.net_total.split([part.share_percent or 0 for part in line.milestones])]
    return [
        (part.key, part.name, amount, part.due_on or days.get(part.key))
        for part, amount in zip(line.milestones, amounts, strict=True)
        if amount is not None
    ]


def _template_parts(line: SoldLine, plan: Plan) -> Sequence[tuple[str, str, Money, date | None]]:
    if not plan.milestones:
        return []
    amounts = line.net_total.split([part.share_percent for part in plan.milestones])
    return [
        (part.key, part.name, amount, _due_on(part, line))
        for part, amount in zip(plan.milestones, amounts, strict=True)
    ]


def _due_on(part: TemplateMilestone, line: SoldLine) -> date | None:
    if part.due_after_days is None:
        return None
    return _day_after(line.starts_on, part.due_after_days, line.values, line.ends_on)


def _plan_roles(line: SoldLine, plan: Plan) -> Iterator[RoleRequirement]:
    """Yield the hours agreed by role; where a line agreed none, those its template asks for."""
    hours = line.hours_by_role or {role.role: role.hours_of(line.values) for role in plan.roles}
    for position, (role, planned_hours) in enumerate(hours.items(), start=1):
        yield RoleRequirement(line.contract_line_id, position, role, planned_hours)


def _phases(tasks: Iterable[Task]) -> int:
    """Return the highest number of a phase in the codes of tasks."""
    heads = (task.wbs_code.partition(".")[0] for task in tasks)
    return max((int(head) for head in heads if head.isdigit()), default=0)
