"""The operations every service offers over its own database: parked messages, exceptions, audit,
ownership rules."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceServicer
from throughline.options.v1 import options_pb2
from throughline_core.ids import derived_id
from throughline_runtime import audit, database, exceptions, outbox, ownership, parked
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_instant,
    read_optional_uuid,
    read_uuid,
    write_decimal,
    write_id,
    write_instant,
)
from throughline_runtime.identity import (
    current_caller,
    require_entity,
    require_every_entity,
    visible_entities,
)
from throughline_runtime.once import once
from throughline_runtime.ownership import (
    ANY,
    Ownership,
    OwnershipObjectUnknown,
    PeopleOnly,
    PutRule,
    Rule,
)
from throughline_runtime.page import Page, next_token, read_page
from throughline_runtime.subscription import Subscription
from throughline_runtime.totals import ControlTotals, delivery_totals

_PAGE_SIZE_MAX: Final = 200

Row = TypeVar("Row")


class OperationsServicer(OperationsServiceServicer):
    """Mounted by the runtime in every service."""

    def __init__(
        self,
        context: Context,
        control_totals: ControlTotals | None,
        subscriptions: Sequence[Subscription[Any]] = (),
        owned: Ownership | None = None,
    ) -> None:
        self._context = context
        self._owned = owned or Ownership(context.engine)
        self._engine = context.engine
        self._control_totals = control_totals
        self._subscriptions = subscriptions

    async def ListParked(
        self, request: pb.ListParkedRequest, context: object
    ) -> pb.ListParkedResponse:
        require_every_entity()
        page = read_page(request, max=_PAGE_SIZE_MAX)
        status = request.status or pb.PARKED_STATUS_PARKED
        async with database.read(self._engine) as tx:
            found = await parked.page(
                tx,
                after=_after(page),
                size=page.size + 1,
                durable=request.durable or None,
                status=_word(pb.ParkedStatus.Name(status)),
            )
        rows, token = _cut(found, page, lambda row: row.parked_id)
        return pb.ListParkedResponse(parked=map(_write_parked, rows), next_page_token=token)

    async def ReplayParked(
        self, request: pb.ReplayParkedRequest, context: object
    ) -> pb.ReplayParkedResponse:
        require_every_entity()
        parked_ids = [read_uuid("parked_ids", value) for value in request.parked_ids]

        async def handle(tx: AsyncConnection) -> pb.ReplayParkedResponse:
            replayed = await parked.replay(tx, parked_ids, by=current_caller().subject)
            return pb.ReplayParkedResponse(replayed=replayed)

        return await once(self._engine, request, pb.ReplayParkedResponse, handle)

    async def DiscardParked(
        self, request: pb.DiscardParkedRequest, context: object
    ) -> pb.DiscardParkedResponse:
        require_every_entity()
        parked_ids = [read_uuid("parked_ids", value) for value in request.parked_ids]

        async def handle(tx: AsyncConnection) -> pb.DiscardParkedResponse:
            discarded = await parked.discard(
                tx, parked_ids, by=current_caller().subject, reason=request.reason
            )
            return pb.DiscardParkedResponse(discarded=discarded)

        return await once(self._engine, request, pb.DiscardParkedResponse, handle)

    async def RepublishEvents(
        self, request: pb.RepublishEventsRequest, context: object
    ) -> pb.RepublishEventsResponse:
        require_every_entity()
        since = read_instant("since", request.since)
        # Chunk by chunk and so outside of `once`, which only keeps that it was asked: doing it
        # again changes nothing.
        events = await outbox.republish(self._engine, since=since)

        async def handle(_tx: AsyncConnection) -> pb.RepublishEventsResponse:
            return pb.RepublishEventsResponse(events=events)

        return await once(self._engine, request, pb.RepublishEventsResponse, handle)

    async def ListExceptions(
        self, request: pb.ListExceptionsRequest, context: object
    ) -> pb.ListExceptionsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        subject_id = read_optional_uuid("subject_id", request.subject_id)
        engagement_id = read_optional_uuid("engagement_id", request.engagement_id)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        if legal_entity_id is not None:
            require_entity(legal_entity_id)
        async with database.read(self._engine) as tx:
            found = await exceptions.page(
                tx,
                after=_after(page),
                size=page.size + 1,
                kind=request.kind or None,
                subject_id=subject_id,
                legal_entity_id=legal_entity_id,
                engagement_id=engagement_id,
                visible_entities=visible_entities(),
                include_closed=request.include_closed,
            )
        rows, token = _cut(found, page, lambda item: item.exception_id)
        return pb.ListExceptionsResponse(
            exceptions=map(_write_exception, rows), next_page_token=token
        )

    async def NoteException(
        self, request: pb.NoteExceptionRequest, context: object
    ) -> pb.NoteExceptionResponse:
        exception_id = read_uuid("exception_id", request.exception_id)

        async def handle(tx: AsyncConnection) -> pb.NoteExceptionResponse:
            item = await exceptions.get(tx, exception_id)
            if item.halt.legal_entity_id is not None:
                require_entity(item.halt.legal_entity_id)
            await exceptions.note(
                tx, exception_id, text=request.note, author=current_caller().subject
            )
            noted = await exceptions.get(tx, exception_id)
            return pb.NoteExceptionResponse(exception=_write_exception(noted))

        return await once(self._engine, request, pb.NoteExceptionResponse, handle)

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: object
    ) -> pb.ListAuditEntriesResponse:
        require_every_entity()
        page = read_page(request, max=_PAGE_SIZE_MAX)
        aggregate_id = _read_aggregate_id(request.aggregate_id)
        engagement_id = read_optional_uuid("engagement_id", request.engagement_id)
        async with database.read(self._engine) as tx:
            found = await audit.page(
                tx,
                before=_after(page),
                size=page.size + 1,
                aggregate_id=aggregate_id,
                engagement_id=engagement_id,
            )
        rows, token = _cut(found, page, lambda entry: entry.audit_id)
        return pb.ListAuditEntriesResponse(entries=map(_write_entry, rows), next_page_token=token)

    async def VerifyAudit(
        self, request: pb.VerifyAuditRequest, context: object
    ) -> pb.VerifyAuditResponse:
        require_every_entity()
        found = await audit.verify(self._engine)
        response = pb.VerifyAuditResponse(
            intact=found.first_break is None, sealed=found.sealed, head=found.head
        )
        if found.first_break is not None:
            response.broken_seal = found.first_break.seq
            response.broken_audit_id = str(found.first_break.audit_id)
            response.broken_reason = found.first_break.reason
        return response

    async def GetControlTotals(
        self, request: pb.GetControlTotalsRequest, context: object
    ) -> pb.GetControlTotalsResponse:
        require_every_entity()
        as_of = self._context.clock.now()
        async with database.survey(self._engine) as tx:
            totals = await delivery_totals(tx, self._subscriptions)
            if self._control_totals is not None:
                totals += await self._control_totals(tx)
        return pb.GetControlTotalsResponse(
            service=self._context.settings.service,
            as_of=write_instant(as_of),
            totals=[
                pb.ControlTotal(
                    name=total.name,
                    figures={name: _write_figure(value) for name, value in total.figures.items()},
                )
                for total in totals
            ],
        )

    async def ListOwnershipRules(
        self, request: pb.ListOwnershipRulesRequest, context: object
    ) -> pb.ListOwnershipRulesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX, keys=3)
        async with database.read(self._engine) as tx:
            found = await ownership.page(
                tx,
                after=None if page.after is None else (page.after[0], page.after[1], page.after[2]),
                size=page.size + 1,
                object_=request.object or None,
                system=request.system or None,
            )
        rows, token = found, ""
        if len(found) > page.size:
            rows, last = found[: page.size], found[page.size - 1].rule
            token = next_token(last.object, last.action, last.system)
        return pb.ListOwnershipRulesResponse(
            rules=map(_write_ownership_rule, rows), next_page_token=token
        )

    async def PutOwnershipRule(
        self, request: pb.PutOwnershipRuleRequest, context: object
    ) -> pb.PutOwnershipRuleResponse:
        require_every_entity()
        if current_caller().system is not None:
            raise PeopleOnly(
                "a system may not change the rules that limit it", advice="ask a person"
            )
        if request.object not in (ANY, *self._owned.objects):
            raise OwnershipObjectUnknown(
                f"no method here touches {request.object}",
                field="object",
                advice=f"name one of {', '.join((ANY, *self._owned.objects))}",
            )
        rule = Rule(request.object, _read_action(request.action), request.system, request.allowed)

        async def handle(tx: AsyncConnection) -> pb.PutOwnershipRuleResponse:
            put = await ownership.put(tx, rule, reason=request.reason)
            return pb.PutOwnershipRuleResponse(rule=_write_ownership_rule(put))

        return await once(self._engine, request, pb.PutOwnershipRuleResponse, handle)


def _after(page: Page) -> UUID | None:
    return None if page.after is None else read_uuid("page_token", page.after[0])


def _read_aggregate_id(value: str) -> UUID | None:
    """Return the id of a thing, given as such or, where people know it by a name, as `kind:name`.

    Raises:
        MalformedField: it is neither.
    """
    kind, colon, name = value.partition(":")
    return derived_id(kind, name) if colon else read_optional_uuid("aggregate_id", value)


def _cut(rows: Sequence[Row], page: Page, key: Callable[[Row], UUID]) -> tuple[Sequence[Row], str]:
    """Return the rows of this page, and the token of the next if one more row was found."""
    if len(rows) <= page.size:
        return rows, ""
    return rows[: page.size], next_token(key(rows[page.size - 1]))


def _word(enum_name: str) -> str:
    return enum_name.removeprefix("PARKED_STATUS_").lower()


def _read_action(action: "options_pb2.Action.ValueType") -> str:
    return options_pb2.Action.Name(action).removeprefix("ACTION_").lower() if action else ANY


def _write_ownership_rule(put: PutRule) -> pb.OwnershipRule:
    rule = put.rule
    return pb.OwnershipRule(
        object=rule.object,
        action=options_pb2.ACTION_UNSPECIFIED
        if rule.action == ANY
        else options_pb2.Action.Value(f"ACTION_{rule.action.upper()}"),
        system=rule.system,
        allowed=rule.allowed,
        version=put.version,
        reason=put.reason,
        put_by=put.put_by,
        put_at=write_instant(put.put_at),
    )


def _write_figure(value: Decimal | int) -> str:
    return write_decimal(value) if isinstance(value, Decimal) else str(value)


def _write_parked(row: parked.Parked) -> pb.ParkedMessage:
    return pb.ParkedMessage(
        parked_id=str(row.parked_id),
        durable=row.durable,
        subject=row.subject,
        event_id=str(row.event_id),
        reason_code=row.reason_code,
        reason=row.reason,
        owner=row.owner,
        attempts=row.attempts,
        replays=row.replays,
        status=pb.ParkedStatus.Value(f"PARKED_STATUS_{row.status.upper()}"),
        parked_at=write_instant(row.parked_at),
        resolved_at=write_instant(row.resolved_at),
        resolved_by=row.resolved_by or "",
        resolution=row.resolution or "",
        correlation_id=row.headers.get("correlation-id", ""),
        engagement_id=row.headers.get("engagement-id", ""),
    )


def _write_exception(item: exceptions.Item) -> pb.ExceptionItem:
    halt = item.halt
    return pb.ExceptionItem(
        exception_id=str(item.exception_id),
        kind=halt.kind,
        subject_id=str(halt.subject_id),
        reason=halt.reason,
        owner=halt.owner,
        advice=halt.advice,
        legal_entity_id=write_id(halt.legal_entity_id),
        engagement_id=write_id(halt.engagement_id),
        occurrences=item.occurrences,
        opened_at=write_instant(item.opened_at),
        closed_at=write_instant(item.closed_at),
        notes=[
            pb.ExceptionNote(
                text=note.text, author=note.author, written_at=write_instant(note.written_at)
            )
            for note in item.notes
        ],
    )


def _write_entry(entry: audit.Entry) -> pb.AuditEntry:
    return pb.AuditEntry(
        audit_id=str(entry.audit_id),
        at=write_instant(entry.at),
        method=entry.method,
        caller=entry.caller,
        actor=entry.actor or "",
        request_id=entry.request_id,
        request_digest=entry.request_digest,
        aggregate_ids=map(str, entry.aggregate_ids),
        correlation_id=write_id(entry.correlation_id),
        engagement_id=write_id(entry.engagement_id),
    )
