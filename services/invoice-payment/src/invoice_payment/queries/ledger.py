"""Payments, journal entries, accounts and number series as lists and summaries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, exists, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.journal import Fact
from invoice_payment.domain.payment import PaymentStatus
from invoice_payment.domain.series import Series
from invoice_payment.queries.invoices import only_visible
from invoice_payment.repository.payment import PaymentNotFound, payment_from
from invoice_payment.wire import ledger
from throughline.invoice_payment.v1 import (
    journal_service_pb2,
    number_series_service_pb2,
    payment_pb2,
)
from throughline_core.errors import NotFound
from throughline_core.money import Money
from throughline_runtime.fields import write_date, write_id, write_money
from throughline_runtime.identity import require_entity

_GAPS_MAX: Final = 100

_GAPS: Final = text("""
    WITH carried AS (
        SELECT sequence FROM invoice
        WHERE legal_entity_id = :legal_entity_id
          AND document_type = :series AND series_year = :year AND number IS NOT NULL
        UNION ALL
        SELECT sequence FROM journal_entry
        WHERE :series = 'journal_entry' AND legal_entity_id = :legal_entity_id
          AND series_year = :year
    ), gap AS (
        SELECT sequence FROM generate_series(1, CAST(:last AS bigint)) AS wanted (sequence)
        EXCEPT SELECT sequence FROM carried ORDER BY sequence LIMIT :limit
    ), repeat AS (
        SELECT sequence FROM carried GROUP BY sequence HAVING count(*) > 1
        ORDER BY sequence LIMIT :limit
    )
    SELECT (SELECT count(*) FROM carried) AS documents,
           ARRAY(SELECT sequence FROM gap) AS gaps, ARRAY(SELECT sequence FROM repeat) AS repeats
""")


class SeriesNotFound(NotFound):
    """No number of this series was taken yet."""

    code = "number_series.not_found"


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Which payments to list; what is None does not limit."""

    status: PaymentStatus | None = None
    legal_entity_id: UUID | None = None
    customer_id: UUID | None = None
    invoice_id: UUID | None = None
    provider: str | None = None
    provider_payment_id: str | None = None
    unapplied_only: bool = False


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which journal entries to list; what is None does not limit."""

    legal_entity_id: UUID | None = None
    posted_from: date | None = None
    posted_to: date | None = None
    fact: Fact | None = None
    fact_id: UUID | None = None
    engagement_id: UUID | None = None


async def payment(tx: AsyncConnection, payment_id: UUID) -> payment_pb2.Payment:
    """Return a payment.

    Raises:
        PaymentNotFound, EntityForbidden: no such payment for the caller.
    """
    table = tables.payment
    row = (await tx.execute(select(table).where(table.c.payment_id == payment_id))).one_or_none()
    if row is None:
        raise PaymentNotFound(f"payment {payment_id} does not exist", field="payment_id")
    require_entity(row.legal_entity_id)
    return ledger.write_payment(payment_from(row))


async def allocations(tx: AsyncConnection, payment_id: UUID) -> list[payment_pb2.PaymentAllocation]:
    """Return which invoices a payment settled, by day."""
    table = tables.payment_allocation
    rows = await tx.execute(
        select(table)
        .where(table.c.payment_id == payment_id)
        .order_by(table.c.allocated_on, table.c.payment_allocation_id)
    )
    return [
        payment_pb2.PaymentAllocation(
            payment_allocation_id=str(row.payment_allocation_id),
            payment_id=str(row.payment_id),
            invoice_id=str(row.invoice_id),
            amount=write_money(Money(row.amount, row.currency)),
            allocated_on=write_date(row.allocated_on),
        )
        for row in rows
    ]


async def payments(
    tx: AsyncConnection, chosen: PaymentFilter, *, before: UUID | None, size: int
) -> list[payment_pb2.Payment]:
    """Return payments, latest first, at most `size` older than `before`."""
    table, allocation = tables.payment, tables.payment_allocation
    query = select(table).order_by(table.c.payment_id.desc()).limit(size)
    for name in ("status", "legal_entity_id", "customer_id", "provider", "provider_payment_id"):
        if (value := getattr(chosen, name)) is not None:
            query = query.where(table.c[name] == value)
    if chosen.invoice_id is not None:
        query = query.where(
            exists().where(
                allocation.c.payment_id == table.c.payment_id,
                allocation.c.invoice_id == chosen.invoice_id,
            )
        )
    if chosen.unapplied_only:
        query = query.where(
            table.c.status == PaymentStatus.RECEIVED, table.c.allocated < table.c.amount
        )
    if before is not None:
        query = query.where(table.c.payment_id < before)
    rows = await tx.execute(only_visible(query, table.c.legal_entity_id))
    return [ledger.write_payment(payment_from(row)) for row in rows]


async def entries(
    tx: AsyncConnection, chosen: EntryFilter, *, before: tuple[date, UUID] | None, size: int
) -> list[payment_pb2.JournalEntry]:
    """Return journal entries with lines, latest first, at most `size` older than `before`."""
    table = tables.journal_entry
    keys = tuple_(table.c.posted_on, table.c.journal_entry_id)
    query = _entry_query(chosen).limit(size)
    query = query.order_by(table.c.posted_on.desc(), table.c.journal_entry_id.desc())
    if before is not None:
        query = query.where(keys < tuple_(*before))
    rows = (await tx.execute(only_visible(query, table.c.legal_entity_id))).all()
    return await _with_lines(tx, rows)


async def trial_balance(
    tx: AsyncConnection, legal_entity_id: UUID, *, as_of: date
) -> list[journal_service_pb2.TrialBalanceLine]:
    """Return what moved on each account of an entity up to and including a day."""
    entry, line = tables.journal_entry, tables.journal_line
    rows = await tx.execute(
        select(
            line.c.account,
            line.c.account_role,
            entry.c.currency,
            func.sum(line.c.debit).label("debit"),
            func.sum(line.c.credit).label("credit"),
        )
        .join(entry, entry.c.journal_entry_id == line.c.journal_entry_id)
        .where(entry.c.legal_entity_id == legal_entity_id, entry.c.posted_on <= as_of)
        .group_by(line.c.account, line.c.account_role, entry.c.currency)
        .order_by(line.c.account, line.c.account_role, entry.c.currency)
    )
    return [
        journal_service_pb2.TrialBalanceLine(
            account=row.account,
            account_role=row.account_role,
            debit=write_money(Money(row.debit, row.currency)),
            credit=write_money(Money(row.credit, row.currency)),
            balance=write_money(Money(row.debit - row.credit, row.currency)),
        )
        for row in rows
    ]


async def account_mappings(
    tx: AsyncConnection, legal_entity_id: UUID
) -> list[journal_service_pb2.AccountMapping]:
    """Return the accounts of an entity by role."""
    table = tables.account_mapping
    rows = await tx.execute(
        select(table)
        .where(table.c.legal_entity_id == legal_entity_id)
        .order_by(table.c.account_role)
    )
    return [
        journal_service_pb2.AccountMapping(
            legal_entity_id=str(row.legal_entity_id),
            account_role=row.account_role,
            account=row.account,
            version=row.version,
        )
        for row in rows
    ]


async def number_series(
    tx: AsyncConnection,
    *,
    legal_entity_id: UUID | None,
    year: int | None,
    after: tuple[UUID, str, int] | None,
    size: int,
) -> list[number_series_service_pb2.NumberSeries]:
    """Return series by entity, kind and year, at most `size` past `after`."""
    table = tables.number_series
    keys = tuple_(table.c.legal_entity_id, table.c.series, table.c.year)
    query = select(table).order_by(*keys).limit(size)
    if legal_entity_id is not None:
        query = query.where(table.c.legal_entity_id == legal_entity_id)
    if year is not None:
        query = query.where(table.c.year == year)
    if after is not None:
        query = query.where(keys > tuple_(*after))
    rows = await tx.execute(only_visible(query, table.c.legal_entity_id))
    return [_series_message(row) for row in rows]


async def gap_report(
    tx: AsyncConnection, legal_entity_id: UUID, series: Series, year: int
) -> number_series_service_pb2.GetGapReportResponse:
    """Return how a series compares with the documents that carry its numbers.

    Raises:
        SeriesNotFound, EntityForbidden: no such series for the caller.
    """
    require_entity(legal_entity_id)
    table = tables.number_series
    query = select(table).where(
        table.c.legal_entity_id == legal_entity_id,
        table.c.series == series,
        table.c.year == year,
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise SeriesNotFound(f"no {series} of {year} has a number yet", field="year")
    values = {
        "legal_entity_id": legal_entity_id,
        "series": series.value,
        "year": year,
        "last": row.last_number,
        "limit": _GAPS_MAX,
    }
    found = (await tx.execute(_GAPS, values)).one()
    is_complete = not found.gaps and not found.repeats and found.documents == row.last_number
    return number_series_service_pb2.GetGapReportResponse(
        series=_series_message(row),
        documents=found.documents,
        gaps=found.gaps,
        repeats=found.repeats,
        complete=is_complete,
    )


def _entry_query(chosen: EntryFilter) -> Select[Any]:
    table = tables.journal_entry
    query = select(table)
    for name in ("legal_entity_id", "fact", "fact_id", "engagement_id"):
        if (value := getattr(chosen, name)) is not None:
            query = query.where(table.c[name] == value)
    if chosen.posted_from is not None:
        query = query.where(table.c.posted_on >= chosen.posted_from)
    if chosen.posted_to is not None:
        query = query.where(table.c.posted_on <= chosen.posted_to)
    return query


async def _with_lines(
    tx: AsyncConnection, rows: Sequence[Row[Any]]
) -> list[payment_pb2.JournalEntry]:
    table = tables.journal_line
    found = await tx.execute(
        select(table)
        .where(table.c.journal_entry_id.in_([row.journal_entry_id for row in rows]))
        .order_by(table.c.journal_entry_id, table.c.line_number)
    )
    lines: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for line in found:
        lines[line.journal_entry_id].append(line)
    return [_entry_message(row, lines[row.journal_entry_id]) for row in rows]


def _entry_message(row: Row[Any], lines: Sequence[Row[Any]]) -> payment_pb2.JournalEntry:
    message = payment_pb2.JournalEntry(
        journal_entry_id=str(row.journal_entry_id),
        number=row.number,
        legal_entity_id=str(row.legal_entity_id),
        posted_on=write_date(row.posted_on),
        fact=row.fact,
        fact_id=str(row.fact_id),
        engagement_id=write_id(row.engagement_id),
        correlation_id=write_id(row.correlation_id),
        currency=row.currency,
    )
    for line in lines:
        written = message.lines.add(
            account=line.account,
            account_role=line.account_role,
            debit=write_money(Money(line.debit, row.currency)),
            credit=write_money(Money(line.credit, row.currency)),
        )
        if line.contract_id is not None:
            written.contract_id = str(line.contract_id)
        if line.contract_line_id is not None:
            written.contract_line_id = str(line.contract_line_id)
    return message


def _series_message(row: Row[Any]) -> number_series_service_pb2.NumberSeries:
    return number_series_service_pb2.NumberSeries(
        legal_entity_id=str(row.legal_entity_id),
        series=row.series,
        year=row.year,
        prefix=row.prefix,
        last_number=row.last_number,
    )
