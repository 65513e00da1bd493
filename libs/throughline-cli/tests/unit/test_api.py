"""The gateway's answers, as a person at a terminal gets them."""

import json
from collections.abc import Callable

import httpx
import pytest

from throughline_cli.api import Api, Refused, Unreachable

Answer = Callable[[httpx.Request], httpx.Response]


def api(answer: Answer) -> Api:
    return Api("http://gateway", "token", transport=httpx.MockTransport(answer))


def test_a_refusal_names_field_rule_and_advice() -> None:
    problem = {
        "title": "Invalid argument",
        "detail": "two fields are not valid",
        "code": "request.invalid",
        "advice": "see the API's documentation",
        "violations": [
            {
                "field": "minutes",
                "rule": "int32.lte",
                "detail": "must be at most 1440",
                "advice": "split the entry",
            },
            {"field": "work_date", "rule": "string.date", "detail": "is no date"},
        ],
    }

    with pytest.raises(Refused) as refused:
        api(lambda _: httpx.Response(422, json=problem)).get("/v1/time-entries")

    assert str(refused.value).splitlines() == [
        "two fields are not valid (request.invalid, 422)",
        "  minutes: must be at most 1440: split the entry [int32.lte]",
        "  work_date: is no date [string.date]",
    ]
    assert refused.value.advice == "see the API's documentation"
    assert (refused.value.status, refused.value.code) == (422, "request.invalid")


def test_an_answer_that_is_no_problem_document_is_told_as_it_came() -> None:
    with pytest.raises(Refused, match=r"upstream gone \(502\)"):
        api(lambda _: httpx.Response(502, text="upstream gone")).get("/v1/contracts")


def test_a_gateway_that_does_not_answer_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(Unreachable, match="http://gateway does not answer"):
        api(refuse).get("/v1/contracts")


def test_a_write_carries_its_key_and_the_token() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"replayed": 1})

    reply = api(answer).post("/v1/operations/x/parked:replay", {"a": 1}, key="once")

    assert reply == {"replayed": 1}
    assert seen[0].headers["Idempotency-Key"] == "once"
    assert seen[0].headers["Authorization"] == "Bearer token"
    assert json.loads(seen[0].content) == {"a": 1}


def test_all_pages_of_a_list_are_read() -> None:
    pages = {
        None: {"parked": [{"parked_id": "1"}], "next_page_token": "second"},
        "second": {"parked": [{"parked_id": "2"}], "next_page_token": ""},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params.get("service") == "billing-event"
        return httpx.Response(200, json=pages[request.url.params.get("page_token")])

    read = api(answer).pages("/v1/operations/parked", "parked", service="billing-event")

    assert [item["parked_id"] for item in read] == ["1", "2"]
