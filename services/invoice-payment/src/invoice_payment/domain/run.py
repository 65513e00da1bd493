"""The invoice run: which phases it goes through, and who may move it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from throughline_core.errors import AlreadyExists, FailedPrecondition, PermissionDenied
from throughline_core.transition import move

REGULAR: Final = "regular"
"""The key of a run that names none."""


class RunApproverStartedIt(PermissionDenied):
    """Four eyes: who started the run does not approve it."""

    code = "invoice_run.approver_started_it"


class DifferentContracts(AlreadyExists):
    """The run exists, for other contracts than these."""

    code = "invoice_run.different_contracts"


class NothingLeftOut(FailedPrecondition):
    """The run is at rest and took everything along: there is nothing to resume."""

    code = "invoice_run.nothing_left_out"


class RunStatus(StrEnum):
    """Where a run stands; drafting, approving and issuing are worked on until done."""

    DRAFTING = "drafting"
    DRAFTING_STOPPED = "drafting_stopped"
    DRAFTED = "drafted"
    APPROVING = "approving"
    APPROVED = "approved"
    ISSUING = "issuing"
    ISSUING_STOPPED = "issuing_stopped"
    ISSUED = "issued"


TRANSITIONS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    RunStatus.DRAFTING: frozenset({RunStatus.DRAFTED, RunStatus.DRAFTING_STOPPED}),
    RunStatus.DRAFTING_STOPPED: frozenset({RunStatus.DRAFTING}),
    RunStatus.DRAFTED: frozenset({RunStatus.APPROVING, RunStatus.DRAFTING}),
    RunStatus.APPROVING: frozenset({RunStatus.APPROVED}),
    RunStatus.APPROVED: frozenset({RunStatus.ISSUING, RunStatus.DRAFTING}),
    RunStatus.ISSUING: frozenset({RunStatus.ISSUED, RunStatus.ISSUING_STOPPED}),
    RunStatus.ISSUING_STOPPED: frozenset({RunStatus.ISSUING}),
    RunStatus.ISSUED: frozenset({RunStatus.DRAFTING}),
}

WORKING: Final = frozenset({RunStatus.DRAFTING, RunStatus.APPROVING, RunStatus.ISSUING})

_DONE: Final = {
    RunStatus.DRAFTING: RunStatus.DRAFTED,
    RunStatus.APPROVING: RunStatus.APPROVED,
    RunStatus.ISSUING: RunStatus.ISSUED,
}
_STOPPED: Final = {
    RunStatus.DRAFTING: RunStatus.DRAFTING_STOPPED,
    RunStatus.ISSUING: RunStatus.ISSUING_STOPPED,
}
_RESUMED: Final = {stopped: working for working, stopped in _STOPPED.items()}
_AT_REST: Final = frozenset(_DONE.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come; each figure is counted in the transaction that did the work."""

    contracts_found: int = 0
    contracts_done: int = 0
    contracts_failed: int = 0
    items_claimed: int = 0
    invoices_drafted: int = 0
    invoices_tax_pending: int = 0
    invoices_approved: int = 0
    invoices_issued: int = 0


@dataclass(frozen=True, slots=True)
class InvoiceRun:
    """A run over the work of one entity up to `cut_off`, inclusive; no contracts named = all."""

    run_id: UUID
    version: int
    legal_entity_id: UUID
    cut_off: date
    run_key: str
    contract_ids: tuple[UUID, ...]
    status: RunStatus
    started_by: str
    started_at: datetime
    approved_by: str = ""
    finished_at: datetime | None = None
    # The contracts a resumed run left out before and looks at again; None = all it is about.
    retried_contract_ids: tuple[UUID, ...] | None = None
    # The last contract, or invoice, the present phase has dealt with.
    cursor: UUID | None = None
    progress: Progress = Progress()

    @property
    def status_text(self) -> str:
        """The status in words, with what was left out on the way."""
        words = self.status.replace("_", " ")
        failed = self.progress.contracts_failed
        return f"{words}, {failed} left out" if failed else words


def start(
    run_id: UUID,
    legal_entity_id: UUID,
    *,
    cut_off: date,
    run_key: str,
    contract_ids: tuple[UUID, ...],
    by: str,
    at: datetime,
) -> InvoiceRun:
    """Return a new run that drafts."""
    return InvoiceRun(
        run_id=run_id,
        version=1,
        legal_entity_id=legal_entity_id,
        cut_off=cut_off,
        run_key=run_key or REGULAR,
        contract_ids=tuple(sorted(set(contract_ids))),
        status=RunStatus.DRAFTING,
        started_by=by,
        started_at=at,
    )


def require_same(found: InvoiceRun, wanted: InvoiceRun) -> InvoiceRun:
    """Return the run that exists for the same entity, cut-off and key.

    Raises:
        DifferentContracts: it is about other contracts.
    """
    if found.contract_ids != wanted.contract_ids:
        raise DifferentContracts(
            f"run {found.run_key} up to {found.cut_off} was started for other contracts",
            field="contract_ids",
            advice="start this one under another run_key",
        )
    return found


def stop(run: InvoiceRun) -> InvoiceRun:
    """Stop a run that drafts or issues.

    Raises:
        IllegalTransition: it does neither.
    """
    return _step(run, _STOPPED.get(run.status, RunStatus.DRAFTING_STOPPED))


def resume(run: InvoiceRun, *, left_out: Iterable[UUID] = ()) -> InvoiceRun:
    """Let a stopped run go on, or one at rest draft again for the contracts `left_out` of it.

    What a resumed run drafts is approved and issued like what it drafted before.

    Raises:
        IllegalTransition: it is working.
        NothingLeftOut: it is at rest and left nothing out.
    """
    if run.status in _AT_REST:
        if not run.progress.contracts_failed:
            raise NothingLeftOut(
                f"run {run.run_id} is {run.status} and left nothing out",
                field="run_id",
                advice="start a run with a run_key of its own for later work",
            )
        return replace(
            _step(run, RunStatus.DRAFTING),
            approved_by="",
            cursor=None,
            retried_contract_ids=tuple(sorted(left_out)),
            progress=replace(run.progress, contracts_failed=0),
        )
    return _step(run, _RESUMED.get(run.status, RunStatus.DRAFTING))


def approve(run: InvoiceRun, *, by: str) -> InvoiceRun:
    """Have the run's drafts approved; `by` is the token subject of a second person.

    Raises:
        IllegalTransition: it is not drafted.
        RunApproverStartedIt: the same person started it.
    """
    approving = replace(_step(run, RunStatus.APPROVING), approved_by=by, cursor=None)
    if by == run.started_by:
        raise RunApproverStartedIt(
            f"{by} started run {run.run_id}", advice="ask a second person to approve it"
        )
    return approving


def issue(run: InvoiceRun) -> InvoiceRun:
    """Have the run's approved invoices issued.

    Raises:
        IllegalTransition: it is not approved.
    """
    return replace(_step(run, RunStatus.ISSUING), cursor=None)


def finish(run: InvoiceRun, *, at: datetime) -> InvoiceRun:
    """Close the present phase when nothing is left to do in it.

    Raises:
        IllegalTransition: no phase is under way.
    """
    return replace(_step(run, _DONE.get(run.status, RunStatus.DRAFTED)), finished_at=at)


def _step(run: InvoiceRun, target: RunStatus) -> InvoiceRun:
    status = move(f"run {run.run_id}", run.status, target, TRANSITIONS)
    return replace(run, status=status, version=run.version + 1, finished_at=None)
