"""Milestones wait for the client: completed, then accepted with evidence or rejected."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from project_provisioning_builders import CONTRACT, US01, an_id
from project_provisioning_world import SIGNED, World, a_key

from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import document_pb2, project_pb2
from throughline.project_provisioning.v1 import milestone_service_pb2 as pb
from throughline_core.errors import (
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_testing.serving import a_caller


@pytest.fixture
async def kickoff(world: World, move_clock: Callable[[datetime], None]) -> project_pb2.Milestone:
    move_clock(datetime(2026, 9, 14, 12, 0, tzinfo=UTC))
    project = await world.the_project()
    return next(each for each in project.milestones if each.key == "kickoff")


async def test_a_milestone_is_completed_and_accepted(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    completed = await world.complete(kickoff.milestone_id, completed_on="2026-09-11")
    accepted = await world.accept(kickoff.milestone_id)

    assert (completed.version, accepted.version) == (2, 3)
    assert accepted.status == project_pb2.MILESTONE_STATUS_ACCEPTED
    assert accepted.amount.amount == "9600.00"
    [first] = await world.published(events_pb.MilestoneCompleted)
    [second] = await world.published(events_pb.MilestoneAccepted)
    assert (first.milestone, second.milestone) == (completed, accepted)
    evidence = await world.milestones().GetMilestoneEvidence(
        pb.GetMilestoneEvidenceRequest(milestone_id=kickoff.milestone_id)
    )
    assert evidence.evidence == SIGNED


async def test_it_is_complete_today_unless_a_day_is_given(
    world: World, kickoff: project_pb2.Milestone, move_clock: Callable[[datetime], None]
) -> None:
    # Half past eleven at night in London, the next day in Berlin, where the contract lives.
    move_clock(datetime(2026, 9, 14, 22, 30, tzinfo=UTC))

    assert (await world.complete(kickoff.milestone_id)).completed_on == "2026-09-15"


async def test_a_rejected_milestone_is_completed_again(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    await world.complete(kickoff.milestone_id)
    request = pb.RejectMilestoneRequest(
        request_id=a_key(), milestone_id=kickoff.milestone_id, reason="the minutes are missing"
    )
    await world.milestones().RejectMilestone(request)
    [event] = await world.published(events_pb.MilestoneRejected)
    assert event.reason == "the minutes are missing"

    await world.complete(kickoff.milestone_id)
    assert (await world.accept(kickoff.milestone_id)).version == 5


async def test_only_what_is_complete_is_accepted_and_only_once(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    with pytest.raises(IllegalTransition):
        await world.accept(kickoff.milestone_id)
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id)
    with pytest.raises(IllegalTransition):
        await world.accept(kickoff.milestone_id)

    assert len(await world.published(events_pb.MilestoneAccepted)) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"evidence": None},
        {"evidence": document_pb2.Document(content_type="image/png", content=b"%PDF-")},
        {"evidence_sha256": "00" * 32},
        {"accepted_on": "2026-09-15"},
        {"accepted_by": ""},
    ],
)
async def test_an_acceptance_that_proves_nothing_is_refused(
    world: World, kickoff: project_pb2.Milestone, values: dict[str, Any]
) -> None:
    await world.complete(kickoff.milestone_id)

    with pytest.raises(InvalidArgument):
        await world.accept(kickoff.milestone_id, **values)

    assert not await world.published(events_pb.MilestoneAccepted)


async def test_evidence_may_be_kept_elsewhere(world: World, kickoff: project_pb2.Milestone) -> None:
    await world.complete(kickoff.milestone_id)

    accepted = await world.accept(kickoff.milestone_id, evidence=None, evidence_sha256="9c" * 32)

    assert accepted.evidence_sha256 == "9c" * 32
    with pytest.raises(NotFound):
        await world.milestones().GetMilestoneEvidence(
            pb.GetMilestoneEvidenceRequest(milestone_id=kickoff.milestone_id)
        )


async def test_milestones_are_found_by_contract_project_and_status(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    await world.complete(kickoff.milestone_id)

    async def found(**filters: Any) -> list[str]:
        request = pb.ListMilestonesRequest(**filters)
        return [each.key for each in (await world.milestones().ListMilestones(request)).milestones]

    assert await found(status=project_pb2.MILESTONE_STATUS_COMPLETED) == ["kickoff"]
    assert len(await found(contract_id=str(CONTRACT))) == 2
    assert len(await found(project_id=kickoff.project_id)) == 2
    assert await found(contract_id=str(an_id("b2"))) == []


async def test_another_entitys_milestones_are_out_of_reach(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    stranger = a_caller("pmo", subject="user:us.pmo", entities=[US01])

    with pytest.raises(PermissionDenied):
        await world.complete(kickoff.milestone_id, stranger)
    with pytest.raises(NotFound):
        await world.milestones(stranger).GetMilestone(
            pb.GetMilestoneRequest(milestone_id=kickoff.milestone_id)
        )
