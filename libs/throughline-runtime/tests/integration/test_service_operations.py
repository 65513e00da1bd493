"""What operators see and mend over a service's own database."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline.connectors.events.v1.connectors_events_pb2 import CrosswalkLinked
from throughline.operations.v1 import operations_service_pb2 as pb
from throughline_core.errors import InvalidArgument
from throughline_core.ids import derived_id
from throughline_runtime import audit, database, exceptions, inbox, outbox, parked
from throughline_runtime.clock import Clock
from throughline_runtime.context import Context
from throughline_runtime.delivery import Delivery
from throughline_runtime.events import Outgoing
from throughline_runtime.exceptions import ExceptionNotFound, Halt
from throughline_runtime.identity import Caller, CallerTokens, EntityForbidden, acting_as
from throughline_runtime.ids import new_id
from throughline_runtime.intake import Outcome, Verdict
from throughline_runtime.once import once
from throughline_runtime.operations import OperationsServicer
from throughline_runtime.parked import AlreadySettled, ParkedMessageNotFound
from throughline_runtime.rpc.client import Peers
from throughline_runtime.settings import Settings
from throughline_runtime.subscription import Subscription
from throughline_runtime.totals import ControlTotal, delivery_totals
from throughline_testing.database import Database
from throughline_testing.settings import CALLER_KEY, make_settings

DURABLE = "runtime-probe-note-effects"
ENTITY, OTHER_ENTITY = UUID(int=1), UUID(int=2)
OPERATOR = Caller("user-7", frozenset({"ROLE_INTEGRATION"}), entities=None)
LIMITED = Caller("user-8", frozenset({"ROLE_FINANCE"}), entities=frozenset({ENTITY}))


async def control_totals(_tx: AsyncConnection) -> Sequence[ControlTotal]:
    return [ControlTotal("released", {"count": 3, "amount.EUR": Decimal("1250.50")})]


@pytest.fixture(autouse=True)
def asked_by_an_operator() -> Iterator[None]:
    """Let each test ask as somebody who may see everything, unless it says otherwise."""
    with acting_as(OPERATOR):
        yield


@pytest.fixture
def settings(probe_database: Database) -> Settings:
    return make_settings("runtime-probe", database_url=probe_database.url)


@pytest.fixture
def servicer(settings: Settings, engine: AsyncEngine) -> OperationsServicer:
    peers = Peers("runtime-probe", {}, CallerTokens(CALLER_KEY))
    context = Context(settings, engine, Clock(), peers, lambda _name: None)
    return OperationsServicer(context, control_totals)


async def park(engine: AsyncEngine, count: int) -> list[str]:
    deliveries = {
        Delivery(
            event_id=uuid4(),
            subject="connectors.crosswalk.linked.v1",
            headers={"correlation-id": str(UUID(int=5))},
            payload=b"poison",
            stream="CONNECTORS",
            stream_sequence=number,
            attempt=8,
        ): Verdict(Outcome.PARKED, "event.undecodable", "the payload is no event")
        for number in range(1, count + 1)
    }
    async with database.write(engine) as tx:
        await parked.park(tx, DURABLE, deliveries)
        return [str(row.parked_id) for row in await parked.page(tx, after=None, size=count)]


async def halt(engine: AsyncEngine, legal_entity_id: UUID | None) -> UUID:
    subject_id = uuid4()
    stopped = Halt(
        "provisioning.paused", subject_id, "tax id is missing", "sales", "add it", legal_entity_id
    )
    async with database.write(engine) as tx:
        await exceptions.open_all(tx, [stopped])
    return subject_id


async def test_parked_messages_are_listed_in_pages_with_reason_and_ids(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    parked_ids = await park(engine, 3)

    first = await servicer.ListParked(pb.ListParkedRequest(page_size=2), None)
    second = await servicer.ListParked(
        pb.ListParkedRequest(page_size=2, page_token=first.next_page_token, durable=DURABLE), None
    )

    assert [row.parked_id for row in [*first.parked, *second.parked]] == parked_ids
    assert second.next_page_token == ""
    row = first.parked[0]
    assert (row.durable, row.reason_code, row.attempts) == (DURABLE, "event.undecodable", 8)
    assert row.correlation_id == str(UUID(int=5))
    assert row.status == pb.PARKED_STATUS_PARKED
    assert row.HasField("parked_at")
    assert not row.HasField("resolved_at")


async def test_a_message_is_replayed_or_discarded_once_and_keeps_who_did_it(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    healed, hopeless = await park(engine, 2)
    replay = pb.ReplayParkedRequest(request_id="a", parked_ids=[healed])
    discard = pb.DiscardParkedRequest(request_id="b", parked_ids=[hopeless], reason="a test")
    with acting_as(OPERATOR):
        assert (await servicer.ReplayParked(replay, None)).replayed == 1
        assert (await servicer.ReplayParked(replay, None)).replayed == 1
        assert (await servicer.DiscardParked(discard, None)).discarded == 1
        with pytest.raises(AlreadySettled):
            await servicer.DiscardParked(
                pb.DiscardParkedRequest(request_id="c", parked_ids=[healed], reason="late"), None
            )

    listed = await servicer.ListParked(
        pb.ListParkedRequest(status=pb.PARKED_STATUS_DISCARDED), None
    )
    [row] = listed.parked
    assert (row.parked_id, row.resolved_by, row.resolution) == (hopeless, "user-7", "a test")
    assert (await servicer.ListParked(pb.ListParkedRequest(), None)).parked == []


async def test_replaying_is_all_or_nothing(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    [parked_id] = await park(engine, 1)
    request = pb.ReplayParkedRequest(request_id="a", parked_ids=[parked_id, str(uuid4())])
    with acting_as(OPERATOR), pytest.raises(ParkedMessageNotFound):
        await servicer.ReplayParked(request, None)

    assert len((await servicer.ListParked(pb.ListParkedRequest(), None)).parked) == 1


async def test_exceptions_show_only_the_callers_legal_entities_and_what_belongs_to_none(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    mine, theirs, nobodys = [
        str(await halt(engine, entity)) for entity in (ENTITY, OTHER_ENTITY, None)
    ]
    with acting_as(LIMITED):
        limited = await servicer.ListExceptions(pb.ListExceptionsRequest(), None)
        with pytest.raises(EntityForbidden):
            await servicer.ListExceptions(
                pb.ListExceptionsRequest(legal_entity_id=str(OTHER_ENTITY)), None
            )
    with acting_as(OPERATOR):
        everything = await servicer.ListExceptions(pb.ListExceptionsRequest(), None)
        filtered = await servicer.ListExceptions(
            pb.ListExceptionsRequest(legal_entity_id=str(OTHER_ENTITY)), None
        )

    assert [item.subject_id for item in limited.exceptions] == [mine, nobodys]
    assert [item.subject_id for item in everything.exceptions] == [mine, theirs, nobodys]
    assert [item.subject_id for item in filtered.exceptions] == [theirs]


async def test_a_note_is_kept_with_its_author_and_leaves_the_exception_open(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    await halt(engine, ENTITY)
    with acting_as(LIMITED):
        [item] = (await servicer.ListExceptions(pb.ListExceptionsRequest(), None)).exceptions
        request = pb.NoteExceptionRequest(
            request_id="a", exception_id=item.exception_id, note="asked the customer"
        )
        await servicer.NoteException(request, None)
        noted = (await servicer.NoteException(request, None)).exception

    assert [(note.text, note.author) for note in noted.notes] == [("asked the customer", "user-8")]
    assert not noted.HasField("closed_at")


async def test_nobody_notes_on_another_legal_entitys_exception(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    await halt(engine, OTHER_ENTITY)
    with acting_as(OPERATOR):
        [item] = (await servicer.ListExceptions(pb.ListExceptionsRequest(), None)).exceptions
    request = pb.NoteExceptionRequest(
        request_id="a", exception_id=item.exception_id, note="asked the customer"
    )
    with acting_as(LIMITED), pytest.raises(EntityForbidden):
        await servicer.NoteException(request, None)
    request.exception_id = str(uuid4())
    with acting_as(LIMITED), pytest.raises(ExceptionNotFound):
        await servicer.NoteException(request, None)


async def test_the_audit_of_a_message_or_an_exception_tells_who_acted_on_it(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    [parked_id] = await park(engine, 1)
    with acting_as(OPERATOR):
        [item] = (await servicer.ListExceptions(pb.ListExceptionsRequest(), None)).exceptions
        noting = pb.NoteExceptionRequest(
            request_id="n", exception_id=item.exception_id, note="a test"
        )
        await servicer.NoteException(noting, None)
        replay = pb.ReplayParkedRequest(request_id="r", parked_ids=[parked_id])
        await servicer.ReplayParked(replay, None)
        listed = await servicer.ListAuditEntries(
            pb.ListAuditEntriesRequest(aggregate_id=parked_id), None
        )

    assert [entry.request_id for entry in listed.entries] == ["r", "n"]


async def test_the_audit_of_what_goes_by_a_name_is_found_by_it(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    async def put_connection(tx: AsyncConnection) -> pb.NoteExceptionResponse:
        audit.touch(tx, derived_id("connection", "salesforce"))
        return pb.NoteExceptionResponse()

    with acting_as(OPERATOR):
        request = pb.NoteExceptionRequest(request_id="put")
        await once(engine, request, pb.NoteExceptionResponse, put_connection)
        found, none = [
            await servicer.ListAuditEntries(pb.ListAuditEntriesRequest(aggregate_id=name), None)
            for name in ("connection:salesforce", "connection:stripe")
        ]
        with pytest.raises(InvalidArgument):
            await servicer.ListAuditEntries(pb.ListAuditEntriesRequest(aggregate_id="x"), None)

    assert [entry.request_id for entry in found.entries] == ["put"]
    assert list(none.entries) == []


async def test_what_no_legal_entity_owns_alone_is_not_shown_to_a_limited_caller(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    [parked_id] = await park(engine, 1)
    replay = pb.ReplayParkedRequest(request_id="a", parked_ids=[parked_id])
    discard = pb.DiscardParkedRequest(request_id="b", parked_ids=[parked_id])
    with acting_as(LIMITED):
        answers = await asyncio.gather(
            servicer.ListParked(pb.ListParkedRequest(), None),
            servicer.ReplayParked(replay, None),
            servicer.DiscardParked(discard, None),
            servicer.ListAuditEntries(pb.ListAuditEntriesRequest(), None),
            servicer.VerifyAudit(pb.VerifyAuditRequest(), None),
            servicer.GetControlTotals(pb.GetControlTotalsRequest(), None),
            return_exceptions=True,
        )
    assert {type(answer) for answer in answers} == {EntityForbidden}


async def test_the_audit_lists_the_latest_command_first_and_verifies(
    engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    parked_ids = await park(engine, 2)
    with acting_as(OPERATOR.passed_on_by("gateway")):
        for number, parked_id in enumerate(parked_ids):
            request = pb.ReplayParkedRequest(request_id=f"r-{number}", parked_ids=[parked_id])
            await servicer.ReplayParked(request, None)
    await audit.seal(engine)

    first = await servicer.ListAuditEntries(pb.ListAuditEntriesRequest(page_size=1), None)
    second = await servicer.ListAuditEntries(
        pb.ListAuditEntriesRequest(page_size=1, page_token=first.next_page_token), None
    )
    verified = await servicer.VerifyAudit(pb.VerifyAuditRequest(), None)

    entries = [*first.entries, *second.entries]
    assert [entry.request_id for entry in entries] == ["r-1", "r-0"]
    assert {(entry.caller, entry.actor) for entry in entries} == {("user-7", "gateway")}
    assert second.next_page_token == ""
    assert (verified.intact, verified.sealed, len(verified.head)) == (True, 2, 32)


async def test_a_tampered_audit_is_found_at_the_entry_that_was_changed(
    engine: AsyncEngine, owner_engine: AsyncEngine, servicer: OperationsServicer
) -> None:
    [parked_id] = await park(engine, 1)
    with acting_as(OPERATOR):
        await servicer.ReplayParked(
            pb.ReplayParkedRequest(request_id="r", parked_ids=[parked_id]), None
        )
    await audit.seal(engine)
    async with owner_engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER ALL"))
        await connection.execute(text("UPDATE audit_entry SET caller = 'somebody'"))

    verified = await servicer.VerifyAudit(pb.VerifyAuditRequest(), None)

    [entry] = (await servicer.ListAuditEntries(pb.ListAuditEntriesRequest(), None)).entries
    assert not verified.intact
    assert (verified.broken_seal, verified.broken_audit_id) == (1, entry.audit_id)
    assert verified.broken_reason


async def test_control_totals_are_exact_decimals_as_of_one_instant(
    servicer: OperationsServicer,
) -> None:
    answer = await servicer.GetControlTotals(pb.GetControlTotalsRequest(), None)

    assert answer.service == "runtime-probe"
    assert answer.HasField("as_of")
    figures = {total.name: dict(total.figures) for total in answer.totals}
    assert figures["released"] == {"count": "3", "amount.EUR": "1250.5"}


async def test_deliveries_are_counted_over_days_that_nobody_has_forgotten_yet(
    engine: AsyncEngine,
) -> None:
    subscription = Subscription("runtime-probe-count", CrosswalkLinked, _ignore)
    old = UUID(int=(int((time.time() - 34 * 86_400) * 1000) << 80) | 0x7 << 76)
    async with database.write(engine) as tx:
        # The publisher has forgotten the old event already, its consumer not yet.
        await inbox.take(tx, subscription.durable, [old, new_id()])
        await outbox.append(tx, [Outgoing(CrosswalkLinked(), UUID(int=1), 1)])
    async with database.read(engine) as tx:
        totals = {each.name: each.figures for each in await delivery_totals(tx, [subscription])}

    assert totals["outbox"] == {subscription.subject: 1}
    assert list(totals["inbox"].values()) == [1]


async def _ignore(_tx: AsyncConnection, _events: Sequence[CrosswalkLinked]) -> None:
    """Take nothing."""
