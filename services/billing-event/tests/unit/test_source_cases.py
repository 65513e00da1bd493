"""The cases of what is entered and charged, in the words of finance: tests/cases/*.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    HOURS,
    NOW,
    SUPPORT,
    a_judge,
    a_line,
    an_agreement,
    an_id,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain import adjustment as adjustments
from billing_event.domain import progress, usage
from billing_event.domain import purchase as purchases
from billing_event.domain.adjustment import Adjustment, AdjustmentId, AdjustmentReason
from billing_event.domain.exchange import DateRule, Exchange, ExchangePolicy, Quotation
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.rating import Priced, Rater, Unratable
from billing_event.domain.recurring import plan
from billing_event.domain.source import SourceItem, SourceRef
from billing_event.domain.standing import Reversal, Standing
from billing_event.domain.terms import (
    Aggregation,
    BillingModel,
    LineTerms,
    Proration,
    UsageTerms,
    UsageTier,
)
from throughline_core.errors import Refusal
from throughline_core.money import Money
from throughline_core.period import Period

CASES = Path(__file__).parents[1] / "cases"
_DAY = timedelta(days=1)

Case = Mapping[str, Any]


class _Exact(yaml.SafeLoader):
    """Reads numbers as they are written: money is never a float."""


_Exact.add_constructor("tag:yaml.org,2002:float", lambda _, node: Decimal(str(node.value)))


def cases(name: str) -> pytest.MarkDecorator:
    found: Sequence[Case] = yaml.load((CASES / f"{name}.yaml").read_text(), Loader=_Exact)
    return pytest.mark.parametrize("case", found, ids=[each["case"] for each in found])


def exact(number: Any) -> Decimal:
    return Decimal(str(number))


def money(words: str) -> Money:
    amount, currency = words.split()
    return Money(Decimal(amount), currency)


@cases("usage")
def test_usage(case: Case) -> None:
    given, readings = case["given"], [exact(each) for each in case["when"]["readings"]]
    terms = UsageTerms(
        "units",
        1,
        Aggregation(given["counted_as"]),
        exact(given["included"]),
        tuple(
            UsageTier(exact(tier["up_to"]) if "up_to" in tier else None, eur(str(tier["price"])))
            for tier in given["tiers"]
        ),
    )
    counted = usage.NOTHING_METERED
    if readings:
        counted = usage.Metered(
            sum(readings, Decimal(0)), max(readings), readings[-1], len(readings)
        )
    found = usage.charge(terms, counted)
    assert found.quantity == exact(case["then"]["quantity"])
    assert [
        f"{tier.quantity.normalize():f} x {tier.unit_price.amount}" for tier in found.tiers
    ] == case["then"]["charged"]
    assert found.amount == eur(str(case["then"]["amount"]))


@cases("progress")
def test_progress(case: Case) -> None:
    net_total, billed, amounts = exact(case["given"]["net_total"]), eur("0"), []
    for report in case["when"]:
        net_total = exact(report.get("net_total", net_total))
        line = a_line(net_total=eur(str(net_total)))
        earned = progress.earned_by(line, exact(report["percent"]), progress.Billed(billed))
        amounts.append(earned.amount.amount)
        billed += earned.amount
    assert amounts == [exact(each) for each in case["then"]]


def a_quotation(words: str) -> Quotation:
    """Read `EUR/USD 1.25 of 2026-09-07 by ecb`."""
    pair, rate, _, day, _, source = words.split()
    base, quote = pair.split("/")
    return Quotation(base, quote, date.fromisoformat(day), source, Decimal(rate))


def a_fixed_rate(words: str) -> tuple[tuple[str, str], Decimal]:
    pair, rate = words.split()
    base, quote = pair.split("/")
    return (base, quote), Decimal(rate)


@cases("exchange")
def test_exchange(case: Case) -> None:
    given, when, then = case["given"], case["when"], case["then"]
    policy = ExchangePolicy(
        ENTITY,
        1,
        DateRule(given.get("rule", "work_date")),
        fixed_rates=dict(a_fixed_rate(each) for each in given.get("fixed", ())),
    )
    exchange = Exchange({ENTITY: policy}, [a_quotation(each) for each in given["rates"]])
    found = exchange.convert(
        money(when["convert"]),
        when["into"],
        service_on=when["work_date"],
        legal_entity_id=ENTITY,
    )
    if "held" in then:
        assert found is None
        return
    assert found is not None
    assert found.price.rounded() == Money(exact(then["price"]), when["into"])
    assert (found.conversion.rate, found.conversion.rate_on) == (exact(then["rate"]), then["of"])
    assert then.get("words", "") in found.words


@cases("purchases")
def test_purchases(case: Case) -> None:
    given, when, then = case["given"], case["when"], case["then"]
    markups = {name: exact(percent) for name, percent in given.get("markups", {}).items()}
    line = a_line(
        billing_model=BillingModel.PASS_THROUGH,
        rates={},
        markup_percent=exact(given["line_markup"]),
        markups=markups,
    )
    source = SourceRef("erp", "vendor_bill", "VB-1")
    day, cost = date(2026, 9, 7), money(when["cost"])
    bought = purchases.Bought(
        CONTRACT, HOURS, when["category"], "Northwind", "", "Test", day, cost, source
    )
    terms = some_terms(line)
    waiting = purchases.record(bought, an_agreement(terms), by="anna", at=NOW)
    approved = purchases.decide(waiting, ProposalStatus.APPROVED, by="bert", at=NOW)
    quotations = []
    if "rate" in given:
        quotations = [a_quotation(f"{given['rate']} of {day} by ecb")]
    facts = replace(some_facts(terms), exchange=Exchange({}, quotations))
    outcome = Rater(facts).rate(purchases.source_item_of(approved))
    if "held" in then:
        assert isinstance(outcome, Unratable)
        assert outcome.hold.reason == then["held"]
        return
    assert isinstance(outcome, Priced)
    assert [share.portion.amount for share in outcome.shares] == [eur(str(then["amount"]))]


@cases("adjustments")
def test_adjustments(case: Case) -> None:
    given, amount = case["given"], eur(str(case["when"]["amount"]))
    made = Adjustment(
        adjustment_id=AdjustmentId(an_id("ad1")),
        version=1,
        contract_id=CONTRACT,
        contract_line_id=HOURS,
        legal_entity_id=ENTITY,
        engagement_id=an_id("f1"),
        status=ProposalStatus.PROPOSED,
        amount=amount,
        service_on=date(2026, 9, 7),
        reason_code="goodwill",
        description="As agreed",
        billing_event_id=None,
        undoes_adjustment_id=None,
        proposed_by=given["proposed_by"],
        proposed_at=NOW,
    )
    if "refused" in case["then"]:
        with pytest.raises(Refusal) as refused:
            adjustments.decide(made, ProposalStatus.APPROVED, by=given["decided_by"], at=NOW)
        assert refused.value.stable_code == case["then"]["refused"]
        return
    item = an_item_of(made, by=given["decided_by"])
    judge = a_judge()
    judge.decide_new([item])
    if given.get("undone"):
        done = adjustments.decide(made, ProposalStatus.APPROVED, by=given["decided_by"], at=NOW)
        counter = adjustments.undo(done, AdjustmentId(an_id("ad2")), "Undone", by="anna", at=NOW)
        standing = Standing(item, tuple(judge.decision.rated))
        judge.decide_reversals([Reversal(an_item_of(counter, by="bert"), (), standing)])
    total = Money.total((row.amount for row in judge.decision.rated), "EUR")
    assert total == eur(str(case["then"]["billed"]))


def an_item_of(made: Adjustment, *, by: str) -> SourceItem:
    approved = adjustments.decide(made, ProposalStatus.APPROVED, by=by, at=NOW)
    return adjustments.source_item_of(approved, AdjustmentReason("goodwill", 1, "Goodwill", True))


@cases("recurring")
def test_recurring(case: Case) -> None:
    given = case["given"]
    line = a_line(
        SUPPORT,
        billing_model=BillingModel.RECURRING,
        unit_price=eur("2500.00"),
        term=Period(given["from"], given["to"] + _DAY),
        anchor_day=given["anchor_day"],
        period_months=given.get("months", 1),
        proration=Proration(given.get("proration", "actual_days")),
    )
    versions = [some_terms(line)]
    if "changed" in given or "ended_on" in given:
        versions.append(_changed(line, given))
    found = [
        f"{each.service.start}..{each.service.end - _DAY} {each.amount.amount}"
        for each in plan(an_agreement(*versions))
    ]
    assert found == case["then"]


def _changed(line: LineTerms, given: Case) -> Any:
    change = given.get("changed", {})
    later = replace(
        line,
        unit_price=eur(str(change.get("price", "2500.00"))),
        period_months=change.get("months", line.period_months),
        ended_on=given.get("ended_on"),
    )
    day = change.get("effective", given.get("ended_on"))
    return some_terms(later, contract_version=2, effective_on=day)
