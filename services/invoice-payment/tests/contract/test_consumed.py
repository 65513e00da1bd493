"""What the service makes of the events agreed in `proto/samples`."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from invoice_payment_builders import CONTRACT, DE01, RELEASED_AT, an_id
from invoice_payment_world import World

from invoice_payment import consumers
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractActivated,
    ContractAmended,
    ContractCompleted,
    ContractLimitChanged,
    ContractTerminated,
    CustomerRecorded,
    LegalEntityRecorded,
)
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import JournalPosted
from throughline_runtime.clock import Clock
from throughline_testing.samples import sample


async def test_a_recorded_entity_can_invoice_and_has_its_accounts(bare_world: World) -> None:
    await bare_world.told(consumers.keep_entities, sample(LegalEntityRecorded))

    assert await bare_world.rows("SELECT legal_entity_id, code, time_zone FROM legal_entity") == [
        (DE01, "DE01", "Europe/Berlin")
    ]
    assert await bare_world.value("SELECT count(*) FROM account_mapping") == 13


async def test_a_recorded_customer_can_be_billed(bare_world: World) -> None:
    await bare_world.told(consumers.keep_customers, sample(CustomerRecorded))

    assert await bare_world.rows("SELECT name, tax_id, is_registered FROM customer") == [
        ("Nordwind Logistik GmbH", "DE284917655", True)
    ]


async def test_an_active_contract_says_how_to_invoice(bare_world: World) -> None:
    await bare_world.told(consumers.keep_activated_terms, sample(ContractActivated))

    query = "SELECT version, number, payment_terms_days, line_detail FROM contract_terms"
    assert await bare_world.rows(query) == [(3, "CT-000017", 30, "role")]


async def test_a_changed_limit_brings_the_next_terms(bare_world: World) -> None:
    await bare_world.told(consumers.keep_changed_terms, sample(ContractLimitChanged))

    assert await bare_world.value("SELECT version FROM contract_terms") == 4


@pytest.mark.parametrize("message", [ContractAmended, ContractTerminated, ContractCompleted])
async def test_amended_and_ended_contracts_bring_their_terms(
    bare_world: World, message: type[Any]
) -> None:
    event = sample(message)
    await bare_world.told(consumers.keep_changed_terms, event)
    assert await bare_world.value("SELECT version FROM contract_terms") == event.contract.version


async def test_released_work_is_billable_and_recognised(world: World) -> None:
    await world.told(consumers.take_released, sample(BillingEventsReleased))

    query = """
        SELECT billing_event_id, contract_id, type, billable_on, quantity, recognised_amount,
               released_at
        FROM billable_item ORDER BY billing_event_id
    """
    assert await world.rows(query) == [
        (
            an_id("181"),
            CONTRACT,
            "time",
            date(2026, 9, 7),
            Decimal("8.00"),
            Decimal("1440.00"),
            RELEASED_AT,
        ),
        (
            an_id("182"),
            CONTRACT,
            "milestone",
            date(2026, 9, 11),
            Decimal(1),
            Decimal("9600.00"),
            RELEASED_AT,
        ),
    ]
    [posted] = await world.published(JournalPosted)
    assert posted.journal_entry.fact == "release"
    assert [line.debit.amount for line in posted.journal_entry.lines[::2]] == ["1440.00", "9600.00"]


@pytest.mark.parametrize(
    "subscription", consumers.subscriptions(Clock()), ids=lambda each: each.durable
)
def test_each_durable_is_named_for_the_service(subscription: object) -> None:
    assert getattr(subscription, "durable", "").startswith("invoice-payment-")
