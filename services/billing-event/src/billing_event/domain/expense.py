"""Which expenses a line bills at all."""

from typing import Final

from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.source import SourceItem
from billing_event.domain.terms import LineTerms

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
