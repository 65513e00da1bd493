"""Expenses are billed under a pass-through line, and judged by a second person."""

from dataclasses import replace
from typing import Any

import pytest
from project_provisioning_builders import (
    AT,
    PASS_THROUGH_LINE,
    PROJECT,
    TIME_LINE,
    a_line,
    a_run,
    ada,
    an_id,
    eur,
    the_lines,
    the_templates,
    the_terms,
)

from project_provisioning.domain.expense import (
    AmountInvalid,
    Claim,
    ContractLineUnclear,
    ContractLineUnknown,
    ExpenseLine,
    ExpenseReport,
    ExpenseReportApproved,
    ExpenseReportStatus,
    LineNotBillable,
    OwnExpenses,
    ReceiptMissing,
    approve,
    claim_line,
    reject,
    submit,
)
from project_provisioning.domain.project import Project, plan_project
from project_provisioning.domain.run import RunState, SoldLine
from project_provisioning.domain.template import BillingModel
from throughline_core.errors import IllegalTransition
from throughline_core.money import Money

RECEIPT = "3b" * 32


def a_project(*lines: SoldLine) -> Project:
    run = a_run(RunState.PROVISIONING, terms=the_terms(lines=lines or the_lines()))
    return plan_project(run, the_templates(), number="P-000031", at=AT).state


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


def line_of(claim: Claim, *lines: SoldLine) -> ExpenseLine:
    return claim_line(
        claim,
        a_project(*lines),
        line_id=an_id("172"),
        receipts=frozenset({RECEIPT}),
        field="lines[0]",
    )


def a_report(
    status: ExpenseReportStatus = ExpenseReportStatus.DRAFT, **values: Any
) -> ExpenseReport:
    report: dict[str, Any] = {
        "expense_report_id": an_id("171"),
        "version": 1,
        "person": ada(),
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


def test_an_approved_report_is_announced() -> None:
    submitted = submit(a_report(), by="user:ada.brandt", at=AT).state

    change = approve(submitted, by="user:paula.pmo", at=AT)

    assert (change.state.status, change.state.version) == (ExpenseReportStatus.APPROVED, 3)
    assert change.events == (ExpenseReportApproved(change.state),)


def test_a_rejected_report_says_why_and_is_not_announced() -> None:
    submitted = submit(a_report(), by="user:ada.brandt", at=AT).state

    change = reject(submitted, by="user:paula.pmo", at=AT, reason="first class is not paid")

    assert change.state.rejection_reason == "first class is not paid"
    assert change.events == ()


@pytest.mark.parametrize("by", ["user:ada.brandt", "client:expense-app"])
def test_neither_the_person_nor_who_submitted_judges(by: str) -> None:
    submitted = submit(a_report(), by="client:expense-app", at=AT).state

    with pytest.raises(OwnExpenses):
        approve(submitted, by=by, at=AT)


@pytest.mark.parametrize(
    "status", sorted(set(ExpenseReportStatus) - {ExpenseReportStatus.SUBMITTED})
)
def test_only_a_submitted_report_is_judged(status: ExpenseReportStatus) -> None:
    with pytest.raises(IllegalTransition):
        approve(a_report(status), by="user:paula.pmo", at=AT)
    with pytest.raises(IllegalTransition):
        reject(a_report(status), by="user:paula.pmo", at=AT, reason="no")


@pytest.mark.parametrize("status", sorted(set(ExpenseReportStatus) - {ExpenseReportStatus.DRAFT}))
def test_only_a_draft_is_handed_in(status: ExpenseReportStatus) -> None:
    with pytest.raises(IllegalTransition):
        submit(a_report(status), by="user:ada.brandt", at=AT)
