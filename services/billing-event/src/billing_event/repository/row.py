"""Rows of `billing_event` into values."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row as SqlRow

from billing_event.domain.hold import OpenHold
from billing_event.domain.position import (
    Conversion,
    EventKind,
    EventStatus,
    RateRule,
    Rating,
    Row,
    Treatment,
    Unit,
)
from billing_event.domain.source import SourceItem
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding


def row_from(row: SqlRow[Any], item: SourceItem, holds: Sequence[OpenHold]) -> Row:
    """Return the rated row of a row of `billing_event` with its position."""
    return Row(
        billing_event_id=row.billing_event_id,
        item=item,
        rating=_rating_from(row),
        part=row.part,
        kind=EventKind(row.kind),
        quantity=row.quantity,
        minutes=row.minutes,
        amount=Money(row.amount, row.currency),
        rated_at=row.rated_at,
        rated_on=row.rated_on,
        status=EventStatus(row.status),
        version=row.version,
        released_by=row.released_by or "",
        holds=tuple(holds),
        reverses=row.reverses_billing_event_id,
        is_taken_back=row.is_taken_back,
        adjusts=row.adjusts_billing_event_id,
        rerating_run_id=row.rerating_run_id,
        retainer_period_id=row.retainer_period_id,
    )


def _rating_from(row: SqlRow[Any]) -> Rating:
    return Rating(
        contract_id=row.contract_id,
        contract_version=row.contract_version,
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        bill_to_customer_id=row.bill_to_customer_id,
        legal_entity_id=row.legal_entity_id,
        unit=Unit(row.unit),
        unit_rate=Money(row.unit_rate, row.currency),
        tax_category=row.tax_category,
        rate_card_id=row.rate_card_id,
        rate_card_version=row.rate_card_version,
        explanation=row.rate_explanation,
        delivering_entity_id=row.delivering_entity_id,
        multiplier=row.multiplier,
        purchase_order_number=row.purchase_order_number,
        treatment=Treatment(row.treatment),
        share_percent=row.share_percent,
        conversion=_conversion_from(row),
        rule=None if row.rate_rule is None else RateRule(row.rate_rule),
        base_rate=_base_from(row),
        rounding=_rounding_from(row),
    )


def _conversion_from(row: SqlRow[Any]) -> Conversion | None:
    if row.exchange_rate is None:
        return None
    price = Money(row.converted_price, row.converted_currency)
    return Conversion(price, row.exchange_rate, row.exchange_rate_on, row.exchange_source)


def _base_from(row: SqlRow[Any]) -> Money | None:
    """Return the price before conversion, which is in the currency that was converted, if any."""
    if row.base_rate is None:
        return None
    return Money(row.base_rate, row.converted_currency or row.currency)


def _rounding_from(row: SqlRow[Any]) -> TimeRounding | None:
    if row.rounding_minutes is None:
        return None
    return TimeRounding(row.rounding_minutes, RoundingMode(row.rounding_mode))
