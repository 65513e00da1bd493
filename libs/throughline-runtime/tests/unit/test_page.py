"""A page goes on where the last one ended, and takes no token but its own."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.operations.v1.operations_service_pb2 import ListParkedRequest
from throughline_runtime.page import MalformedPage, Page, next_token, read_page


def token_of(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (200, 200), (10_000, 200)])
def test_a_page_has_a_usual_and_a_largest_size(asked: int, given: int) -> None:
    assert read_page(ListParkedRequest(page_size=asked)) == Page(given, None)


def test_a_list_may_set_its_own_largest_size() -> None:
    assert read_page(ListParkedRequest(), max=20).size == 20


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_a_token_brings_its_keys_back(keys: list[str]) -> None:
    request = ListParkedRequest(page_token=next_token(*keys))
    assert read_page(request, keys=len(keys)).after == tuple(keys)


@pytest.mark.parametrize(
    "token",
    [
        "!",
        "é",
        "a",
        token_of("not json"),
        token_of('{"a": 1}'),
        token_of("[1]"),
        token_of('["a", "b"]'),
        token_of("[]"),
        token_of(r'["\ud800"]'),
        token_of("[" * 10_000),
        token_of("\udcff".encode("utf-8", "surrogatepass").decode("latin-1")),
    ],
)
def test_a_token_made_elsewhere_is_refused(token: str) -> None:
    with pytest.raises(MalformedPage) as refused:
        read_page(ListParkedRequest(page_token=token))
    assert refused.value.field == "page_token"


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(MalformedPage) as refused:
        read_page(ListParkedRequest(page_size=-1))
    assert refused.value.field == "page_size"
