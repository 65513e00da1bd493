"""People are booked within what they can work; assignments change, end and follow a transfer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import (
    ADA,
    AT,
    DE01,
    US01,
    an_assignment,
    an_id,
    planned,
)

from project_provisioning.domain import assignment as domain
from project_provisioning.domain.assignment import (
    Assignment,
    AssignmentChanged,
    Availability,
    Booking,
    Overbooking,
    TransferRule,
)
from project_provisioning.domain.calendar import Schedule, days_of
from project_provisioning.domain.capacity import Booked, weeks_of, whole_weeks
from project_provisioning.domain.closing import ProjectClosed
from project_provisioning.domain.effort import Effort, NoWorkingDays, WeeksDiffer, cut, share
from project_provisioning.domain.employment import Employment
from project_provisioning.domain.leave import Leave, LeaveKind, LeaveStatus
from project_provisioning.domain.project import ProjectStatus
from throughline_core.errors import Refusal

[PROJECT_PLAN] = planned()
MONDAY = date(2026, 9, 7)
FOREVER = (Employment(DE01, date(2024, 1, 1), None, "consultant", "", ""),)
NO = Overbooking()
FORTY = Effort(Decimal(40), ())


def availability(
    draft: Assignment,
    *,
    employments: tuple[Employment, ...] = FOREVER,
    leaves: tuple[Leave, ...] = (),
    booked: Mapping[date, Booked] | None = None,
) -> Availability:
    first, before = whole_weeks(draft.starts_on, draft.ends_on)
    days = tuple(days_of(Schedule(employments, leaves=leaves), first, before))
    return Availability(employments, days, weeks_of(days, booked or {}))


def assigned(draft: Assignment, effort: Effort = FORTY, **known: Any) -> Assignment:
    facts = availability(draft, **known)
    return domain.assign(draft, effort, PROJECT_PLAN, facts, NO).state


def a_leave(starts_on: date, ends_on: date) -> Leave:
    return Leave(
        leave_id=an_id("1601"),
        version=1,
        person_id=ADA,
        person_subject="user:ada.brandt",
        legal_entity_id=DE01,
        kind=LeaveKind.VACATION,
        starts_on=starts_on,
        ends_on=ends_on,
        half_days=False,
        status=LeaveStatus.APPROVED,
        requested_by="user:ada.brandt",
        requested_at=AT,
    )


def test_hours_are_spread_evenly_over_working_days() -> None:
    # Wednesday to Tuesday: three working days, then two.
    draft = an_assignment(starts_on=date(2026, 9, 9), ends_on=date(2026, 9, 16))

    assert assigned(draft, Effort(Decimal(25), ())).weeks == (
        (MONDAY, Decimal(15)),
        (date(2026, 9, 14), Decimal(10)),
    )


def test_days_of_leave_are_no_working_days() -> None:
    draft = an_assignment(ends_on=date(2026, 9, 19))
    leave = a_leave(MONDAY, date(2026, 9, 12))

    assert assigned(draft, leaves=(leave,)).weeks == ((date(2026, 9, 14), Decimal(40)),)
    with pytest.raises(NoWorkingDays):
        assigned(an_assignment(), leaves=(leave,))


def test_hours_may_be_given_by_week() -> None:
    weeks = ((date(2026, 9, 14), Decimal(8)), (MONDAY, Decimal("32.5")))
    draft = an_assignment(ends_on=date(2026, 9, 21))

    booked = assigned(draft, Effort(None, weeks))

    assert booked.weeks == tuple(sorted(weeks))
    assert booked.planned_hours == Decimal("40.5")


@pytest.mark.parametrize(
    "effort",
    [
        Effort(None, ()),
        Effort(Decimal(0), ()),
        Effort(Decimal(200), ()),
        Effort(Decimal(8), ((MONDAY, Decimal(9)),)),
        Effort(None, ((MONDAY, Decimal(4)), (MONDAY, Decimal(4)))),
        Effort(None, ((MONDAY + timedelta(days=1), Decimal(4)),)),
        Effort(None, ((MONDAY + timedelta(days=7), Decimal(4)),)),
        Effort(None, ((MONDAY, Decimal(0)),)),
    ],
)
def test_hours_that_are_none_or_contradict_are_refused(effort: Effort) -> None:
    with pytest.raises(WeeksDiffer):
        assigned(an_assignment(), effort)


def test_a_hard_booking_over_capacity_is_refused_by_its_weeks() -> None:
    taken = {MONDAY: Booked(hard=Decimal("0.01"))}

    with pytest.raises(domain.OverCapacity, match="2026-09-07"):
        assigned(an_assignment(), booked=taken)
    assert assigned(an_assignment(), booked={MONDAY: Booked(soft=Decimal(40))}).planned_hours == 40


def test_overbooking_needs_to_be_allowed_with_a_reason() -> None:
    draft = an_assignment()
    facts = availability(draft, booked={MONDAY: Booked(hard=Decimal(8))})

    with pytest.raises(domain.ReasonMissing):
        domain.assign(draft, FORTY, PROJECT_PLAN, facts, Overbooking(allowed=True))
    agreed = Overbooking(allowed=True, reason="the client pays for the weekend")
    change = domain.assign(draft, FORTY, PROJECT_PLAN, facts, agreed)

    assert change.state.reason == "the client pays for the weekend"
    assert change.events == (AssignmentChanged(change.state),)
    assert [week.week_start for week in domain.overbooked(change.state, facts.weeks)] == [MONDAY]


def test_a_soft_booking_over_capacity_warns_only() -> None:
    draft = an_assignment(booking=Booking.SOFT)
    facts = availability(draft, booked={MONDAY: Booked(hard=Decimal(8))})

    soft = domain.assign(draft, FORTY, PROJECT_PLAN, facts, NO).state

    [week] = domain.overbooked(soft, facts.weeks)
    assert week.booked == Booked(hard=Decimal(8), soft=Decimal(40))
    assert week.capacity == 40
    with pytest.raises(domain.OverCapacity):
        domain.confirm(soft, PROJECT_PLAN, facts, NO)


def test_a_soft_booking_is_confirmed_once() -> None:
    soft = assigned(an_assignment(booking=Booking.SOFT))
    facts = availability(soft)

    hard = domain.confirm(soft, PROJECT_PLAN, facts, NO).state

    assert (hard.booking, hard.version) == (Booking.HARD, 2)
    with pytest.raises(domain.AssignmentConfirmed):
        domain.confirm(hard, PROJECT_PLAN, facts, NO)


@pytest.mark.parametrize(
    ("values", "known", "refusal"),
    [
        ({"ends_on": MONDAY}, {}, domain.AssignmentDatesReversed),
        ({"starts_on": date(2026, 8, 31)}, {}, domain.OutsideProject),
        ({"ends_on": date(2027, 9, 2)}, {}, domain.OutsideProject),
        ({}, {"employments": ()}, domain.OutsideEmployment),
        (
            {},
            {"employments": (replace(FOREVER[0], valid_to=date(2026, 9, 9)),)},
            domain.OutsideEmployment,
        ),
        (
            {},
            {
                "employments": (
                    replace(FOREVER[0], valid_to=date(2026, 9, 9)),
                    replace(FOREVER[0], valid_from=date(2026, 9, 9), legal_entity_id=US01),
                )
            },
            domain.OutsideEmployment,
        ),
    ],
)
def test_an_assignment_lies_within_project_and_one_employment(
    values: dict[str, Any], known: dict[str, Any], refusal: type[Refusal]
) -> None:
    draft = an_assignment(**values)
    facts = availability(an_assignment(), **known)

    with pytest.raises(refusal):
        domain.assign(draft, FORTY, PROJECT_PLAN, facts, NO)


def test_nobody_is_assigned_to_a_closed_project() -> None:
    closed = replace(PROJECT_PLAN, status=ProjectStatus.CLOSED)

    with pytest.raises(ProjectClosed):
        domain.assign(an_assignment(), FORTY, closed, availability(an_assignment()), NO)


def the_working_days(assignment: Assignment) -> list[date]:
    days = availability(assignment).days
    return [day.day for day in days if day.capacity_minutes > 0]


def test_what_is_ended_keeps_the_hours_before_and_frees_the_rest() -> None:
    booked = assigned(an_assignment(ends_on=date(2026, 9, 19)), Effort(Decimal(80), ()))
    days = the_working_days(booked)

    ended = domain.end(booked, date(2026, 9, 16), "the client stopped", days).state

    assert ended.weeks == ((MONDAY, Decimal(40)), (date(2026, 9, 14), Decimal(16)))
    assert (ended.ended, ended.ends_on) == (True, date(2026, 9, 16))
    with pytest.raises(domain.AssignmentEnded):
        domain.end(ended, date(2026, 9, 15), "again", days)
    with pytest.raises(domain.AssignmentEnded):
        domain.change(ended, FORTY, PROJECT_PLAN, availability(booked), NO)
    with pytest.raises(domain.EndTooLate):
        domain.end(booked, date(2026, 9, 19), "by itself", days)


def test_what_never_began_has_no_days_and_no_hours() -> None:
    booked = assigned(an_assignment())

    ended = domain.end(booked, date(2026, 9, 1), "not needed", the_working_days(booked)).state

    assert (ended.starts_on, ended.ends_on, ended.weeks) == (MONDAY, MONDAY, ())


def test_an_assignment_follows_the_person_to_another_entity() -> None:
    booked = assigned(an_assignment(ends_on=date(2026, 9, 19)), Effort(Decimal(80), ()))
    moved_on = date(2026, 9, 9)

    first, second = (
        change.state
        for change in domain.transfer(
            booked, moved_on, US01, an_id("1502"), the_working_days(booked)
        )
    )

    assert (first.legal_entity_id, first.ends_on, first.ended) == (DE01, moved_on, False)
    assert first.weeks == ((MONDAY, Decimal(16)),)
    assert (second.legal_entity_id, second.starts_on, second.version) == (US01, moved_on, 1)
    assert second.weeks == ((MONDAY, Decimal(24)), (date(2026, 9, 14), Decimal(40)))
    assert second.continues_assignment_id == booked.assignment_id
    assert first.planned_hours + second.planned_hours == booked.planned_hours


def test_an_assignment_that_begins_later_follows_as_a_whole() -> None:
    booked = assigned(an_assignment())

    [change] = domain.transfer(booked, MONDAY, US01, an_id("1502"), ())

    assert change.state == replace(booked, version=2, legal_entity_id=US01)


def test_an_assignment_stops_where_its_rule_says_so() -> None:
    booked = assigned(an_assignment(transfer_rule=TransferRule.STOP))

    [change] = domain.transfer(
        booked, date(2026, 9, 9), US01, an_id("1502"), the_working_days(booked)
    )

    assert (change.state.ended, change.state.ends_on) == (True, date(2026, 9, 9))
    assert change.state.legal_entity_id == DE01


def test_what_is_over_before_the_transfer_stays() -> None:
    booked = assigned(an_assignment())

    assert domain.transfer(booked, booked.ends_on, US01, an_id("1502"), ()) == []


@given(
    hundredths=st.integers(0, 10**9),
    weights=st.lists(st.integers(0, 50), min_size=1, max_size=60).filter(any),
)
def test_shared_hours_sum_to_what_there_was(hundredths: int, weights: list[int]) -> None:
    hours = Decimal(hundredths) / 100
    parts = share(hours, weights)

    assert sum(parts) == hours
    assert all(not part for part, weight in zip(parts, weights, strict=True) if not weight)


@given(
    first=st.dates(date(2026, 1, 1), date(2026, 6, 1)),
    length=st.integers(1, 200),
    offset=st.integers(0, 220),
    hundredths=st.integers(1, 100_000),
    off=st.sets(st.integers(0, 200), max_size=60),
)
def test_a_cut_loses_no_hours(
    first: date, length: int, offset: int, hundredths: int, off: set[int]
) -> None:
    days = [first + timedelta(days=each) for each in range(length) if each not in off]
    end = first + timedelta(days=length)
    mondays = sorted({day - timedelta(days=day.weekday()) for day in days})
    weeks = tuple((monday, Decimal(hundredths) / 100) for monday in mondays)

    before, after = cut(first, end, weeks, first + timedelta(days=offset), days)

    assert sum(hours for _, hours in (*before, *after)) == sum(hours for _, hours in weeks)
