"""What the service publishes is what was agreed in `proto/samples`."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from google.protobuf.message import Message
from invoice_payment_builders import (
    APPROVER,
    CUT_OFF,
    DE01,
    a_draft,
    a_number,
    a_payment,
    an_approved,
    an_id,
    an_issued,
    eur,
)

from invoice_payment.domain.credit import Claimed, WantedItem, WantedLine, choose
from invoice_payment.domain.credit_application import apply_credit
from invoice_payment.domain.credit_note import Request, Taken, draft_credit_note
from invoice_payment.domain.invoice import InvoiceDrafted as Drafted
from invoice_payment.domain.invoice import (
    InvoiceEvent,
    InvoiceSettled,
    InvoiceStatus,
    approve,
    void,
)
from invoice_payment.domain.issue import CreditIssued, issue, issue_credit_note
from invoice_payment.domain.journal import DEFAULT_ACCOUNTS, post_invoice
from invoice_payment.domain.line import Disposition
from invoice_payment.domain.payment import record
from invoice_payment.domain.series import Number, Series, SeriesKey
from invoice_payment.domain.settlement import settled
from invoice_payment.wire import invoice as wire
from invoice_payment.wire import ledger
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as pb
from throughline.invoice_payment.v1.invoice_pb2 import (
    CREDIT_DISPOSITION_RETURN_TO_UNBILLED,
    CreditedItem,
)
from throughline_core.money import Money
from throughline_runtime.fields import write_money
from throughline_testing.samples import assert_matches_sample

A_SETTLEMENT = InvoiceSettled(
    settled(an_issued(), eur("13137.60")),
    an_id("1d2"),
    an_id("1d1"),
    eur("13137.60"),
    date(2026, 10, 12),
)


@pytest.mark.parametrize(
    ("event", "message_type"),
    [
        (Drafted(a_draft()), pb.InvoiceDrafted),
        (approve(a_draft(), by=APPROVER).events[0], pb.InvoiceApproved),
        (
            issue(an_approved(), a_number(), on=CUT_OFF, previous_hash="").events[0],
            pb.InvoiceIssued,
        ),
        (void(a_draft(), reason="wrong purchase order").events[0], pb.InvoiceVoided),
        (A_SETTLEMENT, pb.InvoiceSettled),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_news_of_an_invoice_is_published_as_agreed(
    event: InvoiceEvent, message_type: type[Message]
) -> None:
    outgoing = wire.write_event(event)

    assert outgoing is not None
    assert_matches_sample(outgoing, message_type)


def test_billed_items_are_published_as_agreed() -> None:
    items = [
        wire.write_item(
            billing_event_id=an_id(event),
            invoice_line_id=an_id(line),
            source_item_id=an_id(source),
            quantity=quantity,
            amount=amount,
        )
        for event, line, source, quantity, amount in (
            ("181", "1b2", "151", "8.00", eur("1440.00")),
            ("182", "1b1", "1301", "1", eur("9600.00")),
        )
    ]

    [outgoing] = wire.write_billed_items(an_issued(), items)

    assert_matches_sample(outgoing, pb.InvoiceItemsBilled)


def test_lines_that_do_not_fit_are_published_as_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LINES_PER_MESSAGE_MAX", 1)

    [outgoing] = wire.write_continued_lines(an_issued())

    assert_matches_sample(outgoing, pb.InvoiceLinesContinued)


def a_credit_note() -> CreditIssued:
    """Return the credit note over two hours of the samples' invoice, issued in October."""
    invoice = an_issued()
    line = next(line for line in invoice.lines if line.unit == "hour")
    claim = Claimed(
        billing_event_id=an_id("181"),
        portion=0,
        source_item_id=an_id("151"),
        invoice_line_id=line.invoice_line_id,
        quantity=line.quantity,
        unit_rate=line.unit_rate,
        amount=eur("1440.00"),
        recognised=eur("1440.00"),
        service=line.service,
        credited_quantity=Decimal(0),
        credited_amount=eur("0"),
        credited_recognised=eur("0"),
    )
    wanted = WantedLine(
        line.invoice_line_id, None, (WantedItem(claim.billing_event_id, Decimal("2.00")),)
    )
    parts = choose(invoice, [claim], [wanted], Disposition.RETURN_TO_UNBILLED)
    request = Request(
        an_id("1a2"),
        "Two hours were agreed to be free",
        "user:billing-clerk",
        datetime(2026, 10, 5, 9, tzinfo=UTC),
    )
    note = approve(draft_credit_note(invoice, [claim], Taken(), parts, request), by=APPROVER).state
    number = Number(SeriesKey(DE01, Series.CREDIT_NOTE, 2026), 1, "CN-DE01-2026-000001")
    return issue_credit_note(note, invoice, number, on=date(2026, 10, 5), previous_hash="")


def test_an_issued_credit_note_is_published_as_agreed() -> None:
    [event] = a_credit_note().change.events
    outgoing = wire.write_event(event)

    assert outgoing is not None
    assert_matches_sample(outgoing, pb.InvoiceCredited)


def test_credited_items_are_published_as_agreed() -> None:
    note = a_credit_note().change.state
    item = CreditedItem(
        billing_event_id=str(an_id("181")),
        source_item_id=str(an_id("151")),
        invoice_line_id=str(an_id("1b2")),
        credit_line_id=str(note.lines[0].invoice_line_id),
        quantity="2.00",
        amount=write_money(eur("360.00")),
        disposition=CREDIT_DISPOSITION_RETURN_TO_UNBILLED,
    )

    [outgoing] = wire.write_credited_items(note, [item])

    assert_matches_sample(outgoing, pb.InvoiceItemsCredited)


def test_an_applied_credit_is_published_as_agreed() -> None:
    note = a_credit_note().change.state
    rest = replace(note, paid=eur("0.00"), status=InvoiceStatus.ISSUED)
    other = replace(an_issued(sequence=2), invoice_id=an_id("1a3"))
    applied = apply_credit(
        rest, other, eur("428.40"), application_id=an_id("1d5"), on=date(2026, 10, 20)
    )
    outgoing = wire.write_event(applied)

    assert outgoing is not None
    assert_matches_sample(outgoing, pb.CreditApplied)


def test_an_arrived_payment_is_published_as_agreed() -> None:
    [event] = record(a_payment()).events

    assert_matches_sample(ledger.write_received(event), pb.PaymentReceived)


def test_an_entry_of_the_books_is_published_as_agreed() -> None:
    entry = replace(post_invoice(an_issued()), journal_entry_id=an_id("1e1"))
    number = Number(SeriesKey(DE01, Series.JOURNAL_ENTRY, 2026), 2, "JE-DE01-2026-000002")
    message = ledger.write_entry(entry, number, DEFAULT_ACCOUNTS)

    assert_matches_sample(ledger.write_posted(entry, message), pb.JournalPosted)


def test_an_event_never_outgrows_its_limit() -> None:
    line = wire.write_line(an_issued().lines[0], None)
    line.description = "\N{SNOWMAN}" * 200
    line.tax_category, line.tax_code, line.tax_rate_percent = "x" * 40, "AE", "100.00"
    invoice = wire.write_invoice(an_issued())
    del invoice.lines[:]
    invoice.lines.extend([line] * wire.LINES_PER_MESSAGE_MAX)
    items = [
        wire.write_item(
            billing_event_id=an_id("181"),
            invoice_line_id=an_id("1b2"),
            source_item_id=an_id("151"),
            quantity="9999999.9999",
            amount=Money(eur("999999999999.999999").amount, "EUR"),
        )
    ] * wire.ITEMS_PER_EVENT_MAX

    assert pb.InvoiceIssued(invoice=invoice).ByteSize() < 256 * 1024
    [billed] = wire.write_billed_items(an_issued(), items)
    assert billed.message.ByteSize() < 256 * 1024
