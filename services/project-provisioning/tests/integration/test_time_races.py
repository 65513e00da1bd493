"""Time recorded in the instant in which its task or project is closed, or the same work is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from project_provisioning_builders import MONDAY
from project_provisioning_planning import Planning
from project_provisioning_world import ADA_SIGNED_IN, Deal, World, a_key, a_row
from sqlalchemy import text

from throughline.project_provisioning.v1 import plan_service_pb2 as plan_pb
from throughline.project_provisioning.v1 import project_service_pb2
from throughline.project_provisioning.v1 import time_service_pb2 as pb
from throughline_core.errors import FailedPrecondition
from throughline_runtime.rpc.errors import InvalidRequest

_SOON = 0.4
_FIRST_NOTE = "Stand-up"


@pytest.fixture
async def deal(world: World) -> Deal:
    deal = Deal(world)
    await deal.prepare(people=1)
    await world.import_time([a_row(deal.people[0], deal.task, minutes=15, note=_FIRST_NOTE)])
    return deal


def entry(deal: Deal, **values: object) -> pb.CreateTimeEntryRequest:
    request = pb.CreateTimeEntryRequest(
        request_id=a_key(),
        person_id=deal.people[0],
        task_id=deal.task,
        work_date=MONDAY.isoformat(),
        minutes=60,
        note="Workshop",
    )
    for name, value in values.items():
        setattr(request, name, value)
    return request


async def record(world: World, request: pb.CreateTimeEntryRequest) -> int:
    """Record an entry as Ada; return its minutes."""
    response = await world.time(ADA_SIGNED_IN).CreateTimeEntry(request)
    return response.time_entry.entry.minutes


async def close_task(world: World, task_id: str) -> bool:
    """Close a task; return whether it is."""
    request = project_service_pb2.CloseTaskRequest(request_id=a_key(), task_id=task_id)
    tasks = (await world.projects().CloseTask(request)).project.tasks
    return all(task.closed for task in tasks if task.task_id == task_id)


async def close_project(planning: Planning, project_id: str) -> None:
    request = plan_pb.CloseProjectRequest(
        request_id=a_key(), project_id=project_id, reason="Delivered"
    )
    await planning.plans().CloseProject(request)


@asynccontextmanager
async def held(world: World, query: str) -> AsyncIterator[None]:
    """Let somebody else hold rows, and change them, for a moment."""
    async with world.context.engine.begin() as other:
        await other.execute(text(query))
        yield


async def test_a_task_is_closed_only_after_the_entry_that_is_being_recorded(
    deal: Deal, world: World
) -> None:
    async with held(world, "SELECT FROM person_day FOR UPDATE"):
        recording = asyncio.create_task(record(world, entry(deal)))
        await asyncio.sleep(_SOON)
        closing = asyncio.create_task(close_task(world, deal.task))
        await asyncio.sleep(_SOON)
        assert not closing.done()

    assert await recording == 60
    assert await closing


async def test_a_project_is_not_closed_over_an_entry_that_is_being_recorded(
    deal: Deal, world: World, planning: Planning
) -> None:
    async with held(world, "DELETE FROM milestone"):
        pass
    async with held(world, "SELECT FROM person_day FOR UPDATE"):
        recording = asyncio.create_task(record(world, entry(deal)))
        await asyncio.sleep(_SOON)
        closing = asyncio.create_task(close_project(planning, deal.project_id))
        await asyncio.sleep(_SOON)
        assert not closing.done()

    await recording
    with pytest.raises(FailedPrecondition) as refused:
        await closing
    assert refused.value.stable_code == "project.unapproved_time"


@pytest.mark.parametrize(
    "closing",
    [
        "WITH held AS (SELECT FROM project FOR UPDATE) UPDATE task SET closed = true",
        "UPDATE project SET status = 'closed'",
    ],
    ids=["task", "project"],
)
async def test_no_entry_lands_on_what_is_being_closed(
    deal: Deal, world: World, closing: str
) -> None:
    async with held(world, closing):
        recording = asyncio.create_task(record(world, entry(deal)))
        await asyncio.sleep(_SOON)
        assert not recording.done()

    with pytest.raises(InvalidRequest) as refused:
        await recording
    assert [each.rule for each in refused.value.violations] == ["time_entry.task_closed"]
    assert await world.entry_count() == 1


@pytest.mark.parametrize("day", ["a day with time", "a fresh day"])
async def test_the_same_work_recorded_twice_at_once_is_recorded_once(
    deal: Deal, world: World, day: str
) -> None:
    work_date = MONDAY.isoformat() if day == "a day with time" else "2026-09-08"
    # Both have seen that nothing says the same before one of them may write.
    async with held(world, "LOCK TABLE person_day IN SHARE ROW EXCLUSIVE MODE"):
        recording = [
            asyncio.create_task(record(world, entry(deal, work_date=work_date))) for _ in range(2)
        ]
        await asyncio.sleep(_SOON)

    results = await asyncio.gather(*recording, return_exceptions=True)

    [refused] = [each for each in results if isinstance(each, BaseException)]
    assert isinstance(refused, InvalidRequest)
    assert await world.entry_count() == 2


async def test_the_same_work_imported_in_bulk_twice_at_once_is_imported_once(
    deal: Deal, world: World
) -> None:
    rows = deal.rows(120)
    async with held(world, "LOCK TABLE person_day IN SHARE ROW EXCLUSIVE MODE"):
        importing = [asyncio.create_task(world.import_time(rows)) for _ in range(2)]
        await asyncio.sleep(_SOON)

    results = await asyncio.gather(*importing, return_exceptions=True)

    assert [isinstance(each, InvalidRequest) for each in results].count(True) == 1
    assert await world.entry_count() == 121


async def test_different_work_of_one_day_recorded_at_once_is_all_recorded(
    deal: Deal, world: World
) -> None:
    requests = [entry(deal, note=f"Call {number}", minutes=15) for number in range(8)]

    await asyncio.gather(*(record(world, request) for request in requests))

    assert await world.entry_count() == 9
