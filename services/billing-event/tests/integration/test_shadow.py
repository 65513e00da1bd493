"""Other rules beside the live ones: every difference is told, nothing is changed."""

from datetime import timedelta
from typing import Any

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    published,
    recorded,
)
from billing_event_world import fetch, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from billing_event.commands import shadow
from throughline.billing_event.v1 import shadow_service_pb2 as pb
from throughline.billing_event.v1.shadow_service_pb2_grpc import ShadowServiceStub
from throughline.customer_contract.v1 import contract_pb2, rate_card_pb2
from throughline_core.errors import FailedPrecondition, Refusal
from throughline_runtime.context import Context
from throughline_testing.serving import Running, a_caller

FINANCE = a_caller("finance")


@pytest.fixture(autouse=True)
def _nothing_is_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is looked at as soon as it is there."""
    monkeypatch.setattr(shadow, "_SETTLING", timedelta(0))


def candidate(rate: str) -> pb.ShadowRules:
    """Return rules in which the card of the story has another rate, and lines have none."""
    card = published({"senior_consultant": rate}, version=2).rate_card
    return pb.ShadowRules(rate_cards=[card], ignore_line_rates=True)


async def start(
    running: Running,
    rules: pb.ShadowRules,
    *,
    live: bool = False,
    key: str = "run",
    **scope: Any,
) -> Any:
    reply = await running.stub(ShadowServiceStub, caller=FINANCE).StartShadowRun(
        pb.StartShadowRunRequest(
            request_id=key,
            name="rates of next year",
            rules=rules,
            scope=pb.ShadowScope(**scope),
            live=live,
        )
    )
    return reply.shadow_run


async def looked_at(running: Running, context: Context, run: Any) -> Any:
    await schedules.compare_rules(context)
    request = pb.GetShadowRunRequest(shadow_run_id=run.shadow_run_id)
    return (await running.stub(ShadowServiceStub, caller=FINANCE).GetShadowRun(request)).shadow_run


async def differences(running: Running, run: Any, *, page_size: int = 50) -> list[Any]:
    found: list[Any] = []
    token = ""
    while True:
        page = await running.stub(ShadowServiceStub, caller=FINANCE).ListShadowDifferences(
            pb.ListShadowDifferencesRequest(
                shadow_run_id=run.shadow_run_id, page_size=page_size, page_token=token
            )
        )
        found += page.differences
        token = page.next_page_token
        if not token:
            return found


async def worked(engine: AsyncEngine, count: int, *, minutes: int = 480, first: int = 1) -> None:
    entries = [an_approved_entry(number, minutes=minutes) for number in range(first, first + count)]
    await take(engine, recorded(), activated(a_contract()), approved(*entries, number=first))


async def test_every_difference_is_told_and_nothing_changes(
    engine: AsyncEngine, running: Running, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "CHUNK_ITEMS", 2)
    await worked(engine, 5)
    before = await rows(engine)
    outbox = await fetch(engine, "SELECT count(*) AS count FROM outbox")
    run = await looked_at(running, context, await start(running, candidate("200.00")))
    assert run.status == pb.SHADOW_RUN_STATUS_DONE
    assert (run.items_rated, run.items_different) == (5, 5)
    [total] = run.totals
    assert (total.live.amount, total.shadow.amount) == ("7200.00", "8000.00")
    assert total.difference.amount == "800.00"
    found = await differences(running, run, page_size=2)
    assert {each.difference.amount for each in found} == {"160.00"}
    assert len({each.source_item_id for each in found}) == 5
    assert "contract line rate" in found[0].live.explanation
    assert "version 2" in found[0].shadow.explanation
    assert await rows(engine) == before
    assert await fetch(engine, "SELECT count(*) AS count FROM outbox") == outbox


async def test_the_same_price_found_otherwise_is_no_difference(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await worked(engine, 1)
    run = await looked_at(running, context, await start(running, candidate("180.00")))
    assert (run.items_rated, run.items_different) == (1, 0)


async def test_a_price_that_would_be_missing_is_a_difference(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await worked(engine, 1)
    run = await start(running, pb.ShadowRules(ignore_line_rates=True))
    run = await looked_at(running, context, run)
    [found] = await differences(running, run)
    assert (found.live.outcome, found.shadow.outcome) == ("priced", "held")
    assert found.shadow.explanation.startswith("missing_rate")
    assert found.difference.amount == "-1440.00"


async def test_a_rounding_is_tried_out(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await worked(engine, 1, minutes=50)
    rules = pb.ShadowRules(
        time_rounding_minutes=30, time_rounding_mode=contract_pb2.TIME_ROUNDING_MODE_UP
    )
    run = await looked_at(running, context, await start(running, rules))
    [found] = await differences(running, run)
    assert (found.live.quantity, found.shadow.quantity) == ("0.83", "1")
    assert found.difference.amount == "30.60"


async def test_live_work_is_compared_as_it_arrives_until_the_run_is_stopped(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await worked(engine, 2)
    run = await start(running, candidate("200.00"), live=True)
    assert (await looked_at(running, context, run)).items_rated == 0
    await worked(engine, 3, first=10)
    run = await looked_at(running, context, run)
    assert (run.items_rated, run.status) == (3, pb.SHADOW_RUN_STATUS_RUNNING)
    stub = running.stub(ShadowServiceStub, caller=FINANCE)
    await stub.StopShadowRun(
        pb.StopShadowRunRequest(request_id="stop", shadow_run_id=run.shadow_run_id)
    )
    await worked(engine, 1, first=20)
    assert (await looked_at(running, context, run)).items_rated == 3
    await stub.ResumeShadowRun(
        pb.ResumeShadowRunRequest(request_id="resume", shadow_run_id=run.shadow_run_id)
    )
    assert (await looked_at(running, context, run)).items_rated == 4


async def test_a_scope_narrows_what_is_compared(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await worked(engine, 2)
    past = await start(running, candidate("200.00"), service_through="2026-08-31")
    assert (await looked_at(running, context, past)).items_rated == 0
    of_contract = await start(
        running, candidate("200.00"), key="2", contract_id=str(a_contract().contract_id)
    )
    assert (await looked_at(running, context, of_contract)).items_rated == 2


async def test_rules_that_name_nothing_or_one_card_twice_are_refused(running: Running) -> None:
    with pytest.raises(Refusal) as nothing:
        await start(running, pb.ShadowRules())
    assert nothing.value.stable_code == "shadow_run.no_rules"
    card = published({"senior_consultant": "1.00"}).rate_card
    with pytest.raises(Refusal) as twice:
        await start(running, pb.ShadowRules(rate_cards=[card, card]), key="2")
    assert twice.value.stable_code == "shadow_run.rate_card_twice"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"hourly_rate": {"amount": "-1.00", "currency": "EUR"}}, "hourly_rate"),
        ({"valid_from": "2026-09-10", "valid_to": "2026-09-10"}, "valid_to"),
    ],
)
async def test_a_card_to_try_has_prices_that_hold_for_some_day(
    running: Running, entry: dict[str, Any], field: str
) -> None:
    rules = candidate("200.00")
    rules.rate_cards[0].entries[0].MergeFrom(rate_card_pb2.RateCardEntry(**entry))
    with pytest.raises(Refusal) as refused:
        await start(running, rules)
    assert refused.value.stable_code == "shadow_run.no_price"
    assert refused.value.field == f"rules.rate_cards[0].entries.{field}"


async def test_a_run_for_a_contract_nobody_knows_is_refused(running: Running) -> None:
    with pytest.raises(Refusal) as refused:
        await start(running, candidate("200.00"), contract_id=str(an_id("bad")))
    assert refused.value.stable_code == "contract.not_found"


async def test_a_run_that_is_done_is_not_stopped(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    run = await looked_at(running, context, await start(running, candidate("200.00")))
    with pytest.raises(FailedPrecondition):
        await running.stub(ShadowServiceStub, caller=FINANCE).StopShadowRun(
            pb.StopShadowRunRequest(request_id="stop", shadow_run_id=run.shadow_run_id)
        )
