"""The re-rating run: what it is about, which phases it goes through, and who may move it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.source import ContractId, ContractLineId, CustomerId, LegalEntityId
from throughline_core.errors import (
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    StaleVersion,
)
from throughline_core.transition import move

ReratingRunId = NewType("ReratingRunId", UUID)


class RunStatus(StrEnum):
    """Where a run stands; previewing, applying and waiting go on by themselves."""

    DRAFT = "draft"
    PREVIEWING = "previewing"
    PREVIEWING_STOPPED = "previewing_stopped"
    PREVIEWED = "previewed"
    APPLYING = "applying"
    APPLYING_STOPPED = "applying_stopped"
    WAITING = "waiting"
    APPLIED = "applied"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


_GIVEN_UP: Final = frozenset({RunStatus.CANCELLED})

TRANSITIONS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    RunStatus.DRAFT: frozenset({RunStatus.PREVIEWING}) | _GIVEN_UP,
    RunStatus.PREVIEWING: frozenset({RunStatus.PREVIEWED, RunStatus.PREVIEWING_STOPPED})
    | _GIVEN_UP,
    RunStatus.PREVIEWING_STOPPED: frozenset({RunStatus.PREVIEWING}) | _GIVEN_UP,
    RunStatus.PREVIEWED: frozenset({RunStatus.PREVIEWING, RunStatus.APPLYING, RunStatus.REJECTED})
    | _GIVEN_UP,
    RunStatus.APPLYING: frozenset(
        {RunStatus.APPLYING_STOPPED, RunStatus.WAITING, RunStatus.APPLIED}
    ),
    RunStatus.APPLYING_STOPPED: frozenset({RunStatus.APPLYING}) | _GIVEN_UP,
    RunStatus.WAITING: frozenset({RunStatus.APPLIED, RunStatus.APPLYING_STOPPED}) | _GIVEN_UP,
    RunStatus.APPLIED: frozenset(),
    RunStatus.REJECTED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}

WORKING: Final = (RunStatus.PREVIEWING, RunStatus.APPLYING, RunStatus.WAITING)

_STOPPED: Final = {
    RunStatus.PREVIEWING: RunStatus.PREVIEWING_STOPPED,
    RunStatus.APPLYING: RunStatus.APPLYING_STOPPED,
    RunStatus.WAITING: RunStatus.APPLYING_STOPPED,
}
_RESUMED: Final = {
    RunStatus.PREVIEWING_STOPPED: RunStatus.PREVIEWING,
    RunStatus.APPLYING_STOPPED: RunStatus.APPLYING,
}


class Cause(StrEnum):
    """Why work is rated anew."""

    CHANGE_ORDER = "change_order"
    CARD_VERSION = "card_version"
    CORRECTION = "correction"
    MANUAL = "manual"


class Drafted(StrEnum):
    """What becomes of work on the draft of an invoice: it waits for the issue, or is left."""

    WAIT = "wait"
    SKIP = "skip"


class Outcome(StrEnum):
    """What became of a thing since the run was approved."""

    NONE = "none"
    PENDING = "pending"
    APPLIED = "applied"
    WAITING = "waiting"
    SKIPPED = "skipped"
    OUTDATED = "outdated"


class RunNotFound(NotFound):
    """No such run."""

    code = "rerating_run.not_found"


class PeriodReversed(InvalidArgument):
    """The last day of service lies before the first."""

    code = "rerating_run.period_reversed"


class ContractElsewhere(InvalidArgument):
    """A contract is not known, or another legal entity invoices it."""

    code = "rerating_run.contract_elsewhere"


class SecondPersonRequired(PermissionDenied):
    """Four eyes: who proposed the run does not approve it."""

    code = "rerating_run.second_person_required"


class Outdated(FailedPrecondition):
    """Terms or cards of the scope changed since the preview."""

    code = "rerating_run.outdated"


class NothingToDo(FailedPrecondition):
    """The preview found nothing that could be posted."""

    code = "rerating_run.nothing_to_do"


class RunMovedOn(StaleVersion):
    """The run was stopped while a chunk of it was worked on; the chunk has no effect."""

    code = "rerating_run.moved_on"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rated work a run is about: all that meets everything given; days are inclusive."""

    legal_entity_id: LegalEntityId
    contract_ids: tuple[ContractId, ...] = ()
    contract_line_ids: tuple[ContractLineId, ...] = ()
    person_ids: tuple[UUID, ...] = ()
    customer_id: CustomerId | None = None
    rate_card_id: UUID | None = None
    service_from: date | None = None
    service_through: date | None = None

    def __post_init__(self) -> None:
        first, last = self.service_from, self.service_through
        if first is not None and last is not None and last < first:
            raise PeriodReversed(
                f"{last} lies before {first}",
                field="scope.service_through",
                advice="send the last day of service, inclusive",
            )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come; each figure is counted in the transaction that did the work."""

    items_previewed: int = 0
    items_different: int = 0
    items_cannot: int = 0
    items_applied: int = 0
    items_waiting: int = 0
    items_skipped: int = 0
    items_outdated: int = 0


PROGRESS_FIELDS: Final = tuple(each.name for each in fields(Progress))


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row the preview has looked at last, in the order it goes through them."""

    contract_id: ContractId
    service_from: date
    billing_event_id: UUID


@dataclass(frozen=True, slots=True)
class ReratingRun:
    """A run over rated work of one entity.

    `facts_epoch` counts the facts when the preview began. `proposed_by` is who asked for the
    preview, empty on a draft; `decided_by` who approved, rejected or cancelled.
    """

    rerating_run_id: ReratingRunId
    version: int
    status: RunStatus
    cause: Cause
    reason: str
    scope: Scope
    drafted: Drafted
    moves_payers: bool
    created_at: datetime
    proposed_by: str = ""
    decided_by: str = ""
    decision_reason: str = ""
    facts_epoch: int = 0
    previewed_at: datetime | None = None
    finished_at: datetime | None = None
    cursor: Cursor | None = None
    progress: Progress = Progress()

    @property
    def status_text(self) -> str:
        """The status in words, with what was left out on the way."""
        left = {
            "waiting": self.progress.items_waiting if self.status is RunStatus.WAITING else 0,
            "skipped": self.progress.items_skipped,
            "outdated": self.progress.items_outdated,
        }
        words = [f"{count} {word}" for word, count in left.items() if count]
        return ", ".join([self.status.replace("_", " "), *words])


def propose(run: ReratingRun, *, by: str, facts_epoch: int) -> ReratingRun:
    """Have the preview computed, from the beginning, by the facts as they are from now on.

    Raises:
        IllegalTransition: it is being previewed or was decided.
    """
    return replace(
        _step(run, RunStatus.PREVIEWING),
        proposed_by=by,
        facts_epoch=facts_epoch,
        previewed_at=None,
        cursor=None,
        progress=Progress(),
    )


def stop(run: ReratingRun) -> ReratingRun:
    """Stop a run that is previewed or applied.

    Raises:
        IllegalTransition: it is neither.
    """
    return _step(run, _STOPPED.get(run.status, RunStatus.PREVIEWING_STOPPED))


def resume(run: ReratingRun) -> ReratingRun:
    """Let a stopped run go on.

    Raises:
        IllegalTransition: it is not stopped.
    """
    if run.status not in _RESUMED:
        raise IllegalTransition(
            f"re-rating run {run.rerating_run_id} is {run.status}, not stopped",
            advice="preview it where that is what you want; it goes on by itself otherwise",
        )
    return _step(run, _RESUMED[run.status])


def approve(run: ReratingRun, *, by: str, facts_epoch: int) -> ReratingRun:
    """Have a previewed run applied; `by` is a second person, `facts_epoch` that of its facts now.

    Raises:
        IllegalTransition: it is not previewed.
        SecondPersonRequired: the same person proposed it.
        Outdated: a fact is newer than the preview.
        NothingToDo: nothing would be posted.
    """
    if run.status is RunStatus.APPLYING_STOPPED:
        raise IllegalTransition(
            f"re-rating run {run.rerating_run_id} was approved by {run.decided_by}",
            advice="resume it",
        )
    applying = replace(_step(run, RunStatus.APPLYING), decided_by=by, cursor=None)
    if by == run.proposed_by:
        raise SecondPersonRequired(
            f"{by} proposed re-rating run {run.rerating_run_id}",
            advice="ask a second person to approve it",
        )
    if facts_epoch > run.facts_epoch:
        raise Outdated(
            "terms or rate cards of the scope changed since the preview",
            advice="preview the run again and look at what is different now",
        )
    if run.progress.items_different == run.progress.items_skipped:
        raise NothingToDo(
            f"re-rating run {run.rerating_run_id} found nothing to post",
            advice="reject it, or cancel it and open one with another scope",
        )
    return applying


def reject(run: ReratingRun, *, by: str, reason: str, at: datetime) -> ReratingRun:
    """Decide that the work keeps its price.

    Raises:
        IllegalTransition: it is not previewed.
    """
    return replace(
        _step(run, RunStatus.REJECTED), decided_by=by, decision_reason=reason, finished_at=at
    )


def cancel(run: ReratingRun, *, by: str, reason: str, at: datetime) -> ReratingRun:
    """Give a run up; who approved it, if somebody did, stays on record.

    Raises:
        IllegalTransition: it is being applied, or is over.
    """
    done = run.progress
    return replace(
        _step(run, RunStatus.CANCELLED),
        decided_by=run.decided_by or by,
        decision_reason=f"{reason} ({by})" if run.decided_by else reason,
        finished_at=at,
        progress=replace(
            done,
            items_waiting=0,
            items_skipped=done.items_different - done.items_applied - done.items_outdated,
        ),
    )


def finish_preview(run: ReratingRun, *, at: datetime) -> ReratingRun:
    """Close the preview when everything in the scope was looked at."""
    return replace(_step(run, RunStatus.PREVIEWED), previewed_at=at)


def finish_applying(run: ReratingRun, *, at: datetime) -> ReratingRun:
    """Close the run when all is posted; while some of it is on drafts it waits."""
    if run.progress.items_waiting:
        return run if run.status is RunStatus.WAITING else _step(run, RunStatus.WAITING)
    return replace(_step(run, RunStatus.APPLIED), finished_at=at)


def _step(run: ReratingRun, target: RunStatus) -> ReratingRun:
    status = move(f"re-rating run {run.rerating_run_id}", run.status, target, TRANSITIONS)
    return replace(run, status=status, version=run.version + 1)
