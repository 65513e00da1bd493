"""Events told twice, late, or in another order leave the same state."""

import asyncio

import pytest
from invoice_payment_builders import CONTRACT, CUSTOMER, DE01
from invoice_payment_world import World, a_batch

from invoice_payment import consumers
from invoice_payment.commands import setup
from invoice_payment.domain.journal import AccountRole
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractActivated,
    ContractLimitChanged,
    CustomerRecorded,
    LegalEntityRecorded,
)
from throughline_testing.samples import sample
from throughline_testing.statements import Statements


async def test_an_older_snapshot_never_replaces_a_newer_one(world: World) -> None:
    newer, older = sample(CustomerRecorded), sample(CustomerRecorded)
    newer.customer.version, newer.customer.name = 5, "Nordwind Logistik SE"
    older.customer.version, older.customer.name = 4, "Nordwind Spedition GmbH"

    await world.told(consumers.keep_customers, newer)
    await world.told(consumers.keep_customers, older)

    query = "SELECT name FROM customer WHERE customer_id = :id"
    assert await world.value(query, id=CUSTOMER) == "Nordwind Logistik SE"


async def test_of_several_versions_in_one_batch_the_newest_stays(world: World) -> None:
    events = [sample(LegalEntityRecorded) for _ in range(3)]
    for version, event in zip((7, 9, 8), events, strict=True):
        event.legal_entity.version, event.legal_entity.name = version, f"Version {version}"

    await world.told(consumers.keep_entities, *events)

    assert await world.value("SELECT name FROM legal_entity") == "Version 9"


async def test_a_change_of_terms_that_overtakes_the_activation_stays(bare_world: World) -> None:
    await bare_world.told(consumers.keep_changed_terms, sample(ContractLimitChanged))
    await bare_world.told(consumers.keep_activated_terms, sample(ContractActivated))

    query = "SELECT version FROM contract_terms WHERE contract_id = :id"
    assert await bare_world.value(query, id=CONTRACT) == 4


async def test_an_entity_told_again_keeps_the_accounts_finance_has_set(world: World) -> None:
    await world.do(lambda tx: setup.put_account(tx, DE01, AccountRole.RECEIVABLE, "10000"))
    await world.told(consumers.keep_entities, sample(LegalEntityRecorded))

    query = "SELECT account FROM account_mapping WHERE account_role = 'receivable'"
    assert await world.value(query) == "10000"


async def test_a_release_told_twice_is_recognised_once(world: World) -> None:
    await world.release()
    before = await world.totals()

    await world.release()
    await world.release(a_batch(0))

    assert await world.totals() == before
    assert before["journal"]["contract_asset.EUR"] == before["recognised_open"]["amount.EUR"]


async def test_a_release_that_overtakes_its_entity_waits_for_it(bare_world: World) -> None:
    await bare_world.release()
    assert await bare_world.value("SELECT count(*) FROM journal_entry") == 0

    await bare_world.told(consumers.keep_entities, sample(LegalEntityRecorded))
    await bare_world.told(consumers.keep_entities, sample(LegalEntityRecorded))

    totals = await bare_world.totals()
    assert totals["journal"]["entries"] == 1
    assert totals["journal"]["contract_asset.EUR"] == totals["recognised_open"]["amount.EUR"]


@pytest.mark.parametrize("attempt", range(3))
async def test_a_release_and_its_entity_at_the_same_moment_lose_nothing(
    bare_world: World, attempt: int
) -> None:
    await asyncio.gather(
        bare_world.told(consumers.keep_entities, sample(LegalEntityRecorded)),
        *(bare_world.release(a_batch(5)) for _ in range(attempt + 1)),
    )

    assert await bare_world.value("SELECT count(*) FROM journal_entry") == attempt + 1


async def test_the_number_of_statements_does_not_grow_with_the_batch(
    world: World, statements: Statements
) -> None:
    await world.release()  # The journal's series begins here.
    counts = []
    for size in (2, 200):
        batches = [a_batch(size), a_batch(size)]
        statements.clear()
        await world.told(consumers.take_released, *batches)
        counts.append(len(statements))

    assert counts[0] == counts[1]


async def test_a_batch_in_two_currencies_is_recognised_in_each(world: World) -> None:
    batch = a_batch(2)
    row = batch.billing_events[1]
    row.unit_rate.currency = row.amount.currency = "USD"

    await world.release(batch)

    journal = (await world.totals())["journal"]
    assert (journal["contract_asset.EUR"], journal["contract_asset.USD"]) == (1440, 1440)
    assert journal["unbalanced"] == 0
