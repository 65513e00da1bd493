"""Rated rows and holds, listed and one by one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row as SqlRow
from sqlalchemy import Select, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.claim import ClaimKind
from billing_event.domain.hold import WAYS_OUT, HoldId, HoldReason, OpenHold
from billing_event.domain.position import (
    BillingEventId,
    BillingEventNotFound,
    EventStatus,
    EventType,
    Row,
)
from billing_event.domain.release import checkpoint_of
from billing_event.domain.source import ContractId, ContractLineId, SourceItemId
from billing_event.queries.keys import read_moment
from billing_event.repository import fact, standing
from billing_event.repository.policy import load_policies
from billing_event.repository.row import row_from
from billing_event.wire.explanation import write_checkpoint, write_explanation
from billing_event.wire.published import CLAIM_KINDS, REASONS, TYPES, RowWriter, write_quantity
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline.billing_event.v1 import billing_event_service_pb2 as service_pb
from throughline_core.money import Money
from throughline_runtime.fields import read_date, read_uuid, write_id, write_instant, write_money
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page, next_token

_EVENT = tables.billing_event
_POSITION = tables.position
_ITEM = tables.source_item
_HOLD = tables.hold
_CONTRACT = tables.contract_state
# A thing that could not be rated has no row whose type it is.
_HELD_TYPE = func.coalesce(_EVENT.c.type, _ITEM.c.type)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which rows are wanted; None does not limit. Dates are inclusive."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: EventStatus | None = None
    type: EventType | None = None
    hold_reason: HoldReason | None = None
    project_id: UUID | None = None
    person_id: UUID | None = None
    bill_to_customer_id: UUID | None = None
    delivering_entity_id: UUID | None = None
    source_item_id: SourceItemId | None = None
    service_from: date | None = None
    service_through: date | None = None


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which open holds are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    reason: HoldReason | None = None
    contract_id: ContractId | None = None
    owner: str | None = None
    age_days_min: int = 0
    unrated_only: bool = False
    source_item_id: SourceItemId | None = None
    type: EventType | None = None
    project_id: UUID | None = None
    person_id: UUID | None = None


async def billing_events(
    tx: AsyncConnection, wanted: EventFilter, page: Page, *, now: datetime
) -> service_pb.ListBillingEventsResponse:
    """Return a page of rows by first day of service."""
    query = _filtered(_select_rows(), wanted)
    if page.after is not None:
        day, row_id = page.after
        after = read_date("page_token", day), read_uuid("page_token", row_id)
        query = query.where(tuple_(_EVENT.c.service_from, _EVENT.c.billing_event_id) > after)
    ordered = query.order_by(_EVENT.c.service_from, _EVENT.c.billing_event_id)
    rows = (await tx.execute(ordered.limit(page.size + 1))).all()
    shown = rows[: page.size]
    found = await _told(tx, shown, now=now)
    response = service_pb.ListBillingEventsResponse(billing_events=[event for _, event in found])
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].service_from, shown[-1].billing_event_id)
    return response


async def billing_event(
    tx: AsyncConnection, billing_event_id: BillingEventId, *, now: datetime
) -> service_pb.GetBillingEventResponse:
    """Return a row with all its holds and claims.

    Raises:
        BillingEventNotFound: there is none.
        EntityForbidden: the caller may not see its legal entity.
    """
    row_query = _select_rows().where(_EVENT.c.billing_event_id == billing_event_id)
    rows = (await tx.execute(row_query)).all()
    if not rows:
        raise BillingEventNotFound(
            f"billing event {billing_event_id} does not exist", field="billing_event_id"
        )
    [row] = rows
    require_entity(row.legal_entity_id)
    hold_query = _select_holds().where(_HOLD.c.billing_event_id == billing_event_id)
    holds = await tx.execute(hold_query.order_by(_HOLD.c.opened_at, _HOLD.c.hold_id))
    claim = tables.allocation
    claims = await tx.execute(
        select(claim)
        .where(claim.c.billing_event_id == billing_event_id)
        .order_by(claim.c.recorded_at, claim.c.allocation_id)
    )
    [(shown, told)] = await _told(tx, rows, now=now)
    effective_on = await fact.effective_on(tx, row.contract_id, row.contract_version)
    return service_pb.GetBillingEventResponse(
        billing_event=told,
        holds=[_write_hold(hold, now=now) for hold in holds],
        allocations=[
            pb.Allocation(
                allocation_id=str(each.allocation_id),
                billing_event_id=str(each.billing_event_id),
                invoice_id=write_id(each.invoice_id),
                invoice_line_id=write_id(each.invoice_line_id),
                quantity=write_quantity(each.quantity, row.unit),
                amount=write_money(Money(each.amount, row.currency)),
                kind=CLAIM_KINDS.write(ClaimKind(each.kind)),
            )
            for each in claims
        ],
        explanation=write_explanation(shown, effective_on=effective_on),
    )


async def holds(
    tx: AsyncConnection, wanted: HoldFilter, page: Page, *, now: datetime
) -> service_pb.ListHoldsResponse:
    """Return a page of open holds, oldest first."""
    query = _filtered_holds(wanted, now=now)
    if page.after is not None:
        opened_at, hold_id = page.after
        after = read_moment(opened_at), read_uuid("page_token", hold_id)
        query = query.where(tuple_(_HOLD.c.opened_at, _HOLD.c.hold_id) > after)
    ordered = query.order_by(_HOLD.c.opened_at, _HOLD.c.hold_id)
    rows = (await tx.execute(ordered.limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = service_pb.ListHoldsResponse(holds=[_write_hold(row, now=now) for row in shown])
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].opened_at.isoformat(), shown[-1].hold_id)
    return response


async def hold(tx: AsyncConnection, hold_id: HoldId, *, now: datetime) -> service_pb.Hold:
    """Return one hold, open or cleared."""
    rows = await tx.execute(_select_holds().where(_HOLD.c.hold_id == hold_id))
    return _write_hold(rows.one(), now=now)


def _select_rows() -> Select[Any]:
    taker = _EVENT.alias("taker")
    is_taken_back = exists().where(taker.c.reverses_billing_event_id == _EVENT.c.billing_event_id)
    state = (
        _POSITION.c.status,
        _POSITION.c.version,
        _POSITION.c.released_by,
        is_taken_back.label("is_taken_back"),
        _CONTRACT.c.time_zone,
    )
    return (
        select(_EVENT, *state)
        .join(_POSITION, _POSITION.c.billing_event_id == _EVENT.c.billing_event_id)
        .outerjoin(_CONTRACT, _CONTRACT.c.contract_id == _EVENT.c.contract_id)
    )


def _filtered(query: Select[Any], wanted: EventFilter) -> Select[Any]:
    equal = {
        _EVENT.c.contract_id: wanted.contract_id,
        _EVENT.c.contract_line_id: wanted.contract_line_id,
        _EVENT.c.type: wanted.type,
        _EVENT.c.source_item_id: wanted.source_item_id,
        _POSITION.c.status: wanted.status,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_EVENT.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.service_from is not None:
        query = query.where(_EVENT.c.service_from >= wanted.service_from)
    if wanted.service_through is not None:
        query = query.where(_EVENT.c.service_from <= wanted.service_through)
    if wanted.bill_to_customer_id is not None:
        query = query.where(_EVENT.c.bill_to_customer_id == wanted.bill_to_customer_id)
    of_item = (wanted.project_id, wanted.person_id, wanted.delivering_entity_id)
    if any(each is not None for each in of_item):
        query = query.join(_ITEM, _ITEM.c.source_item_id == _EVENT.c.source_item_id)
    if wanted.project_id is not None:
        query = query.where(_ITEM.c.project_id == wanted.project_id)
    if wanted.person_id is not None:
        query = query.where(_ITEM.c.person_id == wanted.person_id)
    if wanted.delivering_entity_id is not None:
        delivering = func.coalesce(
            _ITEM.c.delivering_entity_id,
            _EVENT.c.delivering_entity_id,
            _EVENT.c.legal_entity_id,
        )
        query = query.where(delivering == wanted.delivering_entity_id)
    if wanted.hold_reason is not None:
        query = query.where(
            exists()
            .where(_HOLD.c.billing_event_id == _EVENT.c.billing_event_id)
            .where(_HOLD.c.cleared_at.is_(None))
            .where(_HOLD.c.reason == wanted.hold_reason)
        )
    return query


async def _told(
    tx: AsyncConnection, rows: Sequence[SqlRow[Any]], *, now: datetime
) -> list[tuple[Row, pb.BillingEvent]]:
    """Return rows as values and as they are replied: who released them, or why they wait."""
    found = await _read(tx, rows)
    is_waiting = any(row.status is EventStatus.ELIGIBLE for row in found)
    policies = await load_policies(tx) if is_waiting else {}
    writer = RowWriter()
    told = []
    for stored, row in zip(rows, found, strict=True):
        message = writer.write(row)
        message.released_by = row.released_by
        if row.status is EventStatus.ELIGIBLE:
            today = now.astimezone(ZoneInfo(stored.time_zone or "UTC")).date()
            policy = policies.get(row.rating.legal_entity_id)
            checkpoint = checkpoint_of(policy, row.rating, row.item, row.amount, on=today)
            message.checkpoint.CopyFrom(write_checkpoint(checkpoint, row.amount))
        told.append((row, message))
    return told


async def _read(tx: AsyncConnection, rows: Sequence[SqlRow[Any]]) -> list[Row]:
    items = await standing.load_items(tx, {row.source_item_id for row in rows})
    open_holds = await tx.execute(
        select(_HOLD.c.billing_event_id, _HOLD.c.reason, _HOLD.c.detail)
        .where(_HOLD.c.billing_event_id.in_([row.billing_event_id for row in rows]))
        .where(_HOLD.c.cleared_at.is_(None))
        .order_by(_HOLD.c.opened_at, _HOLD.c.hold_id)
    )
    by_row: dict[UUID, list[OpenHold]] = {}
    for each in open_holds:
        reason = OpenHold(HoldReason(each.reason), each.detail)
        by_row.setdefault(each.billing_event_id, []).append(reason)
    return [
        row_from(row, items[row.source_item_id], by_row.get(row.billing_event_id, []))
        for row in rows
    ]


def _select_holds() -> Select[Any]:
    return (
        select(
            _HOLD,
            _HELD_TYPE.label("type"),
            _EVENT.c.amount,
            _EVENT.c.currency,
        )
        .join(_ITEM, _ITEM.c.source_item_id == _HOLD.c.source_item_id)
        .outerjoin(_EVENT, _EVENT.c.billing_event_id == _HOLD.c.billing_event_id)
    )


def _filtered_holds(wanted: HoldFilter, *, now: datetime) -> Select[Any]:
    query = _select_holds().where(_HOLD.c.cleared_at.is_(None))
    for column, value in (
        (_HOLD.c.reason, wanted.reason),
        (_HOLD.c.contract_id, wanted.contract_id),
        (_HOLD.c.owner, wanted.owner),
        (_HOLD.c.source_item_id, wanted.source_item_id),
        (_HELD_TYPE, wanted.type),
        (_ITEM.c.project_id, wanted.project_id),
        (_ITEM.c.person_id, wanted.person_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_HOLD.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.age_days_min:
        query = query.where(_HOLD.c.opened_at <= now - timedelta(days=wanted.age_days_min))
    if wanted.unrated_only:
        query = query.where(_HOLD.c.billing_event_id.is_(None))
    return query


def _write_hold(row: SqlRow[Any], *, now: datetime) -> service_pb.Hold:
    reason = HoldReason(row.reason)
    amount = None if row.amount is None else write_money(Money(row.amount, row.currency))
    return service_pb.Hold(
        hold_id=str(row.hold_id),
        reason=REASONS.write(reason),
        source_item_id=str(row.source_item_id),
        type=TYPES.write(EventType(row.type)),
        billing_event_id=write_id(row.billing_event_id) or None,
        contract_id=write_id(row.contract_id) or None,
        contract_line_id=write_id(row.contract_line_id) or None,
        detail=row.detail,
        owner=row.owner,
        advice=row.advice or WAYS_OUT[reason].advice,
        opened_at=write_instant(row.opened_at),
        opened_by=row.opened_by or "",
        age_days=((row.cleared_at or now) - row.opened_at).days,
        cleared_at=write_instant(row.cleared_at),
        cleared_by=row.cleared_by or "",
        clearing_reason=row.clearing_reason or "",
        amount=amount,
    )
