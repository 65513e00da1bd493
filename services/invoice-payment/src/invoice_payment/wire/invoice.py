"""Invoices, runs and tax rules as messages, and what is published about invoices."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from invoice_payment.domain.amounts import RoundingPolicy, TaxGroup, TaxTreatment
from invoice_payment.domain.invoice import (
    CreditApplied,
    DocumentStep,
    DocumentType,
    Invoice,
    InvoiceApproved,
    InvoiceCredited,
    InvoiceDrafted,
    InvoiceEvent,
    InvoiceIssued,
    InvoiceSettled,
    InvoiceStatus,
    InvoiceVoided,
)
from invoice_payment.domain.issue import printed
from invoice_payment.domain.item import ItemType, Treatment
from invoice_payment.domain.line import Disposition, Line
from invoice_payment.domain.party import Party
from invoice_payment.domain.run import InvoiceRun, RunStatus
from invoice_payment.domain.tax import BuyerRegistration, TaxRule, percent
from throughline.billing_event.v1 import billing_event_pb2
from throughline.common.v1 import address_pb2
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as events_pb2
from throughline.invoice_payment.v1 import (
    invoice_pb2,
    invoice_run_service_pb2,
    payment_pb2,
    tax_service_pb2,
)
from throughline_core.money import Money
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    write_date,
    write_id,
    write_instant,
    write_money,
)

LINES_PER_MESSAGE_MAX: Final = 200
ITEMS_PER_EVENT_MAX: Final = 500

STATUSES: Final = EnumMap(invoice_pb2.InvoiceStatus, InvoiceStatus)
RUN_STATUSES: Final = EnumMap(invoice_run_service_pb2.InvoiceRunStatus, RunStatus)
POLICIES: Final = EnumMap(invoice_run_service_pb2.RoundingPolicy, RoundingPolicy)
REGISTRATIONS: Final = EnumMap(tax_service_pb2.BuyerRegistration, BuyerRegistration)
_STEPS: Final = EnumMap(invoice_pb2.StepStatus, DocumentStep)
_TYPES: Final = EnumMap(billing_event_pb2.BillingEventType, ItemType)
_TREATMENTS: Final = EnumMap(billing_event_pb2.BillingTreatment, Treatment)
DOCUMENT_TYPES: Final = EnumMap(invoice_pb2.DocumentType, DocumentType)
DISPOSITIONS: Final = EnumMap(invoice_pb2.CreditDisposition, Disposition)

Item = invoice_pb2.InvoiceItem

T = TypeVar("T")


def write_invoice(document: Invoice) -> invoice_pb2.Invoice:
    """Return an invoice, or a credit note as it prints, with as many lines as a message holds."""
    invoice = printed(document)
    shown = invoice.lines[:LINES_PER_MESSAGE_MAX]
    message = invoice_pb2.Invoice(
        invoice_id=str(invoice.invoice_id),
        version=invoice.version,
        document_type=DOCUMENT_TYPES.write(invoice.document_type),
        number=invoice.number.text if invoice.number else "",
        status=STATUSES.write(invoice.status),
        legal_entity_id=str(invoice.legal_entity_id),
        customer_id=str(invoice.customer_id),
        contract_id=str(invoice.contract_id),
        engagement_id=str(invoice.engagement_id),
        correlation_id=str(invoice.correlation_id),
        currency=invoice.currency,
        service_from=write_date(invoice.service.start),
        service_to=write_date(invoice.service.end),
        seller=_write_party(invoice.seller),
        buyer=_write_party(invoice.buyer),
        lines=[write_line(line, invoice.treatments.get(line.tax_category)) for line in shown],
        tax_groups=[_write_group(group) for group in invoice.totals.groups],
        net_total=write_money(invoice.totals.net),
        tax_total=write_money(invoice.totals.tax),
        gross_total=write_money(invoice.totals.gross),
        paid_total=write_money(invoice.paid),
        purchase_order_number=invoice.purchase_order_number,
        payment_terms_days=invoice.payment_terms_days,
        run_id=write_id(invoice.run_id),
        document_sha256=invoice.document_sha256,
        rounding_policy=invoice.rounding_policy.value,
        content_hash=invoice.content_hash,
        created_at=write_instant(invoice.created_at),
        contract_number=invoice.contract_number,
        line_count=len(invoice.lines),
        tax_point_on=write_date(invoice.tax_point_on),
        approved_by=invoice.approved_by,
        previous_hash=invoice.previous_hash,
        void_reason=invoice.void_reason,
        drafted_by=invoice.drafted_by,
    )
    if invoice.credits is not None:
        message.credits_invoice_id = str(invoice.credits.invoice_id)
        message.credits_invoice_number = invoice.credits.number
        message.credits_issued_on = write_date(invoice.credits.issued_on)
        message.credit_reason = invoice.credits.reason
    else:
        message.credited_total.CopyFrom(write_money(invoice.credited))
    if invoice.issued_on is not None:
        message.issued_on = write_date(invoice.issued_on)
        message.due_on = write_date(invoice.due_on)
    if invoice.document_step is not None:
        message.document_step = _STEPS.write(invoice.document_step)
    return message


def write_line(line: Line, treatment: TaxTreatment | None) -> invoice_pb2.InvoiceLine:
    """Return a line; without a treatment its tax is not known yet."""
    message = invoice_pb2.InvoiceLine(
        invoice_line_id=str(line.invoice_line_id),
        position=line.position,
        description=line.description,
        contract_line_id=str(line.contract_line_id),
        quote_line_id=str(line.quote_line_id),
        type=_TYPES.write(line.type),
        quantity=line.printed_quantity,
        unit=line.unit,
        unit_rate=write_money(line.unit_rate),
        net_amount=write_money(line.net),
        tax_category=line.tax_category,
        tax_code=treatment.tax_code if treatment else "",
        tax_rate_percent=percent(treatment.rate_percent) if treatment else "",
        service_from=write_date(line.service.start),
        service_to=write_date(line.service.end),
        item_count=line.item_count,
        purchase_order_number=line.purchase_order_number,
        treatment=_TREATMENTS.write(line.treatment),
    )
    if line.credits_line_id is not None:
        message.credits_invoice_line_id = str(line.credits_line_id)
    if line.disposition is not None:
        message.credit_disposition = DISPOSITIONS.write(line.disposition)
    return message


def write_item(
    *,
    billing_event_id: UUID,
    invoice_line_id: UUID,
    source_item_id: UUID,
    quantity: str,
    amount: Money,
    credited: tuple[Decimal, Money] | None = None,
) -> Item:
    """Return what a line claims of one billing event, and what credit notes took of it."""
    item = Item(
        billing_event_id=str(billing_event_id),
        invoice_line_id=str(invoice_line_id),
        source_item_id=str(source_item_id),
        quantity=quantity,
        amount=write_money(amount),
    )
    if credited is not None:
        item.credited_quantity = f"{credited[0]:f}"
        item.credited_amount.CopyFrom(write_money(credited[1]))
    return item


def write_event(event: InvoiceEvent) -> Outgoing | None:
    """Return what is published of an event; None when it concerns this service's people only."""
    if isinstance(event, CreditApplied):
        return _write_applied(event)
    if isinstance(event, InvoiceCredited):
        return _write_credited(event)
    message = _message_of(event)
    if message is None:
        return None
    return Outgoing(message, event.invoice.invoice_id, event.invoice.version)


def write_continued_lines(invoice: Invoice) -> Iterator[Outgoing]:
    """Yield the lines of an issued document that do not fit into the event of its issue."""
    rest = printed(invoice).lines[LINES_PER_MESSAGE_MAX:]
    chunks = _chunks(rest, LINES_PER_MESSAGE_MAX)
    for number, chunk in enumerate(chunks, start=1):
        message = events_pb2.InvoiceLinesContinued(
            invoice_id=str(invoice.invoice_id),
            version=invoice.version,
            chunk=number,
            chunk_count=len(chunks),
            lines=[write_line(line, invoice.treatments[line.tax_category]) for line in chunk],
            contract_id=str(invoice.contract_id),
            engagement_id=str(invoice.engagement_id),
            correlation_id=str(invoice.correlation_id),
        )
        yield Outgoing(message, invoice.invoice_id, invoice.version)


def write_billed_items(invoice: Invoice, items: Sequence[Item]) -> Iterator[Outgoing]:
    """Yield what an issued invoice billed, in events of at most 500 items."""
    chunks = _chunks(items, ITEMS_PER_EVENT_MAX)
    for number, chunk in enumerate(chunks, start=1):
        message = events_pb2.InvoiceItemsBilled(
            invoice_id=str(invoice.invoice_id),
            version=invoice.version,
            chunk=number,
            chunk_count=len(chunks),
            items=chunk,
            contract_id=str(invoice.contract_id),
            engagement_id=str(invoice.engagement_id),
            correlation_id=str(invoice.correlation_id),
            issued_on=write_date(invoice.issued_on),
        )
        yield Outgoing(message, invoice.invoice_id, invoice.version)


def write_credited_items(
    credit_note: Invoice, items: Sequence[invoice_pb2.CreditedItem]
) -> Iterator[Outgoing]:
    """Yield what an issued credit note gives back, in events of at most 500 items."""
    assert credit_note.credits is not None, "only a credit note gives back"
    chunks = _chunks(items, ITEMS_PER_EVENT_MAX)
    for number, chunk in enumerate(chunks, start=1):
        message = events_pb2.InvoiceItemsCredited(
            credit_note_id=str(credit_note.invoice_id),
            version=credit_note.version,
            chunk=number,
            chunk_count=len(chunks),
            invoice_id=str(credit_note.credits.invoice_id),
            items=chunk,
            contract_id=str(credit_note.contract_id),
            engagement_id=str(credit_note.engagement_id),
            correlation_id=str(credit_note.correlation_id),
            issued_on=write_date(credit_note.issued_on),
        )
        yield Outgoing(message, credit_note.invoice_id, credit_note.version)


def _write_credited(event: InvoiceCredited) -> Outgoing:
    credit_note = event.credit_note
    message = events_pb2.InvoiceCredited(
        credit_note=write_invoice(credit_note),
        invoice_id=str(event.invoice.invoice_id),
        invoice_version=event.invoice.version,
        invoice_status=STATUSES.write(event.invoice.status),
        applied=write_money(event.applied),
        engagement_id=write_id(credit_note.engagement_id),
        correlation_id=write_id(credit_note.correlation_id),
    )
    return Outgoing(message, credit_note.invoice_id, credit_note.version)


def _write_applied(event: CreditApplied) -> Outgoing:
    message = events_pb2.CreditApplied(
        credit_application_id=str(event.credit_application_id),
        version=1,
        credit_note_id=str(event.credit_note.invoice_id),
        invoice_id=str(event.invoice.invoice_id),
        invoice_version=event.invoice.version,
        invoice_status=STATUSES.write(event.invoice.status),
        amount=write_money(event.amount),
        applied_on=write_date(event.applied_on),
        engagement_id=write_id(event.invoice.engagement_id),
        correlation_id=write_id(event.invoice.correlation_id),
    )
    return Outgoing(message, event.credit_application_id, 1)


def write_run(run: InvoiceRun) -> invoice_run_service_pb2.InvoiceRun:
    """Return a run with its progress."""
    progress = run.progress
    return invoice_run_service_pb2.InvoiceRun(
        run_id=str(run.run_id),
        version=run.version,
        legal_entity_id=str(run.legal_entity_id),
        cut_off=write_date(run.cut_off),
        run_key=run.run_key,
        contract_ids=[str(contract_id) for contract_id in run.contract_ids],
        status=RUN_STATUSES.write(run.status),
        status_text=run.status_text,
        started_by=run.started_by,
        approved_by=run.approved_by,
        started_at=write_instant(run.started_at),
        finished_at=write_instant(run.finished_at),
        progress=invoice_run_service_pb2.InvoiceRunProgress(
            contracts_found=progress.contracts_found,
            contracts_done=progress.contracts_done,
            contracts_failed=progress.contracts_failed,
            items_claimed=progress.items_claimed,
            invoices_drafted=progress.invoices_drafted,
            invoices_tax_pending=progress.invoices_tax_pending,
            invoices_approved=progress.invoices_approved,
            invoices_issued=progress.invoices_issued,
        ),
    )


def write_tax_rule(rule: TaxRule) -> tax_service_pb2.TaxRule:
    """Return a row of the tax tables."""
    message = tax_service_pb2.TaxRule(
        tax_rule_id=str(rule.tax_rule_id),
        version=rule.version,
        seller_country=rule.seller_country,
        buyer_country=rule.buyer_country,
        buyer_registration=REGISTRATIONS.write(rule.buyer_registration),
        tax_category=rule.tax_category,
        tax_code=rule.treatment.tax_code,
        rate_percent=percent(rule.treatment.rate_percent),
        exemption_reason=rule.treatment.exemption_reason,
        valid_from=write_date(rule.valid_from),
    )
    if rule.valid_to is not None:
        message.valid_to = write_date(rule.valid_to)
    return message


def _message_of(event: InvoiceEvent) -> Message | None:
    ids = {
        "engagement_id": write_id(event.invoice.engagement_id),
        "correlation_id": write_id(event.invoice.correlation_id),
    }
    match event:
        case InvoiceDrafted(invoice):
            return events_pb2.InvoiceDrafted(invoice=write_invoice(invoice), **ids)
        case InvoiceApproved(invoice):
            return events_pb2.InvoiceApproved(invoice=write_invoice(invoice), **ids)
        case InvoiceIssued(invoice, _):
            return events_pb2.InvoiceIssued(invoice=write_invoice(invoice), **ids)
        case InvoiceVoided(invoice):
            return events_pb2.InvoiceVoided(
                invoice=write_invoice(invoice), reason=invoice.void_reason, **ids
            )
        case InvoiceSettled(invoice):
            return events_pb2.InvoiceSettled(
                invoice_id=str(invoice.invoice_id),
                version=invoice.version,
                status=STATUSES.write(invoice.status),
                allocation=write_settled_allocation(event),
                **ids,
            )
        case _:
            return None


def write_settled_allocation(event: InvoiceSettled) -> payment_pb2.PaymentAllocation:
    """Return the allocation that settled an invoice, or a part of it."""
    return payment_pb2.PaymentAllocation(
        payment_allocation_id=str(event.payment_allocation_id),
        payment_id=str(event.payment_id),
        invoice_id=str(event.invoice.invoice_id),
        amount=write_money(event.amount),
        allocated_on=write_date(event.allocated_on),
    )


def _write_group(group: TaxGroup) -> invoice_pb2.TaxGroup:
    return invoice_pb2.TaxGroup(
        tax_code=group.tax_code,
        tax_rate_percent=percent(group.rate_percent),
        base_amount=write_money(group.base),
        tax_amount=write_money(group.tax),
        exemption_reason=group.exemption_reason,
    )


def _write_party(party: Party) -> invoice_pb2.Party:
    address = party.address
    return invoice_pb2.Party(
        party_id=str(party.party_id),
        name=party.name,
        address=address_pb2.PostalAddress(
            lines=address.lines,
            city=address.city,
            postal_code=address.postal_code,
            region=address.region,
            country=address.country,
        ),
        tax_id=party.tax_id,
        registration=party.registration,
        iban=party.iban,
        bic=party.bic,
        email=party.email,
    )


def _chunks(rows: Sequence[T], size: int) -> list[Sequence[T]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
