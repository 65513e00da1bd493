"""Work that is not released follows whoever pays for it by now, as long as it costs the same."""

from collections.abc import Sequence

from billing_event.domain.agreement import Agreement
from billing_event.domain.payer import has_moved
from billing_event.domain.position import EventStatus, Row, Treatment
from billing_event.domain.rating import Priced, Rater
from billing_event.domain.rerating_part import has_same_price, parts_of
from billing_event.domain.source import SourceItem

_OPEN = (EventStatus.HELD, EventStatus.ELIGIBLE)


def follows_payer(
    item: SourceItem, live: Sequence[Row], agreement: Agreement, rater: Rater
) -> bool:
    """Whether others pay for a thing of which nothing is released, and nothing else is new.

    What would cost something else by now is for a re-rating run, and so is what was released.
    """
    if not has_moved(live, item, agreement) or not all(map(_is_open, live)):
        return False
    outcome = rater.rate(item)
    return isinstance(outcome, Priced) and has_same_price(parts_of(live, outcome.shares))


def _is_open(row: Row) -> bool:
    return row.status in _OPEN and row.rating.treatment is not Treatment.DRAWN
