"""The invoice's way from draft to paid."""

import json
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256

import pytest
from invoice_payment_builders import (
    APPROVER,
    CUT_OFF,
    DE01,
    STARTER,
    a_buyer,
    a_draft,
    a_number,
    a_rule,
    a_run,
    an_approved,
    an_id,
    an_issued,
    eur,
    hours,
    milestone,
    statuses_without,
)

from invoice_payment.domain.invoice import (
    TRANSITIONS,
    ApproverDraftedIt,
    DocumentNotFailed,
    DocumentStep,
    InvoiceApproved,
    InvoiceDrafted,
    InvoiceIssued,
    InvoiceStatus,
    InvoiceVoided,
    TotalNegative,
    approve,
    determine_tax,
    retry_document,
    void,
)
from invoice_payment.domain.issue import issue, issue_in_order
from invoice_payment.domain.series import Series, SeriesKey, Taken
from invoice_payment.domain.settlement import settled
from throughline_core.errors import IllegalTransition


def test_what_would_pay_the_customer_is_neither_approved_nor_issued() -> None:
    """Less taxed than reversed: the net is above zero, what would have to be paid is below."""
    owing = a_draft(hours("1.00"))
    negative = replace(owing, totals=replace(owing.totals, tax=eur("-200.00")))

    with pytest.raises(TotalNegative):
        approve(negative, by=APPROVER)
    approved = replace(approve(owing, by=APPROVER).state, totals=negative.totals)
    with pytest.raises(TotalNegative):
        issue(approved, a_number(), on=CUT_OFF, previous_hash="")


def test_a_second_person_approves() -> None:
    change = approve(a_draft(), by=APPROVER)

    assert change.state.status is InvoiceStatus.APPROVED
    assert (change.state.version, change.state.approved_by) == (2, APPROVER)
    assert change.events == (InvoiceApproved(change.state),)


def test_who_started_the_run_does_not_approve_its_drafts() -> None:
    with pytest.raises(ApproverDraftedIt):
        approve(a_draft(), by=STARTER)


def test_an_issued_invoice_has_number_dates_and_seal() -> None:
    change = issue(an_approved(), a_number(42), on=CUT_OFF, previous_hash="f" * 64)

    invoice = change.state
    [issued] = change.events
    assert isinstance(issued, InvoiceIssued)
    assert invoice.number is not None
    assert invoice.number.text == "INV-DE01-2026-000042"
    assert (invoice.issued_on, invoice.due_on) == (CUT_OFF, CUT_OFF + timedelta(days=30))
    assert invoice.document_step is DocumentStep.PENDING
    sealed = "f" * 64 + "\n" + issued.content
    assert invoice.content_hash == sha256(sealed.encode()).hexdigest()


def test_the_seal_covers_all_that_is_printed() -> None:
    [issued] = issue(an_approved(), a_number(), on=CUT_OFF, previous_hash="").events
    assert isinstance(issued, InvoiceIssued)

    content = json.loads(issued.content)

    assert content["gross_total"] == "13137.60"
    assert content["seller"]["name"] == "Morgenstern Consulting GmbH"
    assert [line["net"] for line in content["lines"]] == ["9600.00", "1440.00"]
    assert content["taxes"][0] == {
        "code": "S",
        "rate_percent": "19.00",
        "base": "11040.00",
        "tax": "2097.60",
        "exemption_reason": "",
    }


def test_invoices_of_a_series_are_chained_in_order() -> None:
    approved = [replace(an_approved(), invoice_id=an_id(f"1a{n}")) for n in range(1, 4)]
    key = SeriesKey(DE01, Series.INVOICE, 2026)
    taken = Taken(key, "INV-DE01-2026-", first=8, count=3, last_hash="e" * 64)

    issued = [change.state for change in issue_in_order(approved, taken, on=CUT_OFF)]

    assert [each.number.sequence for each in issued if each.number] == [8, 9, 10]
    assert [each.previous_hash for each in issued] == [
        "e" * 64,
        issued[0].content_hash,
        issued[1].content_hash,
    ]


def test_a_draft_can_be_given_up_until_it_is_issued() -> None:
    change = void(an_approved(), reason="wrong purchase order")

    assert change.state.status is InvoiceStatus.VOIDED
    assert change.state.void_reason == "wrong purchase order"
    assert change.events == (InvoiceVoided(change.state),)


@pytest.mark.parametrize("status", statuses_without(InvoiceStatus.APPROVED, TRANSITIONS))
def test_only_what_is_ready_can_be_approved(status: InvoiceStatus) -> None:
    with pytest.raises(IllegalTransition):
        approve(replace(a_draft(), status=status), by=APPROVER)


@pytest.mark.parametrize("status", statuses_without(InvoiceStatus.ISSUED, TRANSITIONS))
def test_only_what_is_approved_can_be_issued(status: InvoiceStatus) -> None:
    with pytest.raises(IllegalTransition):
        issue(replace(an_approved(), status=status), a_number(), on=CUT_OFF, previous_hash="")


@pytest.mark.parametrize("status", statuses_without(InvoiceStatus.VOIDED, TRANSITIONS))
def test_what_is_issued_cannot_be_voided(status: InvoiceStatus) -> None:
    with pytest.raises(IllegalTransition):
        void(replace(a_draft(), status=status), reason="too late")


@pytest.mark.parametrize("status", statuses_without(InvoiceStatus.PAID, TRANSITIONS))
def test_only_an_open_invoice_can_be_paid(status: InvoiceStatus) -> None:
    with pytest.raises(IllegalTransition):
        settled(replace(an_issued(), status=status), eur("1.00"))


def test_a_part_payment_leaves_the_rest_open() -> None:
    partly = settled(an_issued(), eur("5000.00"))
    fully = settled(partly, eur("8137.60"))

    assert (partly.status, partly.open_amount) == (InvoiceStatus.PARTIALLY_PAID, eur("8137.60"))
    assert (fully.status, fully.open_amount) == (InvoiceStatus.PAID, eur("0.00"))


def test_a_waiting_draft_goes_on_when_its_rule_is_there() -> None:
    french = a_buyer(country="FR")
    waiting = a_draft(buyer=french)

    change = determine_tax(waiting, [a_rule(buyer_country="FR")])

    assert change.state.status is InvoiceStatus.READY
    assert change.state.version == 2
    assert change.state.totals.tax == eur("2097.60")
    assert change.events == (InvoiceDrafted(change.state),)


def test_a_draft_that_still_has_to_wait_stays_as_it_is() -> None:
    waiting = a_draft(buyer=a_buyer(country="FR"))

    assert determine_tax(waiting, []).state == waiting
    assert determine_tax(waiting, []).events == ()


def test_only_a_failed_document_is_made_again() -> None:
    failed = replace(an_issued(), document_step=DocumentStep.FAILED)

    assert retry_document(failed).document_step is DocumentStep.PENDING
    for step in (None, DocumentStep.PENDING, DocumentStep.DONE):
        with pytest.raises(DocumentNotFailed):
            retry_document(replace(failed, document_step=step))


def test_an_invoice_of_other_terms_is_due_on_another_day() -> None:
    approved = replace(an_approved(hours("1.00"), milestone()), payment_terms_days=0)

    issued = issue(approved, a_number(), on=date(2026, 2, 28), previous_hash="").state

    assert issued.due_on == date(2026, 2, 28)


def test_a_run_without_rules_drafts_what_waits() -> None:
    draft = a_draft(run=a_run(a_rule(seller_country="US")))

    assert draft.status is InvoiceStatus.TAX_PENDING
    assert draft.treatments == {}
