"""Writes what a batch decided: rows, holds, limits and events, or nothing of it."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.bulk.rows import add_rows, add_settlements, column_of, move
from billing_event.domain.hold import HoldId
from billing_event.domain.position import EventStatus
from billing_event.domain.rating import Covered
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Decision, HoldOpened
from billing_event.domain.step import SourceStep
from billing_event.wire import published
from throughline_core.ids import derived_id
from throughline_runtime import outbox
from throughline_runtime.events import Outgoing
from throughline_runtime.ids import new_id

_STEP_FIELDS: Final = (
    "source_item_id",
    "version",
    "state",
    "service_from",
    "service_to",
    "reason",
    "accepted_on",
    "accepted_by",
    "evidence_sha256",
    "recorded_by",
)

_ADD_STEPS: Final = tables.insert_of(tables.source_step, "ON CONFLICT DO NOTHING")
_ADD_COVERED: Final = tables.insert_of(tables.covered_item, "ON CONFLICT DO NOTHING")
_ADD_HOLDS: Final = tables.insert_of(
    tables.hold, without=("cleared_at", "cleared_by", "clearing_reason")
)

_CLEAR_HOLDS: Final = text("""
    UPDATE hold SET cleared_at = :at
    WHERE hold_id = ANY(CAST(:hold_ids AS uuid[])) AND cleared_at IS NULL
""")

_MARK_JUDGED: Final = text("""
    UPDATE hold SET epoch = :epoch
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[])) AND cleared_at IS NULL
      AND epoch < :epoch
""")


async def add_steps(tx: AsyncConnection, steps: Sequence[SourceStep], *, at: datetime) -> None:
    """Keep what is said of things; the first of one version counts."""
    columns: dict[str, Any] = {name: column_of(steps, name) for name in _STEP_FIELDS}
    columns["price"] = [step.price.amount if step.price else None for step in steps]
    columns["recorded_at"] = [at] * len(steps)
    await tx.execute(_ADD_STEPS, columns)


async def save(tx: AsyncConnection, decision: Decision, *, epoch: int, at: datetime) -> None:
    """Write a decision that was made by the facts of `epoch`, and queue the events that tell of it.

    Raises:
        StaleVersion: a row was moved by somebody else since it was read.
    """
    if decision.rated:
        await add_rows(tx, decision, at=at)
    if decision.changed:
        await move(tx, decision.changed, at=at)
    if decision.cleared:
        await tx.execute(_CLEAR_HOLDS, {"hold_ids": decision.cleared, "at": at})
    if decision.opened:
        await _add_holds(tx, decision.opened, epoch=epoch, at=at)
    if decision.covered:
        await _add_covered(tx, decision.covered, at=at)
    if decision.settled:
        await add_settlements(tx, decision.settled, at=at)
    await outbox.append(tx, _events_of(decision, at=at))


async def mark_judged(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId], *, epoch: int
) -> None:
    """Note that the holds these things still have were judged by the facts of `epoch`."""
    await tx.execute(_MARK_JUDGED, {"source_item_ids": list(source_item_ids), "epoch": epoch})


async def _add_holds(
    tx: AsyncConnection, opened: Sequence[HoldOpened], *, epoch: int, at: datetime
) -> None:
    rows = [each.row for each in opened]
    items = [each.item for each in opened]
    holds = [each.hold for each in opened]
    await tx.execute(
        _ADD_HOLDS,
        {
            "hold_id": [hold_id(each, epoch=epoch) for each in opened],
            "source_item_id": [item.source_item_id for item in items],
            "billing_event_id": [row.billing_event_id if row else None for row in rows],
            "contract_id": [item.contract_id for item in items],
            "contract_line_id": [item.contract_line_id for item in items],
            "legal_entity_id": [
                row.rating.legal_entity_id if row else item.delivering_entity_id
                for row, item in zip(rows, items, strict=True)
            ],
            "reason": [hold.reason for hold in holds],
            "detail": [hold.detail for hold in holds],
            "owner": [hold.owner for hold in holds],
            "advice": [hold.way_out.advice if hold.way_out else None for hold in holds],
            "epoch": [epoch] * len(opened),
            "opened_at": [at] * len(opened),
            "opened_by": [hold.placed_by or None for hold in holds],
        },
    )


def hold_id(opened: HoldOpened, *, epoch: int) -> HoldId:
    """Return the id of a hold: of a row by the version it came with, else by the facts."""
    if opened.row is not None:
        row = opened.row
        return HoldId(derived_id("hold", row.billing_event_id, opened.hold.reason, row.version))
    return HoldId(derived_id("hold", opened.item.source_item_id, opened.hold.reason, epoch))


async def _add_covered(
    tx: AsyncConnection, covered: Sequence[tuple[SourceItem, Covered]], *, at: datetime
) -> None:
    await tx.execute(
        _ADD_COVERED,
        {
            "source_item_id": [item.source_item_id for item, _ in covered],
            "explanation": [reason.explanation for _, reason in covered],
            "recorded_at": [at] * len(covered),
        },
    )


def _events_of(decision: Decision, *, at: datetime) -> Iterator[Outgoing]:
    writer = published.RowWriter()
    rated = [writer.encode(row) for row in decision.rated]
    changed = [writer.encode(row) for row in decision.changed]
    yield from published.rated(rated, at=at, new_id=new_id)
    yield from published.changed(changed, at=at, new_id=new_id)
    rows = zip((*decision.rated, *decision.changed), (*rated, *changed), strict=True)
    by_releaser: dict[str, list[bytes]] = {}
    # What counts again after a write-off was released before, and is told of by that event.
    undone = {each.row.billing_event_id for each in decision.settled if each.gives_back}
    for row, encoded in rows:
        if row.status is EventStatus.RELEASED and row.billing_event_id not in undone:
            by_releaser.setdefault(row.released_by, []).append(encoded)
    for releaser, released in by_releaser.items():
        yield from published.released(released, by=releaser, at=at, new_id=new_id)
