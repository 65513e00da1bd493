"""Customers as customer-contract publishes them, and what projects say of their parties."""

from typing import Final

from project_provisioning.domain.party import Customer, CustomerFacts, EntityFacts
from throughline.common.v1 import address_pb2
from throughline.customer_contract.v1 import customer_pb2
from throughline.project_provisioning.v1 import project_pb2 as pb
from throughline_runtime.fields import (
    read_optional_date,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
)

_PREFIX: Final = "TAX_STATUS_"
_UNKNOWN: Final = "unspecified"


def read_customer(customer: customer_pb2.Customer) -> Customer:
    """Return what projects need of a customer."""
    parent, bill_to, payer = (
        read_optional_uuid(name, getattr(customer, name))
        for name in ("parent_customer_id", "bill_to_customer_id", "payer_customer_id")
    )
    return Customer(
        customer_id=read_uuid("customer_id", customer.customer_id),
        facts=CustomerFacts(
            version=customer.version,
            number=customer.number,
            name=customer.name,
            parent_customer_id=parent,
            bill_to_customer_id=bill_to,
            payer_customer_id=payer,
            address=_on_one_line(customer.address),
            tax_id=customer.tax_id,
            tax_status=_read_tax_status(customer.tax_status),
            ended_on=read_optional_date("ended_on", customer.ended_on),
            credit_hold=customer.credit_hold,
        ),
        credit_hold_reason=customer.credit_hold_reason,
    )


def write_customer(facts: CustomerFacts | None) -> pb.ProjectCustomer | None:
    """Return what a project says of its customer."""
    if facts is None:
        return None
    return pb.ProjectCustomer(
        version=facts.version,
        number=facts.number,
        name=facts.name,
        parent_customer_id=write_id(facts.parent_customer_id) or None,
        bill_to_customer_id=write_id(facts.bill_to_customer_id) or None,
        payer_customer_id=write_id(facts.payer_customer_id) or None,
        address=facts.address,
        tax_id=facts.tax_id,
        tax_status=facts.tax_status,
        ended_on=write_date(facts.ended_on) or None,
        credit_hold=facts.credit_hold,
    )


def write_entity(facts: EntityFacts | None) -> pb.ProjectEntity | None:
    """Return what a project says of the legal entity that delivers it."""
    if facts is None:
        return None
    return pb.ProjectEntity(
        version=facts.version,
        code=facts.code,
        name=facts.name,
        currency=facts.currency,
        country=facts.country,
        holiday_country=facts.holiday_country,
        holiday_subdivision=facts.holiday_subdivision,
        working_days=facts.working_days,
        time_zone=facts.time_zone,
    )


def _on_one_line(address: address_pb2.PostalAddress) -> str:
    place = " ".join(filter(None, (address.postal_code, address.city)))
    return ", ".join(filter(None, (*address.lines, place, address.region, address.country)))


def _read_tax_status(number: "customer_pb2.TaxStatus.ValueType") -> str:
    """Return the word of the API; a status that is not known yet stays unspecified."""
    if number not in customer_pb2.TaxStatus.values():
        return _UNKNOWN
    return customer_pb2.TaxStatus.Name(number).removeprefix(_PREFIX).lower()
