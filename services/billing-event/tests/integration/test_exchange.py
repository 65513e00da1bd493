"""Rates of exchange arrive, and what waited for one is rated; policies decide which one."""

from typing import Any

import pytest
from billing_event_builders import ENTITY, a_contract, activated, recorded
from billing_event_sources import key, rates
from billing_event_world import assert_sound, events_out, fetch, rows, take, unrated
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import exchange_policy_service_pb2 as pb
from throughline.billing_event.v1.exchange_policy_service_pb2_grpc import (
    ExchangePolicyServiceStub,
)
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_core.errors import Refusal
from throughline_testing.samples import sample
from throughline_testing.serving import Running, a_caller
from throughline_testing.statements import Statements

FINANCE = a_caller("finance", subject="user:fin")
ELSEWHERE = a_caller("finance", subject="user:us", entities=[])


def an_expense_in_dollars(number: int = 1, **different: str) -> projects.ExpenseReportApproved:
    report: projects.ExpenseReportApproved = sample(projects.ExpenseReportApproved)
    [line] = report.lines
    line.expense_line_id = line.expense_line_id[:-4] + f"{number:04x}"
    line.net_amount.amount, line.net_amount.currency = "100.00", "USD"
    line.ClearField("receipt_net_amount")
    for name, value in different.items():
        setattr(line, name, value)
    return report


async def put(running: Running, caller: Any = FINANCE, **policy: Any) -> pb.ExchangePolicy:
    request = pb.PutExchangePolicyRequest(request_id=key(), legal_entity_id=str(ENTITY), **policy)
    stub = running.stub(ExchangePolicyServiceStub, caller=caller)
    return (await stub.PutExchangePolicy(request)).exchange_policy


async def test_a_cost_in_another_currency_waits_for_its_rate_and_is_freed_by_it(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract()), an_expense_in_dollars())
    assert await unrated(engine) == ["missing_fx_rate"]
    [hold] = await fetch(engine, "SELECT detail, owner FROM hold")
    assert "from USD to EUR for 2026-09-" in hold.detail

    day = sample(projects.ExpenseReportApproved).lines[0].incurred_on
    await take(engine, rates(("USD", day, "1.25")))

    [(amount, status, reasons)] = await rows(engine)
    assert (amount, status, reasons) == ("84.00", "released", "")  # 80.00 plus 5 %
    assert await unrated(engine) == []
    [row] = [
        row
        for event in await events_out(engine)
        if isinstance(event, own.BillingEventsRated)
        for row in event.billing_events
    ]
    assert (row.conversion.rate, row.conversion.source) == ("0.8", "ecb")
    assert (row.conversion.rate_on, getattr(row.conversion, "from").currency) == (day, "USD")
    await assert_sound(engine)


async def test_a_rate_of_another_pair_or_too_old_frees_nothing(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract()), an_expense_in_dollars())
    await take(engine, rates(("GBP", "2026-09-10", "0.85"), ("USD", "2026-08-01", "1.1")))
    assert await unrated(engine) == ["missing_fx_rate"]


async def test_the_same_rates_again_change_nothing_and_the_first_stays(
    engine: AsyncEngine,
) -> None:
    await take(engine, rates(("USD", "2026-09-10", "1.25")))
    await take(engine, rates(("USD", "2026-09-10", "9"), number=2))
    [rate] = await fetch(engine, "SELECT rate FROM exchange_rate")
    assert str(rate.rate) == "1.25"


async def test_a_policy_frees_what_it_can_convert(engine: AsyncEngine, running: Running) -> None:
    await take(engine, recorded(), activated(a_contract()), an_expense_in_dollars())
    fixed = [pb.FixedExchangeRate(base="USD", quote="EUR", rate="0.9")]
    policy = await put(running, rule=pb.EXCHANGE_DATE_RULE_FIXED, fixed_rates=fixed)
    assert (policy.version, policy.set_by) == (1, "user:fin")
    assert [amount for amount, _, _ in await rows(engine)] == ["94.50"]
    assert (await put(running, rule=pb.EXCHANGE_DATE_RULE_WORK_DATE)).version == 2


async def test_what_waits_for_a_rate_tells_which_one_by_the_policy_in_force(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract()), an_expense_in_dollars())
    rule = pb.EXCHANGE_DATE_RULE_PREVIOUS_MONTH_END
    await put(running, rule=rule, days_max=3)
    [detail] = [
        hold.detail
        for hold in await fetch(engine, "SELECT detail FROM hold WHERE cleared_at IS NULL")
    ]
    assert "for 2026-08-31, nor for the 3 days before" in detail

    await take(engine, rates(("GBP", "2026-09-10", "0.85")))
    assert len(await fetch(engine, "SELECT 1 FROM hold")) == 2


async def test_an_entity_without_a_policy_has_the_default(running: Running) -> None:
    stub = running.stub(ExchangePolicyServiceStub, caller=FINANCE)
    found = await stub.GetExchangePolicy(pb.GetExchangePolicyRequest(legal_entity_id=str(ENTITY)))
    policy = found.exchange_policy
    assert (policy.version, policy.days_max) == (0, 7)
    assert policy.rule == pb.EXCHANGE_DATE_RULE_WORK_DATE


async def test_policies_are_refused_where_they_make_no_sense_or_are_not_for_the_caller(
    running: Running,
) -> None:
    euro = [pb.FixedExchangeRate(base="USD", quote="EUR", rate="0.9")]
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (FINANCE, {"rule": pb.EXCHANGE_DATE_RULE_FIXED}, "exchange_policy.inconsistent"),
        (
            FINANCE,
            {"rule": pb.EXCHANGE_DATE_RULE_WORK_DATE, "fixed_rates": euro},
            "exchange_policy.inconsistent",
        ),
        (ELSEWHERE, {"rule": pb.EXCHANGE_DATE_RULE_WORK_DATE}, "caller.entity_forbidden"),
    ]
    for caller, policy, code in cases:
        with pytest.raises(Refusal) as refused:
            await put(running, caller, **policy)
        assert refused.value.stable_code == code
    listed = await running.stub(ExchangePolicyServiceStub, caller=FINANCE).ListExchangePolicies(
        pb.ListExchangePoliciesRequest()
    )
    assert not listed.exchange_policies


async def test_a_batch_that_needs_rates_takes_no_more_statements_for_more_things(
    engine: AsyncEngine, statements: Statements
) -> None:
    await take(engine, recorded(), activated(a_contract()), rates(("USD", "2026-09-10", "1.25")))
    counts = []
    for numbers in (range(1, 3), range(3, 40)):
        statements.clear()
        await take(engine, *(an_expense_in_dollars(n, incurred_on="2026-09-10") for n in numbers))
        counts.append(len(statements))
    assert counts[0] == counts[1]
