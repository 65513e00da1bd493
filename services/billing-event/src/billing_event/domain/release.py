"""The approval checkpoint: which rows pass by policy, and who may let the others pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from billing_event.domain.position import EventStatus, Row
from billing_event.domain.source import LegalEntityId
from throughline_core.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from throughline_core.money import Money

BY_POLICY: Final = "policy"
DEFAULT_THRESHOLD: Final = Decimal("5000.00")


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """Up to which amount, either sign, a row of a legal entity passes without a person."""

    legal_entity_id: LegalEntityId
    version: int
    threshold: Money
    set_by: str
    set_at: datetime


class NegativeThreshold(InvalidArgument):
    """A threshold below zero would mean nothing."""

    code = "release_policy.negative_threshold"


class NothingNamed(InvalidArgument):
    """The request names neither rows, nor a contract, nor a legal entity."""

    code = "release.nothing_named"


class NotEligible(FailedPrecondition):
    """The row is held, or was released before."""

    code = "billing_event.not_eligible"


class SecondPersonRequired(PermissionDenied):
    """Who approved the work may not release it as well."""

    code = "billing_event.second_person_required"


Policies = Mapping[LegalEntityId, ReleasePolicy]


def passes(policy: ReleasePolicy | None, amount: Money) -> bool:
    """Whether a row of this amount passes by policy; without one the default threshold holds."""
    if policy is None:
        return abs(amount.amount) <= DEFAULT_THRESHOLD
    if policy.threshold.currency != amount.currency:
        return False
    return abs(amount.amount) <= policy.threshold.amount


def replaced(
    policy: ReleasePolicy | None,
    legal_entity_id: LegalEntityId,
    threshold: Money,
    *,
    by: str,
    at: datetime,
) -> ReleasePolicy:
    """Return the policy with another threshold.

    Raises:
        NegativeThreshold: the threshold is below zero.
    """
    if threshold.amount < 0:
        raise NegativeThreshold(
            "a threshold cannot be negative",
            field="threshold.amount",
            advice="0 sends every row that bills something to a person",
        )
    version = 1 if policy is None else policy.version + 1
    return ReleasePolicy(legal_entity_id, version, threshold.rounded(), by, at)


def require_releasable(row: Row, *, by: str) -> None:
    """Check that `by` may let this one row pass.

    Raises:
        NotEligible: it is held, or was released before.
        SecondPersonRequired: `by` approved the work.
    """
    if row.status is not EventStatus.ELIGIBLE:
        reasons = ", ".join(hold.reason for hold in row.holds)
        raise NotEligible(
            f"billing event {row.billing_event_id} is {row.status}",
            field="billing_event_ids",
            advice=f"clear its holds first: {reasons}" if reasons else "leave it out",
        )
    if row.item.approved_by == by:
        raise SecondPersonRequired(
            f"the work of billing event {row.billing_event_id} was approved by the caller",
            field="billing_event_ids",
            advice="ask somebody else in finance to release it",
        )
