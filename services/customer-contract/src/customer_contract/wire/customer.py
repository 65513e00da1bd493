"""Messages of customers."""

from hashlib import sha256
from typing import Final

from customer_contract.domain.customer import (
    Customer,
    CustomerEvent,
    CustomerOutcome,
    CustomerProfile,
)
from customer_contract.domain.customer_details import NO_DETAILS
from customer_contract.domain.source_record import SourceMark
from customer_contract.domain.values import CustomerId
from customer_contract.wire.party_details import (
    TAX_STATUS,
    read_details,
    write_certificates,
    write_contacts,
    write_registrations,
)
from customer_contract.wire.values import read_address, write_address, write_source
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import customer_pb2 as pb
from throughline.customer_contract.v1 import customer_service_pb2 as service_pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_optional_uuid,
    write_date,
    write_id,
    write_money,
)

CUSTOMER_OUTCOME: Final = EnumMap(service_pb.CustomerOutcome, CustomerOutcome)


def read_profile(
    request: service_pb.CreateCustomerRequest | service_pb.UpdateCustomerRequest,
) -> CustomerProfile:
    """Return the editable part of a customer as sent; without details it has none."""
    parent = read_optional_uuid("parent_customer_id", request.parent_customer_id)
    return CustomerProfile(
        name=request.name,
        parent_customer_id=None if parent is None else CustomerId(parent),
        address=read_address(request.address),
        tax_id=request.tax_id or None,
        payment_terms_days=request.payment_terms_days,
        currency=request.currency,
        billing_email=request.billing_email,
        details=read_details(request.details) if request.HasField("details") else NO_DETAILS,
    )


def read_mark(request: service_pb.CreateCustomerRequest) -> SourceMark:
    """Return how new the record is at its source, and the digest of all the source says in it."""
    content = service_pb.CreateCustomerRequest()
    content.CopyFrom(request)
    content.request_id = content.source.object_version = ""
    digest = sha256(content.SerializeToString(deterministic=True)).digest()
    return SourceMark(request.source.object_version, digest)


def write_customer(customer: Customer) -> pb.Customer:
    profile = customer.profile
    return pb.Customer(
        customer_id=str(customer.customer_id),
        version=customer.version,
        number=customer.number,
        name=profile.name,
        parent_customer_id=write_id(profile.parent_customer_id) or None,
        address=write_address(profile.address),
        tax_id=profile.tax_id,
        tax_status=TAX_STATUS.write(customer.tax_status),
        payment_terms_days=profile.payment_terms_days,
        currency=profile.currency,
        billing_email=profile.billing_email,
        credit_hold=customer.on_credit_hold,
        credit_hold_reason=customer.credit_hold_reason or "",
        source=write_source(customer.source),
        payer_customer_id=write_id(profile.details.payer_customer_id) or None,
        bill_to_customer_id=write_id(profile.details.bill_to_customer_id) or None,
        contacts=write_contacts(profile.details),
        tax_registrations=write_registrations(profile.details.registrations),
        exemption_certificates=write_certificates(profile.details),
        credit_limit=write_money(customer.credit_limit) if customer.credit_limit else None,
        ended_on=write_date(customer.ended_on) or None,
        changed_in=customer.changed_in,
    )


def write_event(event: CustomerEvent) -> Outgoing:
    """Return the event as it is published: always the customer's whole state."""
    customer = event.customer
    message = events_pb.CustomerRecorded(customer=write_customer(customer))
    return Outgoing(message, customer.customer_id, customer.version)
