"""What becomes of retainers: their periods begin, end and are cut short, and people add to them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import keep_retainer, rate
from billing_event.domain import retainer_top_up as domain
from billing_event.domain.agreement import Agreement
from billing_event.domain.recurring import has_end
from billing_event.domain.retainer import Block, PeriodStatus, RetainerPeriod, RetainerPeriodId
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.retainer_top_up import RetainerTopUpId, TopUp
from billing_event.repository import fact, retainer, retainer_top_up
from throughline_core.money import Money
from throughline_runtime import audit, exceptions
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

TURNED_MAX: Final = 500
"""Contracts whose periods begin or end in one transaction."""

OVERDRAWN: Final = "retainer.drawn_beyond_end"


async def plan(tx: AsyncConnection, agreements: Sequence[Agreement], *, at: datetime) -> None:
    """Bring periods to the terms; those an end cuts short grant less from then on.

    What was drawn before beyond that stays drawn, and is for people to agree on.
    """
    blocks = {each.retainer_period_id: each for each in await retainer.plan_periods(tx, agreements)}
    ended = {each.newest.contract_id: each for each in agreements if has_end(each)}
    book = await retainer.lock(tx, ended)
    overdrawn: list[tuple[RetainerPeriod, Decimal]] = []
    for line_id in book.lines:
        for period in book.periods_of(line_id):
            wanted = blocks.get(period.retainer_period_id) or domain.void(period.block)
            if period.status is PeriodStatus.OPEN and _is_less(wanted, period.block):
                over = book.shorten(period, wanted)
                if over:
                    overdrawn.append((period, over))
    await exceptions.open_all(tx, (_halt(period, over) for period, over in overdrawn))
    await keep_retainer.keep(tx, book, at=at)


async def turn_due(tx: AsyncConnection, today: Mapping[str, date], *, at: datetime) -> int:
    """Open the periods that have begun and close those that are over; return of how many contracts.

    Days on which nobody looked are caught up, because what is open and over is still to be closed.
    """
    due = await retainer.due(tx, today, limit=TURNED_MAX)
    if not due:
        return 0
    _, agreements = await fact.load_agreements(tx, due)
    book = await retainer.lock(tx, agreements)
    for line_id in book.lines:
        [zone] = {
            agreements[period.block.contract_id].newest.time_zone
            for period in book.periods_of(line_id)
        }
        book.turn(line_id, today[zone])
    await keep_retainer.keep(tx, book, at=at)
    return len(due)


async def propose_top_up(
    tx: AsyncConnection,
    retainer_period_id: RetainerPeriodId,
    quantity: Decimal,
    price: Money,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> TopUp:
    """Propose more of a period's block, which another person approves.

    Raises:
        PeriodNotFound, EntityForbidden: it is not there, or not for the caller.
        PeriodClosed, EmptyTopUp, ForeignPrice: see `domain.retainer_top_up.propose`.
    """
    _, period = await _lock_period(tx, retainer_period_id)
    proposed = domain.propose(
        RetainerTopUpId(new_id()), period, quantity, price, reason=reason, by=by, at=at
    )
    await retainer_top_up.add(tx, proposed)
    audit.touch(tx, retainer_period_id, proposed.retainer_top_up_id)
    return proposed


async def approve_top_up(
    tx: AsyncConnection, top_up_id: RetainerTopUpId, *, by: str, at: datetime, comment: str
) -> TopUp:
    """Add to a period's block and bill that in advance; work it had nothing left for goes on.

    Raises:
        TopUpNotFound, EntityForbidden: it is not there, or not for the caller.
        IllegalTransition, OwnTopUp, PeriodClosed: see `domain.retainer_top_up`.
        StaleVersion: somebody else decided it first.
    """
    epoch = await fact.raise_epoch(tx)
    top_up = await retainer_top_up.get(tx, top_up_id)
    book, period = await _lock_period(tx, top_up.retainer_period_id)
    approved = domain.approve(top_up, period, by=by, at=at, comment=comment)
    await retainer_top_up.save(tx, approved)
    book.top_up(period, approved.quantity, approved.price)
    await keep_retainer.keep(tx, book, at=at)
    await rate.rate(tx, [domain.source_item_of(approved, period.block)], at=at)
    await retainer_top_up.wake(tx, period.block.contract_id, epoch=epoch)
    await rate.reconsider_due(tx, at=at)
    audit.touch(tx, top_up_id, period.retainer_period_id)
    return approved


async def reject_top_up(
    tx: AsyncConnection, top_up_id: RetainerTopUpId, *, by: str, at: datetime, comment: str
) -> TopUp:
    """Turn a top-up down.

    Raises:
        TopUpNotFound, EntityForbidden: it is not there, or not for the caller.
        IllegalTransition: it was decided on before.
        StaleVersion: somebody else decided it first.
    """
    top_up = await retainer_top_up.get(tx, top_up_id)
    rejected = domain.reject(top_up, by=by, at=at, comment=comment)
    await retainer_top_up.save(tx, rejected)
    audit.touch(tx, top_up_id)
    return rejected


async def _lock_period(
    tx: AsyncConnection, retainer_period_id: RetainerPeriodId
) -> tuple[RetainerBook, RetainerPeriod]:
    contract_id = await retainer_top_up.contract_of(tx, retainer_period_id)
    _, agreements = await fact.load_agreements(tx, [contract_id])
    book = await retainer.lock(tx, agreements)
    period = book.get(retainer_period_id)
    assert period is not None, "a period of the contract is locked with it"
    require_entity(period.block.legal_entity_id)
    return book, period


def _is_less(wanted: Block, present: Block) -> bool:
    return wanted.quantity < present.quantity or wanted.price.amount < present.price.amount


def _halt(period: RetainerPeriod, over: Decimal) -> exceptions.Halt:
    block = period.block
    return exceptions.Halt(
        kind=OVERDRAWN,
        subject_id=period.retainer_period_id,
        reason=f"the retainer's period from {block.service.start} ends early and grants"
        f" {block.quantity:f} {block.unit}; {over:f} more were drawn before",
        owner="finance",
        advice="agree with the customer on what was drawn beyond the shorter period, and adjust",
        legal_entity_id=block.legal_entity_id,
        engagement_id=block.engagement_id,
    )
