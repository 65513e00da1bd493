"""PlanService."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import plan as commands
from project_provisioning.domain.project import Project
from project_provisioning.domain.task_edit import Edit, Reopen
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.grpc_api.forecast import ForecastMethods
from project_provisioning.queries import plan as queries
from project_provisioning.queries.provisioning import get_project
from project_provisioning.wire import plan as wire
from project_provisioning.wire.project import write_project, write_task
from throughline.project_provisioning.v1 import plan_service_pb2 as pb
from throughline.project_provisioning.v1 import project_pb2
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_optional_date,
    read_optional_uuid,
    read_uuid,
    write_id,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class PlanServicer(ForecastMethods):
    """Plans of projects."""

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: object
    ) -> pb.ListTasksResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        project_id = read_uuid("project_id", request.project_id)
        wanted = queries.TaskFilter(
            under=read_optional_uuid("under_task_id", request.under_task_id),
            contract_line_id=read_optional_uuid("contract_line_id", request.contract_line_id),
            closed=request.closed if request.HasField("closed") else None,
            planned_from=read_optional_date("planned_from", request.planned_from),
            planned_before=read_optional_date("planned_before", request.planned_before),
        )
        async with read(self._engine) as tx:
            tasks, token = await queries.tasks(
                tx, project_id, wanted, sight=sight_of_caller(), page=page
            )
        return pb.ListTasksResponse(tasks=map(write_task, tasks), next_page_token=token)

    async def GetTask(self, request: pb.GetTaskRequest, context: object) -> pb.GetTaskResponse:
        task_id = read_uuid("task_id", request.task_id)
        async with read(self._engine) as tx:
            task, project = await queries.get_task(tx, task_id, sight_of_caller())
        return pb.GetTaskResponse(task=write_task(task), project_id=write_id(project.project_id))

    async def AddTask(self, request: pb.AddTaskRequest, context: object) -> pb.AddTaskResponse:
        project_id = read_uuid("project_id", request.project_id)
        new = wire.read_add("task", request.task)

        async def handle(tx: AsyncConnection) -> pb.AddTaskResponse:
            project = await commands.edit_tasks(tx, project_id, [("task", new)])
            return pb.AddTaskResponse(task=_write_task_of(project, new.task_id))

        return await once(self._engine, request, pb.AddTaskResponse, handle)

    async def UpdateTask(
        self, request: pb.UpdateTaskRequest, context: object
    ) -> pb.UpdateTaskResponse:
        edit = wire.read_update("", request)

        async def handle(tx: AsyncConnection) -> pb.UpdateTaskResponse:
            project = await commands.edit_task(tx, edit.task_id, edit)
            return pb.UpdateTaskResponse(task=_write_task_of(project, edit.task_id))

        return await once(self._engine, request, pb.UpdateTaskResponse, handle)

    async def MoveTask(self, request: pb.MoveTaskRequest, context: object) -> pb.MoveTaskResponse:
        edit = wire.read_move("", request)

        async def handle(tx: AsyncConnection) -> pb.MoveTaskResponse:
            project = await commands.edit_task(tx, edit.task_id, edit)
            return pb.MoveTaskResponse(task=_write_task_of(project, edit.task_id))

        return await once(self._engine, request, pb.MoveTaskResponse, handle)

    async def ReopenTask(
        self, request: pb.ReopenTaskRequest, context: object
    ) -> pb.ReopenTaskResponse:
        edit = Reopen(read_uuid("task_id", request.task_id))

        async def handle(tx: AsyncConnection) -> pb.ReopenTaskResponse:
            project = await commands.edit_task(tx, edit.task_id, edit)
            return pb.ReopenTaskResponse(task=_write_task_of(project, edit.task_id))

        return await once(self._engine, request, pb.ReopenTaskResponse, handle)

    async def BatchEditTasks(
        self, request: pb.BatchEditTasksRequest, context: object
    ) -> pb.BatchEditTasksResponse:
        project_id = read_uuid("project_id", request.project_id)
        edits: list[tuple[str, Edit]] = wire.read_edits(request.edits)

        async def handle(tx: AsyncConnection) -> pb.BatchEditTasksResponse:
            project = await commands.edit_tasks(tx, project_id, edits)
            tasks = {task.task_id: task for task in project.tasks}
            return pb.BatchEditTasksResponse(
                tasks=[write_task(tasks[edit.task_id]) for _, edit in edits],
                project_version=project.version,
            )

        return await once(self._engine, request, pb.BatchEditTasksResponse, handle)

    async def AssignProjectManager(
        self, request: pb.AssignProjectManagerRequest, context: object
    ) -> pb.AssignProjectManagerResponse:
        project_id = read_uuid("project_id", request.project_id)
        person_id = read_optional_uuid("manager_person_id", request.manager_person_id)

        async def handle(tx: AsyncConnection) -> pb.AssignProjectManagerResponse:
            project = await commands.assign_manager(
                tx, project_id, person_id, by=subject_of_caller(), at=self._clock.now()
            )
            return pb.AssignProjectManagerResponse(project=write_project(project))

        return await once(self._engine, request, pb.AssignProjectManagerResponse, handle)

    async def SetProjectPolicy(
        self, request: pb.SetProjectPolicyRequest, context: object
    ) -> pb.SetProjectPolicyResponse:
        project_id = read_uuid("project_id", request.project_id)

        async def handle(tx: AsyncConnection) -> pb.SetProjectPolicyResponse:
            demands = request.requires_assignment
            await commands.set_policy(tx, project_id, requires_assignment=demands)
            return pb.SetProjectPolicyResponse(policy=_write_policy(project_id, demands))

        return await once(self._engine, request, pb.SetProjectPolicyResponse, handle)

    async def GetProjectPolicy(
        self, request: pb.GetProjectPolicyRequest, context: object
    ) -> pb.GetProjectPolicyResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            project = await get_project(tx, project_id, sight_of_caller())
        return pb.GetProjectPolicyResponse(
            policy=_write_policy(project_id, project.requires_assignment)
        )

    async def CloseProject(
        self, request: pb.CloseProjectRequest, context: object
    ) -> pb.CloseProjectResponse:
        project_id = read_uuid("project_id", request.project_id)

        async def handle(tx: AsyncConnection) -> pb.CloseProjectResponse:
            project = await commands.close_project(
                tx, project_id, reason=request.reason, at=self._clock.now()
            )
            return pb.CloseProjectResponse(project=write_project(project))

        return await once(self._engine, request, pb.CloseProjectResponse, handle)

    async def ReopenProject(
        self, request: pb.ReopenProjectRequest, context: object
    ) -> pb.ReopenProjectResponse:
        project_id = read_uuid("project_id", request.project_id)

        async def handle(tx: AsyncConnection) -> pb.ReopenProjectResponse:
            project = await commands.reopen_project(tx, project_id)
            return pb.ReopenProjectResponse(project=write_project(project))

        return await once(self._engine, request, pb.ReopenProjectResponse, handle)


def _write_task_of(project: Project, task_id: UUID) -> project_pb2.Task:
    return write_task(next(task for task in project.tasks if task.task_id == task_id))


def _write_policy(project_id: UUID, requires_assignment: bool) -> pb.ProjectPolicy:
    return pb.ProjectPolicy(
        project_id=write_id(project_id), requires_assignment=requires_assignment
    )
