"""What a credit note takes: mirrored, in parts, and to the last cent."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import (
    APPROVER,
    CUT_OFF,
    DE01,
    a_buyer,
    a_rule,
    a_run,
    an_id,
    an_issued,
    eur,
    hours,
    milestone,
    terms,
)
from invoice_payment_serial import RETURN, Credits, claim_of, claims_of

from invoice_payment.domain.amounts import RoundingPolicy, TaxTreatment
from invoice_payment.domain.credit import (
    ExceedsCreditable,
    InvoiceNotIssued,
    ItemUnknown,
    LineUnknown,
    NothingLeft,
    PrepaymentGivenUp,
    QuantityInvalid,
    WantedItem,
    WantedLine,
    choose,
)
from invoice_payment.domain.credit_note import TotalNotPositive
from invoice_payment.domain.draft import LineItems, draft_invoice
from invoice_payment.domain.invoice import Invoice, InvoiceStatus, approve
from invoice_payment.domain.issue import issue, issue_credit_note, printed
from invoice_payment.domain.item import Treatment
from invoice_payment.domain.journal import AccountRole, Entry, Fact, post_invoice
from invoice_payment.domain.line import Disposition
from invoice_payment.domain.series import Number, Series, SeriesKey
from throughline_core.money import Money

WRITE_OFF = Disposition.WRITE_OFF


def an_invoice(*nets: str, rate: str = "20.00", policy: RoundingPolicy | None = None) -> Invoice:
    """Return an issued invoice of so many lines, taxed at one rate."""
    rule = a_rule(treatment=TaxTreatment("S", Decimal(rate)))
    items: list[LineItems] = [
        milestone(net, invoice_line_id=an_id(f"1b{number}"), description=f"Part {number}")
        for number, net in enumerate(nets, start=1)
    ]
    draft = _drafted(items, rule, policy)
    number = Number(SeriesKey(DE01, Series.INVOICE, 2026), 1, "INV-DE01-2026-000001")
    return issue(approve(draft, by=APPROVER).state, number, on=CUT_OFF, previous_hash="").state


def _drafted(items: list[LineItems], rule: Any, policy: RoundingPolicy | None) -> Invoice:
    run = a_run(rule, rounding_policy=policy or RoundingPolicy.EN16931)
    return draft_invoice(run, an_id("1a1"), terms(), a_buyer(), items).state


def line(number: int, *items: WantedItem) -> WantedLine:
    return WantedLine(an_id(f"1b{number}"), None, items)


def gross(note: Invoice) -> str:
    return f"{printed(note).totals.gross.amount:f}"


def sides(entry: Entry) -> dict[tuple[AccountRole, UUID | None], Decimal]:
    """Return debit minus credit by account and contract line."""
    sums: dict[tuple[AccountRole, UUID | None], Decimal] = {}
    for posting in entry.postings:
        key = (posting.role, posting.contract_line_id)
        sums[key] = sums.get(key, Decimal(0)) + posting.debit.amount - posting.credit.amount
    return sums


def issued_note(note: Invoice, invoice: Invoice) -> tuple[Invoice, Invoice, Money]:
    number = Number(SeriesKey(DE01, Series.CREDIT_NOTE, 2026), 1, "CN-DE01-2026-000001")
    approved = approve(note, by="user:other").state
    done = issue_credit_note(approved, invoice, number, on=CUT_OFF, previous_hash="")
    return done.change.state, done.invoice, done.applied


def test_the_last_of_serial_credits_takes_the_rest() -> None:
    invoice = an_invoice("68.33", "68.33", "57.50", "85.00")
    assert f"{invoice.totals.gross.amount:f}" == "334.99"
    credits = Credits(invoice)
    assert [gross(credits.credit(line(number))) for number in (1, 3, 4, 2)] == [
        "82.00",
        "69.00",
        "102.00",
        "81.99",
    ]
    assert sum(note.totals.gross.amount for note in credits.notes) == -invoice.totals.gross.amount


@pytest.mark.parametrize("policy", RoundingPolicy)
def test_a_full_credit_mirrors_to_the_cent(policy: RoundingPolicy) -> None:
    invoice = an_invoice("68.33", "68.33", "57.50", "85.00", policy=policy)
    note = printed(Credits(invoice).credit())
    assert (note.totals.net, note.totals.tax) == (invoice.totals.net, invoice.totals.tax)
    assert [(each.quantity, each.net) for each in note.lines] == [
        (each.quantity, each.net) for each in invoice.lines
    ]


def test_parts_of_an_item_sum_to_it() -> None:
    invoice = an_issued(hours("1.00", "10.01"))
    credits = Credits(invoice)
    third = WantedItem(an_id("181"), Decimal("0.33"))
    wanted = WantedLine(invoice.lines[0].invoice_line_id, None, (third,))
    for _ in range(3):
        credits.credit(wanted)
    credits.credit()
    assert [f"{printed(note).totals.net.amount:f}" for note in credits.notes] == [
        "3.30",
        "3.30",
        "3.30",
        "0.11",
    ]
    assert sum(note.totals.gross.amount for note in credits.notes) == -invoice.totals.gross.amount
    with pytest.raises(NothingLeft):
        credits.credit()


def test_rounding_never_credits_more_than_was_billed() -> None:
    invoice = an_issued(hours("4.00", "0.005"))
    credits = Credits(invoice)
    one = WantedItem(an_id("181"), Decimal(1))
    wanted = WantedLine(invoice.lines[0].invoice_line_id, None, (one,))
    nets = [f"{printed(credits.credit(wanted)).totals.net.amount:f}" for _ in range(4)]
    assert nets == ["0.01", "0.01", "0.00", "0.00"]


def a_repriced_invoice() -> Invoice:
    """Return an invoice that takes eight hours back and bills them at another rate."""
    return an_issued(
        hours("-8.00", "180.00", invoice_line_id=an_id("1b1")),
        hours("8.00", "190.00", invoice_line_id=an_id("1b2")),
    )


def test_what_is_credited_beside_a_negative_line_keeps_its_own_amount() -> None:
    invoice = a_repriced_invoice()
    note = printed(Credits(invoice).credit(line(2)))
    assert f"{invoice.totals.net.amount:f}" == "80.00"
    assert [each.net for each in note.lines] == [note.totals.net] == [eur("1520.00")]
    assert note.totals.tax == eur("288.80")


def test_a_negative_line_alone_is_no_credit() -> None:
    with pytest.raises(TotalNotPositive):
        Credits(a_repriced_invoice()).credit(line(1))


def test_positive_lines_are_credited_one_after_the_other_whatever_the_negative_ones_say() -> None:
    invoice = an_issued(
        hours("-8.00", "180.00", invoice_line_id=an_id("1b1")),
        hours("8.00", "190.00", invoice_line_id=an_id("1b2")),
        hours("2.00", "200.00", invoice_line_id=an_id("1b3")),
    )
    credits = Credits(invoice)
    nets = [f"{printed(credits.credit(line(number))).totals.net.amount:f}" for number in (2, 3)]
    assert nets == ["1520.00", "400.00"]


@pytest.mark.parametrize(("rate", "net"), [("180.00", "540.00"), ("0.10", "0.30")])
def test_an_item_keeps_its_amount_on_a_line_with_items_of_both_signs(rate: str, net: str) -> None:
    [billed] = an_issued(hours("1.00", rate)).lines
    invoice = an_issued(hours("1.00", rate))
    claims = [
        claim_of(billed, Decimal(quantity), str(number))
        for number, quantity in enumerate(("-4.00", "3.00", "2.00"))
    ]
    wanted = WantedLine(billed.invoice_line_id, None, (WantedItem(an_id("181")),))
    note = printed(Credits(invoice, claims).credit(wanted))
    assert f"{note.totals.net.amount:f}" == net
    assert [each.net for each in note.lines] == [note.totals.net]


def test_work_billed_at_nothing_is_credited_to_be_billed_anew() -> None:
    invoice = an_issued(hours("8.00", "0.00"), milestone())
    free = next(each for each in invoice.lines if each.net.is_zero)
    note, credited, applied = issued_note(
        Credits(invoice).credit(WantedLine(free.invoice_line_id)), invoice
    )
    assert (note.totals.gross, applied, note.status) == (
        eur("0.00"),
        eur("0.00"),
        InvoiceStatus.PAID,
    )
    assert credited == invoice


def test_a_line_can_be_returned_and_another_written_off() -> None:
    note = Credits(an_invoice("100.00", "50.00")).credit(
        WantedLine(an_id("1b1"), WRITE_OFF), line(2)
    )
    assert [each.disposition for each in note.lines] == [WRITE_OFF, RETURN]


def test_what_is_asked_for_wrongly_is_refused() -> None:
    credits = Credits(an_issued(hours("8.00")))
    line_id = credits.invoice.lines[0].invoice_line_id
    with pytest.raises(LineUnknown):
        credits.credit(WantedLine(an_id("999")))
    with pytest.raises(ItemUnknown):
        credits.credit(WantedLine(line_id, None, (WantedItem(an_id("999")),)))
    for quantity in ("0", "-1"):
        with pytest.raises(QuantityInvalid):
            credits.credit(
                WantedLine(line_id, None, (WantedItem(an_id("181"), Decimal(quantity)),))
            )
    with pytest.raises(ExceedsCreditable):
        credits.credit(WantedLine(line_id, None, (WantedItem(an_id("181"), Decimal("8.01")),)))
    with pytest.raises(ExceedsCreditable):
        credits.credit(WantedLine(line_id), WantedLine(line_id))
    draft = replace(credits.invoice, number=None, status=InvoiceStatus.READY)
    with pytest.raises(InvoiceNotIssued):
        choose(draft, credits.claims, (), RETURN)


def test_what_a_released_row_takes_back_is_not_credited_too() -> None:
    invoice = an_issued(hours("8.00"))
    [claim] = claims_of(invoice)
    with pytest.raises(NothingLeft) as refused:
        choose(invoice, [replace(claim, is_taken_back=True)], (), RETURN)
    assert refused.value.advice is not None
    assert "a correction took the work back" in refused.value.advice


def test_the_entry_of_a_full_credit_is_the_mirror_of_the_invoices() -> None:
    invoice = an_issued()
    note, _, _ = issued_note(Credits(invoice).credit(), invoice)
    entry = post_invoice(note)
    assert entry.fact is Fact.CREDIT_NOTE
    mirror = {key: -amount for key, amount in sides(post_invoice(invoice)).items()}
    assert sides(entry) == mirror


def test_what_is_written_off_is_an_expense_and_no_asset() -> None:
    invoice = an_issued(hours("8.00"))
    note, _, _ = issued_note(Credits(invoice).credit(disposition=WRITE_OFF), invoice)
    roles = {role: amount for (role, _), amount in sides(post_invoice(note)).items()}
    assert roles[AccountRole.WRITE_OFF] == Decimal("1440.00")
    assert AccountRole.CONTRACT_ASSET not in roles


def test_a_credited_prepayment_is_owed_no_more() -> None:
    invoice = an_issued(hours("1", "2500.00", treatment=Treatment.PREPAYMENT, unit="month"))
    note, _, _ = issued_note(Credits(invoice).credit(), invoice)
    roles = {role: amount for (role, _), amount in sides(post_invoice(note)).items()}
    assert roles[AccountRole.CONTRACT_LIABILITY] == Decimal("2500.00")
    with pytest.raises(PrepaymentGivenUp):
        Credits(invoice).credit(disposition=WRITE_OFF)


def test_a_credit_settles_what_is_open_and_the_rest_is_unapplied() -> None:
    invoice = an_issued(hours("8.00"))
    note, credited, applied = issued_note(Credits(invoice).credit(), invoice)
    assert (applied, credited.status, note.status) == (
        invoice.totals.gross,
        InvoiceStatus.CREDITED,
        InvoiceStatus.PAID,
    )
    partly = replace(invoice, paid=eur("1000.00"), status=InvoiceStatus.PARTIALLY_PAID)
    note, credited, applied = issued_note(Credits(partly).credit(), partly)
    assert (applied, credited.status) == (eur("713.60"), InvoiceStatus.PAID)
    assert (note.status, note.open_amount) == (InvoiceStatus.PARTIALLY_PAID, eur("-1000.00"))
    paid = replace(invoice, paid=invoice.totals.gross, status=InvoiceStatus.PAID)
    note, credited, applied = issued_note(Credits(paid).credit(), paid)
    assert (applied, credited, note.status) == (eur("0.00"), paid, InvoiceStatus.ISSUED)
    assert note.open_amount == -invoice.totals.gross
