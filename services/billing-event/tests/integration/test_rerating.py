"""Rated work follows terms that reach back: previewed, approved by a second person, posted once."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from billing_event_builders import CUSTOMER, ENTITY, HOURS, activated, an_id, billed, recorded
from billing_event_rerating import (
    Desk,
    Invoicing,
    a_version,
    amended,
    ledger,
    work,
)
from billing_event_sources import key
from billing_event_world import assert_sound, events_out, fetch, row_ids, take, totals
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from billing_event.commands import rate, rerating_apply, rerating_drive, rerating_preview
from billing_event.repository import rerating_item
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline.billing_event.v1.rerating_service_pb2_grpc import ReratingServiceStub
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.errors import Refusal
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_testing.serving import Running, a_caller
from throughline_testing.statements import Statements


@pytest.fixture
def invoicing() -> Invoicing:
    return Invoicing()


@pytest.fixture
async def peers(invoicing: Invoicing) -> AsyncIterator[dict[str, str]]:
    async with invoicing.serve() as targets:
        yield targets


@pytest.fixture
def desk(running: Running, context: Context, engine: AsyncEngine) -> Desk:
    return Desk(running, context, engine)


class Killed(BaseException):
    """The process is gone in the middle of what it did."""


async def begin(
    engine: AsyncEngine, *, days: int = 2, rate: str = "180.00", **terms: Any
) -> list[str]:
    """Have some days of eight hours rated; return their rows."""
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", rate, **terms)))
    for number in range(1, days + 1):
        await take(engine, work(number, f"2026-09-{6 + number:02}"))
    return await row_ids(engine)


async def invoice(engine: AsyncEngine, invoicing: Invoicing, *row_ids: str) -> None:
    await take(engine, billed(*((row_id, "8.00", "1440.00") for row_id in row_ids)))
    invoicing.invoices |= dict.fromkeys(row_ids, "INV-2026-000001")


def raised(rate: str = "190.00", number: int = 2, **terms: Any) -> Any:
    return amended(a_version(number, "2026-09-01", rate, **terms))


async def refused(call: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await call
    return str(caught.value.stable_code)


async def test_invoiced_and_uninvoiced_work_follows_in_one_run(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    first, _ = await begin(engine)
    await invoice(engine, invoicing, first)
    await take(engine, raised())

    run_id = await desk.previewed()
    one, two = await desk.items(run_id)
    assert (one.action, one.place, list(one.invoices)) == (
        pb.RERATING_ACTION_DEBIT,
        pb.RERATING_PLACE_INVOICED,
        ["INV-2026-000001"],
    )
    assert (two.action, two.place) == (pb.RERATING_ACTION_REPLACE, pb.RERATING_PLACE_RELEASED)
    assert [item.difference.amount for item in (one, two)] == ["80.00", "80.00"]
    assert (await ledger(engine))[1:] == ["original 8.00 x 180.00 released"]

    await desk.approve(run_id)
    await desk.drive()
    assert (await desk.run(run_id)).status == pb.RERATING_RUN_STATUS_APPLIED
    assert await ledger(engine) == [
        "original 8.00 x 180.00 released",
        "adjustment -8.00 x 180.00 released",
        "adjustment 8.00 x 190.00 released",
        "original 8.00 x 180.00 released",
        "reversal -8.00 x 180.00 released",
        "original 8.00 x 190.00 released",
    ]
    assert (await totals(engine))["positions"]["rated.EUR"] == 2 * 1520
    await assert_sound(engine)
    last = [
        each for each in await events_out(engine) if isinstance(each, own.BillingEventsReleased)
    ]
    released = {row.rerating_run_id for row in last[-1].billing_events}
    assert (released, last[-1].released_by) == ({run_id}, "user:frida.finance")


async def test_by_credit_and_rebill_invoiced_work_is_taken_back_in_full(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    [first] = await begin(engine, days=1)
    await invoice(engine, invoicing, first)
    second = a_version(2, "2026-09-01", "170.00")
    second.rerating_policy = contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
    await take(engine, amended(second))

    run = await desk.applied()
    [item] = await desk.items(run.rerating_run_id)
    assert item.action == pb.RERATING_ACTION_CREDIT_AND_REBILL
    assert item.outcome == pb.RERATING_OUTCOME_APPLIED
    assert await ledger(engine) == [
        "original 8.00 x 180.00 released",
        "reversal -8.00 x 180.00 released",
        "original 8.00 x 170.00 released",
    ]
    await assert_sound(engine)


async def test_a_run_needs_two_persons_and_decides_once(engine: AsyncEngine, desk: Desk) -> None:
    await begin(engine)
    await take(engine, raised())
    run_id = await desk.open()
    assert await refused(desk.approve(run_id)) == "request.illegal_transition"
    await desk.drive()
    own_approval = desk.proposer.ApproveReratingRun(
        pb.ApproveReratingRunRequest(request_id="own", rerating_run_id=run_id)
    )
    assert await refused(own_approval) == "rerating_run.second_person_required"
    await desk.approve(run_id)
    assert await refused(desk.approve(run_id)) == "request.illegal_transition"
    rejection = desk.approver.RejectReratingRun(
        pb.RejectReratingRunRequest(request_id="no", rerating_run_id=run_id, reason="too late")
    )
    assert await refused(rejection) == "request.illegal_transition"
    gone = desk.proposer.GetReratingRun(pb.GetReratingRunRequest(rerating_run_id=str(an_id("999"))))
    assert await refused(gone) == "rerating_run.not_found"


async def test_twice_is_once(engine: AsyncEngine, desk: Desk) -> None:
    await begin(engine)
    await take(engine, raised())
    run_id = await desk.previewed()
    for _ in range(2):
        await desk.approver.ApproveReratingRun(
            pb.ApproveReratingRunRequest(request_id="once", rerating_run_id=run_id)
        )
    for _ in range(2):
        await desk.drive()
    before = await ledger(engine)
    assert len(before) == 6

    again = await desk.previewed()
    run = await desk.run(again)
    assert (run.progress.items_previewed, run.progress.items_different) == (2, 0)
    assert await refused(desk.approve(again)) == "rerating_run.nothing_to_do"
    assert await ledger(engine) == before


async def test_a_preview_that_newer_terms_overtook_is_not_approved(
    engine: AsyncEngine, desk: Desk
) -> None:
    await begin(engine)
    await take(engine, raised())
    run_id = await desk.previewed()
    await take(engine, raised("200.00", number=3))
    assert await refused(desk.approve(run_id)) == "rerating_run.outdated"

    await desk.proposer.PreviewReratingRun(
        pb.PreviewReratingRunRequest(request_id="anew", rerating_run_id=run_id)
    )
    await desk.drive()
    assert [item.difference.amount for item in await desk.items(run_id)] == ["160.00", "160.00"]
    [total] = (await desk.summary(run_id)).totals
    assert (total.items, total.difference.amount) == (2, "320.00")
    await desk.approve(run_id)
    await desk.drive()
    assert (await totals(engine))["positions"]["rated.EUR"] == 2 * 1600


async def test_a_thing_that_changed_after_the_approval_is_left_for_another_run(
    engine: AsyncEngine, desk: Desk
) -> None:
    await begin(engine)
    await take(engine, raised())
    run_id = await desk.previewed()
    await desk.approve(run_id)
    back = work(3, "2026-09-07", minutes=-480, reverses_time_entry_id=str(an_id("15000001")))
    await take(engine, back, raised("200.00", number=3))
    await desk.drive()

    run = await desk.run(run_id)
    assert (run.status, run.status_text) == (pb.RERATING_RUN_STATUS_APPLIED, "applied, 2 outdated")
    one, two = await desk.items(run_id)
    assert one.reason == "it was taken back since the preview"
    assert two.reason == "its rows or its price changed since the preview"
    assert one.outcome == two.outcome == pb.RERATING_OUTCOME_OUTDATED
    assert (await totals(engine))["positions"]["rated.EUR"] == 1440


async def test_a_run_is_stopped_between_chunks_and_goes_on_where_it_stopped(
    engine: AsyncEngine, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerating_preview, "PREVIEWED_MAX", 1)
    monkeypatch.setattr(rerating_apply, "APPLIED_MAX", 1)
    await begin(engine, days=3)
    await take(engine, raised())
    run_id = await desk.open()

    async def step() -> None:
        with monkeypatch.context() as hurried:
            hurried.setattr(rerating_drive, "_WORK_SECONDS", 0.0)
            await desk.drive()

    async def stop_and_resume(waits: "pb.ReratingRunStatus.ValueType") -> None:
        stopped = await desk.proposer.StopReratingRun(
            pb.StopReratingRunRequest(request_id=key(), rerating_run_id=run_id)
        )
        assert stopped.run.status == waits
        await desk.drive()
        assert (await desk.run(run_id)).progress == stopped.run.progress
        await desk.proposer.ResumeReratingRun(
            pb.ResumeReratingRunRequest(request_id=key(), rerating_run_id=run_id)
        )

    await step()
    await stop_and_resume(pb.RERATING_RUN_STATUS_PREVIEWING_STOPPED)
    await desk.drive()
    assert len(await desk.items(run_id)) == 3
    await desk.approve(run_id)
    await step()
    await stop_and_resume(pb.RERATING_RUN_STATUS_APPLYING_STOPPED)
    await desk.drive()
    run = await desk.run(run_id)
    assert (run.status, run.progress.items_applied) == (pb.RERATING_RUN_STATUS_APPLIED, 3)
    assert (await totals(engine))["positions"]["rated.EUR"] == 3 * 1520
    await assert_sound(engine)


async def test_a_process_killed_in_a_chunk_leaves_nothing_of_it(
    engine: AsyncEngine, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerating_preview, "PREVIEWED_MAX", 1)
    monkeypatch.setattr(rerating_apply, "APPLIED_MAX", 1)
    await begin(engine, days=3)
    await take(engine, raised())
    calls = 0

    async def killed(*_: Any, **__: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            raise Killed

    async def drive_until_done() -> None:
        for _ in range(9):
            try:
                await desk.drive()
            except Killed:
                continue
            return

    real_add, real_move = rerating_item.add_items, rerating_item.move_items

    async def add(*args: Any, after: int) -> None:
        await real_add(*args, after=after)
        await killed()

    async def move(*args: Any) -> None:
        await real_move(*args)
        await killed()

    monkeypatch.setattr(rerating_item, "add_items", add)
    monkeypatch.setattr(rerating_item, "move_items", move)
    run_id = await desk.open()
    await drive_until_done()
    assert (await desk.run(run_id)).progress.items_different == 3
    await desk.approve(run_id)
    await drive_until_done()
    run = await desk.run(run_id)
    assert (run.status, run.progress.items_applied) == (pb.RERATING_RUN_STATUS_APPLIED, 3)
    assert calls > 6
    assert len(await ledger(engine)) == 9
    await assert_sound(engine)


async def test_a_thing_that_cannot_be_posted_is_left_out_and_the_rest_is_posted(
    engine: AsyncEngine, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, days=3)
    await take(engine, raised())
    run_id = await desk.previewed()
    await desk.approve(run_id)
    real, poisoned = rerating_item.move_items, an_id("15000002")

    async def move(tx: Any, run: Any, posted: Any) -> None:
        if any(each.source_item_id == poisoned and not each.reason for each in posted):
            raise ValueError("a row nobody can write")
        await real(tx, run, posted)

    monkeypatch.setattr(rerating_item, "move_items", move)
    await desk.drive()
    run = await desk.run(run_id)
    assert (run.status_text, run.progress.items_applied) == ("applied, 1 skipped", 2)
    [left] = await desk.items(run_id, outcome=pb.RERATING_OUTCOME_SKIPPED)
    assert left.reason == "ValueError: a row nobody can write"
    assert len(await ledger(engine)) == 7
    await assert_sound(engine)


async def test_a_run_that_an_error_stops_says_so_and_can_be_resumed(
    engine: AsyncEngine, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine)
    await take(engine, raised())
    with monkeypatch.context() as broken:

        async def add(*_: Any, **__: Any) -> None:
            raise ValueError("the disk is full")

        broken.setattr(rerating_item, "add_items", add)
        run_id = await desk.previewed()
    told = "SELECT reason FROM exception_item WHERE closed_at IS NULL"
    [halted] = await fetch(engine, told)
    assert halted.reason.endswith("while previewing: ValueError: the disk is full")
    await desk.proposer.ResumeReratingRun(
        pb.ResumeReratingRunRequest(request_id=key(), rerating_run_id=run_id)
    )
    await desk.drive()
    assert (await desk.run(run_id)).progress.items_different == 2
    assert not await fetch(engine, told)


async def test_what_is_on_a_draft_waits_until_that_is_issued_or_voided(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    first, second, _ = await begin(engine, days=3)
    invoicing.drafts = {first: str(an_id("1a1")), second: str(an_id("1a2"))}
    await take(engine, raised())
    run_id = await desk.previewed()
    items = await desk.items(run_id, place=pb.RERATING_PLACE_DRAFTED)
    assert [list(item.invoices) for item in items] == [[str(an_id("1a1"))], [str(an_id("1a2"))]]
    assert {item.action for item in items} == {pb.RERATING_ACTION_DEBIT}
    await desk.approve(run_id)
    await desk.drive()
    assert (await desk.run(run_id)).status_text == "waiting, 2 waiting"
    assert len(await ledger(engine)) == 5

    invoicing.drafts.pop(first)
    await invoice(engine, invoicing, first)
    await desk.look_at_drafts()
    assert (await desk.run(run_id)).status_text == "waiting, 1 waiting"
    invoicing.drafts.clear()
    await desk.look_at_drafts()
    assert (await desk.run(run_id)).status_text == "applied"
    assert await ledger(engine) == [
        "original 8.00 x 180.00 released",
        "adjustment -8.00 x 180.00 released",
        "adjustment 8.00 x 190.00 released",
        *[
            "original 8.00 x 180.00 released",
            "reversal -8.00 x 180.00 released",
            "original 8.00 x 190.00 released",
        ]
        * 2,
    ]
    await assert_sound(engine)


async def test_what_is_on_a_draft_is_left_where_the_run_says_so(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    first, _ = await begin(engine)
    invoicing.drafts = {first: str(an_id("1a1"))}
    await take(engine, raised())
    run = await desk.applied(drafted_items=pb.DRAFTED_ITEMS_SKIP)
    assert run.status_text == "applied, 1 skipped"
    [total] = (await desk.summary(run.rerating_run_id)).totals
    assert total.difference.amount == "80.00"
    assert len(await ledger(engine)) == 4


async def test_a_run_that_waits_is_given_up_and_what_it_did_stays(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    first, _ = await begin(engine)
    invoicing.drafts = {first: str(an_id("1a1"))}
    await take(engine, raised())
    run = await desk.applied()
    reply = await desk.proposer.CancelReratingRun(
        pb.CancelReratingRunRequest(
            request_id="stop", rerating_run_id=run.rerating_run_id, reason="draft is disputed"
        )
    )
    assert reply.run.status_text == "cancelled, 1 skipped"
    one, two = await desk.items(run.rerating_run_id)
    assert (one.outcome, two.outcome) == (
        pb.RERATING_OUTCOME_SKIPPED,
        pb.RERATING_OUTCOME_APPLIED,
    )
    invoicing.drafts.clear()
    await desk.look_at_drafts()
    assert len(await ledger(engine)) == 4


async def test_while_invoicing_is_away_a_run_waits_and_then_goes_on(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    await begin(engine)
    await take(engine, raised())
    invoicing.is_down = True
    run_id = await desk.previewed()
    assert (await desk.run(run_id)).status == pb.RERATING_RUN_STATUS_PREVIEWING
    invoicing.is_down = False
    await desk.drive()
    assert (await desk.run(run_id)).status == pb.RERATING_RUN_STATUS_PREVIEWED


async def test_the_part_of_the_new_price_over_the_cap_is_held_and_freed_when_that_is_raised(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    [first] = await begin(engine, days=1, not_to_exceed="1500.00")
    await invoice(engine, invoicing, first)
    await take(engine, raised("200.00", not_to_exceed="1500.00"))
    await desk.applied()
    assert await ledger(engine) == [
        "original 8.00 x 180.00 released",
        "adjustment -8.00 x 180.00 released",
        "adjustment 7.50 x 200.00 released",
        "adjustment 0.50 x 200.00 held limit_exceeded",
    ]
    await assert_sound(engine)

    await take(engine, raised("200.00", number=3, not_to_exceed="1600.00"))
    assert (await ledger(engine))[-1] == "adjustment 0.50 x 200.00 released"
    await assert_sound(engine)


async def test_a_lower_price_gives_room_back_to_work_that_was_stopped(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    first, *_ = await begin(engine, not_to_exceed="1800.00")
    await invoice(engine, invoicing, first)
    await take(engine, raised("100.00", not_to_exceed="1800.00"))
    assert (await ledger(engine))[1:] == [
        "original 2.00 x 180.00 released",
        "original 6.00 x 180.00 held limit_exceeded",
    ]
    await desk.applied(service_through="2026-09-07")
    assert (await ledger(engine))[-1] == "adjustment 3.55 x 180.00 released"
    await assert_sound(engine)


async def test_a_charged_period_is_billed_at_its_new_price_and_stays_at_it(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing, context: Context
) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    await schedules.charge_recurring(context)
    first, *_ = await row_ids(engine)
    await take(engine, billed((first, "1", "2500.00")))
    second = a_version(2, "2026-09-01", "180.00")
    second.lines[2].terms.unit_price.amount = "2600.00"
    await take(engine, amended(second, line=2))
    run = await desk.applied()
    charged = run.progress.items_applied
    assert charged >= 1
    assert (await ledger(engine))[:3] == [
        "original 1.00 x 2500.00 released",
        "adjustment -1.00 x 2500.00 released",
        "adjustment 1.00 x 2600.00 released",
    ]
    # Whoever looks at it again finds it agreed at the new price.
    charged_items = await fetch(engine, "SELECT source_item_id FROM source_item")
    async with database.write(engine) as tx:
        ids = [row.source_item_id for row in charged_items]
        await rate.reconsider(tx, ids, at=context.clock.now())
    assert (await totals(engine))["positions"]["rated.EUR"] == 2600 * charged
    await assert_sound(engine)


async def test_items_are_listed_by_what_is_asked_for_and_summed_up(
    engine: AsyncEngine, desk: Desk, invoicing: Invoicing
) -> None:
    first, *_ = await begin(engine, days=3)
    await take(engine, work(9, "2026-10-05"), work(10, "2026-10-06", role="analyst"))
    await invoice(engine, invoicing, first)
    await take(engine, raised())
    run_id = await desk.previewed()
    run = await desk.run(run_id)
    assert (run.progress.items_previewed, run.progress.items_different) == (4, 4)

    assert len(await desk.items(run_id, month="2026-10")) == 1
    assert len(await desk.items(run_id, month="2026-11")) == 0
    assert len(await desk.items(run_id, action=pb.RERATING_ACTION_REPLACE)) == 3
    assert len(await desk.items(run_id, place=pb.RERATING_PLACE_INVOICED)) == 1
    assert len(await desk.items(run_id, contract_line_id=str(HOURS))) == 4
    assert len(await desk.items(run_id, contract_line_id=str(an_id("b101")))) == 0
    assert len(await desk.items(run_id, payer_customer_id=str(CUSTOMER))) == 4
    assert len(await desk.items(run_id, payer_customer_id=str(an_id("c9")))) == 0
    assert len(await desk.items(run_id, outcome=pb.RERATING_OUTCOME_PENDING)) == 4
    assert len(await desk.items(run_id, different_only=True)) == 4

    found = await desk.summary(run_id)
    assert [(each.key, each.items, each.difference.amount) for each in found.by_month] == [
        ("2026-09", 3, "240.00"),
        ("2026-10", 1, "80.00"),
    ]
    assert [(each.key, each.difference.amount) for each in found.by_contract_line] == [
        (str(HOURS), "320.00")
    ]
    assert [(each.key, each.difference.amount) for each in found.by_payer] == [
        (str(CUSTOMER), "320.00")
    ]
    assert [(each.key, each.items) for each in found.by_action] == [("debit", 1), ("replace", 3)]

    pages: list[str] = []
    token = ""
    while not pages or token:
        page = await desk.proposer.ExportReratingItems(
            pb.ExportReratingItemsRequest(rerating_run_id=run_id, page_size=3, page_token=token)
        )
        pages.append(page.csv)
        token = page.next_page_token
    lines = list(csv.DictReader(io.StringIO("".join(pages))))
    assert len(pages) == 2
    assert len(lines) == 8
    assert sum(float(line["difference"]) for line in lines) == 320
    assert {line["unit_rate"] for line in lines} == {"180", "190"}


async def test_the_scope_says_which_work_is_looked_at(engine: AsyncEngine, desk: Desk) -> None:
    await begin(engine, days=3)
    await take(engine, work(8, "2026-09-07", person_id=str(an_id("132"))))
    await take(engine, raised())

    async def count(**scope: Any) -> int:
        return len(await desk.items(await desk.previewed(**scope)))

    assert await count() == 4
    assert await count(service_from="2026-09-08", service_through="2026-09-08") == 1
    assert await count(service_from="2026-10-01") == 0
    assert await count(person_ids=[str(an_id("132"))]) == 1
    assert await count(contract_line_ids=[str(an_id("b104"))]) == 0
    assert await count(customer_id=str(CUSTOMER)) == 4
    assert await count(customer_id=str(an_id("c9"))) == 0
    assert await count(rate_card_id=str(an_id("d1"))) == 0


async def test_callers_see_and_touch_only_runs_of_their_entities(
    engine: AsyncEngine, desk: Desk, running: Running
) -> None:
    await begin(engine)
    run_id = await desk.previewed()
    stranger = a_caller("finance", subject="user:us", entities=[an_id("e2")])
    stub = running.stub(ReratingServiceStub, caller=stranger)
    calls = [
        stub.GetReratingRun(pb.GetReratingRunRequest(rerating_run_id=run_id)),
        stub.ListReratingItems(pb.ListReratingItemsRequest(rerating_run_id=run_id)),
        stub.GetReratingSummary(pb.GetReratingSummaryRequest(rerating_run_id=run_id)),
        stub.ExportReratingItems(pb.ExportReratingItemsRequest(rerating_run_id=run_id)),
        stub.ApproveReratingRun(
            pb.ApproveReratingRunRequest(request_id="a", rerating_run_id=run_id)
        ),
        stub.CreateReratingRun(
            pb.CreateReratingRunRequest(
                request_id="c",
                scope=pb.ReratingScope(legal_entity_id=str(ENTITY)),
                cause=pb.RERATING_CAUSE_MANUAL,
                reason="why not",
            )
        ),
    ]
    for call in calls:
        assert await refused(call) == "caller.entity_forbidden"
    assert not (await stub.ListReratingRuns(pb.ListReratingRunsRequest())).runs
    own_runs = await desk.proposer.ListReratingRuns(pb.ListReratingRunsRequest())
    assert [run.rerating_run_id for run in own_runs.runs] == [run_id]


async def test_a_scope_that_cannot_be_is_refused(desk: Desk, engine: AsyncEngine) -> None:
    await begin(engine)
    period = desk.open(service_from="2026-10-01", service_through="2026-09-01")
    assert await refused(period) == "rerating_run.period_reversed"
    elsewhere = desk.proposer.CreateReratingRun(
        pb.CreateReratingRunRequest(
            request_id="e",
            scope=pb.ReratingScope(
                legal_entity_id=str(an_id("e2")), contract_ids=[str(an_id("b1"))]
            ),
            cause=pb.RERATING_CAUSE_CORRECTION,
            reason="the other entity",
        )
    )
    assert await refused(elsewhere) == "rerating_run.contract_elsewhere"


async def test_a_larger_chunk_takes_no_more_statements(
    engine: AsyncEngine, desk: Desk, statements: Statements
) -> None:
    await begin(engine, days=2)
    await take(engine, raised())

    async def counted() -> list[int]:
        run_id = await desk.open()
        statements.clear()
        await desk.drive()
        preview = len(statements)
        await desk.approve(run_id)
        statements.clear()
        await desk.drive()
        return [preview, len(statements)]

    few = await counted()
    for number in range(20, 60):
        await take(engine, work(number, "2026-09-21"))
    await take(engine, raised("200.00", number=3))
    assert await counted() == few
    assert await fetch(engine, "SELECT 1 FROM rerating_item WHERE outcome = 'applied' LIMIT 1")
