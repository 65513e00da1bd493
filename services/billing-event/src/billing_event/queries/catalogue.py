"""Limits and recurring periods, listed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.source import ContractId, ContractLineId
from throughline.billing_event.v1 import (
    limit_service_pb2,
    recurring_service_pb2,
)
from throughline.common.v1 import money_pb2
from throughline_core.money import Money
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_uuid,
    write_date,
    write_id,
    write_money,
)
from throughline_runtime.page import Page, next_token

_ACCOUNT = tables.limit_account
_PERIOD = tables.recurring_period
_HUNDRED = Decimal(100)


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


async def limits(
    tx: AsyncConnection,
    page: Page,
    *,
    contract_id: ContractId | None,
    legal_entity_ids: Collection[UUID] | None,
    used_percent_min: int,
) -> limit_service_pb2.ListLimitsResponse:
    """Return a page of limits by contract."""
    query = select(_ACCOUNT)
    if contract_id is not None:
        query = query.where(_ACCOUNT.c.contract_id == contract_id)
    if legal_entity_ids is not None:
        query = query.where(_ACCOUNT.c.legal_entity_id.in_(legal_entity_ids))
    if used_percent_min:
        taken = _ACCOUNT.c.reserved + _ACCOUNT.c.committed
        query = query.where(taken * _HUNDRED >= _ACCOUNT.c.enforced * used_percent_min)
    keys = (_ACCOUNT.c.contract_id, _ACCOUNT.c.limit_account_id)
    if page.after is not None:
        after = tuple(read_uuid("page_token", key) for key in page.after)
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = limit_service_pb2.ListLimitsResponse(limits=map(_write_limit, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].contract_id, shown[-1].limit_account_id)
    return response


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


def _write_limit(row: Row[Any]) -> limit_service_pb2.Limit:
    def money(amount: Decimal | None) -> money_pb2.Money | None:
        return None if amount is None else write_money(Money(amount, row.currency))

    is_limited = row.enforced is not None
    return limit_service_pb2.Limit(
        limit_account_id=str(row.limit_account_id),
        contract_id=str(row.contract_id),
        contract_line_id=write_id(row.contract_line_id) or None,
        legal_entity_id=str(row.legal_entity_id),
        agreed=money(row.agreed),
        enforced=money(row.enforced),
        reserved=money(row.reserved),
        committed=money(row.committed),
        available=money(row.enforced - row.reserved - row.committed) if is_limited else None,
        contract_version=row.contract_version,
    )


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
