"""One served method: everything that happens around its handler, in the same order for all.

Trace, deadline, caller, permission, decoding, field rules, ownership, handler; whatever fails on
the way ends the call with one status and one line in the log.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, cast

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from sqlalchemy.exc import SQLAlchemyError

from throughline_core.errors import InvalidArgument, Refusal, Unavailable
from throughline_runtime import database
from throughline_runtime.identity import (
    METADATA_KEY,
    CallerTokens,
    CallerUnproven,
    acting_as,
    authorise,
)
from throughline_runtime.ownership import Ownership, owned_by
from throughline_runtime.rpc import deadline
from throughline_runtime.rpc.access import access_of
from throughline_runtime.rpc.errors import Answer, answer_bug, answer_refusal
from throughline_runtime.rpc.validation import compile_rules, require_valid
from throughline_runtime.telemetry import metrics, tracing
from throughline_runtime.telemetry.ids import ids_of_headers, ids_of_message, working_on

Handler = Callable[[Any, Any], Awaitable[Message]]
ServicerContext = grpc.aio.ServicerContext[Any, Any]

_log: Final = structlog.get_logger(__name__)


class DeadlineMissing(InvalidArgument):
    """The caller would wait for ever."""

    code = "request.deadline_missing"


class RequestUndecodable(InvalidArgument):
    """The bytes received are not the message the method takes."""

    code = "request.undecodable"


class PartUnavailable(Unavailable):
    """Something the handler talks to did not answer."""

    code = "request.part_unavailable"


class Endpoint:
    """A method as it is mounted: takes the request's bytes and returns the response's."""

    def __init__(
        self,
        method: MethodDescriptor,
        handler: Handler,
        request_type: type[Message],
        tokens: CallerTokens,
        ownership: Ownership | None = None,
    ) -> None:
        """Raises `AccessUndeclared`, `OwnershipUndeclared` or `CompilationError` where unfit."""
        self._name = f"{method.containing_service.full_name}/{method.name}"
        self._handler = handler
        self._request_type = request_type
        self._access = access_of(method)
        self._tokens = tokens
        self._ownership = ownership
        self._owned = owned_by(method)
        if ownership is not None and self._owned is not None:
            ownership.declare(self._owned)
        compile_rules(request_type)

    async def serve(self, raw: bytes, context: ServicerContext) -> bytes:
        """Answer one call, or end it with the status its failure maps to."""
        started_at = time.perf_counter()
        pairs = cast(Iterable[tuple[str, str | bytes]], context.invocation_metadata() or ())
        metadata = {key: value for key, value in pairs if isinstance(value, str)}
        code = "CANCELLED"
        with tracing.open_span(
            self._name,
            SpanKind.SERVER,
            parent=propagate.extract(metadata, context=Context()),
            attributes={"rpc.system": "grpc", "rpc.method": self._name},
        ) as span:
            try:
                response = await self._answer(raw, context, metadata)
                code = "OK"
                return response
            except grpc.aio.AbortError:
                code = "ABORTED_BY_HANDLER"
                raise
            except Exception as error:
                answer = self._explain(error, span)
                code = answer.status.name
            finally:
                metrics.RPC_SECONDS.labels(self._name, code).observe(
                    time.perf_counter() - started_at
                )
        return await context.abort(answer.status, answer.message, answer.trailers)

    async def _answer(
        self, raw: bytes, context: ServicerContext, metadata: Mapping[str, str]
    ) -> bytes:
        seconds = cast(float | None, context.time_remaining())
        if seconds is None:
            raise DeadlineMissing("the call has no deadline", advice="set one on each call")
        token = metadata.get(METADATA_KEY)
        if token is None:
            raise CallerUnproven("the call names no caller")
        caller = self._tokens.verify(token)
        authorise(caller, self._access)
        request = self._decode(raw)
        require_valid(request)
        if self._ownership is not None and self._owned is not None:
            await self._ownership.admit(caller, self._owned)
        ids = {**ids_of_headers(metadata), **ids_of_message(request)}
        with acting_as(caller), deadline.within(seconds), working_on(ids):
            response = await self._handler(request, context)
        return response.SerializeToString()

    def _decode(self, raw: bytes) -> Message:
        try:
            return self._request_type.FromString(raw)
        except DecodeError as error:
            raise RequestUndecodable(
                f"the bytes are no {self._request_type.DESCRIPTOR.full_name}"
            ) from error

    def _explain(self, error: Exception, span: Span) -> Answer:
        refusal = _refusal_behind(error)
        if refusal is None:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            _log.error("rpc_failed", method=self._name, exc_info=error)
            return answer_bug(tracing.trace_id())
        answer = answer_refusal(refusal)
        span.set_attribute("throughline.error_code", answer.code)
        if isinstance(refusal, Unavailable):
            span.set_status(Status(StatusCode.ERROR, answer.code))
            cause = None if isinstance(error, Refusal) else error
            _log.warning("rpc_unavailable", method=self._name, code=answer.code, exc_info=cause)
        else:
            _log.info("rpc_refused", method=self._name, code=answer.code, field=refusal.field)
        return answer


def _refusal_behind(error: Exception) -> Refusal | None:
    """Return what the error means to the caller, None when it is a bug."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, SQLAlchemyError):
        return database.refusal_of(error)
    if isinstance(error, ConnectionError | TimeoutError):
        return PartUnavailable("a part this needs did not answer", advice="try again")
    return None
