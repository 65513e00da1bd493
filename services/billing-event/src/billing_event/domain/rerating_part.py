"""Parts of a thing by payer and rate: what is billed, what should be, and what was approved."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from billing_event.domain.position import Row, Treatment, Unit
from billing_event.domain.rating import Share
from billing_event.domain.source import CustomerId
from throughline_core.rounding import exact_product

_NOTHING: Final = Decimal(0)


class PartKey(NamedTuple):
    """What rows of one thing have in common that may stand on one line of an invoice."""

    payer: CustomerId
    unit: Unit
    rate: Decimal
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class Part:
    """One payer's part of a thing at one rate: what is billed, and what should be."""

    key: PartKey
    old: Decimal
    new: Decimal

    @property
    def difference(self) -> Decimal:
        """What is to be posted: a quantity that is exact times the rate."""
        return exact_product(self.key.rate, self.new - self.old)


def is_as_approved(approved: Sequence[Part], now: Sequence[Part], shares: Sequence[Share]) -> bool:
    """Whether what a run would post now is what was approved.

    Payers by amount pay as long as it lasts, so which of them bears a thing may have changed; its
    price has not.
    """
    if tuple(approved) == tuple(now):
        return True
    is_by_amount = any(share.rating.share_percent == 0 for share in shares)
    return is_by_amount and _by_price(approved) == _by_price(now)


def parts_of(live: Sequence[Row], shares: Sequence[Share] | None) -> tuple[Part, ...]:
    """Return the parts of a thing, old by its rows and new by its shares; None = as they are."""
    if len(live) == 1 and shares is not None and len(shares) == 1:
        return _parts_of_pair(live[0], shares[0])
    old: dict[PartKey, Decimal] = {}
    for row in live:
        key = key_of_row(row)
        old[key] = old.get(key, _NOTHING) + row.quantity
    new: dict[PartKey, Decimal] = {}
    for share in shares or ():
        key = key_of_share(share)
        new[key] = new.get(key, _NOTHING) + share.portion.quantity
    if shares is None:
        new = old
    billed = _put_together(old, new)
    return tuple(
        Part(key, billed.get(key, _NOTHING), new.get(key, _NOTHING))
        for key in sorted({**billed, **new})
        if billed.get(key) or new.get(key)
    )


def _put_together(
    old: Mapping[PartKey, Decimal], new: Mapping[PartKey, Decimal]
) -> Mapping[PartKey, Decimal]:
    """Return what is billed, in the parts it should be where the sum of them is the same.

    An agreed amount that was cut has parts at prices of their own: their sum is what was agreed.
    """
    billed, agreed = _amounts_of(old), _amounts_of(new)
    same = {group for group, amount in agreed.items() if billed.get(group) == amount}
    other = {key: quantity for key, quantity in old.items() if _amount_group(key) not in same}
    return {**other, **{key: new[key] for key in new if _amount_group(key) in same}}


def _amounts_of(parts: Mapping[PartKey, Decimal]) -> Mapping[tuple[object, ...], Decimal]:
    sums: dict[tuple[object, ...], Decimal] = {}
    for key, quantity in parts.items():
        if key.unit is not Unit.HOUR:
            group = _amount_group(key)
            sums[group] = sums.get(group, _NOTHING) + exact_product(key.rate, quantity)
    return sums


def _amount_group(key: PartKey) -> tuple[object, ...]:
    return key.payer, key.unit, key.treatment


def _parts_of_pair(row: Row, share: Share) -> tuple[Part, ...]:
    """Return the parts of what has one row and one share: nearly everything."""
    old, new = key_of_row(row), key_of_share(share)
    if old == new:
        return (Part(old, row.quantity, share.portion.quantity),)
    parts = Part(old, row.quantity, _NOTHING), Part(new, _NOTHING, share.portion.quantity)
    return parts if old < new else parts[::-1]


def key_of_row(row: Row) -> PartKey:
    """Return the part of its thing that a row belongs to."""
    rating = row.rating
    return PartKey(
        rating.bill_to_customer_id, rating.unit, rating.unit_rate.amount, rating.treatment
    )


def key_of_share(share: Share) -> PartKey:
    """Return the part of its thing that a share is."""
    rating = share.rating
    return PartKey(
        rating.bill_to_customer_id, rating.unit, rating.unit_rate.amount, rating.treatment
    )


def fingerprint(parts: Iterable[Part]) -> list[list[str]]:
    """Return the parts as they are kept, equal for equal parts."""
    return [
        [
            str(part.key.payer),
            part.key.unit,
            _plain(part.key.rate),
            part.key.treatment,
            _plain(part.old),
            _plain(part.new),
        ]
        for part in parts
    ]


def parts_from(kept: Iterable[Sequence[str]]) -> tuple[Part, ...]:
    """Return the parts of a fingerprint."""
    return tuple(
        Part(
            PartKey(CustomerId(UUID(payer)), Unit(unit), Decimal(rate), Treatment(treatment)),
            Decimal(old),
            Decimal(new),
        )
        for payer, unit, rate, treatment, old, new in kept
    )


def has_same_price(parts: Iterable[Part]) -> bool:
    """Whether nothing of the money changes, whoever pays."""
    by_price: dict[tuple[Unit, Treatment, Decimal | None], Decimal] = {}
    for part in parts:
        key = part.key
        # A payer's part of an amount is a rate of its own: only their sums can be compared.
        rate = key.rate if key.unit is Unit.HOUR else None
        moved = part.new - part.old if key.unit is Unit.HOUR else part.difference
        price = key.unit, key.treatment, rate
        by_price[price] = by_price.get(price, _NOTHING) + moved
    return not any(by_price.values())


def _by_price(parts: Iterable[Part]) -> dict[tuple[Unit, Decimal], list[Decimal]]:
    sums: dict[tuple[Unit, Decimal], list[Decimal]] = {}
    for part in parts:
        old_new = sums.setdefault((part.key.unit, part.key.rate), [_NOTHING, _NOTHING])
        old_new[0] += part.old
        old_new[1] += part.new
    return sums


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
