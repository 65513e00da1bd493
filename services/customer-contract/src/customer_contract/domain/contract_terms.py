"""The terms of a contract: the values a signed version consists of."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.values import (
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


@dataclass(frozen=True, slots=True)
class ContractLine:
    """One line of the terms; its id is the same through all versions."""

    contract_line_id: ContractLineId
    terms: ServiceLine


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


@dataclass(frozen=True, slots=True)
class Amendment:
    """How a version of the terms came to be; `effective_on` is None while it is a draft."""

    recorded_by: str
    recorded_at: datetime
    effective_on: date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """What the customer signed (SHA-256 of the document, hexadecimal), who and when."""

    document_sha256: str
    signatory: str
    signed_on: date


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
