"""Calendars, leave from the system that keeps it, and working-time rules at work."""

from datetime import date
from typing import Any

import pytest
from project_provisioning_builders import DE01, US01
from project_provisioning_people import People, a_limit
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    PROPOSER,
    Deal,
    World,
    a_key,
    a_row,
)

from throughline.common.v1.source_pb2 import SourceRef
from throughline.project_provisioning.v1 import calendar_service_pb2 as pb
from throughline.project_provisioning.v1 import time_rule_service_pb2 as rule_pb
from throughline.project_provisioning.v1 import workforce_service_pb2 as workforce_pb
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Refusal,
)
from throughline_testing.serving import a_caller

OMAR = a_caller("consultant", subject="user:omar")


@pytest.fixture
def people(world: World) -> People:
    return People(world)


def a_leave(person_id: str, source_id: str, **values: Any) -> pb.LeaveRow:
    row: dict[str, Any] = {
        "person_id": person_id,
        "kind": pb.LEAVE_KIND_VACATION,
        "starts_on": "2026-09-07",
        "ends_on": "2026-09-09",
        "source": SourceRef(system="hr", object_type="absence", object_id=source_id),
    }
    return pb.LeaveRow(**row | values)


async def bring_in(
    people: People, *rows: pb.LeaveRow, partial: bool = False
) -> pb.ImportLeavesResponse:
    request = pb.ImportLeavesRequest(request_id=a_key(), rows=rows, partial=partial)
    return await people.leaves(INTEGRATION).ImportLeaves(request)


async def minutes_of(people: People, person_id: str) -> list[int]:
    request = pb.ListWorkingDaysRequest(
        person_id=person_id, first_on="2026-09-07", before="2026-09-12"
    )
    days = (await people.calendars().ListWorkingDays(request)).days
    return [day.capacity_minutes for day in days]


async def test_capacity_is_work_less_holidays_less_leave(world: World, people: People) -> None:
    ada = (await world.ada()).person_id
    await people.calendars().PutWorkCalendar(
        pb.PutWorkCalendarRequest(
            request_id=a_key(),
            code="de-short-week",
            name="Four days",
            country="DE",
            subdivision="BE",
            weekday_minutes=[480, 480, 480, 480, 0, 0, 0],
            days_off=["2026-09-10"],
        )
    )
    await people.workforce().ChangeEmployment(
        workforce_pb.ChangeEmploymentRequest(
            request_id=a_key(),
            person_id=ada,
            effective_on="2026-09-01",
            terms=workforce_pb.EmploymentTerms(work_calendar="de-short-week"),
        )
    )
    await bring_in(people, a_leave(ada, "L-1", half_days=True))

    assert await minutes_of(people, ada) == [240, 240, 480, 0, 0]
    capacities = await people.calendars().ListCapacities(
        pb.ListCapacitiesRequest(first_on="2026-09-07", before="2026-09-12")
    )
    [capacity] = capacities.capacities
    assert (capacity.contracted_minutes, capacity.holiday_minutes) == (4 * 480, 480)
    assert (capacity.leave_minutes, capacity.capacity_minutes) == (480, 960)


async def test_leave_is_asked_for_and_approved_by_a_second_person(
    world: World, people: People
) -> None:
    ada = (await world.ada()).person_id
    request = pb.RequestLeaveRequest(
        request_id=a_key(),
        person_id=ada,
        kind=pb.LEAVE_KIND_VACATION,
        starts_on="2026-09-07",
        ends_on="2026-09-12",
    )
    with pytest.raises(PermissionDenied):
        await people.leaves(OMAR).RequestLeave(request)
    leave = (await people.leaves(ADA_SIGNED_IN).RequestLeave(request)).leave
    assert sum(await minutes_of(people, ada)) == 5 * 480, "what is asked for takes nothing yet"

    await people.leaves().ApproveLeave(
        pb.ApproveLeaveRequest(request_id=a_key(), leave_id=leave.leave_id)
    )

    assert sum(await minutes_of(people, ada)) == 0
    with pytest.raises(AlreadyExists):
        await people.leaves(ADA_SIGNED_IN).RequestLeave(
            pb.RequestLeaveRequest(
                request_id=a_key(),
                person_id=ada,
                kind=pb.LEAVE_KIND_SICKNESS,
                starts_on="2026-09-11",
                ends_on="2026-09-14",
            )
        )
    cancel = pb.CancelLeaveRequest(
        request_id=a_key(), leave_id=leave.leave_id, reason="kickoff moved"
    )
    await people.leaves(ADA_SIGNED_IN).CancelLeave(cancel)
    assert sum(await minutes_of(people, ada)) == 5 * 480


async def test_the_same_import_twice_and_shuffled_changes_nothing(
    world: World, people: People
) -> None:
    ada, other = (await world.ada()).person_id, (await world.a_person()).person_id
    rows = [
        a_leave(ada, "L-1"),
        a_leave(ada, "L-2", starts_on="2026-09-14", ends_on="2026-09-15"),
        a_leave(other, "L-3"),
    ]

    first = await bring_in(people, *rows)
    again = await bring_in(people, *reversed(rows))

    assert (first.recorded, first.duplicates) == (3, 0)
    assert (again.recorded, again.duplicates, again.changed) == (0, 3, 0)
    assert await world.scalar("SELECT count(*) FROM leave") == 3


async def test_what_changed_in_the_other_system_changes_here(world: World, people: People) -> None:
    ada = (await world.ada()).person_id
    await bring_in(people, a_leave(ada, "L-1"))

    moved = await bring_in(people, a_leave(ada, "L-1", ends_on="2026-09-08"))
    assert (moved.changed, await minutes_of(people, ada)) == (1, [0, 480, 480, 480, 480])

    gone = await bring_in(people, a_leave(ada, "L-1", ends_on="2026-09-08", cancelled=True))
    assert (gone.changed, sum(await minutes_of(people, ada))) == (1, 5 * 480)


async def test_one_bad_row_stops_all_rows_unless_partial(world: World, people: People) -> None:
    ada = (await world.ada()).person_id
    rows = [
        a_leave(ada, "L-1"),
        a_leave(ada, "L-2", starts_on="2026-09-08", ends_on="2026-09-10"),
        a_leave(str(US01), "L-3"),
        a_leave(ada, "L-4", starts_on="2026-09-14", ends_on="2026-09-14"),
        a_leave(ada, "L-5", starts_on="2023-09-14", ends_on="2023-09-15"),
    ]

    with pytest.raises(InvalidArgument):
        await bring_in(people, *rows)
    assert await world.scalar("SELECT count(*) FROM leave") == 0

    answer = await bring_in(people, *rows, partial=True)
    assert answer.recorded == 1
    assert [(each.row, each.rule) for each in answer.refused] == [
        (1, "leave.overlap"),
        (2, "person.not_found"),
        (3, "leave.period_invalid"),
        (4, "employment.not_employed"),
    ]


async def test_when_somebody_is_away_is_not_for_everybody(world: World, people: People) -> None:
    ada = (await world.ada()).person_id
    await bring_in(people, a_leave(ada, "L-1", kind=pb.LEAVE_KIND_SICKNESS))

    assert not (await people.leaves(OMAR).ListLeaves(pb.ListLeavesRequest())).leaves
    request = pb.ListWorkingDaysRequest(person_id=ada, first_on="2026-09-07", before="2026-09-12")
    with pytest.raises(PermissionDenied):
        await people.calendars(OMAR).ListWorkingDays(request)
    assert (await people.leaves(ADA_SIGNED_IN).ListLeaves(pb.ListLeavesRequest())).leaves


async def propose(people: People, **rules: Any) -> str:
    proposed = await people.time_rules(PROPOSER).ProposeTimeRules(
        rule_pb.ProposeTimeRulesRequest(
            request_id=a_key(),
            country="DE",
            effective_from="2026-01-01",
            rules=rule_pb.TimeRules(**rules),
        )
    )
    return proposed.time_rules.time_rules_id


def activation(time_rules_id: str) -> rule_pb.ActivateTimeRulesRequest:
    return rule_pb.ActivateTimeRulesRequest(request_id=a_key(), time_rules_id=time_rules_id)


async def test_rules_of_a_country_hold_for_its_company_once_a_second_person_lets_them(
    world: World, people: People
) -> None:
    deal = Deal(world)
    await deal.prepare(2)
    german, american = deal.people
    await people.transfer(american, str(US01), "2026-09-01")
    stop = a_limit(600, rule_pb.RULE_SEVERITY_STOP)
    rules_id = await propose(people, day_minutes_max=stop)
    long_day: dict[str, Any] = {"on": date(2026, 9, 7), "minutes": 601}
    with pytest.raises(PermissionDenied):
        await people.time_rules(PROPOSER).ActivateTimeRules(activation(rules_id))

    await people.time_rules().ActivateTimeRules(activation(rules_id))

    await world.import_time([a_row(american, deal.task, **long_day)])
    with pytest.raises(Refusal) as refused:
        await world.import_time([a_row(german, deal.task, **long_day)])
    assert "600" in str(refused.value)
    [version] = (
        await people.time_rules().ListTimeRules(
            rule_pb.ListTimeRulesRequest(country="DE", status=rule_pb.RULE_SET_STATUS_ACTIVE)
        )
    ).time_rules
    assert (version.version, version.proposed_by, version.decided_by) == (
        1,
        "user:peter.pmo",
        "user:paula.pmo",
    )


async def test_a_withdrawn_proposal_never_holds(world: World, people: People) -> None:
    rules_id = await propose(people, sunday_work=rule_pb.RULE_SEVERITY_STOP)
    await people.time_rules().WithdrawTimeRules(
        rule_pb.WithdrawTimeRulesRequest(request_id=a_key(), time_rules_id=rules_id)
    )

    with pytest.raises(FailedPrecondition):
        await people.time_rules().ActivateTimeRules(activation(rules_id))


async def test_rules_of_one_company_are_not_for_those_who_act_for_others(
    world: World, people: People
) -> None:
    german = a_caller("pmo", subject="user:gerd.pmo", entities=[DE01])
    request = rule_pb.ProposeTimeRulesRequest(
        request_id=a_key(),
        legal_entity_id=str(US01),
        effective_from="2026-01-01",
        rules=rule_pb.TimeRules(sunday_work=rule_pb.RULE_SEVERITY_WARN),
    )
    with pytest.raises(PermissionDenied):
        await people.time_rules(german).ProposeTimeRules(request)
    proposed = await people.time_rules(PMO).ProposeTimeRules(request)

    get = rule_pb.GetTimeRulesRequest(time_rules_id=proposed.time_rules.time_rules_id)
    with pytest.raises(NotFound):
        await people.time_rules(german).GetTimeRules(get)
