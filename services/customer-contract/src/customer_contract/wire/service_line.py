"""Messages of service lines and their terms."""

from collections.abc import Iterable
from typing import Final

from customer_contract.domain.line_offer import LineOffer
from customer_contract.domain.service_line import (
    BillingModel,
    LineRate,
    Milestone,
    ServiceLine,
)
from customer_contract.wire.values import read_source, write_source
from throughline.customer_contract.v1 import quote_pb2 as pb
from throughline.customer_contract.v1 import quote_service_pb2 as service_pb
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_money,
    write_date,
    write_decimal,
    write_money,
    write_optional_money,
)

BILLING_MODEL: Final = EnumMap(pb.BillingModel, BillingModel)
PERCENT_PLACES: Final = 4

_QUANTITY_PLACES: Final = 4
_HOURS_PLACES: Final = 2


def read_offer(field: str, message: service_pb.QuoteLineTerms) -> LineOffer:
    """Return the line as asked for; `field` is its path in the request."""
    return LineOffer(
        service_code=message.service_code,
        description=message.description or None,
        billing_model=read_optional_enum(
            f"{field}.billing_model", message.billing_model, BILLING_MODEL
        ),
        quantity=read_decimal(f"{field}.quantity", message.quantity, places=_QUANTITY_PLACES),
        unit_price=read_money(f"{field}.unit_price", message.unit_price, places=RATE_PLACES),
        net_total=read_optional_money(f"{field}.net_total", message.net_total),
        discount_percent=read_decimal(
            f"{field}.discount_percent", message.discount_percent or "0", places=PERCENT_PLACES
        ),
        tax_category=message.tax_category or None,
        template_code=message.template_code or None,
        start_on=read_optional_date(f"{field}.start_on", message.start_on),
        end_on=read_optional_date(f"{field}.end_on", message.end_on),
        milestones=read_milestones(f"{field}.milestones", message.milestones),
        rates=_read_rates(f"{field}.rates", message.rates),
        not_to_exceed=read_optional_money(f"{field}.not_to_exceed", message.not_to_exceed),
        anchor_day=message.anchor_day if message.HasField("anchor_day") else None,
        in_advance=message.in_advance if message.HasField("in_advance") else None,
        markup_percent=read_optional_decimal(
            f"{field}.markup_percent", message.markup_percent, places=PERCENT_PLACES
        ),
        source=read_source(message.source),
    )


def read_milestones(field: str, messages: Iterable[pb.MilestonePlan]) -> tuple[Milestone, ...]:
    """Return the plan as sent; amounts are ours to set."""
    return tuple(
        Milestone(
            key=message.key,
            name=message.name,
            share_percent=read_decimal(
                f"{field}[{index}].share_percent", message.share_percent, places=PERCENT_PLACES
            ),
            due_on=read_optional_date(f"{field}[{index}].due_on", message.due_on),
        )
        for index, message in enumerate(messages)
    )


def _read_rates(field: str, messages: Iterable[pb.LineRate]) -> tuple[LineRate, ...]:
    return tuple(
        LineRate(
            role=message.role,
            hourly_rate=read_money(
                f"{field}[{index}].hourly_rate", message.hourly_rate, places=RATE_PLACES
            ),
            planned_hours=read_decimal(
                f"{field}[{index}].planned_hours", message.planned_hours, places=_HOURS_PLACES
            ),
        )
        for index, message in enumerate(messages)
    )


def write_service_line(line: ServiceLine) -> pb.ServiceLine:
    terms = line.terms
    return pb.ServiceLine(
        quote_line_id=str(line.quote_line_id),
        position=line.position,
        service_code=line.service_code,
        description=line.description,
        billing_model=BILLING_MODEL.write(line.billing_model),
        quantity=write_decimal(line.quantity),
        unit_price=write_money(line.unit_price),
        net_total=write_money(line.net_total),
        discount_percent=write_decimal(line.discount_percent),
        tax_category=line.tax_category,
        template_code=line.template_code,
        start_on=write_date(line.start_on) or None,
        end_on=write_date(line.end_on) or None,
        milestones=write_milestones(terms.milestones),
        rates=[
            pb.LineRate(
                role=rate.role,
                hourly_rate=write_money(rate.hourly_rate),
                planned_hours=write_decimal(rate.planned_hours),
            )
            for rate in terms.rates
        ],
        not_to_exceed=write_optional_money(terms.not_to_exceed),
        anchor_day=terms.anchor_day,
        in_advance=terms.in_advance,
        markup_percent="" if terms.markup_percent is None else write_decimal(terms.markup_percent),
        source=write_source(line.source),
    )


def write_milestones(milestones: Iterable[Milestone]) -> list[pb.MilestonePlan]:
    return [
        pb.MilestonePlan(
            key=milestone.key,
            name=milestone.name,
            share_percent=write_decimal(milestone.share_percent),
            due_on=write_date(milestone.due_on) or None,
            amount=write_optional_money(milestone.amount),
        )
        for milestone in milestones
    ]
