"""Gives rated work up, or excludes it from billing: two persons, and a way back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.bulk import checkpoint
from billing_event.commands.rate import keep, make_judge, reconsider
from billing_event.commands.release import lock_named, lock_owners, rows_of
from billing_event.domain.giving_up import give_up, give_up_part, give_up_rest, take_up
from billing_event.domain.hold import HoldReason
from billing_event.domain.position import BillingEventId, EventStatus, Row
from billing_event.domain.source import ContractId
from billing_event.domain.standing import Standing
from billing_event.domain.write_off import (
    ROWS_MAX,
    ApprovedByProposer,
    NothingNamed,
    PartOfSeveral,
    ProposedRow,
    TooManyRows,
    WriteOff,
    WriteOffId,
    WriteOffKind,
    WriteOffReason,
    WriteOffStatus,
    decided,
    one_entity,
    require_as_proposed,
    require_as_written_off,
    require_open,
    require_whole,
    worth_of,
)
from billing_event.repository import release, standing
from billing_event.repository import write_off as repository
from billing_event.wire import published
from throughline_core.errors import IllegalTransition
from throughline_runtime import outbox
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

_NOTHING: Final = Decimal(0)


async def held_rows(
    tx: AsyncConnection, contract_id: ContractId, reason: HoldReason | None
) -> list[BillingEventId]:
    """Return the rows of a contract that are held, for a reason if one is named, oldest first.

    Raises:
        NothingNamed, TooManyRows: there are none, or more than one proposal takes.
    """
    hold = tables.hold
    query = (
        select(hold.c.billing_event_id)
        .where(hold.c.contract_id == contract_id, hold.c.cleared_at.is_(None))
        .where(hold.c.billing_event_id.is_not(None))
    )
    if reason is not None:
        query = query.where(hold.c.reason == reason)
    query = query.group_by(hold.c.billing_event_id).limit(ROWS_MAX + 1)
    found = [BillingEventId(row_id) for row_id in (await tx.execute(query)).scalars()]
    if not found:
        raise NothingNamed("no row of the contract is held for this", field="contract_id")
    if len(found) > ROWS_MAX:
        raise TooManyRows(
            f"more than {ROWS_MAX} rows of the contract are held for this",
            field="contract_id",
            advice="name rows by their ids, in several proposals",
        )
    return found


async def propose(
    tx: AsyncConnection,
    billing_event_ids: Sequence[BillingEventId],
    *,
    kind: WriteOffKind,
    reason_code: WriteOffReason,
    reason: str,
    quantity: Decimal | None,
    by: str,
    at: datetime,
) -> WriteOff:
    """Propose to write rows off, or a part of one row.

    Raises:
        BillingEventNotFound, EntityForbidden: one is not there, or not for the caller.
        NotOpen: one was invoiced, taken back or written off.
        PaidInAdvance: one is the block of a retainer.
        WithdrawalUnderWay: the release of one is being taken back.
        BelongsTogether: a limit holds one together with rows that are not named.
        PartOfSeveral, PartOfRest, PartTooLarge, InvalidArgument: the part, or the rows together, do
            not fit.
        AlreadyProposed: another proposal names one of them.
    """
    if quantity is not None and len(billing_event_ids) != 1:
        raise PartOfSeveral("a part can be cut off one row only", field="quantity")
    _, rows, given_up = await _locked(tx, billing_event_ids)
    write_off = WriteOff(
        write_off_id=WriteOffId(new_id()),
        version=1,
        kind=kind,
        status=WriteOffStatus.PROPOSED,
        reason_code=reason_code,
        reason=reason,
        rows=tuple(
            ProposedRow(
                row.billing_event_id,
                worth_of(row, quantity, given_up=given_up.get(row.billing_event_id, _NOTHING)),
            )
            for row in rows
        ),
        quantity=quantity,
        legal_entity_id=one_entity([row.rating.legal_entity_id for row in rows]),
        proposed_by=by,
        proposed_at=at,
    )
    await repository.add(tx, write_off)
    return write_off


async def released_rows(
    tx: AsyncConnection, write_off_id: WriteOffId, *, by: str, at: datetime
) -> Sequence[BillingEventId]:
    """Return the rows of a proposal that invoicing has to let go of before `by` approves it.

    None where that will be refused, as it is when the proposal was decided before.

    Raises:
        WriteOffNotFound, EntityForbidden: no such proposal for the caller.
    """
    write_off = await repository.get(tx, write_off_id)
    require_entity(write_off.legal_entity_id)
    try:
        decided(write_off, WriteOffStatus.APPROVED, by=by, at=at)
    except (IllegalTransition, ApprovedByProposer):
        return ()
    position = tables.position
    query = (
        select(position.c.billing_event_id)
        .where(position.c.billing_event_id.in_([row.billing_event_id for row in write_off.rows]))
        .where(position.c.status == EventStatus.RELEASED)
    )
    return list((await tx.execute(query)).scalars())


async def approve(
    tx: AsyncConnection, write_off_id: WriteOffId, *, by: str, at: datetime
) -> WriteOff:
    """Write the rows of a proposal off, as a second person; all of them or none.

    Raises:
        WriteOffNotFound, EntityForbidden: no such proposal for the caller.
        IllegalTransition, ApprovedByProposer: see `domain.write_off.decided`.
        NotOpen: a row was invoiced, taken back or written off since.
        ChangedSince: a credit note gave up something of a row since.
        WithdrawalUnderWay: the release of a row is being taken back.
    """
    proposed = await repository.get(tx, write_off_id, lock=True)
    require_entity(proposed.legal_entity_id)
    approved = decided(proposed, WriteOffStatus.APPROVED, by=by, at=at)
    named = [row.billing_event_id for row in proposed.rows]
    standings, rows, given_up = await _locked(tx, named)
    judge = await make_judge(tx, (row.item for row in rows), at=at)
    owners = {each.item.source_item_id: each for each in standings}
    gone = []
    for row in rows:
        owner = owners[row.item.source_item_id]
        before = given_up.get(row.billing_event_id, _NOTHING)
        require_as_proposed(approved, row, given_up=before)
        if approved.quantity is not None:
            gone.append(give_up_part(judge, owner, row, approved.quantity))
        elif before:
            gone.append(give_up_rest(judge, owner, row, before))
        else:
            gone.append(give_up(judge, row))
    await keep(tx, judge, at=at)
    members = tuple(
        replace(row, written_off_id=each.billing_event_id)
        for row, each in zip(_in_order(approved, rows), gone, strict=True)
    )
    approved = replace(approved, rows=members)
    await repository.save(tx, approved)
    await outbox.append(tx, published.written_off(gone, approved, at=at, new_id=new_id))
    return approved


async def reject(
    tx: AsyncConnection, write_off_id: WriteOffId, reason: str, *, by: str, at: datetime
) -> WriteOff:
    """Turn a proposal down.

    Raises:
        WriteOffNotFound, EntityForbidden: no such proposal for the caller.
        IllegalTransition: it was decided before.
    """
    proposed = await repository.get(tx, write_off_id, lock=True)
    require_entity(proposed.legal_entity_id)
    rejected = decided(proposed, WriteOffStatus.REJECTED, by=by, at=at, reason=reason)
    await repository.save(tx, rejected)
    return rejected


async def undo(
    tx: AsyncConnection, write_off_id: WriteOffId, reason: str, *, by: str, at: datetime
) -> WriteOff:
    """Let the rows of a write-off count again, judged by the facts as they are now.

    Raises:
        WriteOffNotFound, EntityForbidden: no such write-off for the caller.
        IllegalTransition: it is not in force.
        NoRoom: a limit has no room for what had been released.
        AgreedAnew: less of a row stays given up, as its thing is worth less by now.
    """
    approved = await repository.get(tx, write_off_id, lock=True)
    require_entity(approved.legal_entity_id)
    undone = decided(approved, WriteOffStatus.UNDONE, by=by, at=at, reason=reason)
    named = [row.written_off_id for row in approved.rows if row.written_off_id is not None]
    standings = await lock_owners(tx, await checkpoint.find(tx, named))
    rows = rows_of(standings, named)
    for each in standings:
        require_as_written_off(each.rows, named)
    # One whose thing was taken back meanwhile went with it: the two are written off together.
    rows = [row for row in rows if not row.is_taken_back]
    judge = await make_judge(tx, (row.item for row in rows), at=at)
    held = await repository.held_before(tx, write_off_id)
    back = [take_up(judge, row, held.get(row.billing_event_id, ())) for row in rows]
    await keep(tx, judge, at=at)
    await repository.save(tx, undone)
    await outbox.append(tx, published.written_off(back, undone, at=at, new_id=new_id))
    await reconsider(tx, [each.item.source_item_id for each in standings], at=at)
    return undone


async def _locked(
    tx: AsyncConnection, billing_event_ids: Sequence[BillingEventId]
) -> tuple[list[Standing], list[Row], Mapping[BillingEventId, Decimal]]:
    """Lock rows that can be written off; return what credit notes gave up of them besides."""
    standings = await lock_named(tx, billing_event_ids)
    await release.require_none_under_way(tx, billing_event_ids)
    billed = await standing.billed(tx, billing_event_ids)
    given_up = {row_id: gone for each in standings for row_id, gone in each.given_up.items()}
    rows = rows_of(standings, billing_event_ids)
    for each in standings:
        require_whole(each.rows, billing_event_ids)
    for row in rows:
        require_open(
            row,
            is_billed=row.billing_event_id in billed,
            given_up=given_up.get(row.billing_event_id, _NOTHING),
        )
    return standings, rows, given_up


def _in_order(write_off: WriteOff, rows: Sequence[Row]) -> list[ProposedRow]:
    by_id = {row.billing_event_id: row for row in write_off.rows}
    return [by_id[row.billing_event_id] for row in rows]
