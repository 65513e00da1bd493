"""Rates approved things and looks at held ones again when their cause may be gone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import save, source
from billing_event.commands import intercompany, keep_retainer, report_limits
from billing_event.domain import recurring
from billing_event.domain.agreement import Facts
from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldId
from billing_event.domain.limit import LimitBook
from billing_event.domain.limit_terms import accounts_of, caps_of
from billing_event.domain.release import Policies
from billing_event.domain.source import ContractId, SourceItem, SourceItemId
from billing_event.domain.standing import is_waiting_reversal
from billing_event.domain.step import SourceStep
from billing_event.repository import (
    exchange,
    fact,
    limit,
    limit_terms,
    limit_wake,
    policy,
    retainer,
    standing,
    waiting,
)
from billing_event.repository import recurring as calendar
from throughline_runtime import audit

RECONSIDERED_MAX: Final = 2_000
"""Things looked at again in one transaction; the schedule takes up what is left."""

CHARGED_MAX: Final = 5_000
"""Recurring periods charged in one transaction."""

_SLICE: Final = 10_000


async def rate(tx: AsyncConnection, items: Iterable[SourceItem], *, at: datetime) -> int:
    """Keep approved things and rate those not seen before; return how many these were.

    What takes another thing back follows that, whichever of them came first. A constant number of
    statements for each 10,000 things, which bounds the memory they take.
    """
    remaining, total = iter(items), 0
    while found := list(islice(remaining, _SLICE)):
        fresh = await source.add_items(tx, found, at=at)
        plain = [item for item in fresh if item.reverses_item_id is None]
        plain_ids = {item.source_item_id for item in plain}
        takers = [item for item in fresh if item.reverses_item_id is not None]
        # First, so that the work entered anew finds the room that is given back.
        earlier = [item for item in takers if item.reverses_item_id not in plain_ids]
        if earlier:
            await lock_ahead(tx, _with_originals(earlier), fresh, at=at)
            await take_back(tx, earlier, at=at)
        facts = await _rate_fresh(tx, plain, at=at) if plain else None
        later = [item for item in takers if item.reverses_item_id in plain_ids]
        waited = await waiting.reversals(tx, plain_ids)
        if waited:
            later += (await standing.load_items(tx, waited)).values()
        if later:
            await take_back(tx, later, at=at)
        await intercompany.charge(tx, fresh, facts, at=at)
        total += len(fresh)
    return total


async def take_back(tx: AsyncConnection, items: Sequence[SourceItem], *, at: datetime) -> None:
    """Take back what these things reverse; one whose original has not arrived waits for it.

    Raises:
        StaleVersion: an original is being rated at this moment.
    """
    reversals = await standing.lock_reversals(tx, items)
    originals = [each.original.item for each in reversals if each.original is not None]
    judge = await make_judge(tx, [*items, *originals], at=at)
    judge.decide_reversals(reversals)
    await keep(tx, judge, at=at)


async def follow(
    tx: AsyncConnection,
    milestones: Sequence[tuple[SourceItem, SourceStep]],
    *,
    at: datetime,
) -> None:
    """Keep milestones and what is said of them; rate what is new, and judge the others again."""
    fresh = await source.add_items(tx, [item for item, _ in milestones], at=at)
    await save.add_steps(tx, [step for _, step in milestones], at=at)
    new = {item.source_item_id for item in fresh}
    named = dict.fromkeys(item.source_item_id for item, _ in milestones)
    known = [item_id for item_id in named if item_id not in new]
    if fresh and known:
        await lock_ahead(tx, known, fresh, at=at)
    if fresh:
        # By the last word on each, which may have come before the event at hand.
        latest = await standing.load_items(tx, [item.source_item_id for item in fresh])
        await _rate_fresh(tx, [latest[item.source_item_id] for item in fresh], at=at)
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
    takers = [each.item for each in standings if is_waiting_reversal(each)]
    plain = [each for each in standings if not is_waiting_reversal(each)]
    if takers:
        items = [each.item for each in standings]
        await lock_ahead(tx, _with_originals(takers), items, at=at)
    judge = await make_judge(tx, (each.item for each in plain), at=at)
    judge.decide_again(plain, dropping=dropping)
    judged = [each.item.source_item_id for each in standings]
    await save.mark_judged(tx, judged, epoch=judge.epoch)
    await keep(tx, judge, at=at)
    if takers:
        await take_back(tx, takers, at=at)


async def reconsider_due(
    tx: AsyncConnection,
    *,
    at: datetime,
    first: Sequence[SourceItemId] = (),
    contract_ids: Collection[ContractId] | None = None,
) -> int:
    """Judge again what newer facts may have freed, longest held first; return how many are due.

    Of these contracts alone if any are named. What somebody else is deciding on at this moment is
    left to the next call. The things that come `first` are judged whether they are due or not.
    """
    await standing.lock(tx, first)
    due = await waiting.due(tx, contract_ids=contract_ids, limit=RECONSIDERED_MAX)
    free = await standing.lock_free(tx, due)
    if first or free:
        await reconsider(tx, list(dict.fromkeys([*first, *free])), at=at)
    return len(due) if free else 0


async def lock_ahead(
    tx: AsyncConnection,
    source_item_ids: Sequence[SourceItemId],
    items: Iterable[SourceItem],
    *,
    at: datetime,
) -> None:
    """Lock what several steps of a transaction are about to take: these things, and all limits.

    Everybody locks rows first and limits next, each in one order. A step that came back for more
    rows while the step before it holds limits would meet somebody who waits for those.
    """
    standings = await standing.lock_standings(tx, source_item_ids)
    await load_ground(tx, [*items, *(each.item for each in standings)], at=at)


async def wake_limited(tx: AsyncConnection) -> int:
    """Have what limits with room again stop judged by `reconsider_due`; return how many notes said.

    Whoever gives room back, and has to leave what it is for, leaves such a note.
    """
    contract_ids, customer_ids, noted = await limit_wake.take(tx, limit=RECONSIDERED_MAX)
    if noted:
        epoch = await fact.raise_epoch(tx)
        await limit_wake.wake(tx, contract_ids, customer_ids, epoch=epoch)
    return noted


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
    """Return a judge of these things; the limits stay locked."""
    return Judge(*await load_ground(tx, items, at=at), at=at)


async def load_ground(
    tx: AsyncConnection, items: Iterable[SourceItem], *, at: datetime
) -> tuple[Facts, LimitBook, Policies]:
    """Return what these things are judged by; the limits stay locked."""
    items = list(items)
    contract_ids = {item.contract_id for item in items if item.contract_id is not None}
    await limit.pass_gates(tx, contract_ids)
    facts = await fact.load_facts(tx, contract_ids)
    facts = await exchange.with_exchange(tx, facts, items)
    policies = await policy.load_policies(tx)
    caps = caps_of(items, facts.agreements)
    if caps:
        # Daily caps come after all other limits, whoever locks them.
        await limit.lock(tx, contract_ids, accounts_of((), facts.agreements))
        await limit_terms.put_caps(tx, caps, at=at)
    book = await limit.lock(tx, contract_ids, accounts_of(items, facts.agreements))
    own = [item.source_item_id for item in items]
    book.retainers = await retainer.lock(tx, facts.agreements, own)
    return facts, book, policies


async def keep(tx: AsyncConnection, judge: Judge, *, at: datetime) -> None:
    """Write all that a judge decided, and what that took of the limits or gave back to them.

    What is given back lets work go on that was stopped before.
    """
    await save.save(tx, judge.decision, epoch=judge.epoch, at=at)
    if judge.book.reservations:
        usages = await limit.reserve(tx, judge.book.reservations, at=at)
        await report_limits.report_usage(tx, usages, at=at)
        if judge.book.given_back or any(each.is_owed for each in judge.book.reservations):
            await report_limits.report_lowered(tx, usages)
    await keep_retainer.keep(tx, judge.book.retainers, at=at)
    if judge.book.given_back:
        await _let_go_on(tx, judge, at=at)


async def _let_go_on(tx: AsyncConnection, judge: Judge, *, at: datetime) -> None:
    """Judge again what stopped at limits that were given something back, longest held first.

    Only under contracts whose limits are locked, and nothing that somebody else is deciding on: who
    holds limits does not wait for rows. The rest is left to the schedule.
    """
    contract_ids, customer_ids = judge.book.given_back, judge.book.given_back_by
    stopped = await waiting.limited(tx, contract_ids, customer_ids, limit=RECONSIDERED_MAX)
    near = [item_id for item_id, contract_id in stopped.items() if judge.knows(contract_id)]
    free = await standing.lock_free(tx, near)
    if len(free) < len(stopped) or len(stopped) == RECONSIDERED_MAX:
        await limit_wake.note(tx, contract_ids, customer_ids, at=at)
    if free:
        await reconsider(tx, free, at=at)


async def _rate_fresh(tx: AsyncConnection, items: Sequence[SourceItem], *, at: datetime) -> Facts:
    """Rate things for the first time, and return by what."""
    facts, book, policies = await load_ground(tx, items, at=at)
    judge = Judge(facts, book, policies, at=at)
    judge.decide_new(items)
    await keep(tx, judge, at=at)
    return facts


def _with_originals(takers: Iterable[SourceItem]) -> list[SourceItemId]:
    """Return the ids of things that take others back, and of those."""
    found: list[SourceItemId] = []
    for item in takers:
        assert item.reverses_item_id is not None, "it takes another thing back"
        found += [item.source_item_id, item.reverses_item_id]
    return found
