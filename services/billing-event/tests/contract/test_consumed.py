"""What others publish, as agreed in their samples, leaves the position it has to leave."""

from collections.abc import Callable
from typing import Any

from billing_event_builders import CONTRACT, CUSTOMER, an_id
from billing_event_world import assert_sound, fetch, limit, row_ids, rows, take, totals
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)

Sample = Callable[[type[Any]], Any]


async def take_facts(engine: AsyncEngine, sample: Sample) -> None:
    await take(
        engine,
        sample(contracts.CustomerRecorded),
        sample(contracts.RateCardPublished),
        sample(contracts.ContractActivated),
    )


async def test_a_customer_is_kept(engine: AsyncEngine, sample: Sample) -> None:
    await take(engine, sample(contracts.CustomerRecorded))
    [state] = await fetch(engine, "SELECT * FROM customer_state")
    assert (state.customer_id, state.tax_status) == (CUSTOMER, "valid")
    assert not state.is_on_credit_hold


async def test_a_rate_card_is_kept(engine: AsyncEngine, sample: Sample) -> None:
    await take(engine, sample(contracts.RateCardPublished))
    [card] = await fetch(engine, "SELECT * FROM rate_card")
    assert (card.rate_card_id, card.version) == (an_id("d1"), 1)


async def test_a_contract_sets_limits_and_the_billing_calendar(
    engine: AsyncEngine, sample: Sample
) -> None:
    await take(engine, sample(contracts.ContractActivated))
    assert await limit(engine) == ("60000.00", "0.00", "0.00")
    periods = await fetch(engine, "SELECT * FROM recurring_period ORDER BY due_on")
    assert (len(periods), periods[0].contract_id) == (12, CONTRACT)


async def test_a_changed_limit_is_enforced(engine: AsyncEngine, sample: Sample) -> None:
    await take(engine, sample(contracts.ContractActivated))
    await take(engine, sample(contracts.ContractLimitChanged))
    assert await limit(engine) == ("66000.00", "0.00", "0.00")


async def test_approved_time_is_rated(engine: AsyncEngine, sample: Sample) -> None:
    await take_facts(engine, sample)
    await take(engine, sample(projects.TimeApproved))
    assert await rows(engine) == [("1440.00", "released", "")]
    assert (await totals(engine))["source_time"] == {"entries": 1, "minutes": 480}


async def test_approved_expenses_are_rated(engine: AsyncEngine, sample: Sample) -> None:
    await take_facts(engine, sample)
    await take(engine, sample(projects.ExpenseReportApproved))
    assert await rows(engine) == [("210.00", "released", "")]


async def test_a_completed_milestone_waits_for_its_acceptance(
    engine: AsyncEngine, sample: Sample
) -> None:
    await take_facts(engine, sample)
    await take(engine, sample(projects.MilestoneCompleted))
    assert await rows(engine) == [("9600.00", "held", "awaiting_acceptance")]
    await take(engine, sample(projects.MilestoneAccepted))
    assert await rows(engine) == [("9600.00", "eligible", "")]


async def test_a_refused_milestone_is_held_until_it_is_accepted(
    engine: AsyncEngine, sample: Sample
) -> None:
    await take_facts(engine, sample)
    await take(engine, sample(projects.MilestoneRejected))
    assert await rows(engine) == [("14400.00", "held", "awaiting_acceptance")]
    [hold] = await fetch(engine, "SELECT detail FROM hold")
    assert hold.detail == "the client refused the milestone: the integration view is missing"


async def test_what_was_invoiced_is_no_longer_open(engine: AsyncEngine, sample: Sample) -> None:
    await take_facts(engine, sample)
    await take(engine, sample(projects.TimeApproved))
    billed = sample(invoices.InvoiceItemsBilled)
    # The story's ids stand for those that are derived from the time entry.
    hour = next(item for item in billed.items if item.billing_event_id == str(an_id("181")))
    [hour.billing_event_id] = await row_ids(engine)
    del billed.items[:]
    billed.items.append(hour)
    await take(engine, billed)

    positions = (await totals(engine))["positions"]
    assert (positions["allocated.EUR"], positions["open_released.EUR"]) == (1440, 0)
    assert await limit(engine) == ("60000.00", "0.00", "1440.00")
    await assert_sound(engine)


async def test_an_amendment_is_the_next_version_of_the_terms(
    engine: AsyncEngine, sample: Sample
) -> None:
    await take(engine, sample(contracts.ContractActivated))
    await take(engine, sample(contracts.ContractAmended))
    assert await limit(engine) == ("75000.00", "0.00", "0.00")
    [told] = await fetch(engine, "SELECT contract_version, contract_line_id FROM amendment")
    assert (told.contract_version, told.contract_line_id) == (2, an_id("b102"))


async def test_a_termination_ends_the_contract_and_its_periods(
    engine: AsyncEngine, sample: Sample
) -> None:
    await take(engine, sample(contracts.ContractActivated))
    await take(engine, sample(contracts.ContractTerminated))
    [state] = await fetch(engine, "SELECT * FROM contract_state")
    assert (state.ended_on.isoformat(), state.ended_early) == ("2026-11-20", True)
    [last] = await fetch(
        engine, "SELECT service_to FROM recurring_period ORDER BY service_from DESC LIMIT 1"
    )
    assert last.service_to.isoformat() == "2026-11-20"


async def test_a_completed_contract_is_over(engine: AsyncEngine, sample: Sample) -> None:
    await take(engine, sample(contracts.ContractActivated))
    await take(engine, sample(contracts.ContractCompleted))
    [state] = await fetch(engine, "SELECT * FROM contract_state")
    assert (state.ended_on.isoformat(), state.ended_early) == ("2027-09-02", False)


async def test_a_withdrawn_acceptance_is_the_last_word(engine: AsyncEngine, sample: Sample) -> None:
    await take_facts(engine, sample)
    withdrawn = sample(projects.MilestoneAcceptanceWithdrawn)
    await take(engine, withdrawn)
    [step] = await fetch(engine, "SELECT state, version, reason FROM source_step")
    assert (step.state, step.version) == ("withdrawn", withdrawn.milestone.version)
    assert [row[1:] for row in await rows(engine)] == [("held", "awaiting_acceptance")]


async def test_recorded_rates_of_exchange_convert_what_waits_for_them(
    engine: AsyncEngine, sample: Sample
) -> None:
    await take(engine, sample(projects.ExchangeRatesRecorded))
    found = await fetch(engine, "SELECT base, quote, rate_on, source, rate FROM exchange_rate")
    assert sorted((row.base, row.quote, row.source, str(row.rate)) for row in found) == [
        ("EUR", "GBP", "ecb", "0.8"),
        ("EUR", "USD", "ecb", "1.25"),
    ]
    assert {row.rate_on.isoformat() for row in found} == {"2026-09-04"}
