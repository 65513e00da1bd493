"""Rates approved things and looks at held ones again when their cause may be gone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import save
from billing_event.domain import recurring
from billing_event.domain.claim import Acceptance, MilestoneStep
from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldId
from billing_event.domain.source import ContractId, SourceItem, SourceItemId
from billing_event.repository import fact, limit, policy, standing
from billing_event.repository import recurring as calendar
from throughline_runtime import audit

RECONSIDERED_MAX: Final = 2_000
"""Things looked at again in one transaction; the schedule takes up what is left."""

CHARGED_MAX: Final = 5_000
"""Recurring periods charged in one transaction."""

_SLICE: Final = 10_000


async def rate(tx: AsyncConnection, items: Iterable[SourceItem], *, at: datetime) -> int:
    """Keep approved things and rate those not seen before; return how many these were.

    A constant number of statements for each 10,000 things, which bounds the memory they take.
    """
    remaining, total = iter(items), 0
    while found := list(islice(remaining, _SLICE)):
        fresh = await save.add_items(tx, found, at=at)
        if fresh:
            await _rate_fresh(tx, fresh, at=at)
        total += len(fresh)
    return total


async def accept(
    tx: AsyncConnection,
    items: Sequence[SourceItem],
    acceptances: Sequence[Acceptance],
    *,
    at: datetime,
) -> None:
    """Keep the client's sign-offs, and let the milestones go on, or begin, as accepted."""
    fresh = await save.add_items(tx, items, at=at)
    await save.add_acceptances(tx, acceptances, at=at)
    await _go_on(tx, items, fresh, at=at)


async def follow(
    tx: AsyncConnection,
    items: Sequence[SourceItem],
    steps: Sequence[MilestoneStep],
    *,
    at: datetime,
) -> None:
    """Keep that milestones were completed or refused; they are held until they are accepted."""
    fresh = await save.add_items(tx, items, at=at)
    await save.add_steps(tx, steps, at=at)
    await _go_on(tx, items, fresh, at=at)


async def _go_on(
    tx: AsyncConnection,
    items: Sequence[SourceItem],
    fresh: Sequence[SourceItem],
    *,
    at: datetime,
) -> None:
    """Rate what is `fresh` among milestones, and judge the others again."""
    if fresh:
        await _rate_fresh(tx, fresh, at=at)
    new = {item.source_item_id for item in fresh}
    known = [item.source_item_id for item in items if item.source_item_id not in new]
    if known:
        await reconsider(tx, known, at=at)


async def reconsider(
    tx: AsyncConnection,
    source_item_ids: Sequence[SourceItemId],
    *,
    at: datetime,
    dropping: Collection[HoldId] = (),
) -> None:
    """Judge things again by the facts as they are now, in this order."""
    standings = await standing.lock_standings(tx, source_item_ids)
    judge = await make_judge(tx, (each.item for each in standings), at=at)
    judge.decide_again(standings, dropping=dropping)
    await save.mark_judged(tx, source_item_ids, epoch=judge.epoch)
    await keep(tx, judge, at=at)


async def reconsider_due(tx: AsyncConnection, *, at: datetime) -> int:
    """Judge again what newer facts may have freed, longest held first; return how many it were."""
    due = await standing.due(tx, limit=RECONSIDERED_MAX)
    if due:
        await reconsider(tx, due, at=at)
    return len(due)


async def charge(
    tx: AsyncConnection,
    through: Mapping[str, date],
    *,
    at: datetime,
    limit: int,
    contract_id: ContractId | None = None,
    legal_entity_ids: Collection[UUID] | None = None,
) -> tuple[int, bool]:
    """Charge recurring periods that are due by the day of their zone, at most `limit`.

    Returns how many were charged now, and whether more are due.
    """
    due = await calendar.load_due(
        tx, through, limit=limit + 1, contract_id=contract_id, legal_entity_ids=legal_entity_ids
    )
    audit.touch(tx, *(period.recurring_period_id for period in due[:limit]))
    charged = await rate(tx, map(recurring.source_item_of, due[:limit]), at=at)
    return charged, len(due) > limit


async def make_judge(tx: AsyncConnection, items: Iterable[SourceItem], *, at: datetime) -> Judge:
    """Return a judge of these things: the facts first, then the limits, which stay locked."""
    contract_ids = {item.contract_id for item in items if item.contract_id is not None}
    facts = await fact.load_facts(tx, contract_ids)
    policies = await policy.load_policies(tx)
    book = await limit.lock(tx, contract_ids)
    return Judge(facts, book, policies, at=at)


async def keep(tx: AsyncConnection, judge: Judge, *, at: datetime) -> None:
    """Write all that a judge decided, and what that took of the limits or gave back to them.

    What is given back lets work go on that was stopped before.
    """
    await save.save(tx, judge.decision, epoch=judge.epoch, at=at)
    if judge.book.reservations:
        await limit.reserve(tx, judge.book.reservations, at=at)
    if judge.book.given_back:
        stopped = await standing.limited(tx, judge.book.given_back, limit=RECONSIDERED_MAX)
        if stopped:
            await reconsider(tx, stopped, at=at)


async def _rate_fresh(tx: AsyncConnection, items: Sequence[SourceItem], *, at: datetime) -> None:
    judge = await make_judge(tx, items, at=at)
    judge.decide_new(items)
    await keep(tx, judge, at=at)
