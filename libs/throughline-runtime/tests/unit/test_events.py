"""An event's message says where it goes and what it belongs to."""

from uuid import UUID

import pytest

from throughline.common.v1.money_pb2 import Money
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    CustomerRecorded,
    QuoteApproved,
)
from throughline_runtime.events import (
    MalformedEventId,
    Outgoing,
    event_types,
    publisher_of,
    subject_of,
)


def test_the_subject_is_the_one_the_message_declares() -> None:
    assert subject_of(QuoteApproved) == "customer_contract.quote.approved.v1"
    assert Outgoing(QuoteApproved(), UUID(int=1), 1).subject == subject_of(QuoteApproved)


def test_a_message_that_is_no_event_has_no_subject() -> None:
    with pytest.raises(TypeError, match="Money declares no event"):
        subject_of(Money)


def test_every_event_of_the_contract_is_found_by_its_subject_under_its_publisher() -> None:
    found = event_types()

    assert found["customer_contract.quote.approved.v1"] is QuoteApproved
    for subject, message_type in found.items():
        assert message_type.DESCRIPTOR.full_name.startswith(
            f"throughline.{publisher_of(subject)}.events."
        )


def test_an_event_belongs_to_what_its_own_fields_name() -> None:
    event = Outgoing(QuoteApproved(correlation_id=str(UUID(int=7))), UUID(int=1), 1)
    assert (event.correlation_id, event.engagement_id) == (UUID(int=7), None)

    without = Outgoing(CustomerRecorded(), UUID(int=1), 1)
    assert (without.correlation_id, without.engagement_id) == (None, None)


def test_an_event_does_not_belong_to_what_is_no_id() -> None:
    event = Outgoing(QuoteApproved(correlation_id="Q-17"), UUID(int=1), 1)
    with pytest.raises(MalformedEventId, match="correlation_id"):
        _ = event.correlation_id
