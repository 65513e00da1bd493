"""Rated rows: what approved things are worth, what pays for them, and which takes which back."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from reporting.domain import Kind, Link, Node, Rows
from reporting.folds.common import add_source, day, label
from throughline.billing_event.v1 import billing_event_pb2 as billing
from throughline.billing_event.v1 import intercompany_pb2 as intercompany
from throughline.billing_event.v1 import retainer_pb2 as retainer

_SOURCE_KINDS: Final = {
    billing.BILLING_EVENT_TYPE_TIME: Kind.TIME_ENTRY,
    billing.BILLING_EVENT_TYPE_EXPENSE: Kind.EXPENSE_LINE,
    billing.BILLING_EVENT_TYPE_MILESTONE: Kind.MILESTONE,
    billing.BILLING_EVENT_TYPE_RECURRING: Kind.SERVICE_PERIOD,
    billing.BILLING_EVENT_TYPE_PROGRESS: Kind.PROGRESS_STEP,
    billing.BILLING_EVENT_TYPE_USAGE: Kind.USAGE_PERIOD,
    billing.BILLING_EVENT_TYPE_ADJUSTMENT: Kind.ADJUSTMENT,
}
# What nothing else announces stands on the chain by the rows that bill it.
_ANNOUNCED_BY_ROWS: Final = frozenset(
    {
        Kind.PURCHASE,
        Kind.SERVICE_PERIOD,
        Kind.PROGRESS_STEP,
        Kind.USAGE_PERIOD,
        Kind.ADJUSTMENT,
    }
)
# These have a text; the others are told apart by their days.
_DESCRIBED: Final = frozenset({Kind.PURCHASE, Kind.ADJUSTMENT})
# Texts of these are what persons wrote of their own work.
_PERSONAL: Final = (
    billing.BILLING_EVENT_TYPE_TIME,
    billing.BILLING_EVENT_TYPE_EXPENSE,
    billing.BILLING_EVENT_TYPE_RETAINER_DRAW,
)


def fold_billing_events(rows: Rows, events: Iterable[billing.BillingEvent]) -> None:
    """A rated row follows from the approved thing it bills, and from the row it takes back."""
    for event in events:
        source_kind = _source_kind(event)
        rows.nodes.append(
            Node(
                kind=Kind.BILLING_EVENT,
                object_id=event.billing_event_id,
                label=_plain_label(event),
                personal_label=label(event.description) if _is_personal(event) else None,
                version=event.version,
                state=billing.BillingEventStatus.Name(event.status)
                .removeprefix("BILLING_EVENT_STATUS_")
                .lower(),
                quantity=Decimal(event.quantity),
                amount=Decimal(event.amount.amount),
                currency=event.amount.currency,
                happened_on=day(event.service_from),
                contract_line_id=event.contract_line_id,
                legal_entity_id=event.legal_entity_id,
                treatment=_treatment(event),
            )
        )
        rows.links.append(
            Link(source_kind, event.source_item_id, Kind.BILLING_EVENT, event.billing_event_id)
        )
        for before in {event.reverses_billing_event_id, event.adjusts_billing_event_id} - {""}:
            rows.links.append(
                Link(Kind.BILLING_EVENT, before, Kind.BILLING_EVENT, event.billing_event_id)
            )
        if event.retainer_period_id:
            rows.links.append(
                Link(
                    Kind.RETAINER_PERIOD,
                    event.retainer_period_id,
                    Kind.BILLING_EVENT,
                    event.billing_event_id,
                )
            )
        if source_kind in _ANNOUNCED_BY_ROWS:
            _add_source(rows, event, source_kind)


def fold_charges(rows: Rows, charges: Iterable[intercompany.IntercompanyCharge]) -> None:
    """What one entity owes another for work follows from the work; no customer owes it."""
    for charge in charges:
        rows.nodes.append(
            Node(
                kind=Kind.INTERCOMPANY_CHARGE,
                object_id=charge.intercompany_charge_id,
                label=label(f"{charge.role.replace('_', ' ')}, {charge.quantity} hour"),
                quantity=Decimal(charge.quantity),
                amount=Decimal(charge.amount.amount),
                currency=charge.amount.currency,
                happened_on=day(charge.work_date),
                contract_line_id=charge.contract_line_id or None,
                legal_entity_id=charge.lending_legal_entity_id,
            )
        )
        kind = Kind.TIME_ENTRY if charge.minutes else Kind.EXPENSE_LINE
        rows.links.append(
            Link(
                kind,
                charge.source_item_id,
                Kind.INTERCOMPANY_CHARGE,
                charge.intercompany_charge_id,
            )
        )
        if charge.reverses_intercompany_charge_id:
            rows.links.append(
                Link(
                    Kind.INTERCOMPANY_CHARGE,
                    charge.reverses_intercompany_charge_id,
                    Kind.INTERCOMPANY_CHARGE,
                    charge.intercompany_charge_id,
                )
            )


def fold_retainer_period(rows: Rows, period: retainer.RetainerPeriod) -> None:
    """A period of a retainer, whose block is billed in advance and whose rest is its quantity."""
    rows.nodes.append(
        Node(
            kind=Kind.RETAINER_PERIOD,
            object_id=period.retainer_period_id,
            label=f"{period.period_from} to {period.period_to}, {period.balance} {period.unit}",
            version=period.version,
            state=retainer.RetainerPeriodStatus.Name(period.status)
            .removeprefix("RETAINER_PERIOD_STATUS_")
            .lower(),
            quantity=Decimal(period.balance or 0),
            amount=Decimal(period.price.amount),
            currency=period.price.currency,
            happened_on=day(period.period_from),
            contract_line_id=period.contract_line_id,
            legal_entity_id=period.legal_entity_id,
        )
    )
    rows.links.append(
        Link(
            Kind.CONTRACT_LINE,
            period.contract_line_id,
            Kind.RETAINER_PERIOD,
            period.retainer_period_id,
        )
    )
    rows.links.append(
        Link(
            Kind.RETAINER_PERIOD,
            period.retainer_period_id,
            Kind.SERVICE_PERIOD,
            period.retainer_period_id,
        )
    )


def _source_kind(event: billing.BillingEvent) -> Kind:
    """Return what a row bills; what draws on a retainer is time, or else an expense.

    An expense is somebody's; what nobody has spent was bought for the customer.
    """
    kind = _SOURCE_KINDS.get(event.type)
    if kind is None:
        kind = Kind.TIME_ENTRY if event.minutes else Kind.EXPENSE_LINE
    return Kind.PURCHASE if kind is Kind.EXPENSE_LINE and not event.person_id else kind


def _treatment(event: billing.BillingEvent) -> str:
    if event.treatment == billing.BILLING_TREATMENT_UNSPECIFIED:
        return "invoiced"
    name = billing.BillingTreatment.Name(event.treatment)
    return name.removeprefix("BILLING_TREATMENT_").lower()


def _add_source(rows: Rows, event: billing.BillingEvent, kind: Kind) -> None:
    rows.nodes.append(
        Node(
            kind=kind,
            object_id=event.source_item_id,
            label=label(
                event.description
                if kind in _DESCRIBED
                else f"{event.service_from} to {event.service_to}"
            ),
            quantity=Decimal(event.quantity),
            happened_on=day(event.service_from),
            contract_line_id=event.contract_line_id,
            legal_entity_id=event.legal_entity_id,
        )
    )
    rows.links.append(
        Link(
            Kind.CONTRACT_LINE,
            event.contract_line_id,
            kind,
            event.source_item_id,
        )
    )
    add_source(rows, event, kind, event.source_item_id)


def _is_personal(event: billing.BillingEvent) -> bool:
    return event.type in _PERSONAL and bool(event.person_id)


def _plain_label(event: billing.BillingEvent) -> str:
    if not _is_personal(event):
        return label(event.description)
    kind = "expense" if event.type == billing.BILLING_EVENT_TYPE_EXPENSE else event.role
    return label(f"{kind.replace('_', ' ')}, {event.quantity} {event.unit}")
