"""AssignmentService."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import assignment as commands
from project_provisioning.domain.assignment import (
    Assignment,
    Booking,
    Overbooking,
    TransferRule,
)
from project_provisioning.domain.capacity import percent_of
from project_provisioning.domain.staffing import StaffingRequest
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import assignment as queries
from project_provisioning.queries.assignment import Utilisation, Wanted
from project_provisioning.wire import assignment as wire
from project_provisioning.wire.plan import write_hours
from throughline.project_provisioning.v1 import assignment_service_pb2 as pb
from throughline.project_provisioning.v1.assignment_service_pb2_grpc import (
    AssignmentServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_decimal,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_id,
)
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_HOURS_PLACES: Final = 2
_CAPACITY_PAGE_MAX: Final = 100
# Known only once the project is: the command puts the project's in its place.
_UNKNOWN: Final = UUID(int=0)


class AssignmentServicer(AssignmentServiceServicer):
    """Who works on what, who is asked for, and who is free."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def RequestStaffing(
        self, request: pb.RequestStaffingRequest, context: object
    ) -> pb.RequestStaffingResponse:
        draft = StaffingRequest(
            staffing_request_id=new_id(),
            version=1,
            project_id=read_uuid("project_id", request.project_id),
            legal_entity_id=_UNKNOWN,
            contract_line_id=read_optional_uuid("contract_line_id", request.contract_line_id),
            role=request.role,
            level=request.level,
            region=request.region,
            skills=tuple(request.skills),
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            hours=read_decimal("hours", request.hours, places=_HOURS_PLACES),
            note=request.note,
            requested_by=subject_of_caller(),
        )

        async def handle(tx: AsyncConnection) -> pb.RequestStaffingResponse:
            asked = await commands.request_staffing(tx, draft)
            return pb.RequestStaffingResponse(staffing_request=wire.write_request(asked))

        return await once(self._engine, request, pb.RequestStaffingResponse, handle)

    async def ListStaffingRequests(
        self, request: pb.ListStaffingRequestsRequest, context: object
    ) -> pb.ListStaffingRequestsResponse:
        page = read_page(request)
        project_id = read_optional_uuid("project_id", request.project_id)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, wire.REQUEST_STATUSES)
        async with read(self._engine) as tx:
            requests, token = await queries.list_requests(
                tx,
                project_id=project_id,
                legal_entity_id=legal_entity_id,
                role=request.role,
                status=status,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListStaffingRequestsResponse(
            staffing_requests=map(wire.write_request, requests), next_page_token=token
        )

    async def CancelStaffingRequest(
        self, request: pb.CancelStaffingRequestRequest, context: object
    ) -> pb.CancelStaffingRequestResponse:
        request_id = read_uuid("staffing_request_id", request.staffing_request_id)

        async def handle(tx: AsyncConnection) -> pb.CancelStaffingRequestResponse:
            cancelled = await commands.cancel_request(tx, request_id, reason=request.reason)
            return pb.CancelStaffingRequestResponse(staffing_request=wire.write_request(cancelled))

        return await once(self._engine, request, pb.CancelStaffingRequestResponse, handle)

    async def ListCandidates(
        self, request: pb.ListCandidatesRequest, context: object
    ) -> pb.ListCandidatesResponse:
        page = read_page(request)
        wanted = Wanted(
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            role=request.role,
            level=request.level,
            region=request.region,
            skills=frozenset(request.skills),
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
        )
        free_min = read_optional_decimal(
            "free_hours_min", request.free_hours_min, places=_HOURS_PLACES
        )
        async with read(self._engine) as tx:
            found, token = await queries.candidates(
                tx, wanted, free_min=free_min, sight=sight_of_caller(), page=page
            )
        return pb.ListCandidatesResponse(
            candidates=[wire.write_candidate(each.person, each.period) for each in found],
            next_page_token=token,
        )

    async def AssignPerson(
        self, request: pb.AssignPersonRequest, context: object
    ) -> pb.AssignPersonResponse:
        booking = read_optional_enum("booking", request.booking, wire.BOOKINGS)
        rule = read_optional_enum("transfer_rule", request.transfer_rule, wire.RULES)
        draft = Assignment(
            assignment_id=new_id(),
            version=1,
            project_id=read_uuid("project_id", request.project_id),
            task_id=read_optional_uuid("task_id", request.task_id),
            person_id=read_uuid("person_id", request.person_id),
            legal_entity_id=_UNKNOWN,
            engagement_id=_UNKNOWN,
            correlation_id=_UNKNOWN,
            role=request.role,
            booking=booking or Booking.SOFT,
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            weeks=(),
            transfer_rule=rule or TransferRule.FOLLOW,
            staffing_request_id=read_optional_uuid(
                "staffing_request_id", request.staffing_request_id
            ),
        )
        effort = wire.read_effort(request.planned_hours, request.weeks)
        overbooking = Overbooking(request.allow_overbooking, request.reason)

        async def handle(tx: AsyncConnection) -> pb.AssignPersonResponse:
            assigned = await commands.assign_person(tx, draft, effort, overbooking)
            return pb.AssignPersonResponse(
                assignment=wire.write_assignment(assigned.assignment, assigned.person_name),
                overbooked_weeks=map(wire.write_week, assigned.overbooked),
            )

        return await once(self._engine, request, pb.AssignPersonResponse, handle)

    async def GetAssignment(
        self, request: pb.GetAssignmentRequest, context: object
    ) -> pb.GetAssignmentResponse:
        assignment_id = read_uuid("assignment_id", request.assignment_id)
        async with read(self._engine) as tx:
            assignment, name = await queries.get_assignment(tx, assignment_id, sight_of_caller())
        return pb.GetAssignmentResponse(assignment=wire.write_assignment(assignment, name))

    async def ListAssignments(
        self, request: pb.ListAssignmentsRequest, context: object
    ) -> pb.ListAssignmentsResponse:
        page = read_page(request)
        wanted = queries.AssignmentFilter(
            project_id=read_optional_uuid("project_id", request.project_id),
            task_id=read_optional_uuid("task_id", request.task_id),
            person_id=read_optional_uuid("person_id", request.person_id),
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            booking=read_optional_enum("booking", request.booking, wire.BOOKINGS),
            ended=request.ended if request.HasField("ended") else None,
            running_from=read_optional_date("running_from", request.running_from),
            running_before=read_optional_date("running_before", request.running_before),
        )
        async with read(self._engine) as tx:
            found, token = await queries.list_assignments(
                tx, wanted, sight=sight_of_caller(), page=page
            )
        return pb.ListAssignmentsResponse(
            assignments=[wire.write_assignment(each, name) for each, name in found],
            next_page_token=token,
        )

    async def ChangeAssignment(
        self, request: pb.ChangeAssignmentRequest, context: object
    ) -> pb.ChangeAssignmentResponse:
        assignment_id = read_uuid("assignment_id", request.assignment_id)
        plan = commands.Replanning(
            task_id=read_optional_uuid("task_id", request.task_id),
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            transfer_rule=read_optional_enum("transfer_rule", request.transfer_rule, wire.RULES),
        )
        effort = wire.read_effort(request.planned_hours, request.weeks)
        overbooking = Overbooking(request.allow_overbooking, request.reason)

        async def handle(tx: AsyncConnection) -> pb.ChangeAssignmentResponse:
            assigned = await commands.change_assignment(
                tx, assignment_id, plan, effort, overbooking
            )
            return pb.ChangeAssignmentResponse(
                assignment=wire.write_assignment(assigned.assignment, assigned.person_name),
                overbooked_weeks=map(wire.write_week, assigned.overbooked),
            )

        return await once(self._engine, request, pb.ChangeAssignmentResponse, handle)

    async def ConfirmAssignment(
        self, request: pb.ConfirmAssignmentRequest, context: object
    ) -> pb.ConfirmAssignmentResponse:
        assignment_id = read_uuid("assignment_id", request.assignment_id)
        overbooking = Overbooking(request.allow_overbooking, request.reason)

        async def handle(tx: AsyncConnection) -> pb.ConfirmAssignmentResponse:
            assigned = await commands.confirm_assignment(tx, assignment_id, overbooking)
            return pb.ConfirmAssignmentResponse(
                assignment=wire.write_assignment(assigned.assignment, assigned.person_name),
                overbooked_weeks=map(wire.write_week, assigned.overbooked),
            )

        return await once(self._engine, request, pb.ConfirmAssignmentResponse, handle)

    async def EndAssignment(
        self, request: pb.EndAssignmentRequest, context: object
    ) -> pb.EndAssignmentResponse:
        assignment_id = read_uuid("assignment_id", request.assignment_id)
        on = read_date("ends_on", request.ends_on)

        async def handle(tx: AsyncConnection) -> pb.EndAssignmentResponse:
            ended = await commands.end_assignment(tx, assignment_id, on=on, reason=request.reason)
            return pb.EndAssignmentResponse(
                assignment=wire.write_assignment(ended.assignment, ended.person_name)
            )

        return await once(self._engine, request, pb.EndAssignmentResponse, handle)

    async def ListCapacity(
        self, request: pb.ListCapacityRequest, context: object
    ) -> pb.ListCapacityResponse:
        page = read_page(request, max=_CAPACITY_PAGE_MAX)
        wanted = Wanted(
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            role=request.role,
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            person_id=read_optional_uuid("person_id", request.person_id),
        )
        async with read(self._engine) as tx:
            people, token = await queries.capacity(tx, wanted, sight=sight_of_caller(), page=page)
        return pb.ListCapacityResponse(
            persons=[wire.write_person_weeks(each.person, each.weeks.values()) for each in people],
            next_page_token=token,
        )

    async def ListUtilisationPlans(
        self, request: pb.ListUtilisationPlansRequest, context: object
    ) -> pb.ListUtilisationPlansResponse:
        wanted = Wanted(
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            role=request.role,
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
        )
        async with read(self._engine) as tx:
            plans = await queries.utilisation(tx, wanted, sight=sight_of_caller())
        return pb.ListUtilisationPlansResponse(plans=map(_write_utilisation, plans))


def _write_utilisation(plan: Utilisation) -> pb.UtilisationPlan:
    week = plan.week
    hard = percent_of(week.booked.hard, week.capacity)
    booked = percent_of(week.booked.hard + week.booked.soft, week.capacity)
    return pb.UtilisationPlan(
        legal_entity_id=write_id(plan.legal_entity_id),
        people=plan.people,
        week=wire.write_week(week),
        hard_percent="" if hard is None else write_hours(hard),
        booked_percent="" if booked is None else write_hours(booked),
    )
