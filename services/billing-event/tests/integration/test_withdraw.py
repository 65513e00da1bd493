"""An acceptance is withdrawn before anything of it is billed, or not at all."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    approved,
    billed,
    recorded,
)
from billing_event_invoicing import SettingAside
from billing_event_world import assert_sound, events_out, fetch, row_ids, rows, take, totals
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import position_service_pb2 as pb
from throughline.billing_event.v1.position_service_pb2_grpc import (
    PositionServiceStub,
)
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_core.errors import Refusal
from throughline_runtime.identity import Caller
from throughline_testing.samples import sample
from throughline_testing.serving import Running, a_caller

PROVISIONING = Caller.service("project-provisioning")


@pytest.fixture
def invoicing() -> SettingAside:
    return SettingAside()


@pytest.fixture
async def peers(invoicing: SettingAside) -> AsyncIterator[dict[str, str]]:
    async with invoicing.serve() as targets:
        yield targets


async def withdraw(running: Running, *, key: str = "1", caller: Caller = PROVISIONING) -> Any:
    milestone = sample(projects.MilestoneAccepted).milestone
    return await running.stub(PositionServiceStub, caller=caller).WithdrawSource(
        pb.WithdrawSourceRequest(
            request_id=key,
            source_item_id=milestone.milestone_id,
            source_version=milestone.version,
            reason="signed by the wrong person",
        )
    )


async def accepted(engine: AsyncEngine, amount: str = "4800.00") -> None:
    """Have the milestone accepted; up to 5,000.00 that releases it."""
    completed, signed = sample(projects.MilestoneCompleted), sample(projects.MilestoneAccepted)
    completed.milestone.amount.amount = signed.milestone.amount.amount = amount
    await take(engine, recorded(), activated(a_contract()), completed)
    await take(engine, signed)


async def test_what_was_released_is_taken_back_and_waits_again(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    await accepted(engine)
    [row_id] = await row_ids(engine)
    for _ in range(2):
        reply = await withdraw(running)
        assert list(reply.reversed_billing_event_ids) == [row_id]
    assert (invoicing.asked, invoicing.put_back) == ([[row_id]], [])
    assert await rows(engine) == [
        ("4800.00", "released", ""),
        ("-4800.00", "released", ""),
        ("4800.00", "held", "awaiting_acceptance"),
    ]
    [last] = (await events_out(engine))[-1:]
    assert isinstance(last, own.BillingEventsReleased)
    assert [row.reverses_billing_event_id for row in last.billing_events] == [row_id]
    assert (await totals(engine))["source_milestones"]["accepted"] == 0
    await assert_sound(engine)


async def test_a_milestone_accepted_again_is_billed_once(
    engine: AsyncEngine, running: Running
) -> None:
    await accepted(engine)
    await withdraw(running)
    again = sample(projects.MilestoneAccepted)
    again.milestone.amount.amount, again.milestone.version = "4800.00", 5
    await take(engine, again)
    assert (await totals(engine))["positions"]["released.EUR"] == 4800
    await assert_sound(engine)


async def test_what_an_older_withdrawal_does_not_take_back_is_billable_again_at_once(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    await accepted(engine)
    await withdraw(running)
    again = sample(projects.MilestoneAccepted)
    again.milestone.amount.amount, again.milestone.version = "4800.00", 5
    await take(engine, again)
    [*_, row_id] = await row_ids(engine)

    reply = await withdraw(running, key="of the first acceptance")

    assert list(reply.reversed_billing_event_ids) == []
    assert invoicing.asked[1:] == invoicing.put_back == [[row_id]]


async def test_what_waits_for_the_checkpoint_is_held_without_asking_anybody(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    await accepted(engine, "9600.00")
    await withdraw(running)
    assert invoicing.asked == []
    assert await rows(engine) == [("9600.00", "held", "awaiting_acceptance")]


async def test_an_acceptance_not_heard_of_yet_takes_no_effect_when_it_comes(
    engine: AsyncEngine, running: Running
) -> None:
    reply = await withdraw(running)
    assert reply.ahead_of_acceptance
    await accepted(engine)
    assert await rows(engine) == [("4800.00", "held", "awaiting_acceptance")]
    await assert_sound(engine)


async def test_what_is_on_a_draft_or_an_invoice_is_not_withdrawn(
    engine: AsyncEngine, running: Running, invoicing: SettingAside
) -> None:
    await accepted(engine)
    invoicing.draft = "7"
    with pytest.raises(Refusal, match="on draft 7") as drafted:
        await withdraw(running)
    assert drafted.value.stable_code == "source.already_billed"

    await take(engine, billed(((await row_ids(engine))[0], "1", "4800.00")))
    with pytest.raises(Refusal, match="is billed or written off") as issued:
        await withdraw(running, key="2")
    assert issued.value.stable_code == "source.already_billed"
    assert await rows(engine) == [("4800.00", "released", "")]
    assert await fetch(engine, "SELECT 1 FROM source_step WHERE state = 'withdrawn'") == []


async def test_only_milestones_are_withdrawn_and_only_by_services(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [item] = await fetch(engine, "SELECT source_item_id FROM source_item")
    stub = running.stub(PositionServiceStub, caller=PROVISIONING)
    with pytest.raises(Refusal) as refused:
        await stub.WithdrawSource(
            pb.WithdrawSourceRequest(
                request_id="1",
                source_item_id=str(item.source_item_id),
                source_version=1,
                reason="why not",
            )
        )
    assert refused.value.stable_code == "source.not_withdrawable"
    with pytest.raises(Refusal) as people:
        await withdraw(running, caller=a_caller("pmo", subject="user:paula.pmo"))
    assert people.value.stable_code == "caller.role_missing"
