"""Where tax is a matter of states, somebody has decided on nexus before work starts."""

from dataclasses import replace
from datetime import date

import pytest
from customer_contract_builders import (
    a_customer,
    a_customer_profile,
    an_entity,
    an_entity_profile,
)

from customer_contract.domain import legal_entity as entities
from customer_contract.domain.customer_details import CustomerDetails, ExemptionCertificate, checked
from customer_contract.domain.legal_entity import EntityDetails
from customer_contract.domain.tax_jurisdiction import Jurisdiction, judge_jurisdiction
from customer_contract.domain.tax_registration import (
    Registration,
    RegistrationIncomplete,
    TaxStatus,
)
from customer_contract.domain.values import PostalAddress

TODAY = date(2026, 9, 1)
BOSTON = PostalAddress(("1 Beacon Street",), "Boston", "02108", "MA", "US")
TRENTON = PostalAddress(("1 State Street",), "Trenton", "08608", "NJ", "US")
TORONTO = PostalAddress(("1 King Street",), "Toronto", "M5H 1A1", "ON", "CA")
HAMBURG = PostalAddress(("Am Sandtorkai 50",), "Hamburg", "20457", "", "DE")


def judged(
    seller_at: PostalAddress,
    bill_to_at: PostalAddress,
    *registrations: Registration,
    tax_status: TaxStatus = TaxStatus.NOT_REQUIRED,
    certificates: tuple[ExemptionCertificate, ...] = (),
) -> Jurisdiction:
    details = EntityDetails(registrations=registrations)
    seller = an_entity(
        code="US01", profile=an_entity_profile(address=seller_at, tax_id=None, details=details)
    )
    profile = a_customer_profile(
        address=bill_to_at, details=CustomerDetails(certificates=certificates)
    )
    bill_to = a_customer(profile=profile, tax_status=tax_status)
    return judge_jurisdiction(seller, bill_to, today=TODAY)


def no_nexus(region: str, country: str = "US") -> Registration:
    return Registration(country, region, "", no_nexus=True)


def test_another_state_of_the_sellers_country_needs_a_decision() -> None:
    undecided = judged(BOSTON, TRENTON)

    assert not undecided.is_settled
    assert "has nexus in US NJ" in undecided.advice


@pytest.mark.parametrize("status", TaxStatus)
def test_a_number_of_the_customers_does_not_decide_for_the_seller(status: TaxStatus) -> None:
    assert not judged(BOSTON, TRENTON, tax_status=status).is_settled


def test_the_sellers_own_state_and_one_it_is_registered_in_are_settled() -> None:
    assert judged(BOSTON, BOSTON) == Jurisdiction(True)
    assert judged(BOSTON, TRENTON, Registration("US", "nj", "NJ-1")) == Jurisdiction(True)


def test_without_nexus_no_tax_is_collected_and_the_check_says_so() -> None:
    settled = judged(BOSTON, TRENTON, no_nexus("NJ"))

    assert settled == Jurisdiction(True, note="no tax is collected: US01 has no nexus in US NJ")


def test_a_decision_on_another_state_settles_nothing() -> None:
    assert not judged(BOSTON, TRENTON, no_nexus("NY"), Registration("US", "CA", "1")).is_settled


def test_a_number_for_the_own_country_is_no_decision_on_its_states() -> None:
    assert not judged(BOSTON, TRENTON, Registration("US", "", "943216497")).is_settled


def test_what_names_the_state_goes_before_what_names_the_country() -> None:
    registered = Registration("US", "NJ", "NJ-1")
    assert judged(BOSTON, TRENTON, no_nexus(""), registered).note == ""
    assert judged(BOSTON, TRENTON, no_nexus("")).is_settled


def test_an_exemption_settles_a_state_that_nobody_decided_on() -> None:
    paper = ExemptionCertificate("US", "NJ", "EX-1", TODAY, date(2027, 1, 1), "")
    assert judged(BOSTON, TRENTON, certificates=(paper,)).is_settled
    late = replace(paper, valid_from=date(2026, 9, 2))
    assert not judged(BOSTON, TRENTON, certificates=(late,)).is_settled


@pytest.mark.parametrize(
    ("seller_at", "bill_to_at", "status"),
    [
        (BOSTON, HAMBURG, TaxStatus.VALID),
        (HAMBURG, TRENTON, TaxStatus.NOT_REQUIRED),
        (BOSTON, TORONTO, TaxStatus.NOT_REQUIRED),
    ],
)
def test_abroad_nobody_has_to_decide_on_states(
    seller_at: PostalAddress, bill_to_at: PostalAddress, status: TaxStatus
) -> None:
    assert judged(seller_at, bill_to_at, tax_status=status) == Jurisdiction(True)


@pytest.mark.parametrize(
    "entry", [Registration("US", "NJ", ""), Registration("US", "NJ", "NJ-1", no_nexus=True)]
)
def test_an_entry_has_a_number_or_says_that_there_is_none_to_have(entry: Registration) -> None:
    profile = an_entity_profile(details=EntityDetails(registrations=(entry,)))
    with pytest.raises(RegistrationIncomplete):
        entities.revise(an_entity(), profile)


def test_nexus_is_not_a_customers() -> None:
    with pytest.raises(RegistrationIncomplete):
        checked(CustomerDetails(registrations=(no_nexus("NJ"),)))
