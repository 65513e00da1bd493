"""Limits of every scope: what they stop and tell, who may change them, and what then goes on."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from billing_event_builders import (
    CONTRACT,
    CUSTOMER,
    ENTITY,
    EXPENSES,
    HOURS,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    limit_changed,
    line_of,
    recorded,
)
from billing_event_world import assert_sound, events_out, fetch, look_again, row_ids, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import limit_service_pb2 as pb
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceStub
from throughline.customer_contract.v1 import contract_pb2
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_core.errors import Refusal
from throughline_testing.samples import sample
from throughline_testing.serving import Running, a_caller

SALES = a_caller("sales_operations", subject="user:sam.sales")
FINANCE = a_caller("finance", subject="user:fin")
ELSEWHERE = a_caller("finance", subject="user:us", entities=[an_id("e2")])
OTHER = an_id("b2")
HARD = pb.LIMIT_ENFORCEMENT_HARD
SOFT = pb.LIMIT_ENFORCEMENT_SOFT


def limits_of(running: Running, caller: Any = SALES) -> Any:
    return running.stub(LimitServiceStub, caller=caller)


def an_hour(number: int, contract_id: object = CONTRACT) -> projects.TimeApproved:
    """Return one approved hour of a senior consultant, at 180.00."""
    entry = an_approved_entry(
        number,
        minutes=60,
        contract_id=str(contract_id),
        contract_line_id=str(line_of(contract_id, HOURS)),  # type: ignore[arg-type]  # an id
    )
    return approved(entry, number=number)


def an_expense(number: int, net: str, category: str = "meals") -> projects.ExpenseReportApproved:
    event = sample(projects.ExpenseReportApproved)
    event.expense_report_id = str(an_id(f"17{number:06x}"))
    [line] = event.lines[:1]
    del event.lines[1:]
    line.expense_line_id = str(an_id(f"172{number:05x}"))
    line.category = category
    line.net_amount.amount, line.net_amount.currency = net, "EUR"
    line.ClearField("receipt_net_amount")
    return event


def with_daily_cap(cap: str, *, version: int = 1) -> contract_pb2.Contract:
    contract = a_contract(version=version)
    for line in contract.lines:
        if line.contract_line_id == str(EXPENSES):
            rule = line.terms.expense_policy.rules.add(category="meals", markup_percent="0")
            rule.daily_cap.amount, rule.daily_cap.currency = cap, "EUR"
            line.terms.expense_policy.rules.add(category="travel", markup_percent="10")
    return contract


def settings(limit: pb.Limit, **different: object) -> pb.PutLimitSettingsRequest:
    values: dict[str, object] = {
        "request_id": str(uuid4()),
        "limit_account_id": limit.limit_account_id,
        "enforcement": HARD,
        "alert_percents": [80, 100],
        "reason": "as agreed with the customer",
    }
    return pb.PutLimitSettingsRequest(**{**values, **different})  # type: ignore[arg-type]  # mixed


def customer_limit(amount: str | None) -> pb.PutCustomerLimitRequest:
    request = pb.PutCustomerLimitRequest(
        request_id=str(uuid4()),
        customer_id=str(CUSTOMER),
        legal_entity_id=str(ENTITY),
        currency="EUR",
        reason="framework agreement of 2026",
    )
    if amount is not None:
        request.not_to_exceed.amount, request.not_to_exceed.currency = amount, "EUR"
    return request


async def the_limit(running: Running, **wanted: Any) -> pb.Limit:
    listed: pb.ListLimitsResponse = await limits_of(running).ListLimits(
        pb.ListLimitsRequest(**wanted)
    )
    [found] = listed.limits
    return found


async def refusal_of(call: object) -> str:
    with pytest.raises(Refusal) as refused:
        await call  # type: ignore[misc]  # a call of a stub
    return refused.value.stable_code


async def thresholds(engine: AsyncEngine) -> list[tuple[str, bool]]:
    return [
        (event.threshold_percent, event.reached)
        for event in await events_out(engine)
        if isinstance(event, own.LimitThresholdReached)
    ]


async def queue(engine: AsyncEngine) -> list[str]:
    found = await fetch(
        engine, "SELECT kind FROM exception_item WHERE closed_at IS NULL ORDER BY kind"
    )
    return [row.kind for row in found]


async def details(engine: AsyncEngine) -> list[str]:
    found = await fetch(
        engine, "SELECT detail FROM hold WHERE cleared_at IS NULL ORDER BY opened_at, hold_id"
    )
    return [row.detail for row in found]


async def test_a_hold_names_the_limit_and_what_is_left(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="1000.00")))
    await take(engine, *(an_hour(number) for number in range(1, 7)))
    assert (await rows(engine))[5:] == [
        ("99.00", "released", ""),
        ("81.00", "held", "limit_exceeded"),
    ]
    assert await details(engine) == [
        "over the limit of the contract line: 1000.00 EUR agreed, 1.00 EUR left"
    ]


async def test_what_is_used_is_told_at_each_threshold_and_when_it_falls_below(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="360.00")))
    await take(engine, an_hour(1))
    assert await thresholds(engine) == []
    await take(engine, an_hour(2))
    assert await thresholds(engine) == [("80", True), ("100", True)]
    assert await queue(engine) == ["limit.threshold_reached"]
    [told] = await fetch(engine, "SELECT reason FROM exception_item WHERE closed_at IS NULL")
    assert "is used to 100 %: 360.00 EUR of 360.00 EUR" in told.reason

    await take(engine, limit_changed(a_contract(not_to_exceed="400.00", version=2)))
    assert (await thresholds(engine))[2:] == [("100", False)]
    await take(engine, limit_changed(a_contract(not_to_exceed="3600.00", version=3)))
    assert (await thresholds(engine))[3:] == [("80", False)]
    assert await queue(engine) == []
    versions = [
        e.version for e in await events_out(engine) if isinstance(e, own.LimitThresholdReached)
    ]
    assert versions == [1, 2, 3, 4]
    assert (await the_limit(running)).used_percent == "10"


async def test_a_soft_limit_lets_work_go_on_and_tells(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="180.00")))
    await take(engine, an_hour(1), an_hour(2))
    assert [status for _, status, _ in await rows(engine)] == ["released", "held"]

    put = settings(await the_limit(running), enforcement=SOFT)
    limit = (await limits_of(running).PutLimitSettings(put)).limit
    assert [status for _, status, _ in await rows(engine)] == ["released"] * 2
    assert (limit.used_percent, limit.available.amount) == ("200", "-180.00")
    for percent, count in ((200, 1), (201, 0)):
        above = pb.ListLimitsRequest(used_percent_min=percent)
        assert len((await limits_of(running).ListLimits(above)).limits) == count
    await take(engine, an_hour(3))
    assert [status for _, status, _ in await rows(engine)] == ["released"] * 3
    assert "limit.agreed_below_taken" not in await queue(engine)

    # Hard again, it stays at what had been taken and takes no more.
    limit = (await limits_of(running).PutLimitSettings(settings(limit))).limit
    assert (limit.enforced.amount, limit.available.amount) == ("540.00", "0.00")
    assert "limit.agreed_below_taken" in await queue(engine)
    await take(engine, an_hour(4))
    assert [status for _, status, _ in await rows(engine)][3:] == ["held"]
    await assert_sound(engine)


async def test_the_tolerance_is_on_top_of_what_is_agreed(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="360.00")))
    await take(engine, *(an_hour(number) for number in (1, 2, 3)))
    put = settings(await the_limit(running), tolerance_percent="25")
    limit = (await limits_of(running).PutLimitSettings(put)).limit
    assert (limit.enforced.amount, limit.agreed.amount) == ("450.00", "360.00")
    assert (await rows(engine))[2:] == [
        ("180.00", "held", "limit_exceeded"),
        ("-90.00", "held", "limit_exceeded"),
        ("90.00", "released", ""),
    ]
    # A higher limit keeps its tolerance.
    await take(engine, limit_changed(a_contract(not_to_exceed="600.00", version=2)))
    assert (await the_limit(running)).enforced.amount == "750.00"
    assert [hold for _, _, hold in await rows(engine)] == [""] * 5
    await assert_sound(engine)


async def test_settings_keep_their_history_and_refuse_what_means_nothing(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="360.00")))
    limit, sales = await the_limit(running), limits_of(running)
    put = settings(limit, alert_percents=[50], reason="warn early")
    for _ in range(2):
        await sales.PutLimitSettings(put)
    await sales.PutLimitSettings(settings(limit, alert_percents=[]))
    listed = await sales.ListLimitSettings(
        pb.ListLimitSettingsRequest(limit_account_id=limit.limit_account_id)
    )
    assert [(each.version, list(each.alert_percents), each.set_by) for each in listed.settings] == [
        (2, [], "user:sam.sales"),
        (1, [50], "user:sam.sales"),
    ]
    repeated = settings(limit, alert_percents=[80, 80])
    assert await refusal_of(sales.PutLimitSettings(repeated)) == "limit.thresholds_repeated"
    unknown = settings(limit, limit_account_id=str(an_id("abc")))
    assert await refusal_of(sales.PutLimitSettings(unknown)) == "limit.not_found"
    elsewhere = limits_of(running, ELSEWHERE).PutLimitSettings(settings(limit))
    assert await refusal_of(elsewhere) == "caller.entity_forbidden"


async def test_a_statement_shows_what_moved_a_limit(engine: AsyncEngine, running: Running) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="360.00")))
    await take(engine, an_hour(1), an_hour(2))
    first, _ = await row_ids(engine)
    await take(engine, billed((first, "1.00", "180.00")))
    limit = await the_limit(running)
    assert (limit.reserved.amount, limit.committed.amount) == ("180.00", "180.00")
    request = pb.ListLimitEntriesRequest(limit_account_id=limit.limit_account_id, page_size=2)
    page = await limits_of(running).ListLimitEntries(request)
    request.page_token = page.next_page_token
    last = await limits_of(running).ListLimitEntries(request)
    assert [(each.kind, each.amount.amount) for each in (*page.entries, *last.entries)] == [
        (pb.LIMIT_ENTRY_KIND_RESERVE, "180.00"),
        (pb.LIMIT_ENTRY_KIND_RESERVE, "180.00"),
        (pb.LIMIT_ENTRY_KIND_COMMIT, "180.00"),
    ]
    assert last.next_page_token == ""


async def test_a_customer_is_billed_no_more_than_its_framework_over_all_contracts(
    engine: AsyncEngine, running: Running
) -> None:
    await take(
        engine, recorded(), activated(a_contract()), activated(a_contract(contract_id=OTHER))
    )
    await take(engine, an_hour(1))
    limit = (await limits_of(running).PutCustomerLimit(customer_limit("400.00"))).limit
    assert (limit.scope, limit.reserved.amount) == (pb.LIMIT_SCOPE_CUSTOMER, "180.00")
    await take(engine, an_hour(2, OTHER), an_hour(3, OTHER), an_hour(4))
    assert [(amount, hold) for amount, _, hold in await rows(engine)] == [
        ("180.00", ""),
        ("180.00", ""),
        ("39.60", ""),
        ("140.40", "limit_exceeded"),
        ("180.00", "limit_exceeded"),
    ]
    assert (await details(engine))[0].startswith(
        "over the limit of the customer over all contracts"
    )
    await assert_sound(engine)


async def test_a_higher_limit_of_a_customer_takes_two_and_frees_what_it_stopped(
    engine: AsyncEngine, running: Running
) -> None:
    sales, finance = limits_of(running), limits_of(running, FINANCE)
    await sales.PutCustomerLimit(customer_limit("180.00"))
    await take(
        engine, recorded(), activated(a_contract()), activated(a_contract(contract_id=OTHER))
    )
    await take(engine, an_hour(1), an_hour(2, OTHER))

    put = customer_limit("360.00")
    replies = [await sales.PutCustomerLimit(put) for _ in range(2)]
    assert replies[0] == replies[1]
    proposal = replies[0].proposal
    assert (replies[0].limit.agreed.amount, proposal.not_to_exceed.amount) == ("180.00", "360.00")
    refused = sales.PutCustomerLimit(customer_limit(None))
    assert await refusal_of(refused) == "customer_limit.already_proposed"
    proposal_id = proposal.customer_limit_proposal_id

    def approve() -> pb.ApproveCustomerLimitProposalRequest:
        return pb.ApproveCustomerLimitProposalRequest(
            request_id=str(uuid4()), customer_limit_proposal_id=proposal_id
        )

    own_call = sales.ApproveCustomerLimitProposal(approve())
    assert await refusal_of(own_call) == "customer_limit_proposal.own"
    done = await finance.ApproveCustomerLimitProposal(approve())
    assert (done.limit.agreed.amount, done.proposal.decided_by) == ("360.00", "user:fin")
    assert [status for _, status, _ in await rows(engine)] == ["released"] * 2
    again = finance.ApproveCustomerLimitProposal(approve())
    assert await refusal_of(again) == "request.illegal_transition"

    unchanged = sales.PutCustomerLimit(customer_limit("360.00"))
    assert await refusal_of(unchanged) == "customer_limit.unchanged"
    lowered = await sales.PutCustomerLimit(customer_limit("100.00"))
    assert not lowered.HasField("proposal")
    assert (lowered.limit.agreed.amount, lowered.limit.enforced.amount) == ("100.00", "360.00")
    listed = await sales.ListCustomerLimitProposals(
        pb.ListCustomerLimitProposalsRequest(
            status=pb.CUSTOMER_LIMIT_PROPOSAL_STATUS_APPROVED, customer_id=str(CUSTOMER)
        )
    )
    assert [each.reason for each in listed.proposals] == ["framework agreement of 2026"]


async def test_a_rejected_limit_changes_nothing(engine: AsyncEngine, running: Running) -> None:
    sales = limits_of(running)
    await sales.PutCustomerLimit(customer_limit("180.00"))
    proposal = (await sales.PutCustomerLimit(customer_limit(None))).proposal
    assert not proposal.HasField("not_to_exceed")
    await sales.RejectCustomerLimitProposal(
        pb.RejectCustomerLimitProposalRequest(
            request_id=str(uuid4()),
            customer_limit_proposal_id=proposal.customer_limit_proposal_id,
            comment="not signed yet",
        )
    )
    assert (await the_limit(running)).agreed.amount == "180.00"


async def test_writers_under_two_contracts_racing_for_the_last_euro_take_it_once(
    engine: AsyncEngine, running: Running
) -> None:
    await limits_of(running).PutCustomerLimit(customer_limit("1800.00"))
    await take(
        engine, recorded(), activated(a_contract()), activated(a_contract(contract_id=OTHER))
    )
    await asyncio.gather(
        *(
            take(engine, an_hour(number, CONTRACT if number % 2 else OTHER))
            for number in range(1, 17)
        )
    )
    statuses = [status for _, status, _ in await rows(engine)]
    assert (statuses.count("released"), statuses.count("held")) == (10, 6)
    limit = await the_limit(running)
    assert (limit.reserved.amount, limit.available.amount) == ("1800.00", "0.00")
    await assert_sound(engine)


async def test_a_first_customer_limit_racing_with_work_counts_all_of_it(
    engine: AsyncEngine, running: Running
) -> None:
    await take(
        engine, recorded(), activated(a_contract()), activated(a_contract(contract_id=OTHER))
    )
    await asyncio.gather(
        *(take(engine, an_hour(number, OTHER)) for number in range(1, 9)),
        limits_of(running).PutCustomerLimit(customer_limit("9999.00")),
    )
    assert (await the_limit(running)).reserved.amount == "1440.00"
    await assert_sound(engine)


async def test_a_daily_cap_holds_what_a_person_spends_over_it(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(with_daily_cap("50.00")))
    await take(engine, an_expense(1, "30.00"))
    await take(engine, an_expense(2, "40.00"), an_expense(3, "400.00", "travel"))
    assert await rows(engine) == [
        ("30.00", "released", ""),
        ("20.00", "released", ""),
        ("20.00", "held", "limit_exceeded"),
        ("440.00", "released", ""),
    ]
    [limit] = (
        await limits_of(running).ListLimits(pb.ListLimitsRequest(scope=pb.LIMIT_SCOPE_CATEGORY))
    ).limits
    assert (limit.category, limit.available.amount, limit.used_percent) == ("meals", "0.00", "100")
    assert await thresholds(engine) == []
    assert await details(engine) == [
        f"over the limit of meals of one person on {limit.day}: 50.00 EUR agreed, 0.00 EUR left"
    ]
    await assert_sound(engine)


async def test_a_daily_cap_that_is_raised_frees_what_it_held(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(with_daily_cap("50.00")))
    await take(engine, an_expense(1, "80.00"))
    await take(engine, limit_changed(with_daily_cap("80.00", version=2)))
    assert await rows(engine) == [("50.00", "released", ""), ("30.00", "released", "")]
    await assert_sound(engine)


async def test_racing_expenses_of_one_day_meet_one_cap(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(with_daily_cap("50.00")))
    await asyncio.gather(*(take(engine, an_expense(number, "10.00")) for number in range(1, 9)))
    statuses = [status for _, status, _ in await rows(engine)]
    assert (statuses.count("released"), statuses.count("held")) == (5, 3)
    await assert_sound(engine)


async def test_an_expense_of_a_category_the_line_does_not_bill_waits(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(with_daily_cap("50.00")))
    await take(engine, an_expense(1, "30.00", "software"))
    assert await rows(engine) == []
    assert await details(engine) == ["the line does not bill expenses for software"]


def credited(row_id: str, *, given_up: bool) -> invoices.InvoiceItemsCredited:
    """Return the credit note that gives one hour of a row back, or writes it off."""
    event = sample(invoices.InvoiceItemsCredited)
    [item] = event.items
    item.billing_event_id, item.quantity = row_id, "1.00"
    item.amount.amount, item.amount.currency = "180.00", "EUR"
    if given_up:
        item.disposition = invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF
    return event


async def test_what_is_credited_is_reserved_again(engine: AsyncEngine, running: Running) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="180.00")))
    await take(engine, an_hour(1), an_hour(2))
    first, _ = await row_ids(engine)
    await take(engine, billed((first, "1.00", "180.00")))
    await take(engine, credited(first, given_up=False))
    limit = await the_limit(running)
    assert (limit.reserved.amount, limit.committed.amount) == ("180.00", "0.00")
    assert [status for _, status, _ in await rows(engine)] == ["released", "held"]
    await assert_sound(engine)


async def test_what_is_credited_and_given_up_makes_room(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="180.00")))
    await take(engine, an_hour(1), an_hour(2))
    first, _ = await row_ids(engine)
    await take(engine, billed((first, "1.00", "180.00")))
    await take(engine, credited(first, given_up=True))
    assert await look_again(engine) == 1
    limit = await the_limit(running)
    assert (limit.reserved.amount, limit.committed.amount) == ("180.00", "0.00")
    assert [status for _, status, _ in await rows(engine)] == ["released", "released"]
    await assert_sound(engine)

    # A limit set afterwards counts what was given up no more.
    reply = await limits_of(running).PutCustomerLimit(customer_limit("500.00"))
    assert (reply.limit.reserved.amount, reply.limit.committed.amount) == ("180.00", "0.00")
    await assert_sound(engine)
