"""Rated rows: what approved things are worth, and which row takes which back."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from reporting.domain import Kind, Link, Node, Rows
from reporting.folds.common import day, label
from throughline.billing_event.v1 import billing_event_pb2 as billing

_SOURCE_KINDS: Final = {
    billing.BILLING_EVENT_TYPE_TIME: Kind.TIME_ENTRY,
    billing.BILLING_EVENT_TYPE_EXPENSE: Kind.EXPENSE_LINE,
    billing.BILLING_EVENT_TYPE_MILESTONE: Kind.MILESTONE,
    billing.BILLING_EVENT_TYPE_RECURRING: Kind.SERVICE_PERIOD,
}
# Texts of these are what persons wrote of their own work.
_PERSONAL: Final = (billing.BILLING_EVENT_TYPE_TIME, billing.BILLING_EVENT_TYPE_EXPENSE)


def fold_billing_events(rows: Rows, events: Iterable[billing.BillingEvent]) -> None:
    """A rated row follows from the approved thing it bills, and from the row it takes back."""
    for event in events:
        source_kind = _SOURCE_KINDS[event.type]
        rows.nodes.append(
            Node(
                kind=Kind.BILLING_EVENT,
                object_id=event.billing_event_id,
                label=_plain_label(event),
                personal_label=label(event.description) if event.type in _PERSONAL else None,
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
            )
        )
        rows.links.append(
            Link(source_kind, event.source_item_id, Kind.BILLING_EVENT, event.billing_event_id)
        )
        if event.reverses_billing_event_id:
            rows.links.append(
                Link(
                    Kind.BILLING_EVENT,
                    event.reverses_billing_event_id,
                    Kind.BILLING_EVENT,
                    event.billing_event_id,
                )
            )
        if source_kind is Kind.SERVICE_PERIOD:
            _add_service_period(rows, event)


def _add_service_period(rows: Rows, event: billing.BillingEvent) -> None:
    rows.nodes.append(
        Node(
            kind=Kind.SERVICE_PERIOD,
            object_id=event.source_item_id,
            label=f"{event.service_from} to {event.service_to}",
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
            Kind.SERVICE_PERIOD,
            event.source_item_id,
        )
    )


def _plain_label(event: billing.BillingEvent) -> str:
    if event.type not in _PERSONAL:
        return label(event.description)
    kind = "expense" if event.type == billing.BILLING_EVENT_TYPE_EXPENSE else event.role
    return label(f"{kind.replace('_', ' ')}, {event.quantity} {event.unit}")
