"""DelegationService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import delegation as commands
from project_provisioning.domain.delegation import Delegation
from project_provisioning.grpc_api.caller import is_pmo_caller, sight_of_caller, subject_of_caller
from project_provisioning.queries import delegation as queries
from project_provisioning.wire import delegation as wire
from throughline.project_provisioning.v1 import delegation_service_pb2 as pb
from throughline.project_provisioning.v1.delegation_service_pb2_grpc import (
    DelegationServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_DELEGATIONS_MAX: Final = 500


class DelegationServicer(DelegationServiceServicer):
    """Who decides in whose place."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def CreateDelegation(
        self, request: pb.CreateDelegationRequest, context: object
    ) -> pb.CreateDelegationResponse:
        by, is_pmo = subject_of_caller(), is_pmo_caller()
        delegation = Delegation(
            delegation_id=new_id(),
            version=1,
            delegator=request.delegator or by,
            delegate=request.delegate,
            scope=read_enum("scope", request.scope, wire.SCOPES),
            by_pmo=is_pmo,
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            reason=request.reason,
            created_by=by,
            created_at=self._context.clock.now(),
        )

        async def handle(tx: AsyncConnection) -> pb.CreateDelegationResponse:
            made = await commands.delegate(tx, delegation, by=by, is_pmo=is_pmo)
            return pb.CreateDelegationResponse(delegation=wire.write_delegation(made))

        return await once(self._engine, request, pb.CreateDelegationResponse, handle)

    async def RevokeDelegation(
        self, request: pb.RevokeDelegationRequest, context: object
    ) -> pb.RevokeDelegationResponse:
        delegation_id = read_uuid("delegation_id", request.delegation_id)

        async def handle(tx: AsyncConnection) -> pb.RevokeDelegationResponse:
            revoked = await commands.revoke(
                tx,
                delegation_id,
                by=subject_of_caller(),
                is_pmo=is_pmo_caller(),
                at=self._context.clock.now(),
            )
            return pb.RevokeDelegationResponse(delegation=wire.write_delegation(revoked))

        return await once(self._engine, request, pb.RevokeDelegationResponse, handle)

    async def ListDelegations(
        self, request: pb.ListDelegationsRequest, context: object
    ) -> pb.ListDelegationsResponse:
        page = read_page(request, max=_DELEGATIONS_MAX)
        in_force_on = read_optional_date("in_force_on", request.in_force_on)
        async with read(self._engine) as tx:
            found, token = await queries.delegations(
                tx,
                delegator=request.delegator,
                delegate=request.delegate,
                in_force_on=in_force_on,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListDelegationsResponse(
            delegations=map(wire.write_delegation, found), next_page_token=token
        )
