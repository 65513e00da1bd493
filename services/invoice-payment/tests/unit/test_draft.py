"""Drafting: lines in the contract's order, texts by detail, tax by the rules."""

from datetime import date
from decimal import Decimal

import pytest
from invoice_payment_builders import (
    DELIVERY,
    a_buyer,
    a_draft,
    a_rule,
    a_run,
    an_id,
    eur,
    hours,
    milestone,
    nets,
    one_day,
    terms,
)

from invoice_payment.domain.amounts import TaxTreatment
from invoice_payment.domain.draft import (
    DESCRIPTION_LENGTH_MAX,
    LineDetail,
    LineItems,
    describe,
    draft_invoice,
)
from invoice_payment.domain.invoice import InvoiceDrafted, InvoiceStatus, TaxRuleMissing
from throughline_core.period import Period


def test_lines_stand_in_the_order_of_the_contract() -> None:
    draft = a_draft(hours("8.00"), milestone())

    assert [(line.position, line.description) for line in draft.lines] == [
        (1, "Discovery workshop and target architecture: Kickoff held and scope agreed"),
        (2, "Delivery by time and materials: senior consultant"),
    ]
    assert draft.service == Period(date(2026, 9, 7), date(2026, 9, 12))
    assert draft.tax_point_on == date(2026, 9, 11)
    assert draft.totals.gross == eur("13137.60")


@pytest.mark.parametrize(
    ("items", "lines", "total"),
    [
        pytest.param([hours("0.50", "27.50")], ["13.75"], "13.75", id="one line of both entries"),
        pytest.param([hours("0.25", "27.50")] * 2, ["6.88", "6.88"], "13.76", id="a line an entry"),
        pytest.param([hours("0.42", "34.34")], ["14.42"], "14.42", id="25 minutes on paper"),
    ],
)
def test_the_detail_decides_how_often_is_rounded(
    items: list[LineItems], lines: list[str], total: str
) -> None:
    draft = a_draft(*items)

    assert nets(draft) == lines
    assert draft.totals.net == eur(total)


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        (LineDetail.ROLE, "Delivery by time and materials: senior consultant"),
        (LineDetail.PERSON, "Delivery by time and materials: Ada Brandt, senior consultant"),
        (LineDetail.ENTRY, "Delivery by time and materials: Ada Brandt, Architecture workshop"),
    ],
)
def test_a_line_for_time_says_as_much_as_the_contract_wants(detail: LineDetail, text: str) -> None:
    assert describe("Delivery by time and materials", detail, hours("8.00")) == text


def test_a_text_that_already_says_what_was_sold_does_not_say_it_twice() -> None:
    items = milestone(description="Support, September 2026")

    assert describe("Support", LineDetail.ROLE, items) == "Support, September 2026"


def test_a_long_text_is_cut_and_shows_it() -> None:
    text = describe("Sold", LineDetail.ROLE, milestone(description="x" * 500))

    assert len(text) == DESCRIPTION_LENGTH_MAX
    assert text.endswith("x…")


@pytest.mark.parametrize(
    ("items", "printed"),
    [
        (hours("8"), "8.00"),
        (hours("7.5"), "7.50"),
        (hours("0.125"), "0.125"),
        (milestone(), "1"),
        (milestone(quantity=Decimal("-2.50")), "-2.5"),
        (milestone(quantity=Decimal(100)), "100"),
    ],
)
def test_hours_are_printed_with_two_decimals_and_counts_as_they_are(
    items: LineItems, printed: str
) -> None:
    [line] = a_draft(items).lines

    assert line.printed_quantity == printed


def test_a_line_the_terms_do_not_know_comes_last() -> None:
    stray = milestone("1.00", contract_line_id=an_id("b199"), description="Stray")

    draft = a_draft(stray, milestone(), hours("1.00"))

    assert [line.description for line in draft.lines][-1] == "Stray"


def test_a_draft_with_a_rule_for_each_category_is_ready() -> None:
    change = draft_invoice(a_run(), an_id("1a1"), terms(), a_buyer(), [milestone()])

    assert change.state.status is InvoiceStatus.READY
    assert change.state.version == 1
    assert change.events == (InvoiceDrafted(change.state),)


def test_a_draft_without_a_rule_waits_and_names_what_to_add() -> None:
    rules = a_rule(tax_category="professional_services")
    licence = hours("1", "99.00", tax_category="licences", contract_line_id=DELIVERY)
    buyer = a_buyer(country="US", is_registered=False)

    change = draft_invoice(a_run(rules), an_id("1a1"), terms(), buyer, [milestone(), licence])

    waiting = change.state
    assert waiting.status is InvoiceStatus.TAX_PENDING
    assert waiting.totals.net == waiting.totals.gross == eur("9699.00")
    drafted, missing = change.events
    assert isinstance(drafted, InvoiceDrafted)
    assert isinstance(missing, TaxRuleMissing)
    assert [str(case) for case in missing.cases] == [
        "seller DE, buyer US without a valid registration, category licences, on 2026-09-11",
        "seller DE, buyer US without a valid registration, category professional_services,"
        " on 2026-09-11",
    ]


def test_the_tax_point_is_the_last_day_of_service() -> None:
    old = a_rule(valid_to=date(2026, 9, 11))
    new = a_rule(valid_from=date(2026, 9, 11), treatment=TaxTreatment("S", Decimal(16)))

    draft = a_draft(
        hours("1.00", "100.00", service=one_day("2026-09-02")),
        milestone("100.00"),
        run=a_run(old, new),
    )

    assert draft.totals.tax == eur("32.00")
