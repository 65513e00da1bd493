"""A project is planned whole from the contract and the templates, and the same each time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import (
    AT,
    CONTRACT,
    DE01,
    FIXED_FEE_LINE,
    PASS_THROUGH_LINE,
    RECURRING_LINE,
    RUN,
    TIME_LINE,
    US01,
    a_line,
    a_milestone_plan,
    a_template,
    an_id,
    eur,
    planned,
    the_lines,
    the_templates,
    the_terms,
)

from project_provisioning.domain.formula import Formula
from project_provisioning.domain.planning import plan_projects
from project_provisioning.domain.project import (
    Project,
    ProjectActivated,
    ProjectChanged,
    ProjectInUse,
    ProjectStatus,
    end_work,
    project_id_of,
    take_back,
)
from project_provisioning.domain.template import (
    BillingModel,
    BudgetKind,
    Plan,
    Template,
    TemplateBudget,
    TemplateMilestone,
    TemplatePhase,
    TemplateTask,
)
from project_provisioning.domain.terms import SoldLine, SoldMilestone, Workstream
from throughline_core.ids import derived_id
from throughline_core.money import Money

TIME = BillingModel.TIME_AND_MATERIALS
FEE = BillingModel.FIXED_FEE


def plan(*lines: SoldLine) -> Project:
    [project] = planned(*lines)
    return project


def with_plan(template: Template, plan: Plan) -> Mapping[str, Template]:
    return {**the_templates(), template.code: replace(template, plan=plan)}


def test_it_is_announced_with_the_run_that_made_it() -> None:
    [change] = plan_projects(
        the_terms(), the_templates(), run_id=RUN, numbers=iter(["P-000031"]), at=AT
    )

    assert change.events == (ProjectActivated(change.state, RUN),)


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
    [other] = planned(contract_id=an_id("b2"))

    ours = plan()

    assert other.project_id != ours.project_id
    assert {task.task_id for task in other.tasks}.isdisjoint(task.task_id for task in ours.tasks)
    assert {each.milestone_id for each in other.milestones}.isdisjoint(
        each.milestone_id for each in ours.milestones
    )


def test_lines_without_tasks_are_kept_for_expenses_and_budgets() -> None:
    assert plan().lines[-1].contract_line_id == PASS_THROUGH_LINE


def test_each_deliverer_and_region_gets_a_project_under_the_first_lines() -> None:
    fee, time, recurring, costs = the_lines()
    lines = (
        replace(fee, position=4),
        replace(time, legal_entity_id=US01, position=2),
        replace(recurring, region="apac", position=1),
        replace(costs, legal_entity_id=US01, position=3),
    )

    projects = planned(*lines)

    master, american, german = projects
    assert [(each.legal_entity_id, each.region) for each in projects] == [
        (DE01, "apac"),
        (US01, ""),
        (DE01, ""),
    ]
    assert [each.master_project_id for each in projects] == [None, *[master.project_id] * 2]
    assert {each.selling_legal_entity_id for each in projects} == {DE01}
    assert {each.engagement_id for each in projects} == {the_terms().engagement_id}
    assert american.budget == eur("62400.00")
    assert [line.position for line in american.lines] == [2, 3]
    assert german.milestones[0].legal_entity_id == DE01
    assert len({each.project_id for each in projects}) == 3
    assert len({each.number for each in projects}) == 3


def test_the_project_of_the_seller_in_no_region_has_the_id_it_always_had() -> None:
    assert project_id_of(CONTRACT, Workstream(DE01, "")) == derived_id("project", CONTRACT, DE01)


def test_agreed_amounts_are_not_shared_out_again() -> None:
    parts = (
        SoldMilestone("a", "A", Decimal(50), None, eur("333.34")),
        SoldMilestone("b", "B", Decimal(50), None, eur("666.66")),
    )

    project = plan(a_line(FEE, template_code="discovery", milestones=parts))

    assert [each.amount for each in project.milestones] == [eur("333.34"), eur("666.66")]


def test_a_template_plans_the_day_of_an_agreed_milestone_that_has_none() -> None:
    agreed = (
        replace(a_milestone_plan("first", "First", "40", AT.date()), due_on=None),
        a_milestone_plan("second", "Second", "60", date(2026, 10, 1)),
    )
    line = a_line(FEE, template_code="discovery", milestones=agreed, net_total=eur("1000.00"))
    parts = tuple(
        TemplateMilestone(key, key, Decimal(50), due_after_days=Formula("14"))
        for key in ("first", "second")
    )

    template = the_templates()["discovery"]
    [project] = planned(line, templates=with_plan(template, Plan(milestones=parts)))

    assert [(each.due_on, each.amount) for each in project.milestones] == [
        (line.starts_on + timedelta(14), eur("400.00")),
        (date(2026, 10, 1), eur("600.00")),
    ]


def test_a_template_brings_milestones_where_none_were_agreed() -> None:
    template = a_template("discovery", FEE)
    parts = (
        TemplateMilestone("start", "Start", Decimal("33.3"), Formula("14")),
        TemplateMilestone("end", "End", Decimal("66.7"), Formula("term_days * 2")),
    )
    line = a_line(FEE, template_code="discovery", net_total=eur("100.01"))

    [project] = planned(line, templates=with_plan(template, Plan(milestones=parts)))

    assert [(each.key, each.amount, each.due_on) for each in project.milestones] == [
        ("start", eur("33.30"), date(2026, 9, 15)),
        # No later than the line.
        ("end", eur("66.71"), date(2027, 9, 1)),
    ]


def test_tasks_of_any_depth_are_numbered_dated_and_planned_in_minutes() -> None:
    leaf = TemplateTask("leaf", "Leaf", True, hours=Formula("quantity / 3"))
    middle = TemplateTask("middle", "Middle", True, children=(leaf, replace(leaf, key="other")))
    top = TemplateTask(
        "top",
        "Top",
        True,
        children=(middle,),
        starts_after_days=Formula("10"),
        lasts_days=Formula("20"),
    )
    phases = (
        TemplatePhase("One", (TemplateTask("first", "First", False),)),
        TemplatePhase("Two", (top,)),
    )
    line = a_line(TIME, quantity=Decimal(1))

    [project] = planned(line, templates=with_plan(a_template("advisory", TIME), Plan(phases)))

    first, one, two, three, four = project.tasks
    assert [task.wbs_code for task in project.tasks] == [
        "1.1",
        "2.1",
        "2.1.1",
        "2.1.1.1",
        "2.1.1.2",
    ]
    assert [task.parent_task_id for task in (first, one, two, three, four)] == [
        None,
        None,
        one.task_id,
        two.task_id,
        two.task_id,
    ]
    assert (one.starts_on, one.ends_on) == (date(2026, 9, 11), date(2026, 10, 1))
    assert (three.planned_minutes, first.planned_minutes) == (20, None)
    assert len({task.task_id for task in project.tasks}) == 5


def test_phases_are_numbered_on_over_lines() -> None:
    assert [task.wbs_code for task in plan().tasks] == ["1.1", "2.1", "3.1"]


def test_budgets_are_computed_and_an_agreed_cost_goes_first() -> None:
    budgets = (
        TemplateBudget(BudgetKind.COST, Formula("net_total * 0.7")),
        TemplateBudget(BudgetKind.HOURS, Formula("quantity / 3")),
    )
    templates = with_plan(a_template("advisory", TIME), Plan(budgets=budgets))
    line = a_line(TIME, quantity=Decimal(400), net_total=eur("100.01"))

    [computed] = planned(line, templates=templates)
    [agreed] = planned(replace(line, cost_budget=eur("60.00")), templates=templates)

    assert [each.amount for each in computed.budgets] == [Decimal("70.01"), Decimal("133.33")]
    assert [each.amount for each in agreed.budgets] == [Decimal("60.00"), Decimal("133.33")]


def test_work_ends_earlier_and_never_later() -> None:
    ended = end_work(plan(), date(2026, 12, 1)).state

    assert end_work(ended, date(2027, 1, 1)).events == ()
    sooner = end_work(ended, date(2026, 11, 1))
    assert sooner.state.work_ends_on == date(2026, 11, 1)
    assert sooner.events == (ProjectChanged(sooner.state),)


def test_a_project_is_taken_back_while_nothing_was_recorded() -> None:
    project = plan()

    closed = take_back(project, ()).state

    assert (closed.status, closed.closed_reason) == (ProjectStatus.CLOSED, "cancelled")
    assert all(task.closed for task in closed.tasks)
    assert take_back(closed, ()).events == ()
    with pytest.raises(ProjectInUse, match="time entries, expenses"):
        take_back(project, ("time entries", "expenses"))
