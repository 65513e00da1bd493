"""What open projects follow, and what closed ones keep."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from project_provisioning_builders import AT, CUSTOMER, DE01, an_id, planned

from project_provisioning.domain.employment import Employment, NotEmployed
from project_provisioning.domain.following import ChangeKind, Parties, follow, know, lead
from project_provisioning.domain.handover import (
    HandoverFinished,
    HandoverStatus,
    NothingToHandOver,
    Pending,
    SamePerson,
    Wish,
    advance,
    ask,
    cancel,
)
from project_provisioning.domain.party import CustomerFacts, EntityFacts, FactChange
from project_provisioning.domain.project import ProjectStatus

BUYER = CustomerFacts(version=3, number="C-000042", name="Kessler Werke GmbH", address="Kiel")
BERLIN = EntityFacts(
    version=2,
    code="DE01",
    name="Nordlicht GmbH",
    currency="EUR",
    time_zone="Europe/Berlin",
    country="DE",
    holiday_country="DE",
    holiday_subdivision="HH",
    working_days=(1, 2, 3, 4, 5),
)
IDA, BEN = an_id("131"), an_id("132")
TODAY = date(2026, 9, 7)
NOW = datetime(2026, 9, 7, 8, tzinfo=UTC)


def parties(*, customer: CustomerFacts = BUYER, entity: EntityFacts = BERLIN) -> Parties:
    return Parties({CUSTOMER: customer}, {DE01: entity})


[PLANNED] = planned()
KNOWN = know(PLANNED, parties())


def test_a_new_project_knows_its_parties_without_a_further_version() -> None:
    assert (KNOWN.customer, KNOWN.legal_entity) == (BUYER, BERLIN)
    assert KNOWN.version == PLANNED.version


def test_an_open_project_follows_its_customer_and_says_what_changed() -> None:
    moved = replace(BUYER, version=4, name="Kessler AG", bill_to_customer_id=an_id("c2"))

    following = follow(KNOWN, parties(customer=moved))

    assert following.state == replace(KNOWN, version=KNOWN.version + 1, customer=moved)
    [followed] = following.followed
    assert (followed.kind, followed.subject_id, followed.subject_version) == (
        ChangeKind.CUSTOMER,
        CUSTOMER,
        4,
    )
    assert followed.facts == (
        FactChange("name", "Kessler Werke GmbH", "Kessler AG"),
        FactChange("bill_to_customer_id", "", str(an_id("c2"))),
    )
    assert [event.project for event in following.events] == [following.state]


def test_a_zone_of_the_seller_is_followed_in_the_projects_days() -> None:
    lisbon = replace(BERLIN, version=3, time_zone="Europe/Lisbon")

    following = follow(KNOWN, parties(entity=lisbon))

    assert following.state.time_zone == "Europe/Lisbon"
    assert {each.kind for each in following.followed} == {
        ChangeKind.DELIVERING_ENTITY,
        ChangeKind.SELLING_ENTITY,
    }
    assert len(following.events) == 1


def test_what_the_project_does_not_show_makes_no_version() -> None:
    same = replace(BUYER, version=4)

    following = follow(KNOWN, parties(customer=same))

    assert following.state == replace(KNOWN, customer=same)
    assert following.events == ()


def test_an_older_version_never_overwrites_a_newer_one() -> None:
    older = replace(BUYER, version=2, name="Kessler")
    seller = replace(BERLIN, version=1, time_zone="Europe/Lisbon")

    assert follow(KNOWN, parties(customer=older, entity=seller)).state == KNOWN


def test_a_closed_project_keeps_what_it_had() -> None:
    closed = replace(KNOWN, status=ProjectStatus.CLOSED)
    moved = replace(BUYER, version=4, name="Kessler AG")

    assert follow(closed, parties(customer=moved)).state == closed


def test_a_change_of_manager_is_told_once() -> None:
    led = lead(KNOWN, IDA)

    assert led.state == replace(KNOWN, version=KNOWN.version + 1, manager_person_id=IDA)
    assert led.followed[0].facts == (FactChange("manager_person_id", "", str(IDA)),)
    assert lead(led.state, IDA).events == ()


# Hand-overs


def an_employment(valid_to: date | None = None) -> Employment:
    return Employment(DE01, date(2025, 1, 1), valid_to, "consultant", "", "")


def asked(
    *, to: UUID = BEN, employment: Employment | None = None, projects: int = 3
) -> HandoverStatus:
    wish = Wish(from_person_id=IDA, to_person_id=to, effective_on=TODAY)
    return ask(
        wish,
        handover_id=an_id("901"),
        employments=(employment or an_employment(),),
        open_projects=projects,
        pending=Pending(timesheets=2, own_timesheets=1),
        by="user:paula.pmo",
        at=AT,
    ).status


def test_a_handover_waits_for_its_day() -> None:
    assert asked() is HandoverStatus.WAITING


def test_nobody_hands_over_to_himself() -> None:
    with pytest.raises(SamePerson):
        asked(to=IDA)


def test_the_new_manager_has_to_be_employed_on_the_day() -> None:
    with pytest.raises(NotEmployed):
        asked(employment=an_employment(valid_to=TODAY))


def test_nothing_to_hand_over_is_refused() -> None:
    with pytest.raises(NothingToHandOver):
        asked(projects=0)


def test_a_handover_counts_its_projects_until_the_last() -> None:
    wish = Wish(from_person_id=IDA, to_person_id=BEN, effective_on=TODAY)
    begun = ask(
        wish,
        handover_id=an_id("901"),
        employments=(an_employment(),),
        open_projects=150,
        pending=Pending(),
        by="user:paula.pmo",
        at=AT,
    )

    half = advance(begun, moved=100, is_last=False, at=NOW)
    done = advance(half, moved=50, is_last=True, at=NOW)

    assert (half.status, half.moved_projects, half.finished_at) == (
        HandoverStatus.RUNNING,
        100,
        None,
    )
    assert (done.status, done.moved_projects, done.finished_at) == (HandoverStatus.DONE, 150, NOW)
    assert cancel(half, at=NOW).moved_projects == 100
    with pytest.raises(HandoverFinished):
        cancel(done, at=NOW)
