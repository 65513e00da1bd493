"""Provisioning runs: the way of a contract's terms to active projects.

A run is a state machine in a row. Each decision here is one step, saved in one transaction, so that
a process that dies between two steps leaves a run that the next one takes up where it stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.check import Check, unfit_codes
from project_provisioning.domain.terms import Terms
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, IllegalTransition, NotFound
from throughline_core.ids import derived_id
from throughline_core.transition import move


class RunKind(StrEnum):
    """What a run does: a contract's first version is delivered, each later one amends that."""

    DELIVERY = "delivery"
    AMENDMENT = "amendment"


class RunState(StrEnum):
    """Where a run stands."""

    RECEIVED = "received"
    VALIDATING = "validating"
    PAUSED = "paused"
    PROVISIONING = "provisioning"
    ACTIVATED = "activated"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[RunState, frozenset[RunState]]] = {
    RunState.RECEIVED: frozenset({RunState.VALIDATING, RunState.CANCELLED}),
    RunState.VALIDATING: frozenset({RunState.PAUSED, RunState.PROVISIONING, RunState.CANCELLED}),
    RunState.PAUSED: frozenset({RunState.VALIDATING, RunState.PROVISIONING, RunState.CANCELLED}),
    RunState.PROVISIONING: frozenset({RunState.ACTIVATED, RunState.CANCELLED}),
    RunState.ACTIVATED: frozenset({RunState.CANCELLED}),
    RunState.CANCELLED: frozenset(),
}

UNDER_WAY: Final = (RunState.RECEIVED, RunState.VALIDATING, RunState.PROVISIONING)
"""States in which the next step is the service's own, not a person's."""

OPEN: Final = (*UNDER_WAY, RunState.PAUSED)
"""States from which a run may still make or change projects."""

_WAIT_SECONDS_FIRST: Final = 0.5
_WAIT_SECONDS_MAX: Final = 60.0


class RunNotFound(NotFound):
    """There is no such run, or none the caller may see."""

    code = "provisioning_run.not_found"


class AmendmentFinal(FailedPrecondition):
    """What a change order did to projects is undone by another change order."""

    code = "provisioning_run.amendment_final"


@dataclass(frozen=True, slots=True)
class Run:
    """The way of one version of a contract's terms to its projects.

    `pins` holds the template version chosen for each code. `project_ids` are the projects it made
    or changed, the master first.
    """

    run_id: UUID
    version: int
    kind: RunKind
    state: RunState
    terms: Terms
    change_order_id: UUID | None
    pins: Mapping[str, int]
    checks: tuple[Check, ...]
    attempts: int
    project_ids: tuple[UUID, ...]
    received_at: datetime
    changed_at: datetime
    cancellation_reason: str
    next_check_at: datetime | None = None
    """When a paused run is checked again by itself; None = never, or it is not paused."""

    @property
    def blocker(self) -> Check | None:
        """The check a paused run stopped at."""
        if self.state is not RunState.PAUSED:
            return None
        return next(check for check in self.checks if not check.passed)

    @property
    def project_id(self) -> UUID | None:
        """The master project, once there is one."""
        return self.project_ids[0] if self.project_ids else None

    @property
    def pinned_templates(self) -> tuple[str, ...]:
        """The pins as people read them, `code@version`, sorted."""
        return tuple(f"{code}@{version}" for code, version in sorted(self.pins.items()))


@dataclass(frozen=True, slots=True)
class RunPaused:
    """A check failed; nothing was made."""

    run: Run
    blocker: Check


@dataclass(frozen=True, slots=True)
class RunResumed:
    """The checks are made again, or pass by now."""

    run: Run


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """The run was given up; what it had made is closed."""

    run: Run


RunEvent = RunPaused | RunResumed | RunCancelled


def receive(
    terms: Terms, *, at: datetime, kind: RunKind, change_order_id: UUID | None = None
) -> Run:
    """Return the one run of a contract, or of a later version of its terms."""
    version = () if kind is RunKind.DELIVERY else (terms.contract_version,)
    return Run(
        run_id=derived_id("provisioning_run", terms.contract_id, *version),
        version=1,
        kind=kind,
        state=RunState.RECEIVED,
        terms=terms,
        change_order_id=change_order_id,
        pins={},
        checks=(),
        attempts=0,
        project_ids=(),
        received_at=at,
        changed_at=at,
        cancellation_reason="",
    )


def begin_validation(
    run: Run, latest_versions: Mapping[str, int], *, at: datetime
) -> Change[Run, RunEvent]:
    """Pin the run to the templates' latest versions and go on to the checks.

    Raises:
        IllegalTransition: the run is past that.
    """
    validating = _step(run, RunState.VALIDATING, at)
    return Change(replace(validating, pins=_pin(validating, latest_versions)), ())


def judge(run: Run, checks: Sequence[Check], *, at: datetime) -> Change[Run, RunEvent]:
    """Let a run go on when every check passed, else stop it at the first that failed.

    A template that failed loses its pin, so that the version which mends it is found when the run
    is checked again. A paused run that would stop at the same check stays as it is.

    Raises:
        IllegalTransition: the run is neither validating nor paused.
    """
    judged = tuple(sorted(checks, key=lambda check: check.passed))
    if all(check.passed for check in judged):
        ready = replace(_step(run, RunState.PROVISIONING, at), checks=judged, attempts=0)
        return Change(ready, (RunResumed(ready),) if run.state is RunState.PAUSED else ())
    if run.blocker == judged[0]:
        return Change(run, ())
    unfit = unfit_codes(run.terms, judged)
    stopped = run if run.state is RunState.PAUSED else _step(run, RunState.PAUSED, at)
    paused = replace(
        stopped,
        version=run.version + 1,
        changed_at=at,
        checks=judged,
        attempts=0,
        pins={code: version for code, version in run.pins.items() if code not in unfit},
    )
    return Change(paused, (RunPaused(paused, judged[0]),))


def postpone(run: Run, *, at: datetime) -> Change[Run, RunEvent]:
    """Note that a step could not be taken because something it needs was out of reach.

    Raises:
        IllegalTransition: no step of the service's own is next.
    """
    if run.state not in UNDER_WAY:
        raise IllegalTransition(f"{_name(run)} is {run.state}")
    return Change(
        replace(run, version=run.version + 1, attempts=run.attempts + 1, changed_at=at), ()
    )


def wait_seconds(attempts: int) -> float:
    """Return how long a run rests after so many attempts in vain: doubling, a minute at most."""
    return min(_WAIT_SECONDS_FIRST * 2.0 ** min(attempts, 16), _WAIT_SECONDS_MAX)


def repin(run: Run, latest_versions: Mapping[str, int]) -> Run:
    """Return a paused run with pins for the templates that were missing or unfit."""
    return replace(run, pins=_pin(run, latest_versions))


def resume(run: Run, latest_versions: Mapping[str, int], *, at: datetime) -> Change[Run, RunEvent]:
    """Have a paused run checked again; templates that did not fail keep their version.

    Raises:
        IllegalTransition: the run is not paused.
    """
    if run.state is not RunState.PAUSED:
        raise IllegalTransition(
            f"{_name(run)} is {run.state}", advice="only a paused run can be resumed"
        )
    resumed = repin(_step(run, RunState.VALIDATING, at), latest_versions)
    return Change(resumed, (RunResumed(resumed),))


def complete(run: Run, project_ids: Sequence[UUID], *, at: datetime) -> Change[Run, RunEvent]:
    """Note the projects the run made or changed, the master first.

    Raises:
        IllegalTransition: the run is not provisioning.
    """
    return Change(replace(_step(run, RunState.ACTIVATED, at), project_ids=tuple(project_ids)), ())


def cancel(run: Run, reason: str, *, at: datetime) -> Change[Run, RunEvent]:
    """Give the run up. What an activated one made is closed in the same transaction.

    Raises:
        IllegalTransition: the run is cancelled already.
        AmendmentFinal: it changed projects that were there before.
    """
    if run.kind is RunKind.AMENDMENT and run.state is RunState.ACTIVATED:
        raise AmendmentFinal(
            f"{_name(run)} followed a change order that is in force",
            field="run_id",
            advice="agree another change order that takes it back",
        )
    cancelled = replace(_step(run, RunState.CANCELLED, at), cancellation_reason=reason)
    return Change(cancelled, (RunCancelled(cancelled),))


def _pin(run: Run, latest_versions: Mapping[str, int]) -> dict[str, int]:
    """Return the run's pins with those it lacks filled in; a code without a version stays out."""
    found = {
        code: latest_versions[code] for code in run.terms.template_codes if code in latest_versions
    }
    return {**found, **run.pins}


def _step(run: Run, target: RunState, at: datetime) -> Run:
    state = move(_name(run), run.state, target, TRANSITIONS)
    return replace(run, state=state, version=run.version + 1, changed_at=at)


def _name(run: Run) -> str:
    return f"provisioning run {run.run_id}"
