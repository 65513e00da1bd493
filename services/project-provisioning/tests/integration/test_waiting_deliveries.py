"""While a delivery waits its deal goes on: it is agreed anew, or it ends."""

from collections.abc import Sequence

import pytest
from project_provisioning_builders import an_id
from project_provisioning_world import Readiness, World, a_key, contract_activated
from sqlalchemy import text

from project_provisioning.consumers import amend_projects, end_work
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractAmended,
    ContractTerminated,
)
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectActivated,
    ProjectChanged,
    RunPaused,
)
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_runtime.database import write
from throughline_testing.samples import sample


async def runs(world: World) -> Sequence[pb.ProvisioningRun]:
    return (await world.runs().ListProvisioningRuns(pb.ListProvisioningRunsRequest())).runs


async def look_again(world: World) -> None:
    """Let the time pass until paused runs are checked again, and check them."""
    async with write(world.context.engine) as tx:
        await tx.execute(text("UPDATE provisioning_run SET due_at = now()"))
    await world.advance()


async def test_a_contract_that_ended_before_its_run_is_given_up_not_asked_for(
    world: World, readiness: Readiness
) -> None:
    await world.put_templates()
    await world.consume(end_work, sample(ContractTerminated))
    await world.announce(contract_activated())
    readiness.fail("contract.not_active", "sales_operations", "have it signed and activate it")
    await world.advance()

    [run] = await runs(world)
    assert (run.state, run.cancellation_reason) == (
        pb.PROVISIONING_STATE_CANCELLED,
        "the contract ended",
    )
    assert await world.scalar("SELECT count(*) FROM project") == 0
    assert await world.published(RunPaused) == []


@pytest.mark.parametrize("is_resumed", [True, False], ids=["resumed", "checked again by itself"])
async def test_a_paused_delivery_goes_on_with_what_was_agreed_since(
    world: World, is_resumed: bool
) -> None:
    await world.put_templates()
    nobody = contract_activated()
    nobody.contract.lines[1].terms.rates[0].person_id = str(an_id("9999"))
    await world.announce(nobody)
    await world.advance()
    [paused] = await runs(world)
    assert paused.reason == "contract_line.person_unknown"

    agreed = ContractAmended(change_order_id=str(an_id("c02")))
    agreed.contract.CopyFrom(contract_activated(contract_version=2).contract)
    await world.consume(amend_projects, agreed)
    if is_resumed:
        request = pb.ResumeRunRequest(request_id=a_key(), run_id=paused.run_id)
        assert (await world.runs().ResumeRun(request)).run.contract_version == 2
        await world.advance()
    else:
        await look_again(world)

    [activated] = await world.published(ProjectActivated)
    assert (activated.project.contract_version, activated.project.version) == (2, 1)
    assert await world.published(ProjectChanged) == []
    found = await runs(world)
    assert {run.kind for run in found} == {
        pb.PROVISIONING_KIND_DELIVERY,
        pb.PROVISIONING_KIND_AMENDMENT,
    }
    assert {run.state for run in found} == {pb.PROVISIONING_STATE_ACTIVATED}
    assert await world.scalar("SELECT count(*) FROM baseline") == 1
