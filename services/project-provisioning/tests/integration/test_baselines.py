"""A baseline is taken at activation; taking another leaves the contract and the first alone."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from project_provisioning_builders import US01
from project_provisioning_planning import Planning
from project_provisioning_world import World, a_key, task_of

from throughline.project_provisioning.v1 import baseline_service_pb2 as pb
from throughline.project_provisioning.v1 import milestone_service_pb2, plan_service_pb2, project_pb2
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_testing.serving import a_caller


@pytest.fixture
async def project(world: World, move_clock: Callable[[datetime], None]) -> project_pb2.Project:
    move_clock(datetime(2026, 9, 14, 12, 0, tzinfo=UTC))
    return await world.the_project()


async def test_the_first_baseline_is_taken_with_the_project(
    planning: Planning, project: project_pb2.Project
) -> None:
    first = (
        await planning.baselines().GetBaseline(
            pb.GetBaselineRequest(project_id=project.project_id, number=1)
        )
    ).baseline

    assert (first.taken_on, first.taken_by) == ("2026-09-14", "service:project-provisioning")
    kinds = {item.kind for item in first.items}
    assert kinds == set(pb.BaselineItemKind.values()) - {
        pb.BASELINE_ITEM_KIND_UNSPECIFIED,
        pb.BASELINE_ITEM_KIND_ASSIGNMENT,
    }
    assert await planning.compare(project) == {}
    with pytest.raises(FailedPrecondition) as refused:
        await planning.rebaseline(project, "no reason at all")
    assert refused.value.stable_code == "baseline.unchanged"


async def test_rebaselining_mid_flight_shows_what_moved_and_touches_no_contract(
    planning: Planning, world: World, project: project_pb2.Project
) -> None:
    terms = "SELECT string_agg(md5(contract), ',' ORDER BY run_id) FROM provisioning_run"
    signed = await world.scalar(terms)
    ada = await world.ada()
    kickoff = next(each for each in project.milestones if each.key == "kickoff")
    target = next(each for each in project.milestones if each.key != "kickoff")
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id)
    await world.milestones().RescheduleMilestone(
        milestone_service_pb2.RescheduleMilestoneRequest(
            request_id=a_key(),
            milestone_id=target.milestone_id,
            due_on="2027-01-15",
            reason="the client's budget comes later",
        )
    )
    await planning.plans().UpdateTask(
        plan_service_pb2.UpdateTaskRequest(
            request_id=a_key(),
            task_id=task_of(project, "Advisory"),
            name="Advisory",
            planned_hours="400",
        )
    )
    await planning.assign(
        project, ada.person_id, starts_on="2026-10-05", ends_on="2026-10-10", planned_hours="32"
    )

    second = await planning.rebaseline(project, "the client's budget comes later")
    await planning.add_task(project, "After the second")

    assert (second.number, second.reason) == (2, "the client's budget comes later")
    moved = await planning.compare(project, to_number=2)
    assert moved[target.name, "due_on"] == ("2026-11-30", "2027-01-15")
    assert moved["Advisory", "planned_hours"] == ("", "400.00")
    assert moved["senior_consultant", "planned_hours"] == ("", "32.00")
    assert moved["2026-11", "amount"][0].startswith("14400.00")
    since = await planning.compare(project, from_number=2)
    assert ("After the second", "wbs_code") in since
    listed = await planning.baselines().ListBaselines(
        pb.ListBaselinesRequest(project_id=project.project_id)
    )
    assert [(each.number, len(each.items)) for each in listed.baselines] == [(2, 0), (1, 0)]
    assert await world.scalar(terms) == signed
    assert await world.scalar("SELECT DISTINCT budget FROM project") == 116400
    assert await world.scalar("SELECT count(*) FROM outbox WHERE subject LIKE 'customer_%'") == 0


async def test_baselines_are_found_by_number_within_ones_entities(
    planning: Planning, project: project_pb2.Project
) -> None:
    stranger = a_caller("pmo", subject="user:us.pmo", entities=[US01])
    with pytest.raises(NotFound):
        await planning.baselines(stranger).GetBaseline(
            pb.GetBaselineRequest(project_id=project.project_id, number=1)
        )
    with pytest.raises(NotFound) as refused:
        await planning.compare(project, to_number=2)
    assert refused.value.stable_code == "baseline.not_found"
