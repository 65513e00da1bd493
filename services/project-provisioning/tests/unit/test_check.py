"""Each check names who mends it, how, and the lines it is not so for."""

from dataclasses import replace
from decimal import Decimal

import pytest
from project_provisioning_builders import (
    ADA,
    AT,
    FIXED_FEE_LINE,
    TIME_LINE,
    a_line,
    a_milestone_plan,
    a_template,
    eur,
    the_lines,
    the_templates,
    the_terms,
)

from project_provisioning.domain.check import (
    Check,
    ErpAccount,
    Grounds,
    of_new_lines,
    own_checks,
    unfit_codes,
)
from project_provisioning.domain.formula import Formula
from project_provisioning.domain.template import (
    BillingModel,
    BudgetKind,
    Plan,
    TemplateBudget,
    TemplateMilestone,
)
from project_provisioning.domain.terms import SoldLine, SoldMilestone, SoldRole

FEE = BillingModel.FIXED_FEE


def grounds(**values: object) -> Grounds:
    known: dict[str, object] = {
        "templates": the_templates(),
        "known_persons": (),
        "erp_account": ErpAccount.NOT_REQUIRED,
    }
    return Grounds(**known | values)  # type: ignore[arg-type]  # each test gives what it is about


def failed(*lines: SoldLine, **values: object) -> list[Check]:
    checks = own_checks(the_terms(lines=lines or the_lines()), grounds(**values))
    return [check for check in checks if not check.passed]


def codes(*lines: SoldLine, **values: object) -> list[tuple[str, str]]:
    return [(check.code, check.owner) for check in failed(*lines, **values)]


def test_the_samples_contract_can_be_delivered() -> None:
    assert failed() == []


def test_a_missing_template_names_all_its_lines() -> None:
    templates = {code: each for code, each in the_templates().items() if code != "advisory"}
    more = replace(the_lines()[1], contract_line_id=FIXED_FEE_LINE, position=5)

    [check] = failed(*the_lines()[1:], more, templates=templates)

    assert check == Check(
        "template.missing",
        False,
        "pmo",
        "publish delivery template advisory",
        (str(TIME_LINE), str(FIXED_FEE_LINE)),
    )


def test_a_template_that_does_not_serve_or_compute_for_its_line_is_to_be_replaced() -> None:
    unfit = a_template("advisory", FEE)
    budget = TemplateBudget(BudgetKind.COST, Formula("net_total / planned_hours"))
    failing = a_template("managed_service", BillingModel.RECURRING)
    failing = replace(failing, plan=Plan(budgets=(budget,)))
    templates = {**the_templates(), "advisory": unfit, "managed_service": failing}

    checks = failed(templates=templates)

    assert [check.code for check in checks] == [
        "template.billing_model_unsupported",
        "template.formula_failed",
    ]
    assert unfit_codes(the_terms(), checks) == {"advisory", "managed_service"}


@pytest.mark.parametrize("shares", [(), ("40",), ("40", "60.0001")])
def test_a_fixed_fee_without_a_whole_milestone_plan_is_for_sales_operations(
    shares: tuple[str, ...],
) -> None:
    plan = tuple(
        a_milestone_plan(f"m{index}", "Milestone", share, AT.date())
        for index, share in enumerate(shares)
    )
    line = a_line(FEE, template_code="discovery", milestones=plan)

    assert codes(line) == [("contract_line.milestones_missing", "sales_operations")]


def test_shares_and_amounts_are_exact() -> None:
    shares = tuple(
        a_milestone_plan(key, key, share, AT.date())
        for key, share in (("a", "33.3333"), ("b", "33.3333"), ("c", "33.3334"))
    )
    amounts = tuple(
        SoldMilestone(key, key, None, None, eur(amount))
        for key, amount in (("a", "333.34"), ("b", "666.66"))
    )
    short = (amounts[0], replace(amounts[1], amount=eur("666.65")))

    assert codes(a_line(FEE, template_code="discovery", milestones=shares)) == []
    assert codes(a_line(FEE, template_code="discovery", milestones=amounts)) == []
    assert len(codes(a_line(FEE, template_code="discovery", milestones=short))) == 1


def test_a_template_may_bring_the_milestones_and_progress_needs_none() -> None:
    plan = Plan(milestones=(TemplateMilestone("done", "Done", Decimal(100)),))
    templates = {"discovery": replace(a_template("discovery", FEE), plan=plan)}
    line = a_line(FEE, template_code="discovery")

    assert codes(line, templates=templates) == []
    assert codes(replace(line, billed_by_milestones=False)) == []


def test_people_with_an_agreed_rate_are_known() -> None:
    roles = (SoldRole("architect", Decimal(8), ADA),)
    line = a_line(BillingModel.TIME_AND_MATERIALS, roles=roles)

    assert codes(line) == [("contract_line.person_unknown", "sales_operations")]
    assert codes(line, known_persons={ADA}) == []


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (ErpAccount.MISSING, "erp.account_missing"),
        (ErpAccount.UNKNOWN, "erp.account_unknown"),
    ],
)
def test_an_account_in_the_erp_is_for_integration(account: ErpAccount, code: str) -> None:
    assert codes(erp_account=account) == [(code, "integration")]
    assert codes(erp_account=ErpAccount.EXISTS) == []


def test_lines_that_are_delivered_already_are_not_judged_again() -> None:
    templates = {code: each for code, each in the_templates().items() if code != "advisory"}

    assert codes(templates=templates, made_lines={TIME_LINE}) == []


RETIRED = Check(
    "catalogue.service_unknown",
    False,
    "sales_operations",
    "put advisory into the service catalogue",
    (str(TIME_LINE), str(FIXED_FEE_LINE)),
)


def test_what_the_catalogue_sells_no_more_is_delivered_to_its_end() -> None:
    [check] = of_new_lines([RETIRED], {TIME_LINE, FIXED_FEE_LINE})

    assert check == Check("catalogue.service_unknown", True, "sales_operations", "")


def test_what_the_catalogue_sells_no_more_is_not_added_to_a_deal() -> None:
    [check] = of_new_lines([RETIRED], {TIME_LINE})

    assert check == replace(RETIRED, contract_line_ids=(str(FIXED_FEE_LINE),))
    assert of_new_lines([RETIRED], ()) == [RETIRED]


def test_what_is_wrong_with_the_contract_stops_lines_that_are_delivered_too() -> None:
    held = Check("customer.credit_hold", False, "finance", "release the hold")
    expired = replace(RETIRED, code="contract.purchase_order_expired")

    assert of_new_lines([held, expired], {TIME_LINE, FIXED_FEE_LINE}) == [held, expired]
