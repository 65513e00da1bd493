"""Approved quotes come in once, whole, and through the vendor's faults."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from connectors_world import MAPPING, NotNow, Seed, World
from sqlalchemy import text

from connectors import domain, repository, schedules
from throughline_core.errors import StaleVersion
from throughline_runtime.database import read


async def test_an_approved_quote_comes_in_with_its_customer(world: World, org: Seed) -> None:
    await org()
    state = await world.sync()

    [customer], [offer] = world.owners.customers, world.owners.quotes
    assert customer.name == "Nordlicht Werke GmbH"
    assert customer.tax_id == "DE136695976"
    assert customer.payment_terms_days == 14
    assert (offer.terms.start_on, offer.terms.end_on) == ("2026-09-01", "2027-09-01")
    assert offer.approval.approver == "cpq"
    assert (state.imported, state.refused, state.last_error) == (1, 0, "")


async def test_lines_become_what_was_sold(world: World, org: Seed) -> None:
    await org()
    await world.sync()

    fixed, hours, support = world.owners.quotes[0].terms.lines
    assert (fixed.service_code, fixed.net_total.amount) == ("DISCOVERY", "24000")
    assert hours.service_code == "DELIVERY-TM"
    assert hours.net_total.amount == "43600"
    assert [(rate.role, rate.hourly_rate.amount, rate.planned_hours) for rate in hours.rates] == [
        ("senior_consultant", "180", "120"),
        ("analyst", "110", "200"),
    ]
    assert hours.not_to_exceed.amount == "60000"
    assert (support.quantity, support.unit_price.amount) == ("12", "2500")


async def test_reading_again_changes_nothing(world: World, org: Seed) -> None:
    await org()
    await world.sync()
    state = await world.sync()

    assert (state.imported, state.unchanged) == (1, 1)
    keys = {offer.request_id for offer in world.owners.quotes}
    assert len(keys) == 1
    async with read(world.context.engine) as tx:
        links = (await tx.execute(text("SELECT object_kind FROM crosswalk_link"))).scalars().all()
        events = await tx.scalar(text("SELECT count(*) FROM outbox"))
    assert sorted(links) == ["customer", "quote", *["quote_line"] * 3]
    assert events == len(links)


async def test_a_quote_still_being_calculated_waits_for_its_sums(world: World, org: Seed) -> None:
    ids = await org()
    world.simulators.salesforce.turn(recalculation_reads=2)
    world.simulators.salesforce.recalculate(ids["quote"])

    assert (await world.sync()).imported == 0
    assert not world.owners.quotes
    for _ in range(3):
        state = await world.sync()
    assert state.imported == 1


async def test_pages_and_expired_sessions_are_worked_through(world: World, org: Seed) -> None:
    await org()
    world.simulators.salesforce.turn(child_page_size=2, session_calls_max=2)
    await world.sync()
    assert len(world.owners.quotes[0].terms.lines) == 3


async def test_an_outage_is_an_exception_and_ends_with_it(world: World, org: Seed) -> None:
    await org()
    world.simulators.salesforce.turn(unavailable_next=50)

    state = await world.sync()
    assert "503" in state.last_error
    assert schedules.SYNC_FAILED in await world.exceptions()

    world.simulators.salesforce.turn(unavailable_next=0)
    assert (await world.sync()).imported == 1
    assert await world.exceptions() == {}


async def test_a_short_fault_is_not_noticed(world: World, org: Seed) -> None:
    await org()
    world.simulators.salesforce.turn(unavailable_next=1)
    assert (await world.sync()).imported == 1


async def test_a_refused_quote_stands_in_the_queue_and_stops_no_other(
    world: World, org: Seed
) -> None:
    await org()
    world.owners.refusal = NotNow("customer is unknown", advice="ask sales")
    state = await world.sync()
    assert state.refused == 1
    assert await world.exceptions() == {schedules.IMPORT_REFUSED: "customer is unknown"}

    world.owners.refusal = None
    await world.sync()
    assert await world.exceptions() == {}


async def test_a_price_no_month_can_carry_is_refused_with_advice(world: World, org: Seed) -> None:
    await org(SBQQ__SubscriptionTerm__c=7)
    await world.sync()
    reasons = await world.exceptions()
    assert "no period has an exact price" in reasons[schedules.IMPORT_REFUSED]
    assert not world.owners.quotes


async def test_a_wrong_secret_is_told_to_integration(world: World, org: Seed) -> None:
    await org()
    await world.connect_salesforce(client_id="somebody-else")
    state = await world.sync()
    assert "refused" in state.last_error
    assert schedules.SYNC_FAILED in await world.exceptions()


async def test_a_changed_quote_is_offered_again(world: World, org: Seed) -> None:
    ids = await org()
    await world.sync()
    world.simulators.salesforce.seed(
        [
            {
                "attributes": {"type": "SBQQ__Quote__c", "referenceId": "quote"},
                "SBQQ__PaymentTerms__c": "Net 45",
            }
        ]
    )
    await world.sync()
    assert [offer.terms.payment_terms_days for offer in world.owners.quotes] == [14, 45]
    assert {offer.source.object_id for offer in world.owners.quotes} == {ids["quote"]}


async def test_a_conflict_at_the_owner_keeps_the_cursor_before_the_quote(
    world: World, org: Seed
) -> None:
    await org()
    world.owners.refusal = StaleVersion("somebody else was faster")
    state = await world.sync()
    assert (state.refused, state.read_up_to) == (0, None)
    assert schedules.IMPORT_REFUSED not in await world.exceptions()

    world.owners.refusal = None
    assert (await world.sync()).imported == 1


async def test_a_connection_that_means_another_system_is_read_from_the_beginning(
    world: World, org: Seed
) -> None:
    await org()
    assert (await world.sync()).read_up_to is not None
    await world.connect_salesforce(poll_seconds=120)
    async with read(world.context.engine) as tx:
        assert (await repository.get(tx, "salesforce", entities=None))[1].read_up_to is not None

    await world.connect_salesforce(mapping={**MAPPING, "payment_terms_days": 45})
    async with read(world.context.engine) as tx:
        assert (await repository.get(tx, "salesforce", entities=None))[1].read_up_to is None


async def test_a_quote_that_never_adds_up_is_told_of_and_holds_up_no_other(
    world: World, org: Seed, move_clock: Any
) -> None:
    ids = await org()
    world.simulators.salesforce.turn(recalculation_reads=100)
    world.simulators.salesforce.recalculate(ids["quote"])
    assert (await world.sync()).read_up_to is None

    move_clock(datetime.now(UTC) + timedelta(hours=1))

    state = await world.sync()
    assert (state.refused, state.read_up_to is None) == (1, False)
    assert "not the sum" in (await world.exceptions())[schedules.IMPORT_REFUSED]


@pytest.fixture
def without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a sync read nothing that it has passed, as one does minutes later."""
    monkeypatch.setattr(domain, "OVERLAP", -timedelta(seconds=1))


async def refused(world: World) -> list[tuple[str, int]]:
    async with read(world.context.engine) as tx:
        rows = await tx.execute(text("SELECT code, attempts FROM refused_record"))
        return [(row.code, row.attempts) for row in rows]


@pytest.mark.usefixtures("without_overlap")
async def test_a_refused_quote_comes_in_once_its_cause_was_mended_here(
    world: World, org: Seed
) -> None:
    await org()
    world.owners.refusal = NotNow("business with the customer has ended")
    await world.sync()
    state = await world.sync()
    assert await refused(world) == [("test.not_now", 2)]
    # Tried again, it is still one quote that was refused.
    assert state.refused == 1

    world.owners.refusal = None
    state = await world.sync()
    assert (state.imported, state.refused) == (1, 1)
    assert await world.exceptions() == {}
    assert await refused(world) == []


@pytest.mark.usefixtures("without_overlap")
async def test_a_refused_quote_that_is_gone_there_is_no_exception_any_more(
    world: World, org: Seed
) -> None:
    await org()
    world.owners.refusal = NotNow("no")
    await world.sync()
    world.simulators.salesforce.seed(
        [
            {
                "attributes": {"type": "SBQQ__Quote__c", "referenceId": "quote"},
                "SBQQ__Status__c": "Draft",
            }
        ]
    )
    await world.sync()

    assert await refused(world) == []
    assert await world.exceptions() == {}


def test_a_refused_record_is_tried_again_ever_later_but_without_end() -> None:
    now = datetime(2026, 9, 1, tzinfo=UTC)

    waits = [domain.retry_refused_at(attempts, now=now) - now for attempts in (1, 2, 7, 1000)]

    assert waits == [
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(hours=1),
        timedelta(hours=1),
    ]


async def test_it_speaks_for_the_system_and_says_how_new_each_record_is(
    world: World, org: Seed
) -> None:
    await org()
    await world.sync()

    assert world.owners.systems == {"salesforce"}
    [customer], [offer] = world.owners.customers, world.owners.quotes
    for source in (customer.source, offer.source):
        assert datetime.fromisoformat(source.object_version).tzinfo == UTC
