"""A hard limit stops work to the cent, and lets it go when it is raised."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from billing_event_builders import (
    CONTRACT,
    HOURS,
    a_book,
    a_judge,
    a_line,
    a_milestone,
    an_expense,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldId, HoldReason
from billing_event.domain.limit import LimitBook
from billing_event.domain.limit_terms import limits_of
from billing_event.domain.position import EventKind, EventStatus, Row
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Standing


def hours(number: int, minutes: int) -> SourceItem:
    return an_item(source_item_id=SourceItemId(an_id(f"15{number:04x}")), minutes=minutes)


def amounts(rows: Sequence[Row]) -> list[tuple[str, EventStatus]]:
    return [(f"{row.amount.amount:.2f}", row.status) for row in rows]


def as_stored(row: Row) -> Row:
    """Return the row as it is read back: its holds have ids."""
    holds = (
        replace(hold, hold_id=HoldId(an_id(f"{row.part:x}0{number:x}")))
        for number, hold in enumerate(row.holds)
    )
    return replace(row, holds=tuple(holds))


def judged_again(rows: Sequence[Row], *, room: str) -> Judge:
    """Judge the rows of one thing again with so much left of the limit."""
    judge = a_judge(book=a_book((HOURS, room)))
    judge.decide_again([Standing(rows[0].item, tuple(map(as_stored, rows)))])
    return judge


def test_the_part_over_the_cap_is_its_own_held_row_and_goes_when_the_cap_is_raised() -> None:
    judge = a_judge(book=a_book((HOURS, "1000.00")))
    judge.decide_new([hours(1, 540), hours(2, 120)])

    rated = judge.decision.rated
    assert amounts(rated) == [
        ("900.00", EventStatus.RELEASED),
        ("100.00", EventStatus.RELEASED),
        ("100.00", EventStatus.HELD),
    ]
    assert [hold.reason for hold in rated[2].holds] == [HoldReason.LIMIT_EXCEEDED]
    assert [(row.quantity, row.minutes) for row in rated[1:]] == [(Decimal(1), 60)] * 2

    raised = judged_again(rated[1:], room="100.00")
    assert amounts(raised.decision.changed) == [("100.00", EventStatus.RELEASED)]
    assert raised.book.room(rated[2].rating) == 0


@pytest.mark.parametrize(
    ("room", "billed", "held"),
    [
        ("200.00", "200.00", None),
        ("199.99", "199.00", "1.00"),
        ("100.55", "100.00", "100.00"),
        ("0.99", None, "200.00"),
        ("0.00", None, "200.00"),
    ],
)
def test_what_fits_is_billed_in_printed_hours(
    room: str, billed: str | None, held: str | None
) -> None:
    judge = a_judge(book=a_book((HOURS, room)))
    judge.decide_new([hours(1, 120)])
    expected = [(billed, EventStatus.RELEASED), (held, EventStatus.HELD)]
    assert amounts(judge.decision.rated) == [each for each in expected if each[0] is not None]


def test_an_expense_over_the_cap_is_billed_in_part() -> None:
    judge = a_judge(book=a_book((None, "99.999")))
    judge.decide_new([an_expense(eur("210.00"))])
    assert [(row.quantity, row.rating.unit_rate, row.amount) for row in judge.decision.rated] == [
        (Decimal(1), eur("99.99"), eur("99.99")),
        (Decimal(1), eur("110.01"), eur("110.01")),
    ]


def test_the_rest_of_an_amount_goes_on_in_cents_as_the_cap_is_raised() -> None:
    judge = a_judge(book=a_book((None, "50.00")))
    judge.decide_new([a_milestone(eur("90.00"))])
    under, held = judge.decision.rated

    raised = judged_again([under, held], room="10.01")
    taken_off, billed = raised.decision.rated
    assert [(row.quantity, row.rating.unit_rate) for row in (taken_off, billed)] == [
        (Decimal(-1), eur("10.01")),
        (Decimal(1), eur("10.01")),
    ]
    rest = judged_again([under, held, taken_off, billed], room="29.99")
    assert amounts(rest.decision.changed) == [
        ("40.00", EventStatus.RELEASED),
        ("-10.01", EventStatus.RELEASED),
    ]


@pytest.mark.parametrize(("line", "contract"), [("50.00", "500.00"), ("500.00", "50.00")])
def test_the_tighter_of_line_and_contract_decides_and_both_are_taken_from(
    line: str, contract: str
) -> None:
    book = a_book((HOURS, line), (None, contract))
    judge = a_judge(book=book)
    judge.decide_new([hours(1, 60)])
    assert amounts(judge.decision.rated) == [
        ("50.00", EventStatus.RELEASED),
        ("50.00", EventStatus.HELD),
    ]
    assert [each.amount for each in book.reservations] == [Decimal(50), Decimal(50)]


def test_a_reversal_gives_back_to_the_limit() -> None:
    book = a_book((HOURS, "0.00"))
    judge = a_judge(book=book)
    judge.decide_new([hours(1, -60), hours(2, 60)])
    rows = judge.decision.rated
    assert amounts(rows) == [("-100.00", EventStatus.RELEASED), ("100.00", EventStatus.RELEASED)]
    assert rows[0].kind is EventKind.REVERSAL
    assert book.given_back == {CONTRACT}


def test_a_cap_raised_by_less_than_is_held_moves_what_fits() -> None:
    judge = a_judge(book=a_book((HOURS, "0.00")))
    judge.decide_new([hours(1, 120)])
    [held] = judge.decision.rated

    raised = judged_again([held], room="50.00")
    taken_off, billed = raised.decision.rated
    assert amounts([taken_off, billed]) == [
        ("-50.00", EventStatus.HELD),
        ("50.00", EventStatus.RELEASED),
    ]
    assert {taken_off.kind, billed.kind} == {EventKind.ADJUSTMENT}
    assert raised.decision.changed == []

    rest = judged_again([held, taken_off, billed], room="150.00")
    assert amounts(rest.decision.changed) == [
        ("200.00", EventStatus.RELEASED),
        ("-50.00", EventStatus.RELEASED),
    ]
    assert rest.book.room(held.rating) == 0


def test_rows_held_by_a_limit_count_on_no_limit() -> None:
    book = a_book((HOURS, "0.00"))
    a_judge(book=book).decide_new([hours(1, 60)])
    assert book.reservations == []


def test_a_limit_that_was_lifted_stops_nothing() -> None:
    judge = a_judge(book=a_book((HOURS, "0.00")))
    judge.decide_new([hours(1, 60)])
    free = a_judge(book=LimitBook())
    rows = tuple(map(as_stored, judge.decision.rated))
    free.decide_again([Standing(rows[0].item, rows)])
    assert amounts(free.decision.changed) == [("100.00", EventStatus.RELEASED)]


def test_terms_limit_the_contract_and_its_lines() -> None:
    terms = some_terms(a_line(not_to_exceed=eur(600)), not_to_exceed=eur(1000))
    assert [(limit.contract_line_id, limit.agreed) for limit in limits_of(terms)] == [
        (None, eur(1000)),
        (HOURS, eur(600)),
    ]
    assert limits_of(some_facts().agreements[CONTRACT].newest) == []
