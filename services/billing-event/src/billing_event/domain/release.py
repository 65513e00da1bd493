"""The approval checkpoint: which rows pass by policy, and who may let the others pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from billing_event.domain.position import EventStatus, EventType, Rating, Row, type_of
from billing_event.domain.source import ContractId, LegalEntityId, SourceItem
from throughline_core.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from throughline_core.money import Money

BY_POLICY: Final = "policy"
DEFAULT_THRESHOLD: Final = Decimal("5000.00")


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """An exception from the threshold, for rows that meet all of it; what it leaves open is any.

    `min_age_days` counts from the last day of service to the day the row is judged.
    """

    name: str
    types: frozenset[EventType]
    contract_id: ContractId | None
    min_age_days: int
    threshold: Money

    def is_for(self, rating: Rating, item: SourceItem, *, on: date) -> bool:
        """Whether it decides about a row of a thing that is judged on a day."""
        if self.contract_id not in (None, rating.contract_id):
            return False
        if self.types and type_of(rating, item) not in self.types:
            return False
        # The first day after the service counts as one day of age.
        return (on - item.service_to).days + 1 >= self.min_age_days or not self.min_age_days


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """Up to which amount, either sign, a row of a legal entity passes without a person.

    Of `rules` the first that is for a row decides, in place of the threshold.
    """

    legal_entity_id: LegalEntityId
    version: int
    threshold: Money
    set_by: str
    set_at: datetime
    rules: tuple[ReleaseRule, ...] = ()


class NegativeThreshold(InvalidArgument):
    """A threshold below zero would mean nothing."""

    code = "release_policy.negative_threshold"


class NothingNamed(InvalidArgument):
    """The request names neither rows, nor a contract, nor a legal entity."""

    code = "release.nothing_named"


class MostNegative(InvalidArgument):
    """No row is of less than nothing, either sign."""

    code = "release.max_amount_negative"


class NotEligible(FailedPrecondition):
    """The row is held, or was released before."""

    code = "billing_event.not_eligible"


class SecondPersonRequired(PermissionDenied):
    """Who approved the work may not release it as well."""

    code = "billing_event.second_person_required"


Policies = Mapping[LegalEntityId, ReleasePolicy]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to which amount, either sign, a row passes by itself, and by which rule.

    `rule` is empty where no rule is for the row and the legal entity's threshold decides.
    """

    rule: str
    threshold: Money

    def lets_pass(self, amount: Money) -> bool:
        """Whether a row of this amount passes; one in another currency never does."""
        if self.threshold.currency != amount.currency:
            return False
        return abs(amount.amount) <= self.threshold.amount

    def reason_to_stop(self, amount: Money) -> str:
        """Return why a row of this amount that nothing holds waits for a person."""
        whose = f"rule {self.rule}" if self.rule else "the legal entity's threshold"
        rounded = amount.rounded()
        if self.lets_pass(amount):
            return (
                f"{rounded} would pass by {whose} as it is now, {self.threshold}: what waits"
                " already keeps waiting, and rows of one thing pass together"
            )
        if self.threshold.currency != amount.currency:
            return f"{rounded} is in another currency than the {self.threshold} of {whose}"
        return f"{rounded} is above the {self.threshold} of {whose}"


def checkpoint_of(
    policy: ReleasePolicy | None, rating: Rating, item: SourceItem, amount: Money, *, on: date
) -> Checkpoint:
    """Return what decides about a row that is judged on a day; without a policy, the default."""
    if policy is None:
        return Checkpoint("", Money(DEFAULT_THRESHOLD, amount.currency))
    for rule in policy.rules:
        if rule.is_for(rating, item, on=on):
            return Checkpoint(rule.name, rule.threshold)
    return Checkpoint("", policy.threshold)


def passes(
    policy: ReleasePolicy | None, rating: Rating, item: SourceItem, amount: Money, *, on: date
) -> bool:
    """Whether a row passes by policy on a day; without one the default threshold holds."""
    return checkpoint_of(policy, rating, item, amount, on=on).lets_pass(amount)


def replaced(
    policy: ReleasePolicy | None,
    legal_entity_id: LegalEntityId,
    threshold: Money,
    rules: tuple[ReleaseRule, ...],
    *,
    by: str,
    at: datetime,
) -> ReleasePolicy:
    """Return the policy with another threshold and other rules.

    Raises:
        NegativeThreshold: a threshold is below zero.
    """
    fields = {"threshold": threshold}
    fields |= {f"rules[{number}].threshold": rule.threshold for number, rule in enumerate(rules)}
    for field, each in fields.items():
        if each.amount < 0:
            raise NegativeThreshold(
                "a threshold cannot be negative",
                field=f"{field}.amount",
                advice="0 sends every row that bills something to a person",
            )
    version = 1 if policy is None else policy.version + 1
    return ReleasePolicy(legal_entity_id, version, threshold.rounded(), by, at, rules)


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
