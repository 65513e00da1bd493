"""Offered lines: completed from the catalogue, consistent with their billing model."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from customer_contract_builders import (
    END,
    PERSON_ID,
    START,
    a_milestone,
    a_retainer,
    a_usage,
    an_id,
    an_offer,
    eur,
)

from customer_contract.domain import catalogue
from customer_contract.domain.line_offer import (
    AmountTooLarge,
    DiscountTooHigh,
    LineIncomplete,
    LineOffer,
    ModelDiffers,
    OutsideTerm,
    TotalMismatch,
    complete,
)
from customer_contract.domain.line_terms import (
    ActivityRepeated,
    AmountNotPositive,
    CategoryRepeated,
    MilestoneAmounts,
    MilestoneKeyRepeated,
    MilestoneShares,
    MilestonesMixed,
    RetainerInconsistent,
    RevenueMethodUnfit,
    RoleRepeated,
    TermOfAnotherModel,
    TermsMissing,
    TiersUnordered,
)
from customer_contract.domain.service_line import (
    ActivityMultiplier,
    BillingModel,
    Delivery,
    Dimensions,
    ExpensePolicy,
    ExpenseRule,
    FixedFeeBilling,
    LineDefaults,
    LineRate,
    Milestone,
    ModelTerms,
    Proration,
    RetainerOverage,
    RetainerRollOver,
    RevenueMethod,
    ServiceLine,
    UsageTier,
)
from customer_contract.domain.values import QuoteLineId
from throughline_core.errors import InvalidArgument
from throughline_core.money import MixedCurrencies, Money
from throughline_core.period import Period

HALVES = (a_milestone("kickoff", "40"), a_milestone("end", "60"))
USD = Money(Decimal(1), "USD")
WRITTEN: dict[str, Any] = {"by": "olga", "at": datetime(2026, 8, 1, tzinfo=UTC)}
RETAINER = a_retainer()
USAGE = a_usage()

NEEDED: dict[BillingModel, dict[str, Any]] = {
    BillingModel.FIXED_FEE: {"milestones": HALVES},
    BillingModel.TIME_AND_MATERIALS: {},
    BillingModel.RECURRING: {"anchor_day": 1},
    BillingModel.PASS_THROUGH: {"markup_percent": Decimal(5)},
    BillingModel.RETAINER: {"retainer": RETAINER},
    BillingModel.USAGE: {"usage": USAGE},
}
FOREIGN: dict[str, Any] = {
    "milestones": HALVES,
    "rates": (LineRate("consultant", eur("140"), Decimal(0)),),
    "not_to_exceed": eur("1000"),
    "anchor_day": 1,
    "in_advance": True,
    "markup_percent": Decimal(0),
    "fixed_fee_billing": FixedFeeBilling.MILESTONES,
    "period_months": 3,
    "proration": Proration.NONE,
    "retainer": RETAINER,
    "usage": USAGE,
    "expense_policy": ExpensePolicy((ExpenseRule("travel", eur("100"), None),), None),
    "multipliers": (ActivityMultiplier("overtime", Decimal("1.5")),),
}
BELONGS = {
    BillingModel.FIXED_FEE: {"milestones", "fixed_fee_billing"},
    BillingModel.TIME_AND_MATERIALS: {"rates", "not_to_exceed", "multipliers"},
    BillingModel.RECURRING: {"anchor_day", "in_advance", "period_months", "proration"},
    BillingModel.PASS_THROUGH: {"markup_percent", "not_to_exceed", "expense_policy"},
    BillingModel.RETAINER: {
        "retainer",
        "rates",
        "multipliers",
        "not_to_exceed",
        "anchor_day",
        "in_advance",
        "proration",
    },
    BillingModel.USAGE: {"usage", "anchor_day", "not_to_exceed"},
}


def completed(offer: LineOffer, defaults: LineDefaults | None = None) -> ServiceLine:
    return complete(
        offer,
        defaults,
        quote_line_id=QuoteLineId(an_id("a101")),
        position=1,
        currency="EUR",
        term=Period(START, END),
        field="lines[0]",
    )


def an_agreed(key: str, amount: str) -> Milestone:
    return Milestone(key, key.title(), None, None, eur(amount))


def without(offer: LineOffer, name: str) -> LineOffer:
    changes: dict[str, Any] = {name: None}
    return replace(offer, **changes)


def some_defaults(billing_model: BillingModel, **terms: Any) -> LineDefaults:
    return LineDefaults("Usual", billing_model, "usual_tax", "usual_plan", ModelTerms(**terms))


@pytest.mark.parametrize("model", BillingModel)
def test_every_model_is_complete_with_what_it_needs(model: BillingModel) -> None:
    assert completed(an_offer(model, **NEEDED[model])).billing_model is model


@pytest.mark.parametrize("model", BillingModel)
@pytest.mark.parametrize("term", FOREIGN)
def test_a_term_is_taken_by_the_models_it_belongs_to_only(model: BillingModel, term: str) -> None:
    offer = an_offer(model, **{**NEEDED[model], term: FOREIGN[term]})
    if term in BELONGS[model]:
        completed(offer)
    else:
        with pytest.raises(TermOfAnotherModel) as refused:
            completed(offer)
        assert refused.value.field == f"lines[0].{term}"


@pytest.mark.parametrize("model", [model for model in BillingModel if NEEDED[model]])
def test_a_line_that_cannot_be_billed_is_refused(model: BillingModel) -> None:
    with pytest.raises(TermsMissing):
        completed(an_offer(model))


def test_what_a_line_leaves_out_the_catalogue_says() -> None:
    offer = replace(
        an_offer(BillingModel.FIXED_FEE),
        billing_model=None,
        description=None,
        tax_category=None,
        template_code=None,
    )

    line = completed(offer, some_defaults(BillingModel.FIXED_FEE, milestones=HALVES))

    assert (line.description, line.tax_category, line.template_code) == (
        "Usual",
        "usual_tax",
        "usual_plan",
    )
    assert [one.amount for one in line.terms.milestones] == [eur("40"), eur("60")]


def test_what_a_line_says_itself_goes_before_the_catalogue() -> None:
    offer = an_offer(BillingModel.RECURRING, anchor_day=15, in_advance=False)

    line = completed(offer, some_defaults(BillingModel.RECURRING, anchor_day=1, in_advance=True))

    assert (line.terms.anchor_day, line.terms.in_advance) == (15, False)
    assert line.description == "A service"


def test_the_catalogue_decides_how_a_service_is_billed() -> None:
    with pytest.raises(ModelDiffers):
        completed(
            an_offer(BillingModel.TIME_AND_MATERIALS),
            some_defaults(BillingModel.RECURRING, anchor_day=1),
        )


@pytest.mark.parametrize(
    "missing", ["billing_model", "description", "tax_category", "template_code"]
)
def test_an_unknown_service_has_to_say_everything_itself(missing: str) -> None:
    with pytest.raises(LineIncomplete) as refused:
        completed(without(an_offer(BillingModel.TIME_AND_MATERIALS), missing))
    assert refused.value.field == f"lines[0].{missing}"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"unit_price": eur("-1")}, AmountNotPositive),
        ({"unit_price": USD}, MixedCurrencies),
        ({"net_total": USD}, MixedCurrencies),
        ({"net_total": eur("99.99")}, TotalMismatch),
        ({"not_to_exceed": eur("0")}, AmountNotPositive),
        ({"not_to_exceed": USD}, MixedCurrencies),
        ({"rates": (LineRate("consultant", eur("0"), Decimal(0)),)}, AmountNotPositive),
        ({"rates": (LineRate("consultant", USD, Decimal(0)),)}, MixedCurrencies),
        ({"rates": (LineRate("a", eur("1"), Decimal(0)),) * 2}, RoleRepeated),
        ({"quantity": Decimal("999999999"), "unit_price": eur("99999999")}, AmountTooLarge),
        ({"discount_percent": Decimal("100.5")}, DiscountTooHigh),
        ({"start_on": date(2026, 8, 31)}, OutsideTerm),
        ({"end_on": date(2027, 9, 2)}, OutsideTerm),
        ({"start_on": START, "end_on": START}, OutsideTerm),
    ],
)
def test_an_inconsistent_line_is_refused(
    changes: dict[str, Any], refusal: type[InvalidArgument]
) -> None:
    with pytest.raises(refusal) as refused:
        completed(an_offer(BillingModel.TIME_AND_MATERIALS, **changes))
    assert refused.value.field is not None
    assert refused.value.field.startswith("lines[0]")


@pytest.mark.parametrize(
    ("milestones", "refusal"),
    [
        ((a_milestone("a", "40"), a_milestone("b", "59.9999")), MilestoneShares),
        ((a_milestone("a", "60"), a_milestone("b", "60")), MilestoneShares),
        ((a_milestone("a", "50"), a_milestone("a", "50")), MilestoneKeyRepeated),
        ((a_milestone("a", "50"), an_agreed("b", "50")), MilestonesMixed),
        ((an_agreed("a", "50"), replace(an_agreed("b", "1"), amount=None)), MilestonesMixed),
        ((an_agreed("a", "50"), an_agreed("b", "49.99")), MilestoneAmounts),
        ((an_agreed("a", "100"), an_agreed("b", "0")), AmountNotPositive),
        ((replace(an_agreed("a", "1"), amount=USD),), MixedCurrencies),
    ],
)
def test_the_milestones_of_a_line_share_all_of_it_once(
    milestones: tuple[Any, ...], refusal: type[InvalidArgument]
) -> None:
    with pytest.raises(refusal):
        completed(an_offer(BillingModel.FIXED_FEE, milestones=milestones))


@pytest.mark.parametrize(
    ("quantity", "unit_price", "net_total"),
    [("1", "100", "100"), ("3", "33.333333", "100"), ("2.5", "0.01", "0.03"), ("0", "5", "0")],
)
def test_a_total_is_rounded_once(quantity: str, unit_price: str, net_total: str) -> None:
    offer = an_offer(
        BillingModel.TIME_AND_MATERIALS,
        quantity=Decimal(quantity),
        unit_price=eur(unit_price),
        net_total=eur(net_total),
    )
    assert completed(offer).net_total == eur(net_total)


def test_milestones_sum_to_the_line_with_cents_left_over() -> None:
    thirds = (
        a_milestone("a", "33.3333"),
        a_milestone("b", "33.3333"),
        a_milestone("c", "33.3334"),
    )

    line = completed(an_offer(BillingModel.FIXED_FEE, milestones=thirds))

    amounts = [one.amount for one in line.terms.milestones]
    assert Money.total([one for one in amounts if one], "EUR") == eur("100")


def test_the_catalogue_may_leave_to_the_lines_what_each_deal_agrees_on() -> None:
    for model in (BillingModel.FIXED_FEE, BillingModel.RETAINER, BillingModel.USAGE):
        defaults = some_defaults(model)
        assert (
            catalogue.put(None, code="X", defaults=defaults, retired=False, **WRITTEN).version == 1
        )
    for model in (BillingModel.RECURRING, BillingModel.PASS_THROUGH):
        with pytest.raises(TermsMissing):
            catalogue.put(None, code="X", defaults=some_defaults(model), retired=False, **WRITTEN)


def test_a_service_put_twice_is_the_same_version() -> None:
    defaults = some_defaults(BillingModel.RECURRING, anchor_day=1)
    entry = catalogue.put(None, code="X", defaults=defaults, retired=False, **WRITTEN)

    assert catalogue.put(entry, code="X", defaults=defaults, retired=False, **WRITTEN) is entry
    retired = catalogue.put(entry, code="X", defaults=defaults, retired=True, **WRITTEN)
    assert (retired.version, retired.retired) == (2, True)


def test_the_catalogue_plans_milestones_by_share_only() -> None:
    defaults = some_defaults(BillingModel.FIXED_FEE, milestones=(an_agreed("a", "100"),))
    with pytest.raises(MilestonesMixed):
        catalogue.put(None, code="X", defaults=defaults, retired=False, **WRITTEN)


def test_milestones_may_be_agreed_as_amounts() -> None:
    agreed = (an_agreed("a", "33.33"), an_agreed("b", "66.67"))

    line = completed(an_offer(BillingModel.FIXED_FEE, milestones=agreed))

    assert line.terms.milestones == agreed


def test_a_fixed_fee_by_progress_has_no_milestones_not_even_the_catalogues() -> None:
    offer = an_offer(BillingModel.FIXED_FEE, fixed_fee_billing=FixedFeeBilling.PERCENT_COMPLETE)

    line = completed(offer, some_defaults(BillingModel.FIXED_FEE, milestones=HALVES))

    assert line.terms.milestones == ()
    assert line.delivery.revenue_method is RevenueMethod.PERCENT_COMPLETE
    with pytest.raises(TermOfAnotherModel):
        completed(replace(offer, milestones=HALVES))


@pytest.mark.parametrize(
    ("retainer", "refusal", "field"),
    [
        ({"hours": Decimal(0)}, AmountNotPositive, "hours"),
        ({"overage_rate": eur("0")}, AmountNotPositive, "overage_rate"),
        ({"overage_rate": USD}, MixedCurrencies, "overage_rate"),
        ({"overage": RetainerOverage.HOLD}, RetainerInconsistent, "overage_rate"),
        (
            {"roll_over": RetainerRollOver.NONE, "expires_after_periods": 0},
            RetainerInconsistent,
            "roll_over_limit_percent",
        ),
        (
            {"roll_over": RetainerRollOver.NONE, "roll_over_limit_percent": None},
            RetainerInconsistent,
            "expires_after_periods",
        ),
    ],
)
def test_a_retainer_says_nothing_about_what_it_does_not_have(
    retainer: dict[str, Any], refusal: type[InvalidArgument], field: str
) -> None:
    offer = an_offer(BillingModel.RETAINER, retainer=a_retainer(**retainer))
    with pytest.raises(refusal) as refused:
        completed(offer)
    assert refused.value.field == f"lines[0].retainer.{field}"


@pytest.mark.parametrize(
    "bounds",
    [["10", "20"], [None, None], ["20", "10", None], ["10", "10", None], ["0", None]],
)
def test_tiers_rise_to_one_open_tier(bounds: list[str | None]) -> None:
    tiers = tuple(
        UsageTier(None if bound is None else Decimal(bound), eur("1")) for bound in bounds
    )
    with pytest.raises(TiersUnordered):
        completed(an_offer(BillingModel.USAGE, usage=a_usage(tiers=tiers)))


def test_a_tier_is_priced_in_the_currency_of_the_offer() -> None:
    tiers = (UsageTier(Decimal(1), eur("0")), UsageTier(None, USD))
    with pytest.raises(MixedCurrencies) as refused:
        completed(an_offer(BillingModel.USAGE, usage=a_usage(tiers=tiers)))
    assert refused.value.field == "lines[0].usage.tiers[1].unit_price"


def test_an_activity_a_category_and_a_person_in_a_role_stand_once() -> None:
    twice = (ActivityMultiplier("overtime", Decimal(2)),) * 2
    with pytest.raises(ActivityRepeated):
        completed(an_offer(BillingModel.TIME_AND_MATERIALS, multipliers=twice))
    rules = ExpensePolicy((ExpenseRule("meals", None, None),) * 2, None)
    with pytest.raises(CategoryRepeated):
        completed(
            an_offer(BillingModel.PASS_THROUGH, markup_percent=Decimal(0), expense_policy=rules)
        )
    role = LineRate("consultant", eur("140"), Decimal(0))
    own = replace(role, person_id=PERSON_ID)
    rated = completed(an_offer(BillingModel.TIME_AND_MATERIALS, rates=(role, own)))
    assert rated.terms.rates == (role, own)
    with pytest.raises(RoleRepeated):
        completed(an_offer(BillingModel.TIME_AND_MATERIALS, rates=(role, own, own)))


@pytest.mark.parametrize(
    ("model", "usual"),
    [
        (BillingModel.TIME_AND_MATERIALS, RevenueMethod.AS_DELIVERED),
        (BillingModel.FIXED_FEE, RevenueMethod.ON_ACCEPTANCE),
        (BillingModel.RECURRING, RevenueMethod.RATABLE),
        (BillingModel.PASS_THROUGH, RevenueMethod.AS_DELIVERED),
        (BillingModel.RETAINER, RevenueMethod.AS_DELIVERED),
        (BillingModel.USAGE, RevenueMethod.AS_DELIVERED),
    ],
)
def test_revenue_is_recognised_as_the_line_the_catalogue_or_the_model_says(
    model: BillingModel, usual: RevenueMethod
) -> None:
    offer = an_offer(model, **NEEDED[model])
    chosen = RevenueMethod.AS_DELIVERED
    catalogued = replace(some_defaults(model, **NEEDED[model]), revenue_method=chosen)

    assert completed(offer).delivery.revenue_method is usual
    assert completed(offer, catalogued).delivery.revenue_method is chosen
    assert completed(replace(offer, revenue_method=usual), catalogued).delivery == Delivery(
        revenue_method=usual
    )


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (BillingModel.TIME_AND_MATERIALS, RevenueMethod.ON_ACCEPTANCE),
        (BillingModel.PASS_THROUGH, RevenueMethod.RATABLE),
        (BillingModel.USAGE, RevenueMethod.PERCENT_COMPLETE),
    ],
)
def test_a_method_needs_something_to_measure(model: BillingModel, method: RevenueMethod) -> None:
    with pytest.raises(RevenueMethodUnfit):
        completed(an_offer(model, revenue_method=method, **NEEDED[model]))


def test_a_line_says_who_delivers_it_where_and_for_how_much() -> None:
    offer = an_offer(
        BillingModel.TIME_AND_MATERIALS,
        region="emea",
        dimensions=Dimensions(practice="cloud"),
        cost_budget=eur("60"),
    )
    assert completed(offer).delivery == Delivery(
        region="emea", dimensions=Dimensions(practice="cloud"), cost_budget=eur("60")
    )
    with pytest.raises(MixedCurrencies):
        completed(replace(offer, cost_budget=USD))
    with pytest.raises(AmountNotPositive):
        completed(replace(offer, cost_budget=eur("-1")))


def test_periods_and_proration_are_the_usual_ones_unless_agreed() -> None:
    usual = completed(an_offer(BillingModel.RECURRING, anchor_day=1)).terms
    agreed = completed(
        an_offer(BillingModel.RECURRING, anchor_day=1, period_months=3, proration=Proration.NONE)
    ).terms

    assert (usual.period_months, usual.proration) == (1, Proration.ACTUAL_DAYS)
    assert (agreed.period_months, agreed.proration) == (3, Proration.NONE)
