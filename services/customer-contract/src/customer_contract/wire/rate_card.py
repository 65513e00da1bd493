"""Messages of rate cards."""

from collections.abc import Iterable
from typing import Final

from customer_contract.domain.rate_card import (
    CardScope,
    Hour,
    RateCard,
    RateCardPublished,
    RateEntry,
    RateKey,
    ResolvedRate,
)
from customer_contract.domain.values import CustomerId, LegalEntityId, PersonId
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import rate_card_pb2 as pb
from throughline.customer_contract.v1 import rate_card_service_pb2 as service_pb
from throughline_core.errors import InvalidArgument
from throughline_core.money import RATE_PLACES
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_date,
    read_optional_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
)
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX

# The rest of an event is its envelope.
_CARD_BYTES_MAX: Final = PAYLOAD_BYTES_MAX - 1024


class RateCardTooLarge(InvalidArgument):
    """The card has more rates and words than fit into one event."""

    code = "rate_card.too_large"


def read_scope(request: service_pb.PublishRateCardRequest) -> CardScope:
    """Return whose card is published, and in which currency."""
    entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
    customer = read_optional_uuid("customer_id", request.customer_id)
    return CardScope(
        request.currency,
        None if entity is None else LegalEntityId(entity),
        None if customer is None else CustomerId(customer),
    )


def read_entries(messages: Iterable[pb.RateCardEntry]) -> tuple[RateEntry, ...]:
    """Return the rates as sent."""
    return tuple(
        RateEntry(
            RateKey(
                message.role,
                message.level or None,
                message.region or None,
                _read_person(f"entries[{index}].person_id", message.person_id),
            ),
            read_money(f"entries[{index}].hourly_rate", message.hourly_rate, places=RATE_PLACES),
            read_date(f"entries[{index}].valid_from", message.valid_from),
            read_optional_date(f"entries[{index}].valid_to", message.valid_to),
        )
        for index, message in enumerate(messages)
    )


def read_hour(request: service_pb.ResolveRateRequest) -> Hour:
    """Return the hour whose rate is asked for."""
    return Hour(
        work_date=read_date("work_date", request.work_date),
        role=request.role,
        level=request.level or None,
        region=request.region or None,
        person_id=_read_person("person_id", request.person_id),
    )


def _read_person(field: str, value: str) -> PersonId | None:
    person = read_optional_uuid(field, value)
    return None if person is None else PersonId(person)


def write_rate_card(card: RateCard) -> pb.RateCard:
    return pb.RateCard(
        rate_card_id=str(card.rate_card_id),
        version=card.version,
        code=card.code,
        name=card.name,
        currency=card.scope.currency,
        legal_entity_id=write_id(card.scope.legal_entity_id) or None,
        customer_id=write_id(card.scope.customer_id) or None,
        entries=[
            pb.RateCardEntry(
                role=entry.key.role,
                level=entry.key.level,
                region=entry.key.region,
                person_id=write_id(entry.key.person_id) or None,
                hourly_rate=write_money(entry.hourly_rate),
                valid_from=write_date(entry.valid_from),
                valid_to=write_date(entry.valid_to) or None,
            )
            for entry in card.entries
        ],
        published_at=write_instant(card.published_at),
    )


def write_resolved(rate: ResolvedRate, contract_version: int) -> service_pb.ResolveRateResponse:
    card = rate.card
    return service_pb.ResolveRateResponse(
        hourly_rate=write_money(rate.hourly_rate),
        path=rate.path,
        rate_card_id=None if card is None else str(card.rate_card_id),
        rate_card_version=0 if card is None else card.version,
        contract_version=contract_version,
    )


def require_publishable(card: RateCard) -> None:
    """Refuse a card that is larger than an event can be.

    Raises:
        RateCardTooLarge: it is.
    """
    size = write_rate_card(card).ByteSize()
    if size > _CARD_BYTES_MAX:
        raise RateCardTooLarge(
            f"the card takes {size} bytes, {_CARD_BYTES_MAX} are possible",
            field="entries",
            advice="split it into several cards, or shorten the names of its roles",
        )


def write_event(event: RateCardPublished) -> Outgoing:
    """Return the event as it is published."""
    card = event.card
    message = events_pb.RateCardPublished(rate_card=write_rate_card(card))
    return Outgoing(message, card.rate_card_id, card.version)
