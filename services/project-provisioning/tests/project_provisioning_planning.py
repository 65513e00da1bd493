"""What planners do in tests, and a billing-event that forgets acceptances when asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from project_provisioning_world import PMO, World, a_key

from throughline.billing_event.v1 import position_service_pb2 as position_pb
from throughline.project_provisioning.v1 import assignment_service_pb2 as assignment_pb
from throughline.project_provisioning.v1 import baseline_service_pb2 as baseline_pb
from throughline.project_provisioning.v1 import plan_service_pb2 as plan_pb
from throughline.project_provisioning.v1 import project_pb2
from throughline.project_provisioning.v1.assignment_service_pb2_grpc import AssignmentServiceStub
from throughline.project_provisioning.v1.baseline_service_pb2_grpc import BaselineServiceStub
from throughline.project_provisioning.v1.plan_service_pb2_grpc import PlanServiceStub
from throughline_runtime.identity import Caller

if TYPE_CHECKING:
    from throughline.project_provisioning.v1.assignment_service_pb2_grpc import (
        AssignmentServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.baseline_service_pb2_grpc import (
        BaselineServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.plan_service_pb2_grpc import PlanServiceAsyncStub


@dataclass(slots=True)
class Billing:
    """What billing-event answers: it forgets the acceptance, unless a test says otherwise."""

    error: Exception | None = None
    asked: list[position_pb.WithdrawSourceRequest] = field(default_factory=list)

    async def withdraw(
        self, request: position_pb.WithdrawSourceRequest
    ) -> position_pb.WithdrawSourceResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return position_pb.WithdrawSourceResponse(source_item_id=request.source_item_id)


class Planning:
    """The planners' services of a world, and what tests repeat with them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def plans(self, caller: Caller = PMO) -> "PlanServiceAsyncStub":
        return self.world.running.stub(PlanServiceStub, caller=caller)

    def baselines(self, caller: Caller = PMO) -> "BaselineServiceAsyncStub":
        return self.world.running.stub(BaselineServiceStub, caller=caller)

    def assignments(self, caller: Caller = PMO) -> "AssignmentServiceAsyncStub":
        return self.world.running.stub(AssignmentServiceStub, caller=caller)

    async def add_task(
        self, project: project_pb2.Project, name: str, **values: Any
    ) -> project_pb2.Task:
        """Add a task under the samples' line of time and materials."""
        task: dict[str, Any] = {"name": name, "contract_line_id": time_line_of(project)}
        request = plan_pb.AddTaskRequest(
            request_id=a_key(),
            project_id=project.project_id,
            task=plan_pb.NewTask(**task | values),
        )
        return (await self.plans().AddTask(request)).task

    async def batch(
        self, project: project_pb2.Project, *edits: plan_pb.TaskEdit
    ) -> Sequence[project_pb2.Task]:
        """Make edits of a plan at once."""
        request = plan_pb.BatchEditTasksRequest(
            request_id=a_key(), project_id=project.project_id, edits=edits
        )
        return (await self.plans().BatchEditTasks(request)).tasks

    async def tasks(self, project: project_pb2.Project, **filters: Any) -> dict[str, str]:
        """Return WBS codes by the names of a project's tasks."""
        request = plan_pb.ListTasksRequest(project_id=project.project_id, **filters)
        return {task.name: task.wbs_code for task in (await self.plans().ListTasks(request)).tasks}

    async def assign(
        self, project: project_pb2.Project, person_id: str, **values: Any
    ) -> assignment_pb.AssignPersonResponse:
        """Assign a person, by default hard for the 40 hours of the week of 7 September."""
        request: dict[str, Any] = {
            "request_id": a_key(),
            "project_id": project.project_id,
            "person_id": person_id,
            "starts_on": "2026-09-07",
            "ends_on": "2026-09-12",
            "planned_hours": "40",
            "booking": assignment_pb.BOOKING_HARD,
        }
        if "weeks" in values:
            request.pop("planned_hours")
        return await self.assignments().AssignPerson(
            assignment_pb.AssignPersonRequest(**request | values)
        )

    async def compare(
        self, project: project_pb2.Project, **numbers: int
    ) -> dict[tuple[str, str], tuple[str, str]]:
        """Return old and new values by the name and figure of what differs."""
        request = baseline_pb.CompareBaselinesRequest(
            project_id=project.project_id, **{"from_number": 1} | numbers
        )
        return {
            (each.name, each.figure): (each.old_value, each.new_value)
            for each in (await self.baselines().CompareBaselines(request)).differences
        }

    async def rebaseline(self, project: project_pb2.Project, reason: str) -> baseline_pb.Baseline:
        """Take the next baseline."""
        request = baseline_pb.TakeBaselineRequest(
            request_id=a_key(), project_id=project.project_id, label="Replanned", reason=reason
        )
        return (await self.baselines().TakeBaseline(request)).baseline


def time_line_of(project: project_pb2.Project) -> str:
    """Return the contract line of the project's billable task."""
    return next(task.contract_line_id for task in project.tasks if task.billable)
