"""The cases of re-rating that finance reads, one by one."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from billing_event_builders import (
    HOURS,
    NOW,
    a_book,
    a_customer,
    a_line,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.agreement import Facts
from billing_event.domain.decision import Judge
from billing_event.domain.limit import LimitBook
from billing_event.domain.position import EventKind, EventStatus, Row
from billing_event.domain.rerating import Action, Claims
from billing_event.domain.rerating_judge import ReratingJudge
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.source import CustomerId
from billing_event.domain.standing import Standing
from billing_event.domain.terms import ContractTerms, Payer, ReratingPolicy
from throughline_core.quantity import EXACT_MINUTES, RoundingMode, TimeRounding

CASES: Final = Path(__file__).parents[1] / "cases" / "rerating.yaml"
_GIVEN: Final = re.compile(r"([\d.]+) hours at ([\d.]+), (\w[\w ]*)")
_CUSTOMERS: Final = [CustomerId(an_id(suffix)) for suffix in ("c1", "c2", "c3")]


def cases() -> list[Any]:
    found = yaml.load(CASES.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return [pytest.param(each, id=each["case"]) for each in found]


def terms(rate: str, when: dict[str, str]) -> ContractTerms:
    shares = when.get("payers", "100 percent").removesuffix(" percent").split(" and ")
    payers = [
        Payer(customer_id, Decimal(share), is_rounding=index == 0)
        for index, (customer_id, share) in enumerate(zip(_CUSTOMERS, shares, strict=False))
    ]
    rebills = when.get("policy") == "credit and rebill"
    return some_terms(
        a_line(rates={"consultant": eur(rate)}),
        payers=tuple(payers) if len(payers) > 1 else (),
        rerating_policy=ReratingPolicy("credit_and_rebill" if rebills else "debit_credit"),
    )


def facts(known: ContractTerms, *, is_on_hold: bool = False) -> Facts:
    customers = [a_customer(customer_id=each, is_on_credit_hold=is_on_hold) for each in _CUSTOMERS]
    return replace(some_facts(known), customers={each.customer_id: each for each in customers})


def given(words: str, when: dict[str, str]) -> tuple[Standing, Claims]:
    """Return the work as it stands, and what of it is invoiced."""
    match = _GIVEN.fullmatch(words)
    assert match is not None, words
    hours, rate, where = match.groups()
    item = an_item(minutes=round(Decimal(hours) * 60))
    judge = Judge(facts(terms(rate, when)), LimitBook(), {}, at=NOW)
    judge.decide_new([item])
    rows = tuple(judge.decision.rated)
    if where == "waiting for release":
        rows = tuple(replace(row, status=EventStatus.ELIGIBLE, released_by="") for row in rows)
    invoiced = {row.billing_event_id: row.quantity for row in rows if where == "invoiced"}
    return Standing(item, rows), Claims(invoiced)


def told(row: Row, action: Action) -> str:
    """Return a row as the cases put it."""
    start = f"{row.quantity:.2f} hours at {row.rating.unit_rate.amount:.2f}"
    reasons = " ".join(hold.reason for hold in row.holds)
    where = {
        EventStatus.HELD: f"held {reasons}",
        EventStatus.ELIGIBLE: "waits for release",
        EventStatus.REVERSED: "cancels the original",
        EventStatus.RELEASED: "to the next invoice",
    }[row.status]
    if row.kind is EventKind.REVERSAL and row.status is EventStatus.RELEASED:
        is_invoiced = action is Action.CREDIT_AND_REBILL
        where = "to a credit note" if is_invoiced else "meets the original where invoices are made"
    return f"{start}, {where}"


@pytest.mark.parametrize("case", cases())
def test_case(case: dict[str, Any]) -> None:
    when, then = case["when"], case["then"]
    standing, claims = given(case["given"], when)
    now = terms(when["rate"], when)
    minutes = when.get("time is rounded up to")
    up = TimeRounding(int(minutes.split()[0]), RoundingMode.UP) if minutes else EXACT_MINUTES
    room = when.get("left under the cap")
    judge = ReratingJudge(
        facts(replace(now, time_rounding=up), is_on_hold=when.get("credit hold") == "true"),
        a_book((HOURS, room)) if room else LimitBook(),
        {},
        at=NOW,
    )
    finding = judge.comparer(moves_payers=False).compare(standing, claims)
    assert finding is not None
    assert finding.action == then["action"]
    assert finding.new - finding.old == Decimal(then["difference"])
    if finding.is_different and finding.action is not Action.CANNOT:
        judge.rerate(standing, claims, finding, run_id=ReratingRunId(an_id("9001")), by="user:a")
    assert [told(row, finding.action) for row in judge.decision.rated] == then["posted"]
    rows = (*standing.rows, *judge.decision.rated)
    assert all(row.amount == row.rating.unit_rate * row.quantity for row in rows)
    if judge.decision.rated:
        assert sum(row.amount.amount for row in rows) == finding.new
        assert sum(row.minutes for row in rows) == standing.item.minutes
