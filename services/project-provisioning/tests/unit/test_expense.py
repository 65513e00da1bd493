"""Expenses are billed under a pass-through line, and judged by a second person."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from project_provisioning_builders import (
    ADA,
    AT,
    DE01,
    PASS_THROUGH_LINE,
    PROJECT,
    TIME_LINE,
    a_line,
    ada,
    an_id,
    eur,
    planned,
)

from project_provisioning.domain.delegation import Judge
from project_provisioning.domain.employment import Employment
from project_provisioning.domain.exchange_rate import ExchangeRate, RateTable
from project_provisioning.domain.expense import (
    OPEN,
    ExpenseReport,
    ExpenseReportApproved,
    ExpenseReportStatus,
    LineIsReversal,
    LineNotApproved,
    LineReversed,
    NotApprover,
    OwnExpenses,
    ReportEmpty,
    ReportNotOpen,
    approve,
    reject,
    return_,
    reverse,
    submit,
    with_lines,
)
from project_provisioning.domain.expense_line import (
    AmountInvalid,
    Claim,
    ContractLineUnclear,
    ContractLineUnknown,
    ExpenseLine,
    LineFacts,
    LineNotBillable,
    RateMissing,
    ReceiptMissing,
    Tax,
    TaxInvalid,
    WorkEnded,
    claim_line,
    employer_on,
)
from project_provisioning.domain.legal_entity import LegalEntity, LegalEntityUnknown
from project_provisioning.domain.lock import PeriodLocked
from project_provisioning.domain.project import Project, ProjectStatus
from project_provisioning.domain.rule_set import RuleBook
from project_provisioning.domain.template import BillingModel
from project_provisioning.domain.terms import SoldLine
from throughline_core.errors import IllegalTransition
from throughline_core.money import Money

RECEIPT = "3b" * 32


def a_project(*lines: SoldLine) -> Project:
    [project] = planned(*lines)
    return project


def a_claim(**values: Any) -> Claim:
    claim: dict[str, Any] = {
        "project_id": PROJECT,
        "contract_line_id": None,
        "incurred_on": AT.date(),
        "category": "travel",
        "description": "Train Hamburg to Munich and back",
        "net_amount": eur("200.00"),
        "tax_amount": eur("14.00"),
        "billable": None,
        "reimbursable": True,
        "receipt_sha256": RECEIPT,
        "source": None,
    }
    return Claim(**claim | values)


ENTITY = LegalEntity(DE01, 1, "DE01", "EUR", "Europe/Berlin", "DE", "DE", "", (1, 2, 3, 4, 5))
EMPLOYED = Employment(DE01, date(2024, 1, 1), None, "senior_consultant", "senior", "DE")
PAULA = Judge("user:paula.pmo", is_pmo=True)


def known(*lines: SoldLine, **values: Any) -> LineFacts:
    """Return what is known of a cost of Ada on a project that delivers these lines."""
    facts: dict[str, Any] = {
        "projects": {PROJECT: a_project(*lines)},
        "receipts": frozenset({RECEIPT}),
        "employments": {ADA: (EMPLOYED,)},
        "entities": {DE01: ENTITY},
        "rates": RateTable(()),
        "policies": RuleBook((), {}),
        "open_from": {},
    }
    return LineFacts(**facts | values)


def line_of(claim: Claim, *lines: SoldLine, **values: Any) -> ExpenseLine:
    facts = known(*lines, **values)
    return claim_line(claim, facts, legal_entity_id=DE01, line_id=an_id("172"), field="lines[0].")


def a_report(
    status: ExpenseReportStatus = ExpenseReportStatus.DRAFT, **values: Any
) -> ExpenseReport:
    report: dict[str, Any] = {
        "expense_report_id": an_id("171"),
        "version": 1,
        "person": ada(),
        "legal_entity_id": DE01,
        "title": "Kickoff in Munich",
        "status": status,
        "lines": (line_of(a_claim()),),
    }
    return ExpenseReport(**report | values)


PASS_THROUGH = a_line(BillingModel.PASS_THROUGH, contract_line_id=PASS_THROUGH_LINE)


def test_a_cost_is_billed_under_the_only_pass_through_line() -> None:
    line = line_of(a_claim())

    assert (line.billable, line.contract_line_id) == (True, PASS_THROUGH_LINE)


def test_a_cost_that_is_not_billed_is_under_no_line() -> None:
    line = line_of(a_claim(billable=False))

    assert (line.billable, line.contract_line_id) == (False, None)


def test_without_a_pass_through_line_a_cost_is_not_billable() -> None:
    work = a_line(BillingModel.TIME_AND_MATERIALS)

    assert not line_of(a_claim(), work).billable
    with pytest.raises(LineNotBillable):
        line_of(a_claim(billable=True), work)


def test_of_several_pass_through_lines_one_is_named() -> None:
    other = replace(PASS_THROUGH, contract_line_id=an_id("b105"))

    named = line_of(a_claim(contract_line_id=an_id("b105")), PASS_THROUGH, other)

    assert named.contract_line_id == an_id("b105")
    with pytest.raises(ContractLineUnclear):
        line_of(a_claim(), PASS_THROUGH, other)


def test_a_line_that_is_no_pass_through_line_of_the_contract_is_refused() -> None:
    with pytest.raises(ContractLineUnknown):
        line_of(a_claim(contract_line_id=TIME_LINE))


@pytest.mark.parametrize(
    "amounts",
    [
        {"net_amount": eur("0.00")},
        {"net_amount": eur("-1.00")},
        {"tax_amount": eur("-0.01")},
        {"tax_amount": Money(eur("14.00").amount, "USD")},
    ],
)
def test_amounts_are_those_of_a_receipt(amounts: dict[str, Money]) -> None:
    with pytest.raises(AmountInvalid):
        line_of(a_claim(**amounts))


def test_a_receipt_that_was_not_uploaded_is_missing() -> None:
    with pytest.raises(ReceiptMissing):
        line_of(a_claim(receipt_sha256="00" * 32))


def test_a_cost_may_have_no_receipt() -> None:
    assert line_of(a_claim(receipt_sha256="")).receipt_sha256 == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": ProjectStatus.CLOSED}, "lines[0].project_id"),
        ({"work_ends_on": AT.date()}, "lines[0].incurred_on"),
    ],
)
def test_a_project_whose_work_has_ended_takes_no_cost(changes: dict[str, Any], field: str) -> None:
    ended = replace(a_project(), **changes)

    with pytest.raises(WorkEnded) as refused:
        line_of(a_claim(), projects={PROJECT: ended})

    assert refused.value.field == field


def test_the_last_day_of_work_still_takes_costs() -> None:
    going = replace(a_project(), work_ends_on=AT.date() + timedelta(days=1))

    assert line_of(a_claim(), projects={PROJECT: going}).billable


def test_a_contract_line_that_has_ended_bills_no_cost() -> None:
    project = a_project()
    lines = tuple(replace(line, ended_on=AT.date()) for line in project.lines)
    ended = {PROJECT: replace(project, lines=lines)}

    with pytest.raises(WorkEnded):
        line_of(a_claim(), projects=ended)
    assert not line_of(a_claim(billable=False), projects=ended).billable


def test_an_approved_report_is_announced() -> None:
    submitted = submit(a_report(), by="user:ada.brandt", at=AT).state

    change = approve(submitted, judge=PAULA, at=AT)

    assert (change.state.status, change.state.version) == (ExpenseReportStatus.APPROVED, 3)
    state = change.state
    assert all(line.approved_at == AT for line in state.lines)
    assert change.events == (ExpenseReportApproved(state, state.lines, "user:paula.pmo", AT),)


def test_a_rejected_report_says_why_and_is_not_announced() -> None:
    submitted = submit(a_report(), by="user:ada.brandt", at=AT).state

    change = reject(submitted, judge=PAULA, at=AT, reason="first class is not paid")

    assert change.state.rejection_reason == "first class is not paid"
    assert change.events == ()


@pytest.mark.parametrize("by", ["user:ada.brandt", "client:expense-app"])
def test_neither_the_person_nor_who_submitted_judges(by: str) -> None:
    submitted = submit(a_report(), by="client:expense-app", at=AT).state

    with pytest.raises(OwnExpenses):
        approve(submitted, judge=Judge(by, is_pmo=True), at=AT)


@pytest.mark.parametrize(
    "status", sorted(set(ExpenseReportStatus) - {ExpenseReportStatus.SUBMITTED})
)
def test_only_a_submitted_report_is_judged(status: ExpenseReportStatus) -> None:
    with pytest.raises(IllegalTransition):
        approve(a_report(status), judge=PAULA, at=AT)
    with pytest.raises(IllegalTransition):
        reject(a_report(status), judge=PAULA, at=AT, reason="no")


@pytest.mark.parametrize("status", sorted(set(ExpenseReportStatus) - set(OPEN)))
def test_only_what_is_open_is_handed_in(status: ExpenseReportStatus) -> None:
    with pytest.raises(IllegalTransition):
        submit(a_report(status), by="user:ada.brandt", at=AT)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


ECB = RateTable([ExchangeRate("EUR", "USD", date(2026, 8, 31), "ecb", Decimal("1.0843"))])


def test_a_receipt_in_another_currency_becomes_a_cost_of_the_employer_at_the_rate_of_its_day() -> (
    None
):
    claim = a_claim(net_amount=usd("108.43"), tax_amount=usd("0.00"))

    line = line_of(claim, rates=ECB)

    assert line.net_amount == eur("100.00")
    assert line.exchange is not None
    assert line.exchange.net_amount == usd("108.43")
    assert line.exchange.conversion.rate_on == date(2026, 8, 31)


def test_without_a_rate_there_is_no_cost() -> None:
    claim = a_claim(net_amount=usd("108.43"), tax_amount=usd("0.00"))

    with pytest.raises(RateMissing):
        line_of(claim)
    with pytest.raises(RateMissing):
        line_of(replace(claim, incurred_on=date(2026, 9, 8)), rates=ECB)


def test_without_knowing_the_employers_currency_nothing_is_converted_by_guess() -> None:
    with pytest.raises(LegalEntityUnknown):
        line_of(a_claim(), entities={})


def a_tax(percent: str, net: str, tax: str) -> Tax:
    return Tax(Decimal(percent), eur(net), eur(tax))


def test_taxes_by_rate_sum_to_the_line() -> None:
    taxes = (a_tax("7", "150.00", "10.50"), a_tax("19", "50.00", "3.50"))

    assert line_of(a_claim(taxes=taxes)).taxes == taxes
    for wrong in (taxes[:1], (taxes[0], taxes[0]), (*taxes, a_tax("0", "1.00", "0.00"))):
        with pytest.raises(TaxInvalid):
            line_of(a_claim(taxes=wrong))


def test_a_day_in_a_locked_period_takes_no_cost() -> None:
    facts = known(open_from={DE01: date(2026, 10, 1)})

    with pytest.raises(PeriodLocked):
        employer_on(facts, ADA, date(2026, 9, 30), field="")
    assert employer_on(facts, ADA, date(2026, 10, 1), field="") == DE01


def submitted_report() -> ExpenseReport:
    return submit(a_report(), by="user:ada.brandt", at=AT).state


def test_a_returned_report_is_corrected_and_handed_in_again() -> None:
    returned = return_(submitted_report(), judge=PAULA, at=AT, reason="split the hotel").state

    corrected = with_lines(returned, [replace(returned.lines[0], description="Train only")])
    again = submit(corrected, by="user:ada.brandt", at=AT).state

    assert (returned.rejection_reason, again.rejection_reason) == ("split the hotel", "")
    assert approve(again, judge=PAULA, at=AT).state.lines[0].description == "Train only"


@pytest.mark.parametrize("status", sorted(set(ExpenseReportStatus) - set(OPEN)))
def test_lines_of_what_is_handed_in_stand(status: ExpenseReportStatus) -> None:
    with pytest.raises(ReportNotOpen):
        with_lines(a_report(status), [])


def test_an_empty_report_is_not_handed_in() -> None:
    with pytest.raises(ReportEmpty):
        submit(a_report(lines=()), by="user:ada.brandt", at=AT)


def test_nobody_decides_without_a_right_of_the_own_or_delegated() -> None:
    with pytest.raises(NotApprover):
        approve(submitted_report(), judge=Judge("user:omar", is_pmo=False), at=AT)


def reversed_by(report: ExpenseReport, by: str, **values: Any) -> ExpenseReport:
    arguments: dict[str, Any] = {"reversal_id": an_id("173"), "replacement": None}
    return reverse(
        report, an_id("172"), **arguments | values, reason="wrong project", by=by, at=AT
    ).state


def test_what_takes_an_approved_line_back_is_its_negative() -> None:
    approved = approve(submitted_report(), judge=PAULA, at=AT).state

    change = reverse(
        approved,
        an_id("172"),
        reversal_id=an_id("173"),
        replacement=replace(line_of(a_claim()), expense_line_id=an_id("174")),
        reason="wrong project",
        by="user:fina.finance",
        at=AT,
    )

    line, reversal, right = change.state.lines
    assert reversal.net_amount == -line.net_amount
    assert reversal.reverses_expense_line_id == line.expense_line_id
    [event] = change.events
    assert event.lines == (reversal, right), "what was announced before is not announced again"


def test_a_line_is_taken_back_once_and_by_somebody_else() -> None:
    approved = approve(submitted_report(), judge=PAULA, at=AT).state
    gone = reversed_by(approved, "user:fina.finance")

    with pytest.raises(LineReversed):
        reversed_by(gone, "user:fina.finance")
    with pytest.raises(LineIsReversal):
        reverse(
            gone,
            an_id("173"),
            reversal_id=an_id("175"),
            replacement=None,
            reason="no",
            by="user:fina.finance",
            at=AT,
        )
    with pytest.raises(OwnExpenses):
        reversed_by(approved, "user:ada.brandt")
    with pytest.raises(LineNotApproved):
        reversed_by(submitted_report(), "user:fina.finance")
