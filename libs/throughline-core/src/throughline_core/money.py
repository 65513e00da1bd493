"""Amounts of money: exact decimals in one currency, split without losing a cent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from throughline_core.errors import InvalidArgument
from throughline_core.rounding import exact_product, round_half_away

RATE_PLACES: Final = 6

# ISO 4217 minor units that are not 2; every active currency not listed here has two decimals.
_EXPONENTS: Final = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}

# ISO 4217 active codes with minor unit 2.
_TWO_DECIMALS: Final = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
    "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN "
    "QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
    "TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG".split()
)


class UnknownCurrency(InvalidArgument):
    """The code is no active ISO 4217 currency."""

    code = "money.unknown_currency"


class MixedCurrencies(InvalidArgument):
    """Two amounts in different currencies met without a rate of exchange."""

    code = "money.mixed_currencies"


def exponent(currency: str) -> int:
    """Return the number of decimals amounts in `currency` have (ISO 4217 minor unit).

    Raises:
        UnknownCurrency: the code is not an active currency.
    """
    if currency in _TWO_DECIMALS:
        return 2
    if currency in _EXPONENTS:
        return _EXPONENTS[currency]
    raise UnknownCurrency(
        f"{currency!r} is not an ISO 4217 currency", advice="use a three-letter code such as EUR"
    )


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency; unit rates carry up to six decimals, amounts the exponent.

    Nothing rounds unless `rounded` is called.

    Raises:
        UnknownCurrency: the code is no currency.
        ValueError: the amount is NaN or infinite.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        if not self.amount.is_finite():
            raise ValueError(f"{self.amount} is no amount")

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(Decimal(0), currency)

    @classmethod
    def total(cls, parts: Iterable[Money], currency: str) -> Money:
        """Sum `parts`, of which there may be none; all must be in `currency`."""
        result = cls.zero(currency)
        for part in parts:
            result += part
        return result

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        return Money(exact_product(self.amount, Decimal(factor)), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)

    def __str__(self) -> str:
        """Return it as people read it: no decimals beyond the currency's that say nothing."""
        rounded = self.rounded().amount
        shown = rounded if rounded == self.amount else self.amount.normalize()
        return f"{shown:f} {self.currency}"

    @property
    def is_zero(self) -> bool:
        return self.amount == 0

    def rounded(self) -> Money:
        """Return the amount at its currency's decimals, ties away from zero."""
        return Money(round_half_away(self.amount, exponent(self.currency)), self.currency)

    def split(self, weights: Sequence[Decimal | int], *, rounding_index: int = 0) -> list[Money]:
        """Share the rounded amount out by `weights`; the parts sum to it, always.

        Largest remainder: every part is cut to whole minor units, and the units left over go to
        the parts that lost most, the party at `rounding_index` first among equals. 100.00 in
        thirds → 33.34, 33.33, 33.33.

        Raises:
            ValueError: no weights, a negative weight, or weights that sum to zero.
        """
        shares = [Decimal(weight) for weight in weights]
        total = sum(shares, Decimal(0))
        if not shares or min(shares) < 0 or total == 0:
            raise ValueError("split needs weights that are not negative and not all zero")
        unit = Decimal(1).scaleb(-exponent(self.currency))
        whole = self.rounded().amount
        sign = -1 if whole < 0 else 1
        units = int(abs(whole) / unit)
        exact = [units * share / total for share in shares]
        parts = [int(value) for value in exact]
        by_loss = sorted(
            (index for index, share in enumerate(shares) if share > 0),
            key=lambda index: (parts[index] - exact[index], index != rounding_index, index),
        )
        for index in by_loss[: units - sum(parts)]:
            parts[index] += 1
        return [Money(sign * part * unit, self.currency) for part in parts]

    def _same(self, other: Money) -> Decimal:
        if other.currency != self.currency:
            raise MixedCurrencies(
                f"{self.currency} and {other.currency} cannot be combined",
                advice="convert one of them at a recorded rate of exchange first",
            )
        return other.amount
