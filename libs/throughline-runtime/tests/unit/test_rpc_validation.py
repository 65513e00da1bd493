"""Field rules come from the proto and are told by path, rule and words."""

import time
from uuid import uuid4

import pytest
from grpc_health.v1 import health_pb2

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline_runtime.rpc.access import AccessUndeclared, access_of, seconds_of
from throughline_runtime.rpc.errors import InvalidRequest, Violation
from throughline_runtime.rpc.validation import require_valid, violations_of


def a_replay(*parked_ids: str) -> pb.ReplayParkedRequest:
    return pb.ReplayParkedRequest(request_id="once", parked_ids=parked_ids)


def test_a_valid_request_passes() -> None:
    require_valid(a_replay(str(uuid4())))


def test_each_violation_names_its_field_its_rule_and_the_rule_in_words() -> None:
    broken = pb.ReplayParkedRequest(parked_ids=[str(uuid4()), "no uuid"])

    assert violations_of(broken) == (
        Violation("request_id", "string.min_len", "must be at least 1 characters"),
        Violation("parked_ids[1]", "string.uuid", "must be a valid UUID"),
    )


def test_the_first_violation_is_the_message_of_the_refusal() -> None:
    with pytest.raises(InvalidRequest) as refused:
        require_valid(pb.ReplayParkedRequest(parked_ids=["no uuid"]))

    assert refused.value.message == "request_id: must be at least 1 characters"
    assert refused.value.stable_code == "request.invalid_field"
    assert refused.value.violations_total == 2


def test_an_unknown_enum_value_is_a_violation() -> None:
    status_99 = pb.ListParkedRequest.FromString(b"\x20\x63")

    assert [violation.rule for violation in violations_of(status_99)] == ["enum.defined_only"]


def test_five_hundred_entries_cost_a_few_milliseconds() -> None:
    request = a_replay(*(str(uuid4()) for _ in range(500)))
    require_valid(request)

    fastest = min(_seconds(request) for _ in range(5))

    assert fastest < 0.01


def _seconds(request: pb.ReplayParkedRequest) -> float:
    started_at = time.perf_counter()
    require_valid(request)
    return time.perf_counter() - started_at


def test_a_method_declares_its_scope_and_roles() -> None:
    service = pb.DESCRIPTOR.services_by_name["OperationsService"]

    access = access_of(service.methods_by_name["ReplayParked"])

    assert (access.scope, access.roles) == ("operations.write", frozenset({"ROLE_INTEGRATION"}))


def test_a_method_declares_how_long_its_answer_may_take_or_leaves_it_open() -> None:
    methods = pb.DESCRIPTOR.services_by_name["OperationsService"].methods_by_name

    assert seconds_of(methods["VerifyAudit"]) == 30
    assert seconds_of(methods["ReplayParked"]) is None


def test_a_method_that_declares_nothing_is_for_nobody() -> None:
    health = health_pb2.DESCRIPTOR.services_by_name["Health"]

    with pytest.raises(AccessUndeclared, match="Check"):
        access_of(health.methods_by_name["Check"])
