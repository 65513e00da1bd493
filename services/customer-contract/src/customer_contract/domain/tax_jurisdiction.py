"""Who accounts for the tax where an invoice goes, or why nobody has to."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from customer_contract.domain.customer import Customer
from customer_contract.domain.legal_entity import LegalEntity
from customer_contract.domain.tax_registration import (
    Registration,
    TaxStatus,
    is_in_european_union,
)
from customer_contract.domain.values import PostalAddress, is_taxed_by_region


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """Whether it is settled who accounts for tax; else what to do, and what is worth knowing."""

    is_settled: bool
    advice: str = ""
    note: str = ""


def judge_jurisdiction(seller: LegalEntity, bill_to: Customer, *, today: date) -> Jurisdiction:
    """Return who accounts for the tax where the bill-to party is.

    We do where we are established or registered. Else the customer does by its own registration
    (reverse charge; within the European Union that takes ours too), or there is none to account
    for: an exemption, a country without registrations, or a state that we have no nexus in. What
    a state of our own country asks of us nobody can tell from the country: that is decided, and
    recorded as a registration there or as an entry without nexus.
    """
    address = bill_to.profile.address
    place = f"{address.country} {address.region}".strip()
    decisions = _decisions_for(seller, address)
    if decisions and all(one.no_nexus for one in decisions):
        return Jurisdiction(
            True, note=f"no tax is collected: {seller.code} has no nexus in {place}"
        )
    if decisions or _is_established_in(seller, address) or _is_exempt(bill_to, today):
        return Jurisdiction(True)
    if address.country == seller.profile.address.country:
        return Jurisdiction(
            False,
            advice=f"nobody has decided whether {seller.code} has nexus in {place}: record its "
            "registration there, or that it has none, or an exemption certificate",
        )
    if _is_left_to_customer(seller, bill_to):
        return Jurisdiction(True)
    return Jurisdiction(
        False,
        advice=f"neither {seller.code} nor customer {bill_to.number} is registered for tax in "
        f"{address.country}: record the registration of one of them, or an exemption certificate",
    )


def _decisions_for(seller: LegalEntity, address: PostalAddress) -> Collection[Registration]:
    """Return what the seller has recorded for a place; what names the state goes before the rest.

    A number that a seller has for its own country as a whole says nothing of the states there.
    """
    entries = [
        one for one in seller.profile.details.registrations if one.country == address.country
    ]
    if not is_taxed_by_region(address.country):
        return entries
    here = address.region.casefold()
    is_abroad = seller.profile.address.country != address.country
    return [one for one in entries if one.region.casefold() == here] or [
        one for one in entries if not one.region and (one.no_nexus or is_abroad)
    ]


def _is_established_in(seller: LegalEntity, address: PostalAddress) -> bool:
    home = seller.profile.address
    if home.country != address.country:
        return False
    is_own_state = home.region.casefold() == address.region.casefold()
    return is_own_state or not is_taxed_by_region(address.country)


def _is_exempt(bill_to: Customer, today: date) -> bool:
    address = bill_to.profile.address
    certificates = bill_to.profile.details.certificates_for(address.country, address.region)
    return any(one.holds_on(today) for one in certificates)


def _is_left_to_customer(seller: LegalEntity, bill_to: Customer) -> bool:
    if bill_to.tax_status is TaxStatus.NOT_REQUIRED:
        return True
    countries = (seller.profile.address.country, bill_to.profile.address.country)
    is_reversible = bool(seller.profile.tax_id) or not all(map(is_in_european_union, countries))
    return bill_to.tax_status is TaxStatus.VALID and is_reversible
