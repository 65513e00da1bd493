"""Periods of retainers: what their blocks grant, what is left of them, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.recurring import RecurringPeriod
from billing_event.domain.source import ContractId, ContractLineId, LegalEntityId
from billing_event.domain.terms import BillingModel, RetainerTerms, RollOver
from throughline_core.money import Money, exponent
from throughline_core.period import Period
from throughline_core.rounding import round_half_away

RetainerPeriodId = NewType("RetainerPeriodId", UUID)

HOURS: Final = "hour"
_HOUR_PLACES: Final = 2
_NOTHING: Final = Decimal(0)
_DAY: Final = timedelta(days=1)
_HUNDRED: Final = Decimal(100)


class PeriodStatus(StrEnum):
    """Where a period of a retainer stands."""

    PLANNED = "planned"
    OPEN = "open"
    CLOSED = "closed"
    VOID = "void"
    """No day of it is left: it grants nothing, and nothing is carried on into it."""


class MovementKind(StrEnum):
    """What moved the balance of a period."""

    GRANT = "grant"
    TOP_UP = "top_up"
    DRAW = "draw"
    GIVE_BACK = "give_back"
    CARRY_OUT = "carry_out"
    CARRY_IN = "carry_in"
    LAPSE = "lapse"


@dataclass(frozen=True, slots=True)
class Block:
    """What a period of a retainer grants, as the terms of its first day have it.

    `quantity` is in hours or, for a retainer of money, in its currency, and then equals `price`.
    """

    retainer_period_id: RetainerPeriodId
    contract_id: ContractId
    contract_line_id: ContractLineId
    legal_entity_id: LegalEntityId
    engagement_id: UUID
    correlation_id: UUID
    service: Period
    unit: str
    quantity: Decimal
    price: Money


@dataclass(slots=True, eq=False)
class Bucket:
    """What is left in a period of the block of one period, and what that was paid for it.

    `expires_on` is the last day of work that may draw on it, None for no such day.
    """

    origin_period_id: RetainerPeriodId
    origin_from: date
    expires_on: date | None
    quantity: Decimal
    value: Decimal

    def is_for(self, day: date) -> bool:
        """Whether work of a day may draw on it."""
        return self.origin_from <= day and (self.expires_on is None or day <= self.expires_on)

    @property
    def sooner(self) -> tuple[date, date]:
        """By which buckets are drawn on: what expires first goes first."""
        return self.expires_on or date.max, self.origin_from

    def value_of(self, quantity: Decimal, currency: str) -> Decimal:
        """Return what a part of it was paid: its share, rounded; the last part takes the rest."""
        if quantity == self.quantity:
            return self.value
        return round_half_away(self.value * quantity / self.quantity, exponent(currency))


@dataclass(slots=True, eq=False)
class RetainerPeriod:
    """A period with its balance while its row is locked.

    granted + carried_in = drawn + carried_out + lapsed + balance, in hours or in money. `overdrawn`
    is what was drawn, and paid `overdrawn_value`, before an end took it off: granted = block +
    top-ups + overdrawn. `terms` say what becomes of its rest, None while they are not known.
    """

    block: Block
    terms: RetainerTerms | None
    status: PeriodStatus = PeriodStatus.PLANNED
    version: int = 1
    granted: Decimal = _NOTHING
    carried_in: Decimal = _NOTHING
    drawn: Decimal = _NOTHING
    carried_out: Decimal = _NOTHING
    lapsed: Decimal = _NOTHING
    overdrawn: Decimal = _NOTHING
    overdrawn_value: Decimal = _NOTHING
    carry_expires_on: date | None = None
    buckets: dict[RetainerPeriodId, Bucket] = field(default_factory=dict)

    @property
    def retainer_period_id(self) -> RetainerPeriodId:
        return self.block.retainer_period_id

    @property
    def balance(self) -> Decimal:
        """What can still be drawn."""
        return sum((bucket.quantity for bucket in self.buckets.values()), _NOTHING)

    @property
    def is_overdrawn(self) -> bool:
        """Whether more is drawn of its block than it grants."""
        return bool(self.overdrawn or self.overdrawn_value)

    @property
    def last_day(self) -> date:
        return self.block.service.end - _DAY

    @property
    def carry_max(self) -> Decimal:
        """How much of what is left may be carried on."""
        if self.terms is None or self.terms.roll_over is RollOver.NONE:
            return _NOTHING
        places = _HOUR_PLACES if self.block.unit == HOURS else exponent(self.block.price.currency)
        share = self.block.quantity * self.terms.roll_over_limit_percent / _HUNDRED
        return share.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)


def blocks_of(agreement: Agreement, planned: list[RecurringPeriod]) -> list[Block]:
    """Return what the periods of a contract's retainers grant; a part of a period grants a part."""
    blocks = []
    for period in planned:
        found = agreement.line_on(period.contract_line_id, period.service.start)
        if found is None:
            continue
        terms, line = found
        if line.billing_model is not BillingModel.RETAINER or line.retainer is None:
            continue
        hours, unit_price = line.retainer.hours, line.unit_price.amount
        quantity = period.amount.amount
        if hours is not None:
            share = quantity / unit_price if unit_price else Decimal(1)
            quantity = round_half_away(hours * share, _HOUR_PLACES)
        blocks.append(
            Block(
                retainer_period_id=RetainerPeriodId(period.recurring_period_id),
                contract_id=period.contract_id,
                contract_line_id=period.contract_line_id,
                legal_entity_id=period.legal_entity_id,
                engagement_id=period.engagement_id,
                correlation_id=terms.correlation_id,
                service=period.service,
                unit=HOURS if hours is not None else period.amount.currency,
                quantity=quantity,
                price=period.amount,
            )
        )
    return blocks


def has_retainer(agreement: Agreement) -> bool:
    """Whether a line of the contract is a retainer, or was."""
    return any(
        line.retainer is not None for terms in agreement.versions for line in terms.lines.values()
    )


def terms_for(agreements: Mapping[ContractId, Agreement], block: Block) -> RetainerTerms | None:
    """Return the terms of a retainer that hold for a period, by its first day."""
    agreement = agreements.get(block.contract_id)
    found = agreement and agreement.line_on(block.contract_line_id, block.service.start)
    if not found:
        return None
    return found[1].retainer
