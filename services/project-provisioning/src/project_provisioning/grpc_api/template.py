"""TemplateService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import template as commands
from project_provisioning.grpc_api.caller import subject_of_caller
from project_provisioning.queries import provisioning as queries
from project_provisioning.repository import template as repository
from project_provisioning.wire import template as wire
from throughline.project_provisioning.v1 import template_service_pb2 as pb
from throughline.project_provisioning.v1.template_service_pb2_grpc import TemplateServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class TemplateServicer(TemplateServiceServicer):
    """Delivery templates."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def PutTemplate(
        self, request: pb.PutTemplateRequest, context: object
    ) -> pb.PutTemplateResponse:
        draft = wire.read_template(request, at=self._context.clock.now(), by=subject_of_caller())

        async def handle(tx: AsyncConnection) -> pb.PutTemplateResponse:
            template = await commands.put_template(tx, draft)
            return pb.PutTemplateResponse(template=wire.write_template(template))

        return await once(self._engine, request, pb.PutTemplateResponse, handle)

    async def GetTemplate(
        self, request: pb.GetTemplateRequest, context: object
    ) -> pb.GetTemplateResponse:
        version = request.version if request.HasField("version") else None
        async with read(self._engine) as tx:
            template = await repository.get(tx, request.code, version)
        return pb.GetTemplateResponse(template=wire.write_template(template))

    async def ListTemplates(
        self, request: pb.ListTemplatesRequest, context: object
    ) -> pb.ListTemplatesResponse:
        page = read_page(request)
        model = read_optional_enum("billing_model", request.billing_model, wire.BILLING_MODELS)
        async with read(self._engine) as tx:
            templates, token = await queries.templates(tx, billing_model=model, page=page)
        return pb.ListTemplatesResponse(
            templates=map(wire.write_template, templates), next_page_token=token
        )
