"""TemplateService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import template as commands
from project_provisioning.grpc_api.caller import subject_of_caller
from project_provisioning.grpc_api.preview import preview_delivery
from project_provisioning.queries import provisioning as queries
from project_provisioning.repository import template as repository
from project_provisioning.wire import template as wire
from throughline.project_provisioning.v1 import template_service_pb2 as pb
from throughline.project_provisioning.v1.template_service_pb2_grpc import TemplateServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid
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
            template = await commands.propose_template(tx, draft)
            return pb.PutTemplateResponse(template=wire.write_template(template))

        return await once(self._engine, request, pb.PutTemplateResponse, handle)

    async def ApproveTemplate(
        self, request: pb.ApproveTemplateRequest, context: object
    ) -> pb.ApproveTemplateResponse:
        by, at = subject_of_caller(), self._context.clock.now()

        async def handle(tx: AsyncConnection) -> pb.ApproveTemplateResponse:
            template = await commands.approve_template(
                tx, request.code, request.version, by=by, at=at, comment=request.comment
            )
            return pb.ApproveTemplateResponse(template=wire.write_template(template))

        return await once(self._engine, request, pb.ApproveTemplateResponse, handle)

    async def RejectTemplate(
        self, request: pb.RejectTemplateRequest, context: object
    ) -> pb.RejectTemplateResponse:
        by, at = subject_of_caller(), self._context.clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectTemplateResponse:
            template = await commands.reject_template(
                tx, request.code, request.version, by=by, at=at, reason=request.reason
            )
            return pb.RejectTemplateResponse(template=wire.write_template(template))

        return await once(self._engine, request, pb.RejectTemplateResponse, handle)

    async def WithdrawTemplate(
        self, request: pb.WithdrawTemplateRequest, context: object
    ) -> pb.WithdrawTemplateResponse:
        by, at = subject_of_caller(), self._context.clock.now()

        async def handle(tx: AsyncConnection) -> pb.WithdrawTemplateResponse:
            template = await commands.withdraw_template(
                tx, request.code, request.version, by=by, at=at
            )
            return pb.WithdrawTemplateResponse(template=wire.write_template(template))

        return await once(self._engine, request, pb.WithdrawTemplateResponse, handle)

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

    async def ListTemplateVersions(
        self, request: pb.ListTemplateVersionsRequest, context: object
    ) -> pb.ListTemplateVersionsResponse:
        page = read_page(request, keys=2)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        async with read(self._engine) as tx:
            templates, token = await queries.template_versions(
                tx, code=request.code, status=status, page=page
            )
        return pb.ListTemplateVersionsResponse(
            templates=map(wire.write_template, templates), next_page_token=token
        )

    async def PreviewDelivery(
        self, request: pb.PreviewDeliveryRequest, context: object
    ) -> pb.PreviewDeliveryResponse:
        return await preview_delivery(
            self._context,
            quote_id=read_optional_uuid("quote_id", request.quote_id),
            contract_id=read_optional_uuid("contract_id", request.contract_id),
        )
