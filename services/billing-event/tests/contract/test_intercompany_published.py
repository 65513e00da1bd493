"""What entities owe each other is published as its consumers agreed to."""

from dataclasses import replace
from datetime import UTC, date, datetime

from billing_event_builders import (
    CONTRACT,
    ENTITY,
    HOURS,
    NOW,
    a_card,
    an_entry,
    an_id,
    an_item,
    some_terms,
)

from billing_event.domain.intercompany import (
    Charge,
    IntercompanyChargeId,
    Work,
    charge_of,
    mirror,
)
from billing_event.domain.source import LegalEntityId, SourceItemId
from billing_event.domain.terms import CardPurpose
from billing_event.wire import intercompany as wire
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline_testing.samples import assert_matches_sample

LENDER = LegalEntityId(an_id("e2"))


def a_charge(number: str, minutes: int) -> Charge:
    item = an_item(
        source_item_id=SourceItemId(an_id(number)),
        person_id=an_id("132"),
        contract_line_id=HOURS,
        delivering_entity_id=LENDER,
        minutes=minutes,
    )
    card = a_card(
        replace(an_entry("120.00"), valid_from=date(2026, 1, 1)),
        rate_card_id=an_id("d2"),
        code="IC-CH-2026",
        legal_entity_id=LENDER,
        purpose=CardPurpose.TRANSFER,
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    charge = charge_of(Work(item, CONTRACT, LENDER, ENTITY), some_terms(), [card], at=NOW)
    assert charge is not None
    return charge


def test_charges_are_published_as_agreed() -> None:
    hours = replace(a_charge("153", 480), intercompany_charge_id=IntercompanyChargeId(an_id("1e1")))
    earlier = replace(
        a_charge("152", 60), intercompany_charge_id=IntercompanyChargeId(an_id("1e0"))
    )
    taken_back = replace(
        mirror(earlier, SourceItemId(an_id("154")), at=NOW),
        intercompany_charge_id=IntercompanyChargeId(an_id("1e2")),
    )
    [event] = wire.charged([hours, taken_back], at=NOW, new_id=lambda: an_id("196"))
    assert event.aggregate_version == 1
    assert_matches_sample(event, own.IntercompanyChargesRated)
