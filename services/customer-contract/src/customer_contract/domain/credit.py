"""Credit: what a customer may owe in each currency, and who let it be exceeded until when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from customer_contract.domain.customer import LimitNotPositive
from customer_contract.domain.values import CustomerId, require_known
from throughline_core.errors import FailedPrecondition, PermissionDenied
from throughline_core.money import Money


class OverrideOwn(PermissionDenied):
    """Who proposed an override approves it: there is no second person."""

    code = "credit.override_own"


class OverrideSettled(FailedPrecondition):
    """The override was approved or revoked already."""

    code = "credit.override_settled"


class OverrideOver(FailedPrecondition):
    """The last day of the override is over: it could never count."""

    code = "credit.override_over"


class OverrideStatus(StrEnum):
    """Where an override stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Override:
    """Leave to owe `amount` more than the limit before `expires_on`."""

    credit_override_id: UUID
    customer_id: CustomerId
    amount: Money
    expires_on: date
    reason: str
    status: OverrideStatus
    proposed_by: str
    proposed_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    revoked_reason: str = ""

    def counts_on(self, day: date) -> bool:
        return self.status is OverrideStatus.APPROVED and day < self.expires_on


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a customer owes in one currency: on issued invoices, and released but not invoiced."""

    open_invoices: Money
    unbilled: Money


@dataclass(frozen=True, slots=True)
class Position:
    """How a customer stands in one currency; `available` is negative where a limit is exceeded."""

    allowed: Money
    open_invoices: Money
    unbilled: Money

    @property
    def available(self) -> Money:
        return self.allowed - self.open_invoices - self.unbilled


def propose(override: Override, *, today: date) -> Override:
    """Return the override as it is proposed.

    Raises:
        LimitNotPositive, UnknownCurrency: the amount.
        OverrideOver: it would end before it could count.
    """
    require_known(override.amount.currency, field="amount.currency")
    if override.amount.amount <= 0:
        raise LimitNotPositive("an override is more than nothing", field="amount.amount")
    _require_days_left(override, today)
    return override


def approve(override: Override, *, by: str, at: datetime, today: date) -> Override:
    """Let the override count.

    Raises:
        OverrideSettled, OverrideOver: it no longer waits.
        OverrideOwn: by whom it was proposed.
    """
    if override.status is not OverrideStatus.PROPOSED:
        raise OverrideSettled(f"the override is {override.status} already")
    _require_days_left(override, today)
    if by == override.proposed_by:
        raise OverrideOwn(
            "who proposed the override may not approve it", advice="ask a second person"
        )
    return replace(override, status=OverrideStatus.APPROVED, decided_by=by, decided_at=at)


def revoke(override: Override, *, by: str, at: datetime, reason: str) -> Override:
    """Turn the override down, or end it.

    Raises:
        OverrideSettled: that happened already.
    """
    if override.status is OverrideStatus.REVOKED:
        raise OverrideSettled("the override is revoked already")
    return replace(
        override,
        status=OverrideStatus.REVOKED,
        decided_by=by,
        decided_at=at,
        revoked_reason=reason,
    )


def positions(
    limit: Money | None,
    overrides: Iterable[Override],
    exposures: Sequence[Exposure],
    *,
    today: date,
) -> tuple[Position, ...]:
    """Return how a customer stands in each currency, by its code; none without a limit.

    A limit in one currency says nothing about another: what is owed there needs an override there.
    """
    if limit is None:
        return ()
    allowed = {limit.currency: limit}
    for one in overrides:
        if one.counts_on(today):
            currency = one.amount.currency
            allowed[currency] = allowed.get(currency, Money.zero(currency)) + one.amount
    owed: Mapping[str, Exposure] = {one.open_invoices.currency: one for one in exposures}
    return tuple(
        _position(allowed.get(currency, Money.zero(currency)), owed.get(currency))
        for currency in sorted(allowed.keys() | owed.keys())
    )


def is_exceeded(standing: Iterable[Position]) -> bool:
    """Whether the customer owes more than it may, in any currency."""
    return any(one.available.amount < 0 for one in standing)


def _position(allowed: Money, owed: Exposure | None) -> Position:
    nothing = Money.zero(allowed.currency)
    if owed is None:
        return Position(allowed, nothing, nothing)
    return Position(allowed, owed.open_invoices, owed.unbilled)


def _require_days_left(override: Override, today: date) -> None:
    if override.expires_on <= today:
        raise OverrideOver(
            f"the override ends on {override.expires_on}, which is over",
            field="expires_on",
            advice="name a later day",
        )
