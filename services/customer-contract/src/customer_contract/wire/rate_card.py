"""Messages of rate cards."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from customer_contract.domain.rate_card import (
    CardContent,
    CardDraft,
    CardPurpose,
    CardScope,
    RateCard,
    RateCardPublished,
    RateEntry,
    RateKey,
)
from customer_contract.domain.rate_difference import RateDifference
from customer_contract.domain.rate_resolution import Hour, ResolvedRate
from customer_contract.domain.term_change import TermChange, TermChangeKind
from customer_contract.domain.values import CustomerId, LegalEntityId, PersonId, RateCardId
from customer_contract.wire.line_terms import read_multipliers, write_multipliers
from customer_contract.wire.term_change import TERM_CHANGE_KIND, kind_of, write_changes
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import contract_pb2 as contract_pb
from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline.customer_contract.v1 import rate_card_pb2 as pb
from throughline.customer_contract.v1 import rate_card_service_pb2 as service_pb
from throughline_core.errors import InvalidArgument
from throughline_core.money import RATE_PLACES
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_money,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
    write_optional_money,
)
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX

CARD_PURPOSE: Final = EnumMap(pb.RateCardPurpose, CardPurpose)

# The rest of an event is its envelope, and who published the card.
_CARD_BYTES_MAX: Final = PAYLOAD_BYTES_MAX - 2048


class RateCardTooLarge(InvalidArgument):
    """The card has more rates and words than fit into one event."""

    code = "rate_card.too_large"


def read_content(
    request: service_pb.PublishRateCardRequest | proposal_pb.ProposeRateCardRequest | pb.RateCard,
) -> CardContent:
    """Return the card as sent, or as it was kept."""
    entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
    customer = read_optional_uuid("customer_id", request.customer_id)
    borrower = read_optional_uuid("borrowing_legal_entity_id", request.borrowing_legal_entity_id)
    return CardContent(
        code=request.code,
        name=request.name,
        scope=CardScope(
            request.currency,
            None if entity is None else LegalEntityId(entity),
            None if customer is None else CustomerId(customer),
            read_optional_enum("purpose", request.purpose, CARD_PURPOSE) or CardPurpose.BILLING,
            None if borrower is None else LegalEntityId(borrower),
        ),
        entries=read_entries(request.entries),
        multipliers=read_multipliers("multipliers", request.multipliers),
    )


def read_draft(message: pb.RateCard) -> CardDraft:
    """Return the version as it was kept with its proposal."""
    rate_card_id = RateCardId(read_uuid("rate_card_id", message.rate_card_id))
    return CardDraft(rate_card_id, message.version, read_content(message))


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
        activity=request.activity,
    )


def _read_person(field: str, value: str) -> PersonId | None:
    person = read_optional_uuid(field, value)
    return None if person is None else PersonId(person)


def write_draft(card: CardDraft) -> pb.RateCard:
    """Return the version without when and by whom it was published."""
    content = card.content
    return pb.RateCard(
        rate_card_id=str(card.rate_card_id),
        version=card.version,
        code=content.code,
        name=content.name,
        currency=content.scope.currency,
        legal_entity_id=write_id(content.scope.legal_entity_id) or None,
        customer_id=write_id(content.scope.customer_id) or None,
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
            for entry in content.entries
        ],
        multipliers=write_multipliers(content.multipliers),
        purpose=CARD_PURPOSE.write(content.scope.purpose),
        borrowing_legal_entity_id=write_id(content.scope.borrowing_legal_entity_id) or None,
    )


def write_rate_card(card: RateCard) -> pb.RateCard:
    message = write_draft(CardDraft(card.rate_card_id, card.version, card.content))
    published = pb.RateCard(
        published_at=write_instant(card.published_at),
        proposed_by=card.proposed_by,
        published_by=card.published_by,
    )
    message.MergeFrom(published)
    return message


def write_resolved(rate: ResolvedRate, contract_version: int) -> service_pb.ResolveRateResponse:
    card = rate.card
    return service_pb.ResolveRateResponse(
        hourly_rate=write_money(rate.hourly_rate),
        path=rate.path,
        rate_card_id=None if card is None else str(card.rate_card_id),
        rate_card_version=0 if card is None else card.version,
        contract_version=contract_version,
        factor=write_decimal(rate.factor),
        effective_rate=write_money(rate.effective_rate),
        factor_path=rate.factor_path,
        candidates=[
            service_pb.RateCandidate(
                hourly_rate=write_money(one.hourly_rate),
                path=one.path,
                rate_card_id=None if one.card is None else str(one.card.rate_card_id),
                rate_card_version=0 if one.card is None else one.card.version,
                valid_from=write_date(one.valid_from),
                valid_to=write_date(one.valid_to),
                reason=one.reason,
            )
            for one in rate.candidates
        ],
    )


def write_differences(differences: Iterable[RateDifference]) -> list[proposal_pb.RateDifference]:
    return [_write_difference(one) for one in differences]


def _write_difference(one: RateDifference) -> proposal_pb.RateDifference:
    key, before, after = one.entry.key, one.before, one.after
    kind = TermChangeKind.ALTERED
    if before is None or after is None:
        kind = TermChangeKind.ADDED if before is None else TermChangeKind.ENDED
    return proposal_pb.RateDifference(
        kind=TERM_CHANGE_KIND.write(kind),
        role=key.role,
        level=key.level,
        region=key.region,
        person_id=write_id(key.person_id) or None,
        valid_from=write_date(one.entry.valid_from),
        old_valid_to="" if before is None else write_date(before.valid_to),
        new_valid_to="" if after is None else write_date(after.valid_to),
        old_rate=write_optional_money(one.old_rate),
        new_rate=None if after is None else write_money(after.hourly_rate),
        percent="" if one.percent is None else f"{one.percent:f}",
    )


def write_card_terms(
    before: CardContent | None, after: CardContent
) -> list[contract_pb.TermChange]:
    """Return what differs besides the rates, by the names of the API."""
    old = {} if before is None else _terms(before)
    new = _terms(after)
    return write_changes(
        TermChange(kind_of(old.get(term, ""), new.get(term, "")), None, term, *values)
        for term in dict.fromkeys((*old, *new))
        if (values := (old.get(term, ""), new.get(term, "")))[0] != values[1]
    )


def _terms(content: CardContent) -> dict[str, str]:
    scope = content.scope
    parties = {
        "purpose": str(scope.purpose),
        "borrowing_legal_entity_id": write_id(scope.borrowing_legal_entity_id),
    }
    return {
        "name": content.name,
        **({term: said for term, said in parties.items() if said} if scope.is_transfer else {}),
        **{
            f"multipliers[{one.activity}].factor": write_decimal(one.factor)
            for one in content.multipliers
        },
    }


def write_retroactive(
    day: date | None, scope: CardScope | None
) -> proposal_pb.RetroactiveWarning | None:
    """Return the warning of a version that prices days gone by otherwise, None without one."""
    if day is None:
        return None
    text = (
        f"work from {day} on has another rate than before: what was approved since then has to be "
        "rated again"
    )
    if scope is not None and scope.is_transfer:
        text = (
            f"work from {day} on has another transfer price than before: what was charged since "
            "then keeps the price it had"
        )
    return proposal_pb.RetroactiveWarning(from_date=day.isoformat(), text=text)


def require_publishable(card: CardDraft) -> None:
    """Refuse a card that is larger than an event can be.

    Raises:
        RateCardTooLarge: it is.
    """
    size = write_draft(card).ByteSize()
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
