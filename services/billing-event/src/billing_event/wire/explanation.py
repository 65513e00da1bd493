"""How a row came to be and why it waits, as it is replied."""

from datetime import date
from typing import Final

from billing_event.domain.explanation import steps_of
from billing_event.domain.position import RateRule, Row, Unit
from billing_event.domain.release import Checkpoint
from billing_event.wire.published import write_conversion, write_quantity
from throughline.billing_event.v1 import billing_event_pb2 as event_pb
from throughline.billing_event.v1 import billing_event_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import (
    EnumMap,
    write_date,
    write_decimal,
    write_id,
    write_money,
    write_optional_money,
)

RULES: Final = EnumMap(pb.RatingRule, RateRule)


def write_explanation(row: Row, *, effective_on: date | None) -> pb.RatingExplanation:
    """Return the figures and the sentences; `effective_on` is when the row's terms came to hold."""
    rating, rounding = row.rating, row.rating.rounding
    factor = rating.multiplier
    return pb.RatingExplanation(
        rule=pb.RATING_RULE_UNSPECIFIED if rating.rule is None else RULES.write(rating.rule),
        contract_version=rating.contract_version,
        terms_effective_on=write_date(effective_on) or None,
        rate_card_id=write_id(rating.rate_card_id) or None,
        rate_card_version=rating.rate_card_version,
        base_rate=write_optional_money(rating.base_rate),
        activity="" if factor is None else row.item.activity,
        multiplier="" if factor is None else write_decimal(factor),
        conversion=write_conversion(rating.conversion),
        minutes=row.minutes if rating.unit is Unit.HOUR else None,
        rounding_minutes=None if rounding is None else rounding.increment_minutes,
        rounding_mode="" if rounding is None else rounding.mode,
        quantity=write_quantity(row.quantity, rating.unit),
        unit_rate=write_money(rating.unit_rate),
        amount=write_money(row.amount),
        share_percent="" if rating.share_percent is None else write_decimal(rating.share_percent),
        steps=steps_of(row),
    )


def write_checkpoint(checkpoint: Checkpoint, amount: Money) -> event_pb.ReleaseCheckpoint:
    """Return what makes a row of this amount wait for a person."""
    return event_pb.ReleaseCheckpoint(
        rule=checkpoint.rule,
        threshold=write_money(checkpoint.threshold),
        reason=checkpoint.reason_to_stop(amount),
    )
