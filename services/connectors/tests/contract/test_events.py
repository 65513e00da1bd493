"""What connectors publishes is what was agreed."""

from uuid import UUID

from connectors import wire
from connectors.domain import Link
from throughline.connectors.events.v1 import connectors_events_pb2 as events_pb
from throughline_testing.samples import assert_matches_sample


def test_a_new_link_is_published_as_agreed() -> None:
    link = Link(
        system="salesforce",
        object_type="SBQQ__Quote__c",
        source_object_id="a0q5g000001AbCdAAK",
        object_kind="quote",
        object_id=UUID("01980000-0000-7000-8000-0000000000a1"),
    )
    assert_matches_sample(wire.write_linked(link), events_pb.CrosswalkLinked)
