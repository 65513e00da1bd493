"""A contract becomes a project once, whole, and by itself; what stops it waits for a person."""

import asyncio

import pytest
from project_provisioning_builders import DE01, PROJECT, US01, an_id
from project_provisioning_world import (
    PMO,
    Readiness,
    World,
    a_key,
    contract_activated,
    template_request,
)

from project_provisioning.commands import provisioning as commands
from project_provisioning.domain.run import Run, RunState, wait_seconds
from project_provisioning.repository import run as repository
from project_provisioning.schedules import begin, judge, provision
from throughline.customer_contract.v1 import quote_pb2
from throughline.operations.v1 import operations_service_pb2
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectActivated,
    RunPaused,
    RunResumed,
)
from throughline.project_provisioning.v1 import project_service_pb2
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_core.errors import IllegalTransition, NotFound, PermissionDenied, Unavailable
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.serving import a_caller

FINANCE = a_caller("finance", subject="user:fina.finance")


async def resume(world: World, run_id: str, caller: Caller = PMO) -> pb.ProvisioningRun:
    request = pb.ResumeRunRequest(request_id=a_key(), run_id=run_id)
    return (await world.runs(caller).ResumeRun(request)).run


async def cancel(world: World, run_id: str) -> pb.ProvisioningRun:
    request = pb.CancelRunRequest(request_id=a_key(), run_id=run_id, reason="no deal after all")
    return (await world.runs().CancelRun(request)).run


async def open_exceptions(world: World) -> list[tuple[str, str]]:
    stub = world.running.stub(OperationsServiceStub, caller=PMO)
    found = await stub.ListExceptions(operations_service_pb2.ListExceptionsRequest())
    return [(item.reason, item.owner) for item in found.exceptions]


async def due_runs(world: World) -> list[Run]:
    async with read(world.context.engine) as tx:
        return list(await repository.due(tx, size=10))


async def take_step(context: Context, run: Run) -> Run:
    step = {
        RunState.RECEIVED: begin,
        RunState.VALIDATING: judge,
        RunState.PROVISIONING: provision,
    }[run.state]
    [moved] = await step(context, [run])
    return moved


async def test_a_contract_in_force_becomes_a_project(world: World, readiness: Readiness) -> None:
    project = await world.the_project()

    run = await world.the_run()
    assert run.state == pb.PROVISIONING_STATE_ACTIVATED
    assert run.project_id == project.project_id
    assert readiness.asked == [contract_activated().contract.contract_id]
    [event] = await world.published(ProjectActivated)
    assert event.project == project
    assert event.run_id == run.run_id
    assert event.engagement_id == contract_activated().engagement_id


async def test_the_agreed_event_leaves_one_received_run(world: World) -> None:
    await world.announce(contract_activated())

    run = await world.the_run()
    assert run.state == pb.PROVISIONING_STATE_RECEIVED
    assert run.contract_number == "CT-000017"
    assert run.legal_entity_id == str(DE01)


async def test_however_often_it_is_announced_there_is_one_project(world: World) -> None:
    await world.put_templates()
    event = contract_activated()

    await world.announce(event, event)
    await world.advance()
    await world.announce(event)
    await world.advance()

    assert await world.scalar("SELECT count(*) FROM project") == 1
    assert len(await world.published(ProjectActivated)) == 1


async def test_many_contracts_at_once_get_a_project_each(world: World) -> None:
    await world.put_templates()
    events = [contract_activated(contract_id=str(an_id(f"b2{n:02}"))) for n in range(20)]

    await world.announce(*events)
    await world.advance()

    assert await world.scalar("SELECT count(DISTINCT number) FROM project") == 20


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
async def test_a_run_cut_off_between_two_steps_goes_on_where_it_stood(
    world: World, context: Context, steps: int
) -> None:
    await world.put_templates()
    await world.announce(contract_activated())
    [run] = await due_runs(world)
    with acting_as(Caller.service("project-provisioning")):
        for _ in range(steps):
            run = await take_step(context, run)

    # Here the process died. The next one knows what the database says, and nothing else.
    await world.advance()

    assert (await world.the_run()).state == pb.PROVISIONING_STATE_ACTIVATED
    assert len(await world.published(ProjectActivated)) == 1


async def test_a_step_that_fails_half_way_leaves_nothing(world: World, context: Context) -> None:
    await world.put_templates()
    await world.announce(contract_activated())
    [run] = await due_runs(world)
    with acting_as(Caller.service("project-provisioning")):
        run = await take_step(context, await take_step(context, run))
    assert run.state is RunState.PROVISIONING

    async def provision_and_die() -> None:
        async with write(context.engine) as tx:
            await commands.provision(tx, [run], at=context.clock.now())
            raise ZeroDivisionError

    with acting_as(Caller.service("project-provisioning")), pytest.raises(ZeroDivisionError):
        await provision_and_die()

    assert await world.scalar("SELECT count(*) FROM task") == 0
    assert not await world.published(ProjectActivated)


@pytest.mark.parametrize(
    ("code", "owner"),
    [
        ("customer.tax_id_invalid", "sales_operations"),
        ("customer.credit_hold", "finance"),
        ("contract_line.rate_missing", "pmo"),
        ("erp.account_missing", "integration"),
    ],
)
async def test_a_failed_check_pauses_until_it_is_mended_and_resumed(
    world: World, readiness: Readiness, code: str, owner: str
) -> None:
    await world.put_templates()
    readiness.fail(code, owner, "mend it")
    await world.announce(contract_activated())
    await world.advance()

    paused = await world.the_run()
    assert paused.state == pb.PROVISIONING_STATE_PAUSED
    assert (paused.reason, paused.owner, paused.advice) == (code, owner, "mend it")
    assert await open_exceptions(world) == [(code, owner)]
    [event] = await world.published(RunPaused)
    assert (event.reason, event.owner) == (code, owner)
    assert await world.scalar("SELECT count(*) FROM project") == 0

    readiness.failing.clear()
    resumed = await resume(world, paused.run_id, FINANCE)
    assert resumed.state == pb.PROVISIONING_STATE_VALIDATING
    assert await open_exceptions(world) == []
    assert len(await world.published(RunResumed)) == 1

    await world.advance()
    assert (await world.the_run()).state == pb.PROVISIONING_STATE_ACTIVATED


async def test_a_cause_that_was_not_mended_pauses_again(world: World, readiness: Readiness) -> None:
    await world.put_templates()
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.announce(contract_activated())
    await world.advance()
    await resume(world, (await world.the_run()).run_id)
    await world.advance()

    assert (await world.the_run()).state == pb.PROVISIONING_STATE_PAUSED
    assert len(await world.published(RunPaused)) == 2
    assert len(await open_exceptions(world)) == 1


async def test_a_paused_run_keeps_no_other_waiting(world: World, readiness: Readiness) -> None:
    await world.put_templates()
    fixed_fee_only = contract_activated(contract_id=str(an_id("b2")))
    del fixed_fee_only.contract.lines[1:]
    fixed_fee_only.contract.lines[0].terms.template_code = "unheard_of"
    await world.announce(fixed_fee_only, contract_activated())
    await world.advance()

    states = [
        run.state
        for run in (await world.runs().ListProvisioningRuns(pb.ListProvisioningRunsRequest())).runs
    ]
    assert sorted(states) == [pb.PROVISIONING_STATE_PAUSED, pb.PROVISIONING_STATE_ACTIVATED]


async def test_a_template_published_later_mends_the_run(world: World) -> None:
    await world.put_templates("discovery", "advisory", "managed_service")
    await world.announce(contract_activated())
    await world.advance()
    paused = await world.the_run()
    assert (paused.reason, paused.owner) == ("template.missing", "pmo")

    await world.put_templates("pass_through")
    await resume(world, paused.run_id)
    await world.advance()

    assert (await world.the_run()).state == pb.PROVISIONING_STATE_ACTIVATED


async def test_a_template_that_does_not_serve_the_line_is_mended_by_its_next_version(
    world: World,
) -> None:
    await world.put_templates()
    wrong = template_request("advisory", billing_models=[quote_pb2.BILLING_MODEL_FIXED_FEE])
    await world.publish(wrong)
    await world.announce(contract_activated())
    await world.advance()
    paused = await world.the_run()
    assert paused.reason == "template.billing_model_unsupported"

    await world.put_templates("advisory")
    await resume(world, paused.run_id)
    await world.advance()

    run = await world.the_run()
    assert "advisory@3" in run.templates
    assert "discovery@1" in run.templates


async def test_a_run_keeps_the_templates_it_started_with(world: World, context: Context) -> None:
    await world.put_templates()
    await world.announce(contract_activated())
    [run] = await due_runs(world)
    with acting_as(Caller.service("project-provisioning")):
        await take_step(context, run)
    await world.put_templates("advisory")

    await world.advance()

    assert "advisory@1" in (await world.the_run()).templates


async def test_an_unreachable_peer_makes_the_run_wait_not_pause(
    world: World, readiness: Readiness, context: Context
) -> None:
    await world.put_templates()
    readiness.error = Unavailable("restarting")
    await world.announce(contract_activated())
    await world.advance()

    waiting = await world.the_run()
    assert waiting.state == pb.PROVISIONING_STATE_VALIDATING
    assert waiting.attempts == 1
    assert await open_exceptions(world) == []
    assert await due_runs(world) == []

    readiness.error = None
    await asyncio.sleep(wait_seconds(0))
    await world.advance()
    run = await world.the_run()
    assert (run.state, run.attempts) == (pb.PROVISIONING_STATE_ACTIVATED, 0)


async def test_a_peer_with_a_bug_makes_the_run_wait(world: World, readiness: Readiness) -> None:
    await world.put_templates()
    readiness.error = ZeroDivisionError()
    await world.announce(contract_activated())
    await world.advance()

    assert (await world.the_run()).attempts == 1


async def test_what_the_peer_refuses_is_a_reason_to_pause(
    world: World, readiness: Readiness
) -> None:
    await world.put_templates()
    readiness.error = NotFound("no such contract", code="contract.not_found", advice="look it up")
    await world.announce(contract_activated())
    await world.advance()

    run = await world.the_run()
    assert (run.reason, run.owner) == ("contract.not_found", "integration")


async def test_a_cancelled_run_makes_nothing(world: World, readiness: Readiness) -> None:
    await world.put_templates()
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.announce(contract_activated())
    await world.advance()

    cancelled = await cancel(world, (await world.the_run()).run_id)

    assert cancelled.cancellation_reason == "no deal after all"
    assert await open_exceptions(world) == []
    with pytest.raises(IllegalTransition):
        await resume(world, cancelled.run_id)


async def test_an_answer_to_an_older_question_changes_nothing(
    world: World, context: Context
) -> None:
    await world.put_templates()
    await world.announce(contract_activated())
    [run] = await due_runs(world)
    with acting_as(Caller.service("project-provisioning")):
        validating = await take_step(context, run)
        await cancel(world, str(run.run_id))
        assert await judge(context, [validating]) == []

    assert (await world.the_run()).state == pb.PROVISIONING_STATE_CANCELLED


async def test_runs_are_found_by_state_reason_and_owner(world: World, readiness: Readiness) -> None:
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.put_templates()
    await world.announce(contract_activated())
    await world.advance()

    async def found(**filters: object) -> int:
        request = pb.ListProvisioningRunsRequest(**filters)  # type: ignore[arg-type]  # any field
        return len((await world.runs().ListProvisioningRuns(request)).runs)

    assert await found(state=pb.PROVISIONING_STATE_PAUSED, owner="finance") == 1
    assert await found(reason="customer.credit_hold") == 1
    assert await found(owner="pmo") == 0
    assert await found(contract_id=str(an_id("b9"))) == 0


async def test_runs_are_paged_latest_first(world: World) -> None:
    for number in range(5):
        await world.announce(contract_activated(contract_id=str(an_id(f"b2{number}"))))
    seen: list[str] = []
    request = pb.ListProvisioningRunsRequest(page_size=2)
    while True:
        page = await world.runs().ListProvisioningRuns(request)
        seen.extend(run.contract_id for run in page.runs)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert seen == [str(an_id(f"b2{number}")) for number in (4, 3, 2, 1, 0)]


async def test_another_entitys_runs_and_projects_are_out_of_sight(world: World) -> None:
    project = await world.the_project()
    run = await world.the_run()
    stranger = a_caller("pmo", subject="user:us.pmo", entities=[US01])

    assert not (
        await world.runs(stranger).ListProvisioningRuns(pb.ListProvisioningRunsRequest())
    ).runs
    with pytest.raises(NotFound):
        await world.runs(stranger).GetProvisioningRun(
            pb.GetProvisioningRunRequest(run_id=run.run_id)
        )
    with pytest.raises(NotFound):
        await world.projects(stranger).GetProject(
            project_service_pb2.GetProjectRequest(project_id=project.project_id)
        )
    with pytest.raises(PermissionDenied):
        await world.projects(stranger).CloseTask(
            project_service_pb2.CloseTaskRequest(
                request_id=a_key(), task_id=project.tasks[0].task_id
            )
        )


async def test_a_closed_task_stays_closed(world: World) -> None:
    project = await world.the_project()
    task_id = project.tasks[0].task_id
    request = project_service_pb2.CloseTaskRequest(request_id=a_key(), task_id=task_id)

    closed = (await world.projects().CloseTask(request)).project
    again = (await world.projects().CloseTask(request)).project

    assert closed == again
    got = await world.projects().GetProject(
        project_service_pb2.GetProjectRequest(project_id=project.project_id)
    )
    assert [task.closed for task in got.project.tasks] == [True, False, False, False]
    with pytest.raises(NotFound):
        await world.projects().GetProject(
            project_service_pb2.GetProjectRequest(project_id=str(PROJECT))
        )
