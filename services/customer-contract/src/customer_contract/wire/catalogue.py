"""Messages of the service catalogue."""

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.service_line import Dimensions, LineDefaults, ModelTerms
from customer_contract.wire.line_terms import (
    FIXED_FEE_BILLING,
    PERCENT_PLACES,
    PRORATION,
    REVENUE_METHOD,
    read_dimensions,
    read_expense_policy,
    read_milestones,
    read_multipliers,
    read_retainer,
    read_usage,
    write_dimensions,
    write_expense_policy,
    write_milestones,
    write_multipliers,
    write_retainer,
    write_usage,
)
from customer_contract.wire.service_line import BILLING_MODEL
from throughline.customer_contract.v1 import catalogue_service_pb2 as pb
from throughline.customer_contract.v1 import quote_pb2 as quote_pb
from throughline_core.money import RATE_PLACES, Money
from throughline_runtime.fields import (
    read_enum,
    read_money,
    read_optional_decimal,
    read_optional_enum,
    write_decimal,
    write_instant,
    write_money,
)


def read_defaults(request: pb.PutServiceRequest | pb.CatalogueEntry) -> LineDefaults:
    """Return what lines of the service take over."""
    has_dimensions = request.HasField("dimensions")
    return LineDefaults(
        name=request.name,
        billing_model=read_enum("billing_model", request.billing_model, BILLING_MODEL),
        tax_category=request.tax_category,
        template_code=request.template_code,
        terms=_read_terms(request),
        revenue_method=read_optional_enum("revenue_method", request.revenue_method, REVENUE_METHOD),
        dimensions=read_dimensions(request.dimensions) if has_dimensions else Dimensions(),
    )


def _read_terms(request: pb.PutServiceRequest | pb.CatalogueEntry) -> ModelTerms:
    has = request.HasField
    return ModelTerms(
        milestones=read_milestones("milestones", request.milestones),
        anchor_day=request.anchor_day,
        in_advance=request.in_advance,
        markup_percent=read_optional_decimal(
            "markup_percent", request.markup_percent, places=PERCENT_PLACES
        ),
        fixed_fee_billing=read_optional_enum(
            "fixed_fee_billing", request.fixed_fee_billing, FIXED_FEE_BILLING
        ),
        period_months=request.period_months,
        proration=read_optional_enum("proration", request.proration, PRORATION),
        retainer=read_retainer("retainer", request.retainer) if has("retainer") else None,
        usage=read_usage("usage", request.usage) if has("usage") else None,
        expense_policy=(
            read_expense_policy("expense_policy", request.expense_policy)
            if has("expense_policy")
            else None
        ),
        multipliers=read_multipliers("multipliers", request.multipliers),
    )


def read_floor_prices(message: pb.CatalogueEntry) -> tuple[Money, ...]:
    """Return the least prices of a unit, as sent."""
    return tuple(
        read_money(f"service.floor_prices[{index}]", floor, places=RATE_PLACES)
        for index, floor in enumerate(message.floor_prices)
    )


def read_entry(message: pb.CatalogueEntry) -> CatalogueEntry:
    """Return the version as it was kept with its proposal."""
    return CatalogueEntry(
        message.code,
        message.version,
        read_defaults(message),
        message.retired,
        read_floor_prices(message),
    )


def write_entry(entry: CatalogueEntry) -> pb.CatalogueEntry:
    defaults, terms = entry.defaults, entry.defaults.terms
    method, billing, proration = (
        defaults.revenue_method,
        terms.fixed_fee_billing,
        terms.proration,
    )
    policy = terms.expense_policy
    return pb.CatalogueEntry(
        code=entry.code,
        version=entry.version,
        name=defaults.name,
        billing_model=BILLING_MODEL.write(defaults.billing_model),
        tax_category=defaults.tax_category,
        template_code=defaults.template_code,
        milestones=write_milestones(terms.milestones),
        anchor_day=terms.anchor_day,
        in_advance=terms.in_advance,
        markup_percent="" if terms.markup_percent is None else write_decimal(terms.markup_percent),
        retired=entry.retired,
        revenue_method=(
            REVENUE_METHOD.write(method) if method else quote_pb.REVENUE_METHOD_UNSPECIFIED
        ),
        dimensions=write_dimensions(defaults.dimensions),
        fixed_fee_billing=(
            FIXED_FEE_BILLING.write(billing) if billing else quote_pb.FIXED_FEE_BILLING_UNSPECIFIED
        ),
        period_months=terms.period_months,
        proration=PRORATION.write(proration) if proration else quote_pb.PRORATION_UNSPECIFIED,
        retainer=None if terms.retainer is None else write_retainer(terms.retainer),
        usage=None if terms.usage is None else write_usage(terms.usage),
        expense_policy=None if policy is None else write_expense_policy(policy),
        multipliers=write_multipliers(terms.multipliers),
        floor_prices=map(write_money, entry.floor_prices),
        proposed_by=entry.proposed_by,
        published_by=entry.published_by,
        published_at=write_instant(entry.published_at),
    )
