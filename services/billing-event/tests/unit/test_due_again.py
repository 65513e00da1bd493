"""When an agreed amount that has no row that counts is to be paid again."""

from dataclasses import replace
from datetime import date
from typing import Any

from billing_event_builders import a_judge, an_item, eur

from billing_event.domain.position import Row
from billing_event.domain.source import ItemType, SourceItem
from billing_event.domain.standing import Standing


def a_period(price: str, **different: Any) -> SourceItem:
    return an_item(
        type=ItemType.USAGE, minutes=0, role="", task_id=None, price=eur(price), **different
    )


def restated(item: SourceItem, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the rows of a thing once it was looked at by its price as it is now."""
    judge = a_judge()
    judge.decide_again([Standing(item, rows)])
    taken = {row.reverses for row in judge.decision.rated}
    before = (
        replace(row, is_taken_back=row.is_taken_back or row.billing_event_id in taken)
        for row in rows
    )
    return (*before, *judge.decision.rated)


def counted(rows: tuple[Row, ...]) -> str:
    return f"{sum(row.amount.amount for row in rows):.2f}"


def test_what_cost_nothing_for_a_while_is_billed_when_it_costs_something_again() -> None:
    judge = a_judge()
    judge.decide_new([a_period("100.00")])
    rows: tuple[Row, ...] = tuple(judge.decision.rated)
    for price in ("0.00", "250.00", "250.00", "90.00"):
        rows = restated(a_period(price), rows)
        assert counted(rows) == price
    assert len({row.part for row in rows}) == len(rows)


def test_what_another_thing_took_back_is_not_billed_again() -> None:
    judge = a_judge()
    judge.decide_new([a_period("100.00")])
    [row] = judge.decision.rated
    taken = replace(row, is_taken_back=True)
    again = a_judge()
    again.decide_again([Standing(a_period("100.00"), (taken,))])
    assert not again.decision.rated
    assert row.item.service_from == date(2026, 9, 7)
