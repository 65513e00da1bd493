"""Retainers as they are published and replied."""

from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row

from billing_event.domain.proposal import DecisionStatus
from billing_event.domain.retainer import HOURS, MovementKind, PeriodStatus
from billing_event.domain.retainer_top_up import TopUp
from throughline.billing_event.events.v1 import billing_event_events_pb2 as events
from throughline.billing_event.v1 import retainer_pb2
from throughline.billing_event.v1 import retainer_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
)

STATUSES: Final = EnumMap(retainer_pb2.RetainerPeriodStatus, PeriodStatus)
ENTRY_KINDS: Final = EnumMap(pb.RetainerEntryKind, MovementKind)
TOP_UP_STATUSES: Final = EnumMap(pb.RetainerTopUpStatus, DecisionStatus)


def period_changed(row: Row[Any], *, lapsed: Decimal | None) -> Outgoing:
    """Return the event that tells of a period, and of what of it lapsed now."""
    message = events.RetainerPeriodChanged(
        retainer_period=write_period(row),
        lapsed_amount=None if not lapsed else write_money(Money(lapsed, row.currency)),
        engagement_id=str(row.engagement_id),
        correlation_id=str(row.correlation_id),
    )
    return Outgoing(message, row.retainer_period_id, row.version)


def write_period(row: Row[Any]) -> retainer_pb2.RetainerPeriod:
    """Return the period of a row of `retainer_period`."""
    return retainer_pb2.RetainerPeriod(
        retainer_period_id=str(row.retainer_period_id),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        legal_entity_id=str(row.legal_entity_id),
        period_from=write_date(row.period_from),
        period_to=write_date(row.period_to),
        status=STATUSES.write(PeriodStatus(row.status)),
        unit=row.unit,
        granted=write_figure(row.granted, row.unit),
        carried_in=write_figure(row.carried_in, row.unit),
        drawn=write_figure(row.drawn, row.unit),
        carried_out=write_figure(row.carried_out, row.unit),
        lapsed=write_figure(row.lapsed, row.unit),
        balance=write_figure(row.balance, row.unit),
        price=write_money(Money(row.price, row.currency)),
        carry_expires_on=write_date(row.carry_expires_on) or None,
        version=row.version,
        closed_at=write_instant(row.closed_at),
        overdrawn=write_figure(row.overdrawn, row.unit),
    )


def write_figure(figure: Decimal, unit: str) -> str:
    """Return hours with two decimals, as they are printed, or an amount of the unit's money."""
    return f"{figure:.2f}" if unit == HOURS else write_money(Money(figure, unit)).amount


def write_entry(row: Row[Any], *, unit: str, currency: str) -> pb.RetainerEntry:
    """Return the line of a statement of a row of `retainer_entry`."""
    return pb.RetainerEntry(
        retainer_entry_id=str(row.retainer_entry_id),
        kind=ENTRY_KINDS.write(MovementKind(row.kind)),
        quantity=write_figure(row.quantity, unit),
        value=write_money(Money(row.value, currency)),
        origin_period_id=str(row.origin_period_id),
        billing_event_id=write_id(row.billing_event_id) or None,
        recorded_at=write_instant(row.recorded_at),
    )


def write_top_up(top_up: TopUp) -> pb.RetainerTopUp:
    """Return a top-up as it is replied."""
    return pb.RetainerTopUp(
        retainer_top_up_id=str(top_up.retainer_top_up_id),
        version=top_up.version,
        status=TOP_UP_STATUSES.write(top_up.status),
        retainer_period_id=str(top_up.retainer_period_id),
        legal_entity_id=str(top_up.legal_entity_id),
        quantity=write_decimal(top_up.quantity),
        price=write_money(top_up.price),
        reason=top_up.reason,
        proposed_by=top_up.proposed_by,
        proposed_at=write_instant(top_up.proposed_at),
        decided_by=top_up.decided_by,
        decided_at=write_instant(top_up.decided_at),
        comment=top_up.comment,
    )
