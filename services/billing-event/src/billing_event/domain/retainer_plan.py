"""Brings the periods of a retainer to blocks that an end, moved or given up, leaves of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.recurring import RecurringPeriod, corrections
from billing_event.domain.retainer import Block, PeriodStatus, RetainerPeriod, RetainerPeriodId
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.source import ContractLineId
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class Replan:
    """What is agreed of periods by now, and what of them stays as it is.

    `kept` are periods that do not follow, see `kept_of`. `added` is what approved top-ups added to
    their blocks, `new` are periods not known before.
    """

    blocks: Mapping[RetainerPeriodId, Block]
    kept: Collection[RetainerPeriodId] = ()
    added: Mapping[RetainerPeriodId, Sequence[tuple[Decimal, Money]]] = field(default_factory=dict)
    new: Collection[RetainerPeriodId] = ()

    def ends(self, period: RetainerPeriod) -> bool:
        """Whether no day of a period is left any more."""
        is_left = period.retainer_period_id in self.blocks or period.retainer_period_id in self.kept
        return not is_left and period.status is not PeriodStatus.VOID

    def returns(self, period: RetainerPeriod) -> bool:
        """Whether days of a period are left after all."""
        is_left = period.retainer_period_id in self.blocks
        return is_left and period.status is PeriodStatus.VOID

    def follows(self, period: RetainerPeriod) -> bool:
        """Whether another block is agreed of a period that has begun; others have it already."""
        block, before = self.blocks.get(period.retainer_period_id), period.block
        if block is None or period.retainer_period_id in self.kept:
            return False
        # What a period holds is of one unit to its end.
        if block.unit != before.unit or block.price.currency != before.price.currency:
            return False
        is_begun = period.status in (PeriodStatus.OPEN, PeriodStatus.CLOSED)
        is_same = (block.quantity, block.price) == (before.quantity, before.price)
        return is_begun and not (is_same and block.service == before.service)


def kept_of(
    agreement: Agreement, periods: Iterable[RetainerPeriod], charged: Sequence[RecurringPeriod]
) -> list[RetainerPeriodId]:
    """Return the periods that stay as they are whatever is agreed.

    What was charged is granted: a block follows only where its charge does. And while terms of its
    first day have not arrived nobody can tell.
    """
    moved = {each.recurring_period_id for each in corrections(agreement, charged)}
    stays: set[UUID] = {
        each.recurring_period_id for each in charged if each.recurring_period_id not in moved
    }
    return [
        each.retainer_period_id
        for each in periods
        if each.retainer_period_id in stays or agreement.on(each.block.service.start) is None
    ]


def replan(book: RetainerBook, line_id: ContractLineId, wanted: Replan) -> bool:
    """Bring the periods of a line to what is agreed of them now; return whether any had to move.

    What the end of a period brought counts on its block, and on there being a period after it:
    ends that counted on other ones are undone, for the book to `turn` the periods again.
    """
    periods = book.periods_of(line_id)
    ending, returning, following = (
        [each for each in periods if is_so(each)]
        for is_so in (wanted.ends, wanted.returns, wanted.follows)
    )
    over = [each for each in periods[_first(periods, wanted) :] if _is_over(each)]
    over += [each for each in returning if each not in over]
    for period in sorted(over, key=periods.index, reverse=True):
        book.reopen(period)
    for period in ending:
        book.void(period, wanted.added.get(period.retainer_period_id, ()))
    for period in returning:
        added = wanted.added.get(period.retainer_period_id, ())
        book.plan_again(period, wanted.blocks[period.retainer_period_id], added)
    for period in following:
        book.follow(period, wanted.blocks[period.retainer_period_id])
    book.renew_expiries(line_id)
    return bool(over or ending or following)


def _is_over(period: RetainerPeriod) -> bool:
    return period.status is PeriodStatus.CLOSED


def _first(periods: Sequence[RetainerPeriod], wanted: Replan) -> int:
    """Return from which period on ends are undone; all of them had to be, it is past the last."""
    before = 0
    for index, period in enumerate(periods):
        is_new = period.retainer_period_id in wanted.new
        if is_new or wanted.ends(period) or wanted.returns(period):
            # The one before it carries its rest on into this one, or does so no longer.
            return before
        if wanted.follows(period):
            return index
        if period.status is not PeriodStatus.VOID:
            before = index
    return len(periods)
