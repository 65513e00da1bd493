"""The billing calendar of a contract: what comes due by its terms, in order of its day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Row, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.source import ContractId
from throughline.billing_event.v1 import billing_calendar_service_pb2 as pb
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline_core.errors import NotFound
from throughline_core.money import Money
from throughline_runtime.fields import read_date, read_uuid, write_date, write_money
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page, next_token

_TERMS = tables.contract_terms
_RECURRING = tables.recurring_period
_USAGE = tables.usage_period
_ITEM = tables.source_item


class ContractNotFound(NotFound):
    """No such contract in force, as far as is known here."""

    code = "contract.not_found"


@dataclass(frozen=True, slots=True)
class CalendarFilter:
    """Which days are wanted, both inclusive; None does not limit."""

    due_from: date | None = None
    due_through: date | None = None
    open_only: bool = False


async def calendar(
    tx: AsyncConnection, contract_id: ContractId, wanted: CalendarFilter, page: Page
) -> pb.GetBillingCalendarResponse:
    """Return a page of what comes due of a contract.

    The calendar of one contract is bounded by its term, so it is put together whole.

    Raises:
        ContractNotFound, EntityForbidden: it is not known as in force, or not for the caller.
    """
    contract = await _newest(tx, contract_id)
    require_entity(read_uuid("legal_entity_id", contract.legal_entity_id))
    entries = [
        *_recurring(await _recurring_rows(tx, contract_id), contract),
        *_usage(await _usage_rows(tx, contract_id)),
        *_milestones(contract),
    ]
    entries = sorted((each for each in entries if _fits(each, wanted)), key=_key)
    if page.after is not None:
        after = page.after
        entries = [each for each in entries if _key(each) > after]
    shown = entries[: page.size]
    response = pb.GetBillingCalendarResponse(entries=shown)
    if len(entries) > page.size:
        response.next_page_token = next_token(*_key(shown[-1]))
    return response


async def _newest(tx: AsyncConnection, contract_id: ContractId) -> contract_pb2.Contract:
    query = (
        select(_TERMS.c.terms)
        .where(_TERMS.c.contract_id == contract_id)
        .order_by(_TERMS.c.contract_version.desc())
        .limit(1)
    )
    terms = await tx.scalar(query)
    if terms is None:
        raise ContractNotFound(
            f"contract {contract_id} is not known as in force",
            field="contract_id",
            advice="activate it first; shortly after that it is known here",
        )
    return contract_pb2.Contract.FromString(terms)


async def _recurring_rows(tx: AsyncConnection, contract_id: ContractId) -> Sequence[Row[Any]]:
    charged = exists().where(_ITEM.c.source_item_id == _RECURRING.c.recurring_period_id)
    query = select(_RECURRING, charged.label("is_charged"))
    return (await tx.execute(query.where(_RECURRING.c.contract_id == contract_id))).all()


async def _usage_rows(tx: AsyncConnection, contract_id: ContractId) -> Sequence[Row[Any]]:
    return (await tx.execute(select(_USAGE).where(_USAGE.c.contract_id == contract_id))).all()


def _recurring(
    rows: Sequence[Row[Any]], contract: contract_pb2.Contract
) -> Iterator[pb.BillingCalendarEntry]:
    retainers = {
        line.contract_line_id
        for line in contract.lines
        if line.terms.billing_model == quote_pb2.BILLING_MODEL_RETAINER
    }
    for row in rows:
        is_retainer = str(row.contract_line_id) in retainers
        yield pb.BillingCalendarEntry(
            kind=pb.BILLING_CALENDAR_KIND_RETAINER
            if is_retainer
            else pb.BILLING_CALENDAR_KIND_RECURRING,
            due_on=write_date(row.due_on),
            contract_line_id=str(row.contract_line_id),
            description=row.description,
            service_from=write_date(row.service_from),
            service_to=write_date(row.service_to),
            amount=write_money(Money(row.amount, row.currency)),
            charged=row.is_charged,
            reference=str(row.recurring_period_id),
        )


def _usage(rows: Sequence[Row[Any]]) -> Iterator[pb.BillingCalendarEntry]:
    for row in rows:
        is_closed = row.closed_at is not None
        yield pb.BillingCalendarEntry(
            kind=pb.BILLING_CALENDAR_KIND_USAGE,
            due_on=write_date(row.service_to),
            contract_line_id=str(row.contract_line_id),
            description=row.description,
            service_from=write_date(row.service_from),
            service_to=write_date(row.service_to),
            amount=write_money(Money(row.closed_amount, row.currency)) if is_closed else None,
            charged=is_closed,
            reference=str(row.usage_period_id),
        )


def _milestones(contract: contract_pb2.Contract) -> Iterator[pb.BillingCalendarEntry]:
    """Yield the milestones that have a day; what ended or was billed by progress has none."""
    for line in contract.lines:
        terms = line.terms
        for milestone in terms.milestones:
            if not milestone.due_on or (line.ended_on and line.ended_on <= milestone.due_on):
                continue
            yield pb.BillingCalendarEntry(
                kind=pb.BILLING_CALENDAR_KIND_MILESTONE,
                due_on=milestone.due_on,
                contract_line_id=line.contract_line_id,
                description=milestone.name,
                amount=milestone.amount if milestone.HasField("amount") else None,
                reference=milestone.key,
            )


def _fits(entry: pb.BillingCalendarEntry, wanted: CalendarFilter) -> bool:
    day = read_date("due_on", entry.due_on)
    if wanted.due_from is not None and day < wanted.due_from:
        return False
    if wanted.due_through is not None and day > wanted.due_through:
        return False
    return not (wanted.open_only and entry.charged)


def _key(entry: pb.BillingCalendarEntry) -> tuple[str, ...]:
    return entry.due_on, entry.contract_line_id, entry.reference
