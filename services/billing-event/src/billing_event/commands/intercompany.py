"""Charges the borrowing entity for the work of a lending one, in the transaction that keeps it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.agreement import Facts
from billing_event.domain.intercompany import Charge, Work, charge_of, mirror, work_of
from billing_event.domain.source import ContractId, ItemType, SourceItem, SourceItemId
from billing_event.repository import fact, standing
from billing_event.repository import intercompany as store
from billing_event.wire import intercompany as wire
from throughline_core.ids import derived_id
from throughline_runtime import exceptions, outbox
from throughline_runtime.ids import new_id
from throughline_runtime.schema import exception_item

NO_RATE: Final = "intercompany.no_transfer_rate"

DUE_MAX: Final = 2_000
"""Waiting things looked at in one transaction; the schedule takes up what is left."""


async def charge(
    tx: AsyncConnection, items: Sequence[SourceItem], facts: Facts | None, *, at: datetime
) -> None:
    """Charge time just kept that people of another entity than the selling one worked.

    What takes such time back takes its charge back, whichever of them came first; time taken back
    before it was charged owes nothing. What cannot be priced waits. `facts` are those that the
    items were rated by; contracts which are not among them are looked up.
    """
    time = [item for item in items if item.type is ItemType.TIME]
    known = facts.agreements if facts else {}
    sellers = {contract_id: each.newest.legal_entity_id for contract_id, each in known.items()}
    unknown = _contracts_of(time) - sellers.keys()
    epoch = facts.epoch if facts else 0
    if unknown:
        now, others = await store.load_sellers(tx, unknown)
        sellers, epoch = sellers | others, min(epoch, now) if facts else now
    found = list(work_of(time, sellers))
    if not found:
        return
    await store.lock(tx, (work.item.reverses_item_id or work.item.source_item_id for work in found))
    takers = [work.item for work in found if work.item.reverses_item_id is not None]
    plain = [work for work in found if work.item.reverses_item_id is None]
    if plain:
        await _charge(tx, plain, epoch=epoch, at=at)
    if takers:
        await _take_back(tx, takers, at=at)


async def charge_due(tx: AsyncConnection, *, at: datetime) -> int:
    """Charge what waited for its contract or for a card; return how many were looked at."""
    due = await store.due(tx, limit=DUE_MAX)
    if not due:
        return 0
    items = list((await standing.load_items(tx, due)).values())
    epoch, sellers = await store.load_sellers(tx, _contracts_of(items))
    await store.lock(tx, due)
    found = list(work_of(items, sellers))
    lent = {work.item.source_item_id for work in found}
    await store.end_waits(tx, [each for each in due if each not in lent])
    if found:
        await _charge(tx, found, epoch=epoch, at=at)
    return len(due)


async def report_unpriced(tx: AsyncConnection) -> None:
    """Show in the exceptions queue between which entities work waits for a transfer card."""
    open_items = select(exception_item.c.subject_id).where(
        exception_item.c.kind == NO_RATE, exception_item.c.closed_at.is_(None)
    )
    known = set((await tx.execute(open_items)).scalars())
    found = {
        _pair_id(row.lending_entity_id, row.borrowing_entity_id): row
        for row in await store.unpriced(tx)
    }
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=NO_RATE,
                subject_id=subject_id,
                reason=f"no transfer price for {', '.join(row.roles)} lent to"
                f" {row.borrowing_entity_id}: {row.items} entries since {row.since}",
                owner="finance",
                advice="publish a transfer rate card of the lending entity with these roles and"
                " days; what waits is charged by itself",
                legal_entity_id=row.lending_entity_id,
                detail={"items": row.items, "minutes": row.minutes, "since": f"{row.since}"},
            )
            for subject_id, row in found.items()
            if subject_id not in known
        ),
    )
    await exceptions.close(tx, NO_RATE, known - found.keys())


async def _charge(tx: AsyncConnection, found: Sequence[Work], *, epoch: int, at: datetime) -> None:
    """Charge work whose gates are closed, or keep it waiting."""
    taken = await store.load_takers(tx, [work.item.source_item_id for work in found])
    _, agreements = await fact.load_agreements(tx, {work.contract_id for work in found})
    cards = await store.load_cards(tx, {work.lending_entity_id for work in found})
    charges: list[Charge] = []
    waiting: list[Work] = []
    ended: list[SourceItemId] = [*taken]
    for work in found:
        if work.item.source_item_id in taken:
            continue
        agreement = agreements.get(work.contract_id)
        one = agreement and charge_of(work, agreement.newest, cards, at=at)
        if one:
            charges.append(one)
            ended.append(one.source_item_id)
        else:
            waiting.append(work)
    if waiting:
        await store.put_waits(tx, waiting, epoch=epoch)
    if ended:
        await store.end_waits(tx, ended)
    await _keep(tx, charges, at=at)


async def _take_back(tx: AsyncConnection, takers: Sequence[SourceItem], *, at: datetime) -> None:
    """Take back the charges for what these things reverse; what waits is charged no more."""
    originals = [item.reverses_item_id for item in takers if item.reverses_item_id is not None]
    first = await store.load_takers(tx, originals)
    await store.end_waits(tx, originals)
    charges = await store.load_charges(tx, originals)
    mirrored = [mirror(each, first[each.source_item_id], at=at) for each in charges]
    await _keep(tx, mirrored, at=at)


async def _keep(tx: AsyncConnection, charges: Sequence[Charge], *, at: datetime) -> None:
    """Write charges and queue the events that tell of those that are new."""
    if charges:
        added = await store.add_charges(tx, charges)
        await outbox.append(tx, wire.charged(added, at=at, new_id=new_id))


def _contracts_of(items: Iterable[SourceItem]) -> set[ContractId]:
    found = (item.contract_id or item.project_contract_id for item in items)
    return {contract_id for contract_id in found if contract_id is not None}


def _pair_id(lending_entity_id: UUID, borrowing_entity_id: UUID) -> UUID:
    return derived_id("intercompany", lending_entity_id, borrowing_entity_id)
