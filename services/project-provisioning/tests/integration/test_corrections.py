"""Approved time is never touched: it is taken back and entered anew, once, by a second person."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from project_provisioning_builders import DE01, MONDAY, US01, an_id
from project_provisioning_world import PMO, Deal, World, a_key, a_row, task_of
from sqlalchemy import text

from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import TimeApproved
from throughline.project_provisioning.v1 import correction_service_pb2 as pb
from throughline.project_provisioning.v1 import project_service_pb2, time_service_pb2
from throughline.project_provisioning.v1.correction_service_pb2_grpc import (
    TimeCorrectionServiceStub,
)
from throughline_core.errors import Aborted, FailedPrecondition, NotFound, PermissionDenied
from throughline_runtime.database import write
from throughline_runtime.identity import Caller
from throughline_runtime.rpc.errors import InvalidRequest
from throughline_testing.serving import a_caller
from throughline_testing.statements import Statements

FINANCE = a_caller("finance", subject="user:fiona.finance")
ADA_AS_PMO = a_caller("pmo", subject="user:ada.brandt")


@pytest.fixture
async def deal(world: World) -> Deal:
    deal = Deal(world)
    await deal.prepare(people=2)
    return deal


def corrections(world: World, caller: Caller = PMO) -> Any:
    return world.running.stub(TimeCorrectionServiceStub, caller=caller)


async def approved(world: World, rows: Sequence[time_service_pb2.TimeEntryRow]) -> list[str]:
    """Bring in approved time and return its entries, in the order of the rows."""
    response = await world.import_time(rows, approved=True, partial=True)
    return [result.time_entry_id for result in response.results]


async def reverse(world: World, entry_id: str, caller: Caller = PMO) -> pb.ReverseTimeEntryResponse:
    request = pb.ReverseTimeEntryRequest(
        request_id=a_key(), time_entry_id=entry_id, reason="Wrong client"
    )
    response: pb.ReverseTimeEntryResponse = await corrections(world, caller).ReverseTimeEntry(
        request
    )
    return response


async def correct(
    world: World, entry_id: str, caller: Caller = PMO, **values: Any
) -> pb.CorrectTimeEntryResponse:
    request = pb.CorrectTimeEntryRequest(
        request_id=a_key(), time_entry_id=entry_id, reason="Wrong figures", **values
    )
    response: pb.CorrectTimeEntryResponse = await corrections(world, caller).CorrectTimeEntry(
        request
    )
    return response


async def move(world: World, entry_ids: Sequence[str], task_id: str) -> pb.MoveTimeEntriesResponse:
    request = pb.MoveTimeEntriesRequest(
        request_id=a_key(), time_entry_ids=entry_ids, task_id=task_id, reason="Other work stream"
    )
    response: pb.MoveTimeEntriesResponse = await corrections(world).MoveTimeEntries(request)
    return response


async def run_sql(world: World, statement: str, **values: Any) -> None:
    async with write(world.context.engine) as tx:
        await tx.execute(text(statement), values)


async def net_minutes(world: World) -> int:
    return int(await world.scalar("SELECT sum(minutes) FROM time_entry"))


async def test_a_reversal_nets_the_entry_out_and_leaves_it_as_it_was(
    deal: Deal, world: World
) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task, note="Workshop")])

    response = await reverse(world, entry_id)

    assert (response.reversal.minutes, response.reversal.reverses_time_entry_id) == (-480, entry_id)
    assert response.reversal.note == "Workshop"
    assert (response.correction.reversed_count, response.correction.reversed_minutes) == (1, 480)
    assert await net_minutes(world) == 0
    assert await world.scalar("SELECT minutes FROM person_day") == 0
    original = await world.time().ListTimeEntries(time_service_pb2.ListTimeEntriesRequest())
    first = next(each for each in original.time_entries if each.entry.time_entry_id == entry_id)
    assert first.entry.minutes == 480
    assert first.reversed_by_time_entry_id == response.reversal.time_entry_id
    [_, event] = await world.published(TimeApproved)
    assert list(event.entries) == [response.reversal]


async def test_a_correction_is_announced_as_one_with_the_reversal_first(
    deal: Deal, world: World
) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])

    response = await correct(world, entry_id, minutes=300, activity="travel", billable=False)

    assert response.replacement.minutes == 300
    assert response.replacement.activity == "travel"
    assert not response.replacement.billable
    assert response.replacement.replaces_time_entry_id == entry_id
    assert await net_minutes(world) == 300
    [_, event] = await world.published(TimeApproved)
    assert list(event.entries) == [response.reversal, response.replacement]


async def test_corrections_of_corrections_go_on_from_what_stands(deal: Deal, world: World) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])
    standing = entry_id
    for minutes in (300, 200, 600):
        standing = (await correct(world, standing, minutes=minutes)).replacement.time_entry_id

    await reverse(world, standing)

    assert await net_minutes(world) == 0
    with pytest.raises(FailedPrecondition) as refused:
        await reverse(world, entry_id)
    assert refused.value.stable_code == "time_entry.already_reversed"


async def test_an_entry_is_taken_back_once_whoever_tries_at_the_same_moment(
    deal: Deal, world: World
) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])

    results = await asyncio.gather(
        *(reverse(world, entry_id) for _ in range(5)), return_exceptions=True
    )

    refused = [each for each in results if isinstance(each, FailedPrecondition | Aborted)]
    assert len(refused) == 4
    assert await net_minutes(world) == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [("draft", "time_entry.not_approved"), ("reversal", "time_entry.is_reversal")],
)
async def test_only_approved_time_is_corrected(
    deal: Deal, world: World, status: str, code: str
) -> None:
    if status == "draft":
        response = await world.import_time([a_row(deal.people[0], deal.task)], partial=True)
        entry_id = response.results[0].time_entry_id
    else:
        [approved_id] = await approved(world, [a_row(deal.people[0], deal.task)])
        entry_id = (await reverse(world, approved_id)).reversal.time_entry_id

    with pytest.raises(FailedPrecondition) as refused:
        await reverse(world, entry_id)

    assert refused.value.stable_code == code


async def test_nobody_corrects_own_time(deal: Deal, world: World) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])

    with pytest.raises(PermissionDenied) as refused:
        await correct(world, entry_id, caller=ADA_AS_PMO, minutes=60)

    assert refused.value.stable_code == "timesheet.own_time"
    assert await net_minutes(world) == 480


async def test_callers_of_other_companies_correct_nothing(deal: Deal, world: World) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])
    elsewhere = a_caller("pmo", subject="user:omar.pmo", entities=[US01])

    with pytest.raises(PermissionDenied):
        await reverse(world, entry_id, elsewhere)


async def test_locked_days_are_corrected_by_finance_only(deal: Deal, world: World) -> None:
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])
    await run_sql(
        world,
        "INSERT INTO period_lock VALUES (:entity, 1, :open_from, 'fiona', now())",
        entity=DE01,
        open_from=date(2026, 10, 1),
    )

    with pytest.raises(FailedPrecondition) as refused:
        await correct(world, entry_id, minutes=60)
    assert refused.value.stable_code == "period.locked"

    assert (await correct(world, entry_id, FINANCE, minutes=60)).replacement.minutes == 60


async def test_a_day_keeps_its_24_hours(deal: Deal, world: World) -> None:
    rows = [a_row(deal.people[0], deal.task, minutes=minutes) for minutes in (480, 700)]
    [entry_id, _] = await approved(world, rows)

    with pytest.raises(FailedPrecondition) as refused:
        await correct(world, entry_id, minutes=741)
    assert refused.value.stable_code == "time_entry.day_limit"

    assert (await correct(world, entry_id, minutes=740)).replacement.minutes == 740


async def test_moving_shows_first_what_it_changes(deal: Deal, world: World) -> None:
    rows = [a_row(person, deal.task, minutes=60) for person in deal.people]
    entry_ids = await approved(world, rows)
    await reverse(world, entry_ids[1])

    preview = await corrections(world).PreviewMoveTimeEntries(
        pb.PreviewMoveTimeEntriesRequest(time_entry_ids=entry_ids, task_id=deal.fixed_fee_task)
    )

    [moved, refused] = preview.moves
    assert moved.entry.contract_line_id != moved.to_contract_line_id
    assert (moved.entry.billable, moved.to_billable, moved.code) == (True, False, "")
    assert refused.code == "time_entry.already_reversed"
    assert (preview.minutes, preview.refused_count) == (60, 1)
    assert await world.scalar("SELECT count(*) FROM time_correction WHERE kind = 'move'") == 0


async def test_hundreds_of_entries_move_together_and_stay_in_pairs(
    deal: Deal, world: World
) -> None:
    entry_ids = await approved(world, deal.rows(500))

    response = await move(world, entry_ids, deal.fixed_fee_task)

    assert response.correction.reversed_count == len(response.replacements) == 500
    assert {each.task_id for each in response.replacements} == {deal.fixed_fee_task}
    assert [each.replaces_time_entry_id for each in response.replacements] == entry_ids
    assert await net_minutes(world) == 500 * 15
    events = (await world.published(TimeApproved))[1:]
    assert [len(event.entries) for event in events] == [500, 500]
    for event in events:
        pairs = zip(event.entries[::2], event.entries[1::2], strict=True)
        assert all(a.reverses_time_entry_id == b.replaces_time_entry_id for a, b in pairs)


async def test_one_entry_that_cannot_be_moved_stops_all_and_is_named(
    deal: Deal, world: World
) -> None:
    rows = [a_row(person, deal.task, minutes=60) for person in deal.people]
    entry_ids = await approved(world, rows)
    await reverse(world, entry_ids[1])

    with pytest.raises(InvalidRequest) as refused:
        await move(world, entry_ids, deal.fixed_fee_task)

    [violation] = refused.value.violations
    assert violation.field == "time_entry_ids[1]"
    assert violation.rule == "time_entry.already_reversed"
    assert await net_minutes(world) == 60


@pytest.mark.parametrize("to", ["same", "closed", "unknown"])
async def test_time_moves_to_another_open_task(deal: Deal, world: World, to: str) -> None:
    entry_ids = await approved(world, [a_row(deal.people[0], deal.task)])
    target = {"same": deal.task, "closed": deal.fixed_fee_task, "unknown": str(an_id("404"))}[to]
    if to == "closed":
        await run_sql(world, "UPDATE task SET closed = true WHERE task_id = :id", id=target)

    with pytest.raises(NotFound if to == "unknown" else InvalidRequest) as refused:
        await move(world, entry_ids, target)

    if isinstance(refused.value, InvalidRequest):
        [violation] = refused.value.violations
        expected = {"same": "time_entry.same_task", "closed": "time_entry.task_closed"}
        assert violation.rule == expected[to]


async def test_what_is_entered_anew_is_of_the_company_that_employed_on_the_day(
    deal: Deal, world: World
) -> None:
    """The transfer was recorded after the time had been approved."""
    [entry_id] = await approved(world, [a_row(deal.people[0], deal.task)])
    await run_sql(
        world,
        "UPDATE employment SET legal_entity_id = :entity WHERE person_id = :person",
        entity=US01,
        person=deal.people[0],
    )

    response = await correct(world, entry_id, note="The same work")

    assert response.reversal.legal_entity_id == str(DE01)
    assert response.replacement.legal_entity_id == str(US01)
    assert response.reversal.timesheet_id != response.replacement.timesheet_id
    assert response.correction.legal_entity_ids == sorted([str(DE01), str(US01)])


async def test_corrections_are_listed_and_read_with_their_entries(deal: Deal, world: World) -> None:
    entry_ids = await approved(world, [a_row(each, deal.task, minutes=60) for each in deal.people])
    made = (await correct(world, entry_ids[0], minutes=30)).correction
    await reverse(world, entry_ids[1])

    stub = corrections(world)
    listed = await stub.ListTimeCorrections(pb.ListTimeCorrectionsRequest(page_size=1))
    rest = await stub.ListTimeCorrections(
        pb.ListTimeCorrectionsRequest(page_size=1, page_token=listed.next_page_token)
    )
    of_company = await stub.ListTimeCorrections(
        pb.ListTimeCorrectionsRequest(legal_entity_id=str(DE01))
    )
    of_ada = await stub.ListTimeCorrections(pb.ListTimeCorrectionsRequest(person_id=deal.people[0]))
    read = await stub.GetTimeCorrection(
        pb.GetTimeCorrectionRequest(time_correction_id=made.time_correction_id)
    )

    assert [each.kind for each in listed.corrections] == [pb.TIME_CORRECTION_KIND_REVERSAL]
    assert list(rest.corrections) == list(of_ada.corrections) == [made]
    assert [each.minutes for each in read.entries] == [-60, 30]
    assert len(of_company.corrections) == 2
    elsewhere = a_caller("pmo", subject="user:omar.pmo", entities=[US01])
    with pytest.raises(NotFound):
        await corrections(world, elsewhere).GetTimeCorrection(
            pb.GetTimeCorrectionRequest(time_correction_id=made.time_correction_id)
        )


async def test_the_number_of_statements_does_not_grow(
    deal: Deal, world: World, statements: Statements
) -> None:
    entry_ids = await approved(world, deal.rows(300))

    async def count(ids: Sequence[str]) -> int:
        statements.clear()
        await move(world, ids, deal.fixed_fee_task)
        return len(statements)

    assert await count(entry_ids[:2]) == await count(entry_ids[2:]) <= 10


async def test_a_task_of_another_project_takes_the_time(deal: Deal, world: World) -> None:
    """Whatever project a task is of, its contract line and engagement come with it."""
    project = (
        await world.projects().GetProject(
            project_service_pb2.GetProjectRequest(project_id=deal.project_id)
        )
    ).project
    support = task_of(project, "Support")
    entry_ids = await approved(world, [a_row(deal.people[0], deal.task, on=MONDAY + timedelta(1))])

    [moved] = (await move(world, entry_ids, support)).replacements

    line = next(task.contract_line_id for task in project.tasks if task.task_id == support)
    assert moved.contract_line_id == line
