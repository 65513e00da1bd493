"""Posts what approved re-rating runs found, chunk by chunk, each thing at most once."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import save
from billing_event.commands import usage
from billing_event.commands.rate import keep, load_ground
from billing_event.domain import rerating_run as domain
from billing_event.domain.position import BillingEventId
from billing_event.domain.rerating import (
    ON_DRAFT,
    Action,
    Claims,
    Comparer,
    Finding,
    Place,
    released_rows,
    repricing,
)
from billing_event.domain.rerating_judge import ReratingJudge
from billing_event.domain.rerating_part import Part, is_as_approved
from billing_event.domain.rerating_run import Drafted, Outcome, ReratingRun, RunStatus
from billing_event.domain.source import SourceItemId
from billing_event.domain.standing import Standing
from billing_event.domain.step import SourceStep
from billing_event.domain.usage import Charge
from billing_event.repository import rerating as repository
from billing_event.repository import rerating_item, standing
from billing_event.repository import usage as usage_periods
from billing_event.repository.rerating_item import Posted
from billing_event.repository.usage import Kept

APPLIED_MAX: Final = 500
"""Things one transaction posts."""

_COUNTED: Final[Mapping[Outcome, str]] = {
    Outcome.APPLIED: "items_applied",
    Outcome.WAITING: "items_waiting",
    Outcome.SKIPPED: "items_skipped",
    Outcome.OUTDATED: "items_outdated",
}


async def next_open(
    tx: AsyncConnection, run: ReratingRun, outcome: Outcome, *, after: SourceItemId | None = None
) -> tuple[list[SourceItemId], list[BillingEventId]]:
    """Return things that are still to be posted, and those of their rows that drafts may have."""
    if outcome is Outcome.PENDING:
        ids = await rerating_item.pending_items(tx, run.rerating_run_id, limit=APPLIED_MAX)
    else:
        ids = await rerating_item.waiting_items(
            tx, run.rerating_run_id, after=after, limit=APPLIED_MAX
        )
    return ids, released_rows(await standing.load_standings(tx, ids))


async def post_chunk(
    tx: AsyncConnection,
    run: ReratingRun,
    source_item_ids: Sequence[SourceItemId],
    drafted: Collection[BillingEventId],
    *,
    outcome: Outcome,
    at: datetime,
) -> None:
    """Post things that are in `outcome` still, and note what became of each, together.

    What is on a draft waits or is left, as the run says. What is not what was approved is left for
    another run.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    await repository.lock_unmoved(tx, run)
    approved = await rerating_item.open_among(
        tx, run.rerating_run_id, source_item_ids, outcome=outcome
    )
    # As everybody does: periods of usage before rows.
    metered = await usage_periods.closed(tx, approved, lock=True)
    standings = await standing.lock_standings(tx, list(approved))
    claims = await rerating_item.load_claims(tx, list(approved), drafted)
    ground = await load_ground(tx, (each.item for each in standings), at=at)
    charges = await usage.charges_by(tx, metered, ground[0].agreements, at=at)
    judge = ReratingJudge(*ground, at=at)
    comparer = judge.comparer(charges, moves_payers=run.moves_payers)
    # The words on a usage period are counted by its prices, all others by the facts.
    versions = {item_id: kept.revision + 1 for item_id, kept in metered.items()}
    posted = _post(judge, comparer, run, standings, claims, approved, versions)
    await save.add_steps(tx, posted.steps, at=at)
    await keep(tx, judge, at=at)
    await _move_metered(tx, posted.items, metered, charges, at=at)
    await rerating_item.move_items(tx, run.rerating_run_id, posted.items)
    done = Counter(_COUNTED[each.outcome] for each in posted.items)
    if outcome is Outcome.WAITING:
        done["items_waiting"] -= len(posted.items)
    await repository.count(tx, run, done, cursor=run.cursor)


async def leave_out(
    tx: AsyncConnection,
    run: ReratingRun,
    source_item_id: SourceItemId,
    *,
    outcome: Outcome,
    reason: str,
) -> None:
    """Go past a thing that an error keeps from being posted, unless it is in `outcome` no more.

    It may have been posted: by another process, or with a commit whose answer was lost.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    await repository.lock_unmoved(tx, run)
    run_id = run.rerating_run_id
    if not await rerating_item.open_among(tx, run_id, [source_item_id], outcome=outcome):
        return
    left = Posted(source_item_id, Outcome.SKIPPED, Action.CANNOT, reason)
    await rerating_item.move_items(tx, run_id, [left])
    done = Counter({"items_skipped": 1})
    if outcome is Outcome.WAITING:
        done["items_waiting"] -= 1
    await repository.count(tx, run, done, cursor=run.cursor)


async def finish(tx: AsyncConnection, run: ReratingRun, *, at: datetime) -> ReratingRun:
    """Close a run of which nothing is left to post, or have it wait for drafts.

    Once it is applied, usage periods that cost what they did follow the new terms like the others.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    current = await repository.lock_unmoved(tx, run)
    finished = domain.finish_applying(current, at=at)
    if finished is not current:
        await repository.save(tx, finished)
    if finished.status is RunStatus.APPLIED:
        await usage.follow_run(tx, run.rerating_run_id, at=at)
    return finished


@dataclass(frozen=True, slots=True)
class _Posting:
    """What became of the things of a chunk, and the words on those that are agreed anew."""

    items: list[Posted]
    steps: list[SourceStep]


def _post(
    judge: ReratingJudge,
    comparer: Comparer,
    run: ReratingRun,
    standings: Sequence[Standing],
    claims: Claims,
    approved: Mapping[SourceItemId, Sequence[Part]],
    versions: Mapping[SourceItemId, int],
) -> _Posting:
    posting = _Posting([], [])
    for each in standings:
        item_id = each.item.source_item_id
        finding = comparer.compare(each, claims)
        outcome, reason = _verdict(run, each, finding, approved[item_id])
        action = Action.NOTHING if finding is None else finding.action
        posting.items.append(Posted(item_id, outcome, action, reason))
        if finding is None or outcome is not Outcome.APPLIED:
            continue
        version = versions.get(item_id, judge.epoch)
        step = repricing(each.item, finding.item, version=version)
        if step is not None:
            posting.steps.append(step)
        judge.rerate(each, claims, finding, run_id=run.rerating_run_id, by=run.decided_by)
    return posting


async def _move_metered(
    tx: AsyncConnection,
    posted: Iterable[Posted],
    metered: Mapping[SourceItemId, Kept],
    charges: Mapping[SourceItemId, Charge],
    *,
    at: datetime,
) -> None:
    """Have usage periods that were posted priced by the terms of the run from now on."""
    applied = {each.source_item_id for each in posted if each.outcome is Outcome.APPLIED}
    moved = [(metered[each], charges[each]) for each in applied & charges.keys()]
    if moved:
        await usage_periods.save_charges(tx, moved, at=at)


def _verdict(
    run: ReratingRun, standing: Standing, finding: Finding | None, approved: Sequence[Part]
) -> tuple[Outcome, str]:
    """Return what becomes of a thing now, and why where it is not posted."""
    if standing.is_reversed:
        return Outcome.OUTDATED, "it was taken back since the preview"
    if finding is not None and finding.action is Action.CANNOT:
        return Outcome.SKIPPED, finding.reason
    is_due = finding is not None and finding.is_different
    if finding is None or not (is_due and is_as_approved(approved, finding.parts, finding.shares)):
        return Outcome.OUTDATED, "its rows or its price changed since the preview"
    if finding.place is Place.DRAFTED:
        outcome = Outcome.WAITING if run.drafted is Drafted.WAIT else Outcome.SKIPPED
        return outcome, ON_DRAFT
    return Outcome.APPLIED, ""
