"""Milestones wait for the client: completed, then accepted with evidence or rejected."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from project_provisioning_builders import CONTRACT, DE01, US01, an_id
from project_provisioning_planning import Billing
from project_provisioning_world import SIGNED, World, a_key
from sqlalchemy import text

from project_provisioning.commands.watch import remind_of_acceptance, watch_budgets
from project_provisioning.commands.withdrawal import finish_withdrawals
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import document_pb2, project_pb2
from throughline.project_provisioning.v1 import milestone_service_pb2 as pb
from throughline_core.errors import (
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from throughline_runtime.database import write
from throughline_runtime.identity import Caller, acting_as
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


async def test_a_share_is_accepted_and_the_rest_later(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    await world.complete(kickoff.milestone_id, completed_on="2026-09-11")
    asked = await world.milestones().RequestAcceptance(
        pb.RequestAcceptanceRequest(
            request_id=a_key(),
            milestone_id=kickoff.milestone_id,
            addressed_to="Clara Neumann",
            document=SIGNED,
        )
    )
    assert asked.milestone.acceptance_requested_on == "2026-09-14"

    accepted = await world.accept(kickoff.milestone_id, share_percent="40")

    assert (accepted.amount.amount, accepted.recorded_by) == ("3840.00", "user:paula.pmo")
    [event] = await world.published(events_pb.MilestoneAccepted)
    rest = event.rest
    assert (rest.key, rest.amount.amount) == ("kickoff_rest", "5760.00")
    assert rest.split_from_milestone_id == kickoff.milestone_id
    part = {"amount": "760.00", "currency": "EUR"}
    second = await world.accept(rest.milestone_id, accepted_amount=part)
    assert second.amount.amount == "760.00"
    last = (await world.published(events_pb.MilestoneAccepted))[-1].rest
    assert (last.key, last.amount.amount) == ("kickoff_rest2", "5000.00")
    total = await world.scalar("SELECT sum(amount) FROM milestone WHERE key LIKE 'kickoff%'")
    assert total == 9600
    steps = await world.milestones().ListMilestoneSteps(
        pb.ListMilestoneStepsRequest(milestone_id=kickoff.milestone_id)
    )
    assert [step.kind for step in steps.steps] == [
        pb.MILESTONE_STEP_KIND_COMPLETED,
        pb.MILESTONE_STEP_KIND_REQUESTED,
        pb.MILESTONE_STEP_KIND_ACCEPTED_IN_PART,
    ]
    assert steps.steps[1].document_sha256 == steps.steps[2].document_sha256


def withdrawing(milestone: project_pb2.Milestone) -> pb.WithdrawAcceptanceRequest:
    return pb.WithdrawAcceptanceRequest(
        request_id=a_key(), milestone_id=milestone.milestone_id, reason="signed by mistake"
    )


async def test_an_acceptance_is_taken_back_once_billing_has_forgotten_it(
    world: World, kickoff: project_pb2.Milestone, billing: Billing
) -> None:
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id)
    request = withdrawing(kickoff)

    withdrawn = (await world.milestones().WithdrawAcceptance(request)).milestone

    assert (withdrawn.status, withdrawn.version) == (project_pb2.MILESTONE_STATUS_COMPLETED, 4)
    assert (withdrawn.evidence_sha256, withdrawn.recorded_by) == ("", "")
    [asked] = billing.asked
    assert (asked.source_item_id, asked.source_version) == (kickoff.milestone_id, 3)
    [event] = await world.published(events_pb.MilestoneAcceptanceWithdrawn)
    assert (event.milestone, event.reason) == (withdrawn, "signed by mistake")
    assert (await world.milestones().WithdrawAcceptance(request)).milestone == withdrawn
    assert len(billing.asked) == 1
    with pytest.raises(FailedPrecondition) as refused:
        await world.milestones().WithdrawAcceptance(withdrawing(kickoff))
    assert refused.value.stable_code == "milestone.not_accepted"
    assert (await world.accept(kickoff.milestone_id)).version == 5


async def test_the_rest_of_an_acceptance_goes_back_with_it(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id, share_percent="40")

    reply = await world.milestones().WithdrawAcceptance(withdrawing(kickoff))

    assert (reply.milestone.amount.amount, reply.milestone.version) == ("9600.00", 5)
    assert reply.rest.status == project_pb2.MILESTONE_STATUS_CANCELLED
    assert (reply.rest.key, reply.rest.amount.amount) == ("kickoff_rest", "0.00")
    [event] = await world.published(events_pb.MilestoneAcceptanceWithdrawn)
    assert (event.milestone, event.rest) == (reply.milestone, reply.rest)
    steps = pb.ListMilestoneStepsRequest(milestone_id=reply.rest.milestone_id)
    assert [each.kind for each in (await world.milestones().ListMilestoneSteps(steps)).steps] == [
        pb.MILESTONE_STEP_KIND_SPLIT_OFF,
        pb.MILESTONE_STEP_KIND_CANCELLED,
    ]
    with pytest.raises(IllegalTransition):
        await world.accept(reply.rest.milestone_id)
    again = await world.accept(kickoff.milestone_id, share_percent="50")
    assert (again.amount.amount, again.version) == ("4800.00", 6)
    assert await world.scalar("SELECT sum(amount) FROM milestone WHERE key LIKE 'kickoff%'") == 9600


async def test_a_rest_the_client_has_accepted_stays_accepted(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id, share_percent="40")
    [event] = await world.published(events_pb.MilestoneAccepted)
    await world.accept(event.rest.milestone_id)

    reply = await world.milestones().WithdrawAcceptance(withdrawing(kickoff))

    assert (reply.milestone.amount.amount, reply.HasField("rest")) == ("3840.00", False)
    assert await world.scalar("SELECT sum(amount) FROM milestone WHERE status = 'accepted'") == 5760


async def test_what_is_billed_stays_accepted(
    world: World, kickoff: project_pb2.Milestone, billing: Billing
) -> None:
    await world.complete(kickoff.milestone_id)
    accepted = await world.accept(kickoff.milestone_id)
    billing.error = FailedPrecondition("it is on a draft", code="source.already_billed")

    with pytest.raises(FailedPrecondition) as refused:
        await world.milestones().WithdrawAcceptance(withdrawing(kickoff))

    assert refused.value.stable_code == "source.already_billed"
    found = await world.milestones().GetMilestone(
        pb.GetMilestoneRequest(milestone_id=kickoff.milestone_id)
    )
    assert found.milestone == accepted
    assert await world.scalar("SELECT count(*) FROM milestone_withdrawal") == 0


async def test_a_withdrawal_that_was_left_is_finished_by_itself(
    world: World, kickoff: project_pb2.Milestone, billing: Billing
) -> None:
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id)
    billing.error = Unavailable("billing-event is away")
    with pytest.raises(Unavailable):
        await world.milestones().WithdrawAcceptance(withdrawing(kickoff))
    await age_withdrawals(world)

    await finish(world)
    assert await world.published(events_pb.MilestoneAcceptanceWithdrawn) == []
    billing.error = None
    await finish(world)
    await finish(world)

    [event] = await world.published(events_pb.MilestoneAcceptanceWithdrawn)
    assert event.reason == "signed by mistake"
    assert await world.scalar("SELECT count(*) FROM milestone_withdrawal") == 0
    assert len({asked.request_id for asked in billing.asked}) == 1


async def age_withdrawals(world: World) -> None:
    """Let the withdrawals have been begun a minute ago."""
    async with write(world.context.engine) as tx:
        minute_ago = "UPDATE milestone_withdrawal SET requested_at = now() - interval '1 minute'"
        await tx.execute(text(minute_ago))


async def finish(world: World) -> None:
    with acting_as(Caller.service("project-provisioning")):
        await finish_withdrawals(world.context)


async def test_overdue_milestones_are_listed_by_the_projects_day(
    world: World, kickoff: project_pb2.Milestone, move_clock: Callable[[datetime], None]
) -> None:
    async def overdue() -> list[str]:
        reply = await world.milestones().ListMilestones(pb.ListMilestonesRequest(overdue=True))
        return [each.key for each in reply.milestones]

    # Half past eleven at night in London on the day it is due, the day after in Berlin.
    move_clock(datetime(2026, 9, 15, 21, 30, tzinfo=UTC))
    assert await overdue() == []
    move_clock(datetime(2026, 9, 15, 22, 30, tzinfo=UTC))
    assert await overdue() == ["kickoff"]
    await world.complete(kickoff.milestone_id)
    assert await overdue() == []
    due = pb.ListMilestonesRequest(due_from="2026-09-15", due_before="2026-09-16")
    assert len((await world.milestones().ListMilestones(due)).milestones) == 1


async def test_a_milestone_is_moved_with_the_project(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    moved = await world.milestones().RescheduleMilestone(
        pb.RescheduleMilestoneRequest(
            request_id=a_key(),
            milestone_id=kickoff.milestone_id,
            due_on="2026-10-01",
            reason="holidays",
        )
    )

    [event] = await world.published(events_pb.ProjectChanged)
    assert moved.milestone in event.project.milestones
    assert (moved.milestone.due_on, moved.milestone.version) == ("2026-10-01", 2)
    await world.complete(kickoff.milestone_id)
    await world.accept(kickoff.milestone_id)
    with pytest.raises(FailedPrecondition) as refused:
        await world.milestones().RescheduleMilestone(
            pb.RescheduleMilestoneRequest(
                request_id=a_key(),
                milestone_id=kickoff.milestone_id,
                due_on="2026-11-01",
                reason="too late",
            )
        )
    assert refused.value.stable_code == "milestone.accepted"


async def test_waiting_too_long_for_the_client_is_told_once_until_it_answers(
    world: World, kickoff: project_pb2.Milestone, move_clock: Callable[[datetime], None]
) -> None:
    await world.complete(kickoff.milestone_id)
    await world.milestones().PutPlanPolicy(
        pb.PutPlanPolicyRequest(
            request_id=a_key(),
            legal_entity_id=str(DE01),
            acceptance_reminder_days=3,
            budget_warning_percent=80,
        )
    )
    move_clock(datetime(2026, 9, 17, 12, 0, tzinfo=UTC))
    await remind_of_acceptance(world.context)
    assert await waiting(world) == 0
    move_clock(datetime(2026, 9, 18, 12, 0, tzinfo=UTC))

    await remind_of_acceptance(world.context)
    await remind_of_acceptance(world.context)

    assert await waiting(world) == 1
    assert await world.scalar("SELECT occurrences FROM exception_item") == 1
    await world.accept(kickoff.milestone_id, accepted_on="2026-09-18")
    assert await waiting(world) == 0


async def waiting(world: World) -> int:
    """Return how many exceptions are open."""
    return int(await world.scalar("SELECT count(*) FROM exception_item WHERE closed_at IS NULL"))


async def test_budgets_near_their_end_are_told_until_they_are_not(
    world: World, kickoff: project_pb2.Milestone
) -> None:
    for each in (await world.milestones().ListMilestones(pb.ListMilestonesRequest())).milestones:
        await world.complete(each.milestone_id)
        await world.accept(each.milestone_id)

    await watch_budgets(world.context)
    await watch_budgets(world.context)

    assert await waiting(world) == 1
    assert await world.scalar("SELECT reason FROM exception_item") == "budget.near"
    assert await world.scalar("SELECT occurrences FROM exception_item") == 1
    async with write(world.context.engine) as tx:
        await tx.execute(text("UPDATE project_line SET net_total = 48000 WHERE position = 1"))
    await watch_budgets(world.context)
    assert await waiting(world) == 0
