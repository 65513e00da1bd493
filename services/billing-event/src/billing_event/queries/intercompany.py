"""What entities owe each other: charge by charge, and by month and pair."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.position import Unit
from billing_event.domain.source import ContractId, SourceItemId
from billing_event.repository.intercompany import charge_from
from billing_event.wire.intercompany import write_charge
from billing_event.wire.published import write_quantity
from throughline.billing_event.v1 import intercompany_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import read_date, read_uuid, write_date, write_money
from throughline_runtime.page import Page, next_token

_CHARGE = tables.intercompany_charge


@dataclass(frozen=True, slots=True)
class ChargeFilter:
    """Which charges are wanted; None does not limit. Dates are inclusive.

    `entity_ids` are those of which one has to lend or to borrow.
    """

    entity_ids: Collection[UUID] | None = None
    lending_entity_id: UUID | None = None
    borrowing_entity_id: UUID | None = None
    contract_id: ContractId | None = None
    person_id: UUID | None = None
    work_from: date | None = None
    work_through: date | None = None
    source_item_id: SourceItemId | None = None


async def charges(
    tx: AsyncConnection, wanted: ChargeFilter, page: Page
) -> pb.ListIntercompanyChargesResponse:
    """Return a page of charges by day of the work."""
    keys = (_CHARGE.c.work_date, _CHARGE.c.intercompany_charge_id)
    query = _filtered(select(_CHARGE), wanted)
    if page.after is not None:
        day, charge_id = page.after
        after = read_date("page_token", day), read_uuid("page_token", charge_id)
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListIntercompanyChargesResponse(
        charges=[write_charge(charge_from(row)) for row in shown]
    )
    if len(rows) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(last.work_date, last.intercompany_charge_id)
    return response


async def totals(
    tx: AsyncConnection, wanted: ChargeFilter, page: Page
) -> pb.SummarizeIntercompanyChargesResponse:
    """Return a page of sums by month, pair of entities and currency."""
    month = func.date_trunc(literal("month"), _CHARGE.c.work_date).cast(_CHARGE.c.work_date.type)
    summed = (
        _filtered(
            select(
                month.label("month"),
                _CHARGE.c.lending_entity_id,
                _CHARGE.c.borrowing_entity_id,
                _CHARGE.c.currency,
                func.count().label("charges"),
                func.sum(_CHARGE.c.minutes).label("minutes"),
                func.sum(_CHARGE.c.quantity).label("quantity"),
                func.sum(_CHARGE.c.amount).label("amount"),
            ),
            wanted,
        )
        .group_by(
            "month",
            _CHARGE.c.lending_entity_id,
            _CHARGE.c.borrowing_entity_id,
            _CHARGE.c.currency,
        )
        .subquery()
    )
    keys = (
        summed.c.month,
        summed.c.lending_entity_id,
        summed.c.borrowing_entity_id,
        summed.c.currency,
    )
    query = select(summed)
    if page.after is not None:
        day, lender, borrower, currency = page.after
        after = (
            read_date("page_token", day),
            read_uuid("page_token", lender),
            read_uuid("page_token", borrower),
            currency,
        )
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.SummarizeIntercompanyChargesResponse(
        totals=[
            pb.IntercompanyTotal(
                month=write_date(row.month),
                lending_legal_entity_id=str(row.lending_entity_id),
                borrowing_legal_entity_id=str(row.borrowing_entity_id),
                charges=row.charges,
                minutes=row.minutes,
                quantity=write_quantity(row.quantity, Unit.HOUR),
                amount=write_money(Money(row.amount, row.currency)),
            )
            for row in shown
        ]
    )
    if len(rows) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(
            last.month, last.lending_entity_id, last.borrowing_entity_id, last.currency
        )
    return response


def _filtered(query: Select[Any], wanted: ChargeFilter) -> Select[Any]:
    if wanted.entity_ids is not None:
        query = query.where(
            or_(
                _CHARGE.c.lending_entity_id.in_(wanted.entity_ids),
                _CHARGE.c.borrowing_entity_id.in_(wanted.entity_ids),
            )
        )
    equal = {
        _CHARGE.c.lending_entity_id: wanted.lending_entity_id,
        _CHARGE.c.borrowing_entity_id: wanted.borrowing_entity_id,
        _CHARGE.c.contract_id: wanted.contract_id,
        _CHARGE.c.person_id: wanted.person_id,
        _CHARGE.c.source_item_id: wanted.source_item_id,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.work_from is not None:
        query = query.where(_CHARGE.c.work_date >= wanted.work_from)
    if wanted.work_through is not None:
        query = query.where(_CHARGE.c.work_date <= wanted.work_through)
    return query
