"""The services as they are called: fields in, one command or query, messages out."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import rate, release
from billing_event.domain.hold import HoldId
from billing_event.domain.position import BillingEventId
from billing_event.domain.recurring import require_near
from billing_event.domain.release import NothingNamed
from billing_event.domain.source import ContractId, ContractLineId, LegalEntityId, SourceItemId
from billing_event.queries import catalogue, event, position
from billing_event.repository import policy, recurring
from billing_event.wire.published import REASONS, STATUSES, TYPES
from throughline.billing_event.v1 import (
    billing_event_service_pb2 as event_pb,
)
from throughline.billing_event.v1 import (
    limit_service_pb2 as limit_pb,
)
from throughline.billing_event.v1 import (
    position_service_pb2 as position_pb,
)
from throughline.billing_event.v1 import (
    recurring_service_pb2 as recurring_pb,
)
from throughline.billing_event.v1 import (
    release_policy_service_pb2 as policy_pb,
)
from throughline.billing_event.v1.billing_event_service_pb2_grpc import (
    BillingEventServiceServicer,
)
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceServicer
from throughline.billing_event.v1.position_service_pb2_grpc import PositionServiceServicer
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
    read_optional_uuid,
    read_uuid,
    write_money,
)
from throughline_runtime.identity import current_caller, require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500
_WIP_MAX: Final = 1_000
# Longer than any transaction lives: rows rated on a day are visible once it is over by this much.
_SETTLING: Final = timedelta(minutes=15)


class BillingEventServicer(BillingEventServiceServicer):
    """Rated rows, holds and the approval checkpoint."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ListBillingEvents(
        self, request: event_pb.ListBillingEventsRequest, context: object
    ) -> event_pb.ListBillingEventsResponse:
        wanted = event.EventFilter(
            legal_entity_ids=_entities(request.legal_entity_id),
            contract_id=_contract_id(request.contract_id),
            contract_line_id=_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, STATUSES),
            type=read_optional_enum("type", request.type, TYPES),
            hold_reason=read_optional_enum("hold_reason", request.hold_reason, REASONS),
            project_id=read_optional_uuid("project_id", request.project_id),
            person_id=read_optional_uuid("person_id", request.person_id),
            source_item_id=_item_id(request.source_item_id),
            service_from=read_optional_date("service_from", request.service_from),
            service_through=read_optional_date("service_through", request.service_through),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await event.billing_events(tx, wanted, page)

    async def GetBillingEvent(
        self, request: event_pb.GetBillingEventRequest, context: object
    ) -> event_pb.GetBillingEventResponse:
        row_id = BillingEventId(read_uuid("billing_event_id", request.billing_event_id))
        async with database.read(self._engine) as tx:
            return await event.billing_event(tx, row_id, now=self._clock.now())

    async def ReleaseBillingEvents(
        self, request: event_pb.ReleaseBillingEventsRequest, context: object
    ) -> event_pb.ReleaseBillingEventsResponse:
        named = [
            BillingEventId(read_uuid("billing_event_ids", each))
            for each in request.billing_event_ids
        ]
        through = read_optional_date("through_date", request.through_date)
        contract_id = _contract_id(request.contract_id)
        if not named and contract_id is None and not request.legal_entity_id:
            raise NothingNamed(
                "the request names nothing to release",
                field="billing_event_ids",
                advice="name rows, a contract, or a legal entity",
            )
        entities = _entities(request.legal_entity_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> event_pb.ReleaseBillingEventsResponse:
            if named:
                done = await release.release_named(tx, named, by=by, at=at)
            else:
                done = await release.release_matching(
                    tx,
                    by=by,
                    at=at,
                    through=through,
                    contract_id=contract_id,
                    legal_entity_ids=entities,
                )
            return event_pb.ReleaseBillingEventsResponse(
                released=len(done.rows),
                held=done.held,
                needs_other_person=done.needs_other_person,
                released_amounts=map(write_money, done.amounts),
                has_more=done.has_more,
            )

        return await once(self._engine, request, event_pb.ReleaseBillingEventsResponse, handle)

    async def PlaceHold(
        self, request: event_pb.PlaceHoldRequest, context: object
    ) -> event_pb.PlaceHoldResponse:
        row_id = BillingEventId(read_uuid("billing_event_id", request.billing_event_id))
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> event_pb.PlaceHoldResponse:
            hold_id = await release.place_hold(tx, row_id, request.reason, by=by, at=at)
            shown = await event.billing_event(tx, row_id, now=at)
            return event_pb.PlaceHoldResponse(
                hold=await event.hold(tx, hold_id, now=at), billing_event=shown.billing_event
            )

        return await once(self._engine, request, event_pb.PlaceHoldResponse, handle)

    async def ClearHold(
        self, request: event_pb.ClearHoldRequest, context: object
    ) -> event_pb.ClearHoldResponse:
        hold_id = HoldId(read_uuid("hold_id", request.hold_id))
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> event_pb.ClearHoldResponse:
            row_id = await release.clear_hold(tx, hold_id, request.reason, by=by, at=at)
            shown = await event.billing_event(tx, row_id, now=at)
            return event_pb.ClearHoldResponse(
                hold=await event.hold(tx, hold_id, now=at), billing_event=shown.billing_event
            )

        return await once(self._engine, request, event_pb.ClearHoldResponse, handle)

    async def ListHolds(
        self, request: event_pb.ListHoldsRequest, context: object
    ) -> event_pb.ListHoldsResponse:
        wanted = event.HoldFilter(
            legal_entity_ids=visible_entities(),
            reason=read_optional_enum("reason", request.reason, REASONS),
            contract_id=_contract_id(request.contract_id),
            owner=request.owner or None,
            age_days_min=request.age_days_min,
            unrated_only=request.unrated_only,
            source_item_id=_item_id(request.source_item_id),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await event.holds(tx, wanted, page, now=self._clock.now())


class PositionServicer(PositionServiceServicer):
    """Sums over the ledger."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def GetContractPosition(
        self, request: position_pb.GetContractPositionRequest, context: object
    ) -> position_pb.GetContractPositionResponse:
        contract_id = ContractId(read_uuid("contract_id", request.contract_id))
        async with database.read(self._engine) as tx:
            return await position.contract_position(tx, contract_id)

    async def GetWip(
        self, request: position_pb.GetWipRequest, context: object
    ) -> position_pb.GetWipResponse:
        as_of = read_date("as_of", request.as_of)
        contract_id = _contract_id(request.contract_id)
        entities = _entities(request.legal_entity_id)
        page = read_page(request, max=_WIP_MAX)
        settled = self._clock.now() - _SETTLING
        async with database.read(self._engine) as tx:
            zones = await position.zones(tx)
            position.require_over(as_of, settled=settled, zones=zones)
            return await position.wip(
                tx, as_of, page, contract_id=contract_id, legal_entity_ids=entities
            )


class LimitServicer(LimitServiceServicer):
    """Not-to-exceed amounts and what was taken of them."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def ListLimits(
        self, request: limit_pb.ListLimitsRequest, context: object
    ) -> limit_pb.ListLimitsResponse:
        contract_id = _contract_id(request.contract_id)
        entities = _entities(request.legal_entity_id)
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
            contract_id=_contract_id(request.contract_id),
            contract_line_id=_line_id(request.contract_line_id),
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
        contract_id = _contract_id(request.contract_id)
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


def _entities(wanted: str) -> Collection[UUID] | None:
    """Return the legal entities to look at: the one asked for, or all the caller may see."""
    entity_id = read_optional_uuid("legal_entity_id", wanted)
    if entity_id is None:
        return visible_entities()
    require_entity(entity_id)
    return [entity_id]


def _contract_id(value: str) -> ContractId | None:
    found = read_optional_uuid("contract_id", value)
    return None if found is None else ContractId(found)


def _line_id(value: str) -> ContractLineId | None:
    found = read_optional_uuid("contract_line_id", value)
    return None if found is None else ContractLineId(found)


def _item_id(value: str) -> SourceItemId | None:
    found = read_optional_uuid("source_item_id", value)
    return None if found is None else SourceItemId(found)
