"""The chain can be walked both ways, whatever the order in which its events arrive."""

import random
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reporting import lineage, queries
from reporting.consumers import SUBSCRIPTIONS
from reporting.domain import LineageNotFound, UnknownKind
from reporting.tables import metadata
from throughline.billing_event.events.v1 import billing_event_events_pb2 as billing
from throughline.billing_event.v1 import billing_event_pb2 as billing_pb
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as projects
from throughline.project_provisioning.v1 import project_pb2
from throughline.reporting.v1 import lineage_service_pb2 as pb
from throughline_runtime.database import read, write
from throughline_runtime.migrate import assert_no_drift
from throughline_testing.samples import sample
from throughline_testing.statements import Statements

TIME_ENTRY = "01980000-0000-7000-8000-000000000151"
BILLING_EVENT = "01980000-0000-7000-8000-000000000181"
DE01 = UUID("01980000-0000-7000-8000-0000000000e1")
US01 = UUID("01980000-0000-7000-8000-0000000000e2")
PAYMENT = "01980000-0000-7000-8000-0000000001d1"


async def take_everything(engine: AsyncEngine, *, seed: int) -> None:
    subscriptions = list(SUBSCRIPTIONS)
    random.Random(seed).shuffle(subscriptions)
    for subscription in subscriptions:
        async with write(engine) as tx:
            await subscription.function(tx, [sample(subscription.message)])


async def take(engine: AsyncEngine, *events: Message) -> None:
    for event in events:
        [function] = {each.function for each in SUBSCRIPTIONS if each.message is type(event)}
        async with write(engine) as tx:
            await function(tx, [event])


async def walk(engine: AsyncEngine, **question: Any) -> pb.GetLineageResponse:
    defaults = {
        "towards_origin": True,
        "towards_outcome": True,
        "limit": 500,
        "entities": None,
        "shows_persons": True,
    }
    async with read(engine) as tx:
        return await lineage.walk(tx, **{**defaults, **question})


async def test_the_tables_are_what_the_migrations_make(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, metadata)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_hour_leads_back_to_the_quote_line_and_on_to_cash_and_ledger(
    engine: AsyncEngine, seed: int
) -> None:
    await take_everything(engine, seed=seed)

    chain = await walk(engine, kind="time_entry", key=TIME_ENTRY)

    before = {node.kind for node in chain.nodes if node.distance < 0}
    after = {node.kind for node in chain.nodes if node.distance > 0}
    assert {"task", "contract_line", "quote_line"} <= before
    assert {"billing_event", "invoice_line", "invoice", "payment", "journal_entry"} <= after
    assert not chain.truncated


async def test_a_payment_leads_back_to_the_quote_line(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=4)

    chain = await walk(engine, kind="payment", key=PAYMENT, towards_outcome=False)

    assert {"invoice", "invoice_line", "billing_event", "time_entry", "quote_line"} <= {
        node.kind for node in chain.nodes
    }
    assert all(node.distance <= 0 for node in chain.nodes)


async def test_an_invoice_is_found_by_its_number(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=5)
    by_id = await walk(engine, kind="invoice", key="01980000-0000-7000-8000-0000000001a1")
    by_number = await walk(engine, kind="invoice", key=by_id.nodes[0].label)
    assert by_number == by_id


async def test_a_cut_chain_says_so(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=6)
    chain = await walk(engine, kind="time_entry", key=TIME_ENTRY, limit=3)
    assert chain.truncated
    assert len(chain.nodes) == 3


async def test_what_is_not_there_or_not_ours_is_not_found(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=7)
    with pytest.raises(LineageNotFound):
        await walk(engine, kind="invoice", key="INV-NONE")
    with pytest.raises(LineageNotFound):
        await walk(engine, kind="time_entry", key=TIME_ENTRY, entities=frozenset())
    with pytest.raises(UnknownKind):
        await walk(engine, kind="cent", key="1")


async def hand_over(engine: AsyncEngine, *kinds: str, to: UUID | None = US01) -> None:
    """Let the things of these kinds belong to another legal entity, or name none."""
    query = text("UPDATE node SET legal_entity_id = :entity WHERE kind = ANY(:kinds)")
    async with write(engine) as tx:
        await tx.execute(query, {"entity": to, "kinds": list(kinds)})


async def kinds_seen(engine: AsyncEngine, **question: Any) -> set[str]:
    chain = await walk(engine, **{"entities": frozenset({DE01}), **question})
    assert all(max(link.to, getattr(link, "from")) < len(chain.nodes) for link in chain.links)
    return {node.kind for node in chain.nodes}


async def test_a_walk_shows_nothing_of_other_legal_entities_nor_what_lies_behind_it(
    engine: AsyncEngine,
) -> None:
    await take_everything(engine, seed=10)
    whole = await kinds_seen(engine, kind="time_entry", key=TIME_ENTRY)
    assert {"source_record", "invoice_line", "payment_allocation", "payment"} <= whole

    await hand_over(engine, "invoice")

    seen = await kinds_seen(engine, kind="time_entry", key=TIME_ENTRY)
    assert {"billing_event", "invoice_line"} <= seen
    assert not seen & {"invoice", "payment_allocation", "payment"}


async def test_what_names_no_legal_entity_belongs_to_that_of_its_neighbour(
    engine: AsyncEngine,
) -> None:
    await take_everything(engine, seed=11)
    # As the further lines of a long invoice, and a milestone told of before its project.
    await hand_over(engine, "invoice_line", "milestone", to=None)
    assert "invoice_line" in await kinds_seen(engine, kind="time_entry", key=TIME_ENTRY)

    await hand_over(engine, "billing_event", "invoice", "contract_line")

    async with read(engine) as tx:
        line_id = await tx.scalar(text("SELECT object_id FROM node WHERE kind = 'invoice_line'"))
    with pytest.raises(LineageNotFound):
        await kinds_seen(engine, kind="invoice_line", key=str(line_id))
    with pytest.raises(LineageNotFound):
        await kinds_seen(engine, kind="milestone", key="01980000-0000-7000-8000-000000001301")


async def test_a_name_that_several_bear_means_the_one_the_caller_may_see(
    engine: AsyncEngine,
) -> None:
    await take_everything(engine, seed=12)
    async with write(engine) as tx:
        await tx.execute(
            text("""
                INSERT INTO node (kind, object_id, version, label, state, quantity, legal_entity_id)
                SELECT kind, :twin, 1, label, state, quantity, :entity
                FROM node WHERE kind = 'time_entry' AND object_id = :original
            """),
            {"twin": UUID(int=1), "entity": US01, "original": UUID(TIME_ENTRY)},
        )
        label = await tx.scalar(
            text("SELECT label FROM node WHERE object_id = :id"), {"id": UUID(TIME_ENTRY)}
        )
    for entity, expected in ((DE01, TIME_ENTRY), (US01, str(UUID(int=1)))):
        chain = await walk(engine, kind="time_entry", key=label, entities=frozenset({entity}))
        assert chain.nodes[0].object_id == expected


async def test_a_cut_leaves_room_for_both_ways(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=13)
    chain = await walk(engine, kind="billing_event", key=BILLING_EVENT, limit=3)
    assert {node.distance for node in chain.nodes} == {0, -1, 1}
    assert [abs(node.distance) for node in chain.nodes] == sorted(
        abs(node.distance) for node in chain.nodes
    )
    assert chain.truncated


async def test_positions_add_up_after_any_repetition(engine: AsyncEngine) -> None:
    for seed in (8, 9):
        await take_everything(engine, seed=seed)

    async with read(engine) as tx:
        rows = await queries.positions(
            tx, after=None, page_size=50, contract_id=None, customer_id=None, entities=None
        )

    assert len(rows) == 4
    by_model = {row.billing_model: row for row in rows}
    assert by_model["fixed_fee"].contracted == "24000"
    assert by_model["time_and_materials"].approved_minutes == 480


async def test_a_batch_costs_the_same_statements_whatever_its_size(
    engine: AsyncEngine, statements: Statements
) -> None:
    by_subject = {each.subject: each for each in SUBSCRIPTIONS}
    subscription = by_subject["project_provisioning.time.approved.v1"]
    small = sample(subscription.message)
    large = sample(subscription.message)
    for _ in range(499):
        large.entries.append(large.entries[0])
    counts = []
    for event in (small, large):
        statements.clear()
        async with write(engine) as tx:
            await subscription.function(tx, [event])
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def labels(engine: AsyncEngine, kind: str, key: str, *, shows_persons: bool) -> list[str]:
    chain = await walk(engine, kind=kind, key=key, shows_persons=shows_persons)
    return [node.label for node in chain.nodes]


async def test_only_those_who_may_see_persons_read_names_and_notes(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=8)
    [entry] = sample(projects.TimeApproved).entries
    seen = await labels(engine, "time_entry", TIME_ENTRY, shows_persons=True)
    assert seen[0] == f"{entry.person_name}, {entry.minutes} min: {entry.note}"

    plain = await labels(engine, "time_entry", TIME_ENTRY, shows_persons=False)
    assert plain[0] == f"{entry.role.replace('_', ' ')}, {entry.minutes} min"
    assert not [text for text in plain if entry.person_name in text or entry.note in text]


async def test_what_was_bought_stands_on_the_chain_with_the_supplier_s_record(
    engine: AsyncEngine,
) -> None:
    rated = sample(billing.BillingEventsRated)
    del rated.billing_events[1:]
    [bought] = rated.billing_events
    bought.type = billing_pb.BILLING_EVENT_TYPE_EXPENSE
    bought.description = "Rack, 42 units"
    bought.minutes = 0
    for nobody in ("person_id", "person_name", "task_id"):
        bought.ClearField(nobody)
    bought.source.system = "coupa"
    bought.source.object_type = "supplier_invoice"
    bought.source.object_id = "SI-77"
    await take(engine, sample(contracts.ContractActivated), rated)

    chain = await walk(engine, kind="purchase", key=bought.source_item_id, shows_persons=False)
    found = {node.kind: node.label for node in chain.nodes}
    assert found["purchase"] == found["billing_event"] == "Rack, 42 units"
    assert found["source_record"] == "coupa supplier_invoice SI-77"
    assert "contract_line" in found
    back = await walk(engine, kind="billing_event", key=bought.billing_event_id)
    assert "purchase" in {node.kind for node in back.nodes}
    assert "expense_line" not in {node.kind for node in back.nodes}


async def test_a_corrected_entry_is_found_from_both_ends(engine: AsyncEngine) -> None:
    event = sample(projects.TimeApproved)
    [original] = event.entries
    back, again = event.entries.add(), event.entries.add()
    back.CopyFrom(original)
    again.CopyFrom(original)
    back.time_entry_id, back.minutes = str(UUID(int=2)), -original.minutes
    back.reverses_time_entry_id = original.time_entry_id
    again.time_entry_id, again.minutes = str(UUID(int=3)), 60
    again.replaces_time_entry_id = original.time_entry_id
    released = sample(billing.BillingEventsReleased)
    hour = next(row for row in released.billing_events if row.source_item_id == TIME_ENTRY)
    taker = released.billing_events.add()
    taker.CopyFrom(hour)
    taker.billing_event_id, taker.source_item_id = str(UUID(int=4)), back.time_entry_id
    taker.reverses_billing_event_id = hour.billing_event_id
    await take(engine, event, released)

    onwards = await walk(engine, kind="time_entry", key=TIME_ENTRY, towards_origin=False)
    assert {back.time_entry_id, again.time_entry_id, taker.billing_event_id} <= {
        node.object_id for node in onwards.nodes
    }
    origin = await walk(
        engine, kind="billing_event", key=taker.billing_event_id, towards_outcome=False
    )
    assert {hour.billing_event_id, TIME_ENTRY} <= {node.object_id for node in origin.nodes}
    async with read(engine) as tx:
        totals = {each.name: each.figures for each in await queries.control_totals(tx)}
    assert totals["approved_time"] == {"entries": 3, "minutes": 60}


async def test_amended_terms_move_what_is_contracted_and_older_ones_change_nothing(
    engine: AsyncEngine,
) -> None:
    amended, activated = sample(contracts.ContractAmended), sample(contracts.ContractActivated)
    for event in (amended, activated):
        await take(engine, event)
    async with read(engine) as tx:
        totals = {each.name: each.figures for each in await queries.control_totals(tx)}
    expected = sum(Decimal(line.terms.net_total.amount) for line in amended.contract.lines)
    assert totals["contracts"]["contracted.EUR"] == expected


async def test_a_line_that_a_change_order_ended_is_not_contracted_any_more(
    engine: AsyncEngine,
) -> None:
    amended = sample(contracts.ContractAmended)
    ended, *going_on = amended.contract.lines
    ended.ended_on = "2026-10-01"
    await take(engine, amended)
    async with read(engine) as tx:
        totals = {each.name: each.figures for each in await queries.control_totals(tx)}
    left = [line for line in going_on if not line.ended_on]
    assert totals["contracts"]["lines"] == len(left)
    assert totals["contracts"]["contracted.EUR"] == sum(
        Decimal(line.terms.net_total.amount) for line in left
    )


async def test_the_rest_of_an_acceptance_in_part_follows_from_its_milestone(
    engine: AsyncEngine,
) -> None:
    event = sample(projects.MilestoneAccepted)
    event.rest.CopyFrom(event.milestone)
    event.rest.milestone_id = str(UUID(int=5))
    event.rest.split_from_milestone_id = event.milestone.milestone_id
    await take(engine, event)
    chain = await walk(engine, kind="milestone", key=event.milestone.milestone_id)
    assert str(UUID(int=5)) in {node.object_id for node in chain.nodes}


async def test_a_rest_that_went_back_into_its_milestone_is_worth_nothing(
    engine: AsyncEngine,
) -> None:
    accepted, withdrawn = (
        sample(projects.MilestoneAccepted),
        sample(projects.MilestoneAcceptanceWithdrawn),
    )
    accepted.rest.CopyFrom(accepted.milestone)
    accepted.rest.milestone_id, accepted.rest.version = str(UUID(int=5)), 1
    accepted.rest.split_from_milestone_id = accepted.milestone.milestone_id
    withdrawn.rest.CopyFrom(accepted.rest)
    withdrawn.rest.version, withdrawn.rest.amount.amount = 2, "0.00"
    withdrawn.rest.status = project_pb2.MILESTONE_STATUS_CANCELLED
    await take(engine, accepted, withdrawn)
    chain = await walk(engine, kind="milestone", key=str(UUID(int=5)))
    [rest] = [node for node in chain.nodes if node.object_id == str(UUID(int=5))]
    assert Decimal(rest.amount) == 0


async def test_a_position_adds_up_through_credits_write_offs_and_draws(
    engine: AsyncEngine,
) -> None:
    released = sample(billing.BillingEventsReleased)
    time, milestone = released.billing_events
    drawn, gone = released.billing_events.add(), released.billing_events.add()
    for number, row in enumerate((drawn, gone), start=1):
        row.CopyFrom(time)
        row.billing_event_id = f"01980000-0000-7000-8000-{number:012x}"
    drawn.type = billing_pb.BILLING_EVENT_TYPE_RETAINER_DRAW
    drawn.treatment = billing_pb.BILLING_TREATMENT_DRAWN
    gone.status = billing_pb.BILLING_EVENT_STATUS_WRITTEN_OFF
    await take(
        engine,
        sample(contracts.ContractActivated),
        released,
        sample(invoices.InvoiceItemsCredited),
        sample(invoices.InvoiceCredited),
        sample(invoices.InvoiceIssued),
        sample(invoices.InvoiceItemsBilled),
    )
    async with read(engine) as tx:
        found = await queries.positions(
            tx, after=None, page_size=10, contract_id=None, customer_id=None, entities=None
        )
    line = next(each for each in found if each.contract_line_id == time.contract_line_id)
    assert [
        (name, int(Decimal(getattr(line, name))))
        for name in ("approved", "unbilled", "invoiced", "credited", "written_off", "drawn")
    ] == [
        ("approved", 4320),
        ("unbilled", 360),
        ("invoiced", 1440),
        ("credited", 360),
        ("written_off", 1440),
        ("drawn", 1440),
    ]
    assert milestone.contract_line_id != time.contract_line_id


async def test_a_credit_note_stands_between_its_invoice_and_what_it_gave_back(
    engine: AsyncEngine,
) -> None:
    await take_everything(engine, seed=3)
    found = await walk(engine, kind="credit_note", key="CN-DE01-2026-000001")
    kinds = {node.kind for node in found.nodes}
    assert {"invoice", "credit_line", "credit_application", "billing_event"} <= kinds
