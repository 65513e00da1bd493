"""What opens a re-rating run by itself, and what needs none."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from billing_event_builders import (
    CONTRACT,
    CUSTOMER,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    published,
    recorded,
)
from billing_event_rerating import Desk, Invoicing, a_version, amended, ledger, work
from billing_event_sources import key
from billing_event_world import assert_sound, fetch, row_ids, take, totals
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_runtime.context import Context
from throughline_runtime.database import write
from throughline_testing.samples import sample
from throughline_testing.serving import Running


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


async def problems(engine: AsyncEngine, context: Context) -> list[tuple[str, str]]:
    """Return kind and advice of what the queue shows after the job has looked."""
    await schedules.report_changes(context)
    found = await fetch(engine, "SELECT kind, advice FROM exception_item WHERE closed_at IS NULL")
    return [(row.kind, row.advice) for row in found]


async def runs(desk: Desk, **wanted: Any) -> list[pb.ReratingRun]:
    return list((await desk.proposer.ListReratingRuns(pb.ListReratingRunsRequest(**wanted))).runs)


async def begin(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    await take(engine, work(1, "2026-09-07"), work(2, "2026-10-05"))


async def take_up(desk: Desk, run_id: str) -> None:
    await desk.proposer.PreviewReratingRun(
        pb.PreviewReratingRunRequest(request_id=key(), rerating_run_id=run_id)
    )
    await desk.drive()


async def test_a_change_order_that_reaches_back_opens_a_draft_that_people_take_up(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine)
    await take(engine, amended(a_version(2, "2026-10-01", "190.00")))
    for _ in range(2):
        [(kind, advice)] = await problems(engine, context)
    [run] = await runs(desk)
    assert (kind, run.rerating_run_id in advice) == ("contract.rerating_needed", True)
    assert (run.status, run.cause, run.reason) == (
        pb.RERATING_RUN_STATUS_DRAFT,
        pb.RERATING_CAUSE_CHANGE_ORDER,
        "CO-000002",
    )
    assert (run.scope.service_from, run.proposed_by) == ("2026-10-01", "")

    await take_up(desk, run.rerating_run_id)
    assert len(await desk.items(run.rerating_run_id)) == 1
    assert [kind for kind, _ in await problems(engine, context)] == ["contract.rerating_needed"]
    await desk.approve(run.rerating_run_id)
    await desk.drive()
    assert await problems(engine, context) == []
    assert (await totals(engine))["positions"]["rated.EUR"] == 1440 + 1520


async def test_a_draft_is_taken_over_by_the_one_of_a_later_change(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine)
    await take(engine, amended(a_version(2, "2026-10-01", "190.00")))
    await problems(engine, context)
    await take(engine, amended(a_version(3, "2026-09-01", "200.00")))
    [(_, advice)] = await problems(engine, context)
    [later] = await runs(desk, status=pb.RERATING_RUN_STATUS_DRAFT)
    assert later.rerating_run_id in advice
    assert (later.reason, later.scope.service_from) == ("CO-000002, CO-000003", "2026-09-01")
    [earlier] = await runs(desk, status=pb.RERATING_RUN_STATUS_CANCELLED)
    assert earlier.decision_reason == f"run {later.rerating_run_id} took it over"


async def test_work_that_is_to_keep_its_price_is_not_reported_again(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine)
    await take(engine, amended(a_version(2, "2026-10-01", "190.00")))
    await problems(engine, context)
    [run] = await runs(desk)
    await take_up(desk, run.rerating_run_id)
    await desk.approver.RejectReratingRun(
        pb.RejectReratingRunRequest(
            request_id="no", rerating_run_id=run.rerating_run_id, reason="agreed with the client"
        )
    )
    assert await problems(engine, context) == []
    [item] = await desk.items(run.rerating_run_id)
    assert item.outcome == pb.RERATING_OUTCOME_SKIPPED
    assert len(await ledger(engine)) == 2


def by_card() -> contracts.ContractActivated:
    """Return the story's contract, whose hours only a card prices."""
    return activated(a_contract(rates={"nobody": "1.00"}))


async def test_a_card_version_that_reaches_back_opens_a_draft_for_the_days_it_changes(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await take(engine, recorded(), published({"senior_consultant": "150.00"}), by_card())
    await take(engine, work(1, "2026-09-07"), work(2, "2026-10-05"))
    assert await problems(engine, context) == []

    second = published({"senior_consultant": "150.00"}, version=2)
    second.rate_card.entries[0].valid_to = "2026-10-01"
    later = second.rate_card.entries.add()
    later.CopyFrom(second.rate_card.entries[0])
    later.valid_from = "2026-10-01"
    later.ClearField("valid_to")
    later.hourly_rate.amount = "160.00"
    await take(engine, second)
    for _ in range(2):
        [(kind, advice)] = await problems(engine, context)
    [run] = await runs(desk, cause=pb.RERATING_CAUSE_CARD_VERSION)
    assert (kind, run.rerating_run_id in advice) == ("rate_card.rerating_needed", True)
    assert (run.scope.rate_card_id, run.scope.service_from) == (str(an_id("d1")), "2026-10-01")

    await take_up(desk, run.rerating_run_id)
    [item] = await desk.items(run.rerating_run_id)
    assert item.difference.amount == "80.00"
    await desk.approve(run.rerating_run_id)
    await desk.drive()
    assert await problems(engine, context) == []
    assert (await totals(engine))["positions"]["rated.EUR"] == 1200 + 1280


@pytest.mark.parametrize("is_compared", [False, True])
async def test_what_a_version_changed_that_the_next_one_kept_is_not_overlooked(
    engine: AsyncEngine, desk: Desk, context: Context, *, is_compared: bool
) -> None:
    await take(engine, recorded(), published({"senior_consultant": "150.00"}), by_card())
    await take(engine, work(1, "2026-09-07"))
    if is_compared:
        assert await problems(engine, context) == []
    for version in (2, 3):
        await take(engine, published({"senior_consultant": "160.00"}, version=version))
    assert [kind for kind, _ in await problems(engine, context)] == ["rate_card.rerating_needed"]
    [run] = await runs(desk, cause=pb.RERATING_CAUSE_CARD_VERSION)
    assert run.reason.endswith("version 3")


def by_any_card() -> contracts.ContractActivated:
    """Return the story's contract, which names no card of its own."""
    event = by_card()
    event.contract.ClearField("rate_card_id")
    return event


def of_the_firm(rate: str) -> contracts.RateCardPublished:
    """Return the first version of a card for everybody."""
    event = published({"senior_consultant": rate})
    event.rate_card.ClearField("customer_id")
    event.rate_card.ClearField("legal_entity_id")
    return event


def of_customer(customer_id: UUID, rate: str) -> contracts.RateCardPublished:
    """Return the first version of a card of one customer."""
    event = published({"senior_consultant": rate})
    event.rate_card.rate_card_id = str(an_id("d7"))
    event.rate_card.customer_id = str(customer_id)
    event.rate_card.code = "ACME-2026"
    event.rate_card.entries[0].valid_from = "2026-10-01"
    return event


async def test_a_first_card_of_the_customer_opens_a_draft_for_what_others_priced(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await take(engine, recorded(), of_the_firm("150.00"), by_any_card())
    await take(engine, work(1, "2026-09-07"), work(2, "2026-10-05"))
    assert await problems(engine, context) == []

    await take(engine, of_customer(CUSTOMER, "140.00"))
    for _ in range(2):
        [(kind, advice)] = await problems(engine, context)
    [run] = await runs(desk, cause=pb.RERATING_CAUSE_CARD_VERSION)
    assert (kind, run.rerating_run_id in advice) == ("rate_card.rerating_needed", True)
    assert list(run.scope.contract_ids) == [str(CONTRACT)]
    assert (run.scope.service_from, run.scope.rate_card_id) == ("2026-10-01", "")

    await take_up(desk, run.rerating_run_id)
    [item] = await desk.items(run.rerating_run_id)
    assert item.difference.amount == "-80.00"
    await desk.approve(run.rerating_run_id)
    await desk.drive()
    assert await problems(engine, context) == []


async def test_a_first_card_of_another_customer_opens_nothing(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await take(engine, recorded(), of_the_firm("150.00"), by_any_card())
    await take(engine, work(1, "2026-10-05"))
    await take(engine, of_customer(an_id("c9"), "140.00"))
    assert await problems(engine, context) == []
    assert await runs(desk) == []


async def test_a_card_version_for_days_to_come_opens_nothing(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await take(engine, recorded(), published({"senior_consultant": "150.00"}), by_card())
    await take(engine, work(1, "2026-09-07"))
    ahead = published({"senior_consultant": "150.00"}, version=2)
    later = ahead.rate_card.entries.add()
    later.CopyFrom(ahead.rate_card.entries[0])
    later.valid_from, later.hourly_rate.amount = "2027-01-01", "160.00"
    await take(engine, ahead)
    assert await problems(engine, context) == []
    assert await runs(desk) == []


@pytest.mark.parametrize("is_invoiced", [False, True])
async def test_moved_time_needs_no_run(
    engine: AsyncEngine, desk: Desk, context: Context, *, is_invoiced: bool
) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    await take(engine, work(1))
    [first] = await row_ids(engine)
    if is_invoiced:
        await take(engine, billed((first, "8.00", "1440.00")))
    back = an_approved_entry(2, work_date="2026-09-07", minutes=-480)
    back.reverses_time_entry_id = str(an_id("15000001"))
    again = an_approved_entry(3, work_date="2026-09-07", role="senior_consultant")
    again.replaces_time_entry_id = str(an_id("15000001"))
    again.task_id = str(an_id("1203"))
    await take(engine, approved(back, again, number=2))
    assert await ledger(engine) == [
        "original 8.00 x 180.00 released",
        "reversal -8.00 x 180.00 released",
        "original 8.00 x 180.00 released",
    ]
    assert await problems(engine, context) == []
    run = await desk.run(await desk.previewed())
    assert (run.progress.items_previewed, run.progress.items_different) == (1, 0)
    await assert_sound(engine)


async def test_a_transferred_consultants_work_comes_at_the_new_level_and_needs_no_run(
    engine: AsyncEngine, desk: Desk
) -> None:
    card = published({"senior_consultant": "150.00"})
    senior = card.rate_card.entries.add()
    senior.CopyFrom(card.rate_card.entries[0])
    senior.level, senior.hourly_rate.amount = "principal", "200.00"
    await take(engine, recorded(), card, by_card(), work(1))
    [first] = await row_ids(engine)
    await take(engine, billed((first, "8.00", "1200.00")))
    back = an_approved_entry(2, work_date="2026-09-07", minutes=-480)
    back.reverses_time_entry_id = str(an_id("15000001"))
    again = an_approved_entry(3, work_date="2026-09-07", level="principal")
    await take(engine, approved(back, again, number=2))
    assert (await ledger(engine))[1:] == [
        "reversal -8.00 x 150.00 released",
        "original 8.00 x 200.00 released",
    ]
    run = await desk.run(await desk.previewed())
    assert run.progress.items_different == 0


async def test_a_corrected_expense_needs_no_run_after_invoicing_either(
    engine: AsyncEngine, desk: Desk
) -> None:
    report = sample(projects.ExpenseReportApproved)
    del report.lines[1:]
    await take(engine, recorded(), activated(a_contract()), report)
    [first] = await row_ids(engine)
    [row] = await fetch(engine, "SELECT quantity, amount FROM billing_event")
    await take(engine, billed((first, f"{row.quantity:f}", f"{row.amount:f}")))
    correction = projects.ExpenseReportApproved()
    correction.CopyFrom(report)
    back = correction.lines[0]
    back.expense_line_id = str(an_id("1721"))
    back.reverses_expense_line_id = report.lines[0].expense_line_id
    back.net_amount.amount = f"-{back.net_amount.amount}"
    right = correction.lines.add()
    right.CopyFrom(report.lines[0])
    right.expense_line_id = str(an_id("1722"))
    right.net_amount.amount = "100.00"
    await take(engine, correction)
    assert (await totals(engine))["positions"]["rated.EUR"] == 105
    run = await desk.run(await desk.previewed())
    assert (run.progress.items_previewed, run.progress.items_different) == (1, 0)
    await assert_sound(engine)


async def test_time_moved_after_a_run_has_corrected_its_invoice_is_taken_back_in_full(
    engine: AsyncEngine, desk: Desk
) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")), work(1))
    [first] = await row_ids(engine)
    await take(engine, billed((first, "8.00", "1440.00")))
    await take(engine, amended(a_version(2, "2026-09-01", "190.00")))
    await desk.applied()
    back = an_approved_entry(2, work_date="2026-09-07", minutes=-480)
    back.reverses_time_entry_id = str(an_id("15000001"))
    await take(engine, approved(back, number=2))
    assert (await totals(engine))["positions"]["rated.EUR"] == 0
    await assert_sound(engine)


async def test_work_that_is_worth_nothing_is_a_gap_unless_a_fee_covers_it_since(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")), work(1))

    async def gaps(statement: str) -> int:
        async with write(engine) as tx:
            await tx.execute(text(statement))
        return int((await totals(engine))["quantity_mismatch"]["count"])

    covered = """
        INSERT INTO covered_item
        SELECT source_item_id, 'the fixed fee covers it', rated_at {} interval '1 hour'
        FROM billing_event WHERE part = 1"""
    taken_back = """
        INSERT INTO billing_event SELECT (jsonb_populate_record(row, jsonb_build_object(
            'billing_event_id', gen_random_uuid(), 'part', 2, 'kind', 'reversal',
            'reverses_billing_event_id', billing_event_id,
            'minutes', -minutes, 'quantity', -quantity, 'amount', -amount))).*
        FROM billing_event AS row"""
    assert await gaps(covered.format("-")) == 0
    assert await gaps(taken_back) == 1
    assert await gaps(covered.format("+")) == 0


def moved_bill_to() -> contracts.ContractAmended:
    contract = a_version(2, "2026-10-01", "180.00")
    contract.bill_to_customer_id = str(an_id("c2"))
    return contracts.ContractAmended(contract=contract, change_order_number="CO-000002")


async def test_released_work_whose_bill_to_moved_is_moved_by_a_run_and_told_of_until_then(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine)
    second = recorded()
    second.customer.customer_id = str(an_id("c2"))
    await take(engine, second)
    await take(engine, moved_bill_to())
    for _ in range(2):
        [(kind, advice)] = await problems(engine, context)
    [run] = await runs(desk)
    assert (kind, run.rerating_run_id in advice) == ("contract.rerating_needed", True)
    assert (run.move_payers, run.cause) == (True, pb.RERATING_CAUSE_CHANGE_ORDER)

    await take_up(desk, run.rerating_run_id)
    await desk.approve(run.rerating_run_id)
    await desk.drive()

    assert await problems(engine, context) == []
    payers = await fetch(
        engine, "SELECT bill_to_customer_id AS id, sum(amount) AS net FROM billing_event GROUP BY 1"
    )
    assert {row.id: row.net for row in payers} == {an_id("c1"): 0, an_id("c2"): 2880}
    await assert_sound(engine)


async def test_what_is_invoiced_to_who_paid_before_is_no_news(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine)
    await take(engine, billed(*((each, "8.00", "1440.00") for each in await row_ids(engine))))
    await take(engine, moved_bill_to())

    assert await problems(engine, context) == []
    assert await runs(desk) == []
