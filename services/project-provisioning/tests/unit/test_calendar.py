"""What a person can work on a day: contracted minutes less holidays less leave."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from project_provisioning_builders import ADA, DE01, US01, an_id

from project_provisioning.domain.calendar import (
    Schedule,
    WorkCalendar,
    capacity_minutes,
    company_calendar,
    day_of,
    days_of,
)
from project_provisioning.domain.employment import Employment
from project_provisioning.domain.leave import (
    Leave,
    LeaveKind,
    LeavePeriodInvalid,
    LeaveStatus,
    OwnLeave,
    cancel,
    check_period,
    decide,
)
from project_provisioning.domain.legal_entity import LegalEntity
from project_provisioning.domain.public_holiday import HolidaysUnknown, require_known
from throughline_core.errors import IllegalTransition

AT = datetime(2026, 9, 1, tzinfo=UTC)
GERMAN = LegalEntity(DE01, 1, "DE01", "EUR", "Europe/Berlin", "DE", "DE", "BE", (1, 2, 3, 4, 5))
AMERICAN = LegalEntity(US01, 1, "US01", "USD", "America/New_York", "US", "US", "", (1, 2, 3, 4, 5))
EMPLOYED = Employment(DE01, date(2024, 1, 1), None, "consultant", "", "DE")
UNITY_DAY = date(2025, 10, 3)  # A Friday.


def a_schedule(*stretches: Employment, **values: Any) -> Schedule:
    known: dict[str, Any] = {
        "company_calendars": {
            each.legal_entity_id: company_calendar(each) for each in (GERMAN, AMERICAN)
        }
    }
    return Schedule(stretches or (EMPLOYED,), **known | values)


def a_leave(status: LeaveStatus = LeaveStatus.APPROVED, **values: Any) -> Leave:
    leave: dict[str, Any] = {
        "leave_id": an_id("501"),
        "version": 1,
        "person_id": ADA,
        "person_subject": "user:ada.brandt",
        "legal_entity_id": DE01,
        "kind": LeaveKind.VACATION,
        "starts_on": date(2026, 9, 7),
        "ends_on": date(2026, 9, 9),
        "half_days": False,
        "status": status,
        "requested_by": "client:hr",
        "requested_at": AT,
    }
    return Leave(**leave | values)


def test_a_week_has_five_days_of_eight_hours_where_nobody_says_otherwise() -> None:
    assert capacity_minutes(a_schedule(), date(2026, 9, 7), date(2026, 9, 14)) == 5 * 480


def test_a_public_holiday_takes_the_days_work_and_names_itself() -> None:
    day = day_of(a_schedule(), UNITY_DAY)

    assert (day.contracted_minutes, day.holiday_minutes, day.capacity_minutes) == (480, 480, 0)
    assert day.holiday == "German Unity Day"


def test_after_a_transfer_the_other_countrys_holidays_count() -> None:
    moves_on = date(2025, 7, 1)
    schedule = a_schedule(
        replace(EMPLOYED, valid_to=moves_on),
        Employment(US01, moves_on, None, "consultant", "", "US"),
    )

    assert day_of(schedule, UNITY_DAY).capacity_minutes == 480
    assert day_of(schedule, date(2025, 7, 4)).holiday == "Independence Day"


def test_part_time_is_by_weekday_and_goes_before_the_calendar() -> None:
    part_time = replace(EMPLOYED, weekday_minutes=(480, 480, 240, 0, 0, 0, 0))

    minutes = [
        day.capacity_minutes
        for day in days_of(a_schedule(part_time), date(2026, 9, 7), date(2026, 9, 14))
    ]

    assert minutes == [480, 480, 240, 0, 0, 0, 0]


def test_a_named_calendar_goes_before_the_companys_own() -> None:
    calendar = WorkCalendar(
        "plant", 1, "Plant", "AT", "", (450,) * 4 + (300, 0, 0), frozenset({date(2026, 12, 24)})
    )
    schedule = a_schedule(replace(EMPLOYED, work_calendar="plant"), calendars={"plant": calendar})

    assert day_of(schedule, date(2026, 9, 11)).capacity_minutes == 300
    assert day_of(schedule, date(2026, 12, 24)).holiday == "day off"
    assert day_of(schedule, date(2026, 10, 26)).holiday_minutes == 450, "Austria's national day"


def test_leave_takes_what_would_have_been_worked() -> None:
    schedule = a_schedule(leaves=(a_leave(),))

    assert day_of(schedule, date(2026, 9, 8)).leave_minutes == 480
    assert day_of(schedule, date(2026, 9, 9)).leave_minutes == 0
    on_holiday = a_leave(starts_on=UNITY_DAY, ends_on=UNITY_DAY + timedelta(1))
    assert day_of(a_schedule(leaves=(on_holiday,)), UNITY_DAY).leave_minutes == 0


def test_half_a_day_of_leave_leaves_the_other_half() -> None:
    schedule = a_schedule(leaves=(a_leave(half_days=True),))

    assert day_of(schedule, date(2026, 9, 7)).capacity_minutes == 240


def test_without_employment_there_is_no_capacity() -> None:
    left = replace(EMPLOYED, valid_to=date(2026, 9, 9))

    assert capacity_minutes(a_schedule(left), date(2026, 9, 7), date(2026, 9, 14)) == 2 * 480


@pytest.mark.parametrize(("country", "subdivision"), [("QQ", ""), ("DE", "ZZ")])
def test_a_place_nobody_knows_the_holidays_of_is_refused(country: str, subdivision: str) -> None:
    with pytest.raises(HolidaysUnknown):
        require_known(country, subdivision)


@pytest.mark.parametrize("by", ["user:ada.brandt", "client:hr"])
def test_leave_is_approved_by_neither_whose_it_is_nor_who_asked(by: str) -> None:
    with pytest.raises(OwnLeave):
        decide(a_leave(LeaveStatus.REQUESTED), LeaveStatus.APPROVED, by=by, at=AT, reason="")


def test_approved_leave_may_be_taken_back_but_not_rejected() -> None:
    approved = a_leave()

    assert cancel(approved, by="client:hr", at=AT, reason="ill").status is LeaveStatus.CANCELLED
    with pytest.raises(IllegalTransition):
        decide(approved, LeaveStatus.REJECTED, by="user:paula.pmo", at=AT, reason="no")


@pytest.mark.parametrize("days", [0, -1, 1101])
def test_a_leave_has_days_and_not_too_many(days: int) -> None:
    start = date(2026, 9, 7)
    with pytest.raises(LeavePeriodInvalid):
        check_period(start, start + timedelta(days), field="ends_on")
