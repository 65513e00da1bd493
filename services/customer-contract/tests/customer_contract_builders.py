"""The deal of the samples as domain values; each builder takes what a test wants otherwise."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from customer_contract.domain.change_order_content import (
    AlteredLine,
    ChangeOrderContent,
    LimitMove,
)
from customer_contract.domain.change_order_record import ChangeOrder, ChangeOrderStatus
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    ContractLine,
    ContractStatus,
    InvoiceGrouping,
    LineDetail,
    Signature,
    StateInstants,
)
from customer_contract.domain.cost_rate import CostEntry, CostKey, CostRateCard
from customer_contract.domain.customer import Customer, CustomerProfile
from customer_contract.domain.data_quality import (
    Condition,
    Rule,
    RuleObject,
    RuleStatus,
    RuleTerms,
    Severity,
)
from customer_contract.domain.legal_entity import EntityProfile, LegalEntity
from customer_contract.domain.line_offer import LineOffer
from customer_contract.domain.quote import Approval, Quote, QuoteOrigin, QuoteStatus
from customer_contract.domain.rate_card import CardScope, RateCard, RateEntry, RateKey
from customer_contract.domain.service_line import (
    ActivityMultiplier,
    BillingModel,
    Delivery,
    FixedFeeBilling,
    LineRate,
    Milestone,
    ModelTerms,
    Proration,
    RetainerOverage,
    RetainerRollOver,
    RetainerTerms,
    RevenueMethod,
    ServiceLine,
    UsageAggregation,
    UsageTerms,
    UsageTier,
)
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.domain.values import (
    ChangeOrderId,
    ContractId,
    ContractLineId,
    CostRateCardId,
    CustomerId,
    LegalEntityId,
    PersonId,
    PostalAddress,
    QuoteId,
    QuoteLineId,
    RateCardId,
    SourceRef,
)
from throughline_core.money import Money
from throughline_core.quantity import EXACT_MINUTES

START: Final = date(2026, 9, 1)
END: Final = date(2027, 9, 1)
SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def an_id(last: str) -> UUID:
    """Return the id of the samples that ends so."""
    return UUID(f"01980000-0000-7000-8000-{last:>012}")


ENTITY_ID: Final = LegalEntityId(an_id("e1"))
CUSTOMER_ID: Final = CustomerId(an_id("c1"))
QUOTE_ID: Final = QuoteId(an_id("a1"))
CARD_ID: Final = RateCardId(an_id("d1"))
CONTRACT_ID: Final = ContractId(an_id("b1"))
CHANGE_ORDER_ID: Final = ChangeOrderId(an_id("b9"))
LEARNED: Final = datetime(2026, 9, 1, 6, tzinfo=UTC)
PERSON_ID: Final = PersonId(an_id("131"))
CORRELATION_ID: Final = an_id("f2")


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def a_source(object_type: str, object_id: str) -> SourceRef:
    return SourceRef("salesforce", object_type, object_id)


def an_entity(**changes: Any) -> LegalEntity:
    entity = LegalEntity(ENTITY_ID, 1, "DE01", "EUR", an_entity_profile())
    return replace(entity, **changes)


def an_entity_profile(**changes: Any) -> EntityProfile:
    profile = EntityProfile(
        name="Morgenstern Consulting GmbH",
        time_zone="Europe/Berlin",
        address=PostalAddress(("Torstraße 140",), "Berlin", "10119", "", "DE"),
        tax_id="DE136695976",
        registration="Amtsgericht Charlottenburg HRB 204711",
        iban="DE89370400440532013000",
        bic="COBADEFFXXX",
        billing_email="billing@morgenstern.example",
    )
    return replace(profile, **changes)


def a_customer(**changes: Any) -> Customer:
    customer = Customer(
        customer_id=CUSTOMER_ID,
        version=1,
        number="C-000042",
        profile=a_customer_profile(),
        tax_status=TaxStatus.VALID,
        credit_hold_reason=None,
        source=a_source("Account", "0015g00000NordwAAQ"),
    )
    return replace(customer, **changes)


def a_customer_profile(**changes: Any) -> CustomerProfile:
    profile = CustomerProfile(
        name="Nordwind Logistik GmbH",
        parent_customer_id=None,
        address=PostalAddress(("Am Sandtorkai 50",), "Hamburg", "20457", "", "DE"),
        tax_id="DE284917655",
        payment_terms_days=30,
        currency="EUR",
        billing_email="accounts@nordwind.example",
    )
    return replace(profile, **changes)


def a_data_quality_rule(**terms: Any) -> Rule:
    """Return a rule in force that wants a billing contact."""
    wanted = RuleTerms(
        object=RuleObject.CUSTOMER,
        field="contacts.billing",
        condition=Condition.REQUIRED,
        pattern="",
        values=(),
        legal_entity_id=None,
        country=None,
        severity=Severity.STOP,
        owner="sales_operations",
        advice="record who approves invoices",
    )
    return Rule(
        code="billing-contact",
        rule_version=1,
        terms=replace(wanted, **terms),
        status=RuleStatus.ACTIVE,
        proposed_by="paula",
        proposed_at=datetime(2026, 8, 1, tzinfo=UTC),
        activated_by="ines",
        activated_at=datetime(2026, 8, 2, tzinfo=UTC),
    )


def a_milestone(key: str, share: str, **changes: Any) -> Milestone:
    return replace(Milestone(key, key.title(), Decimal(share), None), **changes)


def a_retainer(**changes: Any) -> RetainerTerms:
    """Return forty hours a month, half of which may be carried on for three months."""
    retainer = RetainerTerms(
        period_months=1,
        hours=Decimal(40),
        roll_over=RetainerRollOver.CARRY,
        roll_over_limit_percent=Decimal(50),
        expires_after_periods=3,
        overage=RetainerOverage.BILL,
        overage_rate=eur("165"),
    )
    return replace(retainer, **changes)


def a_usage(**changes: Any) -> UsageTerms:
    usage = UsageTerms(
        meter="managed_devices",
        period_months=1,
        aggregation=UsageAggregation.MAX,
        included_quantity=Decimal(50),
        tiers=(UsageTier(Decimal(200), eur("9.5")), UsageTier(None, eur("7.25"))),
    )
    return replace(usage, **changes)


def an_offer(billing_model: BillingModel, **changes: Any) -> LineOffer:
    """Return an offer that is complete in itself, with nothing particular to its model."""
    offer = LineOffer(
        service_code="SERVICE",
        description="A service",
        billing_model=billing_model,
        quantity=Decimal(1),
        unit_price=eur("100"),
        net_total=None,
        discount_percent=Decimal(0),
        tax_category="professional_services",
        template_code="advisory",
        start_on=None,
        end_on=None,
        milestones=(),
        rates=(),
        not_to_exceed=None,
        anchor_day=None,
        in_advance=None,
        markup_percent=None,
        source=None,
    )
    return replace(offer, **changes)


def a_line(position: int, **changes: Any) -> ServiceLine:
    """Return the line of the samples at this position, 1 to 4."""
    return replace(_LINES[position - 1], **changes)


def _sampled(
    position: int,
    code: str,
    description: str,
    billing_model: BillingModel,
    template: str,
    *,
    quantity: str,
    price: str,
    total: str,
    terms: ModelTerms,
    **changes: Any,
) -> ServiceLine:
    line = ServiceLine(
        quote_line_id=QuoteLineId(an_id(f"a10{position}")),
        position=position,
        service_code=code,
        description=description,
        billing_model=billing_model,
        quantity=Decimal(quantity),
        unit_price=eur(price),
        net_total=eur(total),
        discount_percent=Decimal(0),
        tax_category="professional_services",
        template_code=template,
        start_on=None,
        end_on=None,
        terms=terms,
        source=a_source("SBQQ__QuoteLine__c", f"a0r5g00000Line{position}AAA"),
    )
    return replace(line, **changes)


_LINES: Final = (
    _sampled(
        1,
        "DISCOVERY-FF",
        "Discovery workshop and target architecture",
        BillingModel.FIXED_FEE,
        "discovery",
        quantity="1",
        price="24000",
        total="24000",
        start_on=START,
        end_on=date(2026, 12, 1),
        terms=ModelTerms(
            milestones=(
                Milestone(
                    "kickoff",
                    "Kickoff held and scope agreed",
                    Decimal(40),
                    date(2026, 9, 15),
                    eur("9600"),
                ),
                Milestone(
                    "target_architecture",
                    "Target architecture accepted",
                    Decimal(60),
                    date(2026, 11, 30),
                    eur("14400"),
                ),
            ),
            fixed_fee_billing=FixedFeeBilling.MILESTONES,
        ),
        delivery=Delivery(revenue_method=RevenueMethod.ON_ACCEPTANCE),
    ),
    _sampled(
        2,
        "ADVISORY-TM",
        "Delivery by time and materials",
        BillingModel.TIME_AND_MATERIALS,
        "advisory",
        quantity="400",
        price="146",
        total="58400",
        discount_percent=Decimal(5),
        terms=ModelTerms(
            rates=(
                LineRate("senior_consultant", eur("180"), Decimal(120)),
                LineRate("consultant", eur("140"), Decimal(200)),
                LineRate("analyst", eur("110"), Decimal(80)),
            ),
            not_to_exceed=eur("60000"),
        ),
    ),
    _sampled(
        3,
        "SUPPORT-MS",
        "Managed support, monthly",
        BillingModel.RECURRING,
        "managed_service",
        quantity="12",
        price="2500",
        total="30000",
        tax_category="managed_services",
        terms=ModelTerms(anchor_day=1, period_months=1, proration=Proration.ACTUAL_DAYS),
        delivery=Delivery(revenue_method=RevenueMethod.RATABLE),
    ),
    _sampled(
        4,
        "EXPENSES-PT",
        "Travel and other expenses at cost plus 5 %",
        BillingModel.PASS_THROUGH,
        "pass_through",
        quantity="1",
        price="4000",
        total="4000",
        terms=ModelTerms(markup_percent=Decimal(5)),
    ),
)


def a_quote(**changes: Any) -> Quote:
    """Return the quote of the samples as it waits for approval."""
    quote = Quote(
        quote_id=QUOTE_ID,
        quote_version=1,
        version=1,
        number="Q-00412",
        status=QuoteStatus.IN_REVIEW,
        customer_id=CUSTOMER_ID,
        legal_entity_id=ENTITY_ID,
        currency="EUR",
        start_on=START,
        end_on=END,
        payment_terms_days=30,
        purchase_order_number="PO-4500017",
        lines=_LINES,
        correlation_id=CORRELATION_ID,
        origin=QuoteOrigin(
            "service:connectors", a_source("SBQQ__Quote__c", "a0q5g00000Quot1AAA"), bytes(32)
        ),
    )
    return replace(quote, **changes)


def an_approval(**changes: Any) -> Approval:
    approval = Approval("salesforce:0055g000009SalesAAW", datetime(2026, 8, 20, 9, 30, tzinfo=UTC))
    return replace(approval, **changes)


def an_amendment(**changes: Any) -> Amendment:
    return replace(Amendment("olga", datetime(2026, 8, 20, 9, 31, tzinfo=UTC)), **changes)


def a_signature(**changes: Any) -> Signature:
    return replace(Signature(SHA256, "Jonas Petersen", date(2026, 8, 24)), **changes)


def a_contract(**changes: Any) -> Contract:
    """Return the contract of the samples as a draft."""
    contract = Contract(
        contract_id=CONTRACT_ID,
        version=1,
        contract_version=1,
        number="CT-000017",
        status=ContractStatus.DRAFT,
        engagement_id=an_id("f1"),
        correlation_id=CORRELATION_ID,
        quote_id=QUOTE_ID,
        quote_version=1,
        customer_id=CUSTOMER_ID,
        legal_entity_id=ENTITY_ID,
        currency="EUR",
        time_zone="Europe/Berlin",
        start_on=START,
        end_on=END,
        lines=tuple(
            ContractLine(ContractLineId(an_id(f"b10{line.position}")), line) for line in _LINES
        ),
        billing=a_billing_profile(),
        amendment=an_amendment(),
    )
    return replace(contract, **changes)


def a_signed_contract(**changes: Any) -> Contract:
    signed = a_contract(
        status=ContractStatus.SIGNED,
        version=2,
        signature=a_signature(),
        amendment=an_amendment(effective_on=date(2026, 8, 24)),
    )
    return replace(signed, **changes)


def an_active_contract(**changes: Any) -> Contract:
    active = a_signed_contract(
        status=ContractStatus.ACTIVE,
        version=3,
        activated_on=START,
        learned=StateInstants(activated_at=LEARNED),
    )
    return replace(active, **changes)


def a_change_order(**changes: Any) -> ChangeOrder:
    """Return the change order of the samples as it is proposed.

    From October on seniors cost more, there are more hours of them, and the limit rises.
    """
    line = an_active_contract().lines[1]
    rates = tuple(
        replace(rate, hourly_rate=eur("190")) if rate.role == "senior_consultant" else rate
        for rate in line.terms.terms.rates
    )
    change_order = ChangeOrder(
        change_order_id=CHANGE_ORDER_ID,
        version=2,
        number="CO-000004",
        contract_id=CONTRACT_ID,
        legal_entity_id=ENTITY_ID,
        engagement_id=an_id("f1"),
        correlation_id=CORRELATION_ID,
        currency="EUR",
        status=ChangeOrderStatus.PROPOSED,
        reason="second warehouse, agreed in the steering committee of 22 September",
        effective_on=date(2026, 10, 1),
        content=ChangeOrderContent(
            altered=(
                AlteredLine(
                    line.contract_line_id,
                    quantity=Decimal(500),
                    rates=rates,
                    limit=LimitMove(eur("75000")),
                ),
            )
        ),
        drafted_by="olga",
        proposed_by="olga",
    )
    return replace(change_order, **changes)


def a_billing_profile(**changes: Any) -> BillingProfile:
    billing = BillingProfile(
        bill_to_customer_id=CUSTOMER_ID,
        payment_terms_days=30,
        purchase_order_number="PO-4500017",
        not_to_exceed=None,
        invoice_grouping=InvoiceGrouping.CONTRACT,
        line_detail=LineDetail.ROLE,
        time_rounding=EXACT_MINUTES,
        rate_card_id=CARD_ID,
    )
    return replace(billing, **changes)


def a_rate(role: str, amount: str, **changes: Any) -> RateEntry:
    """Return a rate from 2026 on; `level`, `region` and `person_id` narrow whom it is for."""
    key = RateKey(
        role,
        changes.pop("level", None),
        changes.pop("region", None),
        changes.pop("person_id", None),
    )
    return replace(RateEntry(key, eur(amount), date(2026, 1, 1), None), **changes)


def a_card(*entries: RateEntry, **changes: Any) -> RateCard:
    card = RateCard(
        rate_card_id=CARD_ID,
        version=1,
        code="RC-DE-2026",
        name="Germany, standard rates 2026",
        scope=CardScope("EUR", ENTITY_ID, None),
        entries=entries or SAMPLED_RATES,
        published_at=datetime(2026, 8, 1, 8, tzinfo=UTC),
        multipliers=(
            ActivityMultiplier("overtime", Decimal("1.5")),
            ActivityMultiplier("travel", Decimal("0.5")),
        ),
        proposed_by="olga",
        published_by="frieda",
    )
    return replace(card, **changes)


def a_cost(role: str, amount: str, **changes: Any) -> CostEntry:
    """Return a cost from 2026 on; `level` and `region` narrow whom it is for."""
    key = CostKey(role, changes.pop("level", None), changes.pop("region", None))
    return replace(CostEntry(key, eur(amount), date(2026, 1, 1), None), **changes)


def a_cost_card(*entries: CostEntry, **changes: Any) -> CostRateCard:
    card = CostRateCard(
        cost_rate_card_id=CostRateCardId(an_id("d2")),
        version=1,
        legal_entity_id=ENTITY_ID,
        currency="EUR",
        entries=entries or SAMPLED_COSTS,
        published_at=datetime(2026, 8, 1, 8, tzinfo=UTC),
    )
    return replace(card, **changes)


SAMPLED_COSTS: Final = (
    a_cost("senior_consultant", "92.5", valid_to=date(2027, 1, 1)),
    a_cost("senior_consultant", "96", valid_from=date(2027, 1, 1)),
    a_cost("senior_consultant", "110", level="principal"),
    a_cost("consultant", "71.25"),
    a_cost("consultant", "88", region="CH"),
    a_cost("analyst", "54"),
)


SAMPLED_RATES: Final = (
    a_rate("senior_consultant", "190", valid_to=date(2027, 1, 1)),
    a_rate("senior_consultant", "198", valid_from=date(2027, 1, 1)),
    a_rate("senior_consultant", "210", level="principal"),
    a_rate("consultant", "150"),
    a_rate("consultant", "165", region="CH"),
    a_rate("analyst", "115"),
    a_rate("senior_consultant", "185.5", person_id=PERSON_ID),
)
