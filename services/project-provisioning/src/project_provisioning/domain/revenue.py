"""Planned revenue: what a project's contract lines are planned to earn, month by month."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.assignment import Assignment
from project_provisioning.domain.effort import share
from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.domain.project import Project
from project_provisioning.domain.template import BillingModel
from throughline_core.money import Money
from throughline_core.period import Period, months_of, prorate

RATE_MISSING: Final = "rate.not_on_line"
DAY_MISSING: Final = "milestone.not_dated"
_BY_PERIOD: Final = frozenset({BillingModel.RECURRING, BillingModel.RETAINER})
_BY_TIME: Final = BillingModel.TIME_AND_MATERIALS
_THURSDAY: Final = timedelta(days=3)


class RevenueBasis(StrEnum):
    """What planned revenue was computed from."""

    MILESTONE = "milestone"
    ASSIGNMENT = "assignment"
    REQUIREMENT = "requirement"
    PERIOD = "period"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A contract line as it was agreed. `rates` are by role and person, None = anybody.

    `[starts_on, ends_on)` is its term, cut short by `ended_on`.
    """

    contract_line_id: UUID
    billing_model: BillingModel
    net_total: Money
    starts_on: date
    ends_on: date
    ended_on: date | None
    rates: Mapping[tuple[str, UUID | None], Money]

    def rate_of(self, role: str, person_id: UUID | None) -> Money | None:
        """Return what an hour costs, the person's own rate first; None where none was agreed."""
        return self.rates.get((role, person_id)) or self.rates.get((role, None))


@dataclass(frozen=True, slots=True)
class PlannedRevenue:
    """Revenue of a line in a month, `2026-09`, empty where no day is planned.

    `element` is the milestone's key or the role; `amount` None where `reason` says why.
    """

    contract_line_id: UUID
    month: str
    basis: RevenueBasis
    element: str
    hours: Decimal | None
    amount: Money | None
    reason: str = ""


def plan_revenue(
    project: Project, lines: Sequence[PricedLine], assignments: Sequence[Assignment]
) -> list[PlannedRevenue]:
    """Return planned revenue by line, month and element; amounts are rounded for each of them."""
    hours = _hours_by_line(project, lines, assignments)
    rows: list[PlannedRevenue] = []
    for line in lines:
        of_line = [
            each for each in project.milestones if each.contract_line_id == line.contract_line_id
        ]
        if of_line:
            agreed = (each for each in of_line if each.status is not MilestoneStatus.CANCELLED)
            rows += map(_of_milestone, agreed)
        elif line.billing_model is _BY_TIME:
            rows += _of_hours(project, line, hours.get(line.contract_line_id, {}))
        else:
            rows += _of_term(line)
    return sorted(rows, key=lambda row: (str(row.contract_line_id), row.month, row.element))


def total(rows: Iterable[PlannedRevenue], currency: str) -> Money:
    """Return the sum of the amounts that could be told."""
    return Money.total((row.amount for row in rows if row.amount is not None), currency)


def line_of(project: Project, assignment: Assignment) -> UUID | None:
    """Return the contract line an assignment works for, None where that cannot be told.

    That of its task; for the project as a whole the one that needs the role, or the only one
    billed by time.
    """
    for task in project.tasks:
        if task.task_id == assignment.task_id:
            return task.contract_line_id
    needing = [
        each.contract_line_id for each in project.role_requirements if each.role == assignment.role
    ]
    by_time = [line.contract_line_id for line in project.lines if line.billing_model is _BY_TIME]
    if needing:
        return needing[0]
    return by_time[0] if len(by_time) == 1 else None


def month_of(day: date) -> str:
    """Return the month of a day, `2026-09`."""
    return f"{day:%Y-%m}"


def _of_milestone(milestone: Milestone) -> PlannedRevenue:
    day = milestone.accepted_on or milestone.due_on
    return PlannedRevenue(
        contract_line_id=milestone.contract_line_id,
        month=month_of(day) if day else "",
        basis=RevenueBasis.MILESTONE,
        element=milestone.key,
        hours=None,
        amount=milestone.amount,
        reason="" if day else DAY_MISSING,
    )


_Hours = Mapping[tuple[str, str, UUID | None], Decimal]
"""Hours by month, role and person."""


def _hours_by_line(
    project: Project, lines: Sequence[PricedLine], assignments: Sequence[Assignment]
) -> Mapping[UUID, _Hours]:
    """Return assigned hours by line; a week counts in the month of its Thursday."""
    wanted = {line.contract_line_id for line in lines if line.billing_model is _BY_TIME}
    hours: defaultdict[UUID, defaultdict[tuple[str, str, UUID | None], Decimal]] = defaultdict(
        lambda: defaultdict(Decimal)
    )
    for assignment in assignments:
        line = line_of(project, assignment)
        if line not in wanted or line is None:
            continue
        for monday, planned in assignment.weeks:
            month = month_of(monday + _THURSDAY)
            hours[line][month, assignment.role, assignment.person_id] += planned
    return hours


def _of_hours(project: Project, line: PricedLine, hours: _Hours) -> Iterator[PlannedRevenue]:
    assigned: defaultdict[str, Decimal] = defaultdict(Decimal)
    by_role: defaultdict[tuple[str, str, Money | None], Decimal] = defaultdict(Decimal)
    for (month, role, person_id), planned in hours.items():
        assigned[role] += planned
        by_role[month, role, line.rate_of(role, person_id)] += planned
    for (month, role, rate), planned in by_role.items():
        yield _of_role(line, month, RevenueBasis.ASSIGNMENT, role, planned, rate)
    for each in project.role_requirements:
        open_hours = each.planned_hours - assigned[each.role]
        if each.contract_line_id == line.contract_line_id and open_hours > 0:
            months = list(_months(line))
            parts = share(open_hours, [part.days for part, _ in months])
            rate = line.rate_of(each.role, None)
            for (part, _), planned in zip(months, parts, strict=True):
                yield _of_role(
                    line, month_of(part.start), RevenueBasis.REQUIREMENT, each.role, planned, rate
                )


def _of_role(
    line: PricedLine,
    month: str,
    basis: RevenueBasis,
    role: str,
    hours: Decimal,
    rate: Money | None,
) -> PlannedRevenue:
    amount = None if rate is None else (rate * hours).rounded()
    reason = RATE_MISSING if rate is None else ""
    return PlannedRevenue(line.contract_line_id, month, basis, role, hours, amount, reason)


def _of_term(line: PricedLine) -> Iterator[PlannedRevenue]:
    """Yield the line's net total over its months; what comes after its end is not planned."""
    by_period = line.billing_model in _BY_PERIOD
    months = list(_months(line))
    weights = [prorate(part, whole) if by_period else Decimal(part.days) for part, whole in months]
    for (part, _), amount in zip(months, line.net_total.split(weights), strict=True):
        if line.ended_on is None or part.start < line.ended_on:
            basis = RevenueBasis.PERIOD if by_period else RevenueBasis.ESTIMATE
            month = month_of(part.start)
            yield PlannedRevenue(line.contract_line_id, month, basis, "", None, amount)


def _months(line: PricedLine) -> Iterator[tuple[Period, Period]]:
    return months_of(Period(line.starts_on, line.ends_on), anchor_day=1)
