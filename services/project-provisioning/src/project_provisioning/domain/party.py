"""What projects know of the customer they are for and the legal entities they belong to."""

from dataclasses import dataclass, fields
from datetime import date
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer as of one version; `ended_on` is the first day without business.

    `bill_to_customer_id` and `payer_customer_id` are its usual ones, None = itself.
    """

    version: int
    number: str
    name: str
    parent_customer_id: UUID | None = None
    bill_to_customer_id: UUID | None = None
    payer_customer_id: UUID | None = None
    address: str = ""
    tax_id: str = ""
    tax_status: str = ""
    ended_on: date | None = None
    credit_hold: bool = False


@dataclass(frozen=True, slots=True)
class EntityFacts:
    """A legal entity as of one version; `working_days` are 1 = Monday to 7 = Sunday."""

    version: int
    code: str
    name: str
    currency: str
    time_zone: str
    country: str
    holiday_country: str
    holiday_subdivision: str
    working_days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """The copy kept of a customer; the reason is that of the credit hold."""

    customer_id: UUID
    facts: CustomerFacts
    credit_hold_reason: str = ""


@dataclass(frozen=True, slots=True)
class FactChange:
    """One fact before and after, by its name in the API and as the API writes it."""

    fact: str
    old_value: str
    new_value: str


def differences(
    before: CustomerFacts | EntityFacts | None, after: CustomerFacts | EntityFacts
) -> tuple[FactChange, ...]:
    """Return which facts differ; the version is none of them."""
    found = []
    for field in fields(after):
        old = "" if before is None else spelled(getattr(before, field.name))
        new = spelled(getattr(after, field.name))
        if field.name != "version" and old != new:
            found.append(FactChange(field.name, old, new))
    return tuple(found)


def spelled(value: Any) -> str:
    """Return a fact as the API writes it; empty where there is none."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
