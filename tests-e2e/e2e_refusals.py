"""What every refusal must be: a clear problem document that gives nothing of the inside away."""

from typing import Any

import httpx

MEDIA_TYPE = "application/problem+json"

_INSIDES = (
    "traceback",
    'file "',
    "asyncpg",
    "sqlalchemy",
    "select ",
    "insert into",
    "grpc",
    "postgres",
    "/site-packages/",
)


def problem_of(reply: httpx.Response) -> dict[str, Any]:
    """Return the problem of a refusal, which says what is wrong and what to do."""
    assert 400 <= reply.status_code < 500, reply.text
    return readable(reply)


def readable(reply: httpx.Response) -> dict[str, Any]:
    """Return the problem of any failed request."""
    assert reply.headers["content-type"] == MEDIA_TYPE, reply.text
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == reply.status_code
    assert {"type", "title", "detail", "code"} <= problem.keys()
    assert problem["code"] == problem["type"].removeprefix("urn:throughline:problem:")
    assert problem.get("advice"), f"no advice: {problem}"
    said = reply.text.lower()
    assert [word for word in _INSIDES if word in said] == []
    return problem


def rules_of(problem: dict[str, Any]) -> set[tuple[str, str]]:
    """Return each field that is named, with the rule it breaks."""
    rows = {(row["field"], row["rule"]) for row in problem.get("violations", ())}
    return rows or {(problem.get("field", ""), problem["code"])}
