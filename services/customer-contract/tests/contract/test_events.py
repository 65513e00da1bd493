"""What customer-contract publishes is exactly what was agreed with its consumers."""

from dataclasses import replace

from customer_contract_builders import (
    a_card,
    a_cost_card,
    a_customer,
    a_quote,
    an_approval,
    an_entity,
)

from customer_contract.domain import cost_rate as costs
from customer_contract.domain import customer as customers
from customer_contract.domain import legal_entity as entities
from customer_contract.domain import quote_decision as decisions
from customer_contract.domain import rate_card as cards
from customer_contract.wire import cost_rate as cost_wire
from customer_contract.wire import customer as customer_wire
from customer_contract.wire import legal_entity as entity_wire
from customer_contract.wire import quote as quote_wire
from customer_contract.wire import rate_card as card_wire
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as pb
from throughline_testing.samples import assert_matches_sample


def test_a_recorded_legal_entity_is_published_as_agreed() -> None:
    agreed = an_entity()
    change = entities.record(
        agreed.legal_entity_id, code="DE01", currency="EUR", profile=agreed.profile
    )

    [outgoing] = map(entity_wire.write_event, change.events)

    assert_matches_sample(outgoing, pb.LegalEntityRecorded)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (agreed.legal_entity_id, 1)


def test_a_recorded_customer_is_published_as_agreed() -> None:
    agreed = a_customer()
    change = customers.record(
        agreed.customer_id, agreed.profile, number=agreed.number, source=agreed.source
    )

    [outgoing] = map(customer_wire.write_event, change.events)

    assert_matches_sample(outgoing, pb.CustomerRecorded)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (agreed.customer_id, 1)


def test_a_published_rate_card_is_published_as_agreed() -> None:
    agreed = a_card()
    drafted = cards.draft(None, agreed.content, rate_card_id=agreed.rate_card_id)
    change = cards.publish(
        drafted, proposed_by="olga", published_by="frieda", at=agreed.published_at
    )

    [outgoing] = map(card_wire.write_event, change.events)

    assert_matches_sample(outgoing, pb.RateCardPublished)
    assert change.state == agreed


def test_published_costs_are_published_as_agreed() -> None:
    agreed = a_cost_card()
    drafted = costs.draft(
        None,
        agreed.entries,
        cost_rate_card_id=agreed.cost_rate_card_id,
        legal_entity_id=agreed.legal_entity_id,
        currency=agreed.currency,
    )
    assert agreed.published_at is not None
    change = costs.publish(drafted, at=agreed.published_at)

    [outgoing] = map(cost_wire.write_event, change.events)

    assert_matches_sample(outgoing, pb.CostRateCardPublished)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (agreed.cost_rate_card_id, 1)


def test_an_approved_quote_is_published_as_agreed() -> None:
    change = decisions.approve(a_quote(), an_approval())

    [outgoing] = map(quote_wire.write_event, change.events)

    assert_matches_sample(outgoing, pb.QuoteApproved)
    assert outgoing.correlation_id == a_quote().correlation_id


def test_a_customer_on_hold_is_published_with_its_whole_state() -> None:
    change = customers.place_hold(a_customer(), reason="two invoices are overdue")

    [outgoing] = map(customer_wire.write_event, change.events)

    published = replace(a_customer(), version=2, credit_hold_reason="two invoices are overdue")
    assert outgoing.message == pb.CustomerRecorded(customer=customer_wire.write_customer(published))
    assert published.on_credit_hold
