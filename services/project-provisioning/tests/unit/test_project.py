"""A project is planned whole from the contract and the templates, and the same each time."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import (
    AT,
    FIXED_FEE_LINE,
    PASS_THROUGH_LINE,
    RECURRING_LINE,
    TIME_LINE,
    a_line,
    a_milestone_plan,
    a_run,
    an_id,
    eur,
    the_templates,
    the_terms,
)

from project_provisioning.domain.project import (
    Project,
    ProjectActivated,
    TaskClosed,
    TaskNotFound,
    close_task,
    plan_project,
)
from project_provisioning.domain.run import RunState, SoldLine
from project_provisioning.domain.template import BillingModel
from throughline_core.money import Money


def plan(*lines: SoldLine) -> Project:
    run = a_run(RunState.PROVISIONING)
    if lines:
        run = replace(run, terms=the_terms(lines=lines))
    return plan_project(run, the_templates(), number="P-000031", at=AT).state


def test_it_is_announced_with_the_run_that_made_it() -> None:
    run = a_run(RunState.PROVISIONING)

    change = plan_project(run, the_templates(), number="P-000031", at=AT)

    assert change.events == (ProjectActivated(change.state, run.run_id),)


def test_the_budget_is_the_sum_of_the_lines() -> None:
    assert plan().budget == eur("116400.00")


def test_each_line_gets_the_tasks_of_its_template_and_only_work_by_time_is_billed() -> None:
    tasks = [(task.name, task.contract_line_id, task.billable) for task in plan().tasks]

    assert tasks == [
        ("Discovery workshops", FIXED_FEE_LINE, False),
        ("Advisory work", TIME_LINE, True),
        # The template calls it billable, but a month is billed, not its hours.
        ("Managed support", RECURRING_LINE, False),
    ]


def test_milestones_share_the_net_total() -> None:
    amounts = {milestone.key: milestone.amount for milestone in plan().milestones}

    assert amounts == {"kickoff": eur("9600.00"), "target_architecture": eur("14400.00")}


@given(
    cents=st.integers(0, 10**12),
    weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
)
def test_no_cent_is_lost_over_milestones(cents: int, weights: list[int]) -> None:
    parts = tuple(
        a_milestone_plan(f"m{index}", "Milestone", str(weight), AT.date())
        for index, weight in enumerate(weights)
    )
    total = Money(Decimal(cents).scaleb(-2), "EUR")
    line = a_line(
        BillingModel.FIXED_FEE, template_code="discovery", milestones=parts, net_total=total
    )

    milestones = plan(line).milestones

    assert Money.total((each.amount for each in milestones), "EUR") == total


def test_hours_agreed_by_role_go_before_the_templates() -> None:
    hours = {each.role: each.planned_hours for each in plan().role_requirements}

    assert hours == {"senior_consultant": 120, "consultant": 200, "analyst": 80}


def test_where_no_hours_were_agreed_the_template_asks_for_them() -> None:
    line = a_line(BillingModel.TIME_AND_MATERIALS, quantity=Decimal(250))

    [required] = plan(line).role_requirements

    assert (required.role, required.planned_hours) == ("consultant", Decimal(250))


def test_planning_twice_makes_the_same_project() -> None:
    assert plan() == plan()


def test_ids_differ_between_contracts() -> None:
    terms = the_terms(contract_id=an_id("b2"))
    other = plan_project(a_run(terms=terms), the_templates(), number="P-000032", at=AT).state

    ours = plan()

    assert other.project_id != ours.project_id
    assert {task.task_id for task in other.tasks}.isdisjoint(task.task_id for task in ours.tasks)
    assert {each.milestone_id for each in other.milestones}.isdisjoint(
        each.milestone_id for each in ours.milestones
    )


def test_lines_without_tasks_are_kept_for_expenses_and_budgets() -> None:
    assert plan().lines[-1].contract_line_id == PASS_THROUGH_LINE


def test_a_closed_task_is_closed_once() -> None:
    project = plan()
    task_id = project.tasks[1].task_id

    closed = close_task(project, task_id).state

    assert [task.closed for task in closed.tasks] == [False, True, False]
    assert closed.version == project.version + 1
    with pytest.raises(TaskClosed):
        close_task(closed, task_id)


def test_a_task_of_another_project_is_not_found() -> None:
    with pytest.raises(TaskNotFound):
        close_task(plan(), an_id("9999"))
