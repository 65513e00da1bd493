"""People are asked for, found, booked within what they can work, and follow their employer."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from project_provisioning_builders import DE01, US01, an_assignment
from project_provisioning_planning import Planning, time_line_of
from project_provisioning_world import ADA_SIGNED_IN, PMO, World, a_key, task_of

from project_provisioning.commands.assignment import (
    assign_person,
    end_on_leaving,
    split_on_transfer,
)
from project_provisioning.domain.assignment import Overbooking
from project_provisioning.domain.effort import Effort
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import assignment_service_pb2 as pb
from throughline.project_provisioning.v1 import person_service_pb2, project_pb2
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from throughline_runtime.database import write
from throughline_runtime.identity import acting_as
from throughline_testing.serving import a_caller

STRANGER = a_caller("pmo", subject="user:us.pmo", entities=[US01])


@pytest.fixture
async def project(world: World, move_clock: Callable[[datetime], None]) -> project_pb2.Project:
    move_clock(datetime(2026, 9, 1, 12, 0, tzinfo=UTC))
    return await world.the_project()


@pytest.fixture
async def ada(world: World) -> person_service_pb2.Person:
    return await world.ada()


async def weeks_of(planning: Planning, person_id: str) -> list[pb.CapacityWeek]:
    reply = await planning.assignments().ListCapacity(
        pb.ListCapacityRequest(person_id=person_id, starts_on="2026-09-07", ends_on="2026-09-21")
    )
    [person] = reply.persons
    return list(person.weeks)


async def test_an_assignment_takes_capacity_and_is_announced(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    task = task_of(project, "Advisory")
    reply = await planning.assign(
        project, ada.person_id, task_id=task, planned_hours="60", ends_on="2026-09-19"
    )

    assignment = reply.assignment
    assert [(week.week_start, week.hours) for week in assignment.weeks] == [
        ("2026-09-07", "30.00"),
        ("2026-09-14", "30.00"),
    ]
    assert (assignment.role, assignment.legal_entity_id) == ("senior_consultant", str(DE01))
    [event] = await world.published(events_pb.AssignmentChanged)
    assert (event.booking, event.planned_hours, event.task_id) == ("hard", "60.00", task)
    first, second = await weeks_of(planning, ada.person_id)
    assert (first.capacity_hours, first.hard_hours, first.free_hours) == ("40.00", "30.00", "10.00")
    assert second.free_hours == "10.00"
    plans = await planning.assignments().ListUtilisationPlans(
        pb.ListUtilisationPlansRequest(starts_on="2026-09-07", ends_on="2026-09-08")
    )
    [plan] = plans.plans
    assert (plan.hard_percent, plan.people) == ("75.00", 1)


async def test_hard_bookings_stay_within_capacity_unless_a_reason_is_given(
    planning: Planning, project: project_pb2.Project, ada: person_service_pb2.Person
) -> None:
    await planning.assign(project, ada.person_id)

    with pytest.raises(FailedPrecondition, match="2026-09-07") as refused:
        await planning.assign(project, ada.person_id, planned_hours="1")
    assert refused.value.stable_code == "assignment.over_capacity"
    with pytest.raises(InvalidArgument) as refused_too:
        await planning.assign(project, ada.person_id, planned_hours="1", allow_overbooking=True)
    assert refused_too.value.stable_code == "assignment.reason_missing"
    agreed = await planning.assign(
        project, ada.person_id, planned_hours="1", allow_overbooking=True, reason="go-live"
    )
    assert agreed.assignment.reason == "go-live"
    [week] = agreed.overbooked_weeks
    assert week.free_hours == "-1.00"


async def test_of_two_bookings_at_once_only_one_gets_the_capacity(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    draft = an_assignment(project_id=UUID(project.project_id), person_id=UUID(ada.person_id))

    first_has_booked = asyncio.Event()

    async def book_too() -> None:
        await first_has_booked.wait()
        await planning.assign(project, ada.person_id)

    racing = asyncio.create_task(book_too())
    async with write(world.context.engine) as tx:
        with acting_as(PMO):
            await assign_person(tx, draft, Effort(Decimal(40), ()), Overbooking())
        first_has_booked.set()
        await asyncio.sleep(0.5)
        assert not racing.done(), "it waits for the person's weeks"

    with pytest.raises(FailedPrecondition) as refused:
        await racing
    assert refused.value.stable_code == "assignment.over_capacity"


async def test_a_soft_booking_warns_and_is_confirmed_later(
    planning: Planning, project: project_pb2.Project, ada: person_service_pb2.Person
) -> None:
    firm = (await planning.assign(project, ada.person_id, planned_hours="30")).assignment
    soft = await planning.assign(
        project, ada.person_id, planned_hours="20", booking=pb.BOOKING_SOFT
    )
    assert [week.week_start for week in soft.overbooked_weeks] == ["2026-09-07"]
    confirming = pb.ConfirmAssignmentRequest(
        request_id=a_key(), assignment_id=soft.assignment.assignment_id
    )
    with pytest.raises(FailedPrecondition):
        await planning.assignments().ConfirmAssignment(confirming)

    changed = await planning.assignments().ChangeAssignment(
        pb.ChangeAssignmentRequest(
            request_id=a_key(),
            assignment_id=firm.assignment_id,
            starts_on="2026-09-14",
            ends_on="2026-09-19",
            weeks=[pb.WeekHours(week_start="2026-09-14", hours="24")],
        )
    )

    assert (changed.assignment.planned_hours, changed.assignment.version) == ("24.00", 2)
    confirmed = await planning.assignments().ConfirmAssignment(confirming)
    assert confirmed.assignment.booking == pb.BOOKING_HARD
    assert confirmed.overbooked_weeks == []


async def test_an_ended_assignment_frees_the_days_after(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    booked = (await planning.assign(project, ada.person_id)).assignment
    ending = pb.EndAssignmentRequest(
        request_id=a_key(),
        assignment_id=booked.assignment_id,
        ends_on="2026-09-09",
        reason="the client stopped",
    )

    ended = (await planning.assignments().EndAssignment(ending)).assignment

    assert (ended.planned_hours, ended.ended, ended.reason) == ("16.00", True, "the client stopped")
    [week, _] = await weeks_of(planning, ada.person_id)
    assert week.hard_hours == "16.00"
    assert (await world.published(events_pb.AssignmentChanged))[-1].booking == "ended"


async def test_a_request_finds_people_and_is_filled(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    await world.a_person()
    asked = await planning.assignments().RequestStaffing(
        pb.RequestStaffingRequest(
            request_id=a_key(),
            project_id=project.project_id,
            contract_line_id=time_line_of(project),
            role="senior_consultant",
            starts_on="2026-09-07",
            ends_on="2026-09-12",
            hours="40",
        )
    )
    request = asked.staffing_request
    await planning.assign(project, ada.person_id, planned_hours="10", booking=pb.BOOKING_HARD)
    wanted = pb.ListCandidatesRequest(
        role="senior_consultant", starts_on="2026-09-07", ends_on="2026-09-12"
    )

    [candidate] = (await planning.assignments().ListCandidates(wanted)).candidates
    assert (candidate.person_name, candidate.free_hours) == ("Ada Brandt", "30.00")
    wanted.free_hours_min = "31"
    assert (await planning.assignments().ListCandidates(wanted)).candidates == []
    wanted.free_hours_min = ""
    wanted.skills.append("kubernetes")
    assert (await planning.assignments().ListCandidates(wanted)).candidates == []

    await planning.assign(
        project,
        ada.person_id,
        planned_hours="40",
        starts_on="2026-09-14",
        ends_on="2026-09-19",
        staffing_request_id=request.staffing_request_id,
    )
    filled = pb.ListStaffingRequestsRequest(status=pb.STAFFING_REQUEST_STATUS_FILLED)
    [found] = (await planning.assignments().ListStaffingRequests(filled)).staffing_requests
    assert (found.staffing_request_id, found.assigned_hours) == (
        request.staffing_request_id,
        "40.00",
    )
    cancelling = pb.CancelStaffingRequestRequest(
        request_id=a_key(), staffing_request_id=request.staffing_request_id, reason="enough"
    )
    await planning.assignments().CancelStaffingRequest(cancelling)
    with pytest.raises(FailedPrecondition):
        await planning.assign(
            project,
            ada.person_id,
            staffing_request_id=request.staffing_request_id,
            starts_on="2026-09-21",
            ends_on="2026-09-26",
        )


async def test_assignments_follow_a_transfer_or_stop(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    follows = await planning.assign(project, ada.person_id, planned_hours="20")
    stops = await planning.assign(
        project, ada.person_id, planned_hours="20", transfer_rule=pb.TRANSFER_RULE_STOP
    )

    async with write(world.context.engine) as tx:
        await split_on_transfer(tx, UUID(ada.person_id), on=date(2026, 9, 9), legal_entity_id=US01)

    listed = await planning.assignments().ListAssignments(
        pb.ListAssignmentsRequest(person_id=ada.person_id)
    )
    found = {
        (each.assignment_id, each.continues_assignment_id): each for each in listed.assignments
    }
    first = found[follows.assignment.assignment_id, ""]
    [second] = [each for each in listed.assignments if each.continues_assignment_id]
    stopped = found[stops.assignment.assignment_id, ""]
    assert (first.planned_hours, first.legal_entity_id) == ("8.00", str(DE01))
    assert (second.planned_hours, second.legal_entity_id) == ("12.00", str(US01))
    assert second.continues_assignment_id == first.assignment_id
    assert (stopped.ended, stopped.planned_hours) == (True, "8.00")


async def test_assignments_end_with_the_employment(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    await planning.assign(project, ada.person_id)

    async with write(world.context.engine) as tx:
        await end_on_leaving(tx, UUID(ada.person_id), on=date(2026, 9, 8))

    event = (await world.published(events_pb.AssignmentChanged))[-1]
    assert (event.booking, event.ends_on, event.planned_hours) == ("ended", "2026-09-08", "8.00")


async def test_consultants_see_their_own_and_strangers_nothing(
    planning: Planning,
    world: World,
    project: project_pb2.Project,
    ada: person_service_pb2.Person,
) -> None:
    other = await world.a_person()
    own = await planning.assign(project, ada.person_id)
    theirs = await planning.assign(project, other.person_id)

    mine = await planning.assignments(ADA_SIGNED_IN).ListAssignments(pb.ListAssignmentsRequest())
    assert [each.assignment_id for each in mine.assignments] == [own.assignment.assignment_id]
    whole = pb.ListAssignmentsRequest(project_id=project.project_id, running_from="2026-09-11")
    assert len((await planning.assignments().ListAssignments(whole)).assignments) == 2
    with pytest.raises(NotFound):
        await planning.assignments(STRANGER).GetAssignment(
            pb.GetAssignmentRequest(assignment_id=theirs.assignment.assignment_id)
        )
    with pytest.raises(PermissionDenied):
        await planning.assignments(STRANGER).EndAssignment(
            pb.EndAssignmentRequest(
                request_id=a_key(),
                assignment_id=theirs.assignment.assignment_id,
                ends_on="2026-09-09",
                reason="not mine",
            )
        )


async def test_a_capacity_question_has_bounds(
    planning: Planning, project: project_pb2.Project
) -> None:
    for starts_on, ends_on, code in (
        ("2026-09-07", "2026-09-07", "capacity.dates_reversed"),
        ("2026-09-07", "2028-09-07", "capacity.period_too_long"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await planning.assignments().ListCapacity(
                pb.ListCapacityRequest(starts_on=starts_on, ends_on=ends_on)
            )
        assert refused.value.stable_code == code
