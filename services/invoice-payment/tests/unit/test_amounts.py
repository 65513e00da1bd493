"""Invoice arithmetic, by the vectors of the trade and by properties."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice_payment.domain.amounts import (
    RoundingPolicy,
    TaxedLine,
    TaxTreatment,
    Totals,
    line_net,
    totals_of,
)
from throughline_core.money import Money

EN16931, PER_LINE, PRECISE_SUM = RoundingPolicy


@dataclass(frozen=True)
class Vector:
    """Lines of quantity, unit rate and tax percent, and the totals they must give."""

    case: str
    policy: RoundingPolicy
    lines: tuple[tuple[str, str, str], ...]
    net: str
    tax: str
    gross: str
    currency: str = "EUR"


VECTORS = (
    Vector("document order", EN16931, (("16", "334.416", "22"),), "5350.66", "1177.15", "6527.81"),
    Vector("exact order", PRECISE_SUM, (("16", "334.416", "22"),), "5350.66", "1177.14", "6527.80"),
    Vector("tax on the base", EN16931, (("10", "3.60", "5.5"),), "36.00", "1.98", "37.98"),
    Vector("hours on paper", EN16931, (("0.42", "34.34", "0"),), "14.42", "0.00", "14.42"),
    Vector("one line of both entries", EN16931, (("0.50", "27.50", "0"),), "13.75", "0", "13.75"),
    Vector("a line an entry", EN16931, (("0.25", "27.50", "0"),) * 2, "13.76", "0", "13.76"),
    Vector("negative half", EN16931, (("-1", "2.675", "0"),), "-2.68", "0.00", "-2.68"),
    Vector("tax by group", EN16931, (("1", "0.03", "19"),) * 3, "0.09", "0.02", "0.11"),
    Vector("tax by line", PER_LINE, (("1", "0.03", "19"),) * 3, "0.09", "0.03", "0.12"),
    Vector("no decimals", EN16931, (("1.5", "33333", "10"),), "50000", "5000", "55000", "JPY"),
    Vector("half the rate", EN16931, (("0.5", "1.01", "0"),), "0.51", "0.00", "0.51"),
)


def taxed(quantity: str, rate: str, percent: str, currency: str = "EUR") -> TaxedLine:
    treatment = TaxTreatment("S" if Decimal(percent) else "Z", Decimal(percent))
    return TaxedLine(Decimal(quantity), Money(Decimal(rate), currency), treatment)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.case)
def test_totals_follow_the_policy(vector: Vector) -> None:
    lines = [taxed(*line, vector.currency) for line in vector.lines]

    totals = totals_of(lines, vector.policy, vector.currency)

    assert totals.net.amount == Decimal(vector.net)
    assert totals.tax.amount == Decimal(vector.tax)
    assert totals.gross.amount == Decimal(vector.gross)


def test_each_code_and_rate_is_taxed_once_and_says_why_it_is_not() -> None:
    exempt = TaxTreatment("AE", Decimal(0), "Reverse charge")
    lines = [
        taxed("1", "10.00", "19"),
        TaxedLine(Decimal(1), Money(Decimal("5.00"), "EUR"), exempt),
        taxed("2", "10.00", "7"),
        taxed("3", "10.00", "19"),
    ]

    groups = totals_of(lines, EN16931, "EUR").groups

    assert [f"{it.tax_code} {it.rate_percent} {it.base} {it.tax}" for it in groups] == [
        "AE 0 5.00 EUR 0.00 EUR",
        "S 7 20.00 EUR 1.40 EUR",
        "S 19 40.00 EUR 7.60 EUR",
    ]
    assert [group.exemption_reason for group in groups] == ["Reverse charge", "", ""]


quantities = st.decimals(-1000, 1000, places=2)
rates = st.decimals(0, 1000, places=6)
percents = st.sampled_from(["0", "5.5", "7", "19", "22"])
invoices = st.lists(st.tuples(quantities, rates, percents), min_size=1, max_size=30)


def of(drawn: list[tuple[Decimal, Decimal, str]], policy: RoundingPolicy) -> Totals:
    lines = [taxed(str(quantity), str(rate), percent) for quantity, rate, percent in drawn]
    return totals_of(lines, policy, "EUR")


@given(invoices, st.sampled_from(RoundingPolicy))
def test_totals_are_the_sums_of_what_is_printed(
    drawn: list[tuple[Decimal, Decimal, str]], policy: RoundingPolicy
) -> None:
    totals = of(drawn, policy)

    assert totals.gross == totals.net + totals.tax
    assert totals.net == Money.total((group.base for group in totals.groups), "EUR")
    assert totals.tax == Money.total((group.tax for group in totals.groups), "EUR")
    assert totals.gross == totals.gross.rounded()


@given(invoices)
def test_the_net_total_is_the_sum_of_the_printed_lines(
    drawn: list[tuple[Decimal, Decimal, str]],
) -> None:
    printed = [line_net(quantity, Money(rate, "EUR")) for quantity, rate, _ in drawn]

    assert of(drawn, EN16931).net == Money.total(printed, "EUR")
    assert of(drawn, PER_LINE).net == of(drawn, EN16931).net


@given(invoices)
def test_policies_differ_by_less_than_a_cent_a_line(
    drawn: list[tuple[Decimal, Decimal, str]],
) -> None:
    grosses = [of(drawn, policy).gross.amount for policy in RoundingPolicy]

    assert max(grosses) - min(grosses) <= Decimal("0.02") * (len(drawn) + 5)


@given(quantities, rates)
def test_a_reversed_line_prints_the_mirrored_amount(quantity: Decimal, rate: Decimal) -> None:
    assert line_net(-quantity, Money(rate, "EUR")) == -line_net(quantity, Money(rate, "EUR"))
