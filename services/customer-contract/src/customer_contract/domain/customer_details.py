"""What a customer has besides identity and terms: parties, contacts, tax profile."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from customer_contract.domain.tax_registration import (
    Registration,
    RegistrationIncomplete,
    judge_all,
)
from customer_contract.domain.values import CustomerId
from throughline_core.errors import InvalidArgument


class CertificateInvalid(InvalidArgument):
    """An exemption certificate ends before it begins."""

    code = "customer.certificate_invalid"


class ContactPurpose(StrEnum):
    """What somebody at the customer's is asked about."""

    BILLING = "billing"
    DELIVERY = "delivery"
    LEGAL = "legal"
    PURCHASING = "purchasing"


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody at the customer's."""

    name: str
    purpose: ContactPurpose
    email: str
    phone: str


@dataclass(frozen=True, slots=True)
class ExemptionCertificate:
    """A paper that frees from tax in a country or a region of it, in `[valid_from, valid_to)`."""

    country: str
    region: str
    number: str
    valid_from: date
    valid_to: date
    document_sha256: str

    def covers(self, country: str, region: str) -> bool:
        """Whether it is for this jurisdiction: one for a country is for its regions too."""
        return self.country == country and self.region in ("", region)

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day < self.valid_to


@dataclass(frozen=True, slots=True)
class CustomerDetails:
    """Who pays and is billed unless the contract says otherwise (None = itself), and the rest."""

    payer_customer_id: CustomerId | None = None
    bill_to_customer_id: CustomerId | None = None
    contacts: tuple[Contact, ...] = ()
    registrations: tuple[Registration, ...] = ()
    certificates: tuple[ExemptionCertificate, ...] = ()

    @property
    def parties(self) -> frozenset[CustomerId]:
        """The other customers it names."""
        return frozenset(filter(None, (self.payer_customer_id, self.bill_to_customer_id)))

    def certificates_for(self, country: str, region: str) -> Iterable[ExemptionCertificate]:
        return (one for one in self.certificates if one.covers(country, region))


NO_DETAILS: Final = CustomerDetails()


def checked(details: CustomerDetails) -> CustomerDetails:
    """Return the details with their registrations judged.

    Raises:
        RegistrationRepeated: two are for one jurisdiction.
        RegistrationIncomplete: one has no number; nexus is a matter of those who sell.
        CertificateInvalid: one ends before it begins.
    """
    for index, registration in enumerate(details.registrations):
        if registration.no_nexus:
            raise RegistrationIncomplete(
                "a customer is registered, or it is not: nexus is ours to have",
                field=f"details.tax_registrations[{index}].no_nexus",
                advice="record it with the legal entity that sells",
            )
    for index, one in enumerate(details.certificates):
        if one.valid_to <= one.valid_from:
            raise CertificateInvalid(
                f"certificate {one.number} ends before it begins",
                field=f"details.exemption_certificates[{index}].valid_to",
                advice="send the first day on which it no longer holds",
            )
    registrations = judge_all(details.registrations, field="details.tax_registrations")
    return replace(details, registrations=registrations)
