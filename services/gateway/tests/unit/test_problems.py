"""Each kind of refusal has its status, and tells what the client can do."""

import json
from typing import Any

import pytest
from starlette.responses import Response

from gateway import problems
from throughline_core import errors as core
from throughline_runtime.rpc.errors import PeerOutOfReach


def body_of(response: Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(response.body))
    return body


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (core.InvalidArgument, 422),
        (core.Unauthenticated, 401),
        (core.PermissionDenied, 403),
        (core.NotFound, 404),
        (core.AlreadyExists, 409),
        (core.FailedPrecondition, 409),
        (core.IllegalTransition, 409),
        (core.StaleVersion, 409),
        (core.ResourceExhausted, 429),
        (core.Unavailable, 503),
        (PeerOutOfReach, 503),
        (problems.BodyTooLarge, 413),
        (problems.BodyTooSlow, 408),
        (problems.MediaTypeUnknown, 415),
        (core.Refusal, 409),
    ],
)
def test_a_refusal_has_the_status_of_its_kind(kind: type[core.Refusal], status: int) -> None:
    refusal = kind("no", field="a.b", advice="do this", code="thing.reason")

    response = problems.of_refusal(refusal).response()

    assert response.status_code == status
    assert body_of(response) == {
        "type": "urn:throughline:problem:thing.reason",
        "title": body_of(response)["title"],
        "status": status,
        "detail": "no",
        "code": "thing.reason",
        "field": "a.b",
        "advice": "do this",
    }
    assert ("retry-after" in response.headers) == (status in {429, 503})
    assert ("www-authenticate" in response.headers) == (status == 401)


def test_who_is_throttled_is_told_for_how_long() -> None:
    response = problems.of_refusal(problems.Throttled(17)).response()

    assert response.headers["retry-after"] == "17"
    assert "17 s" in body_of(response)["advice"]


def test_a_fault_says_nothing_but_that_it_is_ours() -> None:
    body = body_of(problems.of_fault().response())

    assert (body["status"], body["code"]) == (500, "request.internal")
    assert set(body) == {"type", "title", "status", "detail", "code", "advice"}
