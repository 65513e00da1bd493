"""Templates are versioned configuration that does not contradict itself, approved by a second."""

from dataclasses import replace
from decimal import Decimal

import pytest
from project_provisioning_builders import AT, a_phase, a_template

from project_provisioning.domain.formula import Formula
from project_provisioning.domain.template import (
    TRANSITIONS,
    BillingModel,
    BudgetKind,
    NotOwnTemplate,
    OwnTemplate,
    Plan,
    Template,
    TemplateBudget,
    TemplateMalformed,
    TemplateMilestone,
    TemplatePhase,
    TemplateRole,
    TemplateStatus,
    TemplateSuperseded,
    TemplateTask,
    Variant,
    approve,
    propose,
    reject,
    withdraw,
)
from throughline_core.errors import IllegalTransition

TIME = BillingModel.TIME_AND_MATERIALS
FEE = BillingModel.FIXED_FEE
ADVISORY = a_template("advisory", TIME, version=0)
PROPOSED = a_template("advisory", TIME, status=TemplateStatus.PROPOSED, version=4)


def with_plan(plan: Plan) -> Template:
    return replace(ADVISORY, plan=plan)


def test_the_first_version_is_1() -> None:
    assert propose(ADVISORY, latest_version=0).version == 1


def test_each_proposal_is_the_next_version() -> None:
    assert propose(ADVISORY, latest_version=7).version == 8


def test_a_task_key_is_used_once_over_all_phases() -> None:
    phases = (a_phase("One", ("work", "Work", True)), a_phase("Two", ("work", "More", True)))

    with pytest.raises(TemplateMalformed, match="task key work"):
        propose(with_plan(Plan(phases)), latest_version=0)


def test_parts_of_two_tasks_may_share_a_key_and_those_of_one_may_not() -> None:
    part = TemplateTask("draft", "Draft", False)
    one, two = (TemplateTask(key, key, False, children=(part,)) for key in ("one", "two"))
    assert propose(with_plan(Plan((TemplatePhase("Work", (one, two)),))), latest_version=0)

    twice = replace(one, children=(part, part))
    with pytest.raises(TemplateMalformed, match="task key draft"):
        propose(with_plan(Plan((TemplatePhase("Work", (twice,)),))), latest_version=0)


def test_tasks_are_nested_eight_deep_at_most() -> None:
    task = TemplateTask("leaf", "Leaf", False)
    for _ in range(8):
        task = TemplateTask("part", "Part", False, children=(task,))

    with pytest.raises(TemplateMalformed, match="more than 8 deep"):
        propose(with_plan(Plan((TemplatePhase("Work", (task,)),))), latest_version=0)


def test_a_role_is_planned_once() -> None:
    role = TemplateRole("analyst", Decimal(10), None)

    with pytest.raises(TemplateMalformed, match="role analyst"):
        propose(with_plan(Plan(roles=(role, role))), latest_version=0)


@pytest.mark.parametrize(
    "role",
    [
        TemplateRole("analyst", None, None),
        TemplateRole("analyst", Decimal(8), Decimal(50)),
        TemplateRole("analyst", None, Decimal(50), Formula("quantity")),
    ],
)
def test_a_role_has_one_way_to_its_hours(role: TemplateRole) -> None:
    with pytest.raises(TemplateMalformed, match="one way to its hours"):
        propose(with_plan(Plan(roles=(role,))), latest_version=0)


@pytest.mark.parametrize(
    ("role", "hours"),
    [
        (TemplateRole("analyst", Decimal(12), None), Decimal(12)),
        (TemplateRole("analyst", None, Decimal("33.3333")), Decimal("133.33")),
        (TemplateRole("analyst", None, None, Formula("quantity / 3")), Decimal("133.33")),
    ],
)
def test_hours_are_fixed_a_share_or_computed(role: TemplateRole, hours: Decimal) -> None:
    assert role.hours_of({"quantity": Decimal(400)}) == hours


def test_milestones_make_up_the_whole_fee() -> None:
    part = TemplateMilestone("kickoff", "Kickoff", Decimal("99.9"))

    with pytest.raises(TemplateMalformed, match=r"99\.9 percent"):
        propose(with_plan(Plan(milestones=(part,))), latest_version=0)


def test_a_budget_of_a_kind_is_planned_once() -> None:
    budget = TemplateBudget(BudgetKind.COST, Formula("net_total * 0.7"))

    with pytest.raises(TemplateMalformed, match="budget cost"):
        propose(with_plan(Plan(budgets=(budget, budget))), latest_version=0)


def test_the_most_specific_plan_serves_a_line() -> None:
    general, fee, emea, emea_fee = (
        Plan((a_phase(name, (name, name, True)),)) for name in ("all", "fee", "emea", "emea_fee")
    )
    template = replace(
        ADVISORY,
        plan=general,
        variants=(
            Variant("", FEE, fee),
            Variant("emea", None, emea),
            Variant("emea", FEE, emea_fee),
        ),
    )

    assert template.plan_of(TIME, "") == general
    assert template.plan_of(TIME, "apac") == general
    assert template.plan_of(FEE, "apac") == fee
    assert template.plan_of(TIME, "emea") == emea
    assert template.plan_of(FEE, "emea") == emea_fee


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ((Variant("", None, Plan()),), "general plan"),
        ((Variant("emea", None, Plan()), Variant("emea", None, Plan())), r"variant emea/\*"),
    ],
)
def test_a_variant_is_for_something_and_for_nothing_twice(
    variants: tuple[Variant, ...], message: str
) -> None:
    with pytest.raises(TemplateMalformed, match=message):
        propose(replace(ADVISORY, variants=variants), latest_version=0)


def test_a_second_person_publishes() -> None:
    published = approve(PROPOSED, by="user:paula.pmo", at=AT, comment="fine", published_version=3)

    assert published.status is TemplateStatus.PUBLISHED
    assert (published.decided_by, published.comment) == ("user:paula.pmo", "fine")


def test_who_proposed_decides_nothing() -> None:
    with pytest.raises(OwnTemplate):
        approve(PROPOSED, by=PROPOSED.proposed_by, at=AT, comment="", published_version=0)
    with pytest.raises(OwnTemplate):
        reject(PROPOSED, by=PROPOSED.proposed_by, at=AT, comment="no")


def test_only_who_proposed_withdraws() -> None:
    assert withdraw(PROPOSED, by=PROPOSED.proposed_by, at=AT).status is TemplateStatus.WITHDRAWN
    with pytest.raises(NotOwnTemplate):
        withdraw(PROPOSED, by="user:paula.pmo", at=AT)


def test_an_older_proposal_does_not_replace_a_later_version() -> None:
    with pytest.raises(TemplateSuperseded):
        approve(PROPOSED, by="user:paula.pmo", at=AT, comment="", published_version=5)


@pytest.mark.parametrize("status", sorted(set(TRANSITIONS) - {TemplateStatus.PROPOSED}))
def test_a_version_is_decided_once(status: TemplateStatus) -> None:
    decided = replace(PROPOSED, status=status)

    with pytest.raises(IllegalTransition):
        approve(decided, by="user:paula.pmo", at=AT, comment="", published_version=0)
    with pytest.raises(IllegalTransition):
        reject(decided, by="user:paula.pmo", at=AT, comment="")
    with pytest.raises(IllegalTransition):
        withdraw(decided, by=decided.proposed_by, at=AT)
