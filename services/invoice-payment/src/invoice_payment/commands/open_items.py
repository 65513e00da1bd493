"""Open items that no run invoices, and what becomes of them: credit notes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.bulk import claims, drafts, netting
from invoice_payment.bulk.claims import DocumentItems, Scope
from invoice_payment.domain.amounts import TaxedLine, TaxTreatment, totals_of
from invoice_payment.domain.credit import InvoiceNotIssued, choose
from invoice_payment.domain.credit_note import Request, credit_note_of, draft_credit_note
from invoice_payment.domain.draft import Terms, last_day, lines_of
from invoice_payment.domain.invoice import DocumentType, Invoice, tax_cases
from invoice_payment.domain.line import Disposition, Line
from invoice_payment.domain.reversal import Reversal
from invoice_payment.domain.tax import treatment_of
from invoice_payment.repository import credit as repository
from invoice_payment.repository import invoice as invoices
from invoice_payment.repository import master, tax
from invoice_payment.repository.open_items import ALIVE, CLAIMED, NETTED, REBILLED
from invoice_payment.repository.run import LEFT_OUT
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_core.money import Money
from throughline_runtime import audit, exceptions
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

SERVICE: Final = "service:invoice-payment"
"""Who drafts credit notes that no person asked for; any person may approve them."""


class ContractNotFound(NotFound):
    """No such contract is known here."""

    code = "contract.not_found"


class NotNegative(FailedPrecondition):
    """The open items sum to nothing or more: an invoice run bills them."""

    code = "credit.not_negative"


class NoInvoice(FailedPrecondition):
    """A credit note names an invoice, and there is none."""

    code = "credit.no_invoice"


class BilledElsewhere(FailedPrecondition):
    """What is taken back was billed by another invoice, or by several; each has its own tax."""

    code = "credit.billed_elsewhere"


class TaxUnknown(FailedPrecondition):
    """Neither the invoice nor a rule says how an item is taxed."""

    code = "credit.tax_unknown"


NOT_REBILLED: Final = "contract.not_rebilled"
"""Kind of the exception of a contract whose re-rated work could not be credited."""

# Rows that re-rating took back, on contracts that want invoices corrected by credit notes, and the
# issued invoices on which what they take back still stands.
_TAKEN_BACK: Final = f"""
    FROM billable_item AS item
    JOIN contract_terms AS agreed ON agreed.contract_id = item.contract_id
     AND agreed.rerating_policy = 'credit_and_rebill'
    JOIN invoice_item AS claim ON claim.billing_event_id = item.reverses_billing_event_id
     AND claim.is_live AND claim.credited_quantity <> claim.quantity
    JOIN invoice ON invoice.invoice_id = claim.invoice_id AND invoice.number IS NOT NULL
     AND invoice.document_type = 'invoice'
    WHERE {REBILLED} AND NOT {CLAIMED} AND NOT {NETTED} AND {ALIVE}
"""

_CONTRACTS: Final = text(f"""
    SELECT DISTINCT item.contract_id {_TAKEN_BACK} AND item.contract_id > :after
    ORDER BY item.contract_id LIMIT :limit
""")

_REBILLED: Final = text(f"""
    SELECT DISTINCT claim.invoice_id, item.rerating_run_id, item.billing_event_id AS reversal_id,
           item.reverses_billing_event_id AS billing_event_id
    {_TAKEN_BACK} AND item.contract_id = :contract_id
    ORDER BY claim.invoice_id, item.rerating_run_id, item.billing_event_id
    LIMIT :limit
""")

# What a person credited, or a correction withdrew, is in nobody's way any more.
_MENDED: Final = text(f"""
    SELECT halted.subject_id FROM exception_item AS halted
    WHERE halted.kind = :kind AND halted.closed_at IS NULL
      AND NOT EXISTS (SELECT {_TAKEN_BACK} AND item.contract_id = halted.subject_id)
""")


@dataclass(frozen=True, slots=True)
class Rebilled:
    """What a re-rating run takes off an invoice: the rows that do, by the item they take back."""

    invoice_id: UUID
    rerating_run_id: UUID
    reversals: Mapping[UUID, UUID]


async def credit_open_items(
    tx: AsyncConnection,
    contract_id: UUID,
    customer_id: UUID,
    request: Request,
    *,
    invoice_id: UUID | None,
) -> Invoice:
    """Draft a credit note over open items of a contract and payer that sum to less than nothing.

    It names the invoice that billed what they take back, and is taxed as that one was. What takes
    back the work of other invoices stays open, and so does other work that is taxed otherwise.

    Raises:
        ContractNotFound, InvoiceNotFound, EntityForbidden: no such thing for the caller.
        NotNegative, NoInvoice, InvoiceNotIssued, BilledElsewhere, TaxUnknown: why it cannot be.
    """
    terms = (await master.terms_of(tx, [contract_id], lock=True)).get(contract_id)
    if terms is None:
        raise ContractNotFound(f"contract {contract_id} is not known", field="contract_id")
    require_entity(terms.legal_entity_id)
    await netting.net(tx, [contract_id], at=request.at)
    scope = Scope(terms.legal_entity_id, claims.LAST_DAY)
    reversals = [
        each
        for each in await claims.invoiced_reversals(tx, scope, [contract_id])
        if each.bill_to_customer_id == customer_id
    ]
    invoice = await _named(tx, contract_id, customer_id, invoice_id, reversals)
    document = await _claimed(tx, scope, terms, invoice, reversals)
    if document is None:
        raise NotNegative(
            "the open items of this contract and customer do not sum to less than nothing",
            field="contract_id",
            advice="start an invoice run for them, or wait for what is taken back to arrive",
        )
    lines, order = lines_of(terms, document.lines)
    treatments = await _treatments(tx, invoice, lines)
    totals = totals_of(
        [TaxedLine(each.quantity, each.unit_rate, treatments[each.tax_category]) for each in lines],
        invoice.rounding_policy,
        invoice.currency,
    )
    if totals.gross >= Money.zero(invoice.currency):
        raise NotNegative(
            f"with tax the open items sum to {totals.gross}",
            field="contract_id",
            advice="start an invoice run for them",
        )
    named = replace(invoice, treatments=treatments, purchase_order_number=order)
    credit_note = credit_note_of(
        named, lines, totals, replace(request, credit_note_id=document.invoice_id)
    )
    await drafts.add_drafts(tx, [Change(credit_note, ())])
    await exceptions.close(tx, LEFT_OUT, [contract_id])
    audit.touch(tx, credit_note.invoice_id, contract_id, engagement_id=terms.engagement_id)
    return credit_note


async def rebilled(tx: AsyncConnection, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return contracts on which re-rating took back what invoices bill, by id past `after`."""
    rows = await tx.execute(_CONTRACTS, {"after": after or UUID(int=0), "limit": limit})
    return list(rows.scalars())


async def credit_rebilled(
    tx: AsyncConnection, contract_id: UUID, *, at: datetime, limit: int
) -> list[Invoice]:
    """Draft credit notes over what re-rating took back of a contract's invoices.

    What was taken back is credited in full and returned; at issue it meets the row that takes it
    back, and the new invoice bills what was rated anew.
    """
    await netting.lock_contracts(tx, [contract_id])
    rows = await tx.execute(_REBILLED, {"contract_id": contract_id, "limit": limit})
    found: dict[tuple[UUID, UUID], dict[UUID, UUID]] = defaultdict(dict)
    for row in rows:
        found[row.invoice_id, row.rerating_run_id][row.billing_event_id] = row.reversal_id
    credit_notes = [
        await _credit(tx, Rebilled(*key, reversals=reversals), at=at)
        for key, reversals in sorted(found.items())
    ]
    await exceptions.close(tx, NOT_REBILLED, [contract_id])
    return credit_notes


async def leave_rebilled(tx: AsyncConnection, contract_id: UUID, *, reason: str) -> None:
    """Go past a contract that an error keeps from being credited; the next time it is tried again.

    Its re-rated work waits meanwhile: neither credited nor billed anew.
    """
    terms = (await master.terms_of(tx, [contract_id], lock=False))[contract_id]
    await exceptions.open_(
        tx,
        NOT_REBILLED,
        contract_id,
        reason=f"what re-rating took back of contract {terms.number} is not credited: {reason}",
        owner="finance",
        advice="mend what the reason names: the credit note is then drafted by itself; or let the"
        " contract's re-rating policy be debit_credit: the next run then bills the difference",
        legal_entity_id=terms.legal_entity_id,
        engagement_id=terms.engagement_id,
    )


async def close_rebilled(tx: AsyncConnection) -> None:
    """Close the exceptions of contracts on which nothing is left to credit."""
    mended = (await tx.execute(_MENDED, {"kind": NOT_REBILLED})).scalars()
    await exceptions.close(tx, NOT_REBILLED, mended)


async def _credit(tx: AsyncConnection, work: Rebilled, *, at: datetime) -> Invoice:
    invoice = await invoices.get(tx, work.invoice_id)
    claimed = await repository.claims(
        tx, invoice.invoice_id, reversal_ids=sorted(work.reversals.values())
    )
    chosen = [claim for claim in claimed if claim.billing_event_id in work.reversals]
    parts = choose(invoice, chosen, (), Disposition.RETURN_TO_UNBILLED)
    request = Request(
        new_id(), f"Rated anew by run {work.rerating_run_id}; billed again", SERVICE, at
    )
    taken = await repository.taken(tx, invoice)
    credit_note = draft_credit_note(invoice, claimed, taken, parts, request)
    await drafts.add_drafts(tx, [Change(credit_note, ())])
    await repository.reserve(tx, credit_note, parts, reversals=work.reversals)
    return credit_note


async def _claimed(
    tx: AsyncConnection,
    scope: Scope,
    terms: Terms,
    invoice: Invoice,
    reversals: Iterable[Reversal],
) -> DocumentItems | None:
    """Claim what a credit note that names this invoice is over, None if it sums to no credit."""
    ids = {each.billing_event_id for each in reversals}
    own = {each.billing_event_id for each in reversals if each.invoice_id == invoice.invoice_id}
    claim = partial(claims.claim_credit, tx, scope, terms.contract_id, invoice.customer_id)
    if not own:
        return await claim(apart=ids)
    documents = await claims.preview(tx, scope, [terms.contract_id], apart=ids)
    others = [
        line
        for document in documents
        if document.bill_to_customer_id == invoice.customer_id
        for line in lines_of(terms, document.lines)[0]
    ]
    if not await _is_taxed_alike(tx, invoice, others):
        return await claim(apart=(), only=own)
    found = await claim(apart=ids - own)
    if found is None and ids != own:
        # The other work outweighs this invoice's part, but not that of all of them.
        return await claim(apart=(), only=own)
    return found


async def _is_taxed_alike(tx: AsyncConnection, invoice: Invoice, lines: Sequence[Line]) -> bool:
    """Return whether an invoice over these lines would be taxed as this one was."""
    if not lines:
        return True
    on = max(last_day(line.service) for line in lines)
    cases = tax_cases(replace(invoice, lines=tuple(lines), tax_point_on=on))
    rules = await tax.rules_of(tx, invoice.seller.address.country)
    return all(
        category in invoice.treatments
        and invoice.treatments[category].taxes_as(treatment_of(case, rules))
        for category, case in cases.items()
    )


async def _named(
    tx: AsyncConnection,
    contract_id: UUID,
    customer_id: UUID,
    invoice_id: UUID | None,
    reversals: Iterable[Reversal],
) -> Invoice:
    """Return the invoice a credit note over open items names: the one that billed them, if any."""
    billed = {each.invoice_id: each.invoice_number for each in reversals}
    wanted = set(billed) if invoice_id is None else {invoice_id}
    if billed and (len(wanted) > 1 or not wanted <= billed.keys()):
        raise BilledElsewhere(
            f"the open items take back work of {', '.join(sorted(billed.values()))}",
            field="invoice_id",
            advice="name one of these invoices; each takes a credit note of its own",
        )
    if billed:
        [invoice_id] = wanted
    if invoice_id is not None:
        invoice = await invoices.find(tx, invoice_id)
        require_entity(invoice.legal_entity_id)
        fits = (invoice.contract_id, invoice.customer_id) == (contract_id, customer_id)
        if invoice.number is None or invoice.is_credit_note or not fits:
            raise InvoiceNotIssued(
                f"{invoice_id} is no issued invoice of this contract and customer",
                field="invoice_id",
                advice="name one that is, or none to take the one that billed the work",
            )
        return invoice
    table = tables.invoice
    query = (
        select(table.c.invoice_id)
        .where(table.c.contract_id == contract_id, table.c.customer_id == customer_id)
        .where(table.c.number.is_not(None), table.c.document_type == DocumentType.INVOICE)
        .order_by(table.c.issued_on.desc(), table.c.sequence.desc())
        .limit(1)
    )
    latest: UUID | None = await tx.scalar(query)
    if latest is None:
        raise NoInvoice(
            "the contract and customer have no issued invoice that a credit note could name",
            field="contract_id",
            advice="write the items off in billing-event, or wait for work that outweighs them",
        )
    return await invoices.find(tx, latest)


async def _treatments(
    tx: AsyncConnection, invoice: Invoice, lines: Sequence[Line]
) -> dict[str, TaxTreatment]:
    """Return how each category is taxed: as on the invoice, else by the rules of its tax point."""
    found = dict(invoice.treatments)
    missing = _without(lines, found)
    if missing:
        rules = await tax.rules_of(tx, invoice.seller.address.country)
        cases = tax_cases(replace(invoice, lines=tuple(missing)))
        for category, case in cases.items():
            how = treatment_of(case, rules)
            if how is None:
                raise TaxUnknown(
                    f"no tax rule fits: {case}",
                    field="contract_id",
                    advice="add a tax rule for it, then try again",
                )
            found[category] = how
    return found


def _without(lines: Iterable[Line], treatments: Mapping[str, TaxTreatment]) -> list[Line]:
    return [line for line in lines if line.tax_category not in treatments]
