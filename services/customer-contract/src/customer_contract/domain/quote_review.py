"""How an offer stands towards the price policy: who has to approve it, and what it breaks."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from customer_contract.domain.price_policy import (
    ANY_STEP,
    ApproverRole,
    Breach,
    PolicyBreached,
    PolicyRules,
    PricePolicy,
    ReviewStep,
    breaches,
    ladder,
)
from customer_contract.domain.proposal import Act
from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.values import PricePolicyId
from throughline_core.errors import FailedPrecondition, PermissionDenied
from throughline_core.money import Money


class ApprovedTwice(PermissionDenied):
    """Who has taken a step of an offer takes no other."""

    code = "quote.approved_twice"


class StepOfAnotherRole(PermissionDenied):
    """The next step is for a role the caller does not have."""

    code = "quote.step_of_another_role"


class NoBreaches(FailedPrecondition):
    """The offer breaks nothing, or somebody let it pass already."""

    code = "quote.no_breaches"


@dataclass(frozen=True, slots=True)
class Review:
    """The approval ladder of one version of an offer, as the policy then in force built it.

    An offer that another system approved has no steps. `accepted` tells who let the breaches pass.
    """

    price_policy_id: PricePolicyId | None = None
    price_policy_version: int = 0
    steps: tuple[ReviewStep, ...] = (ANY_STEP,)
    breaches: tuple[Breach, ...] = ()
    exception_role: ApproverRole | None = None
    accepted: Act | None = None

    @property
    def next_step(self) -> ReviewStep | None:
        """The step that is open, None when all were taken."""
        return next((step for step in self.steps if step.taken is None), None)

    @property
    def open_breaches(self) -> tuple[Breach, ...]:
        """What the offer breaks and nobody let pass."""
        return self.breaches if self.accepted is None else ()


UNREVIEWED: Final = Review()
"""How an offer stands that no policy says anything about."""


def judge(
    lines: Sequence[ServiceLine],
    total: Money,
    policy: PricePolicy | None,
    catalogue_floors: Mapping[str, Sequence[Money]],
) -> Review:
    """Return how the offer stands towards the policy in force, None = there is none."""
    rules = PolicyRules() if policy is None else policy.rules
    broken = breaches(lines, rules, catalogue_floors)
    return Review(
        price_policy_id=None if policy is None else policy.price_policy_id,
        price_policy_version=0 if policy is None else policy.version,
        steps=ladder(lines, total, rules, broken),
        breaches=broken,
        exception_role=rules.exception_role,
    )


def take_step(review: Review, act: Act, roles: AbstractSet[ApproverRole]) -> Review:
    """Return the review with its next step taken by somebody who has these roles.

    The step of the exception role lets what the offer breaks pass.

    Raises:
        ApprovedTwice: the same person took an earlier step.
        StepOfAnotherRole: the step is for another role.
        PolicyBreached: the offer breaks the policy, and nobody may let it pass.
    """
    step = review.next_step
    assert step is not None, "an offer in review has an open step"
    if review.open_breaches and review.exception_role is None:
        raise _breached(review)
    if any(one.taken is not None and one.taken.by == act.by for one in review.steps):
        raise ApprovedTwice(
            "an earlier step was taken by the same person",
            advice=f"let somebody else take the step {step.name}",
        )
    if step.role is not None:
        _require_role(step.role, roles)
    taken = tuple(replace(one, taken=act) if one is step else one for one in review.steps)
    lets_pass = bool(review.breaches) and step.role is review.exception_role
    return replace(review, steps=taken, accepted=act if lets_pass else review.accepted)


def accept_breaches(
    review: Review,
    act: Act,
    roles: AbstractSet[ApproverRole],
    *,
    exception_role: ApproverRole | None,
) -> Review:
    """Return the review with its breaches let pass, by the exception role now in force.

    Raises:
        NoBreaches: there are none to accept.
        PolicyBreached: nobody may let them pass.
        StepOfAnotherRole: another role may.
    """
    if not review.open_breaches:
        raise NoBreaches("the offer breaks nothing that nobody let pass")
    if exception_role is None:
        raise _breached(review)
    _require_role(exception_role, roles)
    return replace(review, accepted=act)


def require_within_policy(review: Review) -> None:
    """Refuse an offer that breaks the policy.

    Raises:
        PolicyBreached: it does.
    """
    if review.breaches:
        raise _breached(review)


def _require_role(role: ApproverRole, roles: AbstractSet[ApproverRole]) -> None:
    if role not in roles:
        raise StepOfAnotherRole(
            f"this is for the role {role}", advice="let somebody who holds it decide"
        )


def _breached(review: Review) -> PolicyBreached:
    first = review.breaches[0]
    return PolicyBreached(
        f"line {first.position} breaks the price policy: {first.rule} ({first.actual}, limit "
        f"{first.limit}){_more(review)}",
        field=f"terms.lines[{first.position - 1}]",
        advice="offer it within the policy, or have the policy name a role for exceptions",
    )


def _more(review: Review) -> str:
    others = len(review.breaches) - 1
    return f", and {others} more" if others else ""
