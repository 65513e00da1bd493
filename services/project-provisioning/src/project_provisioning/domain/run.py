"""Provisioning runs: the way of one contract that came into force to one active project.

A run is a state machine in a row. Each decision here is one step, saved in one transaction, so that
a process that dies between two steps leaves a run that the next one takes up where it stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.template import BillingModel, Template
from throughline_core.change import Change
from throughline_core.errors import IllegalTransition, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.transition import move


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
    RunState.PAUSED: frozenset({RunState.VALIDATING, RunState.CANCELLED}),
    RunState.PROVISIONING: frozenset({RunState.ACTIVATED, RunState.CANCELLED}),
    RunState.ACTIVATED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

UNDER_WAY: Final = (RunState.RECEIVED, RunState.VALIDATING, RunState.PROVISIONING)
"""States in which the next step is the service's own, not a person's."""

PMO: Final = "pmo"
SALES_OPERATIONS: Final = "sales_operations"

TEMPLATE_MISSING: Final = "template.missing"
TEMPLATE_UNFIT: Final = "template.billing_model_unsupported"
MILESTONES_MISSING: Final = "contract_line.milestones_missing"

_WAIT_SECONDS_FIRST: Final = 0.5
_WAIT_SECONDS_MAX: Final = 60.0


class RunNotFound(NotFound):
    """There is no such run, or none the caller may see."""

    code = "provisioning_run.not_found"


@dataclass(frozen=True, slots=True)
class SoldMilestone:
    """A part of a fixed fee: its share of the line's net total, in percent."""

    key: str
    name: str
    share_percent: Decimal
    due_on: date | None


@dataclass(frozen=True, slots=True)
class SoldRole:
    """A role whose rate was agreed on the line; hours are zero when they were left open."""

    role: str
    planned_hours: Decimal


@dataclass(frozen=True, slots=True)
class SoldLine:
    """One contract line, as far as delivery needs it."""

    contract_line_id: UUID
    quote_line_id: UUID
    position: int
    description: str
    billing_model: BillingModel
    template_code: str
    quantity: Decimal
    net_total: Money
    milestones: tuple[SoldMilestone, ...]
    roles: tuple[SoldRole, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract as it came into force. `[starts_on, ends_on)` is its term."""

    contract_id: UUID
    contract_number: str
    engagement_id: UUID
    correlation_id: UUID
    customer_id: UUID
    legal_entity_id: UUID
    currency: str
    time_zone: str
    starts_on: date
    ends_on: date
    lines: tuple[SoldLine, ...]

    @property
    def template_codes(self) -> tuple[str, ...]:
        """Codes of the templates its lines name, each once, sorted."""
        return tuple(sorted({line.template_code for line in self.lines}))


@dataclass(frozen=True, slots=True)
class Check:
    """One condition a project needs; `owner` can mend it as `advice` says when it failed."""

    code: str
    passed: bool
    owner: str
    advice: str


@dataclass(frozen=True, slots=True)
class Run:
    """One contract's way to a project. `pins` holds the template version chosen for each code."""

    run_id: UUID
    version: int
    state: RunState
    terms: Terms
    pins: Mapping[str, int]
    checks: tuple[Check, ...]
    attempts: int
    project_id: UUID | None
    received_at: datetime
    changed_at: datetime
    cancellation_reason: str

    @property
    def blocker(self) -> Check | None:
        """The check a paused run stopped at."""
        if self.state is not RunState.PAUSED:
            return None
        return next(check for check in self.checks if not check.passed)

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
    """A person had the checks made again."""

    run: Run


RunEvent = RunPaused | RunResumed


def receive(terms: Terms, *, at: datetime) -> Run:
    """Return the one run of a contract."""
    return Run(
        run_id=derived_id("provisioning_run", terms.contract_id),
        version=1,
        state=RunState.RECEIVED,
        terms=terms,
        pins={},
        checks=(),
        attempts=0,
        project_id=None,
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


def judge(
    run: Run, peer_checks: Sequence[Check], templates: Mapping[str, Template], *, at: datetime
) -> Change[Run, RunEvent]:
    """Let the run go on when every check passed, else stop it at the first that failed.

    `templates` holds the pinned versions by code. A template that failed loses its pin, so that the
    version which mends it is found when the run is resumed.

    Raises:
        IllegalTransition: the run is not validating.
    """
    own = _template_checks(run.terms, templates)
    checks = tuple(sorted((*peer_checks, *own.values()), key=lambda check: check.passed))
    if all(check.passed for check in checks):
        ready = _step(run, RunState.PROVISIONING, at)
        return Change(replace(ready, checks=checks, attempts=0), ())
    unfit = {
        code for (code, rule), check in own.items() if rule == TEMPLATE_UNFIT and not check.passed
    }
    paused = replace(
        _step(run, RunState.PAUSED, at),
        checks=checks,
        attempts=0,
        pins={code: version for code, version in run.pins.items() if code not in unfit},
    )
    return Change(paused, (RunPaused(paused, checks[0]),))


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


def resume(run: Run, latest_versions: Mapping[str, int], *, at: datetime) -> Change[Run, RunEvent]:
    """Have a paused run checked again; templates that did not fail keep their version.

    Raises:
        IllegalTransition: the run is not paused.
    """
    if run.state is not RunState.PAUSED:
        raise IllegalTransition(
            f"{_name(run)} is {run.state}", advice="only a paused run can be resumed"
        )
    validating = _step(run, RunState.VALIDATING, at)
    resumed = replace(validating, pins=_pin(validating, latest_versions))
    return Change(resumed, (RunResumed(resumed),))


def complete(run: Run, project_id: UUID, *, at: datetime) -> Change[Run, RunEvent]:
    """Note the project the run made.

    Raises:
        IllegalTransition: the run is not provisioning.
    """
    return Change(replace(_step(run, RunState.ACTIVATED, at), project_id=project_id), ())


def cancel(run: Run, reason: str, *, at: datetime) -> Change[Run, RunEvent]:
    """Give the run up; as nothing was made before `activated`, nothing is undone.

    Raises:
        IllegalTransition: the run is activated or cancelled already.
    """
    cancelled = _step(run, RunState.CANCELLED, at)
    return Change(replace(cancelled, cancellation_reason=reason), ())


def _template_checks(
    terms: Terms, templates: Mapping[str, Template]
) -> dict[tuple[str, str], Check]:
    """Return the service's own checks by template code and check code, one of each."""
    checks: dict[tuple[str, str], Check] = {}
    for line in terms.lines:
        for check in _line_checks(line, templates.get(line.template_code)):
            key = (line.template_code, check.code)
            if key not in checks or not check.passed:
                checks[key] = check
    return checks


def _line_checks(line: SoldLine, template: Template | None) -> Iterable[Check]:
    yield Check(
        TEMPLATE_MISSING,
        template is not None,
        PMO,
        "" if template else f"publish delivery template {line.template_code}",
    )
    if template is not None:
        serves = line.billing_model in template.billing_models
        advice = f"publish a version of {line.template_code} that serves {line.billing_model}"
        yield Check(TEMPLATE_UNFIT, serves, PMO, "" if serves else advice)
    if line.billing_model is BillingModel.FIXED_FEE:
        has_plan = sum(part.share_percent for part in line.milestones) == 100
        advice = f"agree milestones that sum to 100 percent for line {line.position}"
        yield Check(MILESTONES_MISSING, has_plan, SALES_OPERATIONS, "" if has_plan else advice)


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
