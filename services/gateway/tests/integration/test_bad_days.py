"""Whatever a client sends, it is told what is wrong and what to do, and nothing more."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateway_front import Front, expect, rules_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUID = "01980000-0000-7000-8000-000000000131"
ENTRY = {"person_id": UUID, "task_id": UUID, "work_date": "2026-09-07", "minutes": 480}
PAYMENT = {
    "provider": "bank",
    "provider_payment_id": "1",
    "status": "received",
    "amount": {"amount": "10.00", "currency": "EUR"},
}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"hours": 8}, "hours", "extra_forbidden"),
        ({"minutes": "480"}, "minutes", "int_type"),
        ({"minutes": 7.5}, "minutes", "int_type"),
        ({"minutes": -60}, "minutes", "greater_than_equal"),
        ({"minutes": 25 * 60}, "minutes", "less_than_equal"),
        ({"minutes": 2**31}, "minutes", "less_than_equal"),
        ({"minutes": 10**30}, "minutes", "less_than_equal"),
        ({"work_date": "2026-9-7"}, "work_date", "string_pattern_mismatch"),
        ({"note": ["x"]}, "note", "string_type"),
        ({"source": {"system": "x"}}, "source.object_type", "missing"),
        ({"request_id": "mine"}, "request_id", "extra_forbidden"),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named(
    front: Front, change: dict[str, Any], field: str, rule: str
) -> None:
    reply = await front.ask("POST", "/v1/time-entries", json={**ENTRY, **change})

    problem = expect(reply, 422, "request.invalid_field", field)
    assert (field, rule) in rules_of(problem)
    assert not front.peers.asked


@pytest.mark.parametrize("amount", [10.0, 10, "10.1234567", "NaN", "Infinity", "1e2", "1.000,00"])
async def test_an_amount_is_a_decimal_text(front: Front, amount: object) -> None:
    payment = {**PAYMENT, "amount": {"amount": amount, "currency": "EUR"}}

    reply = await front.ask("POST", "/v1/payments", json=payment)

    problem = expect(reply, 422, "request.invalid_field", "amount.amount")
    assert problem["violations"][0]["advice"]


@pytest.mark.parametrize("currency", ["eur", "EURO", "", 978])
async def test_a_currency_is_three_capital_letters(front: Front, currency: object) -> None:
    payment = {**PAYMENT, "amount": {"amount": "1", "currency": currency}}

    reply = await front.ask("POST", "/v1/payments", json=payment)

    expect(reply, 422, "request.invalid_field", "amount.currency")


async def test_an_unknown_word_of_an_enum_is_refused_with_the_words_there_are(
    front: Front,
) -> None:
    reply = await front.ask("GET", "/v1/timesheets?status=finished")

    problem = expect(reply, 422, "request.invalid_field", "status")
    assert "'approved'" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"minutes": 480',
        b'{"minutes": NaN}',
        b'{"minutes": Infinity}',
        b'{"note": "\xff\xfe"}',
        b'{"note": "\\ud800"}',
        b'{"note": "a\\u0000b"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"minutes=480",
        b"null null",
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_what_is_not_json_is_refused(front: Front, body: bytes) -> None:
    reply = await front.ask("POST", "/v1/time-entries", content=body)

    expect(reply, 422, "request.malformed")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1"])
async def test_a_body_is_an_object(front: Front, body: bytes) -> None:
    reply = await front.ask("POST", "/v1/time-entries", content=body)

    expect(reply, 422, "request.invalid_field")


async def test_of_many_flaws_the_first_hundred_are_listed_and_all_are_counted(
    front: Front,
) -> None:
    rows = [{**ENTRY, "minutes": "x", "hours": 1} for _ in range(500)]

    reply = await front.ask("POST", "/v1/time-entries:batch", json={"rows": rows})

    problem = expect(reply, 422, "request.invalid_field", "rows[0].minutes")
    assert len(problem["violations"]) == 100
    assert problem["violation_count"] == 1000


async def test_so_many_flaws_that_none_is_named_do_not_hold_up_others(front: Front) -> None:
    body = b"{%s}" % b",".join(b'"%x":1' % number for number in range(100_000))

    reply = await front.ask("POST", "/v1/time-entries", content=body)

    problem = expect(reply, 422, "request.invalid_field")
    assert problem["violation_count"] > 100_000
    assert len(problem["violations"]) == 1


@pytest.mark.parametrize("kind", ["array", "lines"])
async def test_a_batch_has_no_more_rows_than_it_may(front: Front, kind: str) -> None:
    rows = ["{}"] * 10_001
    array, lines = '{"rows":[' + ",".join(rows) + "]}", "\n".join([*rows, "broken"])

    reply = await front.ask(
        "POST",
        "/v1/time-entries:batch",
        content=array if kind == "array" else lines,
        headers=None if kind == "array" else NDJSON,
    )

    problem = expect(reply, 422, "request.invalid_field", "rows")
    assert rules_of(problem) == [("rows", "too_long")]


@pytest.mark.parametrize("announced", [True, False])
async def test_ten_megabytes_are_too_many(front: Front, announced: bool) -> None:
    body = b'{"note": "' + b"x" * 10_000_000 + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    reply = await front.ask("POST", "/v1/time-entries", content=body if announced else chunks())

    expect(reply, 413, "request.body_too_large")
    assert (await front.ask("GET", "/v1/customers")).status_code == 200


async def test_a_broken_line_is_named(front: Front) -> None:
    lines = json.dumps(ENTRY) + "\n\n" + json.dumps(ENTRY) + "\n{'minutes': 1}\n"

    reply = await front.ask("POST", "/v1/time-entries:batch", content=lines, headers=NDJSON)

    problem = expect(reply, 422, "request.malformed", "line 4")
    assert problem["detail"].startswith("line 4: ")


async def test_two_values_on_one_line_are_not_two_rows(front: Front) -> None:
    line = f"{json.dumps(ENTRY)},{json.dumps(ENTRY)}"

    reply = await front.ask("POST", "/v1/time-entries:batch", content=line, headers=NDJSON)

    expect(reply, 422, "request.malformed", "line 1")


async def test_a_line_of_another_shape_is_named_with_its_row(front: Front) -> None:
    lines = "\n".join(["", json.dumps(ENTRY), json.dumps({**ENTRY, "minutes": 1.5}), "[]"])

    reply = await front.ask("POST", "/v1/time-entries:batch", content=lines, headers=NDJSON)

    problem = expect(reply, 422, "request.invalid_field", "rows[1].minutes")
    assert [row["detail"].partition(":")[0] for row in problem["violations"]] == [
        "line 3",
        "line 4",
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_size=1&page_size=2", "page_size"),
        ("page_token=%ff%fe", ""),
        ("page_token=a%00b", "page_token"),
        ("page_size", ""),
        ("&".join(f"x{n}=1" for n in range(200)), ""),
    ],
    ids=["twice", "not UTF-8", "NUL", "no value", "too many"],
)
async def test_a_query_string_that_cannot_be_read_is_refused(
    front: Front, query: str, field: str
) -> None:
    reply = await front.ask("GET", f"/v1/customers?{query}")

    expect(reply, 422, "request.query_unfit", field)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_size=many", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=99999999999", "page_size"),
        ("pagesize=10", "pagesize"),
    ],
)
async def test_a_query_field_of_another_shape_is_named(
    front: Front, query: str, field: str
) -> None:
    reply = await front.ask("GET", f"/v1/customers?{query}")

    expect(reply, 422, "request.invalid_field", field)


async def test_an_id_in_the_query_is_a_uuid(front: Front) -> None:
    for bad in ("me", ""):
        reply = await front.ask("GET", f"/v1/invoices?customer_id={bad}")
        expect(reply, 422, "request.invalid_field", "customer_id")


async def test_a_body_does_not_go_with_a_query_string(front: Front) -> None:
    reply = await front.ask("POST", "/v1/time-entries?dry_run=true", json=ENTRY)

    expect(reply, 422, "request.query_unfit", "dry_run")
    assert not front.peers.asked


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/x-ndjson"},  # not a batch method
    ],
)
async def test_another_media_type_is_refused(front: Front, headers: dict[str, str]) -> None:
    reply = await front.ask("POST", "/v1/time-entries", content=b"{}", headers=headers)

    problem = expect(reply, 415, "request.media_type_unknown", "Content-Type")
    assert "application/json" in problem["advice"]


async def test_a_compressed_body_is_refused(front: Front) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    reply = await front.ask("POST", "/v1/time-entries", content=b"\x1f\x8b", headers=headers)

    expect(reply, 415, "request.media_type_unknown", "Content-Encoding")


@pytest.mark.parametrize("key", [b"", b"x" * 256, "schlüssel".encode()])
async def test_a_key_that_cannot_stand_for_one_intention_is_refused(
    front: Front, key: bytes
) -> None:
    headers = [(name.encode(), value.encode()) for name, value in front.bearer().items()]

    reply = await front.client.post(
        "/v1/time-entries", json=ENTRY, headers=[*headers, (b"Idempotency-Key", key)]
    )

    expect(reply, 422, "request.idempotency_key_unfit", "Idempotency-Key")
    assert not front.peers.asked


async def test_two_keys_are_no_key(front: Front) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), *front.bearer().items()]

    reply = await front.client.post("/v1/time-entries", json=ENTRY, headers=headers)

    expect(reply, 422, "request.idempotency_key_unfit", "Idempotency-Key")


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v2/customers", 404, None),
        ("GET", "/v1/customers/", 404, None),
        ("GET", "/", 404, None),
        ("DELETE", "/v1/customers", 405, "GET, POST"),
        ("OPTIONS", "/v1/customers", 405, "GET, POST"),
        ("POST", f"/v1/customers/{UUID}", 405, "GET, PATCH"),
        ("GET", "/v1/time-entries:batch", 405, "POST"),
    ],
)
async def test_what_is_not_there_is_said_not_to_be_there(
    front: Front, method: str, path: str, status: int, allowed: str | None
) -> None:
    reply = await front.ask(method, path)

    expect(reply, status, "request.no_such_route")
    assert reply.headers.get("allow") == allowed


async def test_a_client_that_goes_away_disturbs_nobody(front: Front) -> None:
    host, port = front.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    token = front.bearer()["Authorization"]
    writer.write(
        f"POST /v1/time-entries HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "Content-Length: 500\r\n\r\n{".encode()
    )
    await writer.drain()
    writer.close()

    assert (await front.ask("GET", "/v1/customers")).status_code == 200


async def test_a_head_without_end_ends_the_connection(front: Front) -> None:
    host, port = front.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/customers HTTP/1.1\r\nHost: x\r\nX-Long: ")
    writer.write(b"x" * 70_000)

    reply = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert (await front.ask("GET", "/v1/customers")).status_code == 200


async def test_who_connects_and_asks_nothing_does_not_stay(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server._HEAD_SECONDS", 0.1)
    host, port = front.url.removeprefix("http://").split(":")
    for begun in (b"", b"GET /v1/customers HTTP/1.1\r\nHost:"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
