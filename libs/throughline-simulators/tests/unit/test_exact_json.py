from decimal import Decimal

import pytest

from throughline_simulators import exact_json


def test_decimals_keep_their_digits_both_ways() -> None:
    text = '{"amount": 92000.0, "rate": 1360.125, "parts": [0.10, 7]}'

    assert exact_json.write(exact_json.read(text)) == text


def test_a_document_is_indented_as_the_vendor_indents() -> None:
    document = {"id": "evt_1", "data": {"object": {}}, "types": ["card"], "amount": Decimal("1.50")}

    assert exact_json.write(document, indent=2) == (
        '{\n  "id": "evt_1",\n  "data": {\n    "object": {}\n  },\n'
        '  "types": [\n    "card"\n  ],\n  "amount": 1.50\n}'
    )


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', "{", b"\xff"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        exact_json.read(text)
