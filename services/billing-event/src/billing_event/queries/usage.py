"""Readings of meters and periods of usage, listed; what a period costs so far."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain import usage
from billing_event.domain.reading import RecordNotFound, RecordStatus, UsageRecordId
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.domain.usage import Charge, PeriodNotFound, TermsMissing, UsagePeriodId
from billing_event.queries.keys import page_by_time
from billing_event.repository import fact
from billing_event.repository import usage as repository
from throughline.billing_event.v1 import usage_service_pb2 as pb
from throughline.common.v1 import source_pb2
from throughline_core.money import Money
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_uuid,
    write_date,
    write_decimal,
    write_instant,
    write_money,
)
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page, next_token

RECORD_STATUSES: Final = EnumMap(pb.UsageRecordStatus, RecordStatus)

_RECORD = tables.usage_record
_END = tables.usage_record_end
_PERIOD = tables.usage_period


class PeriodStatus(StrEnum):
    """Whether a period was charged."""

    OPEN = "open"
    CLOSED = "closed"


PERIOD_STATUSES: Final = EnumMap(pb.UsagePeriodStatus, PeriodStatus)


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which readings are wanted; None or empty does not limit. Days are half-open."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    meter: str = ""
    measured_from: date | None = None
    measured_to: date | None = None
    status: RecordStatus | None = None
    source_system: str = ""


@dataclass(frozen=True, slots=True)
class PeriodFilter:
    """Which periods are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: PeriodStatus | None = None
    begun_by: date | None = None


async def records(
    tx: AsyncConnection, wanted: RecordFilter, page: Page
) -> pb.ListUsageRecordsResponse:
    """Return a page of readings by instant."""
    keys = (_RECORD.c.measured_at, _RECORD.c.usage_record_id)
    rows, token = await page_by_time(tx, _filtered(wanted), keys, page)
    return pb.ListUsageRecordsResponse(
        usage_records=map(_write_record, rows), next_page_token=token
    )


async def record(tx: AsyncConnection, usage_record_id: UsageRecordId) -> pb.UsageRecord:
    """Return a reading.

    Raises:
        RecordNotFound: there is none.
    """
    query = _records().where(_RECORD.c.usage_record_id == usage_record_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise RecordNotFound(f"usage record {usage_record_id} does not exist")
    return _write_record(row)


async def periods(
    tx: AsyncConnection, wanted: PeriodFilter, page: Page, *, at: datetime
) -> pb.ListUsagePeriodsResponse:
    """Return a page of periods by their end, each with what counts by `at`."""
    query = select(_PERIOD)
    if wanted.legal_entity_ids is not None:
        query = query.where(_PERIOD.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.contract_id is not None:
        query = query.where(_PERIOD.c.contract_id == wanted.contract_id)
    if wanted.contract_line_id is not None:
        query = query.where(_PERIOD.c.contract_line_id == wanted.contract_line_id)
    if wanted.status is not None:
        is_open = wanted.status is PeriodStatus.OPEN
        closed_at = _PERIOD.c.closed_at
        query = query.where(closed_at.is_(None) if is_open else closed_at.is_not(None))
    if wanted.begun_by is not None:
        query = query.where(_PERIOD.c.service_from <= wanted.begun_by)
    keys = (_PERIOD.c.service_to, _PERIOD.c.usage_period_id)
    if page.after is not None:
        day, period_id = page.after
        after = read_date("page_token", day), read_uuid("page_token", period_id)
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListUsagePeriodsResponse(usage_periods=await _write_periods(tx, shown, at=at))
    if len(rows) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(last.service_to, last.usage_period_id)
    return response


async def period(
    tx: AsyncConnection, usage_period_id: UsagePeriodId, *, at: datetime
) -> pb.GetUsagePeriodResponse:
    """Return a period and what its readings by `at` cost.

    Raises:
        PeriodNotFound, EntityForbidden: it is not there, or not for the caller.
        TermsMissing: a version of the terms that may decide the price has not arrived.
    """
    query = select(_PERIOD).where(_PERIOD.c.usage_period_id == usage_period_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise PeriodNotFound(f"usage period {usage_period_id} does not exist")
    require_entity(row.legal_entity_id)
    [written] = await _write_periods(tx, [row], at=at)
    _, agreements = await fact.load_agreements(tx, [row.contract_id])
    counted = await repository.metered(tx, [usage_period_id], at=at)
    charge = usage.charge_of(
        agreements[row.contract_id],
        repository.period_from(row),
        counted[usage_period_id],
        closed_by=row.contract_version,
    )
    if charge is None:
        raise TermsMissing(
            f"not all terms of {row.service_from} have arrived",
            advice="ask again shortly",
        )
    return pb.GetUsagePeriodResponse(
        usage_period=written,
        included_quantity=write_decimal(charge.included),
        charges=_write_charges(charge),
        amount=write_money(charge.amount),
        explanation=charge.explanation,
    )


def _records() -> Select[Any]:
    return select(_RECORD, _END.c.kind, _END.c.ended_by, _END.c.reason).outerjoin(
        _END, _END.c.usage_record_id == _RECORD.c.usage_record_id
    )


def _filtered(wanted: RecordFilter) -> Select[Any]:
    query = _records()
    if wanted.legal_entity_ids is not None:
        query = query.where(_RECORD.c.legal_entity_id.in_(wanted.legal_entity_ids))
    for column, value in (
        (_RECORD.c.contract_id, wanted.contract_id),
        (_RECORD.c.contract_line_id, wanted.contract_line_id),
        (_RECORD.c.meter, wanted.meter or None),
        (_RECORD.c.source_system, wanted.source_system or None),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.measured_from is not None:
        query = query.where(_RECORD.c.measured_on >= wanted.measured_from)
    if wanted.measured_to is not None:
        query = query.where(_RECORD.c.measured_on < wanted.measured_to)
    if wanted.status is not None:
        kind = func.coalesce(_END.c.kind, literal(RecordStatus.COUNTED.value))
        query = query.where(kind == wanted.status)
    return query


async def _write_periods(
    tx: AsyncConnection, rows: Collection[Row[Any]], *, at: datetime
) -> list[pb.UsagePeriod]:
    ids = [row.usage_period_id for row in rows]
    counted = await repository.metered(tx, ids, at=at)
    ahead = await _ahead(tx, ids, at=at)
    lines = await fact.load_agreements(tx, {row.contract_id for row in rows})
    return [_write_period(row, counted, ahead, lines[1]) for row in rows]


async def _ahead(
    tx: AsyncConnection, usage_period_ids: Collection[UsagePeriodId], *, at: datetime
) -> dict[UsagePeriodId, int]:
    query = (
        select(_PERIOD.c.usage_period_id, func.count().label("readings"))
        .join(
            _RECORD,
            and_(
                _RECORD.c.contract_line_id == _PERIOD.c.contract_line_id,
                _RECORD.c.measured_on >= _PERIOD.c.service_from,
                _RECORD.c.measured_on < _PERIOD.c.service_to,
            ),
        )
        .outerjoin(_END, _END.c.usage_record_id == _RECORD.c.usage_record_id)
        .where(_PERIOD.c.usage_period_id.in_(usage_period_ids))
        .where(_RECORD.c.measured_at > at, _END.c.kind.is_(None))
        .group_by(_PERIOD.c.usage_period_id)
    )
    return {row.usage_period_id: row.readings for row in await tx.execute(query)}


def _write_period(
    row: Row[Any],
    counted: dict[UsagePeriodId, usage.Metered],
    ahead: dict[UsagePeriodId, int],
    agreements: dict[ContractId, Any],
) -> pb.UsagePeriod:
    found = counted[row.usage_period_id]
    charge = usage.charge_of(
        agreements[row.contract_id],
        repository.period_from(row),
        found,
        closed_by=row.contract_version,
    )
    message = pb.UsagePeriod(
        usage_period_id=str(row.usage_period_id),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        legal_entity_id=str(row.legal_entity_id),
        meter=row.meter,
        service_from=write_date(row.service_from),
        service_to=write_date(row.service_to),
        status=PERIOD_STATUSES.write(
            PeriodStatus.OPEN if row.closed_at is None else PeriodStatus.CLOSED
        ),
        quantity="" if charge is None else write_decimal(charge.quantity),
        readings=found.readings,
        readings_ahead=ahead.get(row.usage_period_id, 0),
    )
    if row.closed_at is not None:
        message.charged.CopyFrom(write_money(Money(row.closed_amount, row.currency)))
        message.charged_quantity = write_decimal(row.closed_quantity)
        message.closed_at.FromDatetime(row.closed_at)
    return message


def _write_charges(charge: Charge) -> list[pb.UsageCharge]:
    return [
        pb.UsageCharge(
            above=write_decimal(tier.above),
            up_to="" if tier.up_to is None else write_decimal(tier.up_to),
            quantity=write_decimal(tier.quantity),
            unit_price=write_money(tier.unit_price),
            amount=write_money(tier.amount),
        )
        for tier in charge.tiers
    ]


def _write_record(row: Row[Any]) -> pb.UsageRecord:
    source = None
    if row.source_system is not None:
        source = source_pb2.SourceRef(
            system=row.source_system,
            object_type=row.source_object_type,
            object_id=row.source_object_id,
        )
    return pb.UsageRecord(
        usage_record_id=str(row.usage_record_id),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        legal_entity_id=str(row.legal_entity_id),
        meter=row.meter,
        quantity=write_decimal(row.quantity),
        unit=row.unit,
        measured_at=write_instant(row.measured_at),
        measured_on=write_date(row.measured_on),
        source=source,
        status=RECORD_STATUSES.write(RecordStatus(row.kind or RecordStatus.COUNTED)),
        revision=row.revision,
        recorded_by=row.recorded_by,
        recorded_at=write_instant(row.recorded_at),
        ended_by=row.ended_by or "",
        end_reason=row.reason or "",
    )
