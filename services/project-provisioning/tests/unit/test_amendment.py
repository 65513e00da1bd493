"""Projects follow later terms once, in order, and leave alone what has happened."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import count
from typing import Any

from project_provisioning_builders import (
    AT,
    FIXED_FEE_LINE,
    RUN,
    TIME_LINE,
    US01,
    a_line,
    a_template,
    an_id,
    eur,
    planned,
    the_lines,
    the_templates,
    the_terms,
)

from project_provisioning.domain.amendment import Templates, amend_projects
from project_provisioning.domain.formula import Formula
from project_provisioning.domain.milestone import MilestoneStatus
from project_provisioning.domain.project import (
    Project,
    ProjectActivated,
    ProjectChanged,
    ProjectEvent,
    ProjectStatus,
)
from project_provisioning.domain.template import (
    BillingModel,
    BudgetKind,
    Plan,
    TemplateBudget,
    TemplateTask,
)
from project_provisioning.domain.terms import SoldLine
from throughline_core.change import Change

ORDER = an_id("c01")
FEE, TIME, RECURRING, COSTS = the_lines()
NEW = an_id("b105")


def amend(
    projects: Sequence[Project], *lines: SoldLine, version: int = 2, **values: Any
) -> Sequence[Change[Project, ProjectEvent]]:
    templates = the_templates()
    return amend_projects(
        projects,
        the_terms(lines=lines or the_lines(), contract_version=version, **values),
        Templates(templates, {each.label: each for each in templates.values()}),
        run_id=RUN,
        change_order_id=ORDER,
        numbers=(f"P-{number}" for number in count(90)),
        at=AT,
    )


def amended(project: Project, *lines: SoldLine, **values: Any) -> Project:
    [change] = amend([project], *lines, **values)
    return change.state


def the_project(*lines: SoldLine) -> Project:
    [project] = planned(*lines)
    return project


def test_the_next_version_is_followed_and_announced_with_its_change_order() -> None:
    [change] = amend([the_project()])

    assert change.state.contract_version == 2
    assert change.events == (ProjectChanged(change.state, ORDER),)


def test_an_older_version_changes_nothing_after_a_newer_one() -> None:
    newer = amended(the_project(), TIME, version=3)

    assert amend([newer], *the_lines(), version=2) == [Change(newer, ())]
    assert amend([newer], *the_lines(), version=3) == [Change(newer, ())]


def test_an_added_line_is_planned_by_its_template_after_what_was_there() -> None:
    added = replace(TIME, contract_line_id=NEW, position=5, net_total=eur("1000.00"))
    before = the_project()

    after = amended(before, *the_lines(), added)

    assert after.tasks[: len(before.tasks)] == before.tasks
    [task] = after.tasks[len(before.tasks) :]
    assert (task.contract_line_id, task.position, task.wbs_code) == (NEW, 4, "4.1")
    assert after.budget == eur("117400.00")
    assert [each.role for each in after.role_requirements if each.contract_line_id == NEW]


def test_an_added_line_of_another_entity_becomes_a_workstream_of_the_same_deal() -> None:
    added = replace(TIME, contract_line_id=NEW, position=5, legal_entity_id=US01)
    before = the_project()

    kept, made = amend([before], *the_lines(), added)

    assert made.events == (ProjectActivated(made.state, RUN),)
    assert made.state.master_project_id == kept.state.project_id == before.project_id
    assert made.state.legal_entity_id == US01
    assert made.state.contract_version == 2


def test_a_line_that_ends_ends_work_on_its_tasks_and_on_no_others() -> None:
    ended = replace(TIME, ended_on=date(2026, 11, 1))

    after = amended(the_project(), FEE, ended, RECURRING, COSTS)

    assert {task.contract_line_id: task.work_ends_on for task in after.tasks} == {
        FIXED_FEE_LINE: None,
        TIME_LINE: date(2026, 11, 1),
        RECURRING.contract_line_id: None,
    }
    assert after.lines[1].ended_on == date(2026, 11, 1)


def test_dates_and_amounts_move() -> None:
    longer = replace(TIME, ends_on=date(2027, 12, 1), net_total=eur("70000.00"))

    after = amended(the_project(), FEE, longer, RECURRING, COSTS, ends_on=date(2027, 12, 1))

    assert after.ends_on == after.lines[1].ends_on == date(2027, 12, 1)
    assert after.budget == eur("128000.00")


def test_planned_days_stay_within_a_shorter_line_and_budgets_follow_its_formula() -> None:
    task = TemplateTask("advisory", "Advisory", True, lasts_days=Formula("term_days"))
    phase = the_templates()["advisory"].plan.phases[0]
    budget = TemplateBudget(BudgetKind.COST, Formula("net_total / 2"))
    plan = Plan((replace(phase, tasks=(task,)),), budgets=(budget,))
    template = replace(a_template("advisory", BillingModel.TIME_AND_MATERIALS), plan=plan)
    line = a_line(BillingModel.TIME_AND_MATERIALS)
    [before] = planned(line, templates={"advisory": template})
    shorter = replace(line, ends_on=date(2026, 12, 1), net_total=eur("500.00"))

    [change] = amend_projects(
        [before],
        the_terms(lines=(shorter,), contract_version=2),
        Templates({}, {template.label: template}),
        run_id=RUN,
        change_order_id=None,
        numbers=iter(()),
        at=AT,
    )

    assert before.tasks[0].ends_on == date(2027, 9, 1)
    assert change.state.tasks[0].ends_on == date(2026, 12, 1)
    assert [each.amount for each in change.state.budgets] == [250]


def test_planned_milestones_follow_and_completed_ones_stay() -> None:
    before = the_project()
    kickoff = replace(before.milestones[0], status=MilestoneStatus.COMPLETED, version=2)
    before = replace(before, milestones=(kickoff, before.milestones[1]))
    first, second = FEE.milestones
    third = replace(second, key="handover", name="Handover", amount=eur("6000.00"))
    altered = replace(
        FEE,
        net_total=eur("30000.00"),
        milestones=(
            replace(first, amount=eur("9999.00")),
            replace(second, amount=eur("14001.00"), due_on=date(2026, 12, 24)),
            third,
        ),
    )

    after = amended(before, altered, TIME, RECURRING, COSTS)

    assert after.milestones[0] == kickoff
    moved, added = after.milestones[1:]
    assert (moved.amount, moved.due_on, moved.version) == (eur("14001.00"), date(2026, 12, 24), 2)
    assert (added.key, added.version) == ("handover", 1)


def test_the_day_a_manager_planned_stays_where_the_contract_names_none() -> None:
    undated = replace(FEE, milestones=tuple(replace(part, due_on=None) for part in FEE.milestones))
    before = the_project(undated, TIME, RECURRING, COSTS)
    kickoff = replace(before.milestones[0], due_on=date(2026, 10, 9), version=2)
    before = replace(before, milestones=(kickoff, *before.milestones[1:]))

    after = amended(before, undated, TIME, RECURRING, COSTS)

    assert after.milestones == before.milestones


ONE = replace(FEE, milestones=(replace(FEE.milestones[0], amount=eur("24000.00")),))


def test_a_planned_milestone_that_is_no_longer_agreed_is_cancelled() -> None:
    after = amended(the_project(), ONE, TIME, RECURRING, COSTS)

    assert {each.key: (each.status, each.amount) for each in after.milestones} == {
        "kickoff": (MilestoneStatus.PLANNED, eur("24000.00")),
        "target_architecture": (MilestoneStatus.CANCELLED, eur("0.00")),
    }
    again = amended(after, ONE, TIME, RECURRING, COSTS, version=3)
    assert again.milestones == after.milestones


def test_a_cancelled_milestone_that_is_agreed_again_is_planned_again() -> None:
    before = the_project()
    dropped = amended(before, ONE, TIME, RECURRING, COSTS)

    after = amended(dropped, *the_lines(), version=3)

    assert [replace(each, version=1) for each in after.milestones] == list(before.milestones)
    assert [each.version for each in after.milestones] == [3, 3]


def test_a_rest_that_went_back_stays_cancelled() -> None:
    before = the_project()
    kickoff = before.milestones[0]
    rest = replace(
        kickoff,
        milestone_id=an_id("1303"),
        key="kickoff_rest",
        status=MilestoneStatus.CANCELLED,
        amount=eur("0.00"),
        split_from_milestone_id=kickoff.milestone_id,
    )
    before = replace(before, milestones=(*before.milestones, rest))

    after = amended(before, *the_lines())

    assert rest in after.milestones
    assert len(after.milestones) == 3


def test_a_closed_project_follows_nothing() -> None:
    closed = replace(the_project(), status=ProjectStatus.CLOSED)
    added = replace(TIME, contract_line_id=NEW, position=5, legal_entity_id=US01)

    assert amend([closed], *the_lines(), added) == [Change(closed, ())]


def test_following_is_the_same_each_time() -> None:
    added = replace(TIME, contract_line_id=NEW, position=5, legal_entity_id=US01)
    again = [amend([the_project()], *the_lines(), added) for _ in range(2)]

    assert again[0] == again[1]
