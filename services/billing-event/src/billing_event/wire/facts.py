"""Messages into values: the facts rating stands on, as customer-contract announced them."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Final

from billing_event.domain.agreement import Amendment, Ending
from billing_event.domain.source import ContractId, ContractLineId, CustomerId, LegalEntityId
from billing_event.domain.terms import (
    Aggregation,
    BillingModel,
    CardEntry,
    CardPurpose,
    ContractTerms,
    CustomerState,
    LineTerms,
    Overage,
    Payer,
    Proration,
    PurchaseOrder,
    RateCard,
    ReratingPolicy,
    RetainerTerms,
    RollOver,
    TaxStatus,
    UsageTerms,
    UsageTier,
)
from throughline.customer_contract.events.v1 import (
    customer_contract_events_pb2 as contract_events,
)
from throughline.customer_contract.v1 import contract_pb2, customer_pb2, quote_pb2, rate_card_pb2
from throughline_core.money import RATE_PLACES
from throughline_core.period import Period
from throughline_core.quantity import RoundingMode, TimeRounding
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_enum,
    read_instant,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)

_MODELS: Final = EnumMap(quote_pb2.BillingModel, BillingModel)
_PRORATIONS: Final = EnumMap(quote_pb2.Proration, Proration)
_AGGREGATIONS: Final = EnumMap(quote_pb2.UsageAggregation, Aggregation)
_RERATING_POLICIES: Final = EnumMap(contract_pb2.ReratingPolicy, ReratingPolicy)
_ROLL_OVERS: Final = EnumMap(quote_pb2.RetainerRollOver, RollOver)
_OVERAGES: Final = EnumMap(quote_pb2.RetainerOverage, Overage)
_TAX_STATUSES: Final = EnumMap(customer_pb2.TaxStatus, TaxStatus)
_PURPOSES: Final = EnumMap(rate_card_pb2.RateCardPurpose, CardPurpose)
ROUNDINGS: Final = EnumMap(contract_pb2.TimeRoundingMode, RoundingMode)

# Terms by which work is priced, as `TermChange.term` names them or begins to.
_PRICE_TERMS: Final = (
    "rates",
    "multipliers",
    "unit_price",
    "markup_percent",
    "expense_policy",
    "time_rounding",
    "rate_card_id",
    "payers",
    "usage",
)

_DAY: Final = timedelta(days=1)


def read_terms(contract: contract_pb2.Contract) -> ContractTerms:
    """Return what of a contract rating, limits and the billing calendar need."""
    term = Period(
        read_date("contract.start_on", contract.start_on),
        read_date("contract.end_on", contract.end_on),
    )
    lines = [_read_line(line, term) for line in contract.lines]
    return ContractTerms(
        contract_id=ContractId(read_uuid("contract.contract_id", contract.contract_id)),
        contract_version=contract.contract_version,
        engagement_id=read_uuid("contract.engagement_id", contract.engagement_id),
        correlation_id=read_uuid("contract.correlation_id", contract.correlation_id),
        customer_id=CustomerId(read_uuid("contract.customer_id", contract.customer_id)),
        bill_to_customer_id=_read_bill_to(contract),
        legal_entity_id=LegalEntityId(
            read_uuid("contract.legal_entity_id", contract.legal_entity_id)
        ),
        currency=contract.currency,
        time_zone=contract.time_zone,
        time_rounding=TimeRounding(
            contract.time_rounding_minutes,
            read_enum("contract.time_rounding_mode", contract.time_rounding_mode, ROUNDINGS),
        ),
        rate_card_id=read_optional_uuid("contract.rate_card_id", contract.rate_card_id),
        not_to_exceed=read_optional_money(
            "contract.not_to_exceed", contract.not_to_exceed, places=RATE_PLACES
        ),
        lines={line.contract_line_id: line for line in lines},
        effective_on=read_optional_date("contract.terms_effective_on", contract.terms_effective_on),
        purchase_orders=tuple(map(_read_order, contract.purchase_orders)),
        payers=tuple(map(_read_payer, contract.payers)),
        has_holdback=contract.HasField("holdback"),
        rerating_policy=read_optional_enum(
            "contract.rerating_policy", contract.rerating_policy, _RERATING_POLICIES
        )
        or ReratingPolicy.DEBIT_CREDIT,
    )


def read_ending(contract: contract_pb2.Contract) -> Ending | None:
    """Return from when a contract is in force no longer, None while it is."""
    terminated = read_optional_date("contract.terminated_on", contract.terminated_on)
    if terminated is not None:
        reason = f": {contract.termination_reason}" if contract.termination_reason else ""
        return Ending(terminated, True, f"the contract was terminated as of {terminated}{reason}")
    completed = read_optional_date("contract.completed_on", contract.completed_on)
    if completed is not None:
        return Ending(completed + _DAY, False, f"the contract was completed on {completed}")
    return None


def _read_bill_to(contract: contract_pb2.Contract) -> CustomerId:
    """Return who is billed: a payer of all of it takes the bill-to customer's place."""
    if len(contract.payers) == 1:
        return CustomerId(read_uuid("contract.payers", contract.payers[0].customer_id))
    return CustomerId(read_uuid("contract.bill_to_customer_id", contract.bill_to_customer_id))


def _read_payer(payer: contract_pb2.PayerShare) -> Payer:
    return Payer(
        customer_id=CustomerId(read_uuid("payers.customer_id", payer.customer_id)),
        share_percent=read_decimal("payers.share_percent", payer.share_percent, places=4),
        is_rounding=payer.rounding_payer,
        not_to_exceed=read_optional_money(
            "payers.not_to_exceed", payer.not_to_exceed, places=RATE_PLACES
        ),
        amount=read_optional_money("payers.amount", payer.amount, places=RATE_PLACES),
        purchase_order_number=payer.purchase_order_number,
    )


def _read_order(order: contract_pb2.PurchaseOrder) -> PurchaseOrder:
    return PurchaseOrder(
        number=order.number,
        valid_from=read_date("purchase_orders.valid_from", order.valid_from),
        valid_to=read_optional_date("purchase_orders.valid_to", order.valid_to),
        amount=read_optional_money("purchase_orders.amount", order.amount, places=RATE_PLACES),
        contract_line_ids=frozenset(
            ContractLineId(read_uuid("purchase_orders.contract_line_ids", each))
            for each in order.contract_line_ids
        ),
    )


def _read_line(line: contract_pb2.ContractLine, contract_term: Period) -> LineTerms:
    terms = line.terms
    term = Period(
        read_optional_date("lines.terms.start_on", terms.start_on) or contract_term.start,
        read_optional_date("lines.terms.end_on", terms.end_on) or contract_term.end,
    )
    return LineTerms(
        contract_line_id=ContractLineId(read_uuid("lines.contract_line_id", line.contract_line_id)),
        quote_line_id=read_uuid("lines.terms.quote_line_id", terms.quote_line_id),
        billing_model=read_enum("lines.terms.billing_model", terms.billing_model, _MODELS),
        description=terms.description,
        tax_category=terms.tax_category,
        term=term,
        unit_price=read_money("lines.terms.unit_price", terms.unit_price, places=RATE_PLACES),
        rates={
            rate.role: read_money("lines.terms.rates", rate.hourly_rate, places=RATE_PLACES)
            for rate in terms.rates
            if not rate.person_id
        },
        person_rates={
            (rate.role, read_uuid("lines.terms.rates.person_id", rate.person_id)): read_money(
                "lines.terms.rates", rate.hourly_rate, places=RATE_PLACES
            )
            for rate in terms.rates
            if rate.person_id
        },
        multipliers=read_multipliers(terms.multipliers),
        ended_on=read_optional_date("lines.ended_on", line.ended_on),
        period_months=_period_months(terms),
        proration=read_optional_enum("lines.terms.proration", terms.proration, _PRORATIONS)
        or Proration.ACTUAL_DAYS,
        delivering_entity_id=_read_delivering(terms),
        by_percent_complete=terms.fixed_fee_billing == quote_pb2.FIXED_FEE_BILLING_PERCENT_COMPLETE,
        net_total=read_optional_money("lines.terms.net_total", terms.net_total),
        usage=_read_usage(terms),
        markups=_read_markups(terms.expense_policy),
        retainer=_read_retainer(terms),
        billed_categories=frozenset(rule.category for rule in terms.expense_policy.rules),
        daily_caps={
            rule.category: read_money("expense_policy.daily_cap", rule.daily_cap)
            for rule in terms.expense_policy.rules
            if rule.HasField("daily_cap")
        },
        not_to_exceed=read_optional_money(
            "lines.terms.not_to_exceed", terms.not_to_exceed, places=RATE_PLACES
        ),
        anchor_day=terms.anchor_day or term.start.day,
        in_advance=terms.in_advance,
        markup_percent=read_optional_decimal(
            "lines.terms.markup_percent", terms.markup_percent, places=4
        )
        or Decimal(0),
    )


def _period_months(terms: quote_pb2.ServiceLine) -> int:
    months = terms.retainer.period_months if terms.HasField("retainer") else terms.period_months
    return months or 1


def _read_retainer(terms: quote_pb2.ServiceLine) -> RetainerTerms | None:
    if not terms.HasField("retainer"):
        return None
    retainer, field = terms.retainer, "lines.terms.retainer"
    percent = read_optional_decimal(
        f"{field}.roll_over_limit_percent", retainer.roll_over_limit_percent, places=4
    )
    return RetainerTerms(
        hours=read_optional_decimal(f"{field}.hours", retainer.hours, places=2),
        roll_over=read_optional_enum(f"{field}.roll_over", retainer.roll_over, _ROLL_OVERS)
        or RollOver.NONE,
        roll_over_limit_percent=Decimal(100) if percent is None else percent,
        expires_after_periods=retainer.expires_after_periods,
        overage=read_optional_enum(f"{field}.overage", retainer.overage, _OVERAGES) or Overage.HOLD,
        overage_rate=read_optional_money(
            f"{field}.overage_rate", retainer.overage_rate, places=RATE_PLACES
        ),
    )


def _read_usage(terms: quote_pb2.ServiceLine) -> UsageTerms | None:
    if not terms.HasField("usage"):
        return None
    usage, field = terms.usage, "lines.terms.usage"
    return UsageTerms(
        meter=usage.meter,
        period_months=usage.period_months,
        aggregation=read_enum(f"{field}.aggregation", usage.aggregation, _AGGREGATIONS),
        included=read_optional_decimal(
            f"{field}.included_quantity", usage.included_quantity, places=4
        )
        or Decimal(0),
        tiers=tuple(
            UsageTier(
                read_optional_decimal(f"{field}.tiers.up_to", tier.up_to, places=4),
                read_money(f"{field}.tiers.unit_price", tier.unit_price, places=RATE_PLACES),
            )
            for tier in usage.tiers
        ),
    )


def _read_markups(policy: quote_pb2.ExpensePolicy) -> dict[str, Decimal]:
    return {
        rule.category: read_decimal("expense_policy.markup_percent", rule.markup_percent, places=4)
        for rule in policy.rules
        if rule.markup_percent
    }


def _read_delivering(terms: quote_pb2.ServiceLine) -> LegalEntityId | None:
    found = read_optional_uuid(
        "lines.terms.delivering_legal_entity_id", terms.delivering_legal_entity_id
    )
    return None if found is None else LegalEntityId(found)


def read_multipliers(multipliers: Iterable[quote_pb2.ActivityMultiplier]) -> dict[str, Decimal]:
    return {
        each.activity: read_decimal("multipliers.factor", each.factor, places=4)
        for each in multipliers
    }


def read_card(card: rate_card_pb2.RateCard) -> RateCard:
    """Return a version of a rate card, its entries by role."""
    entries: dict[str, list[CardEntry]] = {}
    for entry in card.entries:
        entries.setdefault(entry.role, []).append(_read_entry(entry))
    customer_id = read_optional_uuid("rate_card.customer_id", card.customer_id)
    entity_id = read_optional_uuid("rate_card.legal_entity_id", card.legal_entity_id)
    borrower_id = read_optional_uuid(
        "rate_card.borrowing_legal_entity_id", card.borrowing_legal_entity_id
    )
    return RateCard(
        rate_card_id=read_uuid("rate_card.rate_card_id", card.rate_card_id),
        version=card.version,
        code=card.code,
        currency=card.currency,
        legal_entity_id=LegalEntityId(entity_id) if entity_id else None,
        customer_id=CustomerId(customer_id) if customer_id else None,
        published_at=read_instant("rate_card.published_at", card.published_at),
        entries=entries,
        multipliers=read_multipliers(card.multipliers),
        purpose=read_optional_enum("rate_card.purpose", card.purpose, _PURPOSES)
        or CardPurpose.BILLING,
        borrowing_entity_id=LegalEntityId(borrower_id) if borrower_id else None,
    )


def _read_entry(entry: rate_card_pb2.RateCardEntry) -> CardEntry:
    return CardEntry(
        role=entry.role,
        level=entry.level or None,
        region=entry.region or None,
        person_id=read_optional_uuid("rate_card.entries.person_id", entry.person_id),
        hourly_rate=read_money(
            "rate_card.entries.hourly_rate", entry.hourly_rate, places=RATE_PLACES
        ),
        valid_from=read_date("rate_card.entries.valid_from", entry.valid_from),
        valid_to=read_optional_date("rate_card.entries.valid_to", entry.valid_to),
    )


def read_amendment(event: contract_events.ContractAmended) -> Amendment | None:
    """Return which lines an amendment prices anew and from when; None if it changes no price."""
    contract = event.contract
    effective_on = read_optional_date("contract.terms_effective_on", contract.terms_effective_on)
    priced = [change for change in event.changes if _is_of_price(change)]
    if effective_on is None or not priced:
        return None
    named = {change.contract_line_id for change in priced}
    if "" in named:
        named = {line.contract_line_id for line in contract.lines}
    return Amendment(
        contract_id=ContractId(read_uuid("contract.contract_id", contract.contract_id)),
        contract_version=contract.contract_version,
        effective_on=effective_on,
        change_order_number=event.change_order_number,
        contract_line_ids=frozenset(
            ContractLineId(read_uuid("changes.contract_line_id", each)) for each in named
        ),
    )


def _is_of_price(change: contract_pb2.TermChange) -> bool:
    if change.kind == contract_pb2.TERM_CHANGE_KIND_ENDED:
        return True
    return change.term.startswith(_PRICE_TERMS)


def read_customer(customer: customer_pb2.Customer) -> CustomerState:
    """Return what of a customer decides about release."""
    return CustomerState(
        customer_id=CustomerId(read_uuid("customer.customer_id", customer.customer_id)),
        version=customer.version,
        is_on_credit_hold=customer.credit_hold,
        credit_hold_reason=customer.credit_hold_reason,
        tax_status=read_enum("customer.tax_status", customer.tax_status, _TAX_STATUSES),
    )
