"""How much a row may come to, so that every document and message can hold it."""

from decimal import Decimal
from typing import Final

from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.position import Portion, Rating

AMOUNT_BOUND: Final = Decimal(10) ** 11
"""No row comes to as much: messages hold twelve digits, and an invoice adds tax and other rows."""

_WAY_OUT: Final = WayOut(
    "finance",
    "correct the quantity, the price or the rate of exchange; what is right as it is has to be"
    " agreed and approved in parts",
)


def too_large(rating: Rating, portion: Portion) -> OpenHold | None:
    """Return what holds a portion that no row can hold, None for all others."""
    if max(abs(portion.amount.amount), abs(rating.unit_rate.amount)) < AMOUNT_BOUND:
        return None
    detail = (
        f"it comes to {portion.amount.rounded()}; a row of {AMOUNT_BOUND:,} or more is not billed"
    )
    return OpenHold(HoldReason.UNMAPPED, detail, way_out=_WAY_OUT)
