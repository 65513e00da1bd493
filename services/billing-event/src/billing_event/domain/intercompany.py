"""What one legal entity of the firm owes another for the work of its people.

Who lends is who employed the person on the day of the work, as the entry says; who borrows is who
sells. A charge stands for both sides of it, so that what the one books the other books as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import NewType
from uuid import UUID

from billing_event.domain.position import portion_of
from billing_event.domain.rate import Rate, resolve_on_cards
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from billing_event.domain.terms import CardPurpose, ContractTerms, RateCard
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.quantity import billed_hours

IntercompanyChargeId = NewType("IntercompanyChargeId", UUID)


@dataclass(frozen=True, slots=True)
class Work:
    """Approved time under a contract, by a person of the lending entity.

    `borrowing_entity_id` None means that the contract is not known yet.
    """

    item: SourceItem
    contract_id: ContractId
    lending_entity_id: LegalEntityId
    borrowing_entity_id: LegalEntityId | None


@dataclass(frozen=True, slots=True)
class Charge:
    """A lending entity's claim on a borrowing one: hours as recorded at the transfer price.

    `reverses` is the charge that this one takes back; minutes, quantity and amount are negative.
    """

    intercompany_charge_id: IntercompanyChargeId
    source_item_id: SourceItemId
    lending_entity_id: LegalEntityId
    borrowing_entity_id: LegalEntityId
    contract_id: ContractId
    contract_line_id: ContractLineId | None
    engagement_id: UUID
    correlation_id: UUID
    work_date: date
    person_id: UUID
    role: str
    minutes: int
    quantity: Decimal
    unit_rate: Money
    amount: Money
    rate_card_id: UUID
    rate_card_version: int
    explanation: str
    rated_at: datetime
    reverses: IntercompanyChargeId | None = None


def work_of(
    items: Iterable[SourceItem], sellers: Mapping[ContractId, LegalEntityId]
) -> Iterator[Work]:
    """Yield the time that people of another entity than the selling one worked, or may have."""
    for item in items:
        contract_id = item.contract_id or item.project_contract_id
        lender = item.delivering_entity_id
        if item.type is not ItemType.TIME or contract_id is None or lender is None:
            continue
        seller = sellers.get(contract_id)
        if seller != lender:
            yield Work(item, contract_id, lender, seller)


def charge_of(
    work: Work, terms: ContractTerms, cards: Iterable[RateCard], *, at: datetime
) -> Charge | None:
    """Return what the borrowing entity owes for the work, None while no card prices it.

    Hours are those recorded: how the customer's time is rounded does not concern the entities.
    """
    item, rate = work.item, transfer_rate(work, cards)
    if rate is None or work.borrowing_entity_id is None:
        return None
    assert item.person_id is not None, "time is a person's"
    assert rate.rate_card_id is not None, "a transfer price is on a card"
    assert rate.rate_card_version is not None, "a transfer price is on a card"
    price = portion_of(rate.unit, billed_hours(item.minutes), minutes=item.minutes)
    return Charge(
        intercompany_charge_id=charge_id(item.source_item_id),
        source_item_id=item.source_item_id,
        lending_entity_id=work.lending_entity_id,
        borrowing_entity_id=work.borrowing_entity_id,
        contract_id=work.contract_id,
        contract_line_id=item.contract_line_id,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        work_date=item.service_from,
        person_id=item.person_id,
        role=item.role,
        minutes=item.minutes,
        quantity=price.quantity,
        unit_rate=rate.unit,
        amount=price.amount,
        rate_card_id=rate.rate_card_id,
        rate_card_version=rate.rate_card_version,
        explanation=rate.explanation,
        rated_at=at,
    )


def transfer_rate(work: Work, cards: Iterable[RateCard]) -> Rate | None:
    """Return the transfer price of an hour on the day of the work, None where no card has one.

    Cards of the lending entity for this borrower go first, then those for any; of several the one
    published last.
    """
    return resolve_on_cards(work.item, _in_order(work, cards))


def mirror(charge: Charge, source_item_id: SourceItemId, *, at: datetime) -> Charge:
    """Return the charge by which a thing takes another's back, at the price frozen on that."""
    return replace(
        charge,
        intercompany_charge_id=charge_id(source_item_id),
        source_item_id=source_item_id,
        minutes=-charge.minutes,
        quantity=-charge.quantity,
        amount=-charge.amount,
        rated_at=at,
        reverses=charge.intercompany_charge_id,
    )


def charge_id(source_item_id: SourceItemId) -> IntercompanyChargeId:
    """Return the id of the charge for a thing: the same whenever it is found."""
    return IntercompanyChargeId(derived_id("intercompany_charge", source_item_id))


def _in_order(work: Work, cards: Iterable[RateCard]) -> Sequence[tuple[str, RateCard]]:
    fitting = [
        card
        for card in cards
        if card.purpose is CardPurpose.TRANSFER
        and card.legal_entity_id == work.lending_entity_id
        and card.borrowing_entity_id in (None, work.borrowing_entity_id)
    ]
    fitting.sort(
        key=lambda card: (
            card.borrowing_entity_id is None,
            -card.published_at.timestamp(),
            card.code,
        )
    )
    return [("the transfer card", card) for card in fitting]
