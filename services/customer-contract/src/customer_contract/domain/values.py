"""Identifiers and small values that several aggregates share."""

from dataclasses import dataclass, field
from typing import Final, NewType
from uuid import UUID

from throughline_core.errors import InvalidArgument
from throughline_core.money import MixedCurrencies, Money, UnknownCurrency, exponent

LegalEntityId = NewType("LegalEntityId", UUID)
CustomerId = NewType("CustomerId", UUID)
RateCardId = NewType("RateCardId", UUID)
QuoteId = NewType("QuoteId", UUID)
QuoteLineId = NewType("QuoteLineId", UUID)
ContractId = NewType("ContractId", UUID)
ContractLineId = NewType("ContractLineId", UUID)
ChangeOrderId = NewType("ChangeOrderId", UUID)
PersonId = NewType("PersonId", UUID)
ProposalId = NewType("ProposalId", UUID)
PricePolicyId = NewType("PricePolicyId", UUID)
CostRateCardId = NewType("CostRateCardId", UUID)

# Sales tax is a matter of the state or province there.
_COUNTRIES_TAXED_BY_REGION: Final = frozenset({"US", "CA"})


class RegionMissing(InvalidArgument):
    """Tax depends on the state or province, and the address names none."""

    code = "address.region_missing"


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """An address as printed; `country` is ISO 3166-1 alpha-2, `region` the state's code."""

    lines: tuple[str, ...]
    city: str
    postal_code: str
    region: str
    country: str


@dataclass(frozen=True, slots=True)
class SourceRef:
    """The key an object has in the system it came from."""

    system: str
    object_type: str
    object_id: str
    # How new it is there; which object it is does not depend on it.
    object_version: str = field(default="", compare=False)

    @property
    def parts(self) -> tuple[str, str, str]:
        """What an id derived from the source is made of."""
        return (self.system, self.object_type, self.object_id)


def is_taxed_by_region(country: str) -> bool:
    """Whether sales tax is a matter of each state or province of the country."""
    return country in _COUNTRIES_TAXED_BY_REGION


def require_region(address: PostalAddress) -> None:
    """Refuse an address without the region its country's tax depends on.

    Raises:
        RegionMissing: a United States or Canadian address names no state or province.
    """
    if is_taxed_by_region(address.country) and not address.region:
        raise RegionMissing(
            f"an address in {address.country} needs a state or province",
            field="address.region",
            advice="send its two-letter code",
        )


def require_known(currency: str, *, field: str) -> None:
    """Refuse a code that is no currency.

    Raises:
        UnknownCurrency: it is not in ISO 4217.
    """
    try:
        exponent(currency)
    except UnknownCurrency as refusal:
        refusal.field = field
        raise


def require_currency(money: Money | None, currency: str, *, field: str) -> None:
    """Refuse an amount in another currency than its document's; None passes.

    Raises:
        MixedCurrencies: it is.
    """
    if money is not None and money.currency != currency:
        raise MixedCurrencies(
            f"{field} is in {money.currency}, the document in {currency}",
            field=field,
            advice=f"send the amount in {currency}",
        )
