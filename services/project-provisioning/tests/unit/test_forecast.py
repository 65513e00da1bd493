"""What a project takes, earns and uses of its budgets; and how two plans differ."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from project_provisioning_builders import (
    ADA,
    AT,
    FIXED_FEE_LINE,
    PASS_THROUGH_LINE,
    RECURRING_LINE,
    TIME_LINE,
    an_assignment,
    an_id,
    eur,
    planned,
)

from project_provisioning.domain import baseline as baselines
from project_provisioning.domain import budget as budgets
from project_provisioning.domain.baseline import DifferenceKind, ItemKind, compare, snapshot
from project_provisioning.domain.budget import BudgetState, Delivered, Earned, Order, Worked
from project_provisioning.domain.closing import (
    OpenMilestones,
    UnapprovedExpenses,
    UnapprovedTime,
    Undecided,
    close,
    reopen,
)
from project_provisioning.domain.milestone import MilestoneStatus
from project_provisioning.domain.progress import (
    Basis,
    CostProgress,
    Done,
    Estimate,
    EstimateBeforeLatest,
    EstimateInFuture,
    Progress,
    check_estimate,
    cost_at_completion,
    task_progress,
    total,
)
from project_provisioning.domain.project import Project, ProjectStatus, TaskClosed
from project_provisioning.domain.revenue import (
    DAY_MISSING,
    RATE_MISSING,
    PlannedRevenue,
    PricedLine,
    RevenueBasis,
    plan_revenue,
)
from project_provisioning.domain.revenue import total as revenue_total
from throughline_core.errors import IllegalTransition
from throughline_core.money import Money

[PLAN] = planned()
Rates = dict[tuple[str, UUID | None], Money]
RATES: Rates = {("senior_consultant", None): eur("180"), ("consultant", None): eur("140")}


def the_lines(**of_time: Any) -> list[PricedLine]:
    """Return the samples' lines, with rates for two of the three roles that time needs."""
    return [
        PricedLine(
            line.contract_line_id,
            line.billing_model,
            line.net_total,
            line.starts_on,
            line.ends_on,
            line.ended_on,
            {"rates": RATES, **of_time}["rates"] if line.contract_line_id == TIME_LINE else {},
        )
        for line in PLAN.lines
    ]


def revenue_of(line: object, rows: list[PlannedRevenue]) -> list[PlannedRevenue]:
    return [row for row in rows if row.contract_line_id == line]


def test_what_remains_was_entered_or_is_what_was_planned_and_not_done() -> None:
    first, second, third = PLAN.tasks
    tasks = [
        replace(first, planned_minutes=600),
        replace(second, planned_minutes=600),
        replace(third, planned_minutes=600, closed=True),
    ]
    done = {
        first.task_id: Done(minutes=660),
        second.task_id: Done(minutes=300, estimated_hours=Decimal(20), minutes_since=120),
        third.task_id: Done(minutes=60),
    }

    found = task_progress(tasks, done)

    assert [(each.basis, each.progress.remaining) for each in found] == [
        (Basis.PLANNED, Decimal(0)),
        (Basis.ENTERED, Decimal(18)),
        (Basis.CLOSED, Decimal(0)),
    ]
    whole = total(found)
    assert whole == Progress(Decimal(30), Decimal(17), Decimal(18))
    assert whole.at_completion == 35
    assert whole.complete_percent == Decimal("48.57")


def test_nothing_planned_and_nothing_done_is_not_complete() -> None:
    assert Progress(Decimal(0), Decimal(0), Decimal(0)).complete_percent == 0


def an_estimate(as_of: date) -> Estimate:
    task = PLAN.tasks[1].task_id
    return Estimate(an_id("1701"), task, Decimal(8), as_of, "", "user:paula.pmo", AT)


def test_an_estimate_is_neither_of_tomorrow_nor_older_than_the_latest() -> None:
    today = date(2026, 10, 1)

    assert check_estimate(an_estimate(today), PLAN, latest=today, today=today) == PLAN.tasks[1]
    with pytest.raises(EstimateInFuture):
        check_estimate(an_estimate(date(2026, 10, 2)), PLAN, latest=None, today=today)
    with pytest.raises(EstimateBeforeLatest):
        check_estimate(an_estimate(date(2026, 9, 30)), PLAN, latest=today, today=today)
    closed = replace(PLAN, tasks=tuple(replace(task, closed=True) for task in PLAN.tasks))
    with pytest.raises(TaskClosed):
        check_estimate(an_estimate(today), closed, latest=None, today=today)


def test_what_remains_costs_what_hours_cost_so_far() -> None:
    progress = Progress(Decimal(40), Decimal(10), Decimal(30))

    [cost] = cost_at_completion([(eur("800.00"), 600)], progress)

    assert cost == CostProgress(eur("800.00"), eur("3200.00"), uncosted=Decimal(0))
    assert cost.complete_percent == Decimal("25.00")


def test_hours_without_cost_are_told() -> None:
    [cost] = cost_at_completion([(eur("400.00"), 300)], Progress(*map(Decimal, (10, 10, 0))))

    assert cost == CostProgress(eur("400.00"), eur("400.00"), uncosted=Decimal(5))


def test_a_fixed_fee_earns_its_milestones_when_they_are_due() -> None:
    undated = replace(
        PLAN, milestones=(PLAN.milestones[0], replace(PLAN.milestones[1], due_on=None))
    )

    rows = revenue_of(FIXED_FEE_LINE, plan_revenue(undated, the_lines(), ()))

    assert [(row.month, row.element, row.amount, row.reason) for row in rows] == [
        ("", "target_architecture", eur("14400.00"), DAY_MISSING),
        ("2026-09", "kickoff", eur("9600.00"), ""),
    ]


def test_time_earns_assigned_hours_in_their_months_and_the_rest_evenly() -> None:
    assignment = an_assignment(
        role="senior_consultant",
        weeks=((date(2026, 9, 28), Decimal(40)), (date(2026, 10, 5), Decimal(20))),
    )

    rows = revenue_of(TIME_LINE, plan_revenue(PLAN, the_lines(), [assignment]))

    assigned = [row for row in rows if row.basis is RevenueBasis.ASSIGNMENT]
    # The week of 28 September belongs to October, as its Thursday does.
    assert [(row.month, row.hours, row.amount) for row in assigned] == [
        ("2026-10", Decimal(60), eur("10800.00"))
    ]
    still_open = [row for row in rows if row.element == "senior_consultant"][1:]
    assert sum(row.hours or 0 for row in rows if row.element == "senior_consultant") == 120
    assert still_open
    analysts = [row for row in rows if row.element == "analyst"]
    assert len(analysts) == 12
    assert all((row.amount, row.reason) == (None, RATE_MISSING) for row in analysts)


def test_a_persons_own_rate_goes_first() -> None:
    rates: Rates = {**RATES, ("senior_consultant", ADA): eur("210")}
    assignment = an_assignment(weeks=((date(2026, 9, 7), Decimal(10)),))

    rows = revenue_of(TIME_LINE, plan_revenue(PLAN, the_lines(rates=rates), [assignment]))

    [row] = [row for row in rows if row.basis is RevenueBasis.ASSIGNMENT]
    assert row.amount == eur("2100.00")


def test_periods_and_estimates_sum_to_their_line_over_its_term() -> None:
    rows = plan_revenue(PLAN, the_lines(), ())

    recurring = revenue_of(RECURRING_LINE, rows)
    assert [row.amount for row in recurring] == [eur("2500.00")] * 12
    assert recurring[0].month == "2026-09"
    passed_through = revenue_of(PASS_THROUGH_LINE, rows)
    assert revenue_total(passed_through, "EUR") == eur("4000.00")
    assert {row.basis for row in passed_through} == {RevenueBasis.ESTIMATE}


def test_a_line_that_ended_earns_no_more() -> None:
    lines = [replace(line, ended_on=date(2026, 12, 1)) for line in the_lines()]

    recurring = revenue_of(RECURRING_LINE, plan_revenue(PLAN, lines, ()))

    assert [row.month for row in recurring] == ["2026-09", "2026-10", "2026-11"]


def worked(minutes: int, role: str = "consultant", on: date = date(2026, 9, 7)) -> Worked:
    return Worked(TIME_LINE, on, role, ADA, minutes)


def test_budgets_count_hours_at_rates_milestones_and_expenses() -> None:
    delivered = Delivered(
        [worked(600), worked(90, "analyst")],
        [
            Earned(FIXED_FEE_LINE, date(2026, 9, 14), eur("9600.00")),
            Earned(PASS_THROUGH_LINE, date(2026, 9, 8), eur("200.00")),
        ],
    )

    budget = budgets.budget_of(PLAN, the_lines(), (), delivered)

    figures = {each.line.contract_line_id: each.figures for each in budget.lines}
    assert figures[FIXED_FEE_LINE].used_percent == Decimal("40.00")
    assert figures[TIME_LINE].approved == eur("1400.00")
    assert figures[TIME_LINE].unpriced_hours == Decimal("1.5")
    assert figures[TIME_LINE].planned_hours == 400
    assert figures[RECURRING_LINE].approved is None
    assert budget.figures.approved == eur("11200.00")
    assert budget.figures.planned == PLAN.budget


@pytest.mark.parametrize(
    ("minutes", "state"),
    [
        (79 * 60, BudgetState.WITHIN),
        (80 * 60, BudgetState.NEAR),
        (100 * 60, BudgetState.NEAR),
        (100 * 60 + 1, BudgetState.EXCEEDED),
    ],
)
def test_a_purchase_order_counts_its_lines_within_its_validity(
    minutes: int, state: BudgetState
) -> None:
    order = Order(
        "PO-1", date(2026, 9, 1), date(2026, 10, 1), eur("14000.00"), frozenset({TIME_LINE})
    )
    late = worked(6000, on=date(2026, 10, 1))
    elsewhere = Earned(FIXED_FEE_LINE, date(2026, 9, 14), eur("9600.00"))

    budget = budgets.budget_of(
        PLAN, the_lines(), [order], Delivered([worked(minutes), late], [elsewhere])
    )

    [found] = budget.orders
    assert found.figures.state(80) is state


def shot(project: Project = PLAN, *assignments: Any) -> tuple[baselines.Item, ...]:
    revenue = plan_revenue(project, the_lines(), assignments)
    return snapshot(project, assignments, revenue, total(task_progress(project.tasks, {})))


def test_a_plan_does_not_differ_from_itself() -> None:
    assert list(compare(shot(), shot())) == []
    with pytest.raises(baselines.BaselineUnchanged):
        baselines.refuse_unchanged(shot(), shot())
    baselines.refuse_unchanged(None, shot())


def test_differences_are_told_figure_by_figure() -> None:
    moved = replace(PLAN.milestones[0], due_on=date(2026, 10, 20))
    longer = replace(PLAN.tasks[1], planned_minutes=90)
    project = replace(
        PLAN, milestones=(moved, PLAN.milestones[1]), tasks=(PLAN.tasks[0], longer, PLAN.tasks[2])
    )

    found = {
        (each.kind, each.item_kind, each.figure): (each.old_value, each.new_value, each.change)
        for each in compare(shot(), shot(project))
    }

    assert found[DifferenceKind.CHANGED, ItemKind.TASK, "planned_hours"] == ("", "1.50", "")
    assert found[DifferenceKind.CHANGED, ItemKind.MILESTONE, "due_on"] == (
        "2026-09-15",
        "2026-10-20",
        "",
    )
    assert found[DifferenceKind.CHANGED, ItemKind.PROJECT, "planned_hours"] == (
        "0.00",
        "1.50",
        "1.50",
    )
    assert found[DifferenceKind.ADDED, ItemKind.REVENUE, "amount"] == ("", "9600.00 EUR", "")
    assert (DifferenceKind.REMOVED, ItemKind.REVENUE, "amount") in found


def test_amounts_of_one_currency_are_subtracted() -> None:
    dearer = replace(PLAN, budget=PLAN.budget + eur("83.50"))

    [difference] = compare(shot(), shot(dearer))

    assert (difference.figure, difference.change) == ("budget", "83.50 EUR")


def closable(**values: Any) -> Project:
    accepted = tuple(replace(each, status=MilestoneStatus.ACCEPTED) for each in PLAN.milestones)
    return replace(PLAN, **{"milestones": accepted} | values)


def test_a_project_is_closed_when_all_is_decided_and_opened_again() -> None:
    closed = close(closable(), "done", Undecided(0, 0)).state

    assert (closed.status, closed.closed_reason) == (ProjectStatus.CLOSED, "done")
    with pytest.raises(IllegalTransition):
        close(closed, "again", Undecided(0, 0))
    reopened = reopen(closed).state
    assert (reopened.status, reopened.closed_reason) == (ProjectStatus.ACTIVE, "")
    with pytest.raises(IllegalTransition):
        reopen(reopened)


@pytest.mark.parametrize(
    ("project", "undecided", "refusal"),
    [
        (PLAN, Undecided(0, 0), OpenMilestones),
        (closable(), Undecided(1, 0), UnapprovedTime),
        (closable(), Undecided(0, 1), UnapprovedExpenses),
    ],
)
def test_what_is_open_keeps_a_project_open(
    project: Project, undecided: Undecided, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        close(project, "done", undecided)


def test_milestones_never_begun_under_ended_terms_do_not_keep_a_project_open() -> None:
    terminated = replace(PLAN, work_ends_on=date(2026, 10, 1))

    assert close(terminated, "terminated", Undecided(0, 0)).state.status is ProjectStatus.CLOSED
