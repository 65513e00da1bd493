"""What crosses on its way: two facts about the same work at once, or one after it is too late."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import pytest
from billing_event_builders import (
    NOW,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    credited,
    published,
    recorded,
)
from billing_event_world import (
    assert_sound,
    fetch,
    limit,
    look_again,
    row_ids,
    rows,
    take,
    totals,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rate, withdraw_release, write_off
from billing_event.consumers import record_first_terms
from billing_event.domain.claim import ClaimExceedsOpen
from billing_event.domain.position import BillingEventId
from billing_event.domain.release_run import Withdrawal, WithdrawalUnderWay
from billing_event.domain.write_off import WriteOff, WriteOffKind, WriteOffReason
from billing_event.repository import fact
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline.project_provisioning.v1 import work_pb2
from throughline_runtime import database
from throughline_runtime.clock import Clock
from throughline_runtime.identity import acting_as
from throughline_testing.samples import sample
from throughline_testing.serving import a_caller

FINANCE = a_caller("finance", subject="user:fin")
GIVEN_UP = invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF
_UNTIL_IT_WAITS = 0.5


def a_reversal(of: int, number: int, *, minutes: int = 480) -> work_pb2.TimeEntry:
    entry = an_approved_entry(number, minutes=-minutes)
    entry.reverses_time_entry_id = str(an_id(f"15{of:06x}"))
    return entry


async def propose(
    engine: AsyncEngine, row_ids: Sequence[str], *, quantity: Decimal | None = None
) -> WriteOff:
    with acting_as(FINANCE):
        async with database.write(engine) as tx:
            return await write_off.propose(
                tx,
                named(row_ids),
                kind=WriteOffKind.WRITE_OFF,
                reason_code=WriteOffReason.GOODWILL,
                reason="The customer was promised it",
                quantity=quantity,
                by="user:ann",
                at=NOW,
            )


async def approve(engine: AsyncEngine, proposed: WriteOff) -> None:
    with acting_as(FINANCE):
        async with database.write(engine) as tx:
            await write_off.approve(tx, proposed.write_off_id, by="user:ben", at=NOW)


async def ask_back(engine: AsyncEngine, row_ids: Sequence[str]) -> Withdrawal:
    with acting_as(FINANCE):
        async with database.write(engine) as tx:
            return await withdraw_release.request(
                tx, named(row_ids), "Wrong month", places_hold=True, by="user:ann", at=NOW
            )


def named(row_ids: Sequence[str]) -> list[BillingEventId]:
    return [BillingEventId(UUID(row_id)) for row_id in row_ids]


async def test_an_acceptance_that_comes_while_the_milestone_is_rated_is_not_lost(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), sample(projects.MilestoneCompleted))
    async with database.write(engine) as tx:
        await record_first_terms(Clock(), tx, [activated(a_contract())])
        meanwhile = asyncio.create_task(take(engine, sample(projects.MilestoneAccepted)))
        await asyncio.sleep(_UNTIL_IT_WAITS)
    await meanwhile
    assert await rows(engine) == [("9600.00", "eligible", "")]


async def test_a_hold_that_was_judged_by_older_facts_is_judged_again(engine: AsyncEngine) -> None:
    await take(engine, recorded(1, credit_hold=True), activated(a_contract()))
    await take(engine, approved(an_approved_entry(1, role="architect")))
    async with database.write(engine) as tx:
        epoch = await fact.raise_epoch(tx)
        card = published({"architect": "200.00"}).rate_card
        await fact.add_cards(tx, [card], epoch=epoch, at=NOW)
    async with database.write(engine) as tx:
        await rate.reconsider_due(tx, at=NOW)
        meanwhile = asyncio.create_task(take(engine, recorded(2)))
        await asyncio.sleep(_UNTIL_IT_WAITS)
    await meanwhile
    await look_again(engine)
    assert await rows(engine) == [("1600.00", "released", "")]


@pytest.mark.parametrize(
    ("given_up", "mirrors", "used"),
    [
        (
            ("3.00", "540.00"),
            [("-900.00", "released", ""), ("-540.00", "written_off", "")],
            ("2000.00", "-900.00", "900.00"),
        ),
        (
            ("8.00", "1440.00"),
            [("-1440.00", "written_off", "")],
            ("2000.00", "0.00", "0.00"),
        ),
    ],
)
async def test_what_a_credit_note_gave_up_is_not_credited_again_when_it_is_taken_back(
    engine: AsyncEngine,
    given_up: tuple[str, str],
    mirrors: list[tuple[str, str, str]],
    used: tuple[str, str, str],
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(
        engine,
        billed((row_id, "8.00", "1440.00")),
        credited((row_id, *given_up), disposition=GIVEN_UP),
        approved(a_reversal(1, 2), number=2),
    )
    assert await rows(engine) == [("1440.00", "released", ""), *mirrors]
    assert await limit(engine) == used
    await assert_sound(engine)


@pytest.mark.parametrize("quantity", [None, Decimal("2.00")])
async def test_what_is_asked_back_of_invoicing_is_not_written_off_meanwhile(
    engine: AsyncEngine, quantity: Decimal | None
) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    found = await row_ids(engine)
    proposed = await propose(engine, found, quantity=quantity)
    withdrawal = await ask_back(engine, found)
    with pytest.raises(WithdrawalUnderWay, match="being taken back"):
        await approve(engine, proposed)
    async with database.write(engine) as tx:
        await withdraw_release.finish(tx, withdrawal.withdrawal_id, at=NOW)
    assert await rows(engine) == [("1440.00", "held", "manual")]
    await approve(engine, proposed)
    await assert_sound(engine)


async def test_room_that_the_rest_of_a_row_gives_back_is_taken_by_what_waits(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="900.00")))
    await take(engine, approved(an_approved_entry(1, minutes=300)))
    await take(engine, approved(an_approved_entry(2, minutes=300), number=2))
    [first, *_] = await row_ids(engine)
    await approve(engine, await propose(engine, [first], quantity=Decimal("2.00")))
    [rest] = await fetch(
        engine,
        """SELECT billing_event_id FROM position
           WHERE status = 'released' AND amount = 540""",
    )
    await approve(engine, await propose(engine, [str(rest.billing_event_id)]))
    assert [row for row in await rows(engine) if row[1] == "held"] == []
    await assert_sound(engine)


async def test_room_reaches_what_waits_behind_more_than_one_transaction_takes(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "RECONSIDERED_MAX", 2)
    await take(engine, recorded(), activated(a_contract(not_to_exceed="900.00")))
    await take(engine, approved(an_approved_entry(1, minutes=300)))
    for number in range(2, 8):
        await take(engine, approved(an_approved_entry(number, minutes=60), number=number))
    await take(engine, approved(a_reversal(1, 9, minutes=300), number=9))
    while await look_again(engine):
        pass
    held = [row for row in await rows(engine) if row[1] == "held"]
    assert held == [("180.00", "held", "limit_exceeded")]
    assert (await limit(engine))[1] == "900.00"
    await assert_sound(engine)


async def test_free_work_billed_again_before_its_credit_is_told_waits_for_that(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), published({"senior_consultant": "0.00"}))
    await take(engine, activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "8.00", "0.00")))
    again = billed((row_id, "8.00", "0.00"), invoice="1a9", line="1b9")
    with pytest.raises(ClaimExceedsOpen):
        await take(engine, again)
    await take(engine, credited((row_id, "8.00", "0.00")))
    await take(engine, again)
    await assert_sound(engine)


@pytest.mark.parametrize("given_up", [("3.00", "540.00"), ("8.00", "1440.00")])
async def test_what_was_taken_back_is_not_given_up_besides(
    engine: AsyncEngine, given_up: tuple[str, str]
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "8.00", "1440.00")))
    await take(engine, approved(a_reversal(1, 2), number=2))
    note = credited((row_id, *given_up), disposition=GIVEN_UP)
    for _ in range(2):
        await take(engine, note)
    left = Decimal("1440.00") - Decimal(given_up[1])
    assert await limit(engine) == ("2000.00", f"{-left:.2f}", f"{left:.2f}")
    assert (await totals(engine))["positions"]["open_released.EUR"] == -left
    await assert_sound(engine)
    await take(engine, approved(an_approved_entry(7, minutes=1140), number=7))
    assert await rows(engine) == [
        ("1440.00", "released", ""),
        ("-1440.00", "released", ""),
        ("1999.80", "released", ""),
        ("1420.20", "held", "limit_exceeded"),
    ]
