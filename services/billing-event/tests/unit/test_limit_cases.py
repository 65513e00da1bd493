"""The cases of limits and retainers, as a finance person reads them, come out as they say."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from billing_event_builders import (
    CONTRACT,
    HOURS,
    a_judge,
    a_line,
    an_agreement,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.agreement import Facts
from billing_event.domain.limit import Account, LimitBook, LimitScope, account_id
from billing_event.domain.position import BillingEventId, EventStatus, Row
from billing_event.domain.recurring import plan
from billing_event.domain.retainer import RetainerPeriod, RetainerPeriodId, blocks_of
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Reversal, Standing
from billing_event.domain.terms import BillingModel, Overage, RetainerTerms, RollOver

CASES = Path(__file__).parent.parent / "cases"


def cases_of(name: str) -> list[Any]:
    found = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    return [pytest.param(each, id=each["case"]) for each in found]


def figure(value: object) -> Decimal:
    return Decimal(str(value))


class Ledger:
    """What decisions would write: rows, what limits have left, and the periods of a retainer."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.day = date(2026, 9, 14)
        self.items: dict[str, SourceItem] = {}
        self.rows: dict[BillingEventId, Row] = {}
        self.agreed: dict[LimitScope, Decimal] = {}
        self.taken = Decimal(0)
        self.is_soft = False
        self.tolerance = Decimal(0)
        self.facts: Facts = some_facts()
        self.periods: list[RetainerPeriod] = []
        self.origins: dict[BillingEventId, RetainerPeriodId] = {}

    def enforced(self, scope: LimitScope) -> Decimal:
        return max(self.agreed[scope] * (1 + self.tolerance / 100), self.taken)

    def book(self) -> LimitBook:
        lines = {LimitScope.CONTRACT: None, LimitScope.CONTRACT_LINE: HOURS}
        accounts = [
            Account(
                account_id(CONTRACT, lines[scope]),
                scope,
                None if self.is_soft else self.enforced(scope) - self.taken,
            )
            for scope in self.agreed
        ]
        return LimitBook(accounts, RetainerBook(self.periods, self.origins))

    def judge(self, decide: str, *args: object) -> None:
        book = self.book()
        judge = a_judge(self.facts, book, threshold="100000.00")
        judge.at = judge.at.replace(year=self.day.year, month=self.day.month, day=self.day.day)
        getattr(judge, decide)(*args)
        for row in (*judge.decision.rated, *judge.decision.changed):
            self.rows[row.billing_event_id] = row
        for row in judge.decision.rated:
            if row.reverses is not None:
                self.rows[row.reverses] = replace(self.rows[row.reverses], is_taken_back=True)
        self.taken += sum(
            (each.change for each in book.reservations[:: max(len(self.agreed), 1)]), Decimal(0)
        )
        for movement in book.retainers.movements:
            if movement.kind == "draw" and movement.billing_event_id is not None:
                self.origins[movement.billing_event_id] = movement.origin_period_id
        if book.given_back:
            self.look_again()

    def rows_of(self, item: SourceItem) -> tuple[Row, ...]:
        return tuple(row for row in self.rows.values() if row.item is item)

    def look_again(self) -> None:
        found = [Standing(item, self.rows_of(item)) for item in self.items.values()]
        self.judge("decide_again", [standing for standing in found if standing.rows])

    def approve(self, hours: object, *, on: date, name: str | None = None) -> None:
        number = next(self.numbers)
        item = an_item(
            source_item_id=SourceItemId(an_id(f"15{number:06x}")),
            minutes=int(figure(hours) * 60),
            service_from=on,
            service_to=on + timedelta(days=1),
        )
        self.items[name or str(number)] = item
        self.judge("decide_new", [item])

    def take_back(self, name: str) -> None:
        original = self.items[name]
        number = next(self.numbers)
        taker = replace(
            original,
            source_item_id=SourceItemId(an_id(f"15{number:06x}")),
            minutes=-original.minutes,
            reverses_item_id=original.source_item_id,
        )
        self.items[str(number)] = taker
        standing = Standing(original, self.rows_of(original))
        self.judge("decide_reversals", [Reversal(taker, (), standing)])

    def shown(self) -> list[tuple[Decimal, str, str]]:
        """Return amount, status and hold of the rows in order; unreleased pairs are left out."""
        ordered = sorted(
            self.rows.values(), key=lambda row: (str(row.item.source_item_id), row.part)
        )
        return [
            (row.amount.amount, str(row.status), " ".join(hold.reason for hold in row.holds))
            for row in ordered
            if row.status is not EventStatus.REVERSED
        ]


@pytest.mark.parametrize("case", cases_of("limits"))
def test_limits(case: dict[str, Any]) -> None:
    ledger, given = Ledger(), case["given"]
    for scope in (LimitScope.CONTRACT_LINE, LimitScope.CONTRACT):
        name = f"limit_of_{scope.removeprefix('contract_')}"
        if name in given:
            ledger.agreed[scope] = figure(given[name])
    ledger.is_soft = given.get("enforcement") == "soft"
    ledger.tolerance = figure(given.get("tolerance_percent", 0))
    for step in case["when"]:
        if "approve" in step:
            what = step["approve"]
            ledger.approve(what["hours"], on=date(2026, 9, 7), name=what.get("as"))
        elif "take_back" in step:
            ledger.take_back(step["take_back"])
        else:
            ledger.agreed[LimitScope.CONTRACT_LINE] = figure(step["agree_limit_of_line"])
            ledger.look_again()
    expected = [
        (figure(row["amount"]), row["status"], row.get("because", ""))
        for row in case["then"]
        if "amount" in row
    ]
    assert ledger.shown() == expected
    for left in (row["left"] for row in case["then"] if "left" in row):
        agreed = ledger.agreed[LimitScope.CONTRACT_LINE]
        scope = LimitScope.CONTRACT_LINE
        assert (agreed if ledger.is_soft else ledger.enforced(scope)) - ledger.taken == figure(left)


@pytest.mark.parametrize("case", cases_of("retainers"))
def test_retainers(case: dict[str, Any]) -> None:
    ledger = a_retainer(case["given"])
    for step in case["when"]:
        if "work" in step:
            what = step["work"]
            ledger.approve(what["hours"], on=what["day"], name=what.get("as"))
        elif "take_back" in step:
            ledger.take_back(step["take_back"])
        elif "top_up" in step:
            what = step["top_up"]
            price = eur(str(what["price"]))
            ledger.book().retainers.top_up(ledger.periods[0], figure(what["hours"]), price)
            ledger.look_again()
        else:
            ledger.day = step["day"]
            ledger.book().retainers.turn(HOURS, ledger.day)
    expected = [row for row in case["then"] if "amount" in row]
    live = [row for row in ledger.rows.values() if row.reverses is None and not row.is_taken_back]
    found = [
        {
            ("bills" if row.rating.treatment == "invoiced" else "draws"): float(row.quantity),
            "amount": float(row.amount.amount),
            "status": str(row.status),
            **({"because": str(row.holds[0].reason)} if row.holds else {}),
        }
        for row in sorted(live, key=lambda row: (str(row.item.source_item_id), row.part))
    ]
    assert found == expected
    by_day = {period.block.service.start: period for period in ledger.periods}
    for wanted in (row["period"] for row in case["then"] if "period" in row):
        period = by_day[wanted["from"]]
        names = ("granted", "carried_in", "drawn", "carried_out", "lapsed")
        balances = {name: getattr(period, name) for name in names}
        assert balances == {name: figure(wanted.get(name, 0)) for name in names}
        assert period.balance == figure(wanted["left"])


def a_retainer(given: dict[str, Any]) -> Ledger:
    """Return a ledger with the periods of these terms, on 14 September."""
    terms = RetainerTerms(
        hours=figure(given["hours"]) if "hours" in given else None,
        roll_over=RollOver(given["roll_over"]),
        roll_over_limit_percent=figure(given.get("at_most_percent", 100)),
        expires_after_periods=given.get("for_periods", 0),
        overage=Overage(given["overage"]),
        overage_rate=eur(str(given["overage_rate"])) if "overage_rate" in given else None,
    )
    line = a_line(
        billing_model=BillingModel.RETAINER,
        retainer=terms,
        unit_price=eur(str(given["price"])),
        rates={"consultant": eur(str(given.get("rate", 100)))},
    )
    ledger = Ledger()
    ledger.facts = some_facts(some_terms(line))
    agreement = an_agreement(some_terms(line))
    blocks = blocks_of(agreement, plan(agreement))
    ledger.periods = [RetainerPeriod(block, terms) for block in blocks]
    ledger.book().retainers.turn(HOURS, ledger.day)
    return ledger
