"""Refusals cross the wire and come back as what they were."""

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from throughline_core import errors as core
from throughline_runtime.rpc.errors import (
    ERROR_CODE_TRAILER,
    Answer,
    DeadlineExpired,
    InvalidRequest,
    PeerFault,
    PeerOutOfReach,
    Violation,
    answer_bug,
    answer_refusal,
    read_failure,
    retry_after_seconds,
)


class CeilingExceeded(core.FailedPrecondition):
    code = "contract.ceiling_exceeded"


KINDS = [
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
]


def received(answer: Answer) -> AioRpcError:
    return AioRpcError(answer.status, Metadata(), Metadata(*answer.trailers), answer.message, "")


def bare(status: grpc.StatusCode) -> AioRpcError:
    return AioRpcError(status, Metadata(), Metadata(), "text of gRPC's own", "")


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_each_kind_has_its_status_and_comes_back_whole(
    kind: type[core.Refusal], status: grpc.StatusCode
) -> None:
    refusal = kind("what stops it", field="lines[2].quantity", advice="do this", code="quote.stops")

    answer = answer_refusal(refusal)
    back = read_failure(received(answer), "customer-contract")

    assert answer.status is status
    assert dict(answer.trailers)[ERROR_CODE_TRAILER] == "quote.stops"
    assert type(back) is kind
    assert isinstance(back, core.Refusal)
    assert (back.stable_code, back.message, back.field, back.advice) == (
        "quote.stops",
        "what stops it",
        "lines[2].quantity",
        "do this",
    )


def test_a_rule_of_the_peer_comes_back_as_the_kind_it_refines() -> None:
    back = read_failure(received(answer_refusal(CeilingExceeded("over"))), "customer-contract")

    assert type(back) is core.FailedPrecondition
    assert isinstance(back, core.Refusal)
    assert back.stable_code == "contract.ceiling_exceeded"


def test_every_violation_comes_back() -> None:
    violations = (
        Violation("entries[3].minutes", "int32.gte", "must be at least 1"),
        Violation("", "entries.sum", "must add up"),
    )

    back = read_failure(received(answer_refusal(InvalidRequest(violations))), "billing-event")

    assert isinstance(back, InvalidRequest)
    assert back.violations == violations
    assert back.message == "entries[3].minutes: must be at least 1"


def test_violations_beyond_what_trailers_hold_are_counted_not_sent() -> None:
    violations = [Violation(f"entries[{n}].note", "string.max_len", "x" * 90) for n in range(2000)]

    answer = answer_refusal(InvalidRequest(violations))
    back = read_failure(received(answer), "billing-event")

    assert sum(len(value) for _, value in answer.trailers) < 32 * 1024
    assert isinstance(back, InvalidRequest)
    assert 100 < len(back.violations) < len(violations)
    assert back.violations_total == len(violations)


@pytest.mark.parametrize(
    "kind", [core.Unavailable, core.ResourceExhausted, core.Aborted, core.StaleVersion]
)
def test_what_may_be_tried_again_says_when(kind: type[core.Refusal]) -> None:
    assert retry_after_seconds(received(answer_refusal(kind("busy")))) == 1


def test_what_may_not_be_tried_again_says_nothing() -> None:
    assert retry_after_seconds(received(answer_refusal(core.NotFound("no such quote")))) == 0


def test_a_bug_tells_its_trace_and_nothing_else() -> None:
    answer = answer_bug("4bf92f3577b34da6a3ce929d0e0e4736")
    back = read_failure(received(answer), "reporting")

    assert answer.status is grpc.StatusCode.INTERNAL
    assert isinstance(back, PeerFault)
    assert "4bf92f3577b34da6a3ce929d0e0e4736" in str(back)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExpired),
        (grpc.StatusCode.UNAVAILABLE, PeerOutOfReach),
        (grpc.StatusCode.CANCELLED, PeerOutOfReach),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, core.ResourceExhausted),
        (grpc.StatusCode.UNKNOWN, PeerFault),
        (grpc.StatusCode.UNIMPLEMENTED, PeerFault),
        (grpc.StatusCode.INVALID_ARGUMENT, PeerFault),
    ],
)
def test_statuses_that_grpc_makes_by_itself(status: grpc.StatusCode, kind: type[Exception]) -> None:
    assert type(read_failure(bare(status), "reporting")) is kind


def test_details_nobody_can_read_count_as_absent() -> None:
    garbled = AioRpcError(
        grpc.StatusCode.NOT_FOUND,
        Metadata(),
        Metadata(("grpc-status-details-bin", b"\xff\xff")),
        "",
        "",
    )

    assert isinstance(read_failure(garbled, "reporting"), PeerFault)


def test_a_message_too_long_for_a_header_is_cut() -> None:
    assert len(answer_refusal(core.NotFound("x" * 10_000)).message) == 1000
