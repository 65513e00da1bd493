"""How refusals cross the wire: to a status with rich details, and back to the same refusal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from throughline_core import errors as core

ERROR_CODE_TRAILER: Final = "throughline-error-code"
RETRY_AFTER_SECONDS: Final = 1

_DETAILS_TRAILER: Final = "grpc-status-details-bin"
_DOMAIN: Final = "throughline"
_MESSAGE_LENGTH_MAX: Final = 1000
_DETAILS_BYTES_MAX: Final = 24 * 1024
_INTERNAL: Final = "request.internal"

# A kind's status; kinds that refine another follow it, so that the first match is the closest.
_KINDS: Final[Sequence[tuple[type[core.Refusal], grpc.StatusCode]]] = (
    (core.InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (core.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (core.PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (core.NotFound, grpc.StatusCode.NOT_FOUND),
    (core.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (core.FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION),
    (core.IllegalTransition, grpc.StatusCode.FAILED_PRECONDITION),
    (core.Aborted, grpc.StatusCode.ABORTED),
    (core.StaleVersion, grpc.StatusCode.ABORTED),
    (core.ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (core.Unavailable, grpc.StatusCode.UNAVAILABLE),
)
_STATUS_OF_KIND: Final = dict(_KINDS)
_KIND_OF_STATUS: Final = {status: kind for kind, status in reversed(_KINDS)}
_KIND_OF_NAME: Final = {kind.__name__: kind for kind, _ in _KINDS}
_TRY_LATER: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
)
# A peer that ran out of time or was stopped in the middle may well answer the next time.
_OUT_OF_REACH: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks a rule of the contract: its path, the rule's id, the rule in words."""

    field: str
    rule: str
    text: str


class InvalidRequest(core.InvalidArgument):
    """The request breaks field rules of the contract.

    `violations` lists them as far as they fit into an answer, `violations_total` counts them all.
    """

    code = "request.invalid_field"

    def __init__(self, violations: Sequence[Violation], *, total: int | None = None) -> None:
        """Takes at least one violation; the first becomes the message."""
        first = violations[0]
        super().__init__(
            f"{first.field}: {first.text}" if first.field else first.text,
            field=first.field or None,
            advice="correct the field and send again",
        )
        self.violations = tuple(violations)
        self.violations_total = len(violations) if total is None else total


class DeadlineExpired(core.Unavailable):
    """The time the caller gave was over before the answer came; the effect is unknown."""

    code = "request.deadline_expired"


class PeerOutOfReach(core.Unavailable):
    """A peer did not answer; the effect of a command is unknown, so repeat it with the same key."""

    code = "peer.out_of_reach"


class PeerFault(Exception):
    """A peer failed on a bug of its own; its log has the trace."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A failed call as the server ends it."""

    status: grpc.StatusCode
    code: str
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]


def answer_refusal(refusal: core.Refusal) -> Answer:
    """Return the status of a refusal: its code, its advice, and which fields are wrong."""
    kinds = (kind for kind in type(refusal).__mro__ if kind in _STATUS_OF_KIND)
    kind = next(kinds, core.FailedPrecondition)
    status = _STATUS_OF_KIND[kind]
    info = error_details_pb2.ErrorInfo(
        reason=refusal.stable_code, domain=_DOMAIN, metadata={"kind": kind.__name__}
    )
    if refusal.field:
        info.metadata["field"] = refusal.field
    if refusal.advice:
        info.metadata["advice"] = refusal.advice
    details: list[Message] = [info]
    if status in _TRY_LATER:
        details.append(_retry_info())
    bad_request = _write_violations(refusal, info)
    if bad_request is not None:
        details.append(bad_request)
    return _answer(status, refusal.stable_code, refusal.message, details)


def answer_bug(trace_id: str) -> Answer:
    """Return the status of anything that is not a refusal: the trace id and nothing else."""
    info = error_details_pb2.ErrorInfo(
        reason=_INTERNAL, domain=_DOMAIN, metadata={"trace_id": trace_id}
    )
    return _answer(grpc.StatusCode.INTERNAL, _INTERNAL, f"internal error, trace {trace_id}", [info])


def _answer(status: grpc.StatusCode, code: str, message: str, details: Iterable[Message]) -> Answer:
    message = message[:_MESSAGE_LENGTH_MAX]
    rich = status_pb2.Status(code=status.value[0], message=message)
    for detail in details:
        rich.details.add().Pack(detail)
    trailers = ((_DETAILS_TRAILER, rich.SerializeToString()), (ERROR_CODE_TRAILER, code))
    return Answer(status, code, message, trailers)


def _retry_info() -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds = RETRY_AFTER_SECONDS
    return info


def _write_violations(
    refusal: core.Refusal, info: error_details_pb2.ErrorInfo
) -> error_details_pb2.BadRequest | None:
    """Return the violations that fit into trailers; `info` says how many there were in all."""
    if isinstance(refusal, InvalidRequest):
        violations = refusal.violations
        info.metadata["violations"] = str(refusal.violations_total)
    elif isinstance(refusal, core.InvalidArgument) and refusal.field:
        violations = (Violation(refusal.field, refusal.stable_code, refusal.message),)
    else:
        return None
    bad_request = error_details_pb2.BadRequest()
    size = 0
    for violation in violations:
        row = error_details_pb2.BadRequest.FieldViolation(
            field=violation.field,
            description=violation.text[:_MESSAGE_LENGTH_MAX],
            reason=violation.rule,
        )
        size += row.ByteSize()
        if size > _DETAILS_BYTES_MAX:
            break
        bad_request.field_violations.append(row)
    return bad_request


def read_failure(error: grpc.aio.AioRpcError, peer: str) -> Exception:
    """Return what a failed call to `peer` means here: its refusal again, or the peer's fault."""
    status = error.code()
    details = _read_details(error)
    info = details.info
    if info is None or info.domain != _DOMAIN:
        return _read_bare(status, peer)
    if info.reason == _INTERNAL:
        return PeerFault(f"{peer} failed, trace {info.metadata.get('trace_id', 'unknown')}")
    if info.reason == InvalidRequest.code and details.violations:
        total = int(info.metadata.get("violations") or len(details.violations))
        return InvalidRequest(details.violations, total=total)
    kind = _KIND_OF_NAME.get(info.metadata.get("kind", ""))
    if kind is None or _STATUS_OF_KIND[kind] is not status:
        kind = _KIND_OF_STATUS.get(status)
    if kind is None:
        return PeerFault(f"{peer} answered {status.name}")
    return kind(
        error.details() or "",
        field=info.metadata.get("field"),
        advice=info.metadata.get("advice"),
        code=info.reason,
    )


def _read_bare(status: grpc.StatusCode, peer: str) -> Exception:
    """Return the meaning of a status that gRPC made by itself, or that is none of ours."""
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExpired(f"{peer} did not answer in time", advice="try again")
    if status in _OUT_OF_REACH:
        return PeerOutOfReach(f"{peer} is out of reach", advice="try again")
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return core.ResourceExhausted(
            f"the message is too large, or {peer} has too many calls under way",
            advice="ask for less at a time",
        )
    return PeerFault(f"{peer} answered {status.name}")


def retry_after_seconds(error: grpc.aio.AioRpcError) -> float:
    """Return how long the peer asks to wait before the next attempt, 0 if it does not say."""
    return _read_details(error).retry_after_seconds


@dataclass(frozen=True, slots=True)
class _Details:
    info: error_details_pb2.ErrorInfo | None = None
    violations: tuple[Violation, ...] = ()
    retry_after_seconds: float = 0.0


def _read_details(error: grpc.aio.AioRpcError) -> _Details:
    """Return the rich details of a failed call; none where they are absent or unreadable."""
    trailers = dict(cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ()))
    raw = trailers.get(_DETAILS_TRAILER, b"")
    info: error_details_pb2.ErrorInfo | None = None
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    try:
        rich = status_pb2.Status.FromString(raw if isinstance(raw, bytes) else raw.encode())
        for detail in rich.details:
            found = error_details_pb2.ErrorInfo()
            if detail.Unpack(found):
                info = found
            else:
                detail.Unpack(bad_request) or detail.Unpack(retry)
    except DecodeError:
        return _Details()
    violations = tuple(
        Violation(row.field, row.reason, row.description) for row in bad_request.field_violations
    )
    return _Details(info, violations, retry.retry_delay.ToTimedelta().total_seconds())
