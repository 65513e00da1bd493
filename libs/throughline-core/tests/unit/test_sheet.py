import pytest

from throughline_core.sheet import harmless


@pytest.mark.parametrize("text", ["=1+1", "+49 40 1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-1e5"])
def test_what_a_spreadsheet_would_run_becomes_words(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Night shift", "a=1", "-19.80", "+5", "-0", "1440.00"])
def test_words_and_numbers_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text
