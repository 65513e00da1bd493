"""Write-offs, from proposal to undoing."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.position import BillingEventId
from billing_event.domain.write_off import (
    AlreadyProposed,
    ProposedRow,
    WriteOff,
    WriteOffId,
    WriteOffKind,
    WriteOffNotFound,
    WriteOffReason,
    WriteOffStatus,
)
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import audit

_TABLE: Final = tables.write_off
_ROW: Final = tables.write_off_row

_ADD_ROWS: Final = tables.insert_of(tables.write_off_row, without=("written_off_billing_event_id",))

_SAVE_ROWS: Final = text("""
    UPDATE write_off_row
    SET is_open = :is_open, written_off_billing_event_id = gone.written_off_id
    FROM unnest(CAST(:billing_event_ids AS uuid[]), CAST(:written_off_ids AS uuid[]))
         AS gone (billing_event_id, written_off_id)
    WHERE write_off_row.write_off_id = :write_off_id
      AND write_off_row.billing_event_id = gone.billing_event_id
""")


_HELD_BEFORE: Final = text("""
    SELECT named.written_off_billing_event_id AS billing_event_id, hold.detail, hold.opened_by
    FROM write_off JOIN write_off_row AS named USING (write_off_id)
    JOIN hold ON hold.billing_event_id = named.billing_event_id
             AND hold.cleared_at = write_off.decided_at
    WHERE write_off_id = :write_off_id AND hold.reason = 'manual'
    ORDER BY hold.hold_id
""")


async def add(tx: AsyncConnection, write_off: WriteOff) -> None:
    """Store a proposal.

    Raises:
        AlreadyProposed: another one names one of its rows and was not decided yet.
    """
    await tx.execute(
        insert(_TABLE).values(
            write_off_id=write_off.write_off_id,
            version=write_off.version,
            kind=write_off.kind,
            status=write_off.status,
            reason_code=write_off.reason_code,
            reason=write_off.reason,
            quantity=write_off.quantity,
            legal_entity_id=write_off.legal_entity_id,
            proposed_by=write_off.proposed_by,
            proposed_at=write_off.proposed_at,
            decided_by="",
            decision_reason="",
        )
    )
    try:
        await tx.execute(
            _ADD_ROWS,
            {
                "write_off_id": [write_off.write_off_id] * len(write_off.rows),
                "billing_event_id": [row.billing_event_id for row in write_off.rows],
                "amount": [row.amount.amount for row in write_off.rows],
                "currency": [row.amount.currency for row in write_off.rows],
                "is_open": [True] * len(write_off.rows),
            },
        )
    except IntegrityError as error:
        if "write_off_row_once" not in str(error.orig):
            raise
        raise AlreadyProposed(
            "another proposal names one of these rows",
            field="billing_event_ids",
            advice="have that one decided first, or leave the row out",
        ) from error
    audit.touch(tx, write_off.write_off_id)


async def get(tx: AsyncConnection, write_off_id: WriteOffId, *, lock: bool = False) -> WriteOff:
    """Return a write-off; with `lock` nobody else decides it before this transaction ends.

    Raises:
        WriteOffNotFound: there is none.
    """
    query = select(_TABLE).where(_TABLE.c.write_off_id == write_off_id)
    found = (await tx.execute(query.with_for_update() if lock else query)).all()
    if not found:
        raise WriteOffNotFound(f"write-off {write_off_id} does not exist", field="write_off_id")
    [write_off] = await load(tx, found)
    return write_off


async def load(tx: AsyncConnection, found: Sequence[Row[Any]]) -> list[WriteOff]:
    """Return the write-offs of rows of their table, with what they name, in one statement."""
    ids = [row.write_off_id for row in found]
    members: dict[WriteOffId, list[ProposedRow]] = {}
    query = select(_ROW).where(_ROW.c.write_off_id.in_(ids)).order_by(_ROW.c.billing_event_id)
    for row in await tx.execute(query):
        proposed = ProposedRow(
            row.billing_event_id,
            Money(row.amount, row.currency),
            row.written_off_billing_event_id,
        )
        members.setdefault(row.write_off_id, []).append(proposed)
    return [_write_off_from(row, tuple(members[row.write_off_id])) for row in found]


async def save(tx: AsyncConnection, write_off: WriteOff) -> None:
    """Write a decision on a write-off.

    Raises:
        StaleVersion: somebody else decided it first.
    """
    written = await tx.execute(
        update(_TABLE)
        .where(
            _TABLE.c.write_off_id == write_off.write_off_id,
            _TABLE.c.version == write_off.version - 1,
        )
        .values(
            version=write_off.version,
            status=write_off.status,
            decided_by=write_off.decided_by,
            decided_at=write_off.decided_at,
            decision_reason=write_off.decision_reason,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"write-off {write_off.write_off_id} was decided meanwhile")
    await tx.execute(
        _SAVE_ROWS,
        {
            "write_off_id": write_off.write_off_id,
            "is_open": write_off.status is WriteOffStatus.PROPOSED,
            "billing_event_ids": [row.billing_event_id for row in write_off.rows],
            "written_off_ids": [row.written_off_id for row in write_off.rows],
        },
    )
    audit.touch(tx, write_off.write_off_id, *_names(write_off))


async def held_before(
    tx: AsyncConnection, write_off_id: WriteOffId
) -> dict[BillingEventId, list[OpenHold]]:
    """Return the holds of people that a write-off in force ended, by the rows it wrote off."""
    holds: dict[BillingEventId, list[OpenHold]] = {}
    for row in await tx.execute(_HELD_BEFORE, {"write_off_id": write_off_id}):
        held = OpenHold(HoldReason.MANUAL, row.detail, placed_by=row.opened_by or "")
        holds.setdefault(row.billing_event_id, []).append(held)
    return holds


def _names(write_off: WriteOff) -> set[BillingEventId]:
    rows = write_off.rows
    return {row.billing_event_id for row in rows} | {
        row.written_off_id for row in rows if row.written_off_id is not None
    }


def _write_off_from(row: Row[Any], members: tuple[ProposedRow, ...]) -> WriteOff:
    return WriteOff(
        write_off_id=row.write_off_id,
        version=row.version,
        kind=WriteOffKind(row.kind),
        status=WriteOffStatus(row.status),
        reason_code=WriteOffReason(row.reason_code),
        reason=row.reason,
        rows=members,
        quantity=row.quantity,
        legal_entity_id=row.legal_entity_id,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )
