"""The client's acceptance of a milestone: in full, or a share that splits it; its withdrawal."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from project_provisioning.domain.milestone import (
    AcceptanceWithdrawn,
    Milestone,
    MilestoneAccepted,
    MilestoneChange,
    MilestoneStatus,
    Step,
    StepKind,
    cancel,
    refuse_future,
    step_to,
)
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.ids import derived_id
from throughline_core.money import Money

_REST: Final = re.compile(r"_rest\d*$")


class AcceptedBeforeCompletion(FailedPrecondition):
    """The client cannot accept what was not complete."""

    code = "milestone.accepted_before_completion"


class WithoutEvidence(InvalidArgument):
    """Nothing shows that the client accepted."""

    code = "milestone.without_evidence"


class EvidenceDiffers(InvalidArgument):
    """The hash is not that of the document sent with it."""

    code = "milestone.evidence_differs"


class ShareAmbiguous(InvalidArgument):
    """A share was given both as a percentage and as an amount."""

    code = "milestone.share_ambiguous"


class ShareOutOfRange(InvalidArgument):
    """The share is nothing, or more than there is."""

    code = "milestone.share_out_of_range"


class NotAccepted(FailedPrecondition):
    """There is no acceptance to take back."""

    code = "milestone.not_accepted"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The client's sign-off; `evidence_sha256` is the hash of the document that shows it.

    At most one of `share_percent` and `amount` says how much was accepted; without them all was.
    """

    accepted_by: str
    accepted_on: date
    evidence_sha256: str
    recorded_by: str
    share_percent: Decimal | None = None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An acceptance that is being taken back: billing-event is asked before it takes effect."""

    milestone_id: UUID
    milestone_version: int
    reason: str
    requested_by: str


def accept(
    milestone: Milestone, acceptance: Acceptance, *, today: date, taken_keys: Collection[str] = ()
) -> MilestoneChange:
    """Record the client's acceptance of the milestone, or of the share the acceptance names.

    After a share the milestone keeps the amount that was accepted, and the rest is a new one that
    is complete and awaits acceptance; the two amounts sum to what there was. `taken_keys` are those
    of its contract line's milestones.

    Raises:
        IllegalTransition: it is not completed.
        DayInFuture: the client cannot have signed after `today`.
        AcceptedBeforeCompletion: the client signed before the milestone was complete.
        WithoutEvidence: there is no hash of a document.
        ShareAmbiguous, ShareOutOfRange, MixedCurrencies: the share is no part of the amount.
    """
    stepped = step_to(milestone, MilestoneStatus.ACCEPTED)
    refuse_future(acceptance.accepted_on, today, "accepted_on")
    assert milestone.completed_on is not None
    if acceptance.accepted_on < milestone.completed_on:
        raise AcceptedBeforeCompletion(
            f"milestone {milestone.key} was complete on {milestone.completed_on}",
            field="accepted_on",
            advice="send the day the client signed",
        )
    if not acceptance.evidence_sha256:
        raise WithoutEvidence(
            "an acceptance needs the document that shows it",
            field="evidence",
            advice="send the signed document, or the hash of the one kept elsewhere",
        )
    part = _accepted_amount(milestone, acceptance)
    accepted = replace(
        stepped,
        amount=part,
        accepted_by=acceptance.accepted_by,
        accepted_on=acceptance.accepted_on,
        evidence_sha256=acceptance.evidence_sha256,
        recorded_by=acceptance.recorded_by,
    )
    rest = _rest(accepted, milestone.amount - part, taken_keys)
    signed = Step(
        accepted,
        StepKind.ACCEPTED if rest is None else StepKind.ACCEPTED_IN_PART,
        acceptance.accepted_on,
        acceptance.accepted_by,
        acceptance.evidence_sha256,
    )
    split = () if rest is None else (Step(rest, StepKind.SPLIT_OFF, acceptance.accepted_on),)
    return MilestoneChange(accepted, (MilestoneAccepted(accepted, rest),), (signed, *split), rest)


def withdraw(
    milestone: Milestone, reason: str, *, today: date, rest: Milestone | None = None
) -> MilestoneChange:
    """Take an acceptance back: the milestone is complete again.

    The `rest` that this acceptance left, see `rest_id_of`, goes back into it while it awaits the
    client. One that was accepted or refused has a life of its own, and the amounts stay.

    Raises:
        NotAccepted: there is no acceptance.
    """
    require_accepted(milestone)
    withdrawn = replace(
        step_to(milestone, MilestoneStatus.COMPLETED),
        accepted_on=None,
        accepted_by="",
        evidence_sha256="",
        recorded_by="",
    )
    step = Step(withdrawn, StepKind.WITHDRAWN, today, reason=reason)
    if rest is None or rest.status is not MilestoneStatus.COMPLETED:
        return MilestoneChange(withdrawn, (AcceptanceWithdrawn(withdrawn, reason),), (step,))
    # A version of its own: billing-event has numbered the withdrawal before it knew of the amount.
    merged = replace(
        withdrawn, version=withdrawn.version + 1, amount=withdrawn.amount + rest.amount
    )
    gone = cancel(rest)
    steps = (
        step,
        Step(merged, StepKind.MERGED, today),
        Step(gone, StepKind.CANCELLED, today, reason=reason),
    )
    return MilestoneChange(merged, (AcceptanceWithdrawn(merged, reason, gone),), steps, gone)


def rest_id_of(accepted: Milestone) -> UUID:
    """Return the id that the rest of this acceptance has, if it was one of a share."""
    return derived_id("milestone_rest", accepted.milestone_id, accepted.version)


def require_accepted(milestone: Milestone) -> None:
    """Refuse unless there is an acceptance.

    Raises:
        NotAccepted: there is none.
    """
    if milestone.status is not MilestoneStatus.ACCEPTED:
        raise NotAccepted(
            f"milestone {milestone.key} is {milestone.status}",
            advice="look at its steps for what happened meanwhile",
        )


def _accepted_amount(milestone: Milestone, acceptance: Acceptance) -> Money:
    """Return how much of the milestone's amount was accepted."""
    share, amount, whole = acceptance.share_percent, acceptance.amount, milestone.amount
    if share is not None and amount is not None:
        raise ShareAmbiguous(
            "the share is given twice",
            field="share_percent",
            advice="send either share_percent or accepted_amount",
        )
    if amount is not None:
        _refuse_share_outside(Money.zero(whole.currency) < amount <= whole, "accepted_amount")
        return amount
    if share is None:
        return whole
    _refuse_share_outside(0 < share <= 100, "share_percent")
    part = whole.split([share, 100 - share])[0]
    _refuse_share_outside(not part.is_zero or whole.is_zero, "share_percent")
    return part


def _refuse_share_outside(is_within: bool, field: str) -> None:
    if not is_within:
        raise ShareOutOfRange(
            "the share is nothing, or more than the milestone's amount",
            field=field,
            advice="send a part of the amount, or nothing to accept all of it",
        )


def _rest(accepted: Milestone, amount: Money, taken_keys: Collection[str]) -> Milestone | None:
    """Return what was not accepted as a milestone of its own; None when nothing is left."""
    if amount.is_zero:
        return None
    return replace(
        accepted,
        milestone_id=rest_id_of(accepted),
        version=1,
        key=_rest_key(accepted.key, taken_keys),
        amount=amount,
        status=MilestoneStatus.COMPLETED,
        accepted_on=None,
        accepted_by="",
        evidence_sha256="",
        recorded_by="",
        split_from_milestone_id=accepted.milestone_id,
    )


def _rest_key(key: str, taken_keys: Collection[str]) -> str:
    """Return `<key>_rest`, or `<key>_rest2` … where that is taken."""
    stem = f"{_REST.sub('', key)}_rest"
    free = (f"{stem}{number}" for number in range(2, len(taken_keys) + 3))
    return stem if stem not in taken_keys else next(each for each in free if each not in taken_keys)
