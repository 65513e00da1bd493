"""Previews re-rating runs chunk by chunk: what rated work should be worth, minus what it is."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import usage
from billing_event.domain import rerating_run as domain
from billing_event.domain.limit import LimitAccountId, payer_account_id
from billing_event.domain.limit_terms import accounts_of
from billing_event.domain.position import BillingEventId, live_rows
from billing_event.domain.rerating import (
    ON_DRAFT,
    Action,
    Claims,
    Comparer,
    Finding,
    Place,
    released_rows,
)
from billing_event.domain.rerating_judge import ReratingJudge
from billing_event.domain.rerating_run import Cursor, Drafted, Outcome, ReratingRun
from billing_event.domain.source import SourceItemId
from billing_event.domain.standing import Standing
from billing_event.repository import exchange, fact, limit, rerating_item, standing
from billing_event.repository import rerating as repository
from billing_event.repository import usage as usage_periods
from billing_event.repository.rerating_item import Found, SumKey
from throughline_core.rounding import exact_product

PREVIEWED_MAX: Final = 2_000
"""Things one transaction of a preview looks at."""

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Things as they stand, and the cursor past them; none are left where that is None.

    `findings` are of these things, as long as none is on a draft. `taken` is how much more of each
    limit is reserved once all that was found so far is posted.
    """

    standings: Mapping[SourceItemId, Standing]
    claims: Claims
    comparer: Comparer
    findings: Sequence[Finding]
    taken: Mapping[LimitAccountId, Decimal]
    cursor: Cursor | None

    @property
    def rows_to_locate(self) -> list[BillingEventId]:
        """The rows of which invoicing has to tell where they are: those that will be moved."""
        return released_rows(
            self.standings[each.item.source_item_id] for each in self.findings if each.is_different
        )

    def findings_on(self, drafted: Collection[BillingEventId]) -> list[Finding]:
        """Return what is found of the things, these rows of them being on drafts."""
        unissued = frozenset(drafted) - self.claims.quantities.keys()
        if not unissued:
            return list(self.findings)
        claims = replace(self.claims, drafted=unissued.union(self.claims.drafted))
        found = []
        for finding in self.findings:
            standing = self.standings[finding.item.source_item_id]
            is_drafted = any(map(claims.is_drafted, standing.rows))
            found.append(
                self.comparer.on_drafts(finding, standing, claims) if is_drafted else finding
            )
        return found


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where invoicing has rows: on which documents, and which of them are drafts."""

    documents: Mapping[BillingEventId, Sequence[str]]
    drafted: Collection[BillingEventId]


async def read_chunk(
    tx: AsyncConnection,
    run: ReratingRun,
    *,
    taken: Mapping[LimitAccountId, Decimal],
    at: datetime,
) -> Chunk:
    """Return the next things of a preview: a constant number of statements, however many.

    `taken` is what posting those before them reserves.
    """
    ids, cursor = await rerating_item.next_items(tx, run, limit=PREVIEWED_MAX)
    standings = await standing.load_standings(tx, ids)
    items = [each.item for each in standings]
    contract_ids = {item.contract_id for item in items if item.contract_id is not None}
    facts = await fact.load_facts(tx, contract_ids)
    facts = await exchange.with_exchange(tx, facts, items)
    accounts = accounts_of(items, facts.agreements)
    book = await limit.read(tx, contract_ids, accounts, taken=taken)
    metered = await usage_periods.closed(tx, ids)
    charges = await usage.charges_by(tx, metered, facts.agreements, at=at)
    claims = await rerating_item.load_claims(tx, ids)
    judge = ReratingJudge(facts, book, {}, at=at)
    comparer = judge.comparer(charges, moves_payers=run.moves_payers)
    findings = judge.trial(standings, claims, comparer, run_id=run.rerating_run_id)
    by_id = {each.item.source_item_id: each for each in standings}
    more = book.changes
    taken = {
        each: taken.get(each, _NOTHING) + more.get(each, _NOTHING) for each in {**taken, **more}
    }
    return Chunk(by_id, claims, comparer, findings, taken, cursor)


async def taken_before(tx: AsyncConnection, run: ReratingRun) -> dict[LimitAccountId, Decimal]:
    """Return how much more payers pay of the contract at hand by what was found before a pause."""
    if run.cursor is None:
        return {}
    contract_id = run.cursor.contract_id
    moved = await rerating_item.moved_of_payers(tx, run.rerating_run_id, contract_id)
    return {payer_account_id(contract_id, payer): amount for payer, amount in moved.items()}


async def keep_chunk(
    tx: AsyncConnection, run: ReratingRun, chunk: Chunk, where: Whereabouts
) -> None:
    """Write what was found of a chunk, its sums and the progress, together.

    Raises:
        RunMovedOn: the run was stopped, or another process has written this chunk.
    """
    current = await repository.lock_unmoved(tx, run)
    found = [
        _found(each, _documents_of(chunk, each, where), run.drafted)
        for each in chunk.findings_on(where.drafted)
    ]
    await rerating_item.add_items(
        tx, run.rerating_run_id, found, after=current.progress.items_previewed
    )
    await rerating_item.add_sums(tx, run.rerating_run_id, _sums_of(found))
    done = {
        "items_previewed": len(found),
        "items_different": sum(each.outcome is not Outcome.NONE for each in found),
        "items_cannot": sum(each.finding.action is Action.CANNOT for each in found),
        "items_waiting": sum(each.outcome is Outcome.WAITING for each in found),
        "items_skipped": sum(each.outcome is Outcome.SKIPPED for each in found),
    }
    await repository.count(tx, run, done, cursor=chunk.cursor)


async def finish(tx: AsyncConnection, run: ReratingRun, *, at: datetime) -> None:
    """Close a preview that has looked at everything.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    current = await repository.lock_unmoved(tx, run)
    await repository.save(tx, domain.finish_preview(current, at=at))


def _documents_of(chunk: Chunk, finding: Finding, where: Whereabouts) -> tuple[str, ...]:
    if not where.documents:
        return ()
    documents = {
        document: None
        for row in live_rows(chunk.standings[finding.item.source_item_id].rows)
        for document in where.documents.get(row.billing_event_id, ())
    }
    return tuple(documents)


def _found(finding: Finding, documents: Sequence[str], drafted: Drafted) -> Found:
    outcome, reason = Outcome.NONE, finding.reason
    if finding.is_postable:
        outcome = Outcome.PENDING
        if finding.place is Place.DRAFTED:
            outcome = Outcome.WAITING if drafted is Drafted.WAIT else Outcome.SKIPPED
            reason = ON_DRAFT
    return Found(finding, tuple(documents), outcome, reason)


def _sums_of(found: Iterable[Found]) -> dict[SumKey, list[Decimal]]:
    """Return number of things, old and new amount of what differs, skipped things left out."""
    sums: dict[SumKey, list[Decimal]] = {}
    for each in found:
        finding, item = each.finding, each.finding.item
        if not finding.is_different and finding.action is not Action.CANNOT:
            continue
        if each.outcome is Outcome.SKIPPED:
            continue
        assert item.contract_id is not None, "what is rated has a contract"
        assert item.contract_line_id is not None, "and a line"
        month = item.service_from.replace(day=1)
        seen: set[SumKey] = set()
        for part in finding.parts:
            key = (
                item.contract_id,
                item.contract_line_id,
                month,
                part.key.payer,
                finding.action,
                finding.currency,
            )
            total = sums.setdefault(key, [Decimal(0), Decimal(0), Decimal(0)])
            total[0] += key not in seen
            total[1] += exact_product(part.key.rate, part.old)
            total[2] += exact_product(part.key.rate, part.new)
            seen.add(key)
    return sums
