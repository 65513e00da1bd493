"""Time is recorded by the thousand: all or none, each source once, and no day over 24 hours."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from project_provisioning_builders import DE01, MONDAY, US01, an_id
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    Deal,
    World,
    a_key,
    a_row,
)

from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import TimeApproved
from throughline.project_provisioning.v1 import project_service_pb2
from throughline.project_provisioning.v1 import time_service_pb2 as pb
from throughline_core.errors import FailedPrecondition, NotFound, PermissionDenied
from throughline_runtime.identity import Caller
from throughline_runtime.rpc.errors import InvalidRequest
from throughline_testing.serving import a_caller
from throughline_testing.statements import Statements


@pytest.fixture
async def deal(world: World) -> Deal:
    deal = Deal(world)
    await deal.prepare(people=6)
    return deal


def rules(refused: InvalidRequest) -> Sequence[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in refused.violations]


def spoilt(rows: Sequence[pb.TimeEntryRow]) -> list[pb.TimeEntryRow]:
    """Return the rows with three bad ones among them."""
    bad = list(rows)
    bad[17].minutes = 1500
    bad[200].person_id = str(an_id("404"))
    bad[444].work_date = "2026-13-01"
    return bad


async def test_a_batch_is_recorded_whole(deal: Deal, world: World) -> None:
    response = await world.import_time(deal.rows(500))

    assert (response.recorded_count, response.recorded_minutes) == (500, 7500)
    assert not response.results
    assert await world.entry_count() == 500
    # Six people, four weeks.
    assert len(await world.timesheets()) == 24


async def test_three_bad_rows_of_500_stop_all_and_are_all_named(deal: Deal, world: World) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await world.import_time(spoilt(deal.rows(500)))

    assert rules(refused.value) == [
        ("rows[17].minutes", "time_entry.minutes_out_of_range"),
        ("rows[200].person_id", "time_entry.person_unknown"),
        ("rows[444].work_date", "time_entry.malformed"),
    ]
    assert await world.entry_count() == 0
    assert await world.scalar("SELECT count(*) FROM person_day") == 0
    assert not await world.timesheets()


async def test_with_partial_the_other_497_are_recorded(deal: Deal, world: World) -> None:
    response = await world.import_time(spoilt(deal.rows(500)), partial=True)

    assert (response.recorded_count, response.refused_count) == (497, 3)
    assert [result.index for result in response.results] == list(range(500))
    refused = [each for each in response.results if each.outcome == pb.TIME_ENTRY_OUTCOME_REFUSED]
    assert [(each.index, each.rule) for each in refused] == [
        (17, "time_entry.minutes_out_of_range"),
        (200, "time_entry.person_unknown"),
        (444, "time_entry.malformed"),
    ]
    assert all(each.time_entry_id for each in response.results if each not in refused)
    assert await world.entry_count() == 497


async def test_at_most_100_bad_rows_are_named(deal: Deal, world: World) -> None:
    rows = deal.rows(150)
    for row in rows:
        row.minutes = 0

    with pytest.raises(InvalidRequest) as refused:
        await world.import_time(rows)

    assert len(refused.value.violations) == 100


@pytest.mark.parametrize("rows", [0, 10_001])
async def test_a_batch_has_1_to_10000_rows(deal: Deal, world: World, rows: int) -> None:
    with pytest.raises(InvalidRequest):
        await world.import_time(deal.rows(rows))


async def test_10000_rows_are_one_request(deal: Deal, world: World) -> None:
    assert (await world.import_time(deal.rows(10_000))).recorded_count == 10_000


async def test_the_same_batch_again_changes_nothing(deal: Deal, world: World) -> None:
    rows = deal.rows(500, sources=True)
    await world.import_time(rows)
    before = await world.scalar("SELECT sum(minutes) FROM person_day")
    random.Random(7).shuffle(rows)

    response = await world.import_time(rows)

    assert (response.recorded_count, response.duplicate_count) == (0, 500)
    assert all(each.outcome == pb.TIME_ENTRY_OUTCOME_DUPLICATE for each in response.results)
    assert len({each.time_entry_id for each in response.results}) == 500
    assert await world.scalar("SELECT sum(minutes) FROM person_day") == before


async def test_a_batch_that_overlaps_brings_only_what_is_new(deal: Deal, world: World) -> None:
    await world.import_time(deal.rows(300, sources=True))

    response = await world.import_time(deal.rows(300, sources=True, start=200), partial=True)

    assert (response.recorded_count, response.duplicate_count) == (200, 100)
    assert await world.entry_count() == 500


async def test_the_same_batch_from_many_at_once_is_recorded_once(deal: Deal, world: World) -> None:
    batches = [deal.rows(300, sources=True) for _ in range(4)]
    for seed, batch in enumerate(batches):
        random.Random(seed).shuffle(batch)

    responses = await asyncio.gather(*(world.import_time(batch) for batch in batches))

    assert sum(response.recorded_count for response in responses) == 300
    assert sum(response.duplicate_count for response in responses) == 900
    assert await world.entry_count() == 300
    assert await world.scalar("SELECT sum(minutes) FROM person_day") == 300 * 15


async def test_a_source_that_says_something_else_is_refused(deal: Deal, world: World) -> None:
    [row] = deal.rows(1, sources=True)
    await world.import_time([row])
    row.minutes = 30

    with pytest.raises(InvalidRequest) as refused:
        await world.import_time([row])

    assert rules(refused.value) == [("rows[0].source", "time_entry.source_differs")]


async def test_no_race_passes_24_hours(deal: Deal, world: World) -> None:
    ada = deal.people[0]

    async def eight_hours() -> bool:
        row = a_row(ada, deal.task, allow_duplicate=True)
        response = await world.import_time([row], partial=True)
        return response.recorded_count == 1

    recorded = await asyncio.gather(*(eight_hours() for _ in range(8)))

    assert sum(recorded) == 3
    assert await world.scalar("SELECT sum(minutes) FROM time_entry") == 1440


async def test_partial_fills_a_day_up_to_24_hours(deal: Deal, world: World) -> None:
    ada = deal.people[0]
    await world.import_time([a_row(ada, deal.task, minutes=1000)])

    response = await world.import_time(
        [a_row(ada, deal.task, minutes=minutes) for minutes in (400, 100, 40)], partial=True
    )

    assert [each.outcome for each in response.results] == [
        pb.TIME_ENTRY_OUTCOME_RECORDED,
        pb.TIME_ENTRY_OUTCOME_REFUSED,
        pb.TIME_ENTRY_OUTCOME_RECORDED,
    ]


async def test_time_approved_elsewhere_is_announced_at_once(deal: Deal, world: World) -> None:
    response = await world.import_time(deal.rows(1100, sources=True), approved=True)

    assert response.recorded_count == 1100
    events = await world.published(TimeApproved)
    assert [len(event.entries) for event in events] == [500, 500, 100]
    assert len({event.approval_id for event in events}) == 3
    assert {event.approved_by for event in events} == {"client:time-tracker"}
    ids = {entry.time_entry_id for event in events for entry in event.entries}
    assert len(ids) == 1100
    sheets = await world.timesheets()
    assert {sheet.status for sheet in sheets} == {pb.TIMESHEET_STATUS_APPROVED}


async def test_an_announced_entry_is_the_stored_one(deal: Deal, world: World) -> None:
    await world.import_time(deal.rows(3, sources=True), approved=True)
    [event] = await world.published(TimeApproved)

    listed = await world.time().ListTimeEntries(pb.ListTimeEntriesRequest())

    by_id = {each.entry.time_entry_id: each.entry for each in listed.time_entries}
    assert {entry.time_entry_id: entry for entry in event.entries} == by_id


async def test_approved_time_again_is_not_announced_again(deal: Deal, world: World) -> None:
    await world.import_time(deal.rows(10, sources=True), approved=True)
    await world.import_time(deal.rows(10, sources=True), approved=True)

    assert len(await world.published(TimeApproved)) == 1


async def test_time_that_is_not_approved_is_not_announced(deal: Deal, world: World) -> None:
    await world.import_time(deal.rows(10))

    assert not await world.published(TimeApproved)


@pytest.mark.parametrize(
    ("caller", "allowed"), [(ADA_SIGNED_IN, False), (PMO, True), (INTEGRATION, True)]
)
async def test_only_integration_and_pmo_bring_in_approved_time(
    deal: Deal, world: World, caller: Caller, allowed: bool
) -> None:
    importing = world.import_time([a_row(deal.people[0], deal.task)], caller=caller, approved=True)
    if allowed:
        await importing
    else:
        with pytest.raises(PermissionDenied):
            await importing


async def test_the_number_of_statements_does_not_grow(
    deal: Deal, world: World, statements: Statements
) -> None:
    async def count(rows: list[pb.TimeEntryRow], **values: Any) -> int:
        statements.clear()
        await world.import_time(rows, **values)
        return len(statements)

    few = await count(deal.rows(5, sources=True), approved=True)
    many = await count(deal.rows(2000, sources=True, start=100), approved=True)

    # The key, the facts, entries with sheets and days, the outbox, the costs and who has none, the
    # memory. Beyond fifty entries these come by COPY.
    assert few == many == 7
    assert await count(deal.rows(5, start=3000)) == 4
    assert await count(deal.rows(10_000, start=4000)) == 4


async def test_a_repeated_request_is_answered_from_memory(deal: Deal, world: World) -> None:
    request = pb.ImportTimeEntriesRequest(request_id=a_key(), rows=deal.rows(5))

    first = await world.time(INTEGRATION).ImportTimeEntries(request)
    again = await world.time(INTEGRATION).ImportTimeEntries(request)

    assert first == again
    assert await world.entry_count() == 5


async def test_one_entry_is_recorded_by_the_same_rules(deal: Deal, world: World) -> None:
    request = pb.CreateTimeEntryRequest(
        request_id=a_key(),
        person_id=deal.people[0],
        task_id=deal.task,
        work_date=MONDAY.isoformat(),
        minutes=480,
    )
    request.source.system, request.source.object_type, request.source.object_id = "t", "e", "1"

    created = await world.time(ADA_SIGNED_IN).CreateTimeEntry(request)
    request.request_id = a_key()
    again = await world.time(ADA_SIGNED_IN).CreateTimeEntry(request)

    assert (created.duplicate, again.duplicate) == (False, True)
    assert created.time_entry == again.time_entry
    assert created.time_entry.status == pb.TIMESHEET_STATUS_DRAFT
    request.request_id, request.source.object_id, request.minutes = a_key(), "2", 1000
    with pytest.raises(InvalidRequest) as refused:
        await world.time(ADA_SIGNED_IN).CreateTimeEntry(request)
    assert rules(refused.value) == [("minutes", "time_entry.day_limit")]


async def test_people_record_and_see_their_own_time_only(deal: Deal, world: World) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await world.import_time([a_row(deal.people[1], deal.task)], caller=ADA_SIGNED_IN)
    assert rules(refused.value) == [("rows[0].person_id", "time_entry.not_own")]
    await world.import_time(deal.rows(12))

    seen = await world.time(ADA_SIGNED_IN).ListTimeEntries(pb.ListTimeEntriesRequest())

    assert {each.entry.person_id for each in seen.time_entries} == {deal.people[0]}
    assert len(seen.time_entries) == 2


async def test_another_entitys_people_are_unknown(deal: Deal, world: World) -> None:
    stranger = a_caller("integration", subject="client:us", entities=[US01])

    with pytest.raises(InvalidRequest) as refused:
        await world.import_time([a_row(deal.people[0], deal.task)], caller=stranger)

    assert rules(refused.value) == [("rows[0].person_id", "time_entry.person_unknown")]
    local = a_caller("integration", subject="client:de", entities=[DE01])
    await world.import_time([a_row(deal.people[0], deal.task)], caller=local)


async def test_no_time_is_taken_on_a_closed_task(deal: Deal, world: World) -> None:
    await world.projects().CloseTask(
        project_service_pb2.CloseTaskRequest(request_id=a_key(), task_id=deal.task)
    )

    with pytest.raises(InvalidRequest) as refused:
        await world.import_time(deal.rows(1))

    assert rules(refused.value) == [("rows[0].task_id", "time_entry.task_closed")]


async def test_ids_may_be_spelt_in_capitals(deal: Deal, world: World) -> None:
    await world.import_time([a_row(deal.people[0].upper(), deal.task.upper())])

    [listed] = (await world.time().ListTimeEntries(pb.ListTimeEntriesRequest())).time_entries
    assert (listed.entry.person_id, listed.entry.task_id) == (deal.people[0], deal.task)


async def test_entries_are_found_by_person_project_contract_period_and_status(
    deal: Deal, world: World
) -> None:
    await world.import_time(deal.rows(60))

    async def found(**filters: Any) -> int:
        request = pb.ListTimeEntriesRequest(**filters, page_size=1000)
        return len((await world.time().ListTimeEntries(request)).time_entries)

    assert await found(person_id=deal.people[0]) == 10
    assert await found(project_id=deal.project_id) == 60
    assert await found(contract_id=str(an_id("b1"))) == 60
    assert await found(contract_id=str(an_id("b2"))) == 0
    assert await found(worked_from="2026-09-08", worked_before="2026-09-10") == 12
    assert await found(status=pb.TIMESHEET_STATUS_DRAFT) == 60
    assert await found(status=pb.TIMESHEET_STATUS_APPROVED) == 0


async def test_entries_are_paged_without_loss(deal: Deal, world: World) -> None:
    await world.import_time(deal.rows(25))
    request = pb.ListTimeEntriesRequest(page_size=10)
    notes: list[str] = []
    while True:
        page = await world.time().ListTimeEntries(request)
        notes.extend(each.entry.note for each in page.time_entries)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert sorted(notes) == sorted(f"Work {number}" for number in range(25))


async def test_an_entry_is_taken_off_a_draft_and_off_its_day(deal: Deal, world: World) -> None:
    await world.import_time([a_row(deal.people[0], deal.task, minutes=1440)])
    [listed] = (await world.time().ListTimeEntries(pb.ListTimeEntriesRequest())).time_entries
    request = pb.DeleteTimeEntryRequest(
        request_id=a_key(), time_entry_id=listed.entry.time_entry_id
    )

    await world.time(ADA_SIGNED_IN).DeleteTimeEntry(request)

    await world.import_time([a_row(deal.people[0], deal.task, minutes=1440)])
    request.request_id = a_key()
    with pytest.raises(NotFound):
        await world.time().DeleteTimeEntry(request)


async def test_what_was_handed_in_stands(deal: Deal, world: World) -> None:
    await world.import_time([a_row(deal.people[0], deal.task)])
    [listed] = (await world.time().ListTimeEntries(pb.ListTimeEntriesRequest())).time_entries
    await world.submit(listed.entry.timesheet_id)

    with pytest.raises(FailedPrecondition):
        await world.time().DeleteTimeEntry(
            pb.DeleteTimeEntryRequest(request_id=a_key(), time_entry_id=listed.entry.time_entry_id)
        )
