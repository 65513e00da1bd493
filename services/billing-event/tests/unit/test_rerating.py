"""What a thing should be worth, minus what it is: payer by payer, rate by rate."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    HOURS,
    NOW,
    SUPPORT,
    a_book,
    a_line,
    a_milestone,
    an_expense,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.agreement import Facts
from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.limit import LimitBook
from billing_event.domain.position import EventStatus, Row
from billing_event.domain.rating import Rater
from billing_event.domain.recurring import plan, source_item_of
from billing_event.domain.rerating import (
    Action,
    Claims,
    Comparer,
    Finding,
    Place,
)
from billing_event.domain.rerating_judge import ReratingJudge
from billing_event.domain.rerating_part import fingerprint, is_as_approved, parts_from, parts_of
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.source import CustomerId, SourceItem
from billing_event.domain.standing import Standing
from billing_event.domain.terms import (
    BillingModel,
    ContractTerms,
    Payer,
    ReratingPolicy,
    TaxStatus,
)
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding

RUN = ReratingRunId(an_id("9001"))
PARTNER = CustomerId(an_id("c2"))
HALVES = (
    Payer(CustomerId(an_id("c1")), Decimal(50), True),
    Payer(PARTNER, Decimal(50), False),
)


def at_rate(rate: str, **terms: Any) -> ContractTerms:
    return some_terms(a_line(rates={"consultant": eur(rate)}), **terms)


def known(terms: ContractTerms) -> Facts:
    facts = some_facts(terms)
    customer = next(iter(facts.customers.values()))
    partner = replace(customer, customer_id=PARTNER)
    return replace(facts, customers={**facts.customers, PARTNER: partner})


def rated(item: SourceItem, terms: ContractTerms, book: LimitBook | None = None) -> Standing:
    """Return a thing with the rows it got by these terms."""
    judge = Judge(known(terms), book or LimitBook(), {}, at=NOW)
    judge.decide_new([item])
    return Standing(item, tuple(judge.decision.rated))


def invoiced(standing: Standing, *indices: int) -> Claims:
    chosen = [standing.rows[index] for index in indices] or standing.rows
    return Claims({row.billing_event_id: row.quantity for row in chosen})


NOBODY = Claims({})


def find(
    standing: Standing, terms: ContractTerms, claims: Claims = NOBODY, *, moves_payers: bool = False
) -> Finding:
    facts = known(terms)
    finding = Comparer(facts, Rater(facts), {}, moves_payers=moves_payers).compare(standing, claims)
    assert finding is not None
    return finding


def post(
    standing: Standing,
    terms: ContractTerms,
    claims: Claims = NOBODY,
    book: LimitBook | None = None,
) -> list[Row]:
    """Return the rows that a run adds to those of a thing, by the terms as they are now."""
    judge = ReratingJudge(known(terms), book or LimitBook(), {}, at=NOW)
    finding = judge.comparer({}, moves_payers=False).compare(standing, claims)
    assert finding is not None
    judge.rerate(standing, claims, finding, run_id=RUN, by="user:approver")
    assert {row.rerating_run_id for row in judge.decision.rated} == {RUN}
    return judge.decision.rated


def told(rows: list[Row]) -> list[str]:
    return [
        f"{row.kind} {row.quantity} x {row.rating.unit_rate.amount} {row.status}" for row in rows
    ]


def test_what_is_worth_what_it_should_be_is_left_alone() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    finding = find(standing, at_rate("100.00", contract_version=1))
    assert (finding.action, finding.is_different, finding.place) == (
        Action.NOTHING,
        False,
        Place.RELEASED,
    )


def test_what_nobody_invoiced_is_taken_back_and_rated_anew() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    finding = find(standing, at_rate("110.00"))
    assert (finding.action, finding.old, finding.new) == (
        Action.REPLACE,
        Decimal(100),
        Decimal(110),
    )
    assert told(post(standing, at_rate("110.00"))) == [
        "reversal -1.00 x 100.00 released",
        "original 1.00 x 110.00 released",
    ]


@pytest.mark.parametrize(("rate", "action"), [("110.00", Action.DEBIT), ("90.00", Action.CREDIT)])
def test_what_is_invoiced_is_taken_off_at_its_rate_and_billed_at_the_new_one(
    rate: str, action: Action
) -> None:
    standing = rated(an_item(), at_rate("100.00"))
    claims = invoiced(standing)
    assert find(standing, at_rate(rate), claims).action is action
    off, on = post(standing, at_rate(rate), claims)
    assert told([off, on]) == [
        "adjustment -1.00 x 100.00 released",
        f"adjustment 1.00 x {rate} released",
    ]
    [original] = standing.rows
    assert off.adjusts == on.adjusts == original.billing_event_id
    assert off.reverses is None


def test_by_credit_and_rebill_what_is_invoiced_is_taken_back_in_full() -> None:
    terms = at_rate("110.00", rerating_policy=ReratingPolicy.CREDIT_AND_REBILL)
    standing = rated(an_item(), at_rate("100.00"))
    claims = invoiced(standing)
    assert find(standing, terms, claims).action is Action.CREDIT_AND_REBILL
    back, anew = post(standing, terms, claims)
    assert told([back, anew]) == [
        "reversal -1.00 x 100.00 released",
        "original 1.00 x 110.00 released",
    ]
    assert back.reverses == standing.rows[0].billing_event_id


def test_what_a_credit_note_took_a_part_of_is_corrected_by_difference_whatever_the_policy() -> None:
    terms = at_rate("110.00", rerating_policy=ReratingPolicy.CREDIT_AND_REBILL)
    standing = rated(an_item(), at_rate("100.00"))
    claims = Claims({standing.rows[0].billing_event_id: Decimal("0.60")})
    assert find(standing, terms, claims).action is Action.DEBIT


def test_a_second_change_corrects_what_the_first_left() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    first = post(standing, at_rate("110.00"), invoiced(standing))
    after = Standing(standing.item, (*standing.rows, *first))
    assert find(after, at_rate("110.00"), invoiced(after)).action is Action.NOTHING
    terms = at_rate("105.00", rerating_policy=ReratingPolicy.CREDIT_AND_REBILL)
    # A credit note can take back an invoice line, not the difference of two.
    assert find(after, terms, invoiced(after)).action is Action.CREDIT
    second = post(after, terms, invoiced(after))
    assert told(second) == [
        "adjustment -1.00 x 110.00 released",
        "adjustment 1.00 x 105.00 released",
    ]
    assert sum(row.amount.amount for row in (*after.rows, *second)) == 105


def test_only_what_is_invoiced_is_corrected_and_the_rest_replaced() -> None:
    book = a_book((HOURS, "50.00"))
    standing = rated(an_item(), at_rate("100.00"), book)
    assert told(list(standing.rows)) == [
        "original 0.50 x 100.00 released",
        "original 0.50 x 100.00 held",
    ]
    claims = invoiced(standing, 0)
    rows = post(standing, at_rate("110.00"), claims, a_book((HOURS, "500.00")))
    assert told(rows) == [
        "reversal -0.50 x 100.00 reversed",
        "adjustment -0.50 x 100.00 released",
        "adjustment 1.00 x 110.00 released",
    ]
    assert sum(row.minutes for row in (*standing.rows, *rows)) == 60


def test_each_payer_is_corrected_for_its_own_part() -> None:
    standing = rated(an_item(minutes=90), at_rate("100.00", payers=HALVES))
    claims = invoiced(standing, 0)
    finding = find(standing, at_rate("110.00", payers=HALVES), claims)
    differences = {(part.key.payer, part.key.rate): part.difference for part in finding.parts}
    assert differences == {
        (an_id("c1"), Decimal(100)): Decimal("-75"),
        (an_id("c1"), Decimal(110)): Decimal("82.5"),
        (PARTNER, Decimal(100)): Decimal("-75"),
        (PARTNER, Decimal(110)): Decimal("82.5"),
    }
    rows = post(standing, at_rate("110.00", payers=HALVES), claims)
    assert [(str(row.kind), row.rating.bill_to_customer_id) for row in rows] == [
        ("reversal", PARTNER),
        ("adjustment", an_id("c1")),
        ("adjustment", an_id("c1")),
        ("original", PARTNER),
    ]
    assert sum(row.amount.amount for row in (*standing.rows, *rows)) == 165
    assert sum(row.minutes for row in (*standing.rows, *rows)) == 90


def test_cents_of_shared_amounts_are_corrected_to_the_cent() -> None:
    thirds = (
        Payer(CustomerId(an_id("c1")), Decimal("33.3334"), True),
        Payer(PARTNER, Decimal("33.3333"), False),
        Payer(CustomerId(an_id("c3")), Decimal("33.3333"), False),
    )
    before = some_terms(a_line(markup_percent=Decimal(0)), payers=thirds)
    after = some_terms(a_line(markup_percent=Decimal(5)), payers=thirds)
    standing = rated(an_expense(eur("100.00")), before)
    rows = post(standing, after, invoiced(standing))
    assert sum(row.amount.amount for row in (*standing.rows, *rows)) == 105
    assert all(row.amount == row.rating.unit_rate * row.quantity for row in rows)


def test_who_pays_alone_is_no_difference_unless_it_is_asked_for() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    moved_on = at_rate("100.00", bill_to_customer_id=PARTNER)
    assert find(standing, moved_on).action is Action.NOTHING
    assert find(standing, moved_on, moves_payers=True).action is Action.REPLACE
    shared = at_rate("100.00", payers=HALVES)
    assert find(standing, shared).action is Action.NOTHING
    expense = rated(an_expense(eur("100.00")), some_terms())
    assert find(expense, some_terms(payers=HALVES)).action is Action.NOTHING


def test_another_rounding_of_time_is_a_difference_in_hours() -> None:
    standing = rated(an_item(minutes=50), at_rate("100.00"))
    up = TimeRounding(15, RoundingMode.UP)
    finding = find(standing, at_rate("100.00", time_rounding=up), invoiced(standing))
    [part] = finding.parts
    assert (part.old, part.new, part.difference) == (Decimal("0.83"), Decimal(1), Decimal(17))
    assert finding.action is Action.DEBIT


def test_an_agreed_amount_stays_what_was_agreed() -> None:
    standing = rated(a_milestone(eur("9600.00")), at_rate("100.00"))
    assert find(standing, at_rate("200.00"), invoiced(standing)).action is Action.NOTHING


def test_a_charged_period_follows_the_price_of_its_line() -> None:
    def terms(price: str) -> ContractTerms:
        model = BillingModel.RECURRING
        return some_terms(a_line(SUPPORT, billing_model=model, unit_price=eur(price), rates={}))

    facts = known(terms("2500.00"))
    [first, *_] = plan(facts.agreements[CONTRACT])
    standing = rated(source_item_of(first), terms("2500.00"))
    finding = find(standing, terms("2600.00"), invoiced(standing))
    assert (finding.action, finding.new, finding.item.price) == (
        Action.DEBIT,
        Decimal(2600),
        eur("2600.00"),
    )


def test_what_has_no_price_by_now_is_left_as_it_is_and_says_why() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    finding = find(standing, some_terms(a_line(rates={"analyst": eur("100.00")})))
    assert finding.action is Action.CANNOT
    assert finding.reason.startswith("missing_rate: no rate for consultant")
    assert not finding.is_different


def test_what_is_billed_in_another_currency_is_left_as_it_is_and_says_so() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    line = a_line(rates={"consultant": Money(Decimal("100.00"), "USD")})
    finding = find(standing, some_terms(line, currency="USD"))
    assert (finding.action, finding.currency) == (Action.CANNOT, "EUR")
    assert finding.reason == "billed in EUR, and agreed in USD by now: adjust it by hand"


def test_what_is_written_off_is_left_as_it_is() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    given_up = replace(standing.rows[0], status=EventStatus.WRITTEN_OFF)
    finding = find(Standing(standing.item, (given_up,)), at_rate("110.00"))
    assert (finding.action, finding.is_different) == (Action.CANNOT, True)
    assert "undo that first" in finding.reason


def test_an_invoice_is_not_corrected_by_half_while_its_customer_is_on_hold() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    facts = known(at_rate("110.00"))
    stopped = replace(next(iter(facts.customers.values())), tax_status=TaxStatus.INVALID)
    facts = replace(facts, customers={stopped.customer_id: stopped})
    comparer = Comparer(facts, Rater(facts), {}, moves_payers=False)
    finding = comparer.compare(standing, invoiced(standing))
    assert finding is not None
    assert finding.action is Action.CANNOT
    assert finding.reason.startswith("invoiced, and held by now: tax_invalid")
    unbilled = comparer.compare(standing, NOBODY)
    assert unbilled is not None
    assert unbilled.action is Action.REPLACE


def test_the_part_of_a_higher_price_that_is_over_the_limit_is_held() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    rows = post(standing, at_rate("200.00"), invoiced(standing), a_book((HOURS, "50.00")))
    assert told(rows) == [
        "adjustment -1.00 x 100.00 released",
        "adjustment 0.75 x 200.00 released",
        "adjustment 0.25 x 200.00 held",
    ]


def test_a_persons_hold_stays_on_what_takes_the_rows_place() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    hold = OpenHold(HoldReason.MANUAL, "ask the client", placed_by="user:pia")
    held = replace(standing.rows[0], status=EventStatus.HELD, released_by="", holds=(hold,))
    judge = ReratingJudge(known(at_rate("110.00")), LimitBook(), {}, at=NOW)
    before = Standing(standing.item, (held,))
    finding = judge.comparer({}, moves_payers=False).compare(before, NOBODY)
    assert finding is not None
    judge.rerate(before, NOBODY, finding, run_id=RUN, by="user:approver")
    [_, anew] = judge.decision.rated
    assert anew.holds == (hold,)
    assert [opened.row and opened.row.billing_event_id for opened in judge.decision.opened] == [
        anew.billing_event_id
    ]


def test_what_passed_the_checkpoint_does_not_wait_there_again() -> None:
    standing = rated(an_item(minutes=600), at_rate("400.00"))
    assert standing.rows[0].status is EventStatus.RELEASED
    rows = post(standing, at_rate("600.00"))
    assert [(row.status, row.released_by) for row in rows] == [
        (EventStatus.RELEASED, "user:approver"),
        (EventStatus.RELEASED, "user:approver"),
    ]
    waiting = replace(standing.rows[0], status=EventStatus.ELIGIBLE, released_by="")
    rows = post(Standing(standing.item, (waiting,)), at_rate("600.00"))
    assert [row.status for row in rows] == [EventStatus.REVERSED, EventStatus.ELIGIBLE]


def test_what_was_approved_is_kept_word_for_word() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    finding = find(standing, at_rate("110.00"))
    assert parts_from(fingerprint(finding.parts)) == finding.parts
    assert is_as_approved(finding.parts, finding.parts, finding.shares)
    other = find(standing, at_rate("111.00"))
    assert not is_as_approved(finding.parts, other.parts, other.shares)


def test_a_pair_of_row_and_share_has_the_parts_that_many_would_have() -> None:
    standing = rated(an_item(), at_rate("100.00"))
    finding = find(standing, at_rate("90.00"))
    [row], [share] = standing.rows, finding.shares
    cut_in_two = [replace(row, quantity=row.quantity / 2) for _ in range(2)]
    assert parts_of([row], [share]) == parts_of(cut_in_two, [share]) == finding.parts
