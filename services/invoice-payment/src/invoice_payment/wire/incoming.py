"""What other services publish, read into values of this one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from invoice_payment.domain.booking import Charge, Lapse, WrittenOff
from invoice_payment.domain.draft import (
    Buyer,
    InvoiceGrouping,
    LineDetail,
    ReratingPolicy,
    SoldLine,
    Terms,
)
from invoice_payment.domain.item import BillableItem, ItemKind, ItemType, Treatment
from invoice_payment.domain.party import Address, Party
from throughline.billing_event.events.v1.billing_event_events_pb2 import (
    BillingEventsReleased,
    BillingEventsWrittenOff,
    IntercompanyChargesRated,
    RetainerPeriodChanged,
)
from throughline.billing_event.v1 import billing_event_pb2
from throughline.common.v1 import address_pb2
from throughline.customer_contract.v1 import contract_pb2, customer_pb2, legal_entity_pb2
from throughline_core.ids import derived_id
from throughline_core.money import RATE_PLACES
from throughline_core.period import Period
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_enum,
    read_instant,
    read_money,
    read_optional_uuid,
    read_uuid,
)

_QUANTITY_PLACES: Final = 4

_TYPES: Final = EnumMap(billing_event_pb2.BillingEventType, ItemType)
_KINDS: Final = EnumMap(billing_event_pb2.BillingEventKind, ItemKind)
_GROUPINGS: Final = EnumMap(contract_pb2.InvoiceGrouping, InvoiceGrouping)
_TREATMENTS: Final = EnumMap(billing_event_pb2.BillingTreatment, Treatment)
_DETAILS: Final = EnumMap(contract_pb2.LineDetail, LineDetail)


@dataclass(frozen=True, slots=True)
class Entity:
    """A legal entity as invoices, days and numbers need it."""

    party: Party
    version: int
    code: str
    currency: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class CustomerState:
    """A customer, as of one version of it."""

    buyer: Buyer
    version: int


def read_entity(message: legal_entity_pb2.LegalEntity) -> Entity:
    """Return the entity a snapshot tells of."""
    party = Party(
        party_id=read_uuid("legal_entity_id", message.legal_entity_id),
        name=message.name,
        address=_read_address(message.address),
        tax_id=message.tax_id,
        registration=message.registration,
        iban=message.iban,
        bic=message.bic,
        email=message.billing_email,
    )
    return Entity(party, message.version, message.code, message.currency, message.time_zone)


def read_customer(message: customer_pb2.Customer) -> CustomerState:
    """Return the customer a snapshot tells of."""
    party = Party(
        party_id=read_uuid("customer_id", message.customer_id),
        name=message.name,
        address=_read_address(message.address),
        tax_id=message.tax_id,
    )
    is_registered = message.tax_status == customer_pb2.TAX_STATUS_VALID
    buyer = Buyer(party, is_registered, message.payment_terms_days)
    return CustomerState(buyer, message.version)


def read_terms(message: contract_pb2.Contract) -> Terms:
    """Return what invoicing keeps of a contract."""
    return Terms(
        contract_id=read_uuid("contract_id", message.contract_id),
        version=message.version,
        number=message.number,
        legal_entity_id=read_uuid("legal_entity_id", message.legal_entity_id),
        currency=message.currency,
        payment_terms_days=message.payment_terms_days,
        purchase_order_number=message.purchase_order_number,
        invoice_grouping=read_enum("invoice_grouping", message.invoice_grouping, _GROUPINGS),
        line_detail=read_enum("line_detail", message.line_detail, _DETAILS),
        engagement_id=read_uuid("engagement_id", message.engagement_id),
        correlation_id=read_uuid("correlation_id", message.correlation_id),
        lines={
            read_uuid("lines.contract_line_id", line.contract_line_id): SoldLine(
                line.terms.position, line.terms.description
            )
            for line in message.lines
        },
        bill_to_customer_id=read_uuid("bill_to_customer_id", message.bill_to_customer_id),
        rerating_policy=_rerating_policy(message),
    )


def read_items(events: Iterable[BillingEventsReleased]) -> list[BillableItem]:
    """Return the items that batches release, in the order told."""
    items: list[BillableItem] = []
    for event in events:
        batch_id = read_uuid("batch_id", event.batch_id)
        released_at = read_instant("released_at", event.released_at)
        items.extend(_read_item(row, batch_id, released_at) for row in event.billing_events)
    return items


def read_written_off(events: Iterable[BillingEventsWrittenOff]) -> list[WrittenOff]:
    """Return the rows that batches give up after their release, or take up again."""
    found: list[WrittenOff] = []
    for event in events:
        if not event.was_released:
            continue
        batch_id = read_uuid("batch_id", event.batch_id)
        at = read_instant("decided_at", event.decided_at)
        found.extend(
            WrittenOff(
                batch_id,
                at,
                _read_item(row, batch_id, at),
                undone=event.undone,
                is_released=row.status == billing_event_pb2.BILLING_EVENT_STATUS_RELEASED,
            )
            for row in event.billing_events
        )
    return found


def read_charges(events: Iterable[IntercompanyChargesRated]) -> list[Charge]:
    """Return what entities owe each other, in the order told."""
    return [
        Charge(
            batch_id=read_uuid("batch_id", event.batch_id),
            at=read_instant("rated_at", event.rated_at),
            lending_entity_id=read_uuid("lending_legal_entity_id", row.lending_legal_entity_id),
            borrowing_entity_id=read_uuid(
                "borrowing_legal_entity_id", row.borrowing_legal_entity_id
            ),
            contract_id=read_uuid("contract_id", row.contract_id),
            contract_line_id=read_uuid("contract_line_id", row.contract_line_id),
            engagement_id=read_uuid("engagement_id", row.engagement_id),
            correlation_id=read_uuid("correlation_id", row.correlation_id),
            amount=read_money("amount", row.amount, places=RATE_PLACES),
        )
        for event in events
        for row in event.charges
    ]


def read_lapses(events: Iterable[RetainerPeriodChanged], *, at: datetime) -> list[Lapse]:
    """Return what of retainers lapsed; a period that is closed says when, others lapse now."""
    found = []
    for event in events:
        if not event.HasField("lapsed_amount"):
            continue
        period = event.retainer_period
        closed = period.HasField("closed_at")
        period_id = read_uuid("retainer_period_id", period.retainer_period_id)
        found.append(
            Lapse(
                lapse_id=derived_id("retainer_lapse", period_id, period.version),
                at=read_instant("closed_at", period.closed_at) if closed else at,
                legal_entity_id=read_uuid("legal_entity_id", period.legal_entity_id),
                contract_id=read_uuid("contract_id", period.contract_id),
                contract_line_id=read_uuid("contract_line_id", period.contract_line_id),
                engagement_id=read_optional_uuid("engagement_id", event.engagement_id),
                correlation_id=read_optional_uuid("correlation_id", event.correlation_id),
                amount=read_money("lapsed_amount", event.lapsed_amount, places=RATE_PLACES),
            )
        )
    return found


def _rerating_policy(message: contract_pb2.Contract) -> ReratingPolicy:
    is_rebilled = message.rerating_policy == contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
    return ReratingPolicy.CREDIT_AND_REBILL if is_rebilled else ReratingPolicy.DEBIT_CREDIT


def _read_treatment(row: billing_event_pb2.BillingEvent) -> Treatment:
    if row.treatment == billing_event_pb2.BILLING_TREATMENT_UNSPECIFIED:
        return Treatment.INVOICED
    return read_enum("treatment", row.treatment, _TREATMENTS)


def _read_item(
    row: billing_event_pb2.BillingEvent, batch_id: UUID, released_at: datetime
) -> BillableItem:
    return BillableItem(
        billing_event_id=read_uuid("billing_event_id", row.billing_event_id),
        batch_id=batch_id,
        source_item_id=read_uuid("source_item_id", row.source_item_id),
        type=read_enum("type", row.type, _TYPES),
        kind=read_enum("kind", row.kind, _KINDS),
        contract_id=read_uuid("contract_id", row.contract_id),
        contract_line_id=read_uuid("contract_line_id", row.contract_line_id),
        quote_line_id=read_uuid("quote_line_id", row.quote_line_id),
        engagement_id=read_uuid("engagement_id", row.engagement_id),
        correlation_id=read_uuid("correlation_id", row.correlation_id),
        bill_to_customer_id=read_uuid("bill_to_customer_id", row.bill_to_customer_id),
        legal_entity_id=read_uuid("legal_entity_id", row.legal_entity_id),
        project_id=read_optional_uuid("project_id", row.project_id),
        person_id=read_optional_uuid("person_id", row.person_id),
        person_name=row.person_name,
        role=row.role,
        description=row.description,
        service=Period(
            read_date("service_from", row.service_from), read_date("service_to", row.service_to)
        ),
        quantity=read_decimal("quantity", row.quantity, places=_QUANTITY_PLACES),
        unit=row.unit,
        unit_rate=read_money("unit_rate", row.unit_rate, places=RATE_PLACES),
        amount=read_money("amount", row.amount, places=RATE_PLACES),
        tax_category=row.tax_category,
        released_at=released_at,
        reverses_billing_event_id=read_optional_uuid(
            "reverses_billing_event_id", row.reverses_billing_event_id
        ),
        version=max(row.version, 1),
        treatment=_read_treatment(row),
        purchase_order_number=row.purchase_order_number,
        rerating_run_id=read_optional_uuid("rerating_run_id", row.rerating_run_id),
    )


def _read_address(message: address_pb2.PostalAddress) -> Address:
    return Address(
        tuple(message.lines), message.city, message.postal_code, message.region, message.country
    )
