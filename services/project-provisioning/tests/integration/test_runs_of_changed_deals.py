"""Projects follow change orders and ends of contracts, once, in order, whatever comes when."""

import asyncio
from datetime import date

import pytest
from project_provisioning_builders import DE01, TIME_LINE, US01, an_id
from project_provisioning_world import (
    ADA_SIGNED_IN,
    PMO,
    Readiness,
    World,
    a_key,
    a_row,
    contract_activated,
    task_of,
)
from sqlalchemy import text

from project_provisioning.consumers import amend_projects, complete_work, end_work
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractAmended,
    ContractCompleted,
    ContractTerminated,
)
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectActivated,
    ProjectChanged,
    RunCancelled,
)
from throughline.project_provisioning.v1 import project_pb2, project_service_pb2
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_core.errors import FailedPrecondition, PermissionDenied
from throughline_runtime.database import write
from throughline_testing.samples import sample
from throughline_testing.serving import a_caller

NEW_LINE = str(an_id("b105"))


def amended(version: int = 2) -> ContractAmended:
    """Return a change order on the deal of all samples: the terms in force, one version later."""
    event = ContractAmended(change_order_id=str(an_id(f"c0{version}")))
    event.contract.CopyFrom(contract_activated().contract)
    event.contract.contract_version = version
    return event


def with_new_line(event: ContractAmended, *, deliverer: str = "", region: str = "") -> None:
    line = event.contract.lines.add()
    line.CopyFrom(event.contract.lines[1])
    line.contract_line_id = NEW_LINE
    line.terms.quote_line_id = NEW_LINE
    line.terms.position = 9
    line.terms.region = region
    if deliverer:
        line.terms.delivering_legal_entity_id = deliverer


async def projects(world: World) -> list[project_pb2.Project]:
    """Return all projects, the master first."""
    found = (
        await world.projects().ListProjects(project_service_pb2.ListProjectsRequest())
    ).projects
    return sorted(found, key=lambda project: project.HasField("master_project_id"))


async def runs(world: World, **filters: object) -> list[pb.ProvisioningRun]:
    request = pb.ListProvisioningRunsRequest(**filters)  # type: ignore[arg-type]  # any field
    found = (await world.runs().ListProvisioningRuns(request)).runs
    return sorted(found, key=lambda run: run.contract_version)


async def cancel(world: World, run_id: str) -> pb.ProvisioningRun:
    request = pb.CancelRunRequest(request_id=a_key(), run_id=run_id, reason="wrong templates")
    return (await world.runs().CancelRun(request)).run


async def test_a_change_order_is_followed_with_the_same_checks(
    world: World, readiness: Readiness
) -> None:
    before = await world.the_project()
    event = amended()
    with_new_line(event)
    event.contract.lines[1].ended_on = "2026-12-01"
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.consume(amend_projects, event)
    await world.advance()
    [_, paused] = await runs(world)
    assert (paused.state, paused.kind, paused.reason) == (
        pb.PROVISIONING_STATE_PAUSED,
        pb.PROVISIONING_KIND_AMENDMENT,
        "customer.credit_hold",
    )
    assert await projects(world) == [before]

    readiness.failing.clear()
    await world.runs().ResumeRun(pb.ResumeRunRequest(request_id=a_key(), run_id=paused.run_id))
    await world.advance()

    [after] = await projects(world)
    assert after.contract_version == 2
    assert {task.contract_line_id: task.work_ends_on for task in after.tasks}[NEW_LINE] == ""
    assert [
        task.work_ends_on for task in after.tasks if task.contract_line_id == str(TIME_LINE)
    ] == [
        "2026-12-01",
        "2026-12-01",
    ]
    [changed] = await world.published(ProjectChanged)
    assert (changed.project, changed.change_order_id) == (after, event.change_order_id)
    [_, activated] = await runs(world)
    assert list(activated.project_ids) == [after.project_id]


async def test_a_service_retired_under_a_running_deal_stops_only_lines_that_are_added(
    world: World, readiness: Readiness
) -> None:
    await world.the_project()
    code, owner, advice = "catalogue.service_unknown", "sales_operations", "sell something else"
    readiness.fail(code, owner, advice, str(TIME_LINE))
    await world.consume(amend_projects, amended(2))
    await world.advance()

    [project] = await projects(world)
    assert project.contract_version == 2

    readiness.fail(code, owner, advice, str(TIME_LINE), NEW_LINE)
    adding = amended(3)
    with_new_line(adding)
    await world.consume(amend_projects, adding)
    await world.advance()

    *_, paused = await runs(world)
    assert (paused.state, paused.reason) == (pb.PROVISIONING_STATE_PAUSED, code)
    [check] = [each for each in paused.checks if not each.passed]
    assert list(check.contract_line_ids) == [NEW_LINE]


async def test_a_planned_milestone_that_is_dropped_is_cancelled_and_planned_again_if_agreed_anew(
    world: World,
) -> None:
    [before, _] = (await world.the_project()).milestones
    dropping, agreeing = amended(2), amended(3)
    del dropping.contract.lines[0].terms.milestones[1]
    dropping.contract.lines[0].terms.milestones[0].amount.amount = "24000.00"
    await world.consume(amend_projects, dropping)
    await world.advance()

    [project] = await projects(world)
    assert [(each.status, each.amount.amount) for each in project.milestones] == [
        (project_pb2.MILESTONE_STATUS_PLANNED, "24000.00"),
        (project_pb2.MILESTONE_STATUS_CANCELLED, "0.00"),
    ]

    await world.consume(amend_projects, agreeing)
    await world.advance()

    [project] = await projects(world)
    assert {each.status for each in project.milestones} == {project_pb2.MILESTONE_STATUS_PLANNED}
    assert project.milestones[0].amount == before.amount
    assert project.milestones[1].amount.amount == "14400.00"


async def test_each_version_is_followed_once_and_an_older_one_never_after_a_newer(
    world: World,
) -> None:
    await world.the_project()
    second, third = amended(2), amended(3)
    third.contract.lines[1].terms.net_total.amount = "70000.00"

    await world.consume(amend_projects, third, third)
    await world.advance()
    await world.consume(amend_projects, second, third)
    await world.advance()
    await world.consume(amend_projects, second)
    await world.advance()

    [project] = await projects(world)
    assert (project.contract_version, project.budget.amount) == (3, "128000.00")
    assert len(await world.published(ProjectChanged)) == 1
    states = [(run.contract_version, run.state) for run in await runs(world)]
    assert states == [
        (1, pb.PROVISIONING_STATE_ACTIVATED),
        (2, pb.PROVISIONING_STATE_CANCELLED),
        (3, pb.PROVISIONING_STATE_ACTIVATED),
    ]


async def test_a_change_order_that_comes_before_the_contract_waits_for_its_delivery(
    world: World,
) -> None:
    await world.put_templates()
    event = amended()
    with_new_line(event, deliverer=str(US01))

    await world.consume(amend_projects, event)
    await world.advance()
    assert await projects(world) == []
    await world.announce(contract_activated())
    await world.advance()

    master, workstream = await projects(world)
    assert workstream.master_project_id == master.project_id
    assert (master.contract_version, workstream.contract_version) == (2, 2)


async def test_work_ends_with_the_contract_whichever_comes_first(world: World) -> None:
    await world.put_templates()
    other = contract_activated(contract_id=str(an_id("b2")))
    terminated, completed = sample(ContractTerminated), sample(ContractCompleted)
    completed.contract.contract_id = other.contract.contract_id
    await world.consume(complete_work, completed)
    await world.announce(contract_activated(), other)
    await world.advance()

    await world.consume(end_work, terminated, terminated)

    ends = {project.contract_id: project.work_ends_on for project in await projects(world)}
    day_after = date.fromisoformat(completed.contract.completed_on).toordinal() + 1
    assert ends == {
        terminated.contract.contract_id: terminated.contract.terminated_on,
        completed.contract.contract_id: date.fromordinal(day_after).isoformat(),
    }
    assert len(await world.published(ProjectChanged)) == 1


async def test_a_run_of_a_contract_that_ended_is_given_up(world: World) -> None:
    await world.announce(contract_activated())
    await world.advance()

    await world.consume(end_work, sample(ContractTerminated))

    [run] = await runs(world)
    assert (run.state, run.cancellation_reason) == (
        pb.PROVISIONING_STATE_CANCELLED,
        "the contract ended",
    )
    assert len(await world.published(RunCancelled)) == 1


async def test_a_deal_over_entities_and_regions_is_one_engagement_of_many_projects(
    world: World,
) -> None:
    await world.put_templates()
    event = contract_activated()
    event.contract.lines[1].terms.delivering_legal_entity_id = str(US01)
    event.contract.lines[2].terms.region = "apac"
    await world.announce(event)
    await world.advance()

    made = await projects(world)
    assert sorted((each.legal_entity_id, each.region) for each in made) == [
        (str(DE01), ""),
        (str(DE01), "apac"),
        (str(US01), ""),
    ]
    assert {each.engagement_id for each in made} == {event.contract.engagement_id}
    assert {each.selling_legal_entity_id for each in made} == {str(DE01)}
    [run] = await runs(world)
    assert set(run.project_ids) == {each.project_id for each in made}
    assert run.project_id == run.project_ids[0] == made[0].project_id
    assert len(await world.published(ProjectActivated)) == 3

    american = a_caller("pmo", subject="user:us.pmo", entities=[US01])
    listed = await world.projects(american).ListProjects(project_service_pb2.ListProjectsRequest())
    assert [each.legal_entity_id for each in listed.projects] == [str(US01)]
    regional = project_service_pb2.ListProjectsRequest(region="apac")
    assert len((await world.projects().ListProjects(regional)).projects) == 1


async def test_an_activated_run_is_taken_back_while_nothing_was_recorded(world: World) -> None:
    project = await world.the_project()
    [run] = await runs(world)

    cancelled = await cancel(world, run.run_id)

    assert cancelled.state == pb.PROVISIONING_STATE_CANCELLED
    [closed] = await projects(world)
    assert (closed.status, closed.closed_reason) == (project_pb2.PROJECT_STATUS_CLOSED, "cancelled")
    assert all(task.closed for task in closed.tasks)
    assert closed.project_id == project.project_id
    [told] = await world.published(RunCancelled)
    assert told.reason == "wrong templates"
    assert len(await world.published(ProjectChanged)) == 1


async def test_what_was_recorded_stands_in_the_way_and_is_named(world: World) -> None:
    project = await world.the_project()
    ada = await world.ada()
    await world.import_time([a_row(ada.person_id, task_of(project, "Advisory"))])
    [run] = await runs(world)

    with pytest.raises(FailedPrecondition, match="time entries") as refused:
        await cancel(world, run.run_id)

    assert refused.value.stable_code == "provisioning_run.project_in_use"
    [kept] = await projects(world)
    assert kept.status == project_pb2.PROJECT_STATUS_ACTIVE


async def test_an_amendment_that_took_effect_is_not_cancelled(world: World) -> None:
    await world.the_project()
    await world.consume(amend_projects, amended())
    await world.advance()
    [_, amendment] = await runs(world)

    with pytest.raises(FailedPrecondition) as refused:
        await cancel(world, amendment.run_id)
    assert refused.value.stable_code == "provisioning_run.amendment_final"


async def test_an_amendment_of_a_delivery_that_was_given_up_is_given_up(world: World) -> None:
    await world.announce(contract_activated())
    await world.consume(amend_projects, amended())
    await world.advance()
    await cancel(world, (await runs(world, kind=pb.PROVISIONING_KIND_DELIVERY))[0].run_id)
    await world.advance()

    [amendment] = await runs(world, kind=pb.PROVISIONING_KIND_AMENDMENT)
    assert amendment.state == pb.PROVISIONING_STATE_CANCELLED


async def test_steps_tell_when_from_where_to_where_by_whom_and_why(
    world: World, readiness: Readiness
) -> None:
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.put_templates()
    await world.announce(contract_activated())
    await world.advance()
    run = await world.the_run()
    readiness.failing.clear()
    await world.runs().ResumeRun(pb.ResumeRunRequest(request_id=a_key(), run_id=run.run_id))
    await world.advance()
    request = pb.ListProvisioningRunStepsRequest(run_id=run.run_id, page_size=4)

    first = await world.runs().ListProvisioningRunSteps(request)
    request.page_token = first.next_page_token
    rest = await world.runs().ListProvisioningRunSteps(request)

    steps = [*first.steps, *rest.steps]
    assert [(step.to_state, step.reason) for step in steps] == [
        (pb.PROVISIONING_STATE_RECEIVED, ""),
        (pb.PROVISIONING_STATE_VALIDATING, ""),
        (pb.PROVISIONING_STATE_PAUSED, "customer.credit_hold"),
        (pb.PROVISIONING_STATE_VALIDATING, ""),
        (pb.PROVISIONING_STATE_PROVISIONING, ""),
        (pb.PROVISIONING_STATE_ACTIVATED, ""),
    ]
    assert [step.from_state for step in steps[1:]] == [step.to_state for step in steps[:-1]]
    people = {step.taken_by for step in steps}
    assert people == {"service:project-provisioning", PMO.subject}
    assert [check.code for check in steps[2].checks if not check.passed] == ["customer.credit_hold"]
    with pytest.raises(PermissionDenied):
        await world.runs(ADA_SIGNED_IN).ListProvisioningRunSteps(request)


async def look_again(world: World) -> None:
    """Let the time pass until paused runs are checked again, and check them."""
    async with write(world.context.engine) as tx:
        await tx.execute(text("UPDATE provisioning_run SET due_at = now() WHERE state = 'paused'"))
    await world.advance()


async def test_a_paused_run_goes_on_by_itself_once_its_cause_is_gone(
    world: World, readiness: Readiness
) -> None:
    await world.put_templates()
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.announce(contract_activated())
    await world.advance()
    paused = await world.the_run()
    assert paused.next_check_at.ToSeconds() > paused.changed_at.ToSeconds()

    await look_again(world)
    still = await world.the_run()
    assert still.version == paused.version
    assert still.next_check_at.ToNanoseconds() > paused.next_check_at.ToNanoseconds()

    readiness.failing.clear()
    await look_again(world)
    assert (await world.the_run()).state == pb.PROVISIONING_STATE_ACTIVATED


async def test_a_paused_run_waits_for_people_where_looking_again_is_switched_off(
    world: World, readiness: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHLINE_RECHECK_MINUTES", "0")
    await world.put_templates()
    readiness.fail("customer.credit_hold", "finance", "release the hold")
    await world.announce(contract_activated())
    await world.advance()
    readiness.failing.clear()

    await look_again(world)

    run = await world.the_run()
    assert run.state == pb.PROVISIONING_STATE_PAUSED
    assert not run.HasField("next_check_at")


async def test_cancelling_and_provisioning_at_once_leave_either_a_project_or_none(
    world: World,
) -> None:
    await world.put_templates()
    await world.announce(contract_activated())
    [run] = await runs(world)

    await asyncio.gather(
        world.advance(), world.advance(), cancel(world, run.run_id), return_exceptions=True
    )
    await world.advance()

    [run] = await runs(world)
    open_projects = await world.scalar("SELECT count(*) FROM project WHERE status = 'active'")
    is_cancelled = run.state == pb.PROVISIONING_STATE_CANCELLED
    assert open_projects == (0 if is_cancelled else 1)
