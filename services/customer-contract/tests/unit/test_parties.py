"""Legal entities and customers: what is checked, and when nothing happens."""

from dataclasses import replace
from datetime import date

import pytest
from customer_contract_builders import (
    a_customer,
    a_customer_profile,
    an_entity,
    an_entity_profile,
)

from customer_contract.domain import calendar
from customer_contract.domain import customer as customers
from customer_contract.domain import legal_entity as entities
from customer_contract.domain.customer_details import CustomerDetails, ExemptionCertificate
from customer_contract.domain.legal_entity import EntityDetails
from customer_contract.domain.source_record import News, SourceMark, weigh
from customer_contract.domain.tax_registration import Registration, TaxStatus
from customer_contract.domain.values import CustomerId, PostalAddress, RegionMissing
from throughline_core.errors import InvalidArgument
from throughline_core.money import UnknownCurrency
from throughline_runtime.ids import new_id

NEW_YORK = PostalAddress(("1 Broadway",), "New York", "10004", "NY", "US")


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        (
            {"details": EntityDetails(holiday_country="XX")},
            calendar.CalendarUnknown,
            "details.holiday_country",
        ),
        (
            {"details": EntityDetails(holiday_subdivision="TX")},
            calendar.CalendarUnknown,
            "details.holiday_subdivision",
        ),
        (
            {"details": EntityDetails(registrations=(Registration("FR", "", "FR1"),))},
            entities.TaxIdInvalid,
            "details.tax_registrations[0].tax_id",
        ),
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


def test_a_calendar_knows_holidays_and_who_works_on_saturday() -> None:
    bavarian = EntityDetails(holiday_subdivision="BY", working_days=(1, 2, 3, 4, 6))
    berlin = entities.calendar_days(an_entity(), from_on=date(2026, 11, 1), to_on=date(2026, 11, 3))
    munich = entities.calendar_days(
        an_entity(profile=an_entity_profile(details=bavarian)),
        from_on=date(2026, 1, 5),
        to_on=date(2026, 1, 11),
    )

    assert [day.working for day in berlin] == [False, True]
    assert [day.holiday for day in munich] == ["", "Heilige Drei Könige", "", "", "", ""]
    assert [day.working for day in munich] == [True, False, True, True, False, True]


@pytest.mark.parametrize("to_on", [date(2026, 1, 1), date(2025, 1, 1), date(2027, 2, 6)])
def test_a_calendar_is_asked_for_a_period_of_at_most_400_days(to_on: date) -> None:
    with pytest.raises(calendar.PeriodInvalid):
        entities.calendar_days(an_entity(), from_on=date(2026, 1, 1), to_on=to_on)


def test_accounting_is_closed_up_to_yesterday_and_opened_with_a_reason_only() -> None:
    today = date(2026, 10, 1)
    closed = entities.close_period(an_entity(), date(2026, 9, 30), reason="", today=today).state

    assert closed.is_closed(date(2026, 9, 30))
    assert not closed.is_closed(date(2026, 10, 1))
    assert entities.close_period(closed, date(2026, 9, 30), reason="", today=today).events == ()
    with pytest.raises(entities.PeriodNotOver):
        entities.close_period(closed, today, reason="", today=today)
    for earlier in (date(2026, 8, 31), None):
        with pytest.raises(entities.ReasonMissing):
            entities.close_period(closed, earlier, reason=" ", today=today)
        opened = entities.close_period(closed, earlier, reason="late accrual", today=today).state
        assert not opened.is_closed(date(2026, 9, 30))


def test_an_ended_customer_gets_nothing_new_from_its_last_day_on() -> None:
    ended = customers.end(a_customer(), on=date(2026, 9, 1), reason="insolvent").state

    customers.require_business(ended, on=date(2026, 8, 31), field="customer_id")
    with pytest.raises(customers.CustomerEnded):
        customers.require_business(ended, on=date(2026, 9, 1), field="customer_id")
    with pytest.raises(customers.AlreadyEnded):
        customers.end(ended, on=date(2026, 10, 1), reason="again")
    reopened = customers.reopen(ended, reason="taken over").state
    customers.require_business(reopened, on=date(2026, 9, 1), field="customer_id")
    with pytest.raises(customers.NotEnded):
        customers.reopen(reopened, reason="again")


def test_a_change_says_which_system_it_came_from_and_the_next_one_forgets_it() -> None:
    profile = a_customer_profile(name="Renamed")
    imported = customers.revise(a_customer(), profile, ancestors=(), changed_in="salesforce").state
    corrected = customers.revise(imported, a_customer_profile(), ancestors=()).state

    assert (imported.changed_in, corrected.changed_in) == ("salesforce", "")


def test_registrations_of_countries_and_states_are_judged_and_kept() -> None:
    registrations = (
        Registration("FR", "", "fr 40 303 265 045"),
        Registration("DE", "", "DE136695970"),
        Registration("CA", "BC", "PST-1234-5678"),
    )
    details = CustomerDetails(registrations=registrations)

    judged = customers.record(
        a_customer().customer_id, a_customer_profile(details=details), number="C-1", source=None
    ).state.profile.details.registrations

    assert [(one.tax_id, one.status) for one in judged] == [
        ("FR40303265045", TaxStatus.VALID),
        ("DE136695970", TaxStatus.INVALID),
        ("PST12345678", TaxStatus.NOT_REQUIRED),
    ]


@pytest.mark.parametrize(
    ("details", "code"),
    [
        (
            CustomerDetails(
                registrations=(Registration("FR", "", "1"), Registration("FR", "", "2"))
            ),
            "tax_registration.repeated",
        ),
        (
            CustomerDetails(
                certificates=(
                    ExemptionCertificate("US", "NY", "1", date(2026, 1, 1), date(2026, 1, 1), ""),
                )
            ),
            "customer.certificate_invalid",
        ),
    ],
)
def test_a_tax_profile_that_contradicts_itself_is_refused(
    details: CustomerDetails, code: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        customers.revise(a_customer(), a_customer_profile(details=details), ancestors=())
    assert refused.value.stable_code == code


@pytest.mark.parametrize(
    ("known", "arriving", "news"),
    [
        (None, SourceMark("1", b"a"), News.NEW),
        (SourceMark("2", b"a"), SourceMark("1", b"b"), News.STALE),
        (SourceMark("2", b"a"), SourceMark("1", b"a"), News.STALE),
        (SourceMark("1", b"a"), SourceMark("2", b"a"), News.SAME),
        (SourceMark("1", b"a"), SourceMark("2", b"b"), News.NEW),
        (SourceMark("2", b"a"), SourceMark("2", b"b"), News.NEW),
        (SourceMark("", b"a"), SourceMark("1", b"b"), News.NEW),
        (SourceMark("1", b"a"), SourceMark("", b"b"), News.NEW),
        (SourceMark("", b"a"), SourceMark("", b"a"), News.SAME),
    ],
)
def test_only_what_a_source_has_not_said_before_is_news(
    known: SourceMark | None, arriving: SourceMark, news: News
) -> None:
    assert weigh(known, arriving) is news
