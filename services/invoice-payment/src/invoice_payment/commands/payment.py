"""Payments: recorded as told, and allocated to invoices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain import payment as domain
from invoice_payment.domain.invoice import Invoice
from invoice_payment.domain.journal import Entry, post_allocation, post_payment, posting_day
from invoice_payment.domain.payment import Allocation, Payment, PaymentStatus
from invoice_payment.repository import invoice as invoices
from invoice_payment.repository import journal, master
from invoice_payment.repository import payment as repository
from throughline_core.change import Change
from throughline_core.errors import InvalidArgument
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


class LegalEntityUnknown(InvalidArgument):
    """Nothing tells which legal entity was paid."""

    code = "payment.legal_entity_unknown"


@dataclass(frozen=True, slots=True)
class Told:
    """A payment as a provider, a bank or a person tells it; what is None is to be found out."""

    provider: str
    provider_payment_id: str
    status: PaymentStatus
    amount: Money
    received_on: date | None
    legal_entity_id: UUID | None
    legal_entity_code: str
    customer_id: UUID | None
    reference: str


async def record_payment(tx: AsyncConnection, told: Told, *, at: datetime) -> Payment:
    """Record a payment once, however often it is told, and settle the invoice it names.

    Raises:
        LegalEntityUnknown, EntityNotFound, EntityForbidden: whom it is for.
        AmountNotPositive, DiffersFromRecorded: see `domain.record` and `domain.hear_again`.
    """
    named = await _named_invoice(tx, told.reference)
    payment = await _read(tx, told, named, at=at)
    require_entity(payment.legal_entity_id)
    change = domain.record(payment)
    if not await repository.add(tx, change):
        recorded = await repository.find(tx, told.provider, told.provider_payment_id)
        assert recorded is not None, "a payment that is recorded is never deleted"
        change = domain.hear_again(recorded, payment)
        if change.state == recorded:
            return recorded
        await repository.save(tx, change)
    if change.state.status is not PaymentStatus.RECEIVED:
        return change.state
    if named is None:
        # The invoice may have been named when the payment was announced.
        named = await _named_invoice(tx, change.state.reference)
    return await _settle_named(tx, change.state, named)


async def allocate_payment(
    tx: AsyncConnection, payment_id: UUID, invoice_id: UUID, amount: Money, *, at: datetime
) -> Allocation:
    """Settle an invoice, in full or in part, out of a payment.

    Raises:
        PaymentNotFound, InvoiceNotFound, EntityForbidden: no such thing for the caller.
        AmountNotPositive, PaymentNotReceived, InvoiceNotOpen, EntityDiffers, CurrencyDiffers,
        ExceedsPayment, ExceedsInvoice: see `domain.allocate`.
    """
    payment = await repository.get(tx, payment_id)
    require_entity(payment.legal_entity_id)
    invoice = await invoices.get(tx, invoice_id, with_lines=False)
    entity = await master.entity(tx, payment.legal_entity_id)
    allocation = domain.allocate(
        payment,
        invoice,
        amount,
        allocation_id=new_id(),
        on=posting_day(at, entity.time_zone),
    )
    await _save(tx, allocation, [])
    return allocation


async def _named_invoice(tx: AsyncConnection, reference: str) -> Invoice | None:
    table = tables.invoice
    query = select(table).where(table.c.number == reference.strip())
    row = (await tx.execute(query)).one_or_none() if reference.strip() else None
    return None if row is None else invoices.invoice_from(row)


async def _read(tx: AsyncConnection, told: Told, named: Invoice | None, *, at: datetime) -> Payment:
    legal_entity_id = told.legal_entity_id
    if legal_entity_id is None and told.legal_entity_code:
        legal_entity_id = await master.entity_of_code(tx, told.legal_entity_code)
    elif legal_entity_id is None and named is not None:
        legal_entity_id = named.legal_entity_id
    if legal_entity_id is None:
        raise LegalEntityUnknown(
            "neither entity nor reference tells who was paid",
            field="legal_entity_id",
            advice="send the entity's id or code, or the number of its invoice as reference",
        )
    entity = await master.entity(tx, legal_entity_id)
    return Payment(
        payment_id=new_id(),
        version=1,
        provider=told.provider,
        provider_payment_id=told.provider_payment_id,
        status=told.status,
        amount=told.amount,
        allocated=Money.zero(told.amount.currency),
        received_on=told.received_on or posting_day(at, entity.time_zone),
        legal_entity_id=legal_entity_id,
        customer_id=told.customer_id or (named.customer_id if named else None),
        reference=told.reference,
        recorded_at=at,
    )


async def _settle_named(tx: AsyncConnection, payment: Payment, named: Invoice | None) -> Payment:
    """Post a payment that arrived and settle as much of the named invoice as is open."""
    entries = [post_payment(payment)]
    if named is not None:
        invoice = await invoices.get(tx, named.invoice_id, with_lines=False)
        amount = domain.allocatable(payment, invoice)
        if not amount.is_zero:
            assert invoice.issued_on is not None, "only an issued invoice is open"
            allocation = domain.allocate(
                payment,
                invoice,
                amount,
                allocation_id=derived_id(
                    "payment_allocation", payment.payment_id, invoice.invoice_id
                ),
                # What was paid ahead is unapplied cash until there is a receivable.
                on=max(payment.received_on, invoice.issued_on),
            )
            await _save(tx, allocation, entries)
            return allocation.payment
    await journal.post(tx, entries)
    return payment


async def _save(tx: AsyncConnection, allocation: Allocation, entries: Sequence[Entry]) -> None:
    settled = allocation.settled
    await repository.save(tx, Change(allocation.payment, ()))
    audit.touch(tx, allocation.payment.payment_id)
    await invoices.save(tx, [Change(settled.invoice, (settled,))])
    await repository.add_allocation(tx, settled)
    await journal.post(tx, [*entries, post_allocation(settled)])
