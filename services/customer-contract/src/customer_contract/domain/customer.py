"""Customers: the parties that buy."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

from customer_contract.domain.customer_details import NO_DETAILS, CustomerDetails
from customer_contract.domain.customer_details import checked as checked_details
from customer_contract.domain.tax_registration import TaxStatus, judge
from customer_contract.domain.values import (
    CustomerId,
    PostalAddress,
    SourceRef,
    require_known,
    require_region,
)
from throughline_core.change import Change
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from throughline_core.money import Money


class AlreadyOnHold(FailedPrecondition):
    """The customer is on credit hold already, for the reason first given."""

    code = "customer.already_on_hold"


class NotOnHold(FailedPrecondition):
    """There is no credit hold to release."""

    code = "customer.not_on_hold"


class ParentCycle(FailedPrecondition):
    """The customer would belong to itself."""

    code = "customer.parent_cycle"


class TaxIdExists(AlreadyExists):
    """A customer with this registration is recorded; entered by hand, a second is a mistake."""

    code = "customer.tax_id_exists"


class CustomerEnded(FailedPrecondition):
    """Business with the customer has ended: it gets nothing new."""

    code = "customer.ended"


class AlreadyEnded(FailedPrecondition):
    """The day on which business ends is set already."""

    code = "customer.already_ended"


class NotEnded(FailedPrecondition):
    """Business with the customer goes on."""

    code = "customer.not_ended"


class LimitNotPositive(InvalidArgument):
    """A credit limit or an override of nothing, or less."""

    code = "credit.limit_not_positive"


class SourceForeign(InvalidArgument):
    """A system brings in the record of another one."""

    code = "customer.source_foreign"


@dataclass(frozen=True, slots=True)
class CustomerProfile:
    """What may be edited."""

    name: str
    parent_customer_id: CustomerId | None
    address: PostalAddress
    tax_id: str | None
    payment_terms_days: int
    currency: str
    billing_email: str
    details: CustomerDetails = NO_DETAILS


@dataclass(frozen=True, slots=True)
class Customer:
    """A party that buys; `credit_hold_reason` is set while it is on hold.

    `ended_on` is the first day without business. `changed_in` is the system that the last change
    came from, empty for one made here.
    """

    customer_id: CustomerId
    version: int
    number: str
    profile: CustomerProfile
    tax_status: TaxStatus
    credit_hold_reason: str | None
    source: SourceRef | None
    credit_limit: Money | None = None
    ended_on: date | None = None
    changed_in: str = ""

    @property
    def on_credit_hold(self) -> bool:
        return self.credit_hold_reason is not None

    def has_ended(self, on: date) -> bool:
        """Whether there is no business with it any more on a day."""
        return self.ended_on is not None and self.ended_on <= on


class CustomerOutcome(StrEnum):
    """What recording a customer came to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class CustomerRecorded:
    """A customer was created or changed."""

    customer: Customer


@dataclass(frozen=True, slots=True)
class CreditHoldMoved:
    """A credit hold was placed or released, for a reason."""

    customer: Customer
    reason: str


@dataclass(frozen=True, slots=True)
class BusinessMoved:
    """Business with a customer ends on a day, or goes on again, for a reason."""

    customer: Customer
    reason: str


@dataclass(frozen=True, slots=True)
class CreditLimitSet:
    """A credit limit was set or lifted, for a reason."""

    customer: Customer
    reason: str


CustomerEvent = CustomerRecorded | CreditHoldMoved | BusinessMoved | CreditLimitSet


def record(
    customer_id: CustomerId,
    profile: CustomerProfile,
    *,
    number: str,
    source: SourceRef | None,
    changed_in: str = "",
) -> Change[Customer, CustomerEvent]:
    """Make a customer and judge its tax registrations.

    Raises:
        RegionMissing: its country's tax depends on the region, and there is none.
        UnknownCurrency: its currency is no ISO 4217 code.
        RegistrationRepeated, CertificateInvalid: its tax profile.
    """
    checked, status = _checked(profile)
    customer = Customer(
        customer_id, 1, number, checked, status, None, source, changed_in=changed_in
    )
    return Change(customer, (CustomerRecorded(customer),))


def revise(
    customer: Customer,
    profile: CustomerProfile,
    *,
    ancestors: Collection[CustomerId],
    changed_in: str = "",
) -> Change[Customer, CustomerEvent]:
    """Replace the profile; without a difference there is neither a new version nor an event.

    `ancestors` are the new parent, its parent, and so on.

    Raises:
        RegionMissing, UnknownCurrency, RegistrationRepeated, CertificateInvalid: see `record`.
        ParentCycle: the customer is one of its own ancestors.
    """
    if customer.customer_id in ancestors:
        raise ParentCycle(
            f"customer {customer.number} would belong to itself",
            field="parent_customer_id",
            advice="choose a parent that does not belong to it",
        )
    checked, status = _checked(profile)
    if (checked, status) == (customer.profile, customer.tax_status):
        return Change(customer, ())
    revised = _next(customer, changed_in, profile=checked, tax_status=status)
    return Change(revised, (CustomerRecorded(revised),))


def place_hold(
    customer: Customer, *, reason: str, changed_in: str = ""
) -> Change[Customer, CustomerEvent]:
    """Stop new work and releases.

    Raises:
        AlreadyOnHold: they are stopped already.
    """
    if customer.on_credit_hold:
        raise AlreadyOnHold(
            f"customer {customer.number} is on credit hold already",
            advice="release the hold first if its reason has changed",
        )
    held = _next(customer, changed_in, credit_hold_reason=reason)
    return Change(held, (CreditHoldMoved(held, reason),))


def release_hold(
    customer: Customer, *, reason: str, changed_in: str = ""
) -> Change[Customer, CustomerEvent]:
    """Let new work and releases go on.

    Raises:
        NotOnHold: nothing stops them.
    """
    if not customer.on_credit_hold:
        raise NotOnHold(f"customer {customer.number} is not on credit hold")
    free = _next(customer, changed_in, credit_hold_reason=None)
    return Change(free, (CreditHoldMoved(free, reason),))


def end(
    customer: Customer, *, on: date, reason: str, changed_in: str = ""
) -> Change[Customer, CustomerEvent]:
    """End the business as of a day: nothing new from then on.

    Raises:
        AlreadyEnded: a day is set already.
    """
    if customer.ended_on is not None:
        raise AlreadyEnded(
            f"business with customer {customer.number} ends on {customer.ended_on} already",
            advice="reopen it first if the day has changed",
        )
    ended = _next(customer, changed_in, ended_on=on)
    return Change(ended, (BusinessMoved(ended, reason),))


def reopen(
    customer: Customer, *, reason: str, changed_in: str = ""
) -> Change[Customer, CustomerEvent]:
    """Take the business up again.

    Raises:
        NotEnded: it never ended.
    """
    if customer.ended_on is None:
        raise NotEnded(f"business with customer {customer.number} goes on")
    reopened = _next(customer, changed_in, ended_on=None)
    return Change(reopened, (BusinessMoved(reopened, reason),))


def require_business(customer: Customer, *, on: date, field: str) -> None:
    """Refuse something new with a customer on a day on which business has ended.

    Raises:
        CustomerEnded: it has.
    """
    if customer.has_ended(on):
        raise CustomerEnded(
            f"business with customer {customer.number} ended on {customer.ended_on}",
            field=field,
            advice="have sales operations reopen the customer, or deal with another one",
        )


def set_limit(
    customer: Customer, limit: Money | None, *, reason: str, changed_in: str = ""
) -> Change[Customer, CustomerEvent]:
    """Set the most the customer may owe, None for no limit.

    Raises:
        LimitNotPositive: the limit is nothing or less; a hold is what stops everything.
    """
    if limit is not None and limit.amount <= 0:
        raise LimitNotPositive(
            "a credit limit is more than nothing",
            field="credit_limit.amount",
            advice="place a credit hold to stop all new work",
        )
    if limit == customer.credit_limit:
        return Change(customer, ())
    limited = _next(customer, changed_in, credit_limit=limit)
    return Change(limited, (CreditLimitSet(limited, reason),))


def _next(customer: Customer, changed_in: str, **changes: Any) -> Customer:
    return replace(customer, version=customer.version + 1, changed_in=changed_in, **changes)


def _checked(profile: CustomerProfile) -> tuple[CustomerProfile, TaxStatus]:
    require_region(profile.address)
    require_known(profile.currency, field="currency")
    registration = judge(profile.address.country, profile.tax_id)
    details = checked_details(profile.details)
    return replace(profile, tax_id=registration.tax_id, details=details), registration.status
