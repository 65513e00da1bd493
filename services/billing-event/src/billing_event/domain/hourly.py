"""The price of an hour, found once for all the work it prices."""

from billing_event.domain.payer import Split
from billing_event.domain.position import Portion, Rating, portion_of
from billing_event.domain.terms import Payer
from throughline_core.quantity import TimeRounding, billed_hours


class Hourly:
    """One resolved rate, its payers if they are several, and the prices found with it so far."""

    def __init__(
        self, rating: Rating, rounding: TimeRounding, payers: tuple[Payer, ...] = ()
    ) -> None:
        self.rating = rating
        self.split = Split(rating, payers) if payers else None
        self._rounding = rounding
        self._prices: dict[int, Portion] = {}

    def price(self, minutes: int) -> Portion:
        """Return the hours that are billed for recorded minutes, at their price."""
        found = self._prices.get(minutes)
        if found is None:
            hours = billed_hours(minutes, self._rounding)
            found = portion_of(self.rating.unit_rate, hours, minutes=minutes)
            self._prices[minutes] = found
        return found
