"""Parties to an invoice, as they were when it was made."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address as printed; `country` is ISO 3166-1 alpha-2."""

    lines: tuple[str, ...]
    city: str
    postal_code: str
    region: str
    country: str


@dataclass(frozen=True, slots=True)
class Party:
    """A party as it was when the invoice was drafted; the last four fields are the seller's."""

    party_id: UUID
    name: str
    address: Address
    tax_id: str = ""
    registration: str = ""
    iban: str = ""
    bic: str = ""
    email: str = ""

    @property
    def content(self) -> dict[str, object]:
        """The party as an issued invoice states it."""
        return {
            "name": self.name,
            "address": list(self.address.lines),
            "postal_code": self.address.postal_code,
            "city": self.address.city,
            "region": self.address.region,
            "country": self.address.country,
            "tax_id": self.tax_id,
            "registration": self.registration,
            "iban": self.iban,
            "bic": self.bic,
            "email": self.email,
        }
