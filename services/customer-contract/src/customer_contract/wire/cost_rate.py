"""Messages of cost rates, apart from every other price."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict

from customer_contract.domain.cost_rate import (
    CostEntry,
    CostHour,
    CostKey,
    CostRateCard,
    CostRateCardPublished,
    ResolvedCost,
)
from customer_contract.domain.proposal import Proposal
from customer_contract.domain.values import CostRateCardId, LegalEntityId
from customer_contract.wire.proposal import PROPOSAL_STATUS
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import cost_rate_pb2 as pb
from throughline.customer_contract.v1 import cost_rate_service_pb2 as service_pb
from throughline_core.errors import InvalidArgument
from throughline_core.money import RATE_PLACES
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_date,
    read_uuid,
    write_date,
    write_instant,
    write_money,
)
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX

# The rest of an event is its envelope.
_CARD_BYTES_MAX: Final = PAYLOAD_BYTES_MAX - 2048


class CostRateCardTooLarge(InvalidArgument):
    """The card has more costs and words than fit into one event."""

    code = "cost_rate.too_large"


def read_entries(messages: Iterable[pb.CostRateEntry]) -> tuple[CostEntry, ...]:
    """Return the costs as sent."""
    return tuple(
        CostEntry(
            CostKey(message.role, message.level or None, message.region or None),
            read_money(f"entries[{index}].hourly_cost", message.hourly_cost, places=RATE_PLACES),
            read_date(f"entries[{index}].valid_from", message.valid_from),
            read_optional_date(f"entries[{index}].valid_to", message.valid_to),
        )
        for index, message in enumerate(messages)
    )


def read_hour(request: service_pb.ResolveCostRateRequest) -> CostHour:
    """Return the hour whose cost is asked for."""
    return CostHour(
        work_date=read_date("work_date", request.work_date),
        role=request.role,
        level=request.level or None,
        region=request.region or None,
    )


def write_card(card: CostRateCard) -> pb.CostRateCard:
    return pb.CostRateCard(
        cost_rate_card_id=str(card.cost_rate_card_id),
        version=card.version,
        legal_entity_id=str(card.legal_entity_id),
        currency=card.currency,
        entries=[
            pb.CostRateEntry(
                role=entry.key.role,
                level=entry.key.level,
                region=entry.key.region,
                hourly_cost=write_money(entry.hourly_cost),
                valid_from=write_date(entry.valid_from),
                valid_to=write_date(entry.valid_to) or None,
            )
            for entry in card.entries
        ],
        published_at=write_instant(card.published_at),
    )


def write_content(card: CostRateCard) -> Mapping[str, Any]:
    """Return the card as JSON."""
    kept: Mapping[str, Any] = MessageToDict(write_card(card), preserving_proto_field_name=True)
    return kept


def read_content(kept: Mapping[str, Any]) -> CostRateCard:
    """Return what `write_content` kept."""
    message = ParseDict(dict(kept), pb.CostRateCard())
    return CostRateCard(
        CostRateCardId(read_uuid("cost_rate_card_id", message.cost_rate_card_id)),
        message.version,
        LegalEntityId(read_uuid("legal_entity_id", message.legal_entity_id)),
        message.currency,
        read_entries(message.entries),
        None,
    )


def write_proposal(proposal: Proposal[CostRateCard]) -> service_pb.CostRateProposal:
    decided = proposal.decided
    return service_pb.CostRateProposal(
        proposal_id=str(proposal.proposal_id),
        version=proposal.version,
        status=PROPOSAL_STATUS.write(proposal.status),
        base_version=proposal.base_version,
        proposed_by=proposal.proposed.by,
        proposed_at=write_instant(proposal.proposed.at),
        comment=proposal.proposed.comment,
        decided_by="" if decided is None else decided.by,
        decided_at=None if decided is None else write_instant(decided.at),
        reason="" if decided is None else decided.comment,
        cost_rate_card=write_card(proposal.content),
    )


def write_resolved(cost: ResolvedCost, card: CostRateCard) -> service_pb.ResolveCostRateResponse:
    return service_pb.ResolveCostRateResponse(
        hourly_cost=write_money(cost.hourly_cost),
        path=cost.path,
        cost_rate_card_id=str(card.cost_rate_card_id),
        cost_rate_card_version=card.version,
    )


def require_publishable(card: CostRateCard) -> None:
    """Refuse a card that is larger than an event can be.

    Raises:
        CostRateCardTooLarge: it is.
    """
    size = write_card(card).ByteSize()
    if size > _CARD_BYTES_MAX:
        raise CostRateCardTooLarge(
            f"the card takes {size} bytes, {_CARD_BYTES_MAX} are possible",
            field="entries",
            advice="shorten the names of its roles",
        )


def write_event(event: CostRateCardPublished) -> Outgoing:
    """Return the event as it is published."""
    card = event.card
    message = events_pb.CostRateCardPublished(cost_rate_card=write_card(card))
    return Outgoing(message, card.cost_rate_card_id, card.version)
