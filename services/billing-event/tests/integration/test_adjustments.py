"""Amounts agreed by hand: two persons, a configured reason, a link to what they correct."""

from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    HOURS,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    recorded,
)
from billing_event_sources import METERED, key
from billing_event_world import assert_sound, fetch, row_ids, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.v1 import adjustment_service_pb2 as pb
from throughline.billing_event.v1.adjustment_service_pb2_grpc import AdjustmentServiceStub
from throughline_core.errors import Refusal
from throughline_testing.serving import Running, a_caller

FINANCE = a_caller("finance", subject="user:fin")
LEAD = a_caller("finance", subject="user:finance-lead")
ADMIN = a_caller("admin", "finance", subject="user:fin")
ELSEWHERE = a_caller("finance", subject="user:us", entities=[an_id("e2")])


def of(running: Running, caller: Any = FINANCE) -> Any:
    return running.stub(AdjustmentServiceStub, caller=caller)


async def put_reason(running: Running, code: str = "goodwill", *, active: bool = True) -> Any:
    request = pb.PutAdjustmentReasonRequest(
        request_id=key(), code=code, description="Goodwill of the account manager", active=active
    )
    return (await of(running).PutAdjustmentReason(request)).adjustment_reason


async def propose(
    running: Running, amount: str, caller: Any = FINANCE, currency: str = "EUR", **different: Any
) -> pb.Adjustment:
    fields = {
        "contract_id": str(CONTRACT),
        "contract_line_id": str(HOURS),
        "service_on": "2026-09-10",
        "reason_code": "goodwill",
        "description": "Allowance for the outage",
    }
    request = pb.ProposeAdjustmentRequest(request_id=key(), **(fields | different))
    request.amount.amount, request.amount.currency = amount, currency
    made: pb.Adjustment = (await of(running, caller).ProposeAdjustment(request)).adjustment
    return made


async def approve(running: Running, made: pb.Adjustment, caller: Any = LEAD) -> pb.Adjustment:
    request = pb.ApproveAdjustmentRequest(request_id=key(), adjustment_id=made.adjustment_id)
    done: pb.Adjustment = (await of(running, caller).ApproveAdjustment(request)).adjustment
    return done


async def undo(running: Running, made: pb.Adjustment) -> pb.Adjustment:
    request = pb.UndoAdjustmentRequest(
        request_id=key(), adjustment_id=made.adjustment_id, description="Agreed anew"
    )
    counter: pb.Adjustment = (await of(running).UndoAdjustment(request)).adjustment
    return counter


async def code_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


@pytest.fixture
async def in_force(engine: AsyncEngine, running: Running) -> None:
    await take(engine, recorded(), activated(a_contract()))
    await put_reason(running)


@pytest.mark.parametrize("amount", ["-150.00", "80.00"])
async def test_an_approved_adjustment_is_rated_as_agreed_whatever_its_sign(
    engine: AsyncEngine, running: Running, in_force: None, amount: str
) -> None:
    made = await propose(running, amount)
    assert await rows(engine) == []
    done = await approve(running, made)
    assert done.status == pb.ADJUSTMENT_STATUS_APPROVED
    assert await rows(engine) == [(amount, "released", "")]
    [row] = await fetch(engine, "SELECT * FROM billing_event")
    assert (row.type, row.unit_rate * row.quantity) == ("adjustment", row.amount)
    assert row.rate_explanation.startswith(
        "agreed by user:fin and user:finance-lead: Goodwill of the account manager"
    )
    await assert_sound(engine)


async def test_it_takes_two_persons_even_of_an_administrator(
    running: Running, in_force: None
) -> None:
    made = await propose(running, "-150.00")
    for caller in (FINANCE, ADMIN):
        code = await code_of(approve(running, made, caller))
        assert code == "adjustment.second_person_required"
    rejected = await of(running, LEAD).RejectAdjustment(
        pb.RejectAdjustmentRequest(
            request_id=key(), adjustment_id=made.adjustment_id, reason="not agreed"
        )
    )
    assert rejected.adjustment.decision_reason == "not agreed"
    assert await code_of(approve(running, made)) == "adjustment.not_open"


async def test_an_adjustment_is_undone_once_by_a_counter_adjustment_that_keeps_the_link(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    made = await propose(running, "-150.00")
    assert await code_of(undo(running, made)) == "adjustment.not_approved"
    await approve(running, made)
    counter = await undo(running, made)
    assert (counter.amount.amount, counter.undoes_adjustment_id) == ("150.00", made.adjustment_id)
    assert await code_of(undo(running, made)) == "adjustment.undone"
    await approve(running, counter)
    assert sorted(await rows(engine)) == [("-150.00", "released", ""), ("150.00", "released", "")]
    [taken] = await fetch(
        engine, "SELECT 1 FROM billing_event WHERE reverses_billing_event_id IS NOT NULL"
    )
    assert taken
    assert await code_of(undo(running, counter)) == "adjustment.counter_amount"
    got = await of(running).GetAdjustment(pb.GetAdjustmentRequest(adjustment_id=made.adjustment_id))
    assert got.adjustment.undone_by_adjustment_id == counter.adjustment_id
    await assert_sound(engine)


async def test_a_write_up_names_the_row_it_writes_up(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    await take(engine, approved(an_approved_entry()))
    [row_id] = await row_ids(engine)
    made = await propose(running, "60.00", billing_event_id=row_id)
    assert made.billing_event_id == row_id
    other = propose(running, "60.00", billing_event_id=row_id, contract_line_id=str(an_id("b104")))
    assert await code_of(other) == "adjustment.other_line"
    unknown = propose(running, "60.00", billing_event_id=str(an_id("bad")))
    assert await code_of(unknown) == "billing_event.not_found"


async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    await put_reason(running, "old", active=False)
    for call, code in [
        (propose(running, "0.00"), "adjustment.amount_zero"),
        (propose(running, "1.005"), "adjustment.too_precise"),
        (propose(running, "1.00", currency="USD"), "adjustment.wrong_currency"),
        (propose(running, "1.00", reason_code="gift"), "adjustment.reason_unknown"),
        (propose(running, "1.00", reason_code="old"), "adjustment.reason_inactive"),
        (
            propose(running, "1.00", contract_line_id=str(METERED)),
            "adjustment.line_not_found",
        ),
        (propose(running, "1.00", contract_id=str(an_id("bad"))), "contract.not_found"),
        (propose(running, "1.00", ELSEWHERE), "caller.entity_forbidden"),
    ]:
        assert await code_of(call) == code
    assert await fetch(engine, "SELECT 1 FROM adjustment") == []


async def test_reasons_are_configured_for_the_whole_firm(running: Running) -> None:
    assert (await put_reason(running)).version == 1
    assert (await put_reason(running, active=False)).version == 2
    limited = of(running, ELSEWHERE).PutAdjustmentReason(
        pb.PutAdjustmentReasonRequest(request_id=key(), code="x", description="X")
    )
    assert await code_of(limited) == "caller.entity_forbidden"
    listed = await of(running).ListAdjustmentReasons(pb.ListAdjustmentReasonsRequest())
    assert [(each.code, each.active) for each in listed.adjustment_reasons] == [("goodwill", False)]


async def test_adjustments_are_listed_by_what_they_are(running: Running, in_force: None) -> None:
    first = await propose(running, "-1.00")
    await propose(running, "2.00")
    await approve(running, first)
    waiting = await of(running).ListAdjustments(
        pb.ListAdjustmentsRequest(
            contract_id=str(CONTRACT), status=pb.ADJUSTMENT_STATUS_PROPOSED, reason_code="goodwill"
        )
    )
    assert [each.amount.amount for each in waiting.adjustments] == ["2.00"]
    page = await of(running).ListAdjustments(pb.ListAdjustmentsRequest(page_size=1))
    rest = await of(running).ListAdjustments(
        pb.ListAdjustmentsRequest(page_size=1, page_token=page.next_page_token)
    )
    assert [each.amount.amount for each in (*page.adjustments, *rest.adjustments)] == [
        "-1.00",
        "2.00",
    ]
    hidden = await of(running, ELSEWHERE).ListAdjustments(pb.ListAdjustmentsRequest())
    assert not hidden.adjustments


async def test_what_had_made_room_under_a_full_limit_is_taken_back_all_the_same(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="1440.00")))
    await put_reason(running)
    made = await approve(running, await propose(running, "-180.00"))
    await take(engine, approved(an_approved_entry(1, minutes=540)))
    counter = await undo(running, made)
    await approve(running, counter)
    [account] = await fetch(engine, "SELECT agreed, enforced, reserved FROM limit_account")
    assert [f"{each:.2f}" for each in account] == ["1440.00", "1620.00", "1620.00"]
    told = await fetch(
        engine, "SELECT kind FROM exception_item WHERE closed_at IS NULL ORDER BY kind"
    )
    assert "limit.agreed_below_taken" in [row.kind for row in told]
    await assert_sound(engine)


@pytest.mark.parametrize("day", ["0001-01-01", "2026-08-31", "2037-09-02", "9999-12-31"])
async def test_an_adjustment_is_for_a_day_the_contract_can_still_be_settled_for(
    running: Running, in_force: None, day: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await propose(running, "-150.00", service_on=day)
    assert refused.value.stable_code == "adjustment.day_out_of_range"
    assert (refused.value.field, bool(refused.value.advice)) == ("service_on", True)


async def test_an_adjustment_may_come_after_the_end_of_the_contract(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    await approve(running, await propose(running, "-150.00", service_on="2028-01-31"))
    assert await rows(engine) == [("-150.00", "released", "")]
