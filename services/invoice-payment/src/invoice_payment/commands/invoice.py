"""Invoices on their way: taxed, approved, issued, voided. One invoice is a set of one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain import invoice as domain
from invoice_payment.domain.invoice import Invoice
from invoice_payment.domain.issue import issue_in_order
from invoice_payment.domain.journal import post_invoice, posting_day
from invoice_payment.domain.series import Series, SeriesKey
from invoice_payment.repository import document, journal, master, seal, series, tax
from invoice_payment.repository import invoice as repository
from invoice_payment.repository.run import LEFT_OUT
from throughline_runtime import audit, exceptions
from throughline_runtime.identity import require_entity


async def approve_invoices(
    tx: AsyncConnection, invoices: Sequence[Invoice], *, by: str
) -> list[Invoice]:
    """Approve drafts, which the caller has locked, as the person `by`, and announce it.

    Raises:
        IllegalTransition, ApproverDraftedIt, TotalNegative: see `domain.approve`.
    """
    changes = [domain.approve(invoice, by=by) for invoice in invoices]
    await repository.save(tx, changes)
    await exceptions.close(tx, LEFT_OUT, [invoice.invoice_id for invoice in invoices])
    return [change.state for change in changes]


async def approve_invoice(tx: AsyncConnection, invoice_id: UUID, *, by: str) -> Invoice:
    """Approve one draft.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        IllegalTransition, ApproverDraftedIt, TotalNegative: see `domain.approve`.
    """
    [approved] = await approve_invoices(tx, [await _own(tx, invoice_id)], by=by)
    return approved


async def issue_invoices(
    tx: AsyncConnection, invoices: Sequence[Invoice], *, at: datetime
) -> list[Invoice]:
    """Issue approved invoices of one legal entity, which the caller has locked.

    They get numbers, are sealed, posted and announced with what they billed. The number of
    statements does not grow with them, and the counters are locked after everything else.

    Raises:
        IllegalTransition, TotalNegative: see `domain.issue`.
    """
    items = await seal.items_of(tx, invoices)
    entity = await master.entity(tx, invoices[0].legal_entity_id)
    on = posting_day(at, entity.time_zone)
    await exceptions.close(tx, LEFT_OUT, [invoice.invoice_id for invoice in invoices])
    key = SeriesKey(entity.party.party_id, Series.INVOICE, on.year)
    taken = await series.lock(tx, {key: len(invoices)})
    changes = issue_in_order(invoices, taken[key], on=on)
    issued = [change.state for change in changes]
    await repository.save(tx, changes)
    await seal.add(tx, changes, items)
    await journal.post(tx, [post_invoice(invoice) for invoice in issued])
    await series.advance(tx, taken, {key: issued[-1].content_hash})
    return issued


async def issue_invoice(tx: AsyncConnection, invoice_id: UUID, *, at: datetime) -> Invoice:
    """Issue one approved invoice.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        IllegalTransition, TotalNegative: see `domain.issue`.
    """
    [issued] = await issue_invoices(tx, [await _own(tx, invoice_id)], at=at)
    return issued


async def void_invoice(tx: AsyncConnection, invoice_id: UUID, *, reason: str) -> Invoice:
    """Give up an invoice that is not issued, and free its items.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        IllegalTransition: it is issued, or voided already.
    """
    change = domain.void(await _own(tx, invoice_id), reason=reason)
    await repository.save(tx, [change])
    await repository.give_up_claims(tx, invoice_id)
    await exceptions.close(tx, repository.TAX_RULE_MISSING, [invoice_id])
    await exceptions.close(tx, LEFT_OUT, [invoice_id])
    return change.state


async def retry_document(tx: AsyncConnection, invoice_id: UUID) -> Invoice:
    """Let the PDF of an invoice be made again.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        DocumentNotFailed: it did not fail.
    """
    document_of = await repository.get(tx, invoice_id)
    require_entity(document_of.legal_entity_id)
    pending = domain.retry_document(document_of)
    await document.set_step(tx, pending)
    audit.touch(tx, invoice_id, engagement_id=pending.engagement_id)
    return pending


async def retry_tax(tx: AsyncConnection, invoice_ids: Sequence[UUID]) -> list[Invoice]:
    """Tax drafts that wait, by today's rules and customers; return those that are ready now."""
    waiting = [
        invoice
        for invoice in await repository.load(tx, invoice_ids)
        if invoice.status is domain.InvoiceStatus.TAX_PENDING
    ]
    buyers = await master.buyers(tx, [invoice.customer_id for invoice in waiting])
    countries = {invoice.seller.address.country for invoice in waiting}
    rules = [rule for country in sorted(countries) for rule in await tax.rules_of(tx, country)]
    changes = []
    for invoice in waiting:
        buyer = buyers[invoice.customer_id]
        current = replace(invoice, buyer=buyer.party, buyer_is_registered=buyer.is_registered)
        changes.append(domain.determine_tax(current, rules))
    taxed = [change for change in changes if change.events]
    if taxed:
        ready = [change.state for change in taxed]
        await repository.save_tax(tx, ready)
        await repository.save(tx, taxed)
        await exceptions.close(
            tx, repository.TAX_RULE_MISSING, [invoice.invoice_id for invoice in ready]
        )
    return [change.state for change in taxed]


async def _own(tx: AsyncConnection, invoice_id: UUID) -> Invoice:
    """Return the invoice, locked, if the caller may act for its entity."""
    invoice = await repository.get(tx, invoice_id)
    if invoice.is_credit_note:
        raise repository.InvoiceNotFound(
            f"{invoice_id} is a credit note",
            field="invoice_id",
            advice="use the methods of credit notes",
        )
    require_entity(invoice.legal_entity_id)
    return invoice
