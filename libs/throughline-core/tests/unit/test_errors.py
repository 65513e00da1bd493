"""A refusal always says what to do, if only what to do about its kind."""

import pytest

from throughline_core.errors import Aborted, NotFound, Refusal, StaleVersion, Unavailable


@pytest.mark.parametrize("kind", [NotFound, Aborted, StaleVersion, Unavailable])
def test_a_refusal_without_advice_gives_that_of_its_kind(kind: type[Refusal]) -> None:
    assert kind("it is not there").advice == kind.usual_advice
    assert kind.usual_advice


def test_advice_of_its_own_goes_before_that_of_the_kind() -> None:
    assert StaleVersion("changed meanwhile", advice="merge the two").advice == "merge the two"
