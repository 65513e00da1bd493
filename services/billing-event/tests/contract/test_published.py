"""What billing-event publishes is what its consumers agreed to."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from billing_event_builders import ENTITY, NOW, an_id, eur

from billing_event.domain.agreement import Agreement, Facts
from billing_event.domain.decision import Judge
from billing_event.domain.giving_up import give_up
from billing_event.domain.hold import HoldId
from billing_event.domain.limit import LimitBook
from billing_event.domain.position import BillingEventId, EventStatus, Row
from billing_event.domain.release import ReleasePolicy
from billing_event.domain.source import SourceItem
from billing_event.domain.standing import Standing
from billing_event.domain.write_off import (
    ProposedRow,
    WriteOff,
    WriteOffId,
    WriteOffKind,
    WriteOffReason,
    WriteOffStatus,
)
from billing_event.wire import facts as facts_wire
from billing_event.wire import published, received
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_runtime.events import Outgoing
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX
from throughline_testing.samples import assert_matches_sample, sample

POLICY = ReleasePolicy(ENTITY, 1, eur("1000.00"), "user:finance-lead", NOW)


def a_judge(at: datetime) -> Judge:
    terms = facts_wire.read_terms(sample(contracts.ContractActivated).contract)
    customer = facts_wire.read_customer(sample(contracts.CustomerRecorded).customer)
    card = facts_wire.read_card(sample(contracts.RateCardPublished).rate_card)
    facts = Facts(
        1, {terms.contract_id: Agreement((terms,), 1)}, [card], {customer.customer_id: customer}
    )
    return Judge(facts, LimitBook(), {ENTITY: POLICY}, at=at)


def milestone_of(event: received.MilestoneEvent) -> SourceItem:
    [(item, _)] = received.read_milestones(event)
    return item


def rated() -> list[Row]:
    """Return the story's hour and its completed milestone, under the story's ids."""
    judge = a_judge(NOW)
    judge.decide_new(received.read_time(sample(projects.TimeApproved)))
    judge.decide_new([milestone_of(sample(projects.MilestoneCompleted))])
    hour, milestone = judge.decision.rated
    return [
        replace(hour, billing_event_id=BillingEventId(an_id("181"))),
        replace(milestone, billing_event_id=BillingEventId(an_id("182"))),
    ]


def accepted(milestone: Row) -> Row:
    [hold] = milestone.holds
    row = replace(milestone, holds=(replace(hold, hold_id=HoldId(an_id("7"))),))
    item = replace(milestone_of(sample(projects.MilestoneAccepted)), is_accepted=True)
    judge = a_judge(NOW)
    judge.decide_again([Standing(item, (row,))])
    [changed] = judge.decision.changed
    return changed


def written(rows: Iterable[Row]) -> list[bytes]:
    return list(map(published.RowWriter().encode, rows))


def the_only(outgoing: Iterable[Outgoing]) -> Outgoing:
    [event] = outgoing
    assert event.aggregate_version == 1
    return event


def test_rated_rows_are_published_as_agreed() -> None:
    event = published.rated(written(rated()), at=NOW, new_id=lambda: an_id("191"))
    assert_matches_sample(the_only(event), own.BillingEventsRated)


def test_changed_rows_are_published_as_agreed() -> None:
    at = datetime(2026, 9, 15, 10, 5, tzinfo=UTC)
    rows = written([accepted(rated()[1])])
    event = published.changed(rows, at=at, new_id=lambda: an_id("192"))
    assert_matches_sample(the_only(event), own.BillingEventsChanged)


def test_released_rows_are_published_as_agreed() -> None:
    at, by = datetime(2026, 9, 30, 9, 0, tzinfo=UTC), "user:finance-lead"
    hour, milestone = rated()
    judge = a_judge(at)
    judge.release([hour, accepted(milestone)], by=by)
    rows = written(judge.decision.changed)
    event = published.released(rows, by=by, at=at, new_id=lambda: an_id("193"))
    assert_matches_sample(the_only(event), own.BillingEventsReleased)


def test_rows_written_off_are_published_as_agreed() -> None:
    at, by = datetime(2026, 9, 28, 9, 0, tzinfo=UTC), "user:finance-lead"
    hour = replace(rated()[0], status=EventStatus.RELEASED, released_by="policy", holds=())
    judge = a_judge(at)
    gone = give_up(judge, hour)
    approved = WriteOff(
        write_off_id=WriteOffId(an_id("1c5")),
        version=2,
        kind=WriteOffKind.WRITE_OFF,
        status=WriteOffStatus.APPROVED,
        reason_code=WriteOffReason.GOODWILL,
        reason="the workshop was too long",
        rows=(ProposedRow(hour.billing_event_id, hour.amount, gone.billing_event_id),),
        quantity=None,
        legal_entity_id=ENTITY,
        proposed_by="user:paula.pmo",
        proposed_at=NOW,
        decided_by=by,
        decided_at=at,
    )
    event = published.written_off([gone], approved, at=at, new_id=lambda: an_id("194"))
    assert_matches_sample(the_only(event), own.BillingEventsWrittenOff)


def test_many_rows_travel_in_events_that_fit() -> None:
    [row, _] = rated()
    long = replace(row, item=replace(row.item, description="x" * 500))
    rows = written([long] * 1_200)
    sent = list(published.rated(rows, at=NOW, new_id=lambda: an_id("191")))
    assert max(len(event.payload) for event in sent) <= PAYLOAD_BYTES_MAX
    told = [own.BillingEventsRated.FromString(event.payload) for event in sent]
    assert max(len(message.billing_events) for message in told) <= 500
    assert {message.batch_id for message in told} == {str(an_id("191"))}
    assert [each.SerializeToString() for message in told for each in message.billing_events] == rows


def test_no_event_holds_more_than_500_rows() -> None:
    small = [pb.BillingEvent(billing_event_id=str(an_id("181"))).SerializeToString()] * 1_001
    sent = published.rated(small, at=NOW, new_id=lambda: an_id("191"))
    counts = [
        len(own.BillingEventsRated.FromString(event.payload).billing_events) for event in sent
    ]
    assert counts == [500, 500, 1]
