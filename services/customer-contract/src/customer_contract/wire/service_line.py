"""Messages of service lines and their terms."""

from typing import Final

from customer_contract.domain.line_offer import LineOffer
from customer_contract.domain.service_line import BillingModel, Delivery, ModelTerms, ServiceLine
from customer_contract.domain.values import LegalEntityId, QuoteLineId
from customer_contract.wire.line_terms import (
    FIXED_FEE_BILLING,
    PERCENT_PLACES,
    PRORATION,
    REVENUE_METHOD,
    read_dimensions,
    read_expense_policy,
    read_milestones,
    read_multipliers,
    read_priced_milestones,
    read_rates,
    read_retainer,
    read_usage,
    write_dimensions,
    write_expense_policy,
    write_milestones,
    write_multipliers,
    write_rates,
    write_retainer,
    write_usage,
)
from customer_contract.wire.values import read_source, write_source
from throughline.customer_contract.v1 import quote_pb2 as pb
from throughline.customer_contract.v1 import quote_service_pb2 as service_pb
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_enum,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_decimal,
    write_id,
    write_money,
    write_optional_money,
)

BILLING_MODEL: Final = EnumMap(pb.BillingModel, BillingModel)

_QUANTITY_PLACES: Final = 4
_OFFERED: Final = frozenset(service_pb.QuoteLineTerms.DESCRIPTOR.fields_by_name) - {"quote_line_id"}


def read_offer(field: str, message: service_pb.QuoteLineTerms) -> LineOffer:
    """Return the line as asked for; `field` is its path in the request."""
    deliverer = read_optional_uuid(
        f"{field}.delivering_legal_entity_id", message.delivering_legal_entity_id
    )
    line_id = read_optional_uuid(f"{field}.quote_line_id", message.quote_line_id)
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
        rates=read_rates(f"{field}.rates", message.rates),
        not_to_exceed=read_optional_money(f"{field}.not_to_exceed", message.not_to_exceed),
        anchor_day=message.anchor_day if message.HasField("anchor_day") else None,
        in_advance=message.in_advance if message.HasField("in_advance") else None,
        markup_percent=read_optional_decimal(
            f"{field}.markup_percent", message.markup_percent, places=PERCENT_PLACES
        ),
        source=read_source(message.source),
        fixed_fee_billing=read_optional_enum(
            f"{field}.fixed_fee_billing", message.fixed_fee_billing, FIXED_FEE_BILLING
        ),
        period_months=message.period_months,
        proration=read_optional_enum(f"{field}.proration", message.proration, PRORATION),
        retainer=(
            read_retainer(f"{field}.retainer", message.retainer)
            if message.HasField("retainer")
            else None
        ),
        usage=read_usage(f"{field}.usage", message.usage) if message.HasField("usage") else None,
        expense_policy=(
            read_expense_policy(f"{field}.expense_policy", message.expense_policy)
            if message.HasField("expense_policy")
            else None
        ),
        multipliers=read_multipliers(f"{field}.multipliers", message.multipliers),
        delivering_legal_entity_id=None if deliverer is None else LegalEntityId(deliverer),
        region=message.region,
        revenue_method=read_optional_enum(
            f"{field}.revenue_method", message.revenue_method, REVENUE_METHOD
        ),
        dimensions=(
            read_dimensions(message.dimensions) if message.HasField("dimensions") else None
        ),
        cost_budget=read_optional_money(f"{field}.cost_budget", message.cost_budget),
        quote_line_id=None if line_id is None else QuoteLineId(line_id),
    )


def write_service_line(line: ServiceLine) -> pb.ServiceLine:
    terms, delivery = line.terms, line.delivery
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
        rates=write_rates(terms.rates),
        not_to_exceed=write_optional_money(terms.not_to_exceed),
        anchor_day=terms.anchor_day,
        in_advance=terms.in_advance,
        markup_percent="" if terms.markup_percent is None else write_decimal(terms.markup_percent),
        source=write_source(line.source),
        delivering_legal_entity_id=write_id(delivery.legal_entity_id) or None,
        region=delivery.region,
        revenue_method=REVENUE_METHOD.write(delivery.revenue_method),
        dimensions=write_dimensions(delivery.dimensions),
        fixed_fee_billing=(
            FIXED_FEE_BILLING.write(terms.fixed_fee_billing)
            if terms.fixed_fee_billing
            else pb.FIXED_FEE_BILLING_UNSPECIFIED
        ),
        period_months=terms.period_months,
        proration=(
            PRORATION.write(terms.proration) if terms.proration else pb.PRORATION_UNSPECIFIED
        ),
        retainer=None if terms.retainer is None else write_retainer(terms.retainer),
        usage=None if terms.usage is None else write_usage(terms.usage),
        expense_policy=(
            None if terms.expense_policy is None else write_expense_policy(terms.expense_policy)
        ),
        multipliers=write_multipliers(terms.multipliers),
        cost_budget=write_optional_money(delivery.cost_budget),
    )


def write_offer(line: pb.ServiceLine) -> service_pb.QuoteLineTerms:
    """Return the line as it could be asked for again, with everything said."""
    said = {field.name: value for field, value in line.ListFields() if field.name in _OFFERED}
    return service_pb.QuoteLineTerms(**said)


def read_service_line(message: pb.ServiceLine) -> ServiceLine:
    """Return a line that this service wrote in full; see `write_service_line`."""
    deliverer = read_optional_uuid("delivering_legal_entity_id", message.delivering_legal_entity_id)
    return ServiceLine(
        quote_line_id=QuoteLineId(read_uuid("quote_line_id", message.quote_line_id)),
        position=message.position,
        service_code=message.service_code,
        description=message.description,
        billing_model=read_enum("billing_model", message.billing_model, BILLING_MODEL),
        quantity=read_decimal("quantity", message.quantity, places=_QUANTITY_PLACES),
        unit_price=read_money("unit_price", message.unit_price, places=RATE_PLACES),
        net_total=read_money("net_total", message.net_total),
        discount_percent=read_decimal(
            "discount_percent", message.discount_percent, places=PERCENT_PLACES
        ),
        tax_category=message.tax_category,
        template_code=message.template_code,
        start_on=read_optional_date("start_on", message.start_on),
        end_on=read_optional_date("end_on", message.end_on),
        terms=_read_terms(message),
        source=read_source(message.source),
        delivery=Delivery(
            legal_entity_id=None if deliverer is None else LegalEntityId(deliverer),
            region=message.region,
            revenue_method=read_enum("revenue_method", message.revenue_method, REVENUE_METHOD),
            dimensions=read_dimensions(message.dimensions),
            cost_budget=read_optional_money("cost_budget", message.cost_budget),
        ),
    )


def _read_terms(message: pb.ServiceLine) -> ModelTerms:
    return ModelTerms(
        milestones=read_priced_milestones(message.milestones),
        rates=read_rates("rates", message.rates),
        not_to_exceed=read_optional_money("not_to_exceed", message.not_to_exceed),
        anchor_day=message.anchor_day,
        in_advance=message.in_advance,
        markup_percent=read_optional_decimal(
            "markup_percent", message.markup_percent, places=PERCENT_PLACES
        ),
        fixed_fee_billing=read_optional_enum(
            "fixed_fee_billing", message.fixed_fee_billing, FIXED_FEE_BILLING
        ),
        period_months=message.period_months,
        proration=read_optional_enum("proration", message.proration, PRORATION),
        retainer=(
            read_retainer("retainer", message.retainer) if message.HasField("retainer") else None
        ),
        usage=read_usage("usage", message.usage) if message.HasField("usage") else None,
        expense_policy=(
            read_expense_policy("expense_policy", message.expense_policy)
            if message.HasField("expense_policy")
            else None
        ),
        multipliers=read_multipliers("multipliers", message.multipliers),
    )
