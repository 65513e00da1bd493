"""What people and time do in a case, and all the verbs that a step of a case may have."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from billing_event_case_events import (
    acceptance_withdrawn,
    card,
    changed,
    contract_in_force,
    corrected,
    credit_note,
    credit_note_given_up,
    customer,
    exchange_rates,
    expense,
    invoiced,
    milestone_accepted,
    milestone_completed,
    once_more,
    taken_back,
    taken_back_before,
    terminated,
    transfer_card,
    work,
)
from billing_event_case_scene import Scene
from billing_event_case_terms import LINES, matched
from billing_event_rerating import Desk
from billing_event_sources import METERED, METERS, a_reading, key, readings
from billing_event_world import fetch

from billing_event import schedules
from throughline.billing_event.v1 import billing_event_service_pb2 as event_pb
from throughline.billing_event.v1 import release_service_pb2 as release_pb
from throughline.billing_event.v1 import write_off_service_pb2 as write_off_pb
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.billing_event.v1.release_service_pb2_grpc import ReleaseServiceStub
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline.billing_event.v1.write_off_service_pb2_grpc import WriteOffServiceStub
from throughline_testing.serving import a_caller

FINANCE: Final = a_caller("finance", subject="user:fiona.finance")
PMO: Final = a_caller("pmo", subject="user:paula.pmo")

_THING: Final = re.compile(r"(?:([\d.]+) of )?(\w+)")
_PERIOD: Final = re.compile(r"(\w+), of (\w+) from (\S+)")
_READING: Final = re.compile(r"([\d.]+) at (\S+)")

Step: TypeAlias = Callable[[Scene, Any], Awaitable[None]]


async def held_by_hand(scene: Scene, letter: str) -> None:
    stub = scene.running.stub(BillingEventServiceStub, caller=FINANCE)
    for row in await scene.rows_of(letter):
        request = event_pb.PlaceHoldRequest(
            request_id=key(), billing_event_id=str(row.billing_event_id), reason="as agreed"
        )
        await stub.PlaceHold(request)


async def hold_cleared(scene: Scene, letter: str) -> None:
    found = await fetch(
        scene.engine,
        """SELECT hold_id FROM hold WHERE source_item_id = :thing AND cleared_at IS NULL
             AND reason = 'manual'""",
        thing=scene.things[letter],
    )
    stub = scene.running.stub(BillingEventServiceStub, caller=FINANCE)
    request = event_pb.ClearHoldsRequest(
        request_id=key(), hold_ids=[str(row.hold_id) for row in found], reason="settled"
    )
    await stub.ClearHolds(request)


async def released(scene: Scene, letter: str) -> None:
    rows = [row for row in await scene.rows_of(letter) if row.status == "eligible"]
    request = event_pb.ReleaseBillingEventsRequest(
        request_id=key(), billing_event_ids=[str(row.billing_event_id) for row in rows]
    )
    await scene.running.stub(BillingEventServiceStub, caller=FINANCE).ReleaseBillingEvents(request)


async def release_withdrawn(scene: Scene, letter: str) -> None:
    rows = [row for row in await scene.rows_of(letter) if row.status == "released"]
    request = release_pb.WithdrawReleaseRequest(
        request_id=key(),
        billing_event_ids=[str(row.billing_event_id) for row in rows],
        reason="the customer wants it in October",
    )
    await scene.running.stub(ReleaseServiceStub, caller=FINANCE).WithdrawRelease(request)


async def written_off(scene: Scene, words: str) -> None:
    """Give up a thing, or a part of it: proposed by one person, approved by another."""
    much, letter = matched(_THING, words)
    live = [
        row
        for row in await scene.rows_of(letter)
        if row.status in ("held", "eligible", "released") and row.reverses_billing_event_id is None
    ]
    proposal = write_off_pb.ProposeWriteOffRequest(
        request_id=key(),
        kind=write_off_pb.WRITE_OFF_KIND_WRITE_OFF,
        reason_code=write_off_pb.WRITE_OFF_REASON_GOODWILL,
        reason="as agreed with the customer",
        billing_event_ids=[str(row.billing_event_id) for row in live],
    )
    if much:
        proposal.quantity = much
    proposed = await scene.running.stub(WriteOffServiceStub, caller=PMO).ProposeWriteOff(proposal)
    scene.write_offs.append(proposed.write_off.write_off_id)
    await scene.running.stub(WriteOffServiceStub, caller=FINANCE).ApproveWriteOff(
        write_off_pb.ApproveWriteOffRequest(request_id=key(), write_off_id=scene.write_offs[-1])
    )


async def write_off_undone(scene: Scene, letter: str) -> None:
    request = write_off_pb.UndoWriteOffRequest(
        request_id=key(),
        write_off_id=scene.write_offs.pop(),
        reason=f"{letter} is billed after all",
    )
    await scene.running.stub(WriteOffServiceStub, caller=FINANCE).UndoWriteOff(request)


async def rerated(scene: Scene, words: str) -> None:
    """Preview, approve as a second person and apply a run over the contract: `moving payers`."""
    assert words in ("", "moving payers"), words
    desk = Desk(scene.running, scene.context, scene.engine)
    await desk.applied(move_payers=bool(words))


async def usage_read(scene: Scene, readings_of: Any) -> None:
    """Bring in meter readings: `60 at 2026-09-10T08:00`."""
    found = [matched(_READING, words) for words in readings_of]
    stub = scene.running.stub(UsageServiceStub, caller=METERS)
    request = readings(
        *(a_reading(much, f"{at}:00", contract_line_id=str(METERED)) for much, at in found)
    )
    await stub.ImportUsageRecords(request)


async def period(scene: Scene, words: str) -> None:
    """Give what was charged of a line from a day a letter: `P, of devices from 2026-09-01`."""
    letter, line, first = matched(_PERIOD, words)
    [found] = await fetch(
        scene.engine,
        """SELECT source_item_id FROM source_item WHERE contract_line_id = :line
             AND service_from = CAST(CAST(:first AS text) AS date)""",
        line=LINES[line],
        first=first,
    )
    scene.things[letter] = found.source_item_id


async def day(scene: Scene, words: str) -> None:
    """Go to the noon of a day, or to an instant in UTC, and let time do what it does."""
    at = datetime.fromisoformat(words if "T" in words else f"{words}T12:00")
    scene.move_clock(at.replace(tzinfo=UTC))
    await schedules.charge_recurring(scene.context)
    await schedules.turn_retainers(scene.context)
    await schedules.close_usage(scene.context)


STEPS: Final[Mapping[str, Step]] = {
    "contract in force": contract_in_force,
    "change order": changed,
    "terminated": terminated,
    "customer": customer,
    "card": card,
    "transfer card": transfer_card,
    "exchange rates": exchange_rates,
    "work": work,
    "taken back": taken_back,
    "taken back before": taken_back_before,
    "corrected": corrected,
    "expense": expense,
    "milestone completed": milestone_completed,
    "milestone accepted": milestone_accepted,
    "acceptance withdrawn": acceptance_withdrawn,
    "delivered again": once_more,
    "invoice": invoiced,
    "credit note": credit_note,
    "credit note given up": credit_note_given_up,
    "hold": held_by_hand,
    "hold cleared": hold_cleared,
    "release": released,
    "release withdrawn": release_withdrawn,
    "write-off": written_off,
    "write-off undone": write_off_undone,
    "re-rated": rerated,
    "usage": usage_read,
    "period": period,
    "day": day,
}
