"""Payments and their allocations."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.invoice import InvoiceSettled
from invoice_payment.domain.payment import Payment, PaymentChange, PaymentStatus
from invoice_payment.wire import ledger
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.money import Money
from throughline_runtime import outbox


class PaymentNotFound(NotFound):
    """No such payment."""

    code = "payment.not_found"


async def get(tx: AsyncConnection, payment_id: UUID) -> Payment:
    """Return a payment and lock it.

    Raises:
        PaymentNotFound: there is none.
    """
    table = tables.payment
    query = select(table).where(table.c.payment_id == payment_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise PaymentNotFound(f"payment {payment_id} does not exist", field="payment_id")
    return payment_from(row)


async def find(tx: AsyncConnection, provider: str, provider_payment_id: str) -> Payment | None:
    """Return a provider's payment and lock it, None when it is not recorded."""
    table = tables.payment
    query = select(table).where(
        table.c.provider == provider, table.c.provider_payment_id == provider_payment_id
    )
    row = (await tx.execute(query.with_for_update())).one_or_none()
    return None if row is None else payment_from(row)


async def add(tx: AsyncConnection, change: PaymentChange) -> bool:
    """Store a new payment and publish it; False when the provider's payment is recorded already.

    A twin that records it at the same moment is waited for.
    """
    payment = change.state
    statement = upsert(tables.payment).values(
        payment_id=payment.payment_id,
        version=payment.version,
        provider=payment.provider,
        provider_payment_id=payment.provider_payment_id,
        status=payment.status,
        currency=payment.amount.currency,
        amount=payment.amount.amount,
        allocated=payment.allocated.amount,
        received_on=payment.received_on,
        legal_entity_id=payment.legal_entity_id,
        customer_id=payment.customer_id,
        reference=payment.reference,
        recorded_at=payment.recorded_at,
    )
    added = await tx.execute(statement.on_conflict_do_nothing())
    if added.rowcount == 0:
        return False
    await outbox.append(tx, map(ledger.write_received, change.events))
    return True


async def save(tx: AsyncConnection, change: PaymentChange) -> None:
    """Write the payment's new state and publish what happened to it.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    payment, table = change.state, tables.payment
    written = await tx.execute(
        update(table)
        .where(table.c.payment_id == payment.payment_id, table.c.version == payment.version - 1)
        .values(
            version=payment.version,
            status=payment.status,
            allocated=payment.allocated.amount,
            received_on=payment.received_on,
            customer_id=payment.customer_id,
            reference=payment.reference,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"payment {payment.payment_id} is not at {payment.version - 1}")
    await outbox.append(tx, map(ledger.write_received, change.events))


async def add_allocation(tx: AsyncConnection, settled: InvoiceSettled) -> None:
    """Store which payment settled how much of which invoice."""
    await tx.execute(
        insert(tables.payment_allocation).values(
            payment_allocation_id=settled.payment_allocation_id,
            payment_id=settled.payment_id,
            invoice_id=settled.invoice.invoice_id,
            currency=settled.amount.currency,
            amount=settled.amount.amount,
            allocated_on=settled.allocated_on,
        )
    )


def payment_from(row: Row[Any]) -> Payment:
    """Return the payment a row of its table holds."""
    return Payment(
        payment_id=row.payment_id,
        version=row.version,
        provider=row.provider,
        provider_payment_id=row.provider_payment_id,
        status=PaymentStatus(row.status),
        amount=Money(row.amount, row.currency),
        allocated=Money(row.allocated, row.currency),
        received_on=row.received_on,
        legal_entity_id=row.legal_entity_id,
        customer_id=row.customer_id,
        reference=row.reference,
        recorded_at=row.recorded_at,
    )
