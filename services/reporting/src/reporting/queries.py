"""Reads positions and control totals from the read models."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from reporting import tables
from reporting.domain import InvoicedLine, paid_by_contract_line
from throughline.reporting.v1 import position_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import write_decimal
from throughline_runtime.totals import ControlTotal

# Rated amounts by status and what became of them, for some contract lines.
_RATED: Final = text("""
    SELECT event.contract_line_id,
           coalesce(sum(event.amount), 0) AS approved,
           coalesce(sum(event.amount) FILTER (WHERE event.state = 'held'), 0) AS held,
           coalesce(sum(billed.amount), 0) AS invoiced,
           coalesce(sum(credit.amount), 0) AS credited,
           coalesce(sum(event.amount) FILTER (WHERE event.state = 'written_off'), 0)
               + coalesce(sum(credit.given_up), 0) AS written_off,
           coalesce(sum(event.amount) FILTER (
               WHERE event.treatment = 'drawn' AND event.state = 'released'), 0) AS drawn,
           coalesce(sum(billed.amount) FILTER (WHERE event.treatment = 'prepayment'), 0)
               - coalesce(sum(credit.amount) FILTER (WHERE event.treatment = 'prepayment'), 0)
               AS prepaid
    FROM node AS event
    LEFT JOIN LATERAL (
        SELECT sum(link.amount) AS amount,
               sum(link.amount) FILTER (WHERE line.state = 'write_off') AS given_up
        FROM link LEFT JOIN node AS line
          ON line.kind = 'credit_line' AND line.object_id = link.child_id
        WHERE link.parent_kind = 'billing_event' AND link.parent_id = event.object_id
          AND link.child_kind = 'credit_line'
    ) AS credit ON true
    LEFT JOIN LATERAL (
        SELECT sum(link.amount) AS amount FROM link
        WHERE link.parent_kind = 'billing_event' AND link.parent_id = event.object_id
          AND link.child_kind = 'invoice_line'
    ) AS billed ON true
    WHERE event.kind = 'billing_event' AND event.contract_line_id = ANY(:lines)
    GROUP BY event.contract_line_id
""")

_MINUTES: Final = text("""
    SELECT contract_line_id, sum(quantity) AS minutes FROM node
    WHERE kind = 'time_entry' AND state = 'billable' AND contract_line_id = ANY(:lines)
    GROUP BY contract_line_id
""")

# All lines of each invoice that bills one of the contract lines: payments are shared among them.
_INVOICED_LINES: Final = text("""
    WITH invoice AS (
        SELECT DISTINCT link.child_id AS invoice_id
        FROM node AS line
        JOIN link ON link.parent_kind = 'invoice_line' AND link.parent_id = line.object_id
                 AND link.child_kind = 'invoice'
        WHERE line.kind = 'invoice_line' AND line.contract_line_id = ANY(:lines)
    ), paid AS (
        SELECT invoice.invoice_id, coalesce(sum(allocation.amount), 0) AS amount
        FROM invoice
        LEFT JOIN link ON link.parent_kind = 'invoice' AND link.parent_id = invoice.invoice_id
                      AND link.child_kind = 'payment_allocation'
        LEFT JOIN node AS allocation ON allocation.kind = 'payment_allocation'
                                    AND allocation.object_id = link.child_id
        GROUP BY invoice.invoice_id
    )
    SELECT invoice.invoice_id, line.contract_line_id, line.amount AS net, line.currency,
           document.amount AS gross, paid.amount AS paid
    FROM invoice
    JOIN paid USING (invoice_id)
    JOIN node AS document ON document.kind = 'invoice' AND document.object_id = invoice.invoice_id
    JOIN link ON link.child_kind = 'invoice' AND link.child_id = invoice.invoice_id
             AND link.parent_kind = 'invoice_line'
    JOIN node AS line ON line.kind = 'invoice_line' AND line.object_id = link.parent_id
    ORDER BY invoice.invoice_id, line.object_id
""")

_TOTALS: Final = text("""
    SELECT 'approved_time' AS name, 'entries' AS figure, count(*)::numeric AS value
    FROM node WHERE kind = 'time_entry' AND state = 'billable'
    UNION ALL
    SELECT 'approved_time', 'minutes', coalesce(sum(quantity), 0)
    FROM node WHERE kind = 'time_entry' AND state = 'billable'
    UNION ALL
    SELECT 'positions', coalesce(nullif(state, ''), 'rated') || '.' || currency, sum(amount)
    FROM node WHERE kind = 'billing_event' GROUP BY state, currency
    UNION ALL
    SELECT 'positions', 'rated.' || currency, sum(amount)
    FROM node WHERE kind = 'billing_event' GROUP BY currency
    UNION ALL
    SELECT 'positions', figure.name || '.' || moved.currency, figure.value
    FROM (
        SELECT event.currency,
               sum(coalesce(billed.amount, 0)) AS invoiced,
               sum(coalesce(credit.amount, 0)) AS credited,
               sum(coalesce(credit.given_up, 0)) AS given_up,
               coalesce(sum(event.amount) FILTER (
                   WHERE event.treatment = 'drawn' AND event.state = 'released'), 0) AS drawn
        FROM node AS event
        LEFT JOIN (
            SELECT parent_id, sum(amount) AS amount FROM link
            WHERE parent_kind = 'billing_event' AND child_kind = 'invoice_line'
            GROUP BY parent_id
        ) AS billed ON billed.parent_id = event.object_id
        LEFT JOIN (
            SELECT link.parent_id, sum(link.amount) AS amount,
                   sum(link.amount) FILTER (WHERE line.state = 'write_off') AS given_up
            FROM link LEFT JOIN node AS line
              ON line.kind = 'credit_line' AND line.object_id = link.child_id
            WHERE link.parent_kind = 'billing_event' AND link.child_kind = 'credit_line'
            GROUP BY link.parent_id
        ) AS credit ON credit.parent_id = event.object_id
        WHERE event.kind = 'billing_event' GROUP BY event.currency
    ) AS moved
    CROSS JOIN LATERAL (
        VALUES ('invoiced', invoiced), ('credited', credited), ('drawn', drawn),
               ('allocated', invoiced - credited + given_up + drawn)
    ) AS figure (name, value)
    UNION ALL
    SELECT 'intercompany', 'amount.' || currency, sum(amount)
    FROM node WHERE kind = 'intercompany_charge' GROUP BY currency
    UNION ALL
    SELECT 'credit_notes', 'issued', count(*) FROM node WHERE kind = 'credit_note'
    UNION ALL
    SELECT 'credit_notes', 'gross.' || currency, sum(amount)
    FROM node WHERE kind = 'credit_note' GROUP BY currency
    UNION ALL
    SELECT 'credit_notes', 'applied.' || currency, sum(amount)
    FROM node WHERE kind = 'credit_application' GROUP BY currency
    UNION ALL
    SELECT 'invoices', 'issued', count(*) FROM node WHERE kind = 'invoice'
    UNION ALL
    SELECT 'invoices', 'gross.' || currency, sum(amount)
    FROM node WHERE kind = 'invoice' GROUP BY currency
    UNION ALL
    SELECT 'invoices', 'paid.' || currency, sum(amount)
    FROM node WHERE kind = 'payment_allocation' GROUP BY currency
    UNION ALL
    SELECT 'contracts', 'lines', count(*) FROM contract_line WHERE contract_status = 'active'
    UNION ALL
    SELECT 'contracts', 'contracted.' || currency, sum(contracted)
    FROM contract_line WHERE contract_status = 'active' GROUP BY currency
""")


async def positions(
    tx: AsyncConnection,
    *,
    after: tuple[UUID, int, UUID] | None,
    page_size: int,
    contract_id: UUID | None,
    customer_id: UUID | None,
    entities: frozenset[UUID] | None,
) -> list[pb.Position]:
    """Return positions by contract and line, at most `page_size` past `after`."""
    table = tables.contract_line
    key = (table.c.contract_id, table.c.line_position, table.c.contract_line_id)
    query = select(table).order_by(*key).limit(page_size)
    filters = []
    if after is not None:
        filters.append(tuple_(*key) > after)
    if contract_id is not None:
        filters.append(table.c.contract_id == contract_id)
    if customer_id is not None:
        filters.append(table.c.customer_id == customer_id)
    if entities is not None:
        filters.append(table.c.legal_entity_id.in_(entities))
    lines = (await tx.execute(query.where(and_(True, *filters)))).all()
    ids = {"lines": [line.contract_line_id for line in lines]}
    rated = {row.contract_line_id: row for row in await tx.execute(_RATED, ids)}
    minutes = {row.contract_line_id: row.minutes for row in await tx.execute(_MINUTES, ids)}
    paid = _paid((await tx.execute(_INVOICED_LINES, ids)).all())
    return [_position(line, rated.get(line.contract_line_id), minutes, paid) for line in lines]


def _position(
    line: Row[Any],
    rated: Row[Any] | None,
    minutes: dict[UUID, Decimal],
    paid: dict[UUID, Money],
) -> pb.Position:
    approved = rated.approved if rated else Decimal(0)
    held = rated.held if rated else Decimal(0)
    invoiced = rated.invoiced if rated else Decimal(0)
    credited = rated.credited if rated else Decimal(0)
    written_off = rated.written_off if rated else Decimal(0)
    drawn = rated.drawn if rated else Decimal(0)
    settled = paid.get(line.contract_line_id, Money.zero(line.currency))
    return pb.Position(
        contract_id=str(line.contract_id),
        contract_number=line.contract_number,
        contract_line_id=str(line.contract_line_id),
        quote_line_id=str(line.quote_line_id),
        legal_entity_id=str(line.legal_entity_id),
        customer_id=str(line.customer_id),
        line_position=line.line_position,
        description=line.description,
        billing_model=line.billing_model,
        currency=line.currency,
        contracted=write_decimal(line.contracted),
        approved=write_decimal(approved),
        held=write_decimal(held),
        unbilled=write_decimal(approved - held - invoiced + credited - written_off - drawn),
        invoiced=write_decimal(invoiced),
        paid=write_decimal(settled.amount),
        credited=write_decimal(credited),
        written_off=write_decimal(written_off),
        drawn=write_decimal(drawn),
        prepaid=write_decimal(rated.prepaid if rated else Decimal(0)),
        approved_minutes=int(minutes.get(line.contract_line_id, 0)),
    )


def _paid(rows: Sequence[Row[Any]]) -> dict[UUID, Money]:
    paid: dict[UUID, Money] = {}
    for _, group in groupby(rows, key=lambda row: row.invoice_id):
        lines = [
            InvoicedLine(
                contract_line_id=row.contract_line_id,
                net=Money(row.net, row.currency),
                invoice_gross=Money(row.gross, row.currency),
                invoice_paid=Money(row.paid, row.currency),
            )
            for row in group
        ]
        for line_id, share in paid_by_contract_line(lines).items():
            paid[line_id] = paid.get(line_id, Money.zero(share.currency)) + share
    return paid


async def control_totals(tx: AsyncConnection) -> list[ControlTotal]:
    """Return reporting's own figures, to be compared with their owners'."""
    rows = sorted((await tx.execute(_TOTALS)).all(), key=lambda row: row.name)
    return [
        ControlTotal(name, {row.figure: row.value for row in group})
        for name, group in groupby(rows, key=lambda row: row.name)
    ]
