"""What the gateway tells about each request: one span, one line in the log, two metrics."""

import time
from hashlib import blake2b
from http import HTTPStatus
from typing import Final

import structlog
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from prometheus_client import Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.reading import IDEMPOTENCY_KEY
from throughline_runtime.telemetry import tracing

REQUEST_SECONDS: Final = Histogram(
    "throughline_http_request_seconds",
    "Time to answer a request, by its route's template.",
    ["method", "route", "status"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
REQUESTS_IN_FLIGHT: Final = Gauge(
    "throughline_http_requests_in_flight",
    "Requests being answered.",
    multiprocess_mode="livesum",
)

# What is logged of a request whose client went away before the answer.
_GONE: Final = 499
_TRACE_HEADERS: Final = ("traceparent", "tracestate")
_PSEUDONYM_BYTES: Final = 8
_BLAKE2_KEY_BYTES_MAX: Final = 64

_log: Final = structlog.get_logger(__name__)


class Telemetry:
    """Wraps the application; answers what nobody else caught, with the trace id and no more."""

    def __init__(self, app: ASGIApp, *, pseudonym_key: bytes) -> None:
        self._app = app
        self._pseudonym_key = pseudonym_key[:_BLAKE2_KEY_BYTES_MAX]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        carrier = {name: headers[name] for name in _TRACE_HEADERS if name in headers}
        reply = _Reply(scope, send)
        started_at = time.perf_counter()
        with (
            REQUESTS_IN_FLIGHT.track_inprogress(),
            tracing.open_span(
                scope["method"],
                SpanKind.SERVER,
                parent=propagate.extract(carrier, context=Context()),
                attributes={"http.request.method": scope["method"]},
            ) as span,
        ):
            try:
                await self._answer(scope, receive, reply)
            finally:
                self._tell(scope, reply, span, time.perf_counter() - started_at)

    async def _answer(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        try:
            await self._app(scope, receive, reply.send)
        except ClientDisconnect:
            _log.info("client_gone")
        except Exception as error:
            _log.error("request_failed", exc_info=error)
            if reply.status == _GONE:
                await problems.of_fault().response()(scope, receive, reply.send)

    def _tell(self, scope: Scope, reply: "_Reply", span: Span, seconds: float) -> None:
        method, route = scope["method"], _template(scope)
        REQUEST_SECONDS.labels(method, route, reply.status).observe(seconds)
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", reply.status)
        is_ours = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_ours:
            span.set_status(Status(StatusCode.ERROR))
        (_log.warning if is_ours else _log.info)(
            "request_answered",
            method=method,
            route=route,
            status=reply.status,
            ms=round(seconds * 1000, 1),
            subject=self._pseudonym(scope["state"].get("subject")),
        )

    def _pseudonym(self, subject: str | None) -> str | None:
        if subject is None:
            return None
        digest = blake2b(subject.encode(), key=self._pseudonym_key, digest_size=_PSEUDONYM_BYTES)
        return digest.hexdigest()


class _Reply:
    """Passes a reply on, with the headers that every one carries."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._state = scope.setdefault("state", {})
        self.status = _GONE

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["trace-id"] = tracing.trace_id()
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
            if key := self._state.get("idempotency_key"):
                headers[IDEMPOTENCY_KEY] = key
        await self._send(message)


def _template(scope: Scope) -> str:
    """Return the path of the route that answered, which says nothing of what was asked for."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path or "none"
