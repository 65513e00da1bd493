"""Periods of retainers, their statements and top-ups, listed, and what their end would bring."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.proposal import DecisionStatus
from billing_event.domain.retainer import MovementKind, PeriodStatus, RetainerPeriodId
from billing_event.domain.retainer_top_up import PeriodClosed, PeriodNotFound
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.repository import fact, retainer
from billing_event.repository.retainer_top_up import top_up_from
from billing_event.wire import retainers
from throughline.billing_event.v1 import retainer_pb2
from throughline.billing_event.v1 import retainer_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import read_date, read_uuid, write_money
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page, next_token

_PERIOD = tables.retainer_period
_ENTRY = tables.retainer_entry
_TOP_UP = tables.retainer_top_up


@dataclass(frozen=True, slots=True)
class PeriodFilter:
    """Which periods are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: PeriodStatus | None = None
    on: date | None = None


@dataclass(frozen=True, slots=True)
class TopUpFilter:
    """Which top-ups are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    retainer_period_id: RetainerPeriodId | None = None
    status: DecisionStatus | None = None


async def periods(
    tx: AsyncConnection, wanted: PeriodFilter, page: Page
) -> pb.ListRetainerPeriodsResponse:
    """Return a page of periods by contract line and first day."""
    query = select(_PERIOD)
    equal = {
        _PERIOD.c.contract_id: wanted.contract_id,
        _PERIOD.c.contract_line_id: wanted.contract_line_id,
        _PERIOD.c.status: wanted.status,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_PERIOD.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.on is not None:
        query = query.where(_PERIOD.c.period_from <= wanted.on, _PERIOD.c.period_to > wanted.on)
    keys = (_PERIOD.c.contract_line_id, _PERIOD.c.period_from, _PERIOD.c.retainer_period_id)
    if page.after is not None:
        line, day, period = page.after
        after = (
            read_uuid("page_token", line),
            read_date("page_token", day),
            read_uuid("page_token", period),
        )
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListRetainerPeriodsResponse(retainer_periods=map(retainers.write_period, shown))
    if len(rows) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(
            last.contract_line_id, last.period_from, last.retainer_period_id
        )
    return response


async def period(
    tx: AsyncConnection, retainer_period_id: RetainerPeriodId
) -> retainer_pb2.RetainerPeriod:
    """Return one period.

    Raises:
        PeriodNotFound: there is none.
        EntityForbidden: it is not for the caller.
    """
    return retainers.write_period(await _get(tx, retainer_period_id))


async def entries(
    tx: AsyncConnection,
    retainer_period_id: RetainerPeriodId,
    page: Page,
    *,
    kind: MovementKind | None,
) -> pb.ListRetainerEntriesResponse:
    """Return a page of the statement of a period, oldest first: ids are ordered by time.

    Raises:
        PeriodNotFound, EntityForbidden: see `period`.
    """
    owner = await _get(tx, retainer_period_id)
    query = select(_ENTRY).where(_ENTRY.c.retainer_period_id == retainer_period_id)
    if kind is not None:
        query = query.where(_ENTRY.c.kind == kind)
    key = _ENTRY.c.retainer_entry_id
    if page.after is not None:
        query = query.where(key > read_uuid("page_token", page.after[0]))
    rows = (await tx.execute(query.order_by(key).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListRetainerEntriesResponse(
        entries=(
            retainers.write_entry(row, unit=owner.unit, currency=owner.currency) for row in shown
        )
    )
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].retainer_entry_id)
    return response


async def preview_close(
    tx: AsyncConnection, retainer_period_id: RetainerPeriodId
) -> pb.PreviewRetainerCloseResponse:
    """Return what the end of a period would bring.

    Raises:
        PeriodNotFound, EntityForbidden: see `period`.
        PeriodClosed: it has ended.
    """
    row = await _get(tx, retainer_period_id)
    if row.status in (PeriodStatus.CLOSED, PeriodStatus.VOID):
        raise PeriodClosed(
            f"period {retainer_period_id} is {row.status}",
            field="retainer_period_id",
            advice="look at what was carried on and what lapsed on the period itself",
        )
    _, agreements = await fact.load_agreements(tx, [row.contract_id])
    book = await retainer.load(tx, agreements)
    found = book.get(retainer_period_id)
    assert found is not None, "it was read by the same transaction"
    carried, lapsed, value = book.preview(found)
    return pb.PreviewRetainerCloseResponse(
        retainer_period=retainers.write_period(row),
        carried_on=retainers.write_figure(carried, row.unit),
        lapsed=retainers.write_figure(lapsed, row.unit),
        lapsed_amount=write_money(Money(value, row.currency)),
    )


async def top_ups(
    tx: AsyncConnection, wanted: TopUpFilter, page: Page
) -> pb.ListRetainerTopUpsResponse:
    """Return a page of top-ups, newest first: their ids are ordered by time."""
    query = select(_TOP_UP)
    if wanted.legal_entity_ids is not None:
        query = query.where(_TOP_UP.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.retainer_period_id is not None:
        query = query.where(_TOP_UP.c.retainer_period_id == wanted.retainer_period_id)
    if wanted.status is not None:
        query = query.where(_TOP_UP.c.status == wanted.status)
    key = _TOP_UP.c.retainer_top_up_id
    if page.after is not None:
        query = query.where(key < read_uuid("page_token", page.after[0]))
    rows = (await tx.execute(query.order_by(key.desc()).limit(page.size + 1))).all()
    shown = [top_up_from(row) for row in rows[: page.size]]
    response = pb.ListRetainerTopUpsResponse(retainer_top_ups=map(retainers.write_top_up, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].retainer_top_up_id)
    return response


async def _get(tx: AsyncConnection, retainer_period_id: RetainerPeriodId) -> Row[Any]:
    query = select(_PERIOD).where(_PERIOD.c.retainer_period_id == retainer_period_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise PeriodNotFound(
            f"period {retainer_period_id} of a retainer does not exist",
            field="retainer_period_id",
        )
    require_entity(row.legal_entity_id)
    return row
