"""The most an entity bills a customer over all contracts: lowered at once, raised by two."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NewType
from uuid import UUID

from billing_event.domain.limit import LimitAccountId, LimitScope, customer_account_id
from billing_event.domain.limit_terms import Limit
from billing_event.domain.proposal import DECISIONS, DecisionStatus
from billing_event.domain.source import CustomerId, LegalEntityId
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_core.money import Money, exponent
from throughline_core.transition import move

CustomerLimitProposalId = NewType("CustomerLimitProposalId", UUID)


class NegativeLimit(InvalidArgument):
    """A limit below zero would mean nothing, and one in another currency neither."""

    code = "customer_limit.negative"


class LimitUnchanged(FailedPrecondition):
    """The customer has exactly this limit."""

    code = "customer_limit.unchanged"


class AlreadyProposed(AlreadyExists):
    """Another limit of the customer waits for a second person."""

    code = "customer_limit.already_proposed"


class ProposalNotFound(NotFound):
    """No such proposal, or none the caller may see."""

    code = "customer_limit_proposal.not_found"


class OwnProposal(PermissionDenied):
    """Who proposes a higher limit does not put it into force."""

    code = "customer_limit_proposal.own"


@dataclass(frozen=True, slots=True)
class Framework:
    """Whose limit it is: what one entity bills a customer in one currency."""

    customer_id: CustomerId
    legal_entity_id: LegalEntityId
    currency: str

    @property
    def limit_account_id(self) -> LimitAccountId:
        return customer_account_id(self.legal_entity_id, self.customer_id, self.currency)

    def limit(self, agreed: Money) -> Limit:
        """Return the limit as it is put into force."""
        return Limit(
            self.limit_account_id,
            LimitScope.CUSTOMER,
            self.legal_entity_id,
            agreed,
            customer_id=self.customer_id,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """A higher limit, None for none at all, as one person wants it and another decides."""

    customer_limit_proposal_id: CustomerLimitProposalId
    version: int
    framework: Framework
    amount: Money | None
    status: DecisionStatus
    reason: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    comment: str = ""


def require_limit(framework: Framework, amount: Money | None) -> None:
    """Check that an amount can be the limit of a customer.

    Raises:
        UnknownCurrency: the framework's currency is none.
        NegativeLimit: the amount is below zero, or in another currency.
    """
    exponent(framework.currency)
    if amount is None:
        return
    if amount.amount < 0 or amount.currency != framework.currency:
        raise NegativeLimit(
            f"{amount} is no limit of contracts in {framework.currency}",
            field="not_to_exceed",
            advice="send an amount of 0 or more in that currency, or none for any amount",
        )


def takes_two(present: Money | None, wanted: Money | None) -> bool:
    """Whether a limit, None for any amount, is higher than the present one.

    Raises:
        LimitUnchanged: it is the same.
    """
    if present == wanted:
        raise LimitUnchanged(
            f"the limit of the customer is {present or 'any amount'} already",
            field="not_to_exceed",
        )
    if present is None:
        return False
    return wanted is None or wanted.amount > present.amount


def approve(proposal: Proposal, *, by: str, at: datetime, comment: str) -> Proposal:
    """Return the proposal as it is put into force.

    Raises:
        IllegalTransition: it was decided on before.
        OwnProposal: `by` proposed it.
    """
    approved = _decide(proposal, DecisionStatus.APPROVED, by=by, at=at, comment=comment)
    if by == proposal.proposed_by:
        raise OwnProposal(
            "the limit was proposed by the same person",
            advice="let somebody else in finance or sales operations approve it",
        )
    return approved


def reject(proposal: Proposal, *, by: str, at: datetime, comment: str) -> Proposal:
    """Return the proposal as it is turned down, by whoever it is.

    Raises:
        IllegalTransition: it was decided on before.
    """
    return _decide(proposal, DecisionStatus.REJECTED, by=by, at=at, comment=comment)


def _decide(
    proposal: Proposal, status: DecisionStatus, *, by: str, at: datetime, comment: str
) -> Proposal:
    subject = f"proposal {proposal.customer_limit_proposal_id}"
    move(subject, proposal.status, status, DECISIONS)
    return replace(
        proposal,
        version=proposal.version + 1,
        status=status,
        decided_by=by,
        decided_at=at,
        comment=comment,
    )
