"""Messages into values: what other services announced, read field by field."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

from billing_event.domain.claim import Acceptance, Claim, MilestoneStep, allocation_id
from billing_event.domain.position import (
    BillingEventId,
)
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    CustomerId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
    SourceRef,
)
from billing_event.domain.terms import (
    BillingModel,
    CardEntry,
    ContractTerms,
    CustomerState,
    LineTerms,
    RateCard,
    TaxStatus,
)
from throughline.customer_contract.v1 import (
    contract_pb2,
    customer_pb2,
    quote_pb2,
    rate_card_pb2,
)
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoice_events
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as project_events,
)
from throughline.project_provisioning.v1 import project_pb2, work_pb2
from throughline_core.money import RATE_PLACES
from throughline_core.period import Period
from throughline_core.quantity import RoundingMode, TimeRounding
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_enum,
    read_instant,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)

MilestoneEvent: TypeAlias = (
    project_events.MilestoneCompleted
    | project_events.MilestoneAccepted
    | project_events.MilestoneRejected
)

_MODELS: Final = EnumMap(quote_pb2.BillingModel, BillingModel)
_TAX_STATUSES: Final = EnumMap(customer_pb2.TaxStatus, TaxStatus)
_ROUNDINGS: Final = EnumMap(contract_pb2.TimeRoundingMode, RoundingMode)

_DAY: Final = timedelta(days=1)

# The same few projects, persons and days stand on thousands of entries.
_read_known_uuid = lru_cache(maxsize=1 << 16)(read_uuid)
_read_known_date = lru_cache(maxsize=1 << 12)(read_date)


def read_terms(contract: contract_pb2.Contract) -> ContractTerms:
    """Return what of a contract rating, limits and the billing calendar need."""
    term = Period(
        read_date("contract.start_on", contract.start_on),
        read_date("contract.end_on", contract.end_on),
    )
    lines = [_read_line(line, term) for line in contract.lines]
    return ContractTerms(
        contract_id=ContractId(read_uuid("contract.contract_id", contract.contract_id)),
        contract_version=contract.contract_version,
        engagement_id=read_uuid("contract.engagement_id", contract.engagement_id),
        correlation_id=read_uuid("contract.correlation_id", contract.correlation_id),
        customer_id=CustomerId(read_uuid("contract.customer_id", contract.customer_id)),
        bill_to_customer_id=CustomerId(
            read_uuid("contract.bill_to_customer_id", contract.bill_to_customer_id)
        ),
        legal_entity_id=LegalEntityId(
            read_uuid("contract.legal_entity_id", contract.legal_entity_id)
        ),
        currency=contract.currency,
        time_zone=contract.time_zone,
        time_rounding=TimeRounding(
            contract.time_rounding_minutes,
            read_enum("contract.time_rounding_mode", contract.time_rounding_mode, _ROUNDINGS),
        ),
        rate_card_id=read_optional_uuid("contract.rate_card_id", contract.rate_card_id),
        not_to_exceed=read_optional_money(
            "contract.not_to_exceed", contract.not_to_exceed, places=RATE_PLACES
        ),
        lines={line.contract_line_id: line for line in lines},
    )


def _read_line(line: contract_pb2.ContractLine, contract_term: Period) -> LineTerms:
    terms = line.terms
    term = Period(
        read_optional_date("lines.terms.start_on", terms.start_on) or contract_term.start,
        read_optional_date("lines.terms.end_on", terms.end_on) or contract_term.end,
    )
    return LineTerms(
        contract_line_id=ContractLineId(read_uuid("lines.contract_line_id", line.contract_line_id)),
        quote_line_id=read_uuid("lines.terms.quote_line_id", terms.quote_line_id),
        billing_model=read_enum("lines.terms.billing_model", terms.billing_model, _MODELS),
        description=terms.description,
        tax_category=terms.tax_category,
        term=term,
        unit_price=read_money("lines.terms.unit_price", terms.unit_price, places=RATE_PLACES),
        rates={
            rate.role: read_money("lines.terms.rates", rate.hourly_rate, places=RATE_PLACES)
            for rate in terms.rates
        },
        not_to_exceed=read_optional_money(
            "lines.terms.not_to_exceed", terms.not_to_exceed, places=RATE_PLACES
        ),
        anchor_day=terms.anchor_day or term.start.day,
        in_advance=terms.in_advance,
        markup_percent=read_optional_decimal(
            "lines.terms.markup_percent", terms.markup_percent, places=4
        )
        or Decimal(0),
    )


def read_card(card: rate_card_pb2.RateCard) -> RateCard:
    """Return a version of a rate card, its entries by role."""
    entries: dict[str, list[CardEntry]] = {}
    for entry in card.entries:
        entries.setdefault(entry.role, []).append(_read_entry(entry))
    customer_id = read_optional_uuid("rate_card.customer_id", card.customer_id)
    entity_id = read_optional_uuid("rate_card.legal_entity_id", card.legal_entity_id)
    return RateCard(
        rate_card_id=read_uuid("rate_card.rate_card_id", card.rate_card_id),
        version=card.version,
        code=card.code,
        currency=card.currency,
        legal_entity_id=LegalEntityId(entity_id) if entity_id else None,
        customer_id=CustomerId(customer_id) if customer_id else None,
        published_at=read_instant("rate_card.published_at", card.published_at),
        entries=entries,
    )


def _read_entry(entry: rate_card_pb2.RateCardEntry) -> CardEntry:
    return CardEntry(
        role=entry.role,
        level=entry.level or None,
        region=entry.region or None,
        person_id=read_optional_uuid("rate_card.entries.person_id", entry.person_id),
        hourly_rate=read_money(
            "rate_card.entries.hourly_rate", entry.hourly_rate, places=RATE_PLACES
        ),
        valid_from=read_date("rate_card.entries.valid_from", entry.valid_from),
        valid_to=read_optional_date("rate_card.entries.valid_to", entry.valid_to),
    )


def read_customer(customer: customer_pb2.Customer) -> CustomerState:
    """Return what of a customer decides about release."""
    return CustomerState(
        customer_id=CustomerId(read_uuid("customer.customer_id", customer.customer_id)),
        version=customer.version,
        is_on_credit_hold=customer.credit_hold,
        credit_hold_reason=customer.credit_hold_reason,
        tax_status=read_enum("customer.tax_status", customer.tax_status, _TAX_STATUSES),
    )


def read_time(event: project_events.TimeApproved) -> Iterator[SourceItem]:
    """Yield the approved entries, in the order of the event."""
    for entry in event.entries:
        work_date = _read_known_date("entries.work_date", entry.work_date)
        contract_id, line_id = _read_line_ids(entry)
        yield SourceItem(
            source_item_id=SourceItemId(read_uuid("entries.time_entry_id", entry.time_entry_id)),
            type=ItemType.TIME,
            contract_id=contract_id,
            contract_line_id=line_id,
            engagement_id=_read_known_uuid("entries.engagement_id", entry.engagement_id),
            project_id=_read_known_uuid("entries.project_id", entry.project_id),
            task_id=_read_known_uuid("entries.task_id", entry.task_id),
            person_id=_read_known_uuid("entries.person_id", entry.person_id),
            person_name=entry.person_name,
            delivering_entity_id=_read_entity(entry),
            role=entry.role,
            level=entry.level,
            region=entry.region,
            description=entry.note,
            service_from=work_date,
            service_to=work_date + _DAY,
            minutes=entry.minutes,
            price=None,
            price_basis="",
            is_billable=entry.billable,
            is_accepted=True,
            refusal="",
            approved_by=event.approved_by,
            source=_read_source(entry),
        )


def read_expenses(event: project_events.ExpenseReportApproved) -> Iterator[SourceItem]:
    """Yield the approved lines, in the order of the event."""
    for line in event.lines:
        incurred_on = _read_known_date("lines.incurred_on", line.incurred_on)
        contract_id, line_id = _read_line_ids(line)
        yield SourceItem(
            source_item_id=SourceItemId(read_uuid("lines.expense_line_id", line.expense_line_id)),
            type=ItemType.EXPENSE,
            contract_id=contract_id,
            contract_line_id=line_id,
            engagement_id=_read_known_uuid("lines.engagement_id", line.engagement_id),
            project_id=_read_known_uuid("lines.project_id", line.project_id),
            task_id=None,
            person_id=_read_known_uuid("lines.person_id", line.person_id),
            person_name=line.person_name,
            delivering_entity_id=_read_entity(line),
            role="",
            level="",
            region="",
            description=line.description,
            service_from=incurred_on,
            service_to=incurred_on + _DAY,
            minutes=0,
            price=read_money("lines.net_amount", line.net_amount),
            price_basis="",
            is_billable=line.billable,
            is_accepted=True,
            refusal="",
            approved_by=event.approved_by,
            source=_read_source(line),
        )


def read_milestone(
    event: MilestoneEvent,
) -> SourceItem:
    """Return the milestone as a thing to bill, whichever of its events came first."""
    milestone = event.milestone
    day = read_date("milestone.completed_on", milestone.completed_on or milestone.accepted_on)
    return SourceItem(
        source_item_id=SourceItemId(read_uuid("milestone.milestone_id", milestone.milestone_id)),
        type=ItemType.MILESTONE,
        contract_id=ContractId(read_uuid("milestone.contract_id", milestone.contract_id)),
        contract_line_id=ContractLineId(
            read_uuid("milestone.contract_line_id", milestone.contract_line_id)
        ),
        engagement_id=read_uuid("engagement_id", event.engagement_id),
        project_id=read_uuid("milestone.project_id", milestone.project_id),
        task_id=None,
        person_id=None,
        person_name="",
        delivering_entity_id=None,
        role="",
        level="",
        region="",
        description=milestone.name,
        service_from=day,
        service_to=day + _DAY,
        minutes=0,
        price=read_money("milestone.amount", milestone.amount),
        price_basis=f"agreed amount of milestone {milestone.key}",
        is_billable=True,
        is_accepted=isinstance(event, project_events.MilestoneAccepted),
        refusal=_read_refusal(event),
        approved_by="",
        source=None,
    )


def read_step(
    event: project_events.MilestoneCompleted | project_events.MilestoneRejected,
) -> MilestoneStep:
    """Return that the milestone was completed, or refused by the client."""
    milestone = event.milestone
    return MilestoneStep(
        SourceItemId(read_uuid("milestone.milestone_id", milestone.milestone_id)),
        milestone.version,
        _read_refusal(event),
    )


def _read_refusal(event: MilestoneEvent) -> str:
    if not isinstance(event, project_events.MilestoneRejected):
        return ""
    return event.reason or "no reason given"


def read_acceptance(milestone: project_pb2.Milestone) -> Acceptance:
    """Return the client's sign-off."""
    return Acceptance(
        SourceItemId(read_uuid("milestone.milestone_id", milestone.milestone_id)),
        read_date("milestone.accepted_on", milestone.accepted_on),
        milestone.accepted_by,
        milestone.evidence_sha256,
    )


def read_claims(event: invoice_events.InvoiceItemsBilled) -> Iterator[Claim]:
    """Yield what the invoice billed, item by item."""
    invoice_id = read_uuid("invoice_id", event.invoice_id)
    for item in event.items:
        line_id = _read_known_uuid("items.invoice_line_id", item.invoice_line_id)
        row_id = BillingEventId(read_uuid("items.billing_event_id", item.billing_event_id))
        yield Claim(
            allocation_id(invoice_id, line_id, row_id),
            row_id,
            invoice_id,
            line_id,
            read_decimal("items.quantity", item.quantity, places=RATE_PLACES),
            read_money("items.amount", item.amount, places=RATE_PLACES),
        )


def _read_line_ids(
    work: work_pb2.TimeEntry | work_pb2.ExpenseLine,
) -> tuple[ContractId | None, ContractLineId | None]:
    """Return contract and line, or neither: work that names only one of them is mapped to none."""
    if not work.contract_id or not work.contract_line_id:
        return None, None
    return (
        ContractId(_read_known_uuid("contract_id", work.contract_id)),
        ContractLineId(_read_known_uuid("contract_line_id", work.contract_line_id)),
    )


def _read_entity(work: work_pb2.TimeEntry | work_pb2.ExpenseLine) -> LegalEntityId:
    return LegalEntityId(_read_known_uuid("legal_entity_id", work.legal_entity_id))


def _read_source(work: work_pb2.TimeEntry | work_pb2.ExpenseLine) -> SourceRef | None:
    if not work.HasField("source"):
        return None
    source = work.source
    return SourceRef(source.system, source.object_type, source.object_id)
