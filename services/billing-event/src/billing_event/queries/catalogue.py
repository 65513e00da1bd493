"""Recurring periods, listed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.source import ContractId, ContractLineId
from throughline.billing_event.v1 import (
    recurring_service_pb2,
)
from throughline_core.money import Money
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_uuid,
    write_date,
    write_money,
)
from throughline_runtime.page import Page, next_token

_PERIOD = tables.recurring_period


class PeriodStatus(StrEnum):
    """Whether a recurring period was charged; it follows from its source item."""

    PLANNED = "planned"
    CHARGED = "charged"


PERIOD_STATUSES = EnumMap(recurring_service_pb2.RecurringPeriodStatus, PeriodStatus)


@dataclass(frozen=True, slots=True)
class PeriodFilter:
    """Which periods are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: PeriodStatus | None = None
    due_through: date | None = None


async def recurring_periods(
    tx: AsyncConnection, wanted: PeriodFilter, page: Page
) -> recurring_service_pb2.ListRecurringPeriodsResponse:
    """Return a page of periods by due day."""
    item = tables.source_item
    is_charged = exists().where(item.c.source_item_id == _PERIOD.c.recurring_period_id)
    query = select(_PERIOD, is_charged.label("is_charged"))
    if wanted.legal_entity_ids is not None:
        query = query.where(_PERIOD.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.contract_id is not None:
        query = query.where(_PERIOD.c.contract_id == wanted.contract_id)
    if wanted.contract_line_id is not None:
        query = query.where(_PERIOD.c.contract_line_id == wanted.contract_line_id)
    if wanted.status is not None:
        charged = wanted.status is PeriodStatus.CHARGED
        query = query.where(is_charged if charged else ~is_charged)
    if wanted.due_through is not None:
        query = query.where(_PERIOD.c.due_on <= wanted.due_through)
    keys = (_PERIOD.c.due_on, _PERIOD.c.recurring_period_id)
    if page.after is not None:
        day, period_id = page.after
        after = read_date("page_token", day), read_uuid("page_token", period_id)
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = recurring_service_pb2.ListRecurringPeriodsResponse(
        recurring_periods=map(_write_period, shown)
    )
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].due_on, shown[-1].recurring_period_id)
    return response


def _write_period(row: Row[Any]) -> recurring_service_pb2.RecurringPeriod:
    status = PeriodStatus.CHARGED if row.is_charged else PeriodStatus.PLANNED
    return recurring_service_pb2.RecurringPeriod(
        recurring_period_id=str(row.recurring_period_id),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        legal_entity_id=str(row.legal_entity_id),
        service_from=write_date(row.service_from),
        service_to=write_date(row.service_to),
        due_on=write_date(row.due_on),
        amount=write_money(Money(row.amount, row.currency)),
        status=PERIOD_STATUSES.write(status),
        explanation=row.explanation,
    )
