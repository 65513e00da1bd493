"""Values into messages: rows as they are replied, and the batches in which they are published."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from billing_event.domain.claim import ClaimKind
from billing_event.domain.hold import HoldReason
from billing_event.domain.position import (
    Conversion,
    EventKind,
    EventStatus,
    EventType,
    Rating,
    Row,
    Treatment,
    Unit,
)
from billing_event.domain.source import ItemType
from billing_event.domain.write_off import WriteOff, WriteOffStatus
from billing_event.wire.chunk import chunks, outgoing
from throughline.billing_event.events.v1 import billing_event_events_pb2 as events
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline.common.v1 import money_pb2
from throughline_core.money import Money
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    write_decimal,
    write_instant,
    write_money,
)

TYPES: Final = EnumMap(pb.BillingEventType, EventType)
TREATMENTS: Final = EnumMap(pb.BillingTreatment, Treatment)
KINDS: Final = EnumMap(pb.BillingEventKind, EventKind)
STATUSES: Final = EnumMap(pb.BillingEventStatus, EventStatus)
REASONS: Final = EnumMap(pb.HoldReason, HoldReason)
CLAIM_KINDS: Final = EnumMap(pb.AllocationKind, ClaimKind)


class RowWriter:
    """Writes rows of one batch; what many of them share is written once."""

    def __init__(self) -> None:
        self._templates: dict[tuple[int, ItemType, EventKind], pb.BillingEvent] = {}
        self._ratings: list[Rating] = []

    def write(self, row: Row) -> pb.BillingEvent:
        """Return the row as it is published and replied."""
        item, rating = row.item, row.rating
        message = pb.BillingEvent()
        message.CopyFrom(self._template(row))
        message.billing_event_id = str(row.billing_event_id)
        message.status = STATUSES.write(row.status)
        if row.holds:
            message.holds.extend(REASONS.write(hold.reason) for hold in row.holds)
        message.source_item_id = str(item.source_item_id)
        message.delivering_legal_entity_id = str(
            item.delivering_entity_id or rating.delivering_entity_id or rating.legal_entity_id
        )
        if item.project_id is not None:
            message.project_id = str(item.project_id)
        if item.task_id is not None:
            message.task_id = str(item.task_id)
        if item.person_id is not None:
            message.person_id = str(item.person_id)
        message.person_name = item.person_name
        message.role = item.role
        message.description = item.description
        message.service_from = item.service_from.isoformat()
        message.service_to = item.service_to.isoformat()
        message.minutes = row.minutes
        message.quantity = _written_quantity(row.quantity, rating.unit is Unit.HOUR)
        message.amount.CopyFrom(_written_amount(row.amount.amount, row.amount.currency))
        message.rated_at.CopyFrom(_written_instant(row.rated_at))
        if item.source is not None:
            source = message.source
            source.system = item.source.system
            source.object_type = item.source.object_type
            source.object_id = item.source.object_id
        message.version = row.version
        if row.reverses is not None:
            message.reverses_billing_event_id = str(row.reverses)
        if item.activity:
            message.activity = item.activity
        if item.replaces_item_id is not None:
            message.replaces_source_item_id = str(item.replaces_item_id)
        if row.adjusts is not None:
            message.adjusts_billing_event_id = str(row.adjusts)
        if row.rerating_run_id is not None:
            message.rerating_run_id = str(row.rerating_run_id)
        if row.retainer_period_id is not None:
            message.retainer_period_id = str(row.retainer_period_id)
        return message

    def encode(self, row: Row) -> bytes:
        """Return the row as events carry it."""
        return self.write(row).SerializeToString()

    def _template(self, row: Row) -> pb.BillingEvent:
        key = id(row.rating), row.item.type, row.kind
        found = self._templates.get(key)
        if found is None:
            # Kept alive, so that its id cannot be given to another.
            self._ratings.append(row.rating)
            found = self._templates[key] = _write_rating(row.rating)
            found.type = TYPES.write(row.event_type)
            found.kind = KINDS.write(row.kind)
        return found


def _write_rating(rating: Rating) -> pb.BillingEvent:
    card_id = rating.rate_card_id
    return pb.BillingEvent(
        contract_id=str(rating.contract_id),
        contract_version=rating.contract_version,
        contract_line_id=str(rating.contract_line_id),
        quote_line_id=str(rating.quote_line_id),
        engagement_id=str(rating.engagement_id),
        correlation_id=str(rating.correlation_id),
        bill_to_customer_id=str(rating.bill_to_customer_id),
        legal_entity_id=str(rating.legal_entity_id),
        unit=str(rating.unit),
        unit_rate=write_money(rating.unit_rate),
        tax_category=rating.tax_category,
        rate_card_id=None if card_id is None else str(card_id),
        rate_card_version=rating.rate_card_version,
        rate_explanation=rating.explanation,
        multiplier="" if rating.multiplier is None else write_decimal(rating.multiplier),
        purchase_order_number=rating.purchase_order_number,
        treatment=TREATMENTS.write(rating.treatment),
        share_percent="" if rating.share_percent is None else write_decimal(rating.share_percent),
        conversion=write_conversion(rating.conversion),
    )


def write_conversion(conversion: Conversion | None) -> pb.ExchangeConversion | None:
    """Return how a price was converted, None (an absent field) where it was not."""
    if conversion is None:
        return None
    return pb.ExchangeConversion(
        rate=write_decimal(conversion.rate),
        rate_on=conversion.rate_on.isoformat(),
        source=conversion.source,
        **{"from": write_money(conversion.from_price)},
    )


# Hours, prices and the instant of a batch come again and again; equal numbers are written alike.
@lru_cache(maxsize=1 << 12)
def _written_amount(amount: Decimal, currency: str) -> money_pb2.Money:
    return write_money(Money(amount, currency))


@lru_cache(maxsize=1 << 12)
def _written_quantity(quantity: Decimal, is_hours: bool) -> str:
    return write_quantity(quantity, Unit.HOUR if is_hours else Unit.EACH)


@lru_cache(maxsize=1 << 8)
def _written_instant(instant: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return timestamp


def write_quantity(quantity: Decimal, unit: Unit | str) -> str:
    """Return hours as they are printed, with two decimals, and counts plainly."""
    return f"{quantity:.2f}" if unit == Unit.HOUR else write_decimal(quantity)


def rated(rows: Iterable[bytes], *, at: datetime, new_id: Callable[[], UUID]) -> Iterator[Outgoing]:
    """Yield the events that announce new rows, each with an id of its own; `rows` as encoded."""
    for chunk in chunks(rows):
        batch_id = new_id()
        message = events.BillingEventsRated(
            batch_id=str(batch_id), version=1, rated_at=write_instant(at)
        )
        yield outgoing(message, batch_id, "billing_events", chunk)


def changed(
    rows: Iterable[bytes], *, at: datetime, new_id: Callable[[], UUID]
) -> Iterator[Outgoing]:
    """Yield the events that show rows whose status or holds are no longer what they were."""
    for chunk in chunks(rows):
        batch_id = new_id()
        message = events.BillingEventsChanged(
            batch_id=str(batch_id), version=1, changed_at=write_instant(at)
        )
        yield outgoing(message, batch_id, "billing_events", chunk)


def released(
    rows: Iterable[bytes], *, by: str, at: datetime, new_id: Callable[[], UUID]
) -> Iterator[Outgoing]:
    """Yield the events that hand rows over to invoicing."""
    for chunk in chunks(rows):
        batch_id = new_id()
        message = events.BillingEventsReleased(
            batch_id=str(batch_id), version=1, released_by=by, released_at=write_instant(at)
        )
        yield outgoing(message, batch_id, "billing_events", chunk)


def written_off(
    rows: Sequence[Row], write_off: WriteOff, *, at: datetime, new_id: Callable[[], UUID]
) -> Iterator[Outgoing]:
    """Yield the events that tell what was given up, or counts again; `rows` as they end up.

    What had been released goes apart from what had not, because its revenue was recognised.
    """
    writer = RowWriter()
    for was_released in (True, False):
        chosen = (writer.encode(row) for row in rows if bool(row.released_by) is was_released)
        for chunk in chunks(chosen):
            batch_id = new_id()
            message = events.BillingEventsWrittenOff(
                batch_id=str(batch_id),
                version=1,
                kind=write_off.kind,
                reason_code=write_off.reason_code,
                reason=write_off.reason,
                undone=write_off.status is WriteOffStatus.UNDONE,
                was_released=was_released,
                proposed_by=write_off.proposed_by,
                approved_by=write_off.decided_by,
                decided_at=write_instant(at),
            )
            yield outgoing(message, batch_id, "billing_events", chunk)
