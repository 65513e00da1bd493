"""Legal entities and customers: what is checked, and when nothing happens."""

from dataclasses import replace

import pytest
from customer_contract_builders import (
    a_customer,
    a_customer_profile,
    an_entity,
    an_entity_profile,
)

from customer_contract.domain import customer as customers
from customer_contract.domain import legal_entity as entities
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.domain.values import CustomerId, PostalAddress, RegionMissing
from throughline_core.errors import InvalidArgument
from throughline_core.money import UnknownCurrency
from throughline_runtime.ids import new_id

NEW_YORK = PostalAddress(("1 Broadway",), "New York", "10004", "NY", "US")


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"time_zone": "Europe/Atlantis"}, entities.TimeZoneUnknown, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, entities.TimeZoneUnknown, "time_zone"),
        ({"tax_id": "DE136695970"}, entities.TaxIdInvalid, "tax_id"),
        ({"iban": "DE89370400440532013001"}, entities.IbanInvalid, "iban"),
        ({"address": replace(NEW_YORK, region="")}, RegionMissing, "address.region"),
    ],
)
def test_a_legal_entity_is_recorded_with_a_right_profile_only(
    changes: dict[str, object], refusal: type[InvalidArgument], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        entities.revise(an_entity(), an_entity_profile(**changes))
    assert refused.value.field == field


def test_the_books_are_kept_in_a_currency() -> None:
    with pytest.raises(UnknownCurrency):
        entities.record(
            an_entity().legal_entity_id, code="XX", currency="XXX", profile=an_entity_profile()
        )


def test_numbers_are_kept_in_compact_form() -> None:
    spelled = an_entity_profile(tax_id="de 136 695 976", iban="DE89 3704 0044 0532 0130 00")

    change = entities.revise(an_entity(profile=an_entity_profile(name="old")), spelled)

    assert change.state == an_entity(version=2)
    assert change.events == (entities.LegalEntityRecorded(change.state),)


def test_an_edit_without_a_difference_makes_no_version_and_no_event() -> None:
    assert entities.revise(an_entity(), an_entity_profile()).events == ()
    unchanged = customers.revise(a_customer(), a_customer_profile(), ancestors=())
    assert (unchanged.state, unchanged.events) == (a_customer(), ())


def test_a_correction_of_the_address_judges_the_registration_anew() -> None:
    change = customers.revise(a_customer(), a_customer_profile(address=NEW_YORK), ancestors=())
    assert change.state.tax_status is TaxStatus.INVALID
    assert change.state.version == 2


def test_a_customer_without_a_registration_its_country_asks_for_is_recorded_all_the_same() -> None:
    change = customers.record(
        a_customer().customer_id, a_customer_profile(tax_id=None), number="C-1", source=None
    )
    assert change.state.tax_status is TaxStatus.MISSING


def test_a_customer_never_belongs_to_itself() -> None:
    parent = CustomerId(new_id())
    moved = a_customer_profile(parent_customer_id=parent)

    with pytest.raises(customers.ParentCycle):
        customers.revise(a_customer(), moved, ancestors={parent, a_customer().customer_id})

    assert customers.revise(a_customer(), moved, ancestors={parent}).state.profile == moved


def test_a_credit_hold_is_placed_and_released_once_with_a_reason() -> None:
    held = customers.place_hold(a_customer(), reason="overdue")
    assert held.state == a_customer(version=2, credit_hold_reason="overdue")
    assert held.events == (customers.CreditHoldMoved(held.state, "overdue"),)
    with pytest.raises(customers.AlreadyOnHold):
        customers.place_hold(held.state, reason="again")

    free = customers.release_hold(held.state, reason="paid")
    assert free.state == a_customer(version=3)
    assert free.events == (customers.CreditHoldMoved(free.state, "paid"),)
    with pytest.raises(customers.NotOnHold):
        customers.release_hold(free.state, reason="again")
