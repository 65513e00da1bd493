"""Credit notes: drafted over invoices or open items, approved by a second person, issued."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.bulk import drafts, netting
from invoice_payment.domain import invoice as domain
from invoice_payment.domain.credit import Part, WantedLine, choose, require_givable
from invoice_payment.domain.credit_application import apply_credit
from invoice_payment.domain.credit_note import Request, draft_credit_note
from invoice_payment.domain.invoice import CreditApplied, Invoice
from invoice_payment.domain.issue import CreditIssued, issue_credit_note
from invoice_payment.domain.journal import post_invoice, posting_day
from invoice_payment.domain.line import Disposition
from invoice_payment.domain.series import Series, SeriesKey
from invoice_payment.repository import credit as repository
from invoice_payment.repository import invoice as invoices
from invoice_payment.repository import journal, master, seal, series
from invoice_payment.repository.credit import CreditNoteNotFound
from invoice_payment.wire import invoice as wire
from throughline_core.change import Change
from throughline_core.money import Money
from throughline_runtime import audit, outbox
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to credit of an invoice: chosen lines, or all that is left where there are none."""

    invoice_id: UUID
    disposition: Disposition
    lines: Sequence[WantedLine] = ()


async def preview_credit(
    tx: AsyncConnection, wanted: Wanted, request: Request
) -> tuple[Invoice, Money]:
    """Return the credit note `create_credit_note` would draft, and what of it would settle.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        InvoiceNotIssued, LineUnknown, ItemUnknown, QuantityInvalid, ExceedsCreditable, NothingLeft,
        PrepaymentGivenUp, GivenUpTwice, TotalNotPositive: see `domain.choose` and
            `domain.draft_credit_note`.
    """
    invoice = await invoices.find(tx, wanted.invoice_id)
    require_entity(invoice.legal_entity_id)
    credit_note, _ = await _drafted(tx, invoice, wanted, request)
    settles = min(invoice.open_amount, -credit_note.totals.gross)
    return credit_note, max(settles, Money.zero(invoice.currency))


async def create_credit_note(tx: AsyncConnection, wanted: Wanted, request: Request) -> Invoice:
    """Draft a credit note over an issued invoice, and keep for it what it takes.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        InvoiceNotIssued, LineUnknown, ItemUnknown, QuantityInvalid, ExceedsCreditable, NothingLeft,
        PrepaymentGivenUp, GivenUpTwice, TotalNotPositive: see `domain.choose` and
            `domain.draft_credit_note`.
    """
    invoice = await invoices.get(tx, wanted.invoice_id)
    require_entity(invoice.legal_entity_id)
    credit_note, parts = await _drafted(tx, invoice, wanted, request)
    await drafts.add_drafts(tx, [Change(credit_note, ())])
    await repository.reserve(tx, credit_note, parts)
    audit.touch(tx, credit_note.invoice_id, invoice.invoice_id, engagement_id=invoice.engagement_id)
    return credit_note


async def approve_credit_note(tx: AsyncConnection, credit_note_id: UUID, *, by: str) -> Invoice:
    """Approve a draft as the person `by`.

    Raises:
        CreditNoteNotFound, EntityForbidden: no such credit note for the caller.
        IllegalTransition, ApproverDraftedIt: see `domain.approve`.
    """
    change = domain.approve(await _own(tx, credit_note_id), by=by)
    # Nobody is told of a credit note before its issue.
    await invoices.save(tx, [Change(change.state, ())])
    audit.touch(tx, credit_note_id, engagement_id=change.state.engagement_id)
    return change.state


async def void_credit_note(tx: AsyncConnection, credit_note_id: UUID, *, reason: str) -> Invoice:
    """Give up a credit note that is not issued; what it took can be credited again.

    Raises:
        CreditNoteNotFound, EntityForbidden: no such credit note for the caller.
        IllegalTransition: it is issued, or voided already.
    """
    credit_note, _ = await _with_invoice(tx, await _find_own(tx, credit_note_id))
    change = domain.void(credit_note, reason=reason)
    await invoices.save(tx, [Change(change.state, ())])
    await invoices.give_up_claims(tx, credit_note_id)
    await repository.give_up(tx, credit_note_id)
    audit.touch(tx, credit_note_id, engagement_id=change.state.engagement_id)
    return change.state


async def issue_credit(tx: AsyncConnection, credit_note_id: UUID, *, at: datetime) -> Invoice:
    """Issue an approved credit note: numbered, sealed, posted; its items are open or given up.

    Raises:
        CreditNoteNotFound, EntityForbidden: no such credit note for the caller.
        IllegalTransition: it is not approved.
        TakenBackMeanwhile, GivenUpTwice, PrepaymentGivenUp: see `domain.require_givable`.
    """
    found = await _find_own(tx, credit_note_id)
    await netting.lock_contracts(tx, [found.contract_id])
    credit_note, invoice = await _with_invoice(tx, found)
    given_up = await repository.given_up(tx, credit_note_id, invoice.invoice_id)
    require_givable(invoice, given_up)
    entity = await master.entity(tx, credit_note.legal_entity_id)
    on = posting_day(at, entity.time_zone)
    billed = await seal.items_of(tx, [credit_note])
    credited = await repository.items_of(tx, credit_note_id)
    await repository.return_items(tx, credit_note_id)
    await netting.net(tx, [credit_note.contract_id], at=at)
    key = SeriesKey(entity.party.party_id, Series.CREDIT_NOTE, on.year)
    taken = await series.lock(tx, {key: 1})
    issued = issue_credit_note(
        credit_note, invoice, taken[key].number(0), on=on, previous_hash=taken[key].last_hash
    )
    await _save_issued(tx, issued, billed)
    await outbox.append(tx, wire.write_credited_items(issued.change.state, credited))
    await journal.post(tx, [post_invoice(issued.change.state)])
    await series.advance(tx, taken, {key: issued.change.state.content_hash})
    audit.touch(tx, credit_note_id, engagement_id=credit_note.engagement_id)
    return issued.change.state


async def apply_to_invoice(
    tx: AsyncConnection, credit_note_id: UUID, invoice_id: UUID, amount: Money, *, at: datetime
) -> CreditApplied:
    """Settle a further invoice, in full or in part, by the rest of an issued credit note.

    Raises:
        CreditNoteNotFound, InvoiceNotFound, EntityForbidden: no such document for the caller.
        AmountNotPositive, InvoiceNotOpen, ExceedsInvoice, EntityDiffers, CurrencyDiffers,
        CreditNotIssued, ExceedsCredit, CustomerDiffers: see `domain.apply_credit`.
    """
    await _find_own(tx, credit_note_id)
    locked = await invoices.load(tx, [credit_note_id, invoice_id], with_lines=False)
    by_id = {document.invoice_id: document for document in locked}
    if invoice_id not in by_id:
        raise invoices.InvoiceNotFound(f"invoice {invoice_id} does not exist", field="invoice_id")
    credit_note = by_id[credit_note_id]
    entity = await master.entity(tx, credit_note.legal_entity_id)
    applied = apply_credit(
        credit_note,
        by_id[invoice_id],
        amount,
        application_id=new_id(),
        on=posting_day(at, entity.time_zone),
    )
    await invoices.save(tx, [Change(applied.credit_note, ()), Change(applied.invoice, (applied,))])
    await repository.add_application(tx, applied)
    audit.touch(tx, credit_note_id, invoice_id, engagement_id=credit_note.engagement_id)
    return applied


async def _drafted(
    tx: AsyncConnection, invoice: Invoice, wanted: Wanted, request: Request
) -> tuple[Invoice, list[Part]]:
    claims = await repository.claims(tx, invoice.invoice_id)
    parts = choose(invoice, claims, wanted.lines, wanted.disposition)
    taken = await repository.taken(tx, invoice)
    return draft_credit_note(invoice, claims, taken, parts, request), parts


async def _save_issued(tx: AsyncConnection, issued: CreditIssued, billed: seal.Items) -> None:
    changes = [issued.change]
    if not issued.applied.is_zero:
        changes.append(Change(issued.invoice, ()))
    await invoices.save(tx, changes)
    await seal.add(tx, [issued.change], billed)


async def _with_invoice(tx: AsyncConnection, found: Invoice) -> tuple[Invoice, Invoice]:
    """Lock a credit note and the invoice it credits, and return both.

    Of the invoice others read what is left to credit of it, while they draft another credit note.
    """
    assert found.credits is not None, "only credit notes are found"
    locked = await invoices.load(tx, [found.invoice_id, found.credits.invoice_id])
    by_id = {document.invoice_id: document for document in locked}
    return by_id[found.invoice_id], by_id[found.credits.invoice_id]


async def _find_own(tx: AsyncConnection, credit_note_id: UUID) -> Invoice:
    """Return the credit note, not locked, if the caller may act for its entity."""
    try:
        found = await invoices.find(tx, credit_note_id)
    except invoices.InvoiceNotFound:
        found = None
    if found is None or not found.is_credit_note:
        raise CreditNoteNotFound(
            f"credit note {credit_note_id} does not exist", field="credit_note_id"
        )
    require_entity(found.legal_entity_id)
    return found


async def _own(tx: AsyncConnection, credit_note_id: UUID) -> Invoice:
    """Return the credit note, locked, if the caller may act for its entity."""
    await _find_own(tx, credit_note_id)
    return await invoices.get(tx, credit_note_id)
