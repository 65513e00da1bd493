"""What was given up of an agreed amount is not billed again, whichever way the amount moves."""

from dataclasses import replace
from decimal import Decimal

import pytest
from billing_event_builders import NOW, a_judge, a_milestone, eur

from billing_event.domain.decision import Judge
from billing_event.domain.position import EventStatus, Row
from billing_event.domain.standing import Standing


def billed() -> Row:
    """Return the only row of a milestone of 100.00, released."""
    judge = a_judge()
    judge.decide_new([a_milestone(eur("100.00"))])
    [row] = judge.decision.rated
    return row


def agreed_anew(row: Row, price: str, *, given_up: str = "") -> Judge:
    """Judge a thing again that is worth `price` by now."""
    gone = {row.billing_event_id: Decimal(given_up)} if given_up else {}
    judge = a_judge()
    item = replace(row.item, price=eur(price))
    judge.decide_again([Standing(item, (row,), given_up=gone)])
    return judge


def amounts(judge: Judge) -> list[tuple[str, EventStatus]]:
    return [(f"{row.amount.amount:.2f}", row.status) for row in judge.decision.rated]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("105.00", [("5.00", EventStatus.RELEASED)]),
        ("60.00", [("-100.00", EventStatus.WRITTEN_OFF), ("60.00", EventStatus.WRITTEN_OFF)]),
        ("0.00", [("-100.00", EventStatus.WRITTEN_OFF)]),
    ],
)
def test_what_is_written_off_stays_so_as_far_as_the_thing_is_worth_that(
    price: str, expected: list[tuple[str, EventStatus]]
) -> None:
    row = replace(billed(), status=EventStatus.WRITTEN_OFF, released_by="")
    judge = agreed_anew(row, price)
    assert amounts(judge) == expected
    settled = [each.row for each in judge.decision.settled]
    assert settled == [row for row in judge.decision.rated if row.status is EventStatus.WRITTEN_OFF]
    assert {row.rated_at for row in judge.decision.rated} == {NOW}


BILLED, GONE = EventStatus.RELEASED, EventStatus.WRITTEN_OFF
REST = [("-80.00", BILLED), ("-20.00", GONE)]


@pytest.mark.parametrize(
    ("price", "anew"),
    [
        ("105.00", [("20.00", GONE), ("85.00", BILLED)]),
        ("95.00", [("15.00", GONE), ("80.00", BILLED)]),
        ("80.00", [("80.00", BILLED)]),
        ("50.00", [("50.00", BILLED)]),
        ("0.00", []),
    ],
)
def test_the_customer_pays_no_more_than_before_until_the_amount_has_grown(
    price: str, anew: list[tuple[str, EventStatus]]
) -> None:
    assert amounts(agreed_anew(billed(), price, given_up="0.2")) == [*REST, *anew]


def test_what_a_credit_note_gave_up_in_whole_leaves_nothing_to_credit() -> None:
    assert amounts(agreed_anew(billed(), "0.00", given_up="1")) == [("-100.00", GONE)]
