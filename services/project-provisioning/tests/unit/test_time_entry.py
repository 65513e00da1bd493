"""Every row keeps every rule, or is refused by name."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import (
    ADA,
    DE01,
    MONDAY,
    THE_SOURCE,
    TIME_TASK,
    US01,
    a_row,
    a_stretch,
    a_work_task,
    a_worker,
    an_id,
    columns,
    facts,
)

from project_provisioning.domain.time_entry import Ruling, judge, stop
from project_provisioning.domain.time_facts import Booking, Content, Facts, Recorded, Worker
from project_provisioning.domain.time_refusal import DAY_MINUTES_MAX


def broken_rules(ruling: Ruling) -> list[tuple[int, str, str]]:
    return [(refusal.place, refusal.field, refusal.rule) for refusal in ruling.refusals]


def test_an_entry_takes_over_what_it_does_not_say() -> None:
    [entry] = judge(columns(a_row()), facts()).entries

    assert (entry.role, entry.level, entry.region) == ("senior_consultant", "senior", "DE")
    assert entry.billable
    assert entry.week_start == MONDAY


def test_what_an_entry_says_goes_before_the_person_and_the_task() -> None:
    row = a_row(role="analyst", level="", region="AT", billable=False)

    [entry] = judge(columns(row), facts()).entries

    assert (entry.role, entry.level, entry.region) == ("analyst", "", "AT")
    assert not entry.billable


def test_a_sunday_belongs_to_the_week_of_the_monday_before() -> None:
    [entry] = judge(columns(a_row(work_date="2026-09-13")), facts()).entries

    assert entry.week_start == MONDAY


@pytest.mark.parametrize(
    ("values", "known", "broken"),
    [
        ({"person_id": str(an_id("999"))}, {}, ("person_id", "time_entry.person_unknown")),
        ({"task_id": "no id at all"}, {}, ("task_id", "time_entry.task_unknown")),
        ({}, {"tasks": [a_work_task(closed=True)]}, ("task_id", "time_entry.task_closed")),
        ({}, {"own_subject": "user:somebody"}, ("person_id", "time_entry.not_own")),
        ({"work_date": "2023-12-31"}, {}, ("work_date", "time_entry.before_employment")),
        ({"work_date": "2026-02-30"}, {}, ("work_date", "time_entry.malformed")),
        ({"work_date": "2026-W36-1"}, {}, ("work_date", "time_entry.malformed")),
        ({"work_date": ""}, {}, ("work_date", "time_entry.malformed")),
        ({"minutes": 0}, {}, ("minutes", "time_entry.minutes_out_of_range")),
        ({"minutes": -480}, {}, ("minutes", "time_entry.minutes_out_of_range")),
        ({"minutes": 1500}, {}, ("minutes", "time_entry.minutes_out_of_range")),
        (
            {"billable": True},
            {"tasks": [a_work_task(billable=False)]},
            ("billable", "time_entry.task_not_billable"),
        ),
        ({"note": "x" * 501}, {}, ("note", "time_entry.malformed")),
        ({"role": ""}, {}, ("role", "time_entry.malformed")),
        ({"activity": "lunch"}, {}, ("activity", "time_entry.activity_unknown")),
        (
            {},
            {"tasks": [a_work_task(work_ends_on=MONDAY)]},
            ("work_date", "time_entry.work_ended"),
        ),
        ({}, {"open_from": {str(DE01): date(2026, 9, 8)}}, ("work_date", "time_entry.locked")),
        (
            {},
            {"tasks": [a_work_task(requires_assignment=True)]},
            ("task_id", "time_entry.not_assigned"),
        ),
        ({"region": "x" * 41}, {}, ("region", "time_entry.malformed")),
        ({"source": THE_SOURCE._replace(object_id="")}, {}, ("source", "time_entry.malformed")),
        ({"source": THE_SOURCE._replace(system="x" * 41)}, {}, ("source", "time_entry.malformed")),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(
    values: Mapping[str, Any], known: Mapping[str, Any], broken: tuple[str, str]
) -> None:
    ruling = judge(columns(a_row(), a_row(**values)), facts(**known))

    assert (1, *broken) in broken_rules(ruling)
    assert 1 not in ruling.places


def test_time_that_is_not_billable_may_be_recorded_on_any_task() -> None:
    known = facts(tasks=[a_work_task(billable=False)])

    [entry] = judge(columns(a_row()), known).entries

    assert not entry.billable


def test_a_day_has_24_hours_with_what_is_stored() -> None:
    known = facts(workers=[a_worker({MONDAY: 1000})])

    ruling = judge(columns(a_row(minutes=440), a_row(minutes=1)), known)

    assert ruling.places == [0]
    assert broken_rules(ruling) == [(1, "minutes", "time_entry.day_limit")]


def test_the_day_limit_counts_rows_in_order_and_leaves_room_for_what_still_fits() -> None:
    rows = [a_row(minutes=minutes) for minutes in (1000, 500, 400)]

    ruling = judge(columns(*rows), facts())

    assert ruling.places == [0, 2]


def test_other_days_and_other_people_have_their_own_24_hours() -> None:
    grace = a_worker(person_id=str(an_id("132")))
    rows = [
        a_row(minutes=DAY_MINUTES_MAX),
        a_row(minutes=DAY_MINUTES_MAX, work_date="2026-09-08"),
        a_row(minutes=DAY_MINUTES_MAX, person_id=grace.person_id),
    ]

    assert judge(columns(*rows), facts(workers=[a_worker(), grace])).places == [0, 1, 2]


def recorded(**values: Any) -> Facts:
    said = Recorded(str(ADA), str(TIME_TASK), MONDAY, 480)._replace(**values)
    return facts(recorded={str(an_id("151")): said})


def test_the_same_source_is_the_same_entry() -> None:
    ruling = judge(columns(a_row(source=THE_SOURCE)), recorded())

    assert ruling.duplicates == {0: str(an_id("151"))}
    assert not ruling.entries
    assert not ruling.refusals


def test_a_repetition_in_one_request_is_a_duplicate_of_the_first() -> None:
    ruling = judge(columns(a_row(source=THE_SOURCE), a_row(source=THE_SOURCE)), facts())

    assert ruling.places == [0]
    assert ruling.duplicates == {1: str(an_id("151"))}


@pytest.mark.parametrize(
    "other",
    [{"minutes": 30}, {"work_date": date(2026, 9, 8)}, {"task_id": "x"}, {"person_id": "x"}],
)
def test_a_source_that_says_something_else_is_refused(other: Mapping[str, Any]) -> None:
    ruling = judge(columns(a_row(source=THE_SOURCE)), recorded(**other))

    assert broken_rules(ruling) == [(0, "source", "time_entry.source_differs")]


def test_a_row_refused_for_its_day_is_no_original_for_the_next() -> None:
    known = facts(workers=[a_worker({MONDAY: 1200})])
    rows = [a_row(source=THE_SOURCE), a_row(source=THE_SOURCE, minutes=60)]

    ruling = judge(columns(*rows), known)

    assert ruling.places == [1]


def test_an_entry_that_says_the_same_again_is_refused_unless_it_is_said_to_be_other_work() -> None:
    rows = [
        a_row(minutes=60, **values)
        for values in ({}, {}, {"allow_duplicate": True}, {"note": "Other work"})
    ]

    ruling = judge(columns(*rows), facts())

    assert broken_rules(ruling) == [(1, "note", "time_entry.looks_duplicate")]
    assert ruling.places == [0, 2, 3]


STORED = Content(str(ADA), str(TIME_TASK), MONDAY, 480, "", "Architecture workshop")


@pytest.mark.parametrize(
    ("stored", "sent", "refused"),
    [
        ("", None, True),
        ("time-tracker", None, True),
        ("", THE_SOURCE, True),
        ("other-tracker", THE_SOURCE, True),
        # One system tells its own entries apart, however alike they are.
        ("time-tracker", THE_SOURCE, False),
    ],
)
def test_the_same_work_from_another_source_looks_like_a_duplicate(
    stored: str, sent: Any, refused: bool
) -> None:
    known = facts(contents={STORED: frozenset({stored})})

    ruling = judge(columns(a_row(source=sent)), known)

    assert bool(ruling.refusals) == refused


TRANSFERRED = (
    a_stretch(valid_to=date(2026, 9, 9)),
    a_stretch(
        legal_entity_id=str(US01),
        valid_from=date(2026, 9, 9),
        valid_to=date(2026, 9, 11),
        role="lead",
    ),
)


def transferred(**values: Any) -> Worker:
    return a_worker(stretches=TRANSFERRED, **values)


def test_the_employment_on_the_work_date_gives_company_and_role() -> None:
    rows = [a_row(), a_row(work_date="2026-09-09")]

    entries = judge(columns(*rows), facts(workers=[transferred()])).entries

    assert [(each.stretch.legal_entity_id, each.role) for each in entries] == [
        (str(DE01), "senior_consultant"),
        (str(US01), "lead"),
    ]


def test_nobody_works_after_the_employment_has_ended() -> None:
    ruling = judge(columns(a_row(work_date="2026-09-11")), facts(workers=[transferred()]))

    assert broken_rules(ruling) == [(0, "work_date", "time_entry.not_employed")]


def test_days_with_a_company_the_caller_does_not_see_are_days_of_an_unknown_person() -> None:
    seen, hidden = TRANSFERRED
    worker = a_worker(stretches=(seen, hidden._replace(is_visible=False)))

    ruling = judge(columns(a_row(), a_row(work_date="2026-09-09")), facts(workers=[worker]))

    assert ruling.places == [0]
    assert broken_rules(ruling) == [(1, "person_id", "time_entry.person_unknown")]


def test_a_lock_date_is_that_of_the_company_of_the_day() -> None:
    known = facts(workers=[transferred()], open_from={str(US01): date(2026, 10, 1)})

    ruling = judge(columns(a_row(), a_row(work_date="2026-09-09")), known)

    assert ruling.places == [0]
    assert broken_rules(ruling) == [(1, "work_date", "time_entry.locked")]


@pytest.mark.parametrize(
    ("work_date", "rule"),
    [
        ("2026-09-08", "time_entry.before_assignment"),
        ("2026-09-09", None),
        ("2026-09-10", None),
        ("2026-09-11", "time_entry.not_assigned"),
    ],
)
def test_a_project_may_take_time_of_those_assigned_only(work_date: str, rule: str | None) -> None:
    booking = Booking(str(TIME_TASK), date(2026, 9, 9), date(2026, 9, 11))
    known = facts(
        workers=[a_worker(bookings=(booking,))], tasks=[a_work_task(requires_assignment=True)]
    )

    ruling = judge(columns(a_row(work_date=work_date)), known)

    assert [refusal.rule for refusal in ruling.refusals] == ([] if rule is None else [rule])


def test_what_a_working_time_rule_stops_is_refused_with_its_words() -> None:
    rows = [a_row(entry_id="a"), a_row(entry_id="b", note="More"), a_row(work_date="never")]
    ruling = judge(columns(*rows), facts())

    stop(ruling, {"b": "660 minutes on 2026-09-07, at most 600 are allowed"})

    assert ruling.places == [0]
    assert broken_rules(ruling) == [
        (1, "work_date", "time_entry.rule_broken"),
        (2, "work_date", "time_entry.malformed"),
    ]


@given(st.lists(st.integers(-100, 2000), max_size=40), st.integers(0, DAY_MINUTES_MAX))
def test_every_row_gets_exactly_one_outcome_and_no_day_overflows(
    minutes: list[int], stored: int
) -> None:
    rows = [a_row(minutes=each, allow_duplicate=True) for each in minutes]

    ruling = judge(columns(*rows), facts(workers=[a_worker({MONDAY: stored})]))

    outcomes = sorted([*ruling.places, *(refusal.place for refusal in ruling.refusals)])
    assert outcomes == list(range(len(rows)))
    assert stored + sum(entry.minutes for entry in ruling.entries) <= DAY_MINUTES_MAX
