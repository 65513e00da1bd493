"""Budgets: what was planned and what of it was approved, by project, line and purchase order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.capacity import hours_of, percent_of
from project_provisioning.domain.project import Project
from project_provisioning.domain.revenue import PricedLine
from project_provisioning.domain.template import BillingModel
from throughline_core.money import Money

_ALL: Final = Decimal(100)
_BY_PERIOD: Final = frozenset({BillingModel.RECURRING, BillingModel.RETAINER, BillingModel.USAGE})


class BudgetState(StrEnum):
    """How near a budget is to its end."""

    WITHIN = "within"
    NEAR = "near"
    EXCEEDED = "exceeded"


@dataclass(frozen=True, slots=True)
class Worked:
    """Approved minutes of one person in one role on one day."""

    contract_line_id: UUID
    on: date
    role: str
    person_id: UUID
    minutes: int


@dataclass(frozen=True, slots=True)
class Earned:
    """An accepted milestone or an approved billable expense."""

    contract_line_id: UUID
    on: date
    amount: Money


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase order of the customer; no amount = no limit, no lines = all of them."""

    number: str
    valid_from: date
    valid_to: date | None
    amount: Money | None
    contract_line_ids: frozenset[UUID]

    def covers(self, contract_line_id: UUID, on: date) -> bool:
        """Whether the order pays for work of a line on a day."""
        in_time = self.valid_from <= on and (self.valid_to is None or on < self.valid_to)
        return in_time and (
            not self.contract_line_ids or contract_line_id in self.contract_line_ids
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Planned and approved hours and amounts; None where there is no amount to tell."""

    planned_hours: Decimal
    approved_hours: Decimal
    planned: Money | None
    approved: Money | None
    unpriced_hours: Decimal

    @property
    def used_percent(self) -> Decimal | None:
        """Approved in percent of planned: of the amount, else of the hours; None without either."""
        if self.planned is not None and self.approved is not None and not self.planned.is_zero:
            return percent_of(self.approved.amount, self.planned.amount)
        return percent_of(self.approved_hours, self.planned_hours)

    def state(self, warning_percent: int) -> BudgetState:
        """Return how near the budget is to its end."""
        used = self.used_percent
        if used is None or used < warning_percent:
            return BudgetState.WITHIN
        return BudgetState.EXCEEDED if used > _ALL else BudgetState.NEAR


@dataclass(frozen=True, slots=True)
class LineFigures:
    """The budget of one contract line."""

    line: PricedLine
    figures: Figures


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """The budget of one purchase order."""

    order: Order
    figures: Figures


@dataclass(frozen=True, slots=True)
class Budget:
    """All budgets of a project."""

    figures: Figures
    lines: tuple[LineFigures, ...]
    orders: tuple[OrderFigures, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was approved on a project."""

    worked: Sequence[Worked]
    earned: Sequence[Earned]


def budget_of(
    project: Project, lines: Sequence[PricedLine], orders: Sequence[Order], delivered: Delivered
) -> Budget:
    """Return the project's budgets. A purchase order counts this project's part of it."""
    line_figures = tuple(LineFigures(line, _of_line(project, line, delivered)) for line in lines)
    amounts = [each.figures.approved for each in line_figures if each.figures.approved is not None]
    whole = Figures(
        planned_hours=sum((each.figures.planned_hours for each in line_figures), Decimal(0)),
        approved_hours=sum((each.figures.approved_hours for each in line_figures), Decimal(0)),
        planned=project.budget,
        approved=Money.total(amounts, project.budget.currency),
        unpriced_hours=sum((each.figures.unpriced_hours for each in line_figures), Decimal(0)),
    )
    return Budget(
        whole, line_figures, tuple(_of_order(order, project, lines, delivered) for order in orders)
    )


def _of_line(project: Project, line: PricedLine, delivered: Delivered) -> Figures:
    key = line.contract_line_id
    worked = [each for each in delivered.worked if each.contract_line_id == key]
    earned = [each for each in delivered.earned if each.contract_line_id == key]
    required = (each for each in project.role_requirements if each.contract_line_id == key)
    figures = _figures([line], worked, earned, project.budget.currency)
    return replace(
        figures,
        planned_hours=sum((each.planned_hours for each in required), Decimal(0)),
        planned=line.net_total,
        approved=None if line.billing_model in _BY_PERIOD else figures.approved,
    )


def _of_order(
    order: Order, project: Project, lines: Sequence[PricedLine], delivered: Delivered
) -> OrderFigures:
    worked = [each for each in delivered.worked if order.covers(each.contract_line_id, each.on)]
    earned = [each for each in delivered.earned if order.covers(each.contract_line_id, each.on)]
    figures = _figures(lines, worked, earned, project.budget.currency)
    return OrderFigures(order, replace(figures, planned=order.amount))


def _figures(
    lines: Sequence[PricedLine], worked: Iterable[Worked], earned: Iterable[Earned], currency: str
) -> Figures:
    """Return what was approved, hours valued at the rates of their lines where these bill time."""
    priced = {
        line.contract_line_id: line
        for line in lines
        if line.billing_model is BillingModel.TIME_AND_MATERIALS
    }
    value, minutes, unpriced = Money.zero(currency), 0, 0
    for each in worked:
        minutes += each.minutes
        line = priced.get(each.contract_line_id)
        if line is None:
            continue
        rate = line.rate_of(each.role, each.person_id)
        if rate is None:
            unpriced += each.minutes
        else:
            value += rate * (Decimal(each.minutes) / 60)
    value += Money.total((each.amount for each in earned), currency)
    return Figures(Decimal(0), hours_of(minutes), None, value.rounded(), hours_of(unpriced))
