"""What the preview of a run shows is what the run posts, item by item, whatever was agreed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from billing_event_builders import (
    CONTRACT,
    CUSTOMER,
    FIXED_FEE,
    NOW,
    a_customer,
    a_line,
    a_milestone,
    a_payer,
    an_agreement,
    an_expense,
    an_id,
    an_item,
    eur,
    some_terms,
)
from hypothesis import given
from hypothesis import strategies as st

from billing_event.domain.agreement import Facts
from billing_event.domain.decision import Judge
from billing_event.domain.exchange import Exchange, Quotation
from billing_event.domain.hold import HoldId
from billing_event.domain.limit import Account, LimitAccountId, LimitBook
from billing_event.domain.limit_terms import limits_of
from billing_event.domain.position import EventStatus, Row, Unit, live_rows
from billing_event.domain.rerating import Claims
from billing_event.domain.rerating_judge import ReratingJudge
from billing_event.domain.rerating_part import PartKey, key_of_row
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.source import CustomerId, SourceItem, SourceItemId
from billing_event.domain.standing import Decision, Standing
from billing_event.domain.terms import BillingModel, ContractTerms, ReratingPolicy
from throughline_core.money import Money
from throughline_core.quantity import EXACT_MINUTES, RoundingMode, TimeRounding

RUN = ReratingRunId(an_id("9001"))
SECOND, THIRD = CustomerId(an_id("c2")), CustomerId(an_id("c3"))
MONDAY = date(2026, 9, 7)
NOTHING = Decimal(0)

PAYERS = (
    (),
    (a_payer(CUSTOMER, "60", is_rounding=True), a_payer(SECOND, "40")),
    (a_payer(SECOND, "0", amount="650"), a_payer(CUSTOMER, "100", is_rounding=True)),
    (a_payer(SECOND, "0", amount="250"), a_payer(THIRD, "0", amount="900")),
    (
        a_payer(SECOND, "0", amount="333.33"),
        a_payer(CUSTOMER, "33.3334", is_rounding=True),
        a_payer(THIRD, "66.6666"),
    ),
)
RATES = (eur("100"), eur("90"), eur("133.33"), eur("0"), Money(Decimal("120"), "USD"))
ROUNDINGS = (EXACT_MINUTES, TimeRounding(15, RoundingMode.UP))


@st.composite
def agreed(draw: st.DrawFn, *, cap: int | None) -> ContractTerms:
    """Return terms of a line by the hour and of a fixed fee; the cap of hours stays what it is."""
    model = draw(st.sampled_from([BillingModel.TIME_AND_MATERIALS] * 4 + [BillingModel.FIXED_FEE]))
    hours = a_line(
        rates={"consultant": draw(st.sampled_from(RATES))},
        billing_model=model,
        markup_percent=Decimal(draw(st.sampled_from([0, 5]))),
        not_to_exceed=None if cap is None else eur(cap),
    )
    return some_terms(
        hours,
        a_line(FIXED_FEE, billing_model=BillingModel.FIXED_FEE),
        payers=draw(st.sampled_from(PAYERS)),
        time_rounding=draw(st.sampled_from(ROUNDINGS)),
        rerating_policy=draw(st.sampled_from(ReratingPolicy)),
    )


@st.composite
def some_items(draw: st.DrawFn) -> list[SourceItem]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        item_id = SourceItemId(an_id(f"15{number:06x}"))
        amount = draw(st.sampled_from(["100.00", "33.34"]))
        kinds = [
            an_item(minutes=draw(st.integers(1, 600)), source_item_id=item_id),
            replace(an_expense(eur(amount)), source_item_id=item_id),
            replace(a_milestone(eur(amount)), source_item_id=item_id, contract_line_id=FIXED_FEE),
        ]
        found.append(draw(st.sampled_from([kinds[0], kinds[0], *kinds])))
    return found


class Firm:
    """Rows of things in memory, and what they take of the limits agreed."""

    def __init__(self) -> None:
        self.rows: dict[SourceItemId, list[Row]] = {}
        self.taken: dict[LimitAccountId, Decimal] = {}

    def judge(self, terms: ContractTerms) -> ReratingJudge:
        customers = {each: a_customer(customer_id=each) for each in (CUSTOMER, SECOND, THIRD)}
        quotation = Quotation("EUR", "USD", MONDAY, "ecb", Decimal("1.25"))
        exchange = Exchange({}, [quotation])
        facts = Facts(1, {CONTRACT: an_agreement(terms)}, (), customers, exchange)
        return ReratingJudge(facts, LimitBook(self._accounts(terms)), {}, at=NOW)

    def _accounts(self, terms: ContractTerms) -> Iterator[Account]:
        for limit in limits_of(terms):
            taken = self.taken.get(limit.limit_account_id, NOTHING)
            excess = max(taken - limit.agreed.amount, NOTHING)
            room = limit.agreed.amount + excess - taken
            yield Account(limit.limit_account_id, limit.scope, room, excess=excess)

    def write(self, judge: Judge) -> None:
        for row in _as_kept(judge.decision):
            others = [
                each
                for each in self.rows.get(row.item.source_item_id, ())
                if each.billing_event_id != row.billing_event_id
            ]
            self.rows[row.item.source_item_id] = sorted([*others, row], key=lambda each: each.part)
        for rows in self.rows.values():
            gone = {row.reverses for row in rows}
            rows[:] = [replace(row, is_taken_back=row.billing_event_id in gone) for row in rows]
        for account_id, change in judge.book.changes.items():
            self.taken[account_id] = self.taken.get(account_id, NOTHING) + change

    def standings(self, items: Sequence[SourceItem]) -> list[Standing]:
        found = ((item, self.rows.get(item.source_item_id, [])) for item in items)
        return [Standing(item, tuple(rows)) for item, rows in found if rows]


def _as_kept(decision: Decision) -> Iterator[Row]:
    """Yield rows as the database returns them: their holds have ids."""
    for row in (*decision.rated, *decision.changed):
        holds = tuple(
            replace(hold, hold_id=HoldId(an_id(f"77{number:02x}")))
            for number, hold in enumerate(row.holds)
        )
        yield replace(row, holds=holds)


def _billed(firm: Firm, item: SourceItem) -> Mapping[object, Decimal]:
    rows = live_rows(firm.rows[item.source_item_id])
    return _by_price((key_of_row(row), row.quantity) for row in rows)


def _by_price(parts: Iterable[tuple[PartKey, Decimal]]) -> Mapping[object, Decimal]:
    """Return hours by rate, and amounts as sums: parts that a cap cuts have their own prices."""
    found: dict[object, Decimal] = {}
    for key, quantity in parts:
        is_hour = key.unit is Unit.HOUR
        price: object = key if is_hour else (key.payer, key.unit, key.treatment)
        worth = quantity if is_hour else key.rate * quantity
        found[price] = found.get(price, NOTHING) + worth
    return {price: worth for price, worth in found.items() if worth}


@given(
    data=st.data(),
    items=some_items(),
    cap=st.sampled_from([None, 700]),
    moves_payers=st.booleans(),
    chunk=st.integers(1, 6),
)
def test_what_a_preview_shows_is_what_is_posted(
    *,
    data: st.DataObject,
    items: list[SourceItem],
    cap: int | None,
    moves_payers: bool,
    chunk: int,
) -> None:
    firm = Firm()
    judge = firm.judge(data.draw(agreed(cap=cap), label="before"))
    judge.decide_new(items)
    firm.write(judge)
    claims = Claims(
        {
            row.billing_event_id: row.quantity
            for rows in firm.rows.values()
            for row in rows
            if row.status is EventStatus.RELEASED and data.draw(st.booleans(), label="invoiced")
        }
    )
    terms = data.draw(agreed(cap=cap), label="after")
    judge = firm.judge(terms)
    comparer = judge.comparer({}, moves_payers=moves_payers)
    shown = judge.trial(firm.standings(items), claims, comparer, run_id=RUN)

    approved = {each.item.source_item_id: each for each in shown if each.is_postable}
    for standings in _chunks(firm.standings([each.item for each in approved.values()]), chunk):
        judge = firm.judge(terms)
        comparer = judge.comparer({}, moves_payers=moves_payers)
        for standing in standings:
            finding = comparer.compare(standing, claims)
            assert finding == approved[standing.item.source_item_id]
            judge.rerate(standing, claims, finding, run_id=RUN, by="user:approver")
        firm.write(judge)

    for finding in approved.values():
        shown_parts = _by_price((part.key, part.new) for part in finding.parts)
        assert _billed(firm, finding.item) == shown_parts
        rows = live_rows(firm.rows[finding.item.source_item_id])
        assert sum(row.amount.amount for row in rows) == finding.new


def _chunks(standings: list[Standing], size: int) -> Iterator[list[Standing]]:
    for start in range(0, len(standings), size):
        yield standings[start : start + size]
