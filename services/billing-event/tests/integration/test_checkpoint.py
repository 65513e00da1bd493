"""What a row tells of the checkpoint: who let it pass, and why it waits for somebody."""

from typing import Any
from uuid import uuid4

import pytest
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    a_contract,
    activated,
    an_approved_entry,
    approved,
    recorded,
)
from billing_event_world import events_out, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline.billing_event.v1 import billing_event_service_pb2 as event_pb
from throughline.billing_event.v1 import release_policy_service_pb2 as policy_pb
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.billing_event.v1.release_policy_service_pb2_grpc import ReleasePolicyServiceStub
from throughline.common.v1 import money_pb2
from throughline_testing.serving import Running, a_caller

FINANCE = a_caller("finance", subject="user:fin")


def eur(amount: str) -> money_pb2.Money:
    return money_pb2.Money(amount=amount, currency="EUR")


def a_rule(name: str, threshold: str, **only: Any) -> policy_pb.ReleaseRule:
    return policy_pb.ReleaseRule(name=name, threshold=eur(threshold), **only)


async def put_policy(running: Running, threshold: str, *rules: policy_pb.ReleaseRule) -> None:
    await running.stub(ReleasePolicyServiceStub, caller=FINANCE).PutReleasePolicy(
        policy_pb.PutReleasePolicyRequest(
            request_id=str(uuid4()),
            legal_entity_id=str(ENTITY),
            threshold=eur(threshold),
            rules=rules,
        )
    )


async def told(running: Running) -> pb.BillingEvent:
    """Return the only row, of which a list says the same as a single answer."""
    stub = running.stub(BillingEventServiceStub, caller=FINANCE)
    [listed] = (await stub.ListBillingEvents(event_pb.ListBillingEventsRequest())).billing_events
    request = event_pb.GetBillingEventRequest(billing_event_id=listed.billing_event_id)
    single: pb.BillingEvent = (await stub.GetBillingEvent(request)).billing_event
    assert listed == single
    return single


async def work(engine: AsyncEngine) -> None:
    """Have eight hours approved that are worth 1,440.00."""
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry()))


async def test_a_row_that_passed_by_policy_says_so(engine: AsyncEngine, running: Running) -> None:
    await work(engine)
    row = await told(running)
    assert row.released_by == "policy"
    assert not row.HasField("checkpoint")


async def test_a_row_says_who_released_it(engine: AsyncEngine, running: Running) -> None:
    await put_policy(running, "1000.00")
    await work(engine)
    waiting = await told(running)
    assert waiting.released_by == ""
    await running.stub(BillingEventServiceStub, caller=FINANCE).ReleaseBillingEvents(
        event_pb.ReleaseBillingEventsRequest(
            request_id="1", billing_event_ids=[waiting.billing_event_id]
        )
    )
    row = await told(running)
    assert row.released_by == "user:fin"
    assert not row.HasField("checkpoint")


OLD = a_rule("old work", "0.00", min_age_days=1)
OTHERS = a_rule("expenses", "0.00", types=[pb.BILLING_EVENT_TYPE_EXPENSE])
CLIENT = a_rule("this client", "500.00", contract_id=str(CONTRACT))


@pytest.mark.parametrize(
    ("rules", "rule", "threshold", "reason"),
    [
        ([], "", "1000.00", "1440.00 EUR is above the 1000.00 EUR of the legal entity's threshold"),
        ([OTHERS, CLIENT], "this client", "500.00", "above the 500.00 EUR of rule this client"),
        ([OLD, CLIENT], "old work", "0.00", "above the 0.00 EUR of rule old work"),
    ],
)
async def test_a_row_that_waits_names_the_rule_or_the_threshold(
    engine: AsyncEngine,
    running: Running,
    rules: list[policy_pb.ReleaseRule],
    rule: str,
    threshold: str,
    reason: str,
) -> None:
    await take(engine, recorded(), activated(a_contract()))
    await put_policy(running, "1000.00", *rules)
    await work(engine)
    checkpoint = (await told(running)).checkpoint
    assert (checkpoint.rule, checkpoint.threshold) == (rule, eur(threshold))
    assert reason in checkpoint.reason


async def test_a_row_that_would_pass_by_now_says_that_it_keeps_waiting(
    engine: AsyncEngine, running: Running
) -> None:
    await put_policy(running, "1000.00")
    await work(engine)
    await put_policy(running, "2000.00")
    checkpoint = (await told(running)).checkpoint
    assert checkpoint.threshold == eur("2000.00")
    assert "keeps waiting" in checkpoint.reason


async def test_events_do_not_repeat_it_row_by_row(engine: AsyncEngine, running: Running) -> None:
    await work(engine)
    [released] = [
        each for each in await events_out(engine) if isinstance(each, own.BillingEventsReleased)
    ]
    assert released.released_by == "policy"
    assert {row.released_by for row in released.billing_events} == {""}
