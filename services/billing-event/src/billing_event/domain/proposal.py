"""What one person enters and another one decides: the states, and who may move them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from throughline_core.errors import FailedPrecondition, PermissionDenied


class ProposalStatus(StrEnum):
    """How far it has come; what was decided stays decided."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


TRANSITIONS: Final[Mapping[ProposalStatus, frozenset[ProposalStatus]]] = {
    ProposalStatus.PROPOSED: frozenset(
        {ProposalStatus.APPROVED, ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN}
    ),
    ProposalStatus.APPROVED: frozenset(),
    ProposalStatus.REJECTED: frozenset(),
    ProposalStatus.WITHDRAWN: frozenset(),
}


class DecisionStatus(StrEnum):
    """How far a proposal has come that is approved or rejected, and not taken back."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


DECISIONS: Final[Mapping[DecisionStatus, frozenset[DecisionStatus]]] = {
    DecisionStatus.PROPOSED: frozenset({DecisionStatus.APPROVED, DecisionStatus.REJECTED}),
    DecisionStatus.APPROVED: frozenset(),
    DecisionStatus.REJECTED: frozenset(),
}

# Whoever entered it may take it back, but neither approve nor reject it.
_BY_ANOTHER: Final = (ProposalStatus.APPROVED, ProposalStatus.REJECTED)


class NotOpen(FailedPrecondition):
    """It was decided or taken back before."""


class SecondPersonRequired(PermissionDenied):
    """Who entered it may not decide about it as well."""


def require_movable(
    what: str,
    proposal_id: UUID,
    status: ProposalStatus,
    target: ProposalStatus,
    *,
    proposed_by: str,
    by: str,
    not_open: type[NotOpen],
    same_person: type[SecondPersonRequired],
) -> None:
    """Check that `by` may move it to `target`; the refusals are those of its aggregate.

    Raises:
        NotOpen, SecondPersonRequired: see there.
    """
    if target not in TRANSITIONS[status]:
        raise not_open(f"{what} {proposal_id} is {status}", advice="enter it anew, if it is needed")
    if target in _BY_ANOTHER and proposed_by == by:
        raise same_person(
            f"{what} {proposal_id} was entered by the caller",
            advice="ask somebody else to decide about it",
        )
