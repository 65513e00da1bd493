"""The terms of a contract: the values a signed version consists of."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.values import (
    ChangeOrderId,
    ContractId,
    ContractLineId,
    CustomerId,
    LegalEntityId,
    QuoteId,
    RateCardId,
)
from throughline_core.money import Money
from throughline_core.quantity import TimeRounding


class ContractStatus(StrEnum):
    """Where a contract stands."""

    DRAFT = "draft"
    SIGNED = "signed"
    ACTIVE = "active"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class InvoiceGrouping(StrEnum):
    """Which billed items share one invoice."""

    CONTRACT = "contract"
    CONTRACT_LINE = "contract_line"


class LineDetail(StrEnum):
    """How much detail invoice lines for time show."""

    ROLE = "role"
    PERSON = "person"
    ENTRY = "entry"


class ReratingPolicy(StrEnum):
    """What a difference found after invoicing becomes."""

    DEBIT_CREDIT = "debit_credit"
    CREDIT_AND_REBILL = "credit_and_rebill"


@dataclass(frozen=True, slots=True)
class ContractLine:
    """One line of the terms; its id is the same through all versions.

    `ended_on` is the first day it is no longer in force because a change order ended it.
    """

    contract_line_id: ContractLineId
    terms: ServiceLine
    ended_on: date | None = None
    added_by_change_order_id: ChangeOrderId | None = None


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """An order of the customer that pays for work in `[valid_from, valid_to)`; no lines = all.

    Without an amount it has no limit of its own, without `valid_to` it is open.
    """

    number: str
    valid_from: date
    valid_to: date | None
    amount: Money | None
    contract_line_ids: tuple[ContractLineId, ...]


@dataclass(frozen=True, slots=True)
class PayerShare:
    """One of several customers that share the bill; the rounding payer takes spare cents.

    Whoever has an `amount` pays that much in full, before those who share the rest by percent.
    """

    customer_id: CustomerId
    share_percent: Decimal
    is_rounding_payer: bool
    not_to_exceed: Money | None
    purchase_order_number: str
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Holdback:
    """A part of each invoice due on a day, None = on acceptance of the last milestone."""

    percent: Decimal
    due_on: date | None


@dataclass(frozen=True, slots=True)
class BillingProfile:
    """The terms a quote does not fix: they may be edited while the contract is a draft."""

    bill_to_customer_id: CustomerId
    payment_terms_days: int
    purchase_order_number: str
    not_to_exceed: Money | None
    invoice_grouping: InvoiceGrouping
    line_detail: LineDetail
    time_rounding: TimeRounding
    rate_card_id: RateCardId | None
    purchase_orders: tuple[PurchaseOrder, ...] = ()
    payers: tuple[PayerShare, ...] = ()
    holdback: Holdback | None = None
    rerating_policy: ReratingPolicy = ReratingPolicy.DEBIT_CREDIT


@dataclass(frozen=True, slots=True)
class Amendment:
    """How a version of the terms came to be, and from which day it holds.

    `effective_on` is None while it is a draft. Of the versions that hold for a day the one with
    the highest number counts.
    """

    recorded_by: str
    recorded_at: datetime
    effective_on: date | None = None
    reason: str = ""
    change_order_id: ChangeOrderId | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What the customer signed (SHA-256 of the document, hexadecimal), who and when."""

    document_sha256: str
    signatory: str
    signed_on: date


@dataclass(frozen=True, slots=True)
class StateInstants:
    """When this service learned that a contract came into force and that it ended.

    None for what has not happened, and for what happened before these were kept.
    """

    activated_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The terms of one deal at one of their versions, and where the deal stands.

    `version` counts the changes of this record, `contract_version` the versions of the terms. The
    term is half-open; `time_zone` is the selling entity's.
    """

    contract_id: ContractId
    version: int
    contract_version: int
    number: str
    status: ContractStatus
    engagement_id: UUID
    correlation_id: UUID
    quote_id: QuoteId
    quote_version: int
    customer_id: CustomerId
    legal_entity_id: LegalEntityId
    currency: str
    time_zone: str
    start_on: date
    end_on: date
    lines: tuple[ContractLine, ...]
    billing: BillingProfile
    amendment: Amendment
    signature: Signature | None = None
    activated_on: date | None = None
    terminated_on: date | None = None
    termination_reason: str = ""
    completed_on: date | None = None
    is_activated_when_due: bool = False
    learned: StateInstants = StateInstants()

    def line(self, contract_line_id: ContractLineId) -> ContractLine | None:
        """Return the line of this id, None where these terms have none."""
        lines = (one for one in self.lines if one.contract_line_id == contract_line_id)
        return next(lines, None)
