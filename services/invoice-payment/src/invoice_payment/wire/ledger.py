"""Payments, journal entries and number series as messages, and what is published of them."""

from collections.abc import Mapping
from typing import Final

from invoice_payment.domain.journal import AccountRole, Entry
from invoice_payment.domain.payment import Payment, PaymentReceived, PaymentStatus
from invoice_payment.domain.series import Number
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as events_pb2
from throughline.invoice_payment.v1 import payment_pb2
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    write_date,
    write_id,
    write_instant,
    write_money,
)

PAYMENT_STATUSES: Final = EnumMap(payment_pb2.PaymentStatus, PaymentStatus)


def write_payment(payment: Payment) -> payment_pb2.Payment:
    """Return a payment."""
    message = payment_pb2.Payment(
        payment_id=str(payment.payment_id),
        version=payment.version,
        provider=payment.provider,
        provider_payment_id=payment.provider_payment_id,
        status=PAYMENT_STATUSES.write(payment.status),
        amount=write_money(payment.amount),
        allocated=write_money(payment.allocated),
        received_on=write_date(payment.received_on),
        legal_entity_id=str(payment.legal_entity_id),
        reference=payment.reference,
        recorded_at=write_instant(payment.recorded_at),
    )
    if payment.customer_id is not None:
        message.customer_id = str(payment.customer_id)
    return message


def write_received(event: PaymentReceived) -> Outgoing:
    """Return what is published when money arrived."""
    payment = event.payment
    message = events_pb2.PaymentReceived(payment=write_payment(payment))
    return Outgoing(message, payment.payment_id, payment.version)


def write_entry(
    entry: Entry, number: Number, accounts: Mapping[AccountRole, str]
) -> payment_pb2.JournalEntry:
    """Return an entry of the books under its number, on the accounts of its entity."""
    message = payment_pb2.JournalEntry(
        journal_entry_id=str(entry.journal_entry_id),
        number=number.text,
        legal_entity_id=str(entry.legal_entity_id),
        posted_on=write_date(entry.posted_on),
        fact=entry.fact.value,
        fact_id=str(entry.fact_id),
        engagement_id=write_id(entry.engagement_id),
        correlation_id=write_id(entry.correlation_id),
        currency=entry.currency,
    )
    for posting in entry.postings:
        line = message.lines.add(
            account=accounts[posting.role],
            account_role=posting.role.value,
            debit=write_money(posting.debit),
            credit=write_money(posting.credit),
        )
        if posting.contract_id is not None:
            line.contract_id = str(posting.contract_id)
        if posting.contract_line_id is not None:
            line.contract_line_id = str(posting.contract_line_id)
    return message


def write_posted(entry: Entry, message: payment_pb2.JournalEntry) -> Outgoing:
    """Return what is published of an entry; entries never change, so it is the only version."""
    event = events_pb2.JournalPosted(
        journal_entry=message,
        engagement_id=write_id(entry.engagement_id),
        correlation_id=write_id(entry.correlation_id),
    )
    return Outgoing(event, entry.journal_entry_id, 1)
