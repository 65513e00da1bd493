"""Splits a price over the payers of its contract; what they bear sums to the whole, always."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_DOWN, Decimal
from typing import Final, TypeAlias

from billing_event.domain.agreement import Agreement
from billing_event.domain.limit import fitting, fitting_amount
from billing_event.domain.position import Portion, Rating, Row, less, one_at, portion_of, rated_at
from billing_event.domain.source import CustomerId, SourceItem
from billing_event.domain.terms import ContractTerms, Payer
from throughline_core.money import Money, exponent
from throughline_core.quantity import HOURS_PLACES

Room: TypeAlias = Callable[[Rating], Decimal | None]
"""Returns what the payer of these terms may still pay by its own amount, None if it has none."""

_ONE: Final = Decimal(1)
_NOTHING: Final = Decimal(0)
_WHOLE_PERCENT: Final = Decimal(100)
_HUNDREDTH: Final = Decimal(1).scaleb(-HOURS_PLACES)


class Split:
    """The payers of one price, each with the terms its rows copy.

    Those with an amount of their own pay first, one after the other; the others share what is left
    by percent. Where all have an amount, the last of them bears what is over, and its limit holds
    it.
    """

    def __init__(self, rating: Rating, payers: Sequence[Payer]) -> None:
        shared = [payer for payer in payers if payer.amount is None]
        first = [payer for payer in payers if payer.amount is not None]
        if not shared:
            shared = [first.pop()]
        self._first = [borne_by(rating, payer) for payer in first]
        self._shared = [borne_by(rating, payer) for payer in shared]
        self._weights = [payer.share_percent or _ONE for payer in shared]
        self._rounding = next((index for index, payer in enumerate(shared) if payer.is_rounding), 0)

    def of_hours(self, whole: Portion, room: Room) -> list[tuple[Rating, Portion]]:
        """Return who bears how many of the hours, each a number of hundredths."""
        parts: list[tuple[Rating, Portion]] = []
        for rating in self._first:
            part = _fitting_hours(rating, whole, room(rating))
            if part is not None:
                parts.append((rating, part))
                whole = less(rating, whole, part)
                if not whole.quantity:
                    return parts
        return parts + self._share_hours(whole)

    def of_amount(self, whole: Money, room: Room) -> list[tuple[Rating, Portion]]:
        """Return who bears how much of an agreed amount, each part priced as one."""
        parts: list[tuple[Rating, Portion]] = []
        for rating in self._first:
            part = _fitting_amount(whole, room(rating))
            if not part.is_zero:
                parts.append(_priced(rating, part))
                whole -= part
                if whole.is_zero:
                    return parts
        return parts + self._share_amount(whole)

    def _share_hours(self, whole: Portion) -> list[tuple[Rating, Portion]]:
        hundredths = int(whole.quantity / _HUNDREDTH)
        shares = apportion(hundredths, self._weights, rounding=self._rounding)
        if not hundredths:
            return [(self._shared[self._rounding], whole)]
        # Whoever bears no hour bears no minute.
        rounding = self._rounding if shares[self._rounding] else _greatest(shares)
        minutes = apportion(whole.minutes, [abs(share) for share in shares], rounding=rounding)
        return [
            (rating, portion_of(rating.unit_rate, share * _HUNDREDTH, minutes=part))
            for rating, share, part in zip(self._shared, shares, minutes, strict=True)
            if share
        ]

    def _share_amount(self, whole: Money) -> list[tuple[Rating, Portion]]:
        unit = _ONE.scaleb(-exponent(whole.currency))
        units = apportion(int(whole.amount / unit), self._weights, rounding=self._rounding)
        parts = [Money(each * unit, whole.currency) for each in units]
        # What is finer than a cent goes where the cents go.
        parts[self._rounding] += whole - Money.total(parts, whole.currency)
        if whole.is_zero:
            return [_priced(self._shared[self._rounding], whole)]
        return [
            _priced(rating, part)
            for rating, part in zip(self._shared, parts, strict=True)
            if not part.is_zero
        ]


def apportion(units: int, weights: Sequence[Decimal | int], *, rounding: int) -> list[int]:
    """Share whole units out by weight; the parts sum to them, and `rounding` alone evens them out.

    Every other part is its share to the nearest unit, halves towards nought. Should that leave
    the one at `rounding` less than nothing, as it may of very few units, the others' parts are cut
    to whole units instead. Negative units are shared as their magnitude is.
    """
    total, magnitude = sum(map(Decimal, weights), _NOTHING), abs(units)
    exact = [magnitude * weight / total for weight in weights]
    for how in (ROUND_HALF_DOWN, ROUND_DOWN):
        parts = [int(share.to_integral_value(how)) for share in exact]
        parts[rounding] = magnitude - (sum(parts) - parts[rounding])
        if parts[rounding] >= 0:
            break
    return parts if units >= 0 else [-part for part in parts]


def borne_by(rating: Rating, payer: Payer) -> Rating:
    """Return the terms that the rows of one payer copy."""
    explanation, share = rating.explanation, _share_of(payer)
    if payer.amount is not None:
        explanation = f"{explanation}; this payer bears up to {payer.amount} of the contract"
    elif share is not None:
        explanation = f"{explanation}; this payer bears {share.normalize():f} % of it"
    return replace(
        rating,
        bill_to_customer_id=payer.customer_id,
        share_percent=share,
        purchase_order_number=payer.purchase_order_number or rating.purchase_order_number,
        explanation=explanation,
    )


def is_unsplit(row: Row, agreement: Agreement) -> bool:
    """Whether the row bills all of a thing to one customer although its terms name several payers.

    Such rows are from before several payers were billed; they were held for it.
    """
    rating = row.rating
    return rating.share_percent is None and any(
        len(terms.payers) > 1 and terms.contract_version == rating.contract_version
        for terms in agreement.versions
    )


def has_moved(rows: Iterable[Row], item: SourceItem, agreement: Agreement) -> bool:
    """Whether somebody else pays for a thing by now, or for another share, than its rows say.

    Several payers are those of the terms of the day, a single one is that of the newest terms.
    """
    found = None
    if item.contract_line_id is not None:
        found = agreement.line_on(item.contract_line_id, item.service_from)
    if found is None:
        return False
    bears = _bearers(found[0], agreement.newest)
    return any(
        (row.rating.bill_to_customer_id, row.rating.share_percent) not in bears for row in rows
    )


def _bearers(terms: ContractTerms, newest: ContractTerms) -> set[tuple[CustomerId, Decimal | None]]:
    if not terms.payers:
        return {(newest.bill_to_customer_id, None)}
    return {(payer.customer_id, _share_of(payer)) for payer in terms.payers}


def _share_of(payer: Payer) -> Decimal | None:
    """Return the share that rows of a payer name: nought where it pays by amount, None of all."""
    if payer.amount is not None:
        return _NOTHING
    return None if payer.share_percent == _WHOLE_PERCENT else payer.share_percent


def payers_of(versions: Iterable[ContractTerms]) -> set[CustomerId]:
    """Return everybody who pays, or paid, for work under these versions of the terms."""
    return {
        customer_id
        for terms in versions
        for customer_id in (
            terms.bill_to_customer_id,
            *(payer.customer_id for payer in terms.payers),
        )
    }


def _priced(rating: Rating, amount: Money) -> tuple[Rating, Portion]:
    part = one_at(amount)
    return rated_at(rating, part), part


def _fitting_hours(rating: Rating, whole: Portion, room: Decimal | None) -> Portion | None:
    """Return the hours a payer still pays by its amount, None if none.

    What gives back goes to whoever pays at the moment.
    """
    if room is None:
        return None
    if whole.quantity >= 0:
        return fitting(rating, whole, room)
    owed = Portion(-whole.quantity, -whole.minutes, -whole.amount)
    return whole if fitting(rating, owed, room) else None


def _fitting_amount(whole: Money, room: Decimal | None) -> Money:
    left = max(room or _NOTHING, _NOTHING)
    if whole.amount < 0:
        return whole if left else Money.zero(whole.currency)
    return fitting_amount(whole, left)


def _greatest(shares: Sequence[int]) -> int:
    return max(range(len(shares)), key=lambda index: abs(shares[index]))
