"""Expenses: which of them a line bills at all, and at what price."""

from decimal import Decimal
from typing import Final

from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.source import SourceItem
from billing_event.domain.terms import LineTerms
from throughline_core.money import RATE_PLACES, Money
from throughline_core.rounding import exact_product, round_half_away

_LEFT_OUT: Final = WayOut(
    "sales_operations",
    "agree with the customer that the category is billed and change the contract, or have the"
    " expense taken back and entered as not billable",
)


def not_billed(item: SourceItem, line: LineTerms) -> OpenHold | None:
    """Return why a line does not bill an expense, None where it does.

    The terms may list the categories it bills. What came before categories were kept has none.
    """
    if not item.category or not line.billed_categories or item.category in line.billed_categories:
        return None
    detail = f"the line does not bill expenses for {item.category}"
    return OpenHold(HoldReason.UNMAPPED, detail, way_out=_LEFT_OUT)


def in_currency(cost: Money, receipt: Money | None, currency: str) -> Money | None:
    """Return which of the two is in the currency, the receipt's amount first; None if neither."""
    found = (each for each in (receipt, cost) if each is not None and each.currency == currency)
    return next(found, None)


def marked_up(cost: Money, percent: Decimal) -> Money:
    """Return the cost plus the markup as a unit rate: exact up to the six decimals a rate has."""
    exact = exact_product(cost.amount, 1 + percent.scaleb(-2))
    return Money(round_half_away(exact, RATE_PLACES), cost.currency)
