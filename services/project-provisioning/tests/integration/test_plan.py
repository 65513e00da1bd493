"""Plans are edited over the API, whole or not at all, and projects close when all is done."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from project_provisioning_builders import US01
from project_provisioning_planning import Planning, time_line_of
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    World,
    a_key,
    a_row,
    task_of,
)

from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import plan_service_pb2 as pb
from throughline.project_provisioning.v1 import (
    project_pb2,
    project_service_pb2,
    time_service_pb2,
)
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_testing.serving import a_caller
from throughline_testing.statements import record_statements

STRANGER = a_caller("pmo", subject="user:us.pmo", entities=[US01])


@pytest.fixture
async def project(world: World, move_clock: Callable[[datetime], None]) -> project_pb2.Project:
    move_clock(datetime(2026, 9, 14, 12, 0, tzinfo=UTC))
    return await world.the_project()


async def test_a_plan_grows_to_any_depth_and_is_announced(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    design = await planning.add_task(
        project,
        "Design",
        phase="Build",
        starts_on="2026-09-14",
        ends_on="2026-10-01",
        planned_hours="12.5",
    )
    data = await planning.add_task(project, "Data", parent_task_id=design.task_id)
    model = await planning.add_task(project, "Model", parent_task_id=data.task_id)

    assert model.wbs_code == f"{design.wbs_code}.1.1"
    assert (design.planned_hours, design.starts_on, design.billable) == (
        "12.50",
        "2026-09-14",
        True,
    )
    changed = await world.published(events_pb.ProjectChanged)
    assert [event.project.version for event in changed] == [2, 3, 4]
    assert model in changed[-1].project.tasks
    assert await world.audited(project.project_id) == ["AddTask", "AddTask", "AddTask"]


async def test_a_batch_is_made_as_a_whole_or_not_at_all(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    line, parent = time_line_of(project), a_key()
    good = [
        pb.TaskEdit(add=pb.NewTask(task_id=parent, name="Build", contract_line_id=line)),
        pb.TaskEdit(add=pb.NewTask(name="Code", parent_task_id=parent, planned_hours="80")),
        pb.TaskEdit(close=pb.TaskClosing(task_id=task_of(project, "Steering"))),
    ]
    bad = pb.TaskEdit(move=pb.TaskMove(task_id=parent, parent_task_id=a_key()))

    with pytest.raises(InvalidArgument) as refused:
        await planning.batch(project, *good, bad)
    assert (refused.value.stable_code, refused.value.field) == (
        "task.parent_unknown",
        "edits[3].move.parent_task_id",
    )
    assert "Build" not in await planning.tasks(project)

    build, code, steering = await planning.batch(project, *good)

    assert code.parent_task_id == build.task_id == parent
    assert steering.closed
    assert len(await world.published(events_pb.ProjectChanged)) == 1


async def test_a_batch_takes_the_same_statements_whatever_its_size(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    line = time_line_of(project)

    statements = record_statements(world.context.engine)

    async def sent(count: int) -> int:
        edits = [
            pb.TaskEdit(add=pb.NewTask(name=f"Task {number}", contract_line_id=line))
            for number in range(count)
        ]
        statements.clear()
        await planning.batch(project, *edits)
        return len(statements)

    assert await sent(2) == await sent(200)


async def test_an_edit_says_one_thing(planning: Planning, project: project_pb2.Project) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await planning.batch(project, pb.TaskEdit())

    assert (refused.value.stable_code, refused.value.field) == ("task.edit_ambiguous", "edits[0]")


async def test_ids_of_other_projects_tasks_are_taken(
    planning: Planning, project: project_pb2.Project, world: World
) -> None:
    taken = project.tasks[0].task_id

    with pytest.raises(AlreadyExists):
        await planning.add_task(project, "Twice", task_id=taken)


async def test_tasks_are_listed_in_the_order_of_the_plan_page_by_page(
    planning: Planning, project: project_pb2.Project
) -> None:
    top = await planning.add_task(project, "Top", phase="Build")
    for number in range(12):
        await planning.add_task(
            project,
            f"Part {number}",
            parent_task_id=top.task_id,
            starts_on="2026-10-01",
            ends_on="2026-10-02",
        )
    request = pb.ListTasksRequest(project_id=project.project_id, page_size=5)
    names: list[str] = []
    while True:
        page = await planning.plans().ListTasks(request)
        names += [task.name for task in page.tasks]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert names[-12:] == [f"Part {number}" for number in range(12)]
    assert len(names) == len(set(names)) == len(project.tasks) + 13
    assert len(await planning.tasks(project, under_task_id=top.task_id)) == 12
    assert len(await planning.tasks(project, planned_from="2026-10-01")) == 12
    assert await planning.tasks(project, planned_before="2026-10-01") == {}


async def test_a_task_is_changed_moved_closed_and_opened_again(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    design = await planning.add_task(project, "Design")
    build = await planning.add_task(project, "Build")
    changed = await planning.plans().UpdateTask(
        pb.UpdateTaskRequest(
            request_id=a_key(),
            task_id=build.task_id,
            name="Build it",
            phase="Delivery",
            planned_hours="3",
            predecessor_task_ids=[design.task_id],
        )
    )
    assert changed.task.predecessor_task_ids == [design.task_id]
    with pytest.raises(InvalidArgument, match="finished"):
        await planning.plans().MoveTask(
            pb.MoveTaskRequest(
                request_id=a_key(), task_id=design.task_id, parent_task_id=build.task_id
            )
        )
    closing = project_service_pb2.CloseTaskRequest(request_id=a_key(), task_id=build.task_id)
    await world.projects().CloseTask(closing)

    reopened = await planning.plans().ReopenTask(
        pb.ReopenTaskRequest(request_id=a_key(), task_id=build.task_id)
    )

    assert not reopened.task.closed
    found = await planning.plans().GetTask(pb.GetTaskRequest(task_id=build.task_id))
    assert (found.task, found.project_id) == (reopened.task, project.project_id)
    assert found.task.planned_hours == "3.00"


async def test_two_planners_at_once_lose_nothing(
    planning: Planning, project: project_pb2.Project
) -> None:
    await asyncio.gather(*(planning.add_task(project, f"Task {each}") for each in range(8)))

    codes = await planning.tasks(project)
    assert len(codes) == len(set(codes.values())) == len(project.tasks) + 8


async def test_another_entitys_plan_is_out_of_reach(
    planning: Planning, project: project_pb2.Project
) -> None:
    task = project.tasks[0].task_id
    with pytest.raises(NotFound):
        await planning.plans(STRANGER).GetTask(pb.GetTaskRequest(task_id=task))
    with pytest.raises(PermissionDenied):
        await planning.plans(STRANGER).MoveTask(
            pb.MoveTaskRequest(request_id=a_key(), task_id=task)
        )
    with pytest.raises(NotFound):
        await planning.plans(STRANGER).GetEstimateAtCompletion(
            pb.GetEstimateAtCompletionRequest(project_id=project.project_id)
        )


async def test_policy_and_manager_outlive_other_changes(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await planning.plans().SetProjectPolicy(
        pb.SetProjectPolicyRequest(
            request_id=a_key(), project_id=project.project_id, requires_assignment=True
        )
    )
    await planning.plans().AssignProjectManager(
        pb.AssignProjectManagerRequest(
            request_id=a_key(), project_id=project.project_id, manager_person_id=ada.person_id
        )
    )
    await planning.add_task(project, "Later")

    policy = await planning.plans().GetProjectPolicy(
        pb.GetProjectPolicyRequest(project_id=project.project_id)
    )
    assert policy.policy.requires_assignment
    changed = await world.published(events_pb.ProjectChanged)
    assert changed[-1].project.manager_person_id == ada.person_id


async def approve_hours(
    world: World, project: project_pb2.Project, person_id: str, minutes: int, on: date
) -> None:
    rows = [a_row(person_id, task_of(project, "Advisory"), minutes=minutes, on=on)]
    await world.import_time(rows, caller=INTEGRATION, approved=True)


async def test_estimates_and_approved_hours_make_the_estimate_at_completion(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    task = task_of(project, "Advisory")
    await approve_hours(world, project, ada.person_id, 480, date(2026, 9, 7))
    entered = await planning.plans().EnterEstimate(
        pb.EnterEstimateRequest(
            request_id=a_key(), task_id=task, remaining_hours="32", as_of="2026-09-08"
        )
    )
    await approve_hours(world, project, ada.person_id, 120, date(2026, 9, 9))

    found = await planning.plans().GetEstimateAtCompletion(
        pb.GetEstimateAtCompletionRequest(project_id=project.project_id)
    )

    [advisory] = [each for each in found.tasks if each.task_id == task]
    assert advisory.basis == pb.REMAINING_BASIS_ENTERED
    assert (advisory.progress.approved_hours, advisory.progress.remaining_hours) == (
        "10.00",
        "30.00",
    )
    assert found.progress.complete_percent == "25.00"
    listed = await planning.plans().ListEstimates(pb.ListEstimatesRequest(task_id=task))
    assert list(listed.estimates) == [entered.estimate]
    with pytest.raises(FailedPrecondition):
        await planning.plans().EnterEstimate(
            pb.EnterEstimateRequest(
                request_id=a_key(), task_id=task, remaining_hours="1", as_of="2026-09-07"
            )
        )


async def test_budget_and_planned_revenue_follow_the_contract(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await approve_hours(world, project, ada.person_id, 600, date(2026, 9, 7))
    project_id = project.project_id

    budget = await planning.plans().GetProjectBudget(
        pb.GetProjectBudgetRequest(project_id=project_id)
    )
    [time] = [each for each in budget.lines if each.billing_model == "time_and_materials"]
    assert time.figures.approved_amount.amount == "1800.00"
    assert time.figures.planned_hours == "400.00"
    assert budget.figures.state == pb.BUDGET_STATE_WITHIN

    revenue = await planning.plans().GetPlannedRevenue(
        pb.GetPlannedRevenueRequest(project_id=project_id)
    )
    assert revenue.total.amount == "116400.00"
    hand_off = await planning.plans().GetStaffingHandOff(
        pb.GetStaffingHandOffRequest(project_id=project_id)
    )
    assert hand_off.revenue == revenue.rows
    assert hand_off.baseline_number == 1
    assert {each.role: each.open_hours for each in hand_off.roles} == {
        "senior_consultant": "120.00",
        "consultant": "200.00",
        "analyst": "80.00",
    }


async def test_costs_need_the_scope_by_name(
    planning: Planning, project: project_pb2.Project
) -> None:
    request = pb.GetCostAtCompletionRequest(project_id=project.project_id)
    with pytest.raises(PermissionDenied):
        await planning.plans(PMO).GetCostAtCompletion(request)
    with pytest.raises(PermissionDenied):
        await planning.plans(ADA_SIGNED_IN).GetCostAtCompletion(request)

    finance = a_caller("finance", subject="user:fiona.finance")
    assert (await planning.plans(finance).GetCostAtCompletion(request)).costs == []


async def test_a_project_closes_once_nothing_is_open_and_ends_its_assignments(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await planning.assign(project, ada.person_id, ends_on="2026-10-10")

    def closing() -> pb.CloseProjectRequest:
        return pb.CloseProjectRequest(
            request_id=a_key(), project_id=project.project_id, reason="delivered"
        )

    with pytest.raises(FailedPrecondition) as refused:
        await planning.plans().CloseProject(closing())
    assert refused.value.stable_code == "project.open_milestones"
    for milestone in project.milestones:
        await world.complete(milestone.milestone_id)
        await world.accept(milestone.milestone_id)
    rows = [a_row(ada.person_id, task_of(project, "Advisory"))]
    await world.import_time(rows)
    with pytest.raises(FailedPrecondition) as refused:
        await planning.plans().CloseProject(closing())
    assert refused.value.stable_code == "project.unapproved_time"
    [sheet] = await world.timesheets()
    await world.submit(sheet.timesheet_id)
    await world.time().ApproveTimesheets(
        time_service_pb2.ApproveTimesheetsRequest(
            request_id=a_key(), timesheet_ids=[sheet.timesheet_id]
        )
    )

    closed = (await planning.plans().CloseProject(closing())).project

    assert closed.status == project_pb2.PROJECT_STATUS_CLOSED
    ended = (await world.published(events_pb.AssignmentChanged))[-1]
    assert (ended.booking, ended.ends_on) == ("ended", "2026-09-15")
    with pytest.raises(FailedPrecondition):
        await planning.add_task(project, "Too late")
    with pytest.raises(InvalidArgument, match="closed"):
        await world.import_time([a_row(ada.person_id, task_of(project, "Steering"))])
    await planning.plans().ReopenProject(
        pb.ReopenProjectRequest(
            request_id=a_key(), project_id=project.project_id, reason="a defect"
        )
    )
    await planning.add_task(project, "Mend")


async def test_a_plan_too_large_for_an_event_is_refused(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    line = time_line_of(project)
    names = [f"{'A long name ' * 9}{number}" for number in range(500)]
    edits = [pb.TaskEdit(add=pb.NewTask(name=name, contract_line_id=line)) for name in names]
    for _ in range(2):
        await planning.batch(project, *edits)

    with pytest.raises(FailedPrecondition) as refused:
        await planning.batch(project, *edits)

    assert refused.value.stable_code == "project.plan_too_large"
    assert await world.scalar("SELECT count(*) FROM task") == len(project.tasks) + 1000
