"""What a batch draws on retainers, gives back to them, and what becomes of periods that end."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from billing_event.domain.position import BillingEventId, Row
from billing_event.domain.retainer import (
    HOURS,
    Block,
    Bucket,
    MovementKind,
    PeriodStatus,
    RetainerPeriod,
    RetainerPeriodId,
)
from billing_event.domain.source import ContractLineId
from billing_event.domain.terms import RollOver
from throughline_core.money import Money

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of a period's statement: how much of which period's block, and what it was paid.

    Quantity and value are of the sign in which they move the balance.
    """

    retainer_period_id: RetainerPeriodId
    origin_period_id: RetainerPeriodId
    kind: MovementKind
    quantity: Decimal
    value: Decimal
    billing_event_id: BillingEventId | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A part of some work that a bucket of a period pays for: so much of it, paid so much."""

    period: RetainerPeriod
    bucket: Bucket
    quantity: Decimal
    value: Decimal


class RetainerBook:
    """The periods a batch meets, all locked, by line and in order of time.

    `origins` tell of rows drawn earlier which period's block paid for them. `movements` is what has
    to be written, `told` the periods whose change is told of, and `lapsed` what of them was lost.
    """

    def __init__(
        self,
        periods: Iterable[RetainerPeriod] = (),
        origins: Mapping[BillingEventId, RetainerPeriodId] | None = None,
    ) -> None:
        self.movements: list[Movement] = []
        self.changed: dict[RetainerPeriodId, RetainerPeriod] = {}
        self.told: dict[RetainerPeriodId, RetainerPeriod] = {}
        self.lapsed: dict[RetainerPeriodId, Decimal] = {}
        self._origins = dict(origins or {})
        self._by_line: dict[ContractLineId, list[RetainerPeriod]] = {}
        self._by_id: dict[RetainerPeriodId, RetainerPeriod] = {}
        for period in sorted(periods, key=lambda each: each.block.service.start):
            self._by_line.setdefault(period.block.contract_line_id, []).append(period)
            self._by_id[period.retainer_period_id] = period

    @property
    def lines(self) -> Sequence[ContractLineId]:
        return list(self._by_line)

    def get(self, retainer_period_id: RetainerPeriodId) -> RetainerPeriod | None:
        return self._by_id.get(retainer_period_id)

    def periods_of(self, line_id: ContractLineId) -> Sequence[RetainerPeriod]:
        return self._by_line.get(line_id, ())

    def turn(self, line_id: ContractLineId, today: date) -> None:
        """Open the periods of a line that have begun, and close those that are over."""
        for period in self.periods_of(line_id):
            if period.status is PeriodStatus.PLANNED and period.block.service.start <= today:
                self._open(period)
            if period.status is PeriodStatus.OPEN and period.block.service.end <= today:
                self._close(period)

    def buckets(self, line_id: ContractLineId, day: date) -> list[tuple[RetainerPeriod, Bucket]]:
        """Return what work of a day may draw on, what expires first in front.

        Work of a day whose period is closed draws on what was carried on from it.
        """
        for period in self.periods_of(line_id):
            if period.status is PeriodStatus.PLANNED and day in period.block.service:
                self._open(period)
        found = [
            (period, bucket)
            for period in self.periods_of(line_id)
            if period.status is PeriodStatus.OPEN
            for bucket in period.buckets.values()
            if bucket.quantity > 0 and bucket.is_for(day)
        ]
        return sorted(found, key=lambda each: each[1].sooner)

    def take(self, drawn: Drawn, row: Row) -> None:
        """Draw what a row bills on the bucket that pays for it."""
        period, bucket = drawn.period, drawn.bucket
        bucket.quantity -= drawn.quantity
        bucket.value -= drawn.value
        period.drawn += drawn.quantity
        origin = bucket.origin_period_id
        self._origins[row.billing_event_id] = origin
        self._move(period, origin, MovementKind.DRAW, -drawn.quantity, -drawn.value, row)

    def give_back(self, mirrored: Row, row: Row) -> None:
        """Give back what a row drew, that `mirrored` takes back.

        To the period it was drawn on. One that is closed settles it like the rest it had at its
        end: it is carried on as far as there is room for it, and lapses beyond.
        """
        assert row.retainer_period_id is not None, "a draw names its period"
        period = self._by_id[RetainerPeriodId(row.retainer_period_id)]
        value = row.amount.amount
        quantity = row.quantity if period.block.unit == HOURS else value
        origin = self._origins[row.billing_event_id]
        bucket = self._bucket(period, origin)
        bucket.quantity += quantity
        bucket.value += value
        period.drawn -= quantity
        self._move(period, origin, MovementKind.GIVE_BACK, quantity, value, mirrored)
        if period.status is PeriodStatus.CLOSED:
            self._close(period)

    def top_up(self, period: RetainerPeriod, quantity: Decimal, price: Money) -> None:
        """Add to the block of a period; its hours are worth the average from then on."""
        bucket = self._bucket(period, period.retainer_period_id)
        bucket.quantity += quantity
        bucket.value += price.amount
        period.granted += quantity
        self._move(period, bucket.origin_period_id, MovementKind.TOP_UP, quantity, price.amount)
        self._tell(period)

    def shorten(self, period: RetainerPeriod, block: Block) -> Decimal:
        """Take off what a period that ends early does not grant after all.

        Returns how much of that was drawn before, in the period's unit.
        """
        own = self._bucket(period, period.retainer_period_id)
        over = period.block.quantity - block.quantity
        quantity = min(over, own.quantity)
        value = min((period.block.price - block.price).amount, own.value)
        own.quantity -= quantity
        own.value -= value
        period.granted -= quantity
        period.block = block
        own.expires_on = period.last_day
        self._move(period, own.origin_period_id, MovementKind.GRANT, -quantity, -value)
        self._tell(period)
        return over - quantity

    def preview(self, period: RetainerPeriod) -> tuple[Decimal, Decimal, Decimal]:
        """Return what would be carried on and what would lapse if a period ended now.

        The third is what that was paid; nothing changes.
        """
        trial = RetainerBook(deepcopy(list(self.periods_of(period.block.contract_line_id))))
        copy = trial._by_id[period.retainer_period_id]
        carried, lapsed = copy.carried_out, copy.lapsed
        if copy.status is PeriodStatus.PLANNED:
            trial._open(copy)
        trial._close(copy)
        value = trial.lapsed.get(copy.retainer_period_id, _NOTHING)
        return copy.carried_out - carried, copy.lapsed - lapsed, value

    def _open(self, period: RetainerPeriod) -> None:
        block = period.block
        period.status = PeriodStatus.OPEN
        period.granted += block.quantity
        own = self._bucket(period, period.retainer_period_id)
        own.quantity += block.quantity
        own.value += block.price.amount
        origin, price = own.origin_period_id, block.price.amount
        self._move(period, origin, MovementKind.GRANT, block.quantity, price)
        self._tell(period)

    def _close(self, period: RetainerPeriod) -> None:
        """Carry the rest of a period on, the part that lasts longest first; the other lapses."""
        period.status = PeriodStatus.CLOSED
        following = self._following(period)
        period.carry_expires_on = self._expiry(period) if following else None
        room = period.carry_max - period.carried_out if following else _NOTHING
        for bucket in sorted(period.buckets.values(), key=lambda each: each.sooner, reverse=True):
            is_own = bucket.origin_period_id == period.retainer_period_id
            expires_on = period.carry_expires_on if is_own else bucket.expires_on
            lasts = expires_on is None or expires_on > period.last_day
            carried = min(bucket.quantity, max(room, _NOTHING)) if lasts else _NOTHING
            if carried and following is not None:
                room -= carried
                self._carry(period, following, bucket, carried, expires_on)
            if bucket.quantity or bucket.value:
                self._lapse(period, bucket)
        self._tell(period)
        if following is not None and following.status is PeriodStatus.CLOSED:
            self._close(following)

    def _carry(
        self,
        period: RetainerPeriod,
        following: RetainerPeriod,
        bucket: Bucket,
        quantity: Decimal,
        expires_on: date | None,
    ) -> None:
        value = bucket.value_of(quantity, period.block.price.currency)
        bucket.quantity -= quantity
        bucket.value -= value
        period.carried_out += quantity
        origin = bucket.origin_period_id
        self._move(period, origin, MovementKind.CARRY_OUT, -quantity, -value)
        if following.status is PeriodStatus.PLANNED:
            self._open(following)
        into = self._bucket(following, origin)
        into.expires_on = expires_on
        into.quantity += quantity
        into.value += value
        following.carried_in += quantity
        self._move(following, origin, MovementKind.CARRY_IN, quantity, value)
        self._tell(following)

    def _lapse(self, period: RetainerPeriod, bucket: Bucket) -> None:
        quantity, value = bucket.quantity, bucket.value
        bucket.quantity = bucket.value = _NOTHING
        period.lapsed += quantity
        lapsed = self.lapsed.get(period.retainer_period_id, _NOTHING)
        self.lapsed[period.retainer_period_id] = lapsed + value
        self._move(period, bucket.origin_period_id, MovementKind.LAPSE, -quantity, -value)

    def _bucket(self, period: RetainerPeriod, origin_id: RetainerPeriodId) -> Bucket:
        found = period.buckets.get(origin_id)
        if found is None:
            origin = self._by_id[origin_id]
            is_own = origin_id == period.retainer_period_id
            expires_on = period.last_day if is_own else self._expiry(origin)
            found = Bucket(origin_id, origin.block.service.start, expires_on, _NOTHING, _NOTHING)
            period.buckets[origin_id] = found
        return found

    def _following(self, period: RetainerPeriod) -> RetainerPeriod | None:
        line = self._by_line[period.block.contract_line_id]
        index = line.index(period) + 1
        return line[index] if index < len(line) else None

    def _expiry(self, origin: RetainerPeriod) -> date | None:
        """Return the last day what is carried on from a period can be drawn, None for any day."""
        periods, terms = self._by_line[origin.block.contract_line_id], origin.terms
        if terms.roll_over is RollOver.NONE:
            return origin.last_day
        if terms.expires_after_periods == 0:
            return None
        index = periods.index(origin) + terms.expires_after_periods
        return periods[min(index, len(periods) - 1)].last_day

    def _move(
        self,
        period: RetainerPeriod,
        origin_id: RetainerPeriodId,
        kind: MovementKind,
        quantity: Decimal,
        value: Decimal,
        row: Row | None = None,
    ) -> None:
        row_id = None if row is None else row.billing_event_id
        self.changed[period.retainer_period_id] = period
        self.movements.append(
            Movement(period.retainer_period_id, origin_id, kind, quantity, value, row_id)
        )

    def _tell(self, period: RetainerPeriod) -> None:
        self.changed[period.retainer_period_id] = period
        self.told[period.retainer_period_id] = period
