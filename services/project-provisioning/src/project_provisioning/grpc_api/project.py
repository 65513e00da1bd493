"""ProjectService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import project as commands
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import provisioning as queries
from project_provisioning.wire import project as wire
from throughline.project_provisioning.v1 import project_service_pb2 as pb
from throughline.project_provisioning.v1.project_service_pb2_grpc import ProjectServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 100
_ID_FILTERS: Final = (
    "contract_id",
    "customer_id",
    "legal_entity_id",
    "engagement_id",
    "manager_person_id",
)


class ProjectServicer(ProjectServiceServicer):
    """Projects."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def GetProject(
        self, request: pb.GetProjectRequest, context: object
    ) -> pb.GetProjectResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            project = await queries.get_project(tx, project_id, sight_of_caller())
        return pb.GetProjectResponse(project=wire.write_project(project))

    async def ListProjects(
        self, request: pb.ListProjectsRequest, context: object
    ) -> pb.ListProjectsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        equal = {
            "status": read_optional_enum("status", request.status, wire.STATUSES),
            "region": request.region,
            **{name: read_optional_uuid(name, getattr(request, name)) for name in _ID_FILTERS},
        }
        async with read(self._engine) as tx:
            projects, token = await queries.projects(
                tx, equal=equal, sight=sight_of_caller(), page=page
            )
        return pb.ListProjectsResponse(
            projects=map(wire.write_project, projects), next_page_token=token
        )

    async def ListProjectBudgets(
        self, request: pb.ListProjectBudgetsRequest, context: object
    ) -> pb.ListProjectBudgetsResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            project = await queries.get_project(tx, project_id, sight_of_caller())
        currency = project.budget.currency
        return pb.ListProjectBudgetsResponse(
            budgets=[wire.write_budget(budget, currency) for budget in project.budgets]
        )

    async def CloseTask(
        self, request: pb.CloseTaskRequest, context: object
    ) -> pb.CloseTaskResponse:
        task_id = read_uuid("task_id", request.task_id)

        async def handle(tx: AsyncConnection) -> pb.CloseTaskResponse:
            project = await commands.close_task(tx, task_id)
            return pb.CloseTaskResponse(project=wire.write_project(project))

        return await once(self._engine, request, pb.CloseTaskResponse, handle)
