"""The facts rating stands on: terms of contracts, rate cards, state of customers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from billing_event.domain.source import ContractId, ContractLineId, CustomerId, LegalEntityId
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_core.quantity import TimeRounding


class BillingModel(StrEnum):
    """How a contract line earns its money."""

    TIME_AND_MATERIALS = "time_and_materials"
    FIXED_FEE = "fixed_fee"
    RECURRING = "recurring"
    PASS_THROUGH = "pass_through"
    RETAINER = "retainer"
    USAGE = "usage"


class Proration(StrEnum):
    """How a part of a period is charged."""

    ACTUAL_DAYS = "actual_days"
    THIRTY_DAYS = "thirty_days"
    NONE = "none"


class ReratingPolicy(StrEnum):
    """What a difference found after invoicing becomes."""

    DEBIT_CREDIT = "debit_credit"
    CREDIT_AND_REBILL = "credit_and_rebill"


class Aggregation(StrEnum):
    """How the readings of a period become one quantity."""

    SUM = "sum"
    MAX = "max"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class UsageTier:
    """The price of the units up to `up_to`, counted from the first charged; None: all others."""

    up_to: Decimal | None
    unit_price: Money


@dataclass(frozen=True, slots=True)
class UsageTerms:
    """What is metered, how it is counted, and what units beyond the included ones cost."""

    meter: str
    period_months: int
    aggregation: Aggregation
    included: Decimal
    tiers: tuple[UsageTier, ...]


class RollOver(StrEnum):
    """What happens to the rest of a retainer's period."""

    NONE = "none"
    CARRY = "carry"


class Overage(StrEnum):
    """What happens to work beyond a retainer's balance."""

    BILL = "bill"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class RetainerTerms:
    """What the block of a retainer consists of, and what becomes of its rest and of more work.

    `hours` of a period, None where the block is money. Up to `roll_over_limit_percent` of the block
    is carried on, and expires after so many periods, 0 at the end of the line. `overage_rate` None
    means that the agreed rates decide.
    """

    hours: Decimal | None
    roll_over: RollOver
    roll_over_limit_percent: Decimal
    expires_after_periods: int
    overage: Overage
    overage_rate: Money | None


@dataclass(frozen=True, slots=True)
class LineTerms:
    """One line of the signed terms.

    `rates` are prices of an hour by role, `person_rates` those of one person in a role, which go
    first. `multipliers` are factors of special activities. `ended_on` is the first day the line is
    no longer in force because a change order ended it. `period_months` is how long a recurring
    period is. `delivering_entity_id` None means the entity that sells. `net_total` is the agreed
    amount of the whole line. `markups` are percents of expense categories with one of their own,
    `billed_categories` those that are billed at all (empty: every one), `daily_caps` the most that
    is billed of one for a person and day.
    """

    contract_line_id: ContractLineId
    quote_line_id: UUID
    billing_model: BillingModel
    description: str
    tax_category: str
    term: Period
    unit_price: Money
    rates: Mapping[str, Money]
    not_to_exceed: Money | None
    anchor_day: int
    in_advance: bool
    markup_percent: Decimal
    person_rates: Mapping[tuple[str, UUID], Money] = field(default_factory=dict)
    multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    ended_on: date | None = None
    period_months: int = 1
    proration: Proration = Proration.ACTUAL_DAYS
    delivering_entity_id: LegalEntityId | None = None
    by_percent_complete: bool = False
    net_total: Money | None = None
    usage: UsageTerms | None = None
    markups: Mapping[str, Decimal] = field(default_factory=dict)
    retainer: RetainerTerms | None = None
    billed_categories: frozenset[str] = frozenset()
    daily_caps: Mapping[str, Money] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """An order of the customer: what it pays for and when; no lines means all of them."""

    number: str
    valid_from: date
    valid_to: date | None
    amount: Money | None
    contract_line_ids: frozenset[ContractLineId]

    def is_for(self, contract_line_id: ContractLineId) -> bool:
        return not self.contract_line_ids or contract_line_id in self.contract_line_ids

    def is_valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Payer:
    """Who bears a part of the bill: all of it up to `amount`, before anybody who pays by percent,
    or without an amount `share_percent` of what is left.

    The rounding payer takes the cents that cannot be shared. `not_to_exceed` is the most that one
    who pays by percent pays. An empty order number means the contract's own.
    """

    customer_id: CustomerId
    share_percent: Decimal
    is_rounding: bool
    not_to_exceed: Money | None = None
    amount: Money | None = None
    purchase_order_number: str = ""

    @property
    def limit(self) -> Money | None:
        """The most this payer pays, None for any amount."""
        return self.not_to_exceed if self.amount is None else self.amount


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """One version of a contract's terms. `effective_on` is the first day it holds for, if said.

    Without `payers` the bill-to customer pays all of it.
    """

    contract_id: ContractId
    contract_version: int
    engagement_id: UUID
    correlation_id: UUID
    customer_id: CustomerId
    bill_to_customer_id: CustomerId
    legal_entity_id: LegalEntityId
    currency: str
    time_zone: str
    time_rounding: TimeRounding
    rate_card_id: UUID | None
    not_to_exceed: Money | None
    lines: Mapping[ContractLineId, LineTerms]
    effective_on: date | None = None
    purchase_orders: tuple[PurchaseOrder, ...] = ()
    payers: tuple[Payer, ...] = ()
    has_holdback: bool = False
    rerating_policy: ReratingPolicy = ReratingPolicy.DEBIT_CREDIT


@dataclass(frozen=True, slots=True)
class CardEntry:
    """The price of a role's hour from `valid_from` up to, not including, `valid_to`.

    `level`, `region` and `person_id` narrow it; None means any. Of a person's own entries only
    those of the role worked in count.
    """

    role: str
    level: str | None
    region: str | None
    person_id: UUID | None
    hourly_rate: Money
    valid_from: date
    valid_to: date | None

    def is_valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class CardPurpose(StrEnum):
    """What the rates of a card are for: customers' bills, or one entity's work for another."""

    BILLING = "billing"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class RateCard:
    """The latest version known of a card; a firm's card names neither entity nor customer.

    A transfer card is its lending entity's; `borrowing_entity_id` None means that it is for any
    entity that borrows.
    """

    rate_card_id: UUID
    version: int
    code: str
    currency: str
    legal_entity_id: LegalEntityId | None
    customer_id: CustomerId | None
    published_at: datetime
    entries: Mapping[str, Sequence[CardEntry]]
    multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    purpose: CardPurpose = CardPurpose.BILLING
    borrowing_entity_id: LegalEntityId | None = None


class TaxStatus(StrEnum):
    """What is known about a customer's tax registration."""

    MISSING = "missing"
    VALID = "valid"
    INVALID = "invalid"
    NOT_REQUIRED = "not_required"


@dataclass(frozen=True, slots=True)
class CustomerState:
    """What decides whether a customer's work may be released."""

    customer_id: CustomerId
    version: int
    is_on_credit_hold: bool
    credit_hold_reason: str
    tax_status: TaxStatus


class CardStanding(StrEnum):
    """Whose card prices an hour, in words."""

    CONTRACT = "the contract's card"
    CUSTOMER = "the customer's card"
    ENTITY = "the entity's card"
    FIRM = "the firm's card"


def cards_of(terms: ContractTerms, cards: Iterable[RateCard]) -> list[tuple[str, RateCard]]:
    """Return the cards that may price a contract's hours, each with its standing, best first.

    Contract's card, then the customer's, the selling entity's, the firm's; of several with one
    standing the one published last. A transfer card never prices what a customer pays.
    """
    ranked: list[tuple[int, str, RateCard]] = []
    for card in cards:
        if card.purpose is CardPurpose.TRANSFER:
            continue
        if card.rate_card_id == terms.rate_card_id:
            ranked.append((0, CardStanding.CONTRACT, card))
        elif card.legal_entity_id not in (None, terms.legal_entity_id):
            continue
        elif card.customer_id == terms.customer_id:
            ranked.append((1, CardStanding.CUSTOMER, card))
        elif card.customer_id is None and card.legal_entity_id is not None:
            ranked.append((2, CardStanding.ENTITY, card))
        elif card.customer_id is None:
            ranked.append((3, CardStanding.FIRM, card))
    ranked.sort(key=lambda each: (each[0], -each[2].published_at.timestamp(), each[2].code))
    return [(standing, card) for _, standing, card in ranked]
