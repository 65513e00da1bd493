"""Offered lines: completed from the catalogue, consistent with their billing model."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from customer_contract_builders import END, START, a_milestone, an_id, an_offer, eur

from customer_contract.domain import catalogue
from customer_contract.domain.line_offer import (
    AmountNotPositive,
    AmountTooLarge,
    DiscountTooHigh,
    LineIncomplete,
    LineOffer,
    ModelDiffers,
    OutsideTerm,
    TotalMismatch,
    complete,
)
from customer_contract.domain.service_line import (
    BillingModel,
    LineDefaults,
    LineRate,
    MilestoneKeyRepeated,
    MilestoneShares,
    ModelTerms,
    RoleRepeated,
    ServiceLine,
    TermOfAnotherModel,
    TermsMissing,
)
from customer_contract.domain.values import QuoteLineId
from throughline_core.errors import InvalidArgument
from throughline_core.money import MixedCurrencies, Money
from throughline_core.period import Period

HALVES = (a_milestone("kickoff", "40"), a_milestone("end", "60"))
USD = Money(Decimal(1), "USD")

NEEDED: dict[BillingModel, dict[str, Any]] = {
    BillingModel.FIXED_FEE: {"milestones": HALVES},
    BillingModel.TIME_AND_MATERIALS: {},
    BillingModel.RECURRING: {"anchor_day": 1},
    BillingModel.PASS_THROUGH: {"markup_percent": Decimal(5)},
    BillingModel.RETAINER: {},
    BillingModel.USAGE: {},
}
FOREIGN: dict[str, Any] = {
    "milestones": HALVES,
    "rates": (LineRate("consultant", eur("140"), Decimal(0)),),
    "not_to_exceed": eur("1000"),
    "anchor_day": 1,
    "in_advance": True,
    "markup_percent": Decimal(0),
}
BELONGS = {
    BillingModel.FIXED_FEE: {"milestones"},
    BillingModel.TIME_AND_MATERIALS: {"rates", "not_to_exceed"},
    BillingModel.RECURRING: {"anchor_day", "in_advance"},
    BillingModel.PASS_THROUGH: {"markup_percent", "not_to_exceed"},
    BillingModel.RETAINER: set(),
    BillingModel.USAGE: set(),
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


def test_the_catalogue_may_leave_milestones_to_the_lines_but_no_other_term() -> None:
    fixed_fee = some_defaults(BillingModel.FIXED_FEE)
    assert catalogue.put(None, code="X", defaults=fixed_fee, retired=False).version == 1
    for model in (BillingModel.RECURRING, BillingModel.PASS_THROUGH):
        with pytest.raises(TermsMissing):
            catalogue.put(None, code="X", defaults=some_defaults(model), retired=False)


def test_a_service_put_twice_is_the_same_version() -> None:
    defaults = some_defaults(BillingModel.RECURRING, anchor_day=1)
    entry = catalogue.put(None, code="X", defaults=defaults, retired=False)

    assert catalogue.put(entry, code="X", defaults=defaults, retired=False) is entry
    retired = catalogue.put(entry, code="X", defaults=defaults, retired=True)
    assert (retired.version, retired.retired) == (2, True)
