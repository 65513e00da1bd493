"""Limits, release policies and the billing calendar."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import rate, release
from billing_event.domain.recurring import require_near
from billing_event.domain.source import LegalEntityId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import catalogue
from billing_event.repository import policy, recurring
from throughline.billing_event.v1 import (
    limit_service_pb2 as limit_pb,
)
from throughline.billing_event.v1 import (
    recurring_service_pb2 as recurring_pb,
)
from throughline.billing_event.v1 import (
    release_policy_service_pb2 as policy_pb,
)
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceServicer
from throughline.billing_event.v1.recurring_service_pb2_grpc import RecurringServiceServicer
from throughline.billing_event.v1.release_policy_service_pb2_grpc import (
    ReleasePolicyServiceServicer,
)
from throughline_core.money import Money
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_date,
    read_optional_enum,
    read_uuid,
)
from throughline_runtime.identity import current_caller, require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class LimitServicer(LimitServiceServicer):
    """Not-to-exceed amounts and what was taken of them."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def ListLimits(
        self, request: limit_pb.ListLimitsRequest, context: object
    ) -> limit_pb.ListLimitsResponse:
        contract_id = read_contract_id(request.contract_id)
        entities = read_entities(request.legal_entity_id)
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await catalogue.limits(
                tx,
                page,
                contract_id=contract_id,
                legal_entity_ids=entities,
                used_percent_min=request.used_percent_min,
            )


class ReleasePolicyServicer(ReleasePolicyServiceServicer):
    """Thresholds of the checkpoint."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PutReleasePolicy(
        self, request: policy_pb.PutReleasePolicyRequest, context: object
    ) -> policy_pb.PutReleasePolicyResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        threshold: Money = read_money("threshold", request.threshold)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> policy_pb.PutReleasePolicyResponse:
            changed = await release.set_policy(tx, entity_id, threshold, by=by, at=at)
            return policy_pb.PutReleasePolicyResponse(
                release_policy=catalogue.write_policy(changed, entity_id)
            )

        return await once(self._engine, request, policy_pb.PutReleasePolicyResponse, handle)

    async def GetReleasePolicy(
        self, request: policy_pb.GetReleasePolicyRequest, context: object
    ) -> policy_pb.GetReleasePolicyResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        require_entity(entity_id)
        async with database.read(self._engine) as tx:
            found = await policy.get_policy(tx, entity_id)
        return policy_pb.GetReleasePolicyResponse(
            release_policy=catalogue.write_policy(found, entity_id)
        )

    async def ListReleasePolicies(
        self, request: policy_pb.ListReleasePoliciesRequest, context: object
    ) -> policy_pb.ListReleasePoliciesResponse:
        page = read_page(request)
        entities = visible_entities()
        async with database.read(self._engine) as tx:
            return await catalogue.release_policies(tx, page, legal_entity_ids=entities)


class RecurringServicer(RecurringServiceServicer):
    """The billing calendar."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ListRecurringPeriods(
        self, request: recurring_pb.ListRecurringPeriodsRequest, context: object
    ) -> recurring_pb.ListRecurringPeriodsResponse:
        wanted = catalogue.PeriodFilter(
            legal_entity_ids=visible_entities(),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, catalogue.PERIOD_STATUSES),
            due_through=read_optional_date("due_through", request.due_through),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await catalogue.recurring_periods(tx, wanted, page)

    async def GenerateRecurringCharges(
        self, request: recurring_pb.GenerateRecurringChargesRequest, context: object
    ) -> recurring_pb.GenerateRecurringChargesResponse:
        through = read_date("through_date", request.through_date)
        contract_id = read_contract_id(request.contract_id)
        entities, at = visible_entities(), self._clock.now()
        require_near(through, today=at.date())

        async def handle(
            tx: AsyncConnection,
        ) -> recurring_pb.GenerateRecurringChargesResponse:
            zones = await recurring.load_zones(tx)
            charged, has_more = await rate.charge(
                tx,
                dict.fromkeys(zones, through),
                at=at,
                limit=rate.CHARGED_MAX,
                contract_id=contract_id,
                legal_entity_ids=entities,
            )
            return recurring_pb.GenerateRecurringChargesResponse(charged=charged, has_more=has_more)

        return await once(
            self._engine, request, recurring_pb.GenerateRecurringChargesResponse, handle
        )
