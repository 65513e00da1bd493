"""What is said of a quote that cannot be carried."""

from connectors.adapters.salesforce.records import Record
from throughline_core.errors import FailedPrecondition


class QuoteUnreadable(FailedPrecondition):
    """A quote says something we cannot carry; it stays out until somebody changes it there."""

    code = "salesforce.quote_unreadable"


def unreadable(quote: Record, text: str, advice: str) -> QuoteUnreadable:
    """Return the refusal of a quote; `text` goes on from its number."""
    return QuoteUnreadable(f"quote {quote['Name']} {text}", advice=advice)
