"""Offered lines: what a sender says of a line, completed from the catalogue and checked."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from customer_contract.domain.service_line import (
    WHOLE_PERCENT,
    BillingModel,
    LineDefaults,
    LineRate,
    Milestone,
    ModelTerms,
    ServiceLine,
    check_terms,
    price,
)
from customer_contract.domain.values import QuoteLineId, SourceRef, require_currency
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


class AmountNotPositive(InvalidArgument):
    """A price below nought, or a rate or limit that is not above it."""

    code = "service_line.amount_not_positive"


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
    """A line as it is asked for; None and empty terms are left to the catalogue."""

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
        TermOfAnotherModel, TermsMissing, MilestoneShares, MilestoneKeyRepeated, RoleRepeated: its
            terms.
        MixedCurrencies: an amount is not in `currency`.
    """
    _require_within(offer, term, field)
    if offer.discount_percent > WHOLE_PERCENT:
        raise DiscountTooHigh(
            "a discount is at most 100 percent", field=f"{field}.discount_percent"
        )
    billing_model = _model_of(offer, defaults, field)
    net_total = _net_total_of(offer, currency, field)
    terms = _terms_of(offer, defaults)
    check_terms(billing_model, terms, field=field)
    for index, rate in enumerate(terms.rates):
        _require_positive(rate.hourly_rate, currency, field=f"{field}.rates[{index}].hourly_rate")
    if terms.not_to_exceed is not None:
        _require_positive(terms.not_to_exceed, currency, field=f"{field}.not_to_exceed")
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
    return ModelTerms(
        milestones=offer.milestones or usual.milestones,
        rates=offer.rates,
        not_to_exceed=offer.not_to_exceed,
        anchor_day=usual.anchor_day if offer.anchor_day is None else offer.anchor_day,
        in_advance=usual.in_advance if offer.in_advance is None else offer.in_advance,
        markup_percent=(
            usual.markup_percent if offer.markup_percent is None else offer.markup_percent
        ),
    )


def _net_total_of(offer: LineOffer, currency: str, field: str) -> Money:
    require_currency(offer.unit_price, currency, field=f"{field}.unit_price")
    require_currency(offer.net_total, currency, field=f"{field}.net_total")
    if offer.unit_price < Money.zero(currency):
        raise AmountNotPositive(
            "a unit price is not below nought",
            field=f"{field}.unit_price",
            advice="lower the price of another line instead",
        )
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


def _require_positive(amount: Money, currency: str, *, field: str) -> None:
    require_currency(amount, currency, field=field)
    if amount <= Money.zero(currency):
        raise AmountNotPositive(f"{field} has to be above nought", field=field)


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
