"""Rated rows, holds and the approval checkpoint."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import hold, release
from billing_event.domain.hold import HoldId, NoHoldNamed
from billing_event.domain.position import BillingEventId
from billing_event.domain.release import NothingNamed
from billing_event.domain.release_run import ReleaseScope
from billing_event.grpc_api.fields import (
    read_contract_id,
    read_entities,
    read_item_id,
    read_line_id,
)
from billing_event.queries import event
from billing_event.queries.release import summarize_holds
from billing_event.wire.published import REASONS, STATUSES, TYPES
from throughline.billing_event.v1 import (
    billing_event_service_pb2 as event_pb,
)
from throughline.billing_event.v1.billing_event_service_pb2_grpc import (
    BillingEventServiceServicer,
)
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_money,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class BillingEventServicer(BillingEventServiceServicer):
    """Rated rows, holds and the approval checkpoint."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ListBillingEvents(
        self, request: event_pb.ListBillingEventsRequest, context: object
    ) -> event_pb.ListBillingEventsResponse:
        wanted = event.EventFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, STATUSES),
            type=read_optional_enum("type", request.type, TYPES),
            hold_reason=read_optional_enum("hold_reason", request.hold_reason, REASONS),
            project_id=read_optional_uuid("project_id", request.project_id),
            person_id=read_optional_uuid("person_id", request.person_id),
            bill_to_customer_id=read_optional_uuid(
                "bill_to_customer_id", request.bill_to_customer_id
            ),
            delivering_entity_id=read_optional_uuid(
                "delivering_legal_entity_id", request.delivering_legal_entity_id
            ),
            source_item_id=read_item_id(request.source_item_id),
            service_from=read_optional_date("service_from", request.service_from),
            service_through=read_optional_date("service_through", request.service_through),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await event.billing_events(tx, wanted, page, now=self._clock.now())

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
        contract_id = read_contract_id(request.contract_id)
        if not named and contract_id is None and not request.legal_entity_id:
            raise NothingNamed(
                "the request names nothing to release",
                field="billing_event_ids",
                advice="name rows, a contract, or a legal entity",
            )
        entities = read_entities(request.legal_entity_id)
        scope = ReleaseScope(
            contract_id=contract_id,
            legal_entity_ids=None if entities is None else tuple(entities),
            through=through,
        )
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> event_pb.ReleaseBillingEventsResponse:
            if named:
                done = await release.release_named(tx, named, by=by, at=at)
            else:
                done = await release.release_matching(tx, scope, by=by, at=at)
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
            [hold_id] = await hold.place_holds(tx, [row_id], request.reason, by=by, at=at)
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
            [row_id] = await hold.clear_holds(tx, [hold_id], request.reason, by=by, at=at)
            shown = await event.billing_event(tx, row_id, now=at)
            return event_pb.ClearHoldResponse(
                hold=await event.hold(tx, hold_id, now=at), billing_event=shown.billing_event
            )

        return await once(self._engine, request, event_pb.ClearHoldResponse, handle)

    async def PlaceHolds(
        self, request: event_pb.PlaceHoldsRequest, context: object
    ) -> event_pb.PlaceHoldsResponse:
        row_ids = [
            BillingEventId(read_uuid("billing_event_ids", each))
            for each in request.billing_event_ids
        ]
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> event_pb.PlaceHoldsResponse:
            hold_ids = await hold.place_holds(tx, row_ids, request.reason, by=by, at=at)
            return event_pb.PlaceHoldsResponse(hold_ids=map(str, hold_ids))

        return await once(self._engine, request, event_pb.PlaceHoldsResponse, handle)

    async def ClearHolds(
        self, request: event_pb.ClearHoldsRequest, context: object
    ) -> event_pb.ClearHoldsResponse:
        hold_ids = [HoldId(read_uuid("hold_ids", each)) for each in request.hold_ids]
        contract_id = read_contract_id(request.contract_id)
        opened_by = request.opened_by or None
        if not hold_ids and contract_id is None and opened_by is None:
            raise NoHoldNamed(
                "the request names no holds",
                field="hold_ids",
                advice="name holds, a contract, or the person who placed them",
            )
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> event_pb.ClearHoldsResponse:
            if hold_ids:
                cleared = await hold.clear_holds(tx, hold_ids, request.reason, by=by, at=at)
                return event_pb.ClearHoldsResponse(cleared=len(cleared))
            count, has_more = await hold.clear_matching(
                tx,
                request.reason,
                contract_id=contract_id,
                opened_by=opened_by,
                by=by,
                at=at,
            )
            return event_pb.ClearHoldsResponse(cleared=count, has_more=has_more)

        return await once(self._engine, request, event_pb.ClearHoldsResponse, handle)

    async def SummarizeHolds(
        self, request: event_pb.SummarizeHoldsRequest, context: object
    ) -> event_pb.SummarizeHoldsResponse:
        contract_id = read_contract_id(request.contract_id)
        entities = read_entities(request.legal_entity_id)
        async with database.read(self._engine) as tx:
            return await summarize_holds(
                tx,
                contract_id=contract_id,
                owner=request.owner or None,
                legal_entity_ids=entities,
                now=self._clock.now(),
            )

    async def ListHolds(
        self, request: event_pb.ListHoldsRequest, context: object
    ) -> event_pb.ListHoldsResponse:
        wanted = event.HoldFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            reason=read_optional_enum("reason", request.reason, REASONS),
            contract_id=read_contract_id(request.contract_id),
            owner=request.owner or None,
            age_days_min=request.age_days_min,
            unrated_only=request.unrated_only,
            source_item_id=read_item_id(request.source_item_id),
            type=read_optional_enum("type", request.type, TYPES),
            project_id=read_optional_uuid("project_id", request.project_id),
            person_id=read_optional_uuid("person_id", request.person_id),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await event.holds(tx, wanted, page, now=self._clock.now())
