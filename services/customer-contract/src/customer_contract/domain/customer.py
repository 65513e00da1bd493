"""Customers: the parties that buy."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from customer_contract.domain.tax_registration import TaxStatus, judge
from customer_contract.domain.values import (
    CustomerId,
    PostalAddress,
    SourceRef,
    require_known,
    require_region,
)
from throughline_core.change import Change
from throughline_core.errors import AlreadyExists, FailedPrecondition


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


@dataclass(frozen=True, slots=True)
class Customer:
    """A party that buys; `credit_hold_reason` is set while it is on hold."""

    customer_id: CustomerId
    version: int
    number: str
    profile: CustomerProfile
    tax_status: TaxStatus
    credit_hold_reason: str | None
    source: SourceRef | None

    @property
    def on_credit_hold(self) -> bool:
        return self.credit_hold_reason is not None


@dataclass(frozen=True, slots=True)
class CustomerRecorded:
    """A customer was created or changed."""

    customer: Customer


@dataclass(frozen=True, slots=True)
class CreditHoldMoved:
    """A credit hold was placed or released, for a reason."""

    customer: Customer
    reason: str


CustomerEvent = CustomerRecorded | CreditHoldMoved


def record(
    customer_id: CustomerId,
    profile: CustomerProfile,
    *,
    number: str,
    source: SourceRef | None,
) -> Change[Customer, CustomerEvent]:
    """Make a customer and judge its tax registration.

    Raises:
        RegionMissing: its country's tax depends on the region, and there is none.
        UnknownCurrency: its currency is no ISO 4217 code.
    """
    checked, status = _checked(profile)
    customer = Customer(customer_id, 1, number, checked, status, None, source)
    return Change(customer, (CustomerRecorded(customer),))


def revise(
    customer: Customer, profile: CustomerProfile, *, ancestors: Collection[CustomerId]
) -> Change[Customer, CustomerEvent]:
    """Replace the profile; without a difference there is neither a new version nor an event.

    `ancestors` are the new parent, its parent, and so on.

    Raises:
        RegionMissing, UnknownCurrency: see `record`.
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
    revised = replace(customer, profile=checked, tax_status=status, version=customer.version + 1)
    return Change(revised, (CustomerRecorded(revised),))


def place_hold(customer: Customer, *, reason: str) -> Change[Customer, CustomerEvent]:
    """Stop new work and releases.

    Raises:
        AlreadyOnHold: they are stopped already.
    """
    if customer.on_credit_hold:
        raise AlreadyOnHold(
            f"customer {customer.number} is on credit hold already",
            advice="release the hold first if its reason has changed",
        )
    return _move_hold(customer, reason, reason)


def release_hold(customer: Customer, *, reason: str) -> Change[Customer, CustomerEvent]:
    """Let new work and releases go on.

    Raises:
        NotOnHold: nothing stops them.
    """
    if not customer.on_credit_hold:
        raise NotOnHold(f"customer {customer.number} is not on credit hold")
    return _move_hold(customer, None, reason)


def _move_hold(
    customer: Customer, hold: str | None, reason: str
) -> Change[Customer, CustomerEvent]:
    moved = replace(customer, credit_hold_reason=hold, version=customer.version + 1)
    return Change(moved, (CreditHoldMoved(moved, reason),))


def _checked(profile: CustomerProfile) -> tuple[CustomerProfile, TaxStatus]:
    require_region(profile.address)
    require_known(profile.currency, field="currency")
    registration = judge(profile.address.country, profile.tax_id)
    return replace(profile, tax_id=registration.tax_id), registration.status
