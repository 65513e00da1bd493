"""Work that is given up: two persons, claimed like what is invoiced, undone by a counter-entry."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    approved,
    billed,
    credited,
    limit_changed,
    recorded,
)
from billing_event_invoicing import SettingAside
from billing_event_world import assert_sound, events_out, fetch, limit, row_ids, rows, take, totals
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import billing_event_pb2
from throughline.billing_event.v1 import billing_event_service_pb2 as events_pb
from throughline.billing_event.v1 import release_service_pb2 as release_pb
from throughline.billing_event.v1 import write_off_service_pb2 as pb
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.billing_event.v1.release_service_pb2_grpc import ReleaseServiceStub
from throughline.billing_event.v1.write_off_service_pb2_grpc import WriteOffServiceStub
from throughline.invoice_payment.v1 import invoice_pb2
from throughline_core.errors import FailedPrecondition, InvalidArgument, Refusal
from throughline_runtime.identity import Caller
from throughline_testing.serving import Running, a_caller

PMO = a_caller("pmo", subject="paula.pmo")
FINANCE = a_caller("finance", subject="fiona.finance")
GIVEN_UP = invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF


@pytest.fixture
def invoicing() -> SettingAside:
    return SettingAside()


@pytest.fixture
async def peers(invoicing: SettingAside) -> AsyncIterator[dict[str, str]]:
    async with invoicing.serve() as targets:
        yield targets


async def released(engine: AsyncEngine, count: int = 1, **different: Any) -> list[str]:
    """Have entries of 1,440.00 released by policy, and return the ids of their rows."""
    entries = [an_approved_entry(number) for number in range(1, count + 1)]
    contract = activated(a_contract(**different))
    await take(engine, recorded(), contract, approved(*entries))
    return await row_ids(engine)


async def propose(
    running: Running,
    row_ids: list[str],
    *,
    kind: pb.WriteOffKind.ValueType = pb.WRITE_OFF_KIND_WRITE_OFF,
    key: str = "propose",
    **different: Any,
) -> Any:
    return await running.stub(WriteOffServiceStub, caller=PMO).ProposeWriteOff(
        pb.ProposeWriteOffRequest(
            request_id=key,
            kind=kind,
            reason_code=pb.WRITE_OFF_REASON_GOODWILL,
            reason="the workshop was too long",
            billing_event_ids=row_ids,
            **different,
        )
    )


async def approve(running: Running, proposed: Any, *, caller: Caller = FINANCE) -> Any:
    request = pb.ApproveWriteOffRequest(
        request_id="approve", write_off_id=proposed.write_off.write_off_id
    )
    return (
        await running.stub(WriteOffServiceStub, caller=caller).ApproveWriteOff(request)
    ).write_off


async def undo(running: Running, write_off: Any) -> Any:
    request = pb.UndoWriteOffRequest(
        request_id="undo", write_off_id=write_off.write_off_id, reason="it is billed after all"
    )
    return (await running.stub(WriteOffServiceStub, caller=FINANCE).UndoWriteOff(request)).write_off


async def written_off(engine: AsyncEngine) -> list[tuple[bool, bool, list[str]]]:
    """Return what was told of: whether undone, whether released before, and the amounts."""
    return [
        (event.undone, event.was_released, [row.amount.amount for row in event.billing_events])
        for event in await events_out(engine)
        if isinstance(event, own.BillingEventsWrittenOff)
    ]


async def open_amount(engine: AsyncEngine) -> str:
    [row] = await fetch(engine, "SELECT sum(amount - allocated_amount) AS amount FROM position")
    return f"{row.amount:.2f}"


async def test_nothing_changes_until_a_second_person_approves(
    engine: AsyncEngine, running: Running
) -> None:
    proposed = await propose(running, await released(engine))
    assert await rows(engine) == [("1440.00", "released", "")]
    with pytest.raises(Refusal) as refused:
        await approve(running, proposed, caller=a_caller("finance", subject="paula.pmo"))
    assert refused.value.stable_code == "write_off.approved_by_proposer"
    assert await rows(engine) == [("1440.00", "released", "")]


async def test_a_refused_approval_leaves_what_is_released_to_invoicing(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    [row_id] = await released(engine)
    proposed = await propose(running, [row_id])
    with pytest.raises(Refusal):
        await approve(running, proposed, caller=a_caller("finance", subject="paula.pmo"))
    assert invoicing.asked == []

    await take(engine, billed((row_id, "8.00", "1440.00")))
    with pytest.raises(Refusal) as refused:
        await approve(running, proposed)
    assert refused.value.stable_code == "billing_event.not_open"
    assert invoicing.asked == invoicing.put_back == [[row_id]]


async def test_approving_what_was_rejected_leaves_invoicing_alone(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    proposed = await propose(running, await released(engine))
    await running.stub(WriteOffServiceStub, caller=FINANCE).RejectWriteOff(
        pb.RejectWriteOffRequest(
            request_id="reject", write_off_id=proposed.write_off.write_off_id, reason="bill it"
        )
    )
    with pytest.raises(FailedPrecondition):
        await approve(running, proposed)
    assert invoicing.asked == []


async def test_what_is_written_off_is_claimed_in_full_and_leaves_invoicing(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    [row_id] = await released(engine)
    done = await approve(running, await propose(running, [row_id]))
    assert list(done.written_off_billing_event_ids) == [row_id]
    assert (invoicing.asked, invoicing.put_back) == ([[row_id]], [])
    assert await rows(engine) == [("1440.00", "written_off", "")]
    assert await open_amount(engine) == "0.00"
    assert await written_off(engine) == [(False, True, ["1440.00"])]
    await assert_sound(engine)


async def test_a_part_is_cut_off_and_the_rest_is_billed(
    engine: AsyncEngine, running: Running
) -> None:
    [row_id] = await released(engine)
    proposed = await propose(running, [row_id], quantity="2.50")
    assert [each.amount for each in proposed.write_off.amounts] == ["450.00"]
    done = await approve(running, proposed)
    assert len(done.written_off_billing_event_ids) == 1
    assert await rows(engine) == [
        ("1440.00", "released", ""),
        ("-1440.00", "released", ""),
        ("990.00", "released", ""),
        ("450.00", "written_off", ""),
    ]
    assert await open_amount(engine) == "990.00"
    [minutes] = await fetch(engine, "SELECT sum(minutes) AS sum FROM billing_event")
    assert minutes.sum == an_approved_entry().minutes
    assert await written_off(engine) == [(False, False, ["450.00"])]
    await assert_sound(engine)


async def test_the_release_of_what_is_given_up_is_not_taken_back(
    engine: AsyncEngine, running: Running
) -> None:
    [row_id] = await released(engine)
    await approve(running, await propose(running, [row_id]))
    with pytest.raises(FailedPrecondition, match="is written_off") as refused:
        await running.stub(ReleaseServiceStub, caller=FINANCE).WithdrawRelease(
            release_pb.WithdrawReleaseRequest(
                request_id="back", billing_event_ids=[row_id], reason="too early"
            )
        )
    assert refused.value.stable_code == "billing_event.not_released"
    assert refused.value.advice == "leave it out"


async def test_undone_it_is_released_as_before(engine: AsyncEngine, running: Running) -> None:
    done = await approve(running, await propose(running, await released(engine)))
    await undo(running, done)
    assert await rows(engine) == [("1440.00", "released", "")]
    assert await open_amount(engine) == "1440.00"
    assert await written_off(engine) == [
        (False, True, ["1440.00"]),
        (True, True, ["1440.00"]),
    ]
    claims = await fetch(
        engine, "SELECT kind, amount FROM allocation ORDER BY recorded_at, amount DESC"
    )
    assert [(row.kind, f"{row.amount:.2f}") for row in claims] == [
        ("write_off", "1440.00"),
        ("write_off", "-1440.00"),
    ]
    await assert_sound(engine)


async def test_held_work_of_a_contract_is_excluded_together_and_judged_again_once_undone(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    await released(engine, 3, not_to_exceed="1440.00")
    done = await approve(
        running,
        await propose(
            running,
            [],
            kind=pb.WRITE_OFF_KIND_EXCLUSION,
            contract_id=str(a_contract().contract_id),
            hold_reason=billing_event_pb2.HOLD_REASON_LIMIT_EXCEEDED,
        ),
    )
    assert invoicing.asked == []
    assert len(done.written_off_billing_event_ids) == 2
    assert sorted(await rows(engine)) == [
        ("1440.00", "released", ""),
        ("1440.00", "written_off", ""),
        ("1440.00", "written_off", ""),
    ]
    await assert_sound(engine)
    await undo(running, done)
    assert sorted(await rows(engine)) == [
        ("1440.00", "held", "limit_exceeded"),
        ("1440.00", "held", "limit_exceeded"),
        ("1440.00", "released", ""),
    ]
    await assert_sound(engine)


async def test_what_is_given_up_leaves_room_under_a_limit(
    engine: AsyncEngine, running: Running
) -> None:
    await released(engine, 2, not_to_exceed="1440.00")
    [first] = [
        row.billing_event_id
        for row in await fetch(
            engine, "SELECT billing_event_id FROM position WHERE status = 'released'"
        )
    ]
    done = await approve(running, await propose(running, [str(first)]))
    assert sorted(await rows(engine)) == [
        ("1440.00", "released", ""),
        ("1440.00", "written_off", ""),
    ]
    assert await limit(engine) == ("1440.00", "1440.00", "0.00")
    with pytest.raises(FailedPrecondition) as refused:
        await undo(running, done)
    assert refused.value.stable_code == "write_off.no_room"
    await assert_sound(engine)


async def test_work_taken_back_after_it_was_given_up_leaves_nothing(
    engine: AsyncEngine, running: Running
) -> None:
    done = await approve(running, await propose(running, await released(engine)))
    entry = an_approved_entry()
    taker = an_approved_entry(2, minutes=-entry.minutes, reverses_time_entry_id=entry.time_entry_id)
    await take(engine, approved(taker, number=2))
    assert await rows(engine) == [("1440.00", "written_off", ""), ("-1440.00", "written_off", "")]
    assert await open_amount(engine) == "0.00"
    await undo(running, done)
    assert await open_amount(engine) == "0.00"
    await assert_sound(engine)


async def test_what_is_on_a_draft_or_invoiced_is_not_given_up(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    [row_id] = await released(engine)
    proposed = await propose(running, [row_id])
    invoicing.draft = "d-1"
    with pytest.raises(FailedPrecondition) as refused:
        await approve(running, proposed)
    assert refused.value.stable_code == "billing_event.on_a_draft"
    await take(engine, billed((row_id, "8.00", "1440.00")))
    with pytest.raises(FailedPrecondition) as late:
        await propose(running, [row_id], key="again")
    assert late.value.stable_code == "billing_event.not_open"
    assert (await totals(engine))["over_allocated"]["count"] == 0


async def test_a_row_is_named_by_one_open_proposal(engine: AsyncEngine, running: Running) -> None:
    row_ids = await released(engine)
    await propose(running, row_ids)
    with pytest.raises(Refusal) as refused:
        await propose(running, row_ids, key="again")
    assert refused.value.stable_code == "write_off.already_proposed"


@pytest.mark.parametrize("quantity", ["8.00", "9.00"])
async def test_a_part_is_less_than_the_whole(
    engine: AsyncEngine, running: Running, quantity: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await propose(running, await released(engine), quantity=quantity)
    assert refused.value.stable_code == "write_off.part_too_large"


@pytest.mark.parametrize("quantity", ["0", "0.00", "-1.00"])
async def test_a_part_is_more_than_nothing(
    engine: AsyncEngine, running: Running, quantity: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await propose(running, await released(engine), quantity=quantity)
    assert isinstance(refused.value, InvalidArgument)
    assert refused.value.field == "quantity"


async def test_a_proposal_tells_what_it_does_to_realisation(
    engine: AsyncEngine, running: Running
) -> None:
    [first, second, third, _] = await released(engine, 4)
    [effect] = (await propose(running, [first], key="1")).effects
    assert (effect.rated.amount, effect.written_off_after.amount) == ("5760.00", "1440.00")
    assert (effect.realisation_before, effect.realisation_after) == ("100.00", "75.00")
    excluded = await propose(running, [second, third], key="2", kind=pb.WRITE_OFF_KIND_EXCLUSION)
    [effect] = excluded.effects
    assert effect.rated.amount == "2880.00"
    assert (effect.realisation_before, effect.realisation_after) == ("100.00", "100.00")


async def test_the_ledger_itself_refuses_to_bill_what_was_given_up(
    engine: AsyncEngine, running: Running
) -> None:
    [row_id] = await released(engine)
    await approve(running, await propose(running, [row_id]))
    with pytest.raises(Refusal) as refused:
        await take(engine, billed((row_id, "8.00", "1440.00")))
    assert refused.value.stable_code == "allocation.exceeds_open"
    assert await open_amount(engine) == "0.00"


async def test_what_a_raised_limit_let_go_in_part_is_given_up_as_a_whole(
    engine: AsyncEngine, running: Running
) -> None:
    await released(engine, 2, not_to_exceed="1440.00")
    await take(engine, limit_changed(a_contract(not_to_exceed="1800.00", version=2)))
    held = await fetch(
        engine,
        """SELECT billing_event_id FROM hold JOIN position USING (billing_event_id)
           WHERE reason = 'limit_exceeded' AND cleared_at IS NULL ORDER BY position.amount""",
    )
    ids = [str(row.billing_event_id) for row in held]
    assert len(ids) == 2
    with pytest.raises(FailedPrecondition) as refused:
        await propose(running, ids[1:])
    assert refused.value.stable_code == "write_off.belongs_together"
    await approve(running, await propose(running, ids, key="both"))
    assert await open_amount(engine) == "1800.00"
    await assert_sound(engine)


async def given_up_in_part(engine: AsyncEngine) -> str:
    """Have 3 of 8 invoiced hours credited for good, and 5 to be billed again; return the row."""
    [row_id] = await released(engine, not_to_exceed="2000.00")
    await take(engine, billed((row_id, "8.00", "1440.00")))
    await take(engine, credited((row_id, "3.00", "540.00"), disposition=GIVEN_UP))
    await take(engine, credited((row_id, "5.00", "900.00"), note="1a9"))
    return row_id


async def test_what_a_credit_note_left_of_a_row_is_written_off(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    row_id = await given_up_in_part(engine)
    proposed = await propose(running, [row_id])
    assert [each.amount for each in proposed.write_off.amounts] == ["900.00"]
    done = await approve(running, proposed)
    assert invoicing.asked == [[row_id]]
    assert await open_amount(engine) == "0.00"
    assert await limit(engine) == ("2000.00", "0.00", "0.00")
    assert await written_off(engine) == [(False, True, ["900.00"])]
    await assert_sound(engine)

    await undo(running, done)
    assert await open_amount(engine) == "900.00"
    assert await limit(engine) == ("2000.00", "900.00", "0.00")
    await assert_sound(engine)


async def test_a_part_of_what_a_credit_note_left_is_refused(
    engine: AsyncEngine, running: Running
) -> None:
    row_id = await given_up_in_part(engine)
    with pytest.raises(Refusal) as refused:
        await propose(running, [row_id], quantity="2.00")
    assert refused.value.stable_code == "write_off.part_of_rest"


async def test_what_credit_notes_gave_up_is_not_written_off_again(
    engine: AsyncEngine, running: Running
) -> None:
    [row_id] = await released(engine)
    await take(engine, billed((row_id, "8.00", "1440.00")))
    await take(engine, credited((row_id, "8.00", "1440.00"), disposition=GIVEN_UP))
    with pytest.raises(Refusal) as refused:
        await propose(running, [row_id])
    assert refused.value.stable_code == "billing_event.not_open"
    assert "given up by a credit note" in refused.value.message


async def test_less_than_was_proposed_is_not_written_off(
    engine: AsyncEngine, running: Running
) -> None:
    [row_id] = await released(engine)
    proposed = await propose(running, [row_id])
    await take(engine, billed((row_id, "8.00", "1440.00")))
    await take(engine, credited((row_id, "3.00", "540.00"), disposition=GIVEN_UP))
    await take(engine, credited((row_id, "5.00", "900.00"), note="1a9"))
    with pytest.raises(Refusal) as refused:
        await approve(running, proposed)
    assert refused.value.stable_code == "write_off.changed_since"
    assert await open_amount(engine) == "900.00"


@pytest.mark.parametrize("quantity", [None, "2.50"])
async def test_what_people_held_is_held_again_once_a_write_off_is_undone(
    engine: AsyncEngine, running: Running, quantity: str | None
) -> None:
    entry = approved(an_approved_entry(1, minutes=2400))
    await take(engine, recorded(), activated(a_contract()), entry)
    [row_id] = await row_ids(engine)
    hold = events_pb.PlaceHoldRequest(
        request_id="hold", billing_event_id=row_id, reason="the customer disputes it"
    )
    await running.stub(BillingEventServiceStub, caller=FINANCE).PlaceHold(hold)
    part: dict[str, Any] = {} if quantity is None else {"quantity": quantity}
    done = await approve(running, await propose(running, [row_id], **part))
    await undo(running, done)
    assert {reasons for _, status, reasons in await rows(engine) if status == "held"} == {"manual"}
    assert not [status for _, status, _ in await rows(engine) if status in ("eligible", "released")]
    placed = await fetch(
        engine, "SELECT detail, opened_by FROM hold WHERE cleared_at IS NULL GROUP BY 1, 2"
    )
    assert placed == [("the customer disputes it", "fiona.finance")]
    await assert_sound(engine)
