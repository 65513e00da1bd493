"""Illegal moves are refused with the moves that are legal."""

from enum import StrEnum

import pytest

from throughline_core.errors import IllegalTransition
from throughline_core.ids import derived_id
from throughline_core.transition import move


class Light(StrEnum):
    RED = "red"
    GREEN = "green"


TABLE = {Light.RED: frozenset({Light.GREEN}), Light.GREEN: frozenset[Light]()}


def test_a_listed_move_is_made() -> None:
    assert move("light", Light.RED, Light.GREEN, TABLE) is Light.GREEN


def test_any_other_move_is_refused_with_advice() -> None:
    with pytest.raises(IllegalTransition) as refused:
        move("light", Light.GREEN, Light.RED, TABLE)
    assert refused.value.advice == "from green it can become nothing: this state is final"


def test_a_derived_id_is_the_same_for_the_same_parts_only() -> None:
    assert derived_id("project", 1, "a") == derived_id("project", 1, "a")
    assert derived_id("project", 1, "a") != derived_id("project", "1a")
