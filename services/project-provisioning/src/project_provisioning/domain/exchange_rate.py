"""Exchange rates of days: the rate of a day, or the latest one before it, and never a guess."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from throughline_core.errors import AlreadyExists, InvalidArgument, NotFound
from throughline_core.money import Money
from throughline_core.rounding import exact_product, round_half_away

RATE_PLACES: Final = 10
DAYS_MAX_DEFAULT: Final = 7


class RateNotFound(NotFound):
    """No rate between the two currencies is recorded for the day, or shortly before it."""

    code = "exchange_rate.not_found"


class RateDiffers(AlreadyExists):
    """Another rate is recorded for the same day and source."""

    code = "exchange_rate.differs"


class RateMalformed(InvalidArgument):
    """The rate is not above zero, or between one currency and itself."""

    code = "exchange_rate.malformed"


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """Units of `quote` for one of `base`, as `source` published it for a day."""

    base: str
    quote: str
    rate_on: date
    source: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one currency becomes another: units of the second for one of the first."""

    rate: Decimal
    source: str
    rate_on: date

    def convert(self, amount: Money, currency: str) -> Money:
        """Return the amount in `currency`, rounded to it."""
        return Money(exact_product(amount.amount, self.rate), currency).rounded()


def check_rate(rate: ExchangeRate, *, field: str) -> None:
    """Refuse what is no rate.

    Raises:
        RateMalformed: see above.
        UnknownCurrency: a code is no currency.
    """
    Money.zero(rate.base)
    Money.zero(rate.quote)
    if rate.base == rate.quote or rate.rate <= 0:
        raise RateMalformed(
            "a rate is above zero and between two currencies",
            field=field,
            advice="check the currencies and the rate",
        )


class RateTable:
    """Rates to look up conversions in: directly, inversely, or by way of a third currency."""

    def __init__(self, rates: Iterable[ExchangeRate]) -> None:
        # (day, source) → base → quote → rate
        self._by_day: dict[tuple[date, str], dict[str, dict[str, Decimal]]] = {}
        for each in rates:
            published = self._by_day.setdefault((each.rate_on, each.source), {})
            published.setdefault(each.base, {})[each.quote] = each.rate

    def find(
        self, from_: str, to: str, day: date, *, source: str = "", days_max: int = DAYS_MAX_DEFAULT
    ) -> Conversion | None:
        """Return the conversion of the latest day on or before `day`, None when there is none.

        Without a `source` the first one by name that has a rate of that day counts.
        """
        for back in range(days_max + 1):
            rate_on = day - timedelta(days=back)
            names = sorted(name for at, name in self._by_day if at == rate_on)
            for name in [each for each in names if source in ("", each)]:
                rate = _between(self._by_day[rate_on, name], from_, to)
                if rate is not None:
                    return Conversion(rate, name, rate_on)
        return None


def _between(published: Mapping[str, Mapping[str, Decimal]], from_: str, to: str) -> Decimal | None:
    """Return the rate by one base that knows both currencies, the nearest such base first."""
    for base in (from_, to, *sorted(published.keys() - {from_, to})):
        known = published.get(base, {})
        one = Decimal(1) if base == from_ else known.get(from_)
        other = Decimal(1) if base == to else known.get(to)
        if one is not None and other is not None:
            return round_half_away(other / one, RATE_PLACES)
    return None
