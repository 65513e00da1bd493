"""ReimbursementService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import reimbursement as commands
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import reimbursement as queries
from project_provisioning.wire import reimbursement as wire
from throughline.project_provisioning.v1 import reimbursement_service_pb2 as pb
from throughline.project_provisioning.v1.reimbursement_service_pb2_grpc import (
    ReimbursementServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500
_TOKEN_KEYS: Final = 3


class ReimbursementServicer(ReimbursementServiceServicer):
    """What people are paid back."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ListReimbursables(
        self, request: pb.ListReimbursablesRequest, context: object
    ) -> pb.ListReimbursablesResponse:
        page = read_page(request, keys=_TOKEN_KEYS, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            found, token = await queries.reimbursables(
                tx,
                person_id=read_optional_uuid("person_id", request.person_id),
                legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
                incurred_before=read_optional_date("incurred_before", request.incurred_before),
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListReimbursablesResponse(
            reimbursables=map(wire.write_reimbursable, found), next_page_token=token
        )

    async def RecordReimbursement(
        self, request: pb.RecordReimbursementRequest, context: object
    ) -> pb.RecordReimbursementResponse:
        person_id = read_uuid("person_id", request.person_id)
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        incurred_before = read_date("incurred_before", request.incurred_before)
        amount = read_money("amount", request.amount)
        paid_on = read_date("paid_on", request.paid_on)

        async def handle(tx: AsyncConnection) -> pb.RecordReimbursementResponse:
            paid = await commands.record_reimbursement(
                tx,
                person_id,
                legal_entity_id,
                incurred_before=incurred_before,
                amount=amount,
                payment_reference=request.payment_reference,
                paid_on=paid_on,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.RecordReimbursementResponse(reimbursement=wire.write_reimbursement(paid))

        return await once(self._engine, request, pb.RecordReimbursementResponse, handle)

    async def ListReimbursements(
        self, request: pb.ListReimbursementsRequest, context: object
    ) -> pb.ListReimbursementsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            paid, token = await queries.reimbursements(
                tx,
                person_id=read_optional_uuid("person_id", request.person_id),
                legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListReimbursementsResponse(
            reimbursements=map(wire.write_reimbursement, paid), next_page_token=token
        )
