"""The PDF of an invoice: complete, in the form of the seller's country, the same each time."""

import io
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import (
    REVERSE_CHARGE,
    a_buyer,
    a_draft,
    a_number,
    a_rule,
    a_run,
    a_seller,
    an_id,
    an_issued,
    hours,
    milestone,
    one_day,
)
from pypdf import PdfReader

from invoice_payment.document import data_of, render
from invoice_payment.domain.invoice import Invoice, approve
from invoice_payment.domain.issue import issue
from invoice_payment.domain.party import Address
from invoice_payment.repository.document import Work


def entries(count: int, text: str = "Architecture workshop") -> list[Work]:
    return [
        Work(
            person_name="Ada Brandt",
            role="senior_consultant",
            description=f"{text} {number}",
            service=one_day(f"2026-09-{number % 30 + 1:02d}"),
            quantity=Decimal("8.00"),
            unit="hour",
            unit_rate=Decimal("180.00"),
            amount=Decimal("1440.00"),
        )
        for number in range(count)
    ]


def text_of(invoice: Invoice, work: dict[UUID, list[Work]] | None = None) -> str:
    pages = PdfReader(io.BytesIO(render(invoice, work or {}).content)).pages
    return "\n".join(page.extract_text() for page in pages).replace("\N{NO-BREAK SPACE}", " ")


def american() -> Invoice:
    address = Address(("350 Fifth Avenue",), "New York", "10118", "NY", "US")
    seller = a_seller(address=address, iban="4417209935", bic="021000021", tax_id="84-2716090")
    rule = a_rule(seller_country="US", buyer_country="*", treatment=replace(REVERSE_CHARGE))
    draft = a_draft(hours("8.00"), run=a_run(rule, seller=seller), buyer=a_buyer(country="US"))
    approved = approve(draft, by="somebody else")
    return issue(approved.state, a_number(), on=date(2026, 9, 30), previous_hash="").state


def test_the_document_says_what_the_law_and_the_customer_want() -> None:
    text = text_of(an_issued(hours("8.00"), milestone()))

    for wanted in (
        "INV-DE01-2026-000001",
        "30 September 2026",
        "30 October 2026",
        "7–11 Sept 2026",
        "Morgenstern Consulting GmbH",
        "VAT ID DE136695976",
        "Amtsgericht Charlottenburg HRB 204711",
        "Nordwind Logistik GmbH",
        "VAT ID DE284917655",
        "PO-4500017",
        "CT-000017",
        "Delivery by time and materials: senior consultant",
        "8.00",
        "180.00",
        "11,040.00",
        "2,097.60",
        "EUR 13,137.60",
        "DE89 3704 0044 0532 0130 00",
        "COBADEFFXXX",
    ):
        assert wanted in text, wanted


def test_the_same_invoice_gives_the_same_bytes() -> None:
    invoice = an_issued()
    work = {an_id("1b2"): entries(3)}

    assert render(invoice, work) == render(invoice, work)


def test_the_annex_lists_the_work_behind_a_line_and_sums_it() -> None:
    invoice = an_issued(hours("24.00", item_count=3))

    text = text_of(invoice, {an_id("1b2"): entries(3)})

    assert "Architecture workshop 2" in text
    assert "3 entries" in text
    assert "24.00 hours × 180.00 = 4,320.00" in text


def test_a_very_long_annex_sums_by_person() -> None:
    invoice = an_issued(hours("16008.00", item_count=2001))
    work = [*entries(1999), *(replace(entry, person_name="Jonas Reuter") for entry in entries(2))]

    annex: Any = data_of(invoice, {an_id("1b2"): work})["annex"]
    [part] = annex

    assert [(row["person"], row["text"], row["quantity"]) for row in part["entries"]] == [
        ("Ada Brandt", "1999 entries", "15,992.00"),
        ("Jonas Reuter", "2 entries", "16.00"),
    ]
    assert "2001 entries" in part["sum"]


def test_a_line_that_says_it_all_has_no_annex() -> None:
    invoice = an_issued(milestone())
    own = replace(entries(1)[0], description="Kickoff held and scope agreed")

    assert data_of(invoice, {an_id("1b1"): [own]})["annex"] == []


def test_each_page_has_its_number_and_the_table_its_head() -> None:
    invoice = an_issued(hours("960.00", item_count=120))

    pages = PdfReader(io.BytesIO(render(invoice, {an_id("1b2"): entries(120)}).content)).pages

    assert len(pages) == 4
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of 4" in page.extract_text()
    assert all("PERSON" in page.extract_text() for page in pages[1:])


def test_why_no_tax_is_due_is_printed() -> None:
    reason = "Reverse charge: the recipient is liable for VAT"
    rule = a_rule(buyer_country="FR", treatment=replace(REVERSE_CHARGE, exemption_reason=reason))
    draft = a_draft(hours("8.00"), run=a_run(rule), buyer=a_buyer(country="FR"))
    approved = approve(draft, by="somebody else").state

    text = text_of(issue(approved, a_number(), on=date(2026, 9, 30), previous_hash="").state)

    assert reason in text
    assert "AE 0 %" in text


def test_an_american_seller_writes_as_americans_do() -> None:
    invoice = american()
    text = text_of(invoice)

    assert data_of(invoice, {})["paper"] == "us-letter"
    assert "September 30, 2026" in text
    assert "New York, NY 10118" in text
    assert "Account number" in text
    assert "Sales tax" in text


@pytest.mark.parametrize("text", ["#panic()", "*bold* $x$ \\ [a] <b> @c", "= Heading", "// gone"])
def test_text_is_never_read_as_markup(text: str) -> None:
    assert text.split(maxsplit=1)[0] in text_of(an_issued(milestone(description=text)))


def test_negative_amounts_have_a_minus_sign() -> None:
    text = text_of(an_issued(milestone("1000.00"), hours("-2.00", "150.00")))

    assert "−300.00" in text
