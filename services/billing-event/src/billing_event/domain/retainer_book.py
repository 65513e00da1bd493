"""What a batch draws on retainers, gives back to them, and what becomes of periods that end."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
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
from billing_event.domain.retainer_movement import Drawn, Lapsed, Movement
from billing_event.domain.source import ContractLineId
from billing_event.domain.terms import RollOver
from throughline_core.money import Money

_NOTHING: Final = Decimal(0)


class RetainerBook:
    """The periods a batch meets, all locked, by line and in order of time.

    `origins` tell of rows drawn earlier which period's block paid for them, `lapses` what lapsed
    earlier, by period and block. `movements` is what has to be written, `told` the periods whose
    change is told of, `lapsed` what of them was lost, below zero what is there again, and
    `overdrawn` the periods of which more or less is drawn than they grant.
    """

    def __init__(
        self,
        periods: Iterable[RetainerPeriod] = (),
        origins: Mapping[BillingEventId, RetainerPeriodId] | None = None,
        lapses: Mapping[tuple[RetainerPeriodId, RetainerPeriodId], Lapsed] | None = None,
    ) -> None:
        self.movements: list[Movement] = []
        self.changed: dict[RetainerPeriodId, RetainerPeriod] = {}
        self.told: dict[RetainerPeriodId, RetainerPeriod] = {}
        self.lapsed: dict[RetainerPeriodId, Decimal] = {}
        self.overdrawn: dict[RetainerPeriodId, RetainerPeriod] = {}
        self._origins = dict(origins or {})
        self._lapses = dict(lapses or {})
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
        """Open the periods of a line that have begun, and close those that are over.

        One whose terms are not known waits, for they say what becomes of its rest.
        """
        for period in self.periods_of(line_id):
            if period.terms is None:
                continue
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
        self._make_good(period, bucket)
        self._end_again(period)

    def top_up(self, period: RetainerPeriod, quantity: Decimal, price: Money) -> None:
        """Add to the block of a period; its hours are worth the average from then on."""
        self._add(period, MovementKind.TOP_UP, quantity, price.amount)
        self._tell(period)

    def follow(self, period: RetainerPeriod, block: Block) -> None:
        """Bring an open period to the block that is agreed of it now."""
        quantity = block.quantity - period.block.quantity
        value = (block.price - period.block.price).amount
        period.block = block
        self._add(period, MovementKind.GRANT, quantity, value)
        self._tell(period)

    def void(self, period: RetainerPeriod, added: Iterable[tuple[Decimal, Money]]) -> None:
        """Take back the block and what was `added` to it of a period that no day is left of."""
        block = period.block
        if period.status is not PeriodStatus.PLANNED:
            self._add(period, MovementKind.GRANT, -block.quantity, -block.price.amount)
        for quantity, price in added:
            self._add(period, MovementKind.TOP_UP, -quantity, -price.amount)
        nothing = Money.zero(block.price.currency)
        period.block = replace(block, quantity=_NOTHING, price=nothing)
        period.status = PeriodStatus.VOID
        self._close(period)

    def plan_again(
        self, period: RetainerPeriod, block: Block, added: Iterable[tuple[Decimal, Money]]
    ) -> None:
        """Plan a void period again, with what was `added` to its block before."""
        period.status, period.block = PeriodStatus.PLANNED, block
        for quantity, price in added:
            self._add(period, MovementKind.TOP_UP, quantity, price.amount)
        self._tell(period)

    def reopen(self, period: RetainerPeriod) -> None:
        """Undo the end of a period, as far as what it carried on was not drawn since.

        The one after it has been reopened before.
        """
        period.status = PeriodStatus.OPEN
        period.carry_expires_on = None
        own_id = period.retainer_period_id
        for key in [each for each in self._lapses if each[0] == own_id]:
            lost = self._lapses.pop(key)
            bucket = self._bucket(period, key[1])
            bucket.quantity += lost.quantity
            bucket.value += lost.value
            period.lapsed -= lost.quantity
            self.lapsed[own_id] = self.lapsed.get(own_id, _NOTHING) - lost.value
            self._move(period, key[1], MovementKind.LAPSE, lost.quantity, lost.value)
        for later in self.periods_of(period.block.contract_line_id):
            if self._source_of(later) is period:
                for bucket in later.buckets.values():
                    if bucket.origin_period_id != later.retainer_period_id:
                        self._recall(later, period, bucket, bucket.quantity, bucket.value)
        self._add(period, MovementKind.GRANT)
        self._tell(period)

    def renew_expiries(self, line_id: ContractLineId) -> None:
        """Bring the last days of all that is left of a line's blocks to its periods as they are."""
        for period in self.periods_of(line_id):
            for bucket in period.buckets.values():
                origin = self._by_id[bucket.origin_period_id]
                expires_on = self._last_day_in(period, origin)
                if bucket.expires_on != expires_on and origin.terms is not None:
                    bucket.expires_on = expires_on
                    self.changed[period.retainer_period_id] = period
            if period.carry_expires_on is not None and period.terms is not None:
                period.carry_expires_on = self._expiry(period)

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
        self._add(period, MovementKind.GRANT, block.quantity, block.price.amount)
        self._tell(period)

    def _add(
        self,
        period: RetainerPeriod,
        kind: MovementKind,
        quantity: Decimal = _NOTHING,
        value: Decimal = _NOTHING,
    ) -> None:
        """Grant so much more of a period's own block, or less, and let it meet what is overdrawn.

        What is to be taken off and was drawn before is overdrawn, until something makes it good.
        """
        own = self._bucket(period, period.retainer_period_id)
        left = own.quantity - period.overdrawn + quantity
        worth = own.value - period.overdrawn_value + value
        moved = max(left, _NOTHING) - own.quantity
        paid = max(worth, _NOTHING) - own.value
        own.quantity += moved
        own.value += paid
        period.granted += moved
        overdrawn = max(-left, _NOTHING), max(-worth, _NOTHING)
        if overdrawn != (period.overdrawn, period.overdrawn_value):
            period.overdrawn, period.overdrawn_value = overdrawn
            self.overdrawn[period.retainer_period_id] = period
            self.changed[period.retainer_period_id] = period
        if moved or paid:
            self._move(period, own.origin_period_id, kind, moved, paid)

    def _make_good(self, period: RetainerPeriod, bucket: Bucket) -> None:
        """Take what was given back off what is overdrawn of its block, wherever it was drawn."""
        origin = self._by_id[bucket.origin_period_id]
        at = period
        while at is not origin and origin.is_overdrawn:
            before = self._source_of(at)
            assert before is not None, "what is drawn elsewhere was carried on"
            held = at.buckets[origin.retainer_period_id]
            quantity = min(held.quantity, origin.overdrawn)
            value = min(held.value, origin.overdrawn_value)
            is_all = quantity == held.quantity
            self._recall(at, before, held, quantity, held.value if is_all else value)
            at = before
        if at is origin and origin.is_overdrawn:
            self._add(origin, MovementKind.GRANT)
            self._tell(origin)
            if origin is not period:
                self._end_again(origin)

    def _recall(
        self,
        period: RetainerPeriod,
        before: RetainerPeriod,
        bucket: Bucket,
        quantity: Decimal,
        value: Decimal,
    ) -> None:
        """Take a part of what was carried on into a period back to the one `before`."""
        if not (quantity or value):
            return
        origin = bucket.origin_period_id
        bucket.quantity -= quantity
        bucket.value -= value
        period.carried_in -= quantity
        self._move(period, origin, MovementKind.CARRY_IN, -quantity, -value)
        self._tell(period)
        back = self._bucket(before, origin)
        back.quantity += quantity
        back.value += value
        before.carried_out -= quantity
        self._move(before, origin, MovementKind.CARRY_OUT, quantity, value)
        self._tell(before)

    def _end_again(self, period: RetainerPeriod) -> None:
        """Settle what came back to a period that is over; until its terms are known it waits."""
        if period.status is PeriodStatus.CLOSED and period.terms is None:
            period.status = PeriodStatus.OPEN
            self._tell(period)
        elif period.status in (PeriodStatus.CLOSED, PeriodStatus.VOID):
            self._close(period)

    def _close(self, period: RetainerPeriod) -> None:
        """Carry the rest of a period on, the part that lasts longest first; the other lapses."""
        is_void = period.status is PeriodStatus.VOID
        period.status = PeriodStatus.VOID if is_void else PeriodStatus.CLOSED
        following = None if is_void else self._following(period)
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
        if following is not None:
            self._end_again(following)

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
        key = period.retainer_period_id, bucket.origin_period_id
        before = self._lapses.get(key, Lapsed())
        self._lapses[key] = Lapsed(before.quantity + quantity, before.value + value)
        self._move(period, bucket.origin_period_id, MovementKind.LAPSE, -quantity, -value)

    def _bucket(self, period: RetainerPeriod, origin_id: RetainerPeriodId) -> Bucket:
        found = period.buckets.get(origin_id)
        if found is None:
            origin = self._by_id[origin_id]
            expires_on = self._last_day_in(period, origin)
            found = Bucket(origin_id, origin.block.service.start, expires_on, _NOTHING, _NOTHING)
            period.buckets[origin_id] = found
        return found

    def _following(self, period: RetainerPeriod) -> RetainerPeriod | None:
        line = self._agreed(period.block.contract_line_id)
        index = line.index(period) + 1
        return line[index] if index < len(line) else None

    def _source_of(self, period: RetainerPeriod) -> RetainerPeriod | None:
        """Return the period that what was carried on into this one came from."""
        line = self._by_line[period.block.contract_line_id]
        earlier = reversed(line[: line.index(period)])
        return next((each for each in earlier if each.carried_out), None)

    def _last_day_in(self, period: RetainerPeriod, origin: RetainerPeriod) -> date | None:
        """Return the last day of work that may draw in a period on the block of another, or own."""
        return period.last_day if origin is period else self._expiry(origin)

    def _expiry(self, origin: RetainerPeriod) -> date | None:
        """Return the last day what is carried on from a period can be drawn, None for any day."""
        terms = origin.terms
        if terms is None or terms.roll_over is RollOver.NONE or origin.status is PeriodStatus.VOID:
            return origin.last_day
        if terms.expires_after_periods == 0:
            return None
        periods = self._agreed(origin.block.contract_line_id)
        index = periods.index(origin) + terms.expires_after_periods
        return periods[min(index, len(periods) - 1)].last_day

    def _agreed(self, line_id: ContractLineId) -> list[RetainerPeriod]:
        return [each for each in self._by_line[line_id] if each.status is not PeriodStatus.VOID]

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
