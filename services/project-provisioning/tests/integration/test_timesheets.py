"""Timesheets are judged by a second person, one or many at a time, and announced once."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from project_provisioning_builders import MONDAY, US01, an_id
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    World,
    a_key,
    a_row,
    task_of,
)

from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import TimeApproved
from throughline.project_provisioning.v1 import project_pb2, project_service_pb2
from throughline.project_provisioning.v1 import time_service_pb2 as pb
from throughline_core.errors import (
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_runtime.identity import Caller
from throughline_testing.serving import a_caller
from throughline_testing.statements import Statements


@pytest.fixture
async def project(world: World) -> project_pb2.Project:
    return await world.the_project()


async def submitted_sheets(
    world: World, project: project_pb2.Project, *, people: int = 1, weeks: int = 1, days: int = 5
) -> list[str]:
    """Record and hand in eight-hour days of new people, and return their sheets."""
    task = task_of(project, "Advisory")
    for _ in range(people):
        person = await world.a_person()
        await world.import_time(
            [
                a_row(person.person_id, task, on=MONDAY + timedelta(weeks=week, days=day))
                for week in range(weeks)
                for day in range(days)
            ]
        )
    sheets = await world.timesheets(status=pb.TIMESHEET_STATUS_DRAFT, page_size=500)
    for sheet in sheets:
        await world.submit(sheet.timesheet_id, INTEGRATION)
    return [sheet.timesheet_id for sheet in sheets]


async def approve(
    world: World, ids: Sequence[str] = (), caller: Caller = PMO, **selection: Any
) -> pb.ApproveTimesheetsResponse:
    request = pb.ApproveTimesheetsRequest(request_id=a_key(), timesheet_ids=ids, **selection)
    return await world.time(caller).ApproveTimesheets(request)


async def approved_entries(world: World) -> int:
    return sum(len(event.entries) for event in await world.published(TimeApproved))


async def test_time_is_handed_in_approved_and_announced(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await world.import_time([a_row(ada.person_id, task_of(project, "Advisory"))])
    [sheet] = await world.timesheets()
    assert (sheet.week_start, sheet.entry_count, sheet.minutes) == (MONDAY.isoformat(), 1, 480)

    await world.submit(sheet.timesheet_id)
    request = pb.ApproveTimesheetRequest(request_id=a_key(), timesheet_id=sheet.timesheet_id)
    approved = (await world.time().ApproveTimesheet(request)).timesheet
    again = (await world.time().ApproveTimesheet(request)).timesheet

    assert approved == again
    assert approved.status == pb.TIMESHEET_STATUS_APPROVED
    assert (approved.submitted_by, approved.decided_by) == ("user:ada.brandt", "user:paula.pmo")
    [event] = await world.published(TimeApproved)
    assert event.approved_by == "user:paula.pmo"
    assert event.entries[0].timesheet_id == sheet.timesheet_id


async def test_time_that_comes_after_handing_in_goes_to_a_further_sheet(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    row = a_row(ada.person_id, task_of(project, "Advisory"), minutes=60, allow_duplicate=True)
    await world.import_time([row])
    [first] = await world.timesheets()
    await world.submit(first.timesheet_id)

    await world.import_time([row])
    await world.import_time([row])

    sheets = await world.timesheets(person_id=ada.person_id)
    assert [(sheet.status, sheet.entry_count) for sheet in sheets] == [
        (pb.TIMESHEET_STATUS_SUBMITTED, 1),
        (pb.TIMESHEET_STATUS_DRAFT, 2),
    ]


async def test_writers_who_meet_on_a_week_share_its_draft(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    task = task_of(project, "Advisory")

    await asyncio.gather(
        *(
            world.import_time([a_row(ada.person_id, task, on=MONDAY + timedelta(days=day))])
            for day in range(7)
        )
    )

    [sheet] = await world.timesheets()
    assert sheet.entry_count == 7


async def test_a_rejected_sheet_is_corrected_and_handed_in_again(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    task = task_of(project, "Advisory")
    await world.import_time([a_row(ada.person_id, task), a_row(ada.person_id, task, minutes=60)])
    [sheet] = await world.timesheets()
    await world.submit(sheet.timesheet_id)
    rejected = (
        await world.time().RejectTimesheet(
            pb.RejectTimesheetRequest(
                request_id=a_key(), timesheet_id=sheet.timesheet_id, reason="nine hours?"
            )
        )
    ).timesheet
    assert rejected.rejection_reason == "nine hours?"

    entries = (await world.time().ListTimeEntries(pb.ListTimeEntriesRequest())).time_entries
    wrong = next(each.entry for each in entries if each.entry.minutes == 60)
    await world.time(ADA_SIGNED_IN).DeleteTimeEntry(
        pb.DeleteTimeEntryRequest(request_id=a_key(), time_entry_id=wrong.time_entry_id)
    )
    await world.submit(sheet.timesheet_id)
    await approve(world, [sheet.timesheet_id])

    assert await approved_entries(world) == 1
    [final] = await world.timesheets()
    assert (final.status, final.rejection_reason) == (pb.TIMESHEET_STATUS_APPROVED, "")


async def test_a_sheet_without_entries_is_not_handed_in(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await world.import_time([a_row(ada.person_id, task_of(project, "Advisory"))])
    [listed] = (await world.time().ListTimeEntries(pb.ListTimeEntriesRequest())).time_entries
    await world.time().DeleteTimeEntry(
        pb.DeleteTimeEntryRequest(request_id=a_key(), time_entry_id=listed.entry.time_entry_id)
    )

    with pytest.raises(FailedPrecondition, match="no time"):
        await world.submit(listed.entry.timesheet_id)


async def test_nobody_approves_own_time(world: World, project: project_pb2.Project) -> None:
    paula = await world.a_person(name="Paula", subject="user:paula.pmo")
    await world.import_time([a_row(paula.person_id, task_of(project, "Advisory"))])
    [sheet] = await world.timesheets()
    await world.submit(sheet.timesheet_id, INTEGRATION)

    with pytest.raises(PermissionDenied):
        await approve(world, [sheet.timesheet_id])

    assert await approved_entries(world) == 0


async def test_nobody_approves_what_they_handed_in(
    world: World, project: project_pb2.Project
) -> None:
    person = await world.a_person()
    await world.import_time([a_row(person.person_id, task_of(project, "Advisory"))])
    [sheet] = await world.timesheets()
    await world.submit(sheet.timesheet_id, PMO)

    with pytest.raises(PermissionDenied):
        await approve(world, [sheet.timesheet_id])


async def test_named_sheets_are_approved_all_or_none(
    world: World, project: project_pb2.Project
) -> None:
    ids = await submitted_sheets(world, project, people=2)
    await approve(world, ids[:1])

    with pytest.raises(IllegalTransition):
        await approve(world, ids)
    with pytest.raises(NotFound):
        await approve(world, [ids[1], str(an_id("404"))])

    assert await approved_entries(world) == 5


async def test_a_projects_period_is_approved_at_once(
    world: World, project: project_pb2.Project
) -> None:
    ids = await submitted_sheets(world, project, people=2, weeks=3)

    response = await approve(
        world,
        project_id=project.project_id,
        week_from=MONDAY.isoformat(),
        week_before=(MONDAY + timedelta(weeks=2)).isoformat(),
    )

    assert len(response.approved_timesheet_ids) == 4
    assert set(response.approved_timesheet_ids) < set(ids)
    assert (response.entry_count, response.minutes, response.more) == (20, 20 * 480, False)
    assert await approved_entries(world) == 20


async def test_of_a_selection_own_time_is_left_out(
    world: World, project: project_pb2.Project
) -> None:
    others = await submitted_sheets(world, project)
    paula = await world.a_person(name="Paula", subject="user:paula.pmo")
    await world.import_time([a_row(paula.person_id, task_of(project, "Advisory"))])
    [own] = await world.timesheets(status=pb.TIMESHEET_STATUS_DRAFT)
    await world.submit(own.timesheet_id, INTEGRATION)

    response = await approve(
        world, project_id=project.project_id, week_from="2026-01-01", week_before="2027-01-01"
    )

    assert list(response.approved_timesheet_ids) == others
    assert list(response.left_out_timesheet_ids) == [own.timesheet_id]


async def test_a_selection_stays_within_the_callers_entities(
    world: World, project: project_pb2.Project
) -> None:
    ids = await submitted_sheets(world, project)
    stranger = a_caller("pmo", subject="user:us.pmo", entities=[US01])

    response = await approve(
        world,
        caller=stranger,
        project_id=project.project_id,
        week_from="2026-01-01",
        week_before="2027-01-01",
    )

    assert not response.approved_timesheet_ids
    with pytest.raises(PermissionDenied):
        await approve(world, ids, stranger)


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"project_id": str(an_id("111"))},
        {
            "timesheet_ids": [str(an_id("141"))],
            "project_id": str(an_id("111")),
            "week_from": "2026-09-07",
            "week_before": "2026-09-14",
        },
    ],
)
async def test_a_selection_is_by_id_or_by_project_and_period(
    world: World, selection: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        await approve(world, selection.pop("timesheet_ids", ()), **selection)


async def test_two_approvers_at_once_announce_once(
    world: World, project: project_pb2.Project
) -> None:
    ids = await submitted_sheets(world, project, people=3)
    omar = a_caller("pmo", subject="user:omar.pmo")

    results = await asyncio.gather(
        approve(world, ids), approve(world, ids[::-1], omar), return_exceptions=True
    )

    assert sum(isinstance(result, IllegalTransition) for result in results) == 1
    assert await approved_entries(world) == 15


async def test_the_number_of_statements_does_not_grow(
    world: World, project: project_pb2.Project, statements: Statements
) -> None:
    ids = await submitted_sheets(world, project, people=8)
    statements.clear()
    await approve(world, ids[:1])
    few = len(statements)
    statements.clear()
    await approve(world, ids[1:])

    # The key, who stands in for whom, the sheets, their entries, lock dates, the new states, the
    # outbox, the costs and who has none, what waited too long, the memory.
    assert few == len(statements) == 11


async def test_sheets_are_found_by_person_status_and_week(
    world: World, project: project_pb2.Project
) -> None:
    ids = await submitted_sheets(world, project, people=2, weeks=2)
    await approve(world, ids[:1])

    assert len(await world.timesheets(status=pb.TIMESHEET_STATUS_SUBMITTED)) == 3
    assert len(await world.timesheets(week_from=date(2026, 9, 14).isoformat())) == 2
    assert len(await world.timesheets(week_before="2026-09-07")) == 0
    [sheet] = await world.timesheets(status=pb.TIMESHEET_STATUS_APPROVED)
    assert len(await world.timesheets(person_id=sheet.person_id)) == 2
    got = await world.time().GetTimesheet(pb.GetTimesheetRequest(timesheet_id=sheet.timesheet_id))
    assert got.timesheet == sheet


async def test_people_see_and_hand_in_their_own_sheets_only(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    other = await world.a_person()
    task = task_of(project, "Advisory")
    await world.import_time([a_row(ada.person_id, task), a_row(other.person_id, task)])

    mine = (await world.time(ADA_SIGNED_IN).ListTimesheets(pb.ListTimesheetsRequest())).timesheets
    [theirs] = await world.timesheets(person_id=other.person_id)

    assert [sheet.person_id for sheet in mine] == [ada.person_id]
    with pytest.raises(PermissionDenied):
        await world.submit(theirs.timesheet_id, ADA_SIGNED_IN)
    with pytest.raises(NotFound):
        await world.time(ADA_SIGNED_IN).GetTimesheet(
            pb.GetTimesheetRequest(timesheet_id=theirs.timesheet_id)
        )


async def test_the_audit_finds_every_change_of_a_sheet(
    world: World, project: project_pb2.Project
) -> None:
    [sheet] = await submitted_sheets(world, project)
    await approve(world, [sheet])

    assert await world.audited(sheet) == [
        "ImportTimeEntries",
        "SubmitTimesheet",
        "ApproveTimesheets",
    ]


async def test_the_audit_finds_every_change_of_what_no_event_tells(
    world: World, project: project_pb2.Project
) -> None:
    person = await world.a_person()
    task = task_of(project, "Advisory")
    entry = await world.time().CreateTimeEntry(
        pb.CreateTimeEntryRequest(
            request_id=a_key(),
            person_id=person.person_id,
            task_id=task,
            work_date=MONDAY.isoformat(),
            minutes=60,
        )
    )
    entry_id = entry.time_entry.entry.time_entry_id
    await world.time().DeleteTimeEntry(
        pb.DeleteTimeEntryRequest(request_id=a_key(), time_entry_id=entry_id)
    )
    await world.projects().CloseTask(
        project_service_pb2.CloseTaskRequest(request_id=a_key(), task_id=task)
    )

    assert await world.audited(person.person_id) == ["CreatePerson"]
    assert await world.audited(entry_id) == ["CreateTimeEntry", "DeleteTimeEntry"]
    assert await world.audited(project.project_id) == ["CloseTask"]
    assert await world.audited("template:advisory") == ["PutTemplate", "ApproveTemplate"]
