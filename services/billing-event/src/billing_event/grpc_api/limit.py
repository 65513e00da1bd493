"""Limits: what is left of them, how they are enforced, and the most a customer is billed."""

from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import limit as commands
from billing_event.domain.customer_limit import CustomerLimitProposalId, Framework
from billing_event.domain.limit import LimitAccountId
from billing_event.domain.position import BillingEventId
from billing_event.domain.source import CustomerId, LegalEntityId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import limit as queries
from billing_event.wire import limits
from throughline.billing_event.v1 import limit_service_pb2 as pb
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceServicer
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_enum,
    read_optional_decimal,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class LimitServicer(LimitServiceServicer):
    """Limits and what was taken of them."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ListLimits(
        self, request: pb.ListLimitsRequest, context: object
    ) -> pb.ListLimitsResponse:
        wanted = queries.LimitFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            customer_id=_read_optional_customer(request.customer_id),
            scope=read_optional_enum("scope", request.scope, limits.SCOPES),
            enforcement=read_optional_enum("enforcement", request.enforcement, limits.ENFORCEMENTS),
            used_percent_min=request.used_percent_min,
        )
        page = read_page(request, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.limits_matching(tx, wanted, page)

    async def GetLimit(self, request: pb.GetLimitRequest, context: object) -> pb.GetLimitResponse:
        account_id = _read_account(request.limit_account_id)
        async with database.read(self._engine) as tx:
            return pb.GetLimitResponse(limit=await queries.limit(tx, account_id))

    async def ListLimitEntries(
        self, request: pb.ListLimitEntriesRequest, context: object
    ) -> pb.ListLimitEntriesResponse:
        account_id = _read_account(request.limit_account_id)
        kind = read_optional_enum("kind", request.kind, limits.ENTRY_KINDS)
        row_id = read_optional_uuid("billing_event_id", request.billing_event_id)
        page = read_page(request, keys=3, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.entries(
                tx,
                account_id,
                page,
                kind=kind,
                billing_event_id=None if row_id is None else BillingEventId(row_id),
            )

    async def PutLimitSettings(
        self, request: pb.PutLimitSettingsRequest, context: object
    ) -> pb.PutLimitSettingsResponse:
        account_id = _read_account(request.limit_account_id)
        enforcement = read_enum("enforcement", request.enforcement, limits.ENFORCEMENTS)
        tolerance = read_optional_decimal("tolerance_percent", request.tolerance_percent, places=4)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.PutLimitSettingsResponse:
            await commands.put_settings(
                tx,
                account_id,
                enforcement=enforcement,
                tolerance_percent=tolerance or Decimal(0),
                alert_percents=list(request.alert_percents),
                reason=request.reason,
                by=by,
                at=at,
            )
            return pb.PutLimitSettingsResponse(limit=await queries.limit(tx, account_id))

        return await once(self._engine, request, pb.PutLimitSettingsResponse, handle)

    async def ListLimitSettings(
        self, request: pb.ListLimitSettingsRequest, context: object
    ) -> pb.ListLimitSettingsResponse:
        account_id = _read_account(request.limit_account_id)
        page = read_page(request, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.settings(tx, account_id, page)

    async def PutCustomerLimit(
        self, request: pb.PutCustomerLimitRequest, context: object
    ) -> pb.PutCustomerLimitResponse:
        framework = Framework(
            CustomerId(read_uuid("customer_id", request.customer_id)),
            LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id)),
            request.currency,
        )
        amount = read_optional_money("not_to_exceed", request.not_to_exceed)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.PutCustomerLimitResponse:
            proposal = await commands.put_customer_limit(
                tx, framework, amount, reason=request.reason, by=by, at=at
            )
            return pb.PutCustomerLimitResponse(
                limit=await queries.find_limit(tx, framework.limit_account_id),
                proposal=None if proposal is None else limits.write_proposal(proposal),
            )

        return await once(self._engine, request, pb.PutCustomerLimitResponse, handle)

    async def ListCustomerLimitProposals(
        self, request: pb.ListCustomerLimitProposalsRequest, context: object
    ) -> pb.ListCustomerLimitProposalsResponse:
        wanted = queries.ProposalFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            customer_id=_read_optional_customer(request.customer_id),
            status=read_optional_enum("status", request.status, limits.PROPOSAL_STATUSES),
        )
        page = read_page(request, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.proposals(tx, wanted, page)

    async def ApproveCustomerLimitProposal(
        self, request: pb.ApproveCustomerLimitProposalRequest, context: object
    ) -> pb.ApproveCustomerLimitProposalResponse:
        proposal_id = _read_proposal(request.customer_limit_proposal_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ApproveCustomerLimitProposalResponse:
            approved = await commands.approve_customer_limit(
                tx, proposal_id, by=by, at=at, comment=request.comment
            )
            return pb.ApproveCustomerLimitProposalResponse(
                proposal=limits.write_proposal(approved),
                limit=await queries.find_limit(tx, approved.framework.limit_account_id),
            )

        return await once(self._engine, request, pb.ApproveCustomerLimitProposalResponse, handle)

    async def RejectCustomerLimitProposal(
        self, request: pb.RejectCustomerLimitProposalRequest, context: object
    ) -> pb.RejectCustomerLimitProposalResponse:
        proposal_id = _read_proposal(request.customer_limit_proposal_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectCustomerLimitProposalResponse:
            rejected = await commands.reject_customer_limit(
                tx, proposal_id, by=by, at=at, comment=request.comment
            )
            return pb.RejectCustomerLimitProposalResponse(proposal=limits.write_proposal(rejected))

        return await once(self._engine, request, pb.RejectCustomerLimitProposalResponse, handle)


def _read_account(value: str) -> LimitAccountId:
    return LimitAccountId(read_uuid("limit_account_id", value))


def _read_proposal(value: str) -> CustomerLimitProposalId:
    return CustomerLimitProposalId(read_uuid("customer_limit_proposal_id", value))


def _read_optional_customer(value: str) -> CustomerId | None:
    found = read_optional_uuid("customer_id", value)
    return None if found is None else CustomerId(found)
