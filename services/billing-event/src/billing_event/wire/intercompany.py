"""Values into messages: what entities owe each other, as it is replied and published."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from billing_event.domain.intercompany import Charge
from billing_event.domain.position import Unit
from billing_event.wire.chunk import chunks, outgoing
from billing_event.wire.published import write_quantity
from throughline.billing_event.events.v1 import billing_event_events_pb2 as events
from throughline.billing_event.v1 import intercompany_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import write_date, write_id, write_instant, write_money


def write_charge(charge: Charge) -> pb.IntercompanyCharge:
    """Return the charge as it is published and replied."""
    return pb.IntercompanyCharge(
        intercompany_charge_id=str(charge.intercompany_charge_id),
        source_item_id=str(charge.source_item_id),
        lending_legal_entity_id=str(charge.lending_entity_id),
        borrowing_legal_entity_id=str(charge.borrowing_entity_id),
        contract_id=str(charge.contract_id),
        contract_line_id=write_id(charge.contract_line_id),
        engagement_id=str(charge.engagement_id),
        correlation_id=str(charge.correlation_id),
        work_date=write_date(charge.work_date),
        person_id=str(charge.person_id),
        role=charge.role,
        minutes=charge.minutes,
        quantity=write_quantity(charge.quantity, Unit.HOUR),
        unit_rate=write_money(charge.unit_rate),
        amount=write_money(charge.amount),
        rate_card_id=str(charge.rate_card_id),
        rate_card_version=charge.rate_card_version,
        rate_explanation=charge.explanation,
        reverses_intercompany_charge_id=write_id(charge.reverses) or None,
        rated_at=write_instant(charge.rated_at),
    )


def charged(
    charges: Iterable[Charge], *, at: datetime, new_id: Callable[[], UUID]
) -> Iterator[Outgoing]:
    """Yield the events that announce new charges, each with an id of its own."""
    for chunk in chunks(write_charge(each).SerializeToString() for each in charges):
        batch_id = new_id()
        message = events.IntercompanyChargesRated(
            batch_id=str(batch_id), version=1, rated_at=write_instant(at)
        )
        yield outgoing(message, batch_id, "charges", chunk)
