"""Invoice runs: started and steered by people, worked off chunk by chunk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.bulk import claims, drafts, netting
from invoice_payment.bulk.claims import DocumentItems, OpenContract, Scope, Wait
from invoice_payment.commands.invoice import approve_invoices, issue_invoices
from invoice_payment.domain import run as domain
from invoice_payment.domain.draft import Run, Terms, draft_invoice
from invoice_payment.domain.invoice import Invoice, InvoiceChange, InvoiceStatus
from invoice_payment.domain.reversal import Reversal, taxed_otherwise
from invoice_payment.domain.run import InvoiceRun, Progress
from invoice_payment.repository import invoice as invoices
from invoice_payment.repository import master, tax
from invoice_payment.repository import run as repository
from invoice_payment.repository.run import LEFT_OUT, RunMovedOn
from throughline_runtime import exceptions
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

INCOMPLETE: Final = "invoice_run.incomplete"
"""Kind of the exception a run opens that closed a phase and had left something out."""


async def start_run(
    tx: AsyncConnection,
    legal_entity_id: UUID,
    *,
    cut_off: date,
    run_key: str,
    contract_ids: Iterable[UUID],
    by: str,
    at: datetime,
) -> InvoiceRun:
    """Start a run, or return the one that was started for the same entity, cut-off and key.

    Raises:
        EntityNotFound, EntityForbidden: no such entity for the caller.
        DifferentContracts: the run that exists is about other contracts.
    """
    require_entity(legal_entity_id)
    await master.entity(tx, legal_entity_id)
    wanted = domain.start(
        new_id(),
        legal_entity_id,
        cut_off=cut_off,
        run_key=run_key,
        contract_ids=tuple(contract_ids),
        by=by,
        at=at,
    )
    return domain.require_same(await repository.add(tx, wanted), wanted)


async def stop_run(tx: AsyncConnection, run_id: UUID) -> InvoiceRun:
    """Stop a run; a chunk under way that has not committed by now has no effect.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it neither drafts nor issues.
    """
    return await _saved(tx, domain.stop(await _own(tx, run_id)))


async def resume_run(tx: AsyncConnection, run_id: UUID) -> InvoiceRun:
    """Let a stopped run go on, or one at rest take up what it left out.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition, NothingLeftOut: see `domain.resume`.
    """
    run = await _own(tx, run_id)
    left_out = await repository.left_out(tx, run_id)
    return await _saved(tx, domain.resume(run, left_out=left_out))


async def approve_run(tx: AsyncConnection, run_id: UUID, *, by: str) -> InvoiceRun:
    """Have the drafts of a run approved by the person `by`.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition, RunApproverStartedIt: see `domain.approve`.
    """
    return await _saved(tx, domain.approve(await _own(tx, run_id), by=by))


async def issue_run(tx: AsyncConnection, run_id: UUID) -> InvoiceRun:
    """Have the approved invoices of a run issued.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it is not approved.
    """
    return await _saved(tx, domain.issue(await _own(tx, run_id)))


async def finish_phase(tx: AsyncConnection, run: InvoiceRun, *, at: datetime) -> InvoiceRun:
    """Close the phase of a run in which nothing is left to do; show when it left something out.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    current = await repository.get(tx, run.run_id, lock=True)
    if current.version != run.version:
        raise RunMovedOn(f"invoice run {run.run_id} is no longer {run.status}")
    finished = await _saved(tx, domain.finish(current, at=at))
    if not finished.progress.contracts_failed:
        await exceptions.close(tx, INCOMPLETE, [run.run_id])
        return finished
    await exceptions.open_(
        tx,
        INCOMPLETE,
        run.run_id,
        reason=f"run {run.run_key} up to {run.cut_off} is {finished.status_text}",
        owner="finance",
        advice="mend what the exceptions of what was left out say, then resume the run",
        legal_entity_id=run.legal_entity_id,
    )
    return finished


async def draft_contracts(
    tx: AsyncConnection,
    run: InvoiceRun,
    contracts: Sequence[OpenContract],
    *,
    at: datetime,
) -> None:
    """Draft the invoices of these contracts, claim their items, and count both.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    contract_ids = [contract.contract_id for contract in contracts]
    terms = await master.terms_of(tx, contract_ids, lock=True)
    await netting.net(tx, contract_ids, at=at)
    shared = await _shared(tx, run, at=at)
    apart = await _taxed_otherwise(tx, shared, Scope.of(run), terms)
    documents = await claims.claim(
        tx, Scope.of(run), sorted(terms), apart={each.billing_event_id for each in apart}
    )
    changes = await _decide(tx, shared, terms, [each for each in documents if each.is_owed])
    await drafts.add_drafts(tx, changes)
    judged = _judged(contracts, documents, apart)
    waiting = [(contract, contract.wait) for contract in judged if contract.wait]
    await exceptions.close(tx, LEFT_OUT, [each.contract_id for each in contracts])
    await exceptions.open_all(tx, [_halt(run, contract, wait) for contract, wait in waiting])
    done = Progress(
        contracts_done=len(contracts) - len(waiting),
        contracts_failed=len(waiting),
        items_claimed=sum(line.item_count for change in changes for line in change.state.lines),
        invoices_drafted=len(changes),
        invoices_tax_pending=sum(
            change.state.status is InvoiceStatus.TAX_PENDING for change in changes
        ),
    )
    await repository.count(tx, run, done, cursor=contract_ids[-1])


async def approve_drafts(tx: AsyncConnection, run: InvoiceRun, invoice_ids: Sequence[UUID]) -> None:
    """Approve drafts of a run as the person who approved the run, and count them.

    Raises:
        RunMovedOn: the run moved on meanwhile.
    """
    ready = await _standing(tx, invoice_ids, InvoiceStatus.READY)
    if ready:
        await approve_invoices(tx, ready, by=run.approved_by)
    done = Progress(invoices_approved=len(ready))
    await repository.count(tx, run, done, cursor=invoice_ids[-1])


async def issue_approved(
    tx: AsyncConnection, run: InvoiceRun, invoice_ids: Sequence[UUID], *, at: datetime
) -> None:
    """Issue approved invoices of a run, and count them.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    approved = await _standing(tx, invoice_ids, InvoiceStatus.APPROVED)
    if approved:
        await issue_invoices(tx, approved, at=at)
    done = Progress(invoices_issued=len(approved))
    await repository.count(tx, run, done, cursor=invoice_ids[-1])


async def leave_out(
    tx: AsyncConnection,
    run: InvoiceRun,
    subject_id: UUID,
    *,
    reason: str,
    advice: str | None = None,
) -> None:
    """Go past a contract, or an invoice, that an error keeps from being worked on.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    await exceptions.open_(
        tx,
        LEFT_OUT,
        subject_id,
        reason=reason,
        owner="integration",
        advice=advice or "mend the cause, then resume this run",
        legal_entity_id=run.legal_entity_id,
        detail={"run_id": str(run.run_id)},
    )
    await repository.count(tx, run, Progress(contracts_failed=1), cursor=subject_id)


@dataclass(frozen=True, slots=True)
class RunInvoice:
    """An invoice of a run, and how many billing events are behind it."""

    invoice_id: UUID
    item_count: int


async def next_invoices(
    tx: AsyncConnection, run: InvoiceRun, status: InvoiceStatus, *, limit: int
) -> Sequence[RunInvoice]:
    """Return invoices of the run in this status, by id, at most `limit` past its cursor."""
    table, line = tables.invoice, tables.invoice_line
    item_count = (
        select(func.sum(line.c.item_count))
        .where(line.c.invoice_id == table.c.invoice_id)
        .scalar_subquery()
    )
    query = (
        select(table.c.invoice_id, item_count)
        .where(table.c.run_id == run.run_id, table.c.status == status)
        .where(table.c.invoice_id > (run.cursor or UUID(int=0)))
        .order_by(table.c.invoice_id)
        .limit(limit)
    )
    return [RunInvoice(*row) for row in await tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would draft of some contracts, and those of them that wait."""

    drafts: tuple[InvoiceChange, ...]
    waiting: tuple[OpenContract, ...]


async def preview_contracts(
    tx: AsyncConnection, run: InvoiceRun, contracts: Sequence[OpenContract]
) -> Preview:
    """Return what `draft_contracts` would write now, without writing it."""
    contract_ids = [contract.contract_id for contract in contracts]
    terms = await master.terms_of(tx, contract_ids, lock=False)
    shared = await _shared(tx, run, at=run.started_at)
    apart = await _taxed_otherwise(tx, shared, Scope.of(run), terms)
    documents = await claims.preview(
        tx, Scope.of(run), sorted(terms), apart={each.billing_event_id for each in apart}
    )
    changes = await _decide(tx, shared, terms, [each for each in documents if each.is_owed])
    judged = _judged(contracts, documents, apart)
    waiting = tuple(contract for contract in judged if contract.wait)
    return Preview(tuple(changes), waiting)


async def _shared(tx: AsyncConnection, run: InvoiceRun, *, at: datetime) -> Run:
    entity = await master.entity(tx, run.legal_entity_id)
    policy, _ = await tax.policy_of(tx, run.legal_entity_id)
    rules = await tax.rules_of(tx, entity.party.address.country)
    return Run(
        run_id=run.run_id,
        started_by=run.started_by,
        drafted_at=at,
        rounding_policy=policy,
        seller=entity.party,
        rules=rules,
    )


async def _decide(
    tx: AsyncConnection,
    shared: Run,
    terms: Mapping[UUID, Terms],
    documents: Sequence[DocumentItems],
) -> list[InvoiceChange]:
    buyers = await master.buyers(tx, [document.bill_to_customer_id for document in documents])
    return [
        draft_invoice(
            shared,
            document.invoice_id,
            terms[document.contract_id],
            buyers[document.bill_to_customer_id],
            document.lines,
        )
        for document in documents
    ]


async def _taxed_otherwise(
    tx: AsyncConnection, shared: Run, scope: Scope, terms: Mapping[UUID, Terms]
) -> list[Reversal]:
    """Return what takes invoiced work back and would be taxed otherwise on the drafts to come."""
    reversals = await claims.invoiced_reversals(tx, scope, sorted(terms))
    if not reversals:
        return []
    touched = sorted({each.contract_id for each in reversals})
    documents = await claims.preview(tx, scope, touched)
    would_be = await _decide(tx, shared, terms, documents)
    return taxed_otherwise(reversals, [change.state for change in would_be])


def _judged(
    contracts: Iterable[OpenContract],
    documents: Iterable[DocumentItems],
    apart: Iterable[Reversal],
) -> list[OpenContract]:
    """Return the contracts; one of which something takes a credit note waits for that."""
    waits = {
        **{each.contract_id: Wait.TAXED_OTHERWISE for each in apart},
        **{each.contract_id: Wait.NET_NEGATIVE for each in documents if not each.is_owed},
    }
    return [
        replace(contract, wait=contract.wait or waits.get(contract.contract_id))
        for contract in contracts
    ]


async def _standing(
    tx: AsyncConnection, invoice_ids: Sequence[UUID], status: InvoiceStatus
) -> list[Invoice]:
    """Lock the invoices and return those still in `status`: one may have been voided meanwhile."""
    found = await invoices.load(tx, invoice_ids)
    return [invoice for invoice in found if invoice.status is status]


_WAITS: Final = {
    Wait.CONTRACT_UNKNOWN: (
        "the contract's terms did not arrive yet",
        "see that customer-contract's events arrive, then resume this run",
    ),
    Wait.CUSTOMER_UNKNOWN: (
        "a bill-to customer did not arrive yet",
        "see that customer-contract's events arrive, then resume this run",
    ),
    Wait.CURRENCY_DIFFERS: (
        "some are not in the contract's currency",
        "have them reversed and rated in the contract's currency, then resume this run",
    ),
    Wait.NET_NEGATIVE: (
        "they sum to less than nothing, which is no invoice",
        "draft a credit note over them, or wait: a later run invoices them together with work that"
        " outweighs them",
    ),
    Wait.TAXED_OTHERWISE: (
        "they take back work that was invoiced at another tax than this invoice would have",
        "draft a credit note over them: it names the invoice that billed the work, and has its tax",
    ),
}


def _halt(run: InvoiceRun, contract: OpenContract, wait: Wait) -> exceptions.Halt:
    reason, advice = _WAITS[wait]
    return exceptions.Halt(
        kind=LEFT_OUT,
        subject_id=contract.contract_id,
        reason=f"of {contract.item_count} released items not all can be drafted: {reason}",
        owner="integration",
        advice=advice,
        legal_entity_id=run.legal_entity_id,
        detail={"run_id": str(run.run_id)},
    )


async def _own(tx: AsyncConnection, run_id: UUID) -> InvoiceRun:
    """Return the run, locked, if the caller may act for its entity."""
    run = await repository.get(tx, run_id, lock=True)
    require_entity(run.legal_entity_id)
    return run


async def _saved(tx: AsyncConnection, run: InvoiceRun) -> InvoiceRun:
    await repository.save(tx, run)
    return run
