"""Tax profiles and contacts as JSON columns."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row

from customer_contract.domain.customer_details import (
    Contact,
    ContactPurpose,
    CustomerDetails,
    ExemptionCertificate,
)
from customer_contract.domain.tax_registration import Registration, TaxStatus


def registration_columns(registrations: Iterable[Registration]) -> list[dict[str, object]]:
    return [
        {
            "country": one.country,
            "region": one.region,
            "tax_id": one.tax_id,
            "status": one.status.value,
            # Absent unless it is so: most entries are registrations.
            **({"no_nexus": True} if one.no_nexus else {}),
        }
        for one in registrations
    ]


def registrations_from(stored: Sequence[Mapping[str, Any]]) -> tuple[Registration, ...]:
    return tuple(
        Registration(
            one["country"],
            one["region"],
            one["tax_id"],
            TaxStatus(one["status"]),
            one.get("no_nexus", False),
        )
        for one in stored
    )


def detail_columns(details: CustomerDetails) -> dict[str, object]:
    return {
        "payer_customer_id": details.payer_customer_id,
        "bill_to_customer_id": details.bill_to_customer_id,
        "contacts": [
            {
                "name": one.name,
                "purpose": one.purpose.value,
                "email": one.email,
                "phone": one.phone,
            }
            for one in details.contacts
        ],
        "tax_registrations": registration_columns(details.registrations),
        "exemption_certificates": [
            {
                "country": one.country,
                "region": one.region,
                "number": one.number,
                "valid_from": one.valid_from.isoformat(),
                "valid_to": one.valid_to.isoformat(),
                "document_sha256": one.document_sha256,
            }
            for one in details.certificates
        ],
    }


def details_from(row: Row[Any]) -> CustomerDetails:
    return CustomerDetails(
        payer_customer_id=row.payer_customer_id,
        bill_to_customer_id=row.bill_to_customer_id,
        contacts=tuple(
            Contact(one["name"], ContactPurpose(one["purpose"]), one["email"], one["phone"])
            for one in row.contacts
        ),
        registrations=registrations_from(row.tax_registrations),
        certificates=tuple(
            ExemptionCertificate(
                country=one["country"],
                region=one["region"],
                number=one["number"],
                valid_from=date.fromisoformat(one["valid_from"]),
                valid_to=date.fromisoformat(one["valid_to"]),
                document_sha256=one["document_sha256"],
            )
            for one in row.exemption_certificates
        ),
    )
