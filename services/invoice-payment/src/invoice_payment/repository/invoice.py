"""Invoices with their lines and tax: loaded in sets, saved with the events that tell of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.amounts import RoundingPolicy, TaxGroup, TaxTreatment, Totals
from invoice_payment.domain.invoice import (
    Credits,
    DocumentStep,
    DocumentType,
    Invoice,
    InvoiceChange,
    InvoiceEvent,
    InvoiceStatus,
    TaxRuleMissing,
)
from invoice_payment.domain.item import ItemType, Treatment
from invoice_payment.domain.line import Disposition, Line
from invoice_payment.domain.party import Party
from invoice_payment.domain.series import Number, Series, SeriesKey
from invoice_payment.repository.master import address_from
from invoice_payment.wire import invoice as wire
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_runtime import exceptions, outbox

TAX_RULE_MISSING: Final = "invoice.tax_rule_missing"
"""Kind of the exception a draft without a tax rule opens."""


class InvoiceNotFound(NotFound):
    """No such invoice."""

    code = "invoice.not_found"


_SAVE: Final = text("""
    UPDATE invoice SET
        version = new.version, status = new.status, approved_by = new.approved_by,
        void_reason = new.void_reason, paid_total = new.paid_total, number = new.number,
        series_year = new.series_year, sequence = new.sequence, issued_on = new.issued_on,
        due_on = new.due_on, previous_hash = new.previous_hash, content_hash = new.content_hash,
        document_step = new.document_step, credited_total = new.credited_total
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:statuses AS text[]),
        CAST(:approvers AS text[]), CAST(:reasons AS text[]), CAST(:paid AS numeric[]),
        CAST(:numbers AS text[]), CAST(:years AS integer[]), CAST(:sequences AS bigint[]),
        CAST(:issued AS date[]), CAST(:due AS date[]), CAST(:previous_hashes AS text[]),
        CAST(:content_hashes AS text[]), CAST(:steps AS text[]), CAST(:credited AS numeric[])
    ) AS new (invoice_id, version, status, approved_by, void_reason, paid_total, number,
              series_year, sequence, issued_on, due_on, previous_hash, content_hash, document_step,
              credited_total)
    WHERE invoice.invoice_id = new.invoice_id AND invoice.version = new.version - 1
""")

ADD_TAXES: Final = text("""
    INSERT INTO invoice_tax (invoice_id, tax_code, rate_percent, base_amount, tax_amount,
                             exemption_reason)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:codes AS text[]), CAST(:rates AS numeric[]),
        CAST(:bases AS numeric[]), CAST(:taxes AS numeric[]), CAST(:reasons AS text[]))
""")


async def load(
    tx: AsyncConnection, invoice_ids: Iterable[UUID], *, with_lines: bool = True
) -> list[Invoice]:
    """Lock the invoices, in order of id, and return those that exist.

    `with_lines=False` leaves lines and tax groups out, for decisions that do not look at them.
    """
    table = tables.invoice
    query = (
        select(table)
        .where(table.c.invoice_id.in_(list(invoice_ids)))
        .order_by(table.c.invoice_id)
        .with_for_update()
    )
    return await with_parts(tx, (await tx.execute(query)).all(), with_lines=with_lines)


async def get(tx: AsyncConnection, invoice_id: UUID, *, with_lines: bool = True) -> Invoice:
    """Lock an invoice and return it.

    Raises:
        InvoiceNotFound: there is none.
    """
    found = await load(tx, [invoice_id], with_lines=with_lines)
    if not found:
        raise InvoiceNotFound(f"invoice {invoice_id} does not exist", field="invoice_id")
    return found[0]


async def find(tx: AsyncConnection, invoice_id: UUID) -> Invoice:
    """Return an invoice or credit note, not locked.

    Raises:
        InvoiceNotFound: there is none.
    """
    table = tables.invoice
    rows = (await tx.execute(select(table).where(table.c.invoice_id == invoice_id))).all()
    if not rows:
        raise InvoiceNotFound(f"invoice {invoice_id} does not exist", field="invoice_id")
    [found] = await with_parts(tx, rows)
    return found


async def with_parts(
    tx: AsyncConnection, rows: Sequence[Row[Any]], *, with_lines: bool = True
) -> list[Invoice]:
    """Return the invoices of these rows with their tax groups and lines."""
    if not with_lines or not rows:
        return [invoice_from(row) for row in rows]
    invoice_ids = [row.invoice_id for row in rows]
    line, tax = tables.invoice_line, tables.invoice_tax
    lines = await tx.execute(
        select(line).where(line.c.invoice_id.in_(invoice_ids)).order_by(line.c.position)
    )
    groups = await tx.execute(
        select(tax)
        .where(tax.c.invoice_id.in_(invoice_ids))
        .order_by(tax.c.tax_code, tax.c.rate_percent)
    )
    currencies = {row.invoice_id: row.currency for row in rows}
    lines_of: dict[UUID, list[Line]] = defaultdict(list)
    for row in lines:
        lines_of[row.invoice_id].append(line_from(row, currencies[row.invoice_id]))
    groups_of: dict[UUID, list[TaxGroup]] = defaultdict(list)
    for row in groups:
        groups_of[row.invoice_id].append(group_from(row, currencies[row.invoice_id]))
    return [
        invoice_from(row, lines=lines_of[row.invoice_id], groups=groups_of[row.invoice_id])
        for row in rows
    ]


async def save(tx: AsyncConnection, changes: Sequence[InvoiceChange]) -> None:
    """Write the new states and publish what happened, in a constant number of statements.

    Raises:
        StaleVersion: a stored row is not exactly one version behind.
    """
    invoices = [change.state for change in changes]
    written = await tx.execute(
        _SAVE,
        {
            "ids": [invoice.invoice_id for invoice in invoices],
            "versions": [invoice.version for invoice in invoices],
            "statuses": [invoice.status for invoice in invoices],
            "approvers": [invoice.approved_by for invoice in invoices],
            "reasons": [invoice.void_reason for invoice in invoices],
            "paid": [invoice.paid.amount for invoice in invoices],
            **_numbers(invoices),
            "issued": [invoice.issued_on for invoice in invoices],
            "due": [invoice.due_on for invoice in invoices],
            "previous_hashes": [invoice.previous_hash for invoice in invoices],
            "content_hashes": [invoice.content_hash for invoice in invoices],
            "steps": [invoice.document_step for invoice in invoices],
            "credited": [invoice.credited.amount for invoice in invoices],
        },
    )
    if written.rowcount != len(invoices):
        raise StaleVersion("another writer changed an invoice first", advice="try again")
    await publish(tx, [event for change in changes for event in change.events])


async def save_tax(tx: AsyncConnection, invoices: Sequence[Invoice]) -> None:
    """Write the buyers, treatments and totals of drafts whose tax is known by now."""
    table = tables.invoice
    for invoice in invoices:
        await tx.execute(
            update(table)
            .where(table.c.invoice_id == invoice.invoice_id)
            .values(
                buyer=party_to(invoice.buyer),
                buyer_is_registered=invoice.buyer_is_registered,
                treatments=treatments_to(invoice.treatments),
                tax_total=invoice.totals.tax.amount,
                net_total=invoice.totals.net.amount,
                gross_total=invoice.totals.gross.amount,
            )
        )
    await tx.execute(ADD_TAXES, tax_columns(invoices))


async def publish(tx: AsyncConnection, events: Sequence[InvoiceEvent]) -> None:
    """Queue what other services are told, and put into the exceptions what people are."""
    await outbox.append(tx, filter(None, map(wire.write_event, events)))
    missing = [event for event in events if isinstance(event, TaxRuleMissing)]
    await exceptions.open_all(tx, map(_halt, missing))


async def give_up_claims(tx: AsyncConnection, invoice_id: UUID) -> None:
    """Free the items of a voided invoice."""
    table = tables.invoice_item
    await tx.execute(
        update(table).where(table.c.invoice_id == invoice_id, table.c.is_live).values(is_live=False)
    )


def invoice_from(
    row: Row[Any], *, lines: Sequence[Line] = (), groups: Sequence[TaxGroup] = ()
) -> Invoice:
    """Return the invoice a row of its table holds."""
    number = None
    if row.number is not None:
        key = SeriesKey(row.legal_entity_id, Series(row.document_type), row.series_year)
        number = Number(key, row.sequence, row.number)
    credits = None
    if row.credits_invoice_id is not None:
        credits = Credits(
            row.credits_invoice_id, row.credits_number, row.credits_issued_on, row.credit_reason
        )
    return Invoice(
        invoice_id=row.invoice_id,
        version=row.version,
        status=InvoiceStatus(row.status),
        legal_entity_id=row.legal_entity_id,
        customer_id=row.customer_id,
        contract_id=row.contract_id,
        contract_number=row.contract_number,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        currency=row.currency,
        purchase_order_number=row.purchase_order_number,
        payment_terms_days=row.payment_terms_days,
        seller=_party_from(row.seller),
        buyer=_party_from(row.buyer),
        buyer_is_registered=row.buyer_is_registered,
        lines=tuple(lines),
        totals=Totals(
            Money(row.net_total, row.currency), Money(row.tax_total, row.currency), tuple(groups)
        ),
        rounding_policy=RoundingPolicy(row.rounding_policy),
        service=Period(row.service_from, row.service_to),
        tax_point_on=row.tax_point_on,
        run_id=row.run_id,
        drafted_by=row.drafted_by,
        created_at=row.created_at,
        paid=Money(row.paid_total, row.currency),
        credited=Money(row.credited_total, row.currency),
        document_type=DocumentType(row.document_type),
        credits=credits,
        treatments=treatments_from(row.treatments),
        approved_by=row.approved_by,
        void_reason=row.void_reason,
        number=number,
        issued_on=row.issued_on,
        due_on=row.due_on,
        previous_hash=row.previous_hash,
        content_hash=row.content_hash,
        document_step=DocumentStep(row.document_step) if row.document_step else None,
        document_sha256=row.document_sha256,
    )


def line_from(row: Row[Any], currency: str) -> Line:
    """Return the line a row of its table holds."""
    return Line(
        invoice_line_id=row.invoice_line_id,
        position=row.position,
        description=row.description,
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        type=ItemType(row.type),
        quantity=row.quantity,
        unit=row.unit,
        unit_rate=Money(row.unit_rate, currency),
        net=Money(row.net_amount, currency),
        tax_category=row.tax_category,
        service=Period(row.service_from, row.service_to),
        item_count=row.item_count,
        recognised=Money(row.recognised_amount, currency),
        treatment=Treatment(row.treatment),
        purchase_order_number=row.purchase_order_number,
        credits_line_id=row.credits_line_id,
        disposition=Disposition(row.disposition) if row.disposition else None,
    )


def party_to(party: Party) -> dict[str, Any]:
    """Return a party as it is stored; see `_party_from`."""
    return {**asdict(party), "party_id": str(party.party_id)}


def treatments_to(treatments: Mapping[str, TaxTreatment]) -> dict[str, Any]:
    """Return tax treatments by category as they are stored; rates as strings, to stay exact."""
    return {
        category: {**asdict(treatment), "rate_percent": str(treatment.rate_percent)}
        for category, treatment in treatments.items()
    }


def tax_columns(invoices: Sequence[Invoice]) -> dict[str, list[Any]]:
    """Return the parameters of `ADD_TAXES` for the tax groups of the invoices."""
    groups = [(invoice, group) for invoice in invoices for group in invoice.totals.groups]
    return {
        "ids": [invoice.invoice_id for invoice, _ in groups],
        "codes": [group.tax_code for _, group in groups],
        "rates": [group.rate_percent for _, group in groups],
        "bases": [group.base.amount for _, group in groups],
        "taxes": [group.tax.amount for _, group in groups],
        "reasons": [group.exemption_reason for _, group in groups],
    }


def _numbers(invoices: Sequence[Invoice]) -> dict[str, list[Any]]:
    numbers = [invoice.number for invoice in invoices]
    return {
        "numbers": [number.text if number else None for number in numbers],
        "years": [number.key.year if number else None for number in numbers],
        "sequences": [number.sequence if number else None for number in numbers],
    }


def _halt(event: TaxRuleMissing) -> exceptions.Halt:
    cases = "; ".join(map(str, event.cases))
    return exceptions.Halt(
        kind=TAX_RULE_MISSING,
        subject_id=event.invoice.invoice_id,
        reason=f"no tax rule fits: {cases}",
        owner="finance",
        advice=f"add a tax rule for: {cases}; the draft goes on by itself",
        legal_entity_id=event.invoice.legal_entity_id,
        engagement_id=event.invoice.engagement_id,
        detail={"contract_id": str(event.invoice.contract_id)},
    )


def _party_from(stored: Mapping[str, Any]) -> Party:
    return Party(
        **{
            **stored,
            "party_id": UUID(stored["party_id"]),
            "address": address_from(stored["address"]),
        }
    )


def treatments_from(stored: Mapping[str, Any]) -> dict[str, TaxTreatment]:
    """Return tax treatments by category from how they are stored; see `treatments_to`."""
    return {
        category: TaxTreatment(**{**treatment, "rate_percent": Decimal(treatment["rate_percent"])})
        for category, treatment in stored.items()
    }


def group_from(row: Row[Any], currency: str) -> TaxGroup:
    """Return the tax group a row of its table holds."""
    return TaxGroup(
        row.tax_code,
        row.rate_percent,
        Money(row.base_amount, currency),
        Money(row.tax_amount, currency),
        row.exemption_reason,
    )
