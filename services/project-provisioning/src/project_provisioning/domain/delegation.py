"""Delegation: somebody decides in another's place, for a time and on some kinds of work."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)


class DelegationScope(StrEnum):
    """What is delegated."""

    TIME = "time"
    EXPENSES = "expenses"
    ALL = "all"


class DelegationNotFound(NotFound):
    """There is no such delegation, or none that concerns the caller."""

    code = "delegation.not_found"


class DelegationToSelf(InvalidArgument):
    """Nobody stands in for themselves."""

    code = "delegation.to_self"


class DelegationDatesReversed(InvalidArgument):
    """A delegation ends after it begins."""

    code = "delegation.dates_reversed"


class DelegationNotOwn(PermissionDenied):
    """One's own place is delegated; that of others by the PMO."""

    code = "delegation.not_own"


class DelegationEnded(FailedPrecondition):
    """The delegation was ended before."""

    code = "delegation.ended"


class DelegationOverlap(AlreadyExists):
    """The same is delegated to the same person on some of these days already."""

    code = "delegation.overlap"


@dataclass(frozen=True, slots=True)
class Delegation:
    """`delegate` decides in the place of `delegator` in `[starts_on, ends_on)`; both are subjects.

    `by_pmo` says that somebody of the PMO made it, so that the PMO's own right goes with it.
    `legal_entity_id` limits it to the people of one company.
    """

    delegation_id: UUID
    version: int
    delegator: str
    delegate: str
    scope: DelegationScope
    by_pmo: bool
    legal_entity_id: UUID | None
    starts_on: date
    ends_on: date
    reason: str
    created_by: str
    created_at: datetime
    revoked_by: str = ""
    revoked_at: datetime | None = None

    def covers(self, legal_entity_id: UUID) -> bool:
        """Whether it holds for the people of a company."""
        return self.legal_entity_id in {None, legal_entity_id}


@dataclass(frozen=True, slots=True)
class Judge:
    """Who decides: a subject, whether of the PMO, and in whose places."""

    subject: str
    is_pmo: bool
    delegations: tuple[Delegation, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Something to be decided on: whose it is, who submitted it, and who is to decide.

    `approver` is a subject, empty where anybody of the PMO decides.
    """

    person_subject: str
    submitted_by: str
    legal_entity_id: UUID
    approver: str


def right_over(judge: Judge, work: Work) -> str | None:
    """Return in whose place the judge may decide: empty by own right, None not at all.

    Nobody decides on own work, whether done or submitted, nor on that of whom they stand in for:
    a delegate has the right that the other has.
    """
    own = {work.person_subject, work.submitted_by}
    if judge.subject in own:
        return None
    if _is_entitled(judge.subject, is_pmo=judge.is_pmo, work=work):
        return ""
    for delegation in judge.delegations:
        if (
            delegation.covers(work.legal_entity_id)
            and delegation.delegator not in own
            and _is_entitled(delegation.delegator, is_pmo=delegation.by_pmo, work=work)
        ):
            return delegation.delegator
    return None


def delegate(
    delegation: Delegation, *, by: str, is_pmo: bool, others: Iterable[Delegation]
) -> Delegation:
    """Return the delegation if it may be made; `others` are those in force of the same two.

    Raises:
        DelegationToSelf, DelegationDatesReversed, DelegationNotOwn, DelegationOverlap.
    """
    if delegation.delegator == delegation.delegate:
        raise DelegationToSelf(
            "delegator and delegate are the same", field="delegate", advice="name somebody else"
        )
    if delegation.starts_on >= delegation.ends_on:
        raise DelegationDatesReversed(
            "the delegation would end before it begins",
            field="ends_on",
            advice="send the first day after it",
        )
    if by != delegation.delegator and not is_pmo:
        raise DelegationNotOwn(
            "this is the place of somebody else",
            field="delegator",
            advice="delegate your own, or ask somebody of the PMO",
        )
    if any(_overlap(delegation, other) for other in others):
        raise DelegationOverlap(
            "the same is delegated to the same person on some of these days",
            field="starts_on",
            advice="end that delegation first, or choose other days",
        )
    return delegation


def revoke(delegation: Delegation, *, by: str, is_pmo: bool, at: datetime) -> Delegation:
    """End a delegation now.

    Raises:
        DelegationNotOwn: `by` is neither of the two, nor of the PMO.
        DelegationEnded: it was ended before.
    """
    if by not in {delegation.delegator, delegation.delegate} and not is_pmo:
        raise DelegationNotOwn(
            "this delegation is between others", advice="ask one of them, or somebody of the PMO"
        )
    if delegation.revoked_at is not None:
        raise DelegationEnded("the delegation was ended before")
    return replace(delegation, version=delegation.version + 1, revoked_by=by, revoked_at=at)


def _is_entitled(subject: str, *, is_pmo: bool, work: Work) -> bool:
    return is_pmo if not work.approver else subject == work.approver


def _overlap(one: Delegation, other: Delegation) -> bool:
    same_scope = one.scope is other.scope or DelegationScope.ALL in {one.scope, other.scope}
    same_company = None in {one.legal_entity_id, other.legal_entity_id} or (
        one.legal_entity_id == other.legal_entity_id
    )
    same_days = one.starts_on < other.ends_on and other.starts_on < one.ends_on
    return same_scope and same_company and same_days and other.revoked_at is None
