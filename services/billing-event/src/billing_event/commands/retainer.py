"""What becomes of retainers: their periods begin, end and are cut short, and people add to them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import save
from billing_event.commands import keep_retainer, rate
from billing_event.domain import retainer_top_up as domain
from billing_event.domain.agreement import Agreement
from billing_event.domain.recurring import RecurringPeriod
from billing_event.domain.retainer import Block, RetainerPeriod, RetainerPeriodId, has_retainer
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.retainer_plan import Replan, kept_of, replan
from billing_event.domain.retainer_top_up import RetainerTopUpId, TopUp
from billing_event.domain.source import ContractId
from billing_event.repository import fact, limit, retainer, retainer_top_up
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

TURNED_MAX: Final = 500
"""Contracts whose periods begin or end in one transaction."""


async def plan(
    tx: AsyncConnection,
    agreements: Sequence[Agreement],
    charged: Mapping[ContractId, Sequence[RecurringPeriod]],
    *,
    epoch: int,
    at: datetime,
) -> None:
    """Bring periods to the terms; of those that an end is moved in, more or less is granted.

    A top-up of a period that no day is left of is taken back with it, and comes back with it.
    """
    by_contract = {each.newest.contract_id: each for each in agreements if has_retainer(each)}
    if not by_contract:
        return
    known = await retainer.lock_known(tx, by_contract)
    blocks = await retainer.plan_periods(tx, list(by_contract.values()))
    book = await retainer.lock_to_plan(tx, by_contract)
    top_ups = await retainer_top_up.approved_of(tx, by_contract)
    wanted = _wanted(book, by_contract, charged, blocks=blocks, known=known, top_ups=top_ups)
    steps = [
        domain.repricing(top_up, wanted.blocks.get(top_up.retainer_period_id), version=epoch)
        for top_up in top_ups
        if (period := book.get(top_up.retainer_period_id)) is not None
        if wanted.ends(period) or wanted.returns(period)
    ]
    for line_id in book.lines:
        zone = ZoneInfo(by_contract[book.periods_of(line_id)[0].block.contract_id].newest.time_zone)
        if replan(book, line_id, wanted):
            book.turn(line_id, at.astimezone(zone).date())
    await keep_retainer.keep(tx, book, at=at)
    if steps:
        await save.add_steps(tx, steps, at=at)
        await rate.reconsider(tx, [step.source_item_id for step in steps], at=at)


def _wanted(
    book: RetainerBook,
    agreements: Mapping[ContractId, Agreement],
    charged: Mapping[ContractId, Sequence[RecurringPeriod]],
    *,
    blocks: Sequence[Block],
    known: Collection[RetainerPeriodId],
    top_ups: Sequence[TopUp],
) -> Replan:
    of_contract: dict[ContractId, list[RetainerPeriod]] = {}
    for line_id in book.lines:
        for period in book.periods_of(line_id):
            of_contract.setdefault(period.block.contract_id, []).append(period)
    added: dict[RetainerPeriodId, list[tuple[Decimal, Money]]] = {}
    for top_up in top_ups:
        added.setdefault(top_up.retainer_period_id, []).append((top_up.quantity, top_up.price))
    return Replan(
        blocks={each.retainer_period_id: each for each in blocks},
        kept={
            period_id
            for contract_id, periods in of_contract.items()
            for period_id in kept_of(agreements[contract_id], periods, charged.get(contract_id, ()))
        },
        added=added,
        new={each.retainer_period_id for each in blocks} - set(known),
    )


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
    book, period = await _lock_period(tx, top_up.retainer_period_id, with_limits=True)
    approved = domain.approve(top_up, period, by=by, at=at, comment=comment)
    await retainer_top_up.save(tx, approved)
    book.top_up(period, approved.quantity, approved.price)
    await keep_retainer.keep(tx, book, at=at)
    await rate.rate(tx, [domain.source_item_of(approved, period.block)], at=at)
    await retainer_top_up.wake(tx, period.block.contract_id, epoch=epoch)
    await rate.reconsider_due(tx, at=at, contract_ids=[period.block.contract_id])
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
    tx: AsyncConnection, retainer_period_id: RetainerPeriodId, *, with_limits: bool = False
) -> tuple[RetainerBook, RetainerPeriod]:
    contract_id = await retainer_top_up.contract_of(tx, retainer_period_id)
    _, agreements = await fact.load_agreements(tx, [contract_id])
    if with_limits:
        await limit.lock_of_contracts(tx, agreements)
    book = await retainer.lock(tx, agreements)
    period = book.get(retainer_period_id)
    assert period is not None, "a period of the contract is locked with it"
    require_entity(period.block.legal_entity_id)
    return book, period
