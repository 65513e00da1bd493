"""Proposals: changes of prices that one person writes and another one puts into force."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

from customer_contract.domain.values import LegalEntityId, ProposalId
from throughline_core.errors import FailedPrecondition, PermissionDenied
from throughline_core.transition import move

C = TypeVar("C")


class ProposalKind(StrEnum):
    """What a proposal is about."""

    RATE_CARD = "rate_card"
    SERVICE = "service"
    PRICE_POLICY = "price_policy"


class ProposalStatus(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "proposed"
    PUBLISHED = "published"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


TRANSITIONS: Final[Mapping[ProposalStatus, frozenset[ProposalStatus]]] = {
    ProposalStatus.PROPOSED: frozenset(
        {ProposalStatus.PUBLISHED, ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN}
    ),
    ProposalStatus.PUBLISHED: frozenset(),
    ProposalStatus.REJECTED: frozenset(),
    ProposalStatus.WITHDRAWN: frozenset(),
}


class PublishedByProposer(PermissionDenied):
    """Who proposes a price does not put it into force."""

    code = "proposal.published_by_proposer"


class RejectedByProposer(PermissionDenied):
    """Who proposed a price takes it back instead of turning it down."""

    code = "proposal.rejected_by_proposer"


class NotTheProposer(PermissionDenied):
    """Somebody else's proposal is turned down, not taken back."""

    code = "proposal.not_the_proposer"


class Overtaken(FailedPrecondition):
    """Another version was published since the proposal was written."""

    code = "proposal.overtaken"


@dataclass(frozen=True, slots=True)
class Act:
    """Who did it, when, and why in their own words."""

    by: str
    at: datetime
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Proposal(Generic[C]):
    """The next version of something, as one person wants it.

    `content` carries the version it is to become, `base_version` the one it was written against (0
    = there was none); `version` counts the changes of this record. Without a legal entity it
    concerns all of them.
    """

    proposal_id: ProposalId
    version: int
    status: ProposalStatus
    subject: str
    legal_entity_id: LegalEntityId | None
    base_version: int
    content: C
    proposed: Act
    decided: Act | None = None


def propose(
    proposal_id: ProposalId,
    content: C,
    *,
    subject: str,
    legal_entity_id: LegalEntityId | None,
    base_version: int,
    proposed: Act,
) -> Proposal[C]:
    """Return the proposal, which waits for somebody else."""
    return Proposal(
        proposal_id,
        1,
        ProposalStatus.PROPOSED,
        subject,
        legal_entity_id,
        base_version,
        content,
        proposed,
    )


def publish(proposal: Proposal[C], decided: Act, *, latest_version: int) -> Proposal[C]:
    """Note that the content is put into force; `latest_version` is what it follows, 0 = nothing.

    Raises:
        PublishedByProposer: who decides wrote it.
        Overtaken: another version has been published since.
        IllegalTransition: it was decided on before.
    """
    published = _decide(proposal, ProposalStatus.PUBLISHED, decided)
    if decided.by == proposal.proposed.by:
        raise PublishedByProposer(
            f"the change of {proposal.subject} was proposed by the same person",
            advice="let somebody else publish it",
        )
    if latest_version != proposal.base_version:
        raise Overtaken(
            f"{proposal.subject} is at version {latest_version}, the proposal was written against "
            f"{proposal.base_version}",
            advice="propose it again on the version in force",
        )
    return published


def reject(proposal: Proposal[C], decided: Act) -> Proposal[C]:
    """Turn the proposal down.

    Raises:
        RejectedByProposer: who decides wrote it.
        IllegalTransition: it was decided on before.
    """
    if decided.by == proposal.proposed.by:
        raise RejectedByProposer(
            "one's own proposal is not turned down", advice="withdraw it instead"
        )
    return _decide(proposal, ProposalStatus.REJECTED, decided)


def withdraw(proposal: Proposal[C], decided: Act) -> Proposal[C]:
    """Take one's own proposal back.

    Raises:
        NotTheProposer: somebody else wrote it.
        IllegalTransition: it was decided on before.
    """
    if decided.by != proposal.proposed.by:
        raise NotTheProposer(
            f"the proposal is {proposal.proposed.by}'s", advice="reject it instead"
        )
    return _decide(proposal, ProposalStatus.WITHDRAWN, decided)


def _decide(proposal: Proposal[C], target: ProposalStatus, decided: Act) -> Proposal[C]:
    name = f"proposal {proposal.proposal_id}"
    status = move(name, proposal.status, target, TRANSITIONS)
    return replace(proposal, status=status, decided=decided, version=proposal.version + 1)
