"""Which rows can be given up, and what to do about the others."""

from dataclasses import replace
from decimal import Decimal

import pytest
from billing_event_builders import a_judge, an_item

from billing_event.domain.position import Row, Treatment
from billing_event.domain.write_off import NotOpen, PaidInAdvance, require_open

NONE = Decimal(0)


def a_row() -> Row:
    judge = a_judge()
    judge.decide_new([an_item()])
    [row] = judge.decision.rated
    return row


def test_open_work_can_be_given_up() -> None:
    require_open(a_row(), is_billed=False, given_up=NONE)


def test_the_block_of_a_retainer_is_not_given_up_while_work_draws_on_it() -> None:
    row = a_row()
    block = replace(row, rating=replace(row.rating, treatment=Treatment.PREPAYMENT))
    with pytest.raises(PaidInAdvance, match="paid in advance") as refused:
        require_open(block, is_billed=False, given_up=NONE)
    assert "change order" in (refused.value.advice or "")


def test_what_was_returned_of_an_invoiced_row_is_given_up_by_way_of_an_invoice() -> None:
    with pytest.raises(NotOpen, match="is invoiced") as refused:
        require_open(a_row(), is_billed=True, given_up=NONE)
    assert "returned" in (refused.value.advice or "")
    assert "billed again first" in (refused.value.advice or "")
