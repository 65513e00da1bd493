"""Billable items, as their owner takes them back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.bulk import drafts, netting, retraction
from invoice_payment.commands.book import book
from invoice_payment.domain import invoice as domain
from invoice_payment.domain.booking import book_withdrawal
from invoice_payment.domain.draft import redraft_lines
from invoice_payment.domain.invoice import Invoice, InvoiceChange, InvoiceStatus
from invoice_payment.domain.item import Portion
from invoice_payment.repository import invoice as invoices
from invoice_payment.repository import master, tax
from invoice_payment.repository.run import LEFT_OUT
from throughline_core.errors import FailedPrecondition
from throughline_core.money import Money
from throughline_runtime import audit, exceptions
from throughline_runtime.ids import new_id

ASIDE_SECONDS: Final = 600
"""Longer than an owner takes to commit and publish; then the items are billable again."""


class ItemClaimed(FailedPrecondition):
    """The item is on a draft or an issued invoice."""

    code = "billable_item.claimed"


class ItemInvoiced(FailedPrecondition):
    """The item is on an issued invoice."""

    code = "billable_item.invoiced"


class ItemNetted(FailedPrecondition):
    """The item and the one that takes it back cancelled each other."""

    code = "billable_item.netted"


@dataclass(frozen=True, slots=True)
class ChangedDraft:
    """A draft that items left: made anew without them, or voided."""

    invoice: Invoice
    left: Sequence[UUID]


async def set_items_aside(tx: AsyncConnection, billing_event_ids: Collection[UUID]) -> datetime:
    """Keep items from being claimed while their owner takes them back; return until when.

    Raises:
        ItemClaimed: one of them is on a draft or an issued invoice.
    """
    await netting.lock_contracts(tx, await netting.contracts_of(tx, billing_event_ids))
    claim = await netting.claimed(tx, billing_event_ids)
    if claim is not None:
        item_id, invoice_id, number = claim
        document = f"invoice {number}" if number else f"draft {invoice_id}"
        raise ItemClaimed(
            f"billing event {item_id} is on {document}",
            field="billing_event_ids",
            advice="void the draft first" if number is None else "credit the invoice instead",
        )
    until = await netting.set_aside(tx, billing_event_ids, seconds=ASIDE_SECONDS)
    audit.touch(tx, *billing_event_ids)
    return until


async def put_items_back(
    tx: AsyncConnection, billing_event_ids: Collection[UUID], *, until: datetime
) -> None:
    """Let items that were set aside until then be claimed; those set aside again since are not."""
    await netting.put_back(tx, dict.fromkeys(billing_event_ids, until))
    audit.touch(tx, *billing_event_ids)


async def withdraw_items(
    tx: AsyncConnection, versions: Mapping[UUID, int], *, reason: str, at: datetime
) -> list[ChangedDraft]:
    """Take the releases of rows up to these versions back, all or none; return changed drafts.

    Raises:
        ItemInvoiced, ItemNetted: one of them cannot be taken back.
    """
    before = await retraction.retracted(tx, versions)
    fresh = {
        item_id: version
        for item_id, version in sorted(versions.items())
        if item_id not in before or before[item_id].withdrawn < version
    }
    if not fresh:
        return []
    await netting.lock_contracts(tx, await netting.contracts_of(tx, fresh))
    portions = [
        portion
        for portion in await retraction.portions(tx, fresh)
        if portion.row_version <= fresh[portion.billing_event_id]
    ]
    changed = await take_off_drafts(tx, portions, reason=reason)
    await retraction.withdraw(tx, fresh)
    known = await master.entities(tx, {portion.legal_entity_id for portion in portions})
    taken_back = [
        portion
        for portion in portions
        if portion.number is None and portion.legal_entity_id in known
    ]
    await book(tx, book_withdrawal(new_id(), taken_back, at=at))
    audit.touch(tx, *fresh)
    return changed


async def take_off_drafts(
    tx: AsyncConnection, portions: Iterable[Portion], *, reason: str
) -> list[ChangedDraft]:
    """Take portions off the drafts they are on, whose contracts the caller has locked.

    Each draft is made anew over the rest; one of which nothing is left, or less than nothing, and
    a credit note, is voided: its other items are open again.

    Raises:
        ItemInvoiced, ItemNetted: one of them cannot be taken off.
    """
    found = list(portions)
    for portion in found:
        _require_free(portion)
    claimed = [portion for portion in found if portion.invoice_id and portion.number is None]
    found_on = await invoices.load(tx, {each.invoice_id for each in claimed if each.invoice_id})
    # One that was voided meanwhile has let go of them already.
    locked = [each for each in found_on if each.status is not InvoiceStatus.VOIDED]
    for document in locked:
        if document.number is not None:
            raise _invoiced(claimed[0].billing_event_id, document.number.text)
    invoice_ids = [document.invoice_id for document in locked]
    left = await retraction.leave(tx, invoice_ids, {each.billing_event_id for each in claimed})
    changes = await _redrafted(tx, locked, reason=reason)
    await _save(tx, changes)
    return [ChangedDraft(change.state, left.get(change.state.invoice_id, ())) for change in changes]


async def _redrafted(
    tx: AsyncConnection, documents: Sequence[Invoice], *, reason: str
) -> list[InvoiceChange]:
    rests = await retraction.rest(tx, [document.invoice_id for document in documents])
    countries = sorted({document.seller.address.country for document in documents})
    rules = [rule for country in countries for rule in await tax.rules_of(tx, country)]
    changes = []
    for document in documents:
        lines = redraft_lines(document.lines, rests.get(document.invoice_id, ()))
        total = Money.total((line.net for line in lines), document.currency)
        is_invoice = bool(lines) and total >= Money.zero(document.currency)
        if is_invoice and not document.is_credit_note:
            changes.append(domain.redraft(document, lines, rules))
        else:
            changes.append(domain.void(document, reason=reason))
    return changes


async def _save(tx: AsyncConnection, changes: Sequence[InvoiceChange]) -> None:
    if not changes:
        return
    voided = [each.state for each in changes if each.state.status is InvoiceStatus.VOIDED]
    anew = [each.state for each in changes if each.state.status is not InvoiceStatus.VOIDED]
    if anew:
        await drafts.replace_parts(tx, anew)
    taxed = [each.invoice_id for each in anew if each.status is InvoiceStatus.READY]
    gone = [each.invoice_id for each in voided]
    await exceptions.close(tx, invoices.TAX_RULE_MISSING, [*taxed, *gone])
    await exceptions.close(tx, LEFT_OUT, [change.state.invoice_id for change in changes])
    await invoices.save(tx, changes)
    for invoice_id in gone:
        await invoices.give_up_claims(tx, invoice_id)
    audit.touch(tx, *(change.state.invoice_id for change in changes))


def _require_free(portion: Portion) -> None:
    if portion.is_netted:
        raise ItemNetted(
            f"billing event {portion.billing_event_id} was cancelled by the one that takes it back",
            field="items",
            advice="leave it out: it is never invoiced",
        )
    if portion.is_billed:
        raise _invoiced(portion.billing_event_id, portion.number or "")


def _invoiced(billing_event_id: UUID, number: str) -> ItemInvoiced:
    return ItemInvoiced(
        f"billing event {billing_event_id} is on invoice {number}",
        field="items",
        advice=f"credit invoice {number} instead",
    )
