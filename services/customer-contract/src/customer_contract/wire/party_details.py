"""Messages of tax profiles and contacts."""

from collections.abc import Iterable, Sequence
from typing import Final

from customer_contract.domain.customer_details import (
    Contact,
    ContactPurpose,
    CustomerDetails,
    ExemptionCertificate,
)
from customer_contract.domain.tax_registration import Registration, TaxStatus
from customer_contract.domain.values import CustomerId
from throughline.customer_contract.v1 import customer_pb2 as pb
from throughline.customer_contract.v1 import customer_service_pb2 as service_pb
from throughline_runtime.fields import EnumMap, read_date, read_optional_uuid, write_date

TAX_STATUS: Final = EnumMap(pb.TaxStatus, TaxStatus)


def read_registrations(messages: Iterable[pb.TaxRegistration]) -> tuple[Registration, ...]:
    """Return the registrations as sent; what their check says is not read."""
    return tuple(
        Registration(one.country, one.region, one.tax_id, no_nexus=one.no_nexus) for one in messages
    )


def write_registrations(registrations: Iterable[Registration]) -> Sequence[pb.TaxRegistration]:
    return [
        pb.TaxRegistration(
            country=one.country,
            region=one.region,
            tax_id=one.tax_id,
            status=TAX_STATUS.write(one.status),
            no_nexus=one.no_nexus,
        )
        for one in registrations
    ]


def read_details(message: service_pb.CustomerDetails) -> CustomerDetails:
    """Return the details as sent."""
    return CustomerDetails(
        payer_customer_id=_read_party("details.payer_customer_id", message.payer_customer_id),
        bill_to_customer_id=_read_party("details.bill_to_customer_id", message.bill_to_customer_id),
        contacts=tuple(
            Contact(one.name, ContactPurpose(one.purpose), one.email, one.phone)
            for one in message.contacts
        ),
        registrations=read_registrations(message.tax_registrations),
        certificates=tuple(
            _read_certificate(one, f"details.exemption_certificates[{index}]")
            for index, one in enumerate(message.exemption_certificates)
        ),
    )


def write_contacts(details: CustomerDetails) -> Sequence[pb.Contact]:
    return [
        pb.Contact(name=one.name, purpose=one.purpose.value, email=one.email, phone=one.phone)
        for one in details.contacts
    ]


def write_certificates(details: CustomerDetails) -> Sequence[pb.ExemptionCertificate]:
    return [
        pb.ExemptionCertificate(
            country=one.country,
            region=one.region,
            number=one.number,
            valid_from=write_date(one.valid_from),
            valid_to=write_date(one.valid_to),
            document_sha256=one.document_sha256,
        )
        for one in details.certificates
    ]


def _read_party(field: str, value: str) -> CustomerId | None:
    found = read_optional_uuid(field, value)
    return None if found is None else CustomerId(found)


def _read_certificate(message: pb.ExemptionCertificate, field: str) -> ExemptionCertificate:
    return ExemptionCertificate(
        country=message.country,
        region=message.region,
        number=message.number,
        valid_from=read_date(f"{field}.valid_from", message.valid_from),
        valid_to=read_date(f"{field}.valid_to", message.valid_to),
        document_sha256=message.document_sha256,
    )
