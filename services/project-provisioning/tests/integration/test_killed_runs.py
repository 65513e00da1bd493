"""The process is killed at each step of a run: nothing is lost, doubled or left half-made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import nats
import pytest
from nats.js import JetStreamContext
from project_provisioning_builders import an_id
from project_provisioning_drill import PUBLISHED, Drill, Gate, prepare
from project_provisioning_world import ErpAccounts, Readiness, World, a_key

from throughline.connectors.v1 import erp_account_service_pb2 as erp_pb
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_core.errors import Unavailable
from throughline_runtime.settings import Settings
from throughline_testing.broker import TestBroker
from throughline_testing.database import Database

UNDISTURBED: Final = str(an_id("b200"))


@dataclass(slots=True)
class HeldReadiness(Readiness):
    """A customer-contract that may keep its caller waiting."""

    gate: Gate = field(default_factory=Gate)

    async def answer(
        self, request: contract_pb.CheckReadinessBatchRequest
    ) -> contract_pb.CheckReadinessBatchResponse:
        await self.gate.pass_through()
        return await Readiness.answer(self, request)


@dataclass(slots=True)
class HeldErpAccounts(ErpAccounts):
    """Connectors that may keep their caller waiting."""

    gate: Gate = field(default_factory=Gate)

    async def answer(
        self, request: erp_pb.CheckErpAccountsRequest
    ) -> erp_pb.CheckErpAccountsResponse:
        await self.gate.pass_through()
        return await ErpAccounts.answer(self, request)


@dataclass(frozen=True, slots=True)
class Scene:
    """A process about to be killed while it works on a deal."""

    drill: Drill
    readiness: HeldReadiness
    erp_accounts: HeldErpAccounts
    contract_id: str


Kill = Callable[[Scene], Awaitable[None]]


@pytest.fixture
def readiness() -> HeldReadiness:
    return HeldReadiness()


@pytest.fixture
def erp_accounts() -> HeldErpAccounts:
    return HeldErpAccounts()


@pytest.fixture
async def jetstream(broker: TestBroker) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(broker.url, user=broker.user, password=broker.password)
    context = connection.jetstream()
    await prepare(context)
    yield context
    await connection.close()


@pytest.fixture
async def drill(
    world: World,
    settings: Settings,
    database: Database,
    jetstream: JetStreamContext,
    tmp_path: Path,
) -> AsyncIterator[Drill]:
    """The process, and a deal that it has delivered without being disturbed."""
    await world.put_templates()
    drill = Drill(settings, database, jetstream, tmp_path / "process.log")
    try:
        await drill.start()
        await drill.announce(UNDISTURBED)
        await drill.reaches(UNDISTURBED, "activated")
        yield drill
    finally:
        await drill.end()
        print((tmp_path / "process.log").read_text()[-4000:])


async def kill_taking_the_event(scene: Scene) -> None:
    async with scene.drill.locked("provisioning_run") as runs:
        await scene.drill.announce(scene.contract_id)
        await runs.met()
        await scene.drill.kill()
    await scene.drill.deliver_anew()


async def kill_received(scene: Scene) -> None:
    async with scene.drill.locked("schedule_run") as jobs:
        await scene.drill.announce(scene.contract_id)
        await scene.drill.reaches(scene.contract_id, "received")
        await jobs.met()
        await scene.drill.kill()


async def kill_beginning(scene: Scene) -> None:
    async with scene.drill.locked("schedule_run") as jobs:
        await scene.drill.announce(scene.contract_id)
        await scene.drill.reaches(scene.contract_id, "received")
        async with scene.drill.locked("run_step") as steps:
            await jobs.release()
            await steps.met()
            await scene.drill.kill()


async def kill_asking_customer_contract(scene: Scene) -> None:
    await _kill_asking(scene, scene.readiness.gate)


async def kill_asking_connectors(scene: Scene) -> None:
    await _kill_asking(scene, scene.erp_accounts.gate)


async def _kill_asking(scene: Scene, gate: Gate) -> None:
    gate.shut()
    await scene.drill.announce(scene.contract_id)
    await gate.met()
    assert await scene.drill.state_of(scene.contract_id) == "validating"
    await scene.drill.kill()
    gate.open()


async def kill_judging(scene: Scene) -> None:
    gate = scene.readiness.gate
    gate.shut()
    await scene.drill.announce(scene.contract_id)
    await gate.met()
    async with scene.drill.locked("run_step") as steps:
        gate.open()
        await steps.met()
        await scene.drill.kill()


async def kill_pausing(scene: Scene) -> None:
    scene.readiness.fail("customer.credit_hold", "finance", "release the hold")
    async with scene.drill.locked("exception_item") as exceptions:
        await scene.drill.announce(scene.contract_id)
        await exceptions.met()
        await scene.drill.kill()
    await scene.drill.start()
    await scene.drill.reaches(scene.contract_id, "paused")
    assert await scene.drill.open_exceptions() == 1

    scene.readiness.failing.clear()
    request = pb.ResumeRunRequest(request_id=a_key(), run_id=await _run_id(scene))
    await scene.drill.insist("ResumeRun", request)


async def kill_making_projects(scene: Scene) -> None:
    await _kill_provisioning(scene, "project")


async def kill_making_milestones(scene: Scene) -> None:
    await _kill_provisioning(scene, "milestone")


async def _kill_provisioning(scene: Scene, table: str) -> None:
    async with scene.drill.locked(table) as written:
        await scene.drill.announce(scene.contract_id)
        await written.met()
        assert await scene.drill.state_of(scene.contract_id) == "provisioning"
        await scene.drill.kill()


async def kill_completing(scene: Scene) -> None:
    async with scene.drill.locked("project") as projects:
        await scene.drill.announce(scene.contract_id)
        await projects.met()
        async with scene.drill.locked("run_step") as steps:
            await projects.release()
            await steps.met()
            await scene.drill.kill()


async def kill_publishing(scene: Scene) -> None:
    """Kill it when the broker has the events and the outbox does not know it."""
    drill = scene.drill
    async with drill.locked("project") as projects:
        await drill.announce(scene.contract_id)
        await projects.met()
        async with drill.locked("run_step") as steps:
            await projects.release()
            await steps.met()
            async with drill.lock_next("outbox") as taking:
                await steps.release()
                outbox = await taking
                await outbox.met()
                assert await drill.state_of(scene.contract_id) == "activated"
                await drill.kill()


async def kill_cancelling_projects(scene: Scene) -> None:
    await _kill_cancelling(scene, "project")


async def kill_cancelling_the_run(scene: Scene) -> None:
    await _kill_cancelling(scene, "run_step")


async def _kill_cancelling(scene: Scene, table: str) -> None:
    await scene.drill.announce(scene.contract_id)
    await scene.drill.reaches(scene.contract_id, "activated")
    run_id = await _run_id(scene)
    request = pb.CancelRunRequest(request_id=a_key(), run_id=run_id, reason="no deal after all")
    async with scene.drill.locked(table) as written:
        cancelling = asyncio.create_task(scene.drill.command("CancelRun", request))
        await written.met()
        await scene.drill.kill()
    with pytest.raises(Unavailable):
        await cancelling
    assert await scene.drill.state_of(scene.contract_id) == "activated"
    await scene.drill.start()
    await scene.drill.insist("CancelRun", request)


async def _run_id(scene: Scene) -> str:
    return await scene.drill.run_id_of(scene.contract_id)


UNTIL_JUDGED: Final = (
    kill_taking_the_event,
    kill_received,
    kill_beginning,
    kill_asking_customer_contract,
    kill_asking_connectors,
    kill_judging,
    kill_pausing,
)
FROM_JUDGED: Final = (
    kill_making_projects,
    kill_making_milestones,
    kill_completing,
    kill_publishing,
    kill_cancelling_projects,
    kill_cancelling_the_run,
)
PAUSED: Final = {"RunPaused": 1, "RunResumed": 1}
CANCELLED: Final = {"RunCancelled": 1, "ProjectChanged": 2}
MORE_EVENTS: Final[Mapping[Kill, Mapping[str, int]]] = {
    kill_pausing: PAUSED,
    kill_cancelling_projects: CANCELLED,
    kill_cancelling_the_run: CANCELLED,
}
MORE_STEPS: Final[Mapping[Kill, int]] = {
    kill_pausing: 2,
    kill_cancelling_projects: 1,
    kill_cancelling_the_run: 1,
}


@pytest.mark.parametrize("kills", [UNTIL_JUDGED, FROM_JUDGED], ids=["until judged", "from judged"])
async def test_a_run_whose_process_is_killed_ends_as_one_that_was_left_alone(
    drill: Drill,
    readiness: HeldReadiness,
    erp_accounts: HeldErpAccounts,
    kills: tuple[Kill, ...],
) -> None:
    deals = {str(an_id(f"b2{number:02}")): kill for number, kill in enumerate(kills, start=1)}
    for contract_id, kill in deals.items():
        await kill(Scene(drill, readiness, erp_accounts, contract_id))
        await drill.start()
        await drill.reaches(contract_id, end_of(kill))

    assert drill.kills == len(kills)
    undisturbed = await drill.made_for(UNDISTURBED)
    assert (undisturbed["project"], undisturbed["baseline"], undisturbed["milestone"]) == (2, 2, 2)
    published = await drill.published()
    for contract_id, kill in deals.items():
        steps = undisturbed["run_step"] + MORE_STEPS.get(kill, 0)
        made = await drill.made_for(contract_id)
        assert made == {**undisturbed, "run_step": steps}, kill.__name__
        events = {"ProjectActivated": 2, **MORE_EVENTS.get(kill, {})}
        assert published[contract_id] == events, kill.__name__
    assert await drill.open_exceptions() == 0


async def test_without_the_brokers_memory_the_second_publication_would_be_seen(
    drill: Drill,
    readiness: HeldReadiness,
    erp_accounts: HeldErpAccounts,
    jetstream: JetStreamContext,
) -> None:
    """The control of the others: events are counted as they are stored, and twice is seen."""
    stored = (await jetstream.stream_info(PUBLISHED)).config
    await jetstream.update_stream(stored, duplicate_window=0.1)
    scene = Scene(drill, readiness, erp_accounts, str(an_id("b201")))

    await kill_publishing(scene)
    await drill.start()

    # Two projects; what was stored before the kill is stored once more.
    assert (await drill.published())[scene.contract_id]["ProjectActivated"] > 2


def end_of(kill: Kill) -> str:
    """Return where a run ends after such a kill."""
    return (
        "cancelled" if kill in (kill_cancelling_projects, kill_cancelling_the_run) else "activated"
    )
