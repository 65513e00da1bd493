"""What projects know of their parties, to and from the JSON it is kept as."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any
from uuid import UUID

from project_provisioning.domain.party import CustomerFacts, EntityFacts


def customer_values(facts: CustomerFacts | None) -> dict[str, Any] | None:
    return None if facts is None else {key: _plain(each) for key, each in asdict(facts).items()}


def entity_values(facts: EntityFacts | None) -> dict[str, Any] | None:
    return None if facts is None else {key: _plain(each) for key, each in asdict(facts).items()}


def customer_from(values: Mapping[str, Any] | None) -> CustomerFacts | None:
    if values is None:
        return None
    ended_on = values["ended_on"]
    return CustomerFacts(
        version=values["version"],
        number=values["number"],
        name=values["name"],
        parent_customer_id=_id(values["parent_customer_id"]),
        bill_to_customer_id=_id(values["bill_to_customer_id"]),
        payer_customer_id=_id(values["payer_customer_id"]),
        address=values["address"],
        tax_id=values["tax_id"],
        tax_status=values["tax_status"],
        ended_on=None if ended_on is None else date.fromisoformat(ended_on),
        credit_hold=values["credit_hold"],
    )


def entity_from(values: Mapping[str, Any] | None) -> EntityFacts | None:
    if values is None:
        return None
    return EntityFacts(**{**values, "working_days": tuple(values["working_days"])})


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID | date) else value


def _id(value: str | None) -> UUID | None:
    return None if value is None else UUID(value)
