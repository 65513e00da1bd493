"""Offered lines: what a sender says of a line, completed from the catalogue and checked."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from customer_contract.domain.line_terms import (
    AmountNotPositive,
    check_amounts,
    check_revenue_method,
    check_terms,
)
from customer_contract.domain.service_line import (
    WHOLE_PERCENT,
    ActivityMultiplier,
    BillingModel,
    Delivery,
    Dimensions,
    ExpensePolicy,
    FixedFeeBilling,
    LineDefaults,
    LineRate,
    Milestone,
    ModelTerms,
    Proration,
    RetainerTerms,
    RevenueMethod,
    ServiceLine,
    UsageTerms,
    price,
    usual_revenue_method,
    usual_terms,
)
from customer_contract.domain.values import (
    LegalEntityId,
    QuoteLineId,
    SourceRef,
    require_currency,
)
from throughline_core.errors import InvalidArgument
from throughline_core.money import Money
from throughline_core.period import Period

_AMOUNT_LIMIT: Final = Decimal(10) ** 12


class LineIncomplete(InvalidArgument):
    """Neither the line nor the catalogue says what the line needs."""

    code = "service_line.incomplete"


class ModelDiffers(InvalidArgument):
    """The line contradicts the catalogue about how the service is billed."""

    code = "service_line.model_differs"


class DiscountTooHigh(InvalidArgument):
    """More than the whole price was taken off."""

    code = "service_line.discount_too_high"


class AmountTooLarge(InvalidArgument):
    """The amount has more than twelve digits before the point; the unit must be wrong."""

    code = "service_line.amount_too_large"


class TotalMismatch(InvalidArgument):
    """The sender's total is not its quantity times its unit price."""

    code = "service_line.total_mismatch"


class OutsideTerm(InvalidArgument):
    """The days of the line are empty or not within the offered term."""

    code = "service_line.outside_term"


@dataclass(frozen=True, slots=True)
class LineOffer:
    """A line as it is asked for; None, nought and empty terms are left to the catalogue."""

    service_code: str
    description: str | None
    billing_model: BillingModel | None
    quantity: Decimal
    unit_price: Money
    net_total: Money | None
    discount_percent: Decimal
    tax_category: str | None
    template_code: str | None
    start_on: date | None
    end_on: date | None
    milestones: tuple[Milestone, ...]
    rates: tuple[LineRate, ...]
    not_to_exceed: Money | None
    anchor_day: int | None
    in_advance: bool | None
    markup_percent: Decimal | None
    source: SourceRef | None
    fixed_fee_billing: FixedFeeBilling | None = None
    period_months: int = 0
    proration: Proration | None = None
    retainer: RetainerTerms | None = None
    usage: UsageTerms | None = None
    expense_policy: ExpensePolicy | None = None
    multipliers: tuple[ActivityMultiplier, ...] = ()
    delivering_legal_entity_id: LegalEntityId | None = None
    region: str = ""
    revenue_method: RevenueMethod | None = None
    dimensions: Dimensions | None = None
    cost_budget: Money | None = None
    quote_line_id: QuoteLineId | None = None


def complete(
    offer: LineOffer,
    defaults: LineDefaults | None,
    *,
    quote_line_id: QuoteLineId,
    position: int,
    currency: str,
    term: Period,
    field: str,
) -> ServiceLine:
    """Return the line with the catalogue's defaults taken over and its milestones priced.

    `field` is the path of the line in the request, for refusals.

    Raises:
        LineIncomplete, ModelDiffers, OutsideTerm, DiscountTooHigh: the line.
        TotalMismatch, AmountNotPositive, AmountTooLarge: its amounts.
        TermOfAnotherModel, TermsMissing, MilestoneAmounts, RevenueMethodUnfit, and what else
            `line_terms.check_terms` refuses: its terms.
        MixedCurrencies: an amount is not in `currency`.
    """
    _require_within(offer, term, field)
    if offer.discount_percent > WHOLE_PERCENT:
        raise DiscountTooHigh(
            "a discount is at most 100 percent", field=f"{field}.discount_percent"
        )
    billing_model = _model_of(offer, defaults, field)
    net_total = _net_total_of(offer, currency, field)
    terms = usual_terms(billing_model, _terms_of(offer, defaults))
    check_terms(billing_model, terms, field=field)
    check_amounts(terms, net_total, field=field)
    name, tax_category, template_code = (
        (defaults.name, defaults.tax_category, defaults.template_code)
        if defaults
        else (None, None, None)
    )
    return ServiceLine(
        quote_line_id=quote_line_id,
        position=position,
        service_code=offer.service_code,
        description=_said(offer.description, name, f"{field}.description"),
        billing_model=billing_model,
        quantity=offer.quantity,
        unit_price=offer.unit_price,
        net_total=net_total,
        discount_percent=offer.discount_percent,
        tax_category=_said(offer.tax_category, tax_category, f"{field}.tax_category"),
        template_code=_said(offer.template_code, template_code, f"{field}.template_code"),
        start_on=offer.start_on,
        end_on=offer.end_on,
        terms=replace(terms, milestones=price(terms.milestones, net_total)),
        source=offer.source,
        delivery=_delivery_of(offer, defaults, billing_model, terms, currency, field),
    )


def _model_of(offer: LineOffer, defaults: LineDefaults | None, field: str) -> BillingModel:
    if defaults is None:
        if offer.billing_model is None:
            raise _incomplete(f"{field}.billing_model")
        return offer.billing_model
    if offer.billing_model not in {None, defaults.billing_model}:
        raise ModelDiffers(
            f"{offer.service_code} is billed as {defaults.billing_model}, not as "
            f"{offer.billing_model}",
            field=f"{field}.billing_model",
            advice="leave the model to the catalogue, or sell another service code",
        )
    return defaults.billing_model


def _terms_of(offer: LineOffer, defaults: LineDefaults | None) -> ModelTerms:
    usual = ModelTerms() if defaults is None else defaults.terms
    by_progress = offer.fixed_fee_billing is FixedFeeBilling.PERCENT_COMPLETE
    return ModelTerms(
        milestones=offer.milestones or (() if by_progress else usual.milestones),
        rates=offer.rates,
        not_to_exceed=offer.not_to_exceed,
        anchor_day=usual.anchor_day if offer.anchor_day is None else offer.anchor_day,
        in_advance=usual.in_advance if offer.in_advance is None else offer.in_advance,
        markup_percent=(
            usual.markup_percent if offer.markup_percent is None else offer.markup_percent
        ),
        fixed_fee_billing=offer.fixed_fee_billing or usual.fixed_fee_billing,
        period_months=offer.period_months or usual.period_months,
        proration=offer.proration or usual.proration,
        retainer=offer.retainer or usual.retainer,
        usage=offer.usage or usual.usage,
        expense_policy=offer.expense_policy or usual.expense_policy,
        multipliers=offer.multipliers or usual.multipliers,
    )


def _delivery_of(
    offer: LineOffer,
    defaults: LineDefaults | None,
    billing_model: BillingModel,
    terms: ModelTerms,
    currency: str,
    field: str,
) -> Delivery:
    method = (
        offer.revenue_method
        or (defaults and defaults.revenue_method)
        or usual_revenue_method(billing_model, terms)
    )
    check_revenue_method(billing_model, terms, method, field=field)
    require_budget(offer.cost_budget, currency, field=f"{field}.cost_budget")
    usual = Dimensions() if defaults is None else defaults.dimensions
    return Delivery(
        legal_entity_id=offer.delivering_legal_entity_id,
        region=offer.region,
        revenue_method=method,
        dimensions=offer.dimensions or usual,
        cost_budget=offer.cost_budget,
    )


def _net_total_of(offer: LineOffer, currency: str, field: str) -> Money:
    require_price(offer.unit_price, currency, field=f"{field}.unit_price")
    require_currency(offer.net_total, currency, field=f"{field}.net_total")
    net_total = (offer.unit_price * offer.quantity).rounded()
    require_printable(net_total, field=f"{field}.quantity")
    if offer.net_total is not None and offer.net_total != net_total:
        raise TotalMismatch(
            f"quantity times unit price is {net_total}, not {offer.net_total}",
            field=f"{field}.net_total",
            advice="send the quote again once its sender has recalculated it",
        )
    return net_total


def _require_within(offer: LineOffer, term: Period, field: str) -> None:
    start_on, end_on = offer.start_on or term.start, offer.end_on or term.end
    if not term.start <= start_on < end_on <= term.end:
        raise OutsideTerm(
            f"the line runs from {start_on} to {end_on}, the term from {term.start} to {term.end}",
            field=f"{field}.start_on",
            advice="keep the line's days within the offered term",
        )


def require_price(unit_price: Money, currency: str, *, field: str) -> None:
    """Refuse a unit price below nought, or in another currency than the document.

    Raises:
        AmountNotPositive, MixedCurrencies.
    """
    require_currency(unit_price, currency, field=field)
    if unit_price < Money.zero(currency):
        raise AmountNotPositive(
            "a unit price is not below nought",
            field=field,
            advice="lower the price of another line instead",
        )


def require_budget(budget: Money | None, currency: str, *, field: str) -> None:
    """Refuse a budget below nought, or in another currency than the document; None passes.

    Raises:
        AmountNotPositive, MixedCurrencies.
    """
    require_currency(budget, currency, field=field)
    if budget is not None and budget < Money.zero(currency):
        raise AmountNotPositive(
            "a budget is not below nought",
            field=field,
            advice="leave it out where nothing is planned",
        )


def require_printable(amount: Money, *, field: str) -> None:
    """Refuse an amount no document has room for.

    Raises:
        AmountTooLarge: it has more than twelve digits before the point.
    """
    if amount.amount >= _AMOUNT_LIMIT:
        raise AmountTooLarge(
            f"{amount} is more than an amount can be", field=field, advice="check the units"
        )


def _said(own: str | None, usual: str | None, field: str) -> str:
    value = own or usual
    if not value:
        raise _incomplete(field)
    return value


def _incomplete(field: str) -> LineIncomplete:
    return LineIncomplete(
        f"{field} is not given and the catalogue does not know the service",
        field=field,
        advice="put the service into the catalogue, or say everything on the line",
    )
