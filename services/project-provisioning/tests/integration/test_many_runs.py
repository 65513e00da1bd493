"""Hundreds of deals at once: one project each, in a constant number of statements."""

import asyncio
import random

import pytest
from project_provisioning_builders import an_id
from project_provisioning_world import ErpAccounts, Readiness, World, contract_activated

from project_provisioning.domain.run import Run, RunState
from project_provisioning.repository import run as repository
from project_provisioning.schedules import begin, judge, provision
from throughline.connectors.v1 import erp_account_service_pb2 as erp_pb
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import ContractActivated
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectActivated,
)
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_core.errors import ResourceExhausted
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.statements import Statements


def deals(count: int, *, start: int = 0) -> list[ContractActivated]:
    numbers = range(start, start + count)
    return [contract_activated(contract_id=str(an_id(f"d{number:05}"))) for number in numbers]


async def due(context: Context, *, size: int) -> list[Run]:
    async with read(context.engine) as tx:
        return await repository.due(tx, size=size)


@pytest.mark.timeout(180)
async def test_500_deals_told_twice_and_shuffled_are_500_projects(world: World) -> None:
    await world.put_templates()
    told = [*deals(500), *deals(500)]
    random.Random(7).shuffle(told)

    for start in range(0, len(told), 100):
        await world.announce(*told[start : start + 100])
        await asyncio.gather(world.advance(), world.advance())
    await world.announce(*told[:100])
    await world.advance()

    assert await world.scalar("SELECT count(*) FROM project") == 500
    assert await world.scalar("SELECT count(DISTINCT contract_id) FROM project") == 500
    assert await world.scalar("SELECT count(DISTINCT number) FROM project") == 500
    assert len(await world.published(ProjectActivated)) == 500
    states = await world.scalar("SELECT array_agg(DISTINCT state) FROM provisioning_run")
    assert states == [RunState.ACTIVATED]


async def statements_for(
    world: World, context: Context, statements: Statements, count: int
) -> list[int]:
    """Return how many statements each step of so many runs takes; none is run for each row."""
    await world.announce(*deals(count, start=count))
    taken: list[int] = []
    with acting_as(Caller.service("project-provisioning")):
        for step in (begin, judge, provision):
            seen = await due(context, size=count)
            statements.clear()
            assert len(await step(context, seen)) == count
            taken.append(len(statements))
            assert statements.row_by_row == []
    return taken


async def test_a_step_takes_as_many_statements_for_fifty_runs_as_for_two(
    world: World, context: Context, statements: Statements
) -> None:
    await world.put_templates()

    # The first time the driver asks the database about its types.
    await statements_for(world, context, statements, 1)
    few = await statements_for(world, context, statements, 2)
    many = await statements_for(world, context, statements, 50)

    # All rows of the projects are one statement; two note parties nobody has told of yet.
    assert many == few == [4, 4, 14]


async def test_peers_are_asked_once_for_all_runs(
    world: World, readiness: Readiness, erp_accounts: ErpAccounts
) -> None:
    await world.put_templates()
    await world.announce(*deals(10))
    await world.advance()

    assert len(readiness.asked) == 10
    # One customer and one entity: one question.
    assert len(erp_accounts.asked) == 1


async def test_where_a_peer_is_out_of_reach_all_runs_wait_for_it_together(
    world: World, readiness: Readiness
) -> None:
    await world.put_templates()
    await world.announce(*deals(10))
    readiness.error = ResourceExhausted("too much at once")
    await world.advance()

    # Asked once for all of them, not once more for each.
    assert len(readiness.asked) == 10
    assert await world.scalar("SELECT array_agg(DISTINCT attempts) FROM provisioning_run") == [1]


async def test_a_missing_erp_account_pauses_for_integration_until_it_is_recorded(
    world: World, erp_accounts: ErpAccounts
) -> None:
    await world.put_templates()
    erp_accounts.state = erp_pb.ERP_ACCOUNT_STATE_MISSING
    await world.announce(contract_activated())
    await world.advance()
    paused = await world.the_run()
    assert (paused.reason, paused.owner) == ("erp.account_missing", "integration")
    contract = contract_activated().contract
    assert erp_accounts.asked == [(contract.bill_to_customer_id, contract.legal_entity_id)]

    erp_accounts.state = erp_pb.ERP_ACCOUNT_STATE_EXISTS
    await world.runs().ResumeRun(pb.ResumeRunRequest(request_id="resume", run_id=paused.run_id))
    await world.advance()

    assert (await world.the_run()).state == pb.PROVISIONING_STATE_ACTIVATED
