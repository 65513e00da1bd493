"""Errors as RFC 9457 problems: what is wrong, in which field, by which rule, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from throughline_core import errors as core
from throughline_runtime.rpc.errors import InvalidRequest, PeerFault, Violation
from throughline_runtime.telemetry import tracing

MEDIA_TYPE: Final = "application/problem+json"
VIOLATIONS_MAX: Final = 100
# Ten thousand rows with the same few mistakes stay below.
FLAWS_MAX: Final = 50_000
RETRY_AFTER_SECONDS: Final = 1

_log: Final = structlog.get_logger(__name__)


class BodyTooLarge(core.ResourceExhausted):
    """The body is longer than this method takes."""

    code = "request.body_too_large"


class BodyTooSlow(core.ResourceExhausted):
    """The body did not arrive in time."""

    code = "request.body_too_slow"


class MediaTypeUnknown(core.InvalidArgument):
    """The body is in a format this method does not take."""

    code = "request.media_type_unknown"


class Malformed(core.InvalidArgument):
    """The request cannot be read at all."""

    code = "request.malformed"


class Throttled(core.ResourceExhausted):
    """The caller asked more often than it may."""

    code = "request.throttled"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            "too many requests in a short time",
            advice=f"wait {retry_after_seconds} s; send many items with the :batch methods",
        )
        self.retry_after_seconds = retry_after_seconds


# The closest kind comes first.
_STATUS: Final[Sequence[tuple[type[core.Refusal], int, str]]] = (
    (BodyTooLarge, 413, "The body is too large"),
    (BodyTooSlow, 408, "The body did not arrive in time"),
    (MediaTypeUnknown, 415, "The media type is not supported"),
    (core.InvalidArgument, 422, "The request is not valid"),
    (core.Unauthenticated, 401, "Who is calling is not proven"),
    (core.PermissionDenied, 403, "The caller may not do this"),
    (core.NotFound, 404, "Not found"),
    (core.AlreadyExists, 409, "It exists already"),
    (core.FailedPrecondition, 409, "Its state forbids this"),
    (core.Aborted, 409, "Somebody else was faster"),
    (core.ResourceExhausted, 429, "Too much at once"),
    (core.Unavailable, 503, "A part is out of reach"),
)

# What to do about a rule that Pydantic names; the contract's own rules say it in their text.
_ADVICE: Final = {
    "string_type": "send a string; amounts, quantities and rates are decimal strings such as "
    '"12.50"',
    "string_pattern_mismatch": "send it in the notation that the reference at /docs names",
    "extra_forbidden": "remove the field, or check its spelling in the reference at /docs",
    "missing": "add the field",
    "literal_error": "use one of the listed words",
    "bool_type": "send true or false",
    "int_type": "send a whole number without quotes",
    "dict_type": "send a JSON object",
    "list_type": "send a JSON array",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a caller is told when a request fails."""

    status: int
    code: str
    title: str
    detail: str
    field: str = ""
    advice: str = ""
    violations: Sequence[Violation] = ()
    violation_count: int = 0
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        """Return the answer that carries it."""
        body: dict[str, Any] = {
            "type": f"urn:throughline:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        optional = {
            "field": self.field,
            "advice": self.advice,
            "violations": [_row(violation) for violation in self.violations[:VIOLATIONS_MAX]],
            "violation_count": self.violation_count,
            "trace_id": tracing.trace_id(),
        }
        body.update({name: value for name, value in optional.items() if value})
        return Response(to_json(body), self.status, self.headers, MEDIA_TYPE)


def _row(violation: Violation) -> dict[str, str]:
    row = {"field": violation.field, "rule": violation.rule, "detail": violation.text}
    advice = _ADVICE.get(violation.rule)
    return row if advice is None else {**row, "advice": advice}


def of_refusal(refusal: core.Refusal) -> Problem:
    """Return the problem of a refusal, raised here or by the owning service."""
    status, title = next(
        ((status, title) for kind, status, title in _STATUS if isinstance(refusal, kind)),
        (409, "The request was refused"),
    )
    violations: Sequence[Violation] = ()
    count = 0
    if isinstance(refusal, InvalidRequest):
        violations, count = refusal.violations, refusal.violations_total
    return Problem(
        status=status,
        code=refusal.stable_code,
        title=title,
        detail=refusal.message,
        field=refusal.field or "",
        advice=refusal.advice or "",
        violations=violations,
        violation_count=count,
        headers=_headers(refusal, status),
    )


def _headers(refusal: core.Refusal, status: int) -> dict[str, str]:
    if isinstance(refusal, Throttled):
        return {"retry-after": str(refusal.retry_after_seconds)}
    if status in {429, 503}:
        return {"retry-after": str(RETRY_AFTER_SECONDS)}
    return {"www-authenticate": 'Bearer realm="throughline"'} if status == 401 else {}


def of_fault() -> Problem:
    """Return the problem of a bug: the trace id and nothing else; the log has the rest."""
    return Problem(
        status=500,
        code="request.internal",
        title="We failed",
        detail="the request could not be completed because of an error on our side",
        advice="quote the trace id to support; repeating with the same Idempotency-Key is safe",
    )


def read_errors(
    error: ValidationError, *, below: str = "", lines: Sequence[int] = ()
) -> InvalidRequest:
    """Return the refusal of fields that do not have the contract's shape.

    `below` is the path of the list that was checked, where it was not the whole request, and
    `lines` are the lines its items came on.
    """
    count = error.error_count()
    if count > FLAWS_MAX:
        # To name them all would take seconds and hundreds of megabytes.
        text = f"{count} values do not have the shape they should have"
        refusal = InvalidRequest([Violation(below, "too_many_flaws", text)], total=count)
        refusal.advice = "send a few items first, to see what is wrong with them"
        return refusal
    rows = []
    for flaw in error.errors(include_url=False, include_context=False, include_input=False):
        location = flaw["loc"]
        is_item = bool(lines and location and isinstance(location[0], int))
        place = f"line {lines[int(location[0])]}: " if is_item else ""
        text = flaw["msg"].removeprefix("Value error, ")
        rows.append(Violation(_path(below, location), flaw["type"], place + text))
    refusal = InvalidRequest(rows[:VIOLATIONS_MAX], total=count)
    refusal.advice = _ADVICE.get(rows[0].rule, refusal.advice)
    return refusal


def _path(path: str, location: Sequence[str | int]) -> str:
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path


async def handle_refusal(_request: Request, error: Exception) -> Response:
    """Answer a request that was refused."""
    assert isinstance(error, core.Refusal)
    return of_refusal(error).response()


async def handle_http(request: Request, error: Exception) -> Response:
    """Answer a request for something that is not there."""
    assert isinstance(error, HTTPException)
    title, detail, headers = "The request was refused", str(error.detail), error.headers
    if error.status_code == HTTPStatus.NOT_FOUND:
        title, detail = "Not found", "there is nothing at this path"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        title, detail = "Method not allowed", "this path does not take this method"
        headers = {"allow": ", ".join(_methods_of(request))}
    return Problem(
        status=error.status_code,
        code="request.no_such_route" if title != "The request was refused" else "request.refused",
        title=title,
        detail=detail,
        advice="see /docs for the paths that exist and their methods",
        headers=headers,
    ).response()


def _methods_of(request: Request) -> list[str]:
    """Return what the path takes: each of its methods is a route of its own."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted(method for route in fitting for method in route.methods or ())


async def handle_fault(_request: Request, error: Exception) -> Response:
    """Answer a request that a peer's bug ended; the peer has logged it."""
    assert isinstance(error, PeerFault)
    _log.error("peer_failed", reason=str(error))
    return of_fault().response()
