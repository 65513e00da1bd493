"""CreditService."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import credit as commands
from customer_contract.commands import customer as customers
from customer_contract.domain.credit import Exposure, Override, OverrideStatus, positions
from customer_contract.domain.values import CustomerId
from customer_contract.grpc_api import exposure
from customer_contract.queries import credit as queries
from customer_contract.repository import credit as repository
from customer_contract.repository import customer as customer_repository
from customer_contract.wire.credit import OVERRIDE_STATUS, write_override, write_status
from customer_contract.wire.customer import write_customer
from throughline.customer_contract.v1 import credit_service_pb2 as pb
from throughline.customer_contract.v1.credit_service_pb2_grpc import CreditServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class CreditServicer(CreditServiceServicer):
    """How much customers may owe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def SetCreditLimit(
        self, request: pb.SetCreditLimitRequest, context: object
    ) -> pb.SetCreditLimitResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))
        limit = read_optional_money("credit_limit", request.credit_limit)

        async def handle(tx: AsyncConnection) -> pb.SetCreditLimitResponse:
            customer = await customers.set_limit(
                tx, customer_id, limit, reason=request.reason, version=request.version
            )
            return pb.SetCreditLimitResponse(customer=write_customer(customer))

        return await once(self._engine, request, pb.SetCreditLimitResponse, handle)

    async def GetCreditStatus(
        self, request: pb.GetCreditStatusRequest, context: object
    ) -> pb.GetCreditStatusResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))
        async with read(self._engine) as tx:
            customer = await customer_repository.get(tx, customer_id)
            overrides = await repository.of_customers(tx, [customer_id])
        answer = await exposure.ask(self._context, [customer_id])
        owed: Sequence[Exposure] = ()
        read_at: datetime | None = None
        if answer is not None:
            owed, read_at = answer.exposures.get(customer_id, ()), answer.read_at
        today = self._clock.today("UTC")
        standing = positions(customer.credit_limit, overrides, owed, today=today)
        return write_status(
            customer,
            standing,
            [one for one in overrides if today < one.expires_on],
            read_at=read_at,
        )

    async def ProposeCreditOverride(
        self, request: pb.ProposeCreditOverrideRequest, context: object
    ) -> pb.ProposeCreditOverrideResponse:
        override = Override(
            credit_override_id=new_id(),
            customer_id=CustomerId(read_uuid("customer_id", request.customer_id)),
            amount=read_money("amount", request.amount),
            expires_on=read_date("expires_on", request.expires_on),
            reason=request.reason,
            status=OverrideStatus.PROPOSED,
            proposed_by=current_caller().subject,
            proposed_at=self._clock.now(),
        )

        async def handle(tx: AsyncConnection) -> pb.ProposeCreditOverrideResponse:
            proposed = await commands.propose(tx, override, today=self._clock.today("UTC"))
            return pb.ProposeCreditOverrideResponse(override=write_override(proposed))

        return await once(self._engine, request, pb.ProposeCreditOverrideResponse, handle)

    async def ApproveCreditOverride(
        self, request: pb.ApproveCreditOverrideRequest, context: object
    ) -> pb.ApproveCreditOverrideResponse:
        override_id = read_uuid("credit_override_id", request.credit_override_id)

        async def handle(tx: AsyncConnection) -> pb.ApproveCreditOverrideResponse:
            approved = await commands.approve(tx, override_id, clock=self._clock)
            return pb.ApproveCreditOverrideResponse(override=write_override(approved))

        return await once(self._engine, request, pb.ApproveCreditOverrideResponse, handle)

    async def RevokeCreditOverride(
        self, request: pb.RevokeCreditOverrideRequest, context: object
    ) -> pb.RevokeCreditOverrideResponse:
        override_id = read_uuid("credit_override_id", request.credit_override_id)

        async def handle(tx: AsyncConnection) -> pb.RevokeCreditOverrideResponse:
            revoked = await commands.revoke(
                tx, override_id, reason=request.reason, clock=self._clock
            )
            return pb.RevokeCreditOverrideResponse(override=write_override(revoked))

        return await once(self._engine, request, pb.RevokeCreditOverrideResponse, handle)

    async def ListCreditOverrides(
        self, request: pb.ListCreditOverridesRequest, context: object
    ) -> pb.ListCreditOverridesResponse:
        page = read_page(request)
        customer_id = read_optional_uuid("customer_id", request.customer_id)
        status = read_optional_enum("status", request.status, OVERRIDE_STATUS)
        async with read(self._engine) as tx:
            overrides, token = await queries.overrides(
                tx, page, customer_id=customer_id, status=status
            )
        return pb.ListCreditOverridesResponse(overrides=overrides, next_page_token=token)
