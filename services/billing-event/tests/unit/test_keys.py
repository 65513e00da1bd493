"""The keys that page tokens of lists hold, of which anybody may send any."""

import pytest

from billing_event.queries.keys import read_count
from throughline_runtime.page import MalformedPage


def test_a_count_is_a_whole_number_that_a_version_can_be() -> None:
    assert read_count("17") == 17


@pytest.mark.parametrize("value", ["", "x", "1.5", "9" * 30, "-" + "9" * 30, "9" * 5_000])
def test_what_no_list_counts_up_to_is_refused(value: str) -> None:
    with pytest.raises(MalformedPage):
        read_count(value)
