"""Decisions on offers: approved step by step, rejected, withdrawn, accepted, expired, replaced."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import date
from typing import Final

from customer_contract.domain import quote_review
from customer_contract.domain.price_policy import ApproverRole
from customer_contract.domain.proposal import Act
from customer_contract.domain.quote import (
    Approval,
    Quote,
    QuoteApproved,
    QuoteStatus,
    RejectionCode,
)
from customer_contract.domain.quote_review import take_step
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, IllegalTransition, PermissionDenied
from throughline_core.transition import move

TRANSITIONS: Final[Mapping[QuoteStatus, frozenset[QuoteStatus]]] = {
    QuoteStatus.DRAFT: frozenset({QuoteStatus.IN_REVIEW, QuoteStatus.SUPERSEDED}),
    QuoteStatus.IN_REVIEW: frozenset(
        {
            QuoteStatus.APPROVED,
            QuoteStatus.REJECTED,
            QuoteStatus.EXPIRED,
            QuoteStatus.SUPERSEDED,
            QuoteStatus.WITHDRAWN,
        }
    ),
    QuoteStatus.APPROVED: frozenset(
        {
            QuoteStatus.ACCEPTED,
            QuoteStatus.REJECTED,
            QuoteStatus.EXPIRED,
            QuoteStatus.SUPERSEDED,
            QuoteStatus.WITHDRAWN,
        }
    ),
    QuoteStatus.ACCEPTED: frozenset(),
    QuoteStatus.REJECTED: frozenset({QuoteStatus.SUPERSEDED}),
    QuoteStatus.EXPIRED: frozenset({QuoteStatus.SUPERSEDED}),
    QuoteStatus.SUPERSEDED: frozenset(),
    QuoteStatus.WITHDRAWN: frozenset({QuoteStatus.SUPERSEDED}),
}


class ApprovedByProposer(PermissionDenied):
    """Who wrote an offer does not approve it."""

    code = "quote.approved_by_proposer"


class ValidityOver(FailedPrecondition):
    """The last day on which the offer could be approved and signed is gone."""

    code = "quote.validity_over"


def approve(quote: Quote, approval: Approval) -> Change[Quote, QuoteApproved]:
    """Freeze an offer that another system approved; nobody here is asked.

    Raises:
        ApprovedByProposer: the approver wrote it.
        IllegalTransition: it does not wait for approval.
    """
    return _approved(replace(quote, review=replace(quote.review, steps=())), approval)


def approve_step(
    quote: Quote, act: Act, roles: AbstractSet[ApproverRole], *, today: date
) -> Change[Quote, QuoteApproved]:
    """Take the next step of the approval ladder; the last one freezes the offer.

    Raises:
        ApprovedByProposer: the approver wrote it.
        ApprovedTwice, StepOfAnotherRole, PolicyBreached: see `quote_review.take_step`.
        ValidityOver: its last day is before `today`.
        IllegalTransition: it does not wait for approval.
    """
    _require_other(quote, act.by)
    _move(quote, QuoteStatus.APPROVED)
    _require_valid(quote, today)
    reviewed = replace(quote, review=take_step(quote.review, act, roles))
    if reviewed.review.next_step is not None:
        return Change(replace(reviewed, version=quote.version + 1), ())
    return _approved(reviewed, Approval(act.by, act.at))


def accept_breaches(
    quote: Quote, act: Act, roles: AbstractSet[ApproverRole], *, exception_role: ApproverRole | None
) -> Quote:
    """Let an approved offer stand although it breaks the price policy.

    Raises:
        ApprovedByProposer: who lets it pass wrote it.
        NoBreaches, PolicyBreached, StepOfAnotherRole: see `quote_review.accept_breaches`.
        IllegalTransition: it is not approved, or no longer counts.
    """
    _require_other(quote, act.by)
    if quote.status not in {QuoteStatus.APPROVED, QuoteStatus.ACCEPTED}:
        raise IllegalTransition(
            f"quote {quote.number} is {quote.status}: exceptions of an offer in review are a step "
            "of its approval"
        )
    review = quote_review.accept_breaches(quote.review, act, roles, exception_role=exception_role)
    return replace(quote, review=review, version=quote.version + 1)


def reject(quote: Quote, *, reason: str, code: RejectionCode) -> Quote:
    """Turn the offer down; a contract drafted from it can no longer be signed.

    Raises:
        IllegalTransition: it was accepted, or is out of date already.
    """
    rejected = _move(quote, QuoteStatus.REJECTED)
    return replace(rejected, rejection_reason=reason, rejection_code=code)


def withdraw(quote: Quote, *, reason: str, code: RejectionCode) -> Quote:
    """Take the offer back; a contract drafted from it can no longer be signed.

    Raises:
        IllegalTransition: it was accepted, or is out of date already.
    """
    withdrawn = _move(quote, QuoteStatus.WITHDRAWN)
    return replace(withdrawn, rejection_reason=reason, rejection_code=code)


def expire(quote: Quote) -> Quote:
    """Note that the offer's last day is gone.

    Raises:
        IllegalTransition: it neither waits for approval nor for the signature.
    """
    return _move(quote, QuoteStatus.EXPIRED)


def accept(quote: Quote, *, today: date) -> Quote:
    """Note that the customer signed what was offered.

    Raises:
        IllegalTransition: the version is not approved, or has been replaced since.
        ValidityOver: its last day is before `today`, though nobody has let it expire yet.
    """
    accepted = _move(quote, QuoteStatus.ACCEPTED)
    _require_valid(quote, today)
    return accepted


def supersede(quote: Quote) -> Quote:
    """Make room for the next version.

    Raises:
        IllegalTransition: the offer was accepted, or has been replaced already.
    """
    return _move(quote, QuoteStatus.SUPERSEDED)


def _approved(quote: Quote, approval: Approval) -> Change[Quote, QuoteApproved]:
    _require_other(quote, approval.by)
    approved = replace(_move(quote, QuoteStatus.APPROVED), approval=approval)
    return Change(approved, (QuoteApproved(approved),))


def _require_other(quote: Quote, approver: str) -> None:
    if approver == quote.origin.proposed_by:
        raise ApprovedByProposer(
            f"quote {quote.number} was written by the same person",
            advice="let somebody else approve it",
        )


def _require_valid(quote: Quote, today: date) -> None:
    if quote.valid_until is not None and quote.valid_until < today:
        raise ValidityOver(
            f"quote {quote.number} was valid until {quote.valid_until}",
            advice="write its next version",
        )


def _move(quote: Quote, target: QuoteStatus) -> Quote:
    status = move(f"quote {quote.number}", quote.status, target, TRANSITIONS)
    return replace(quote, status=status, version=quote.version + 1)
