"""What a service refuses, cannot do now, or does wrong, and how a client is told."""

import pytest
from gateway_front import SERVICES, Front, Peers, expect, open_front, rules_of
from google.protobuf.message import Message

from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from throughline_runtime.rpc.errors import InvalidRequest, Violation

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUID = "01980000-0000-7000-8000-000000000131"
ENTRY = {"person_id": UUID, "task_id": UUID, "work_date": "2026-09-07", "minutes": 480}
ACTIVATE = f"/v1/contracts/{UUID}:activate"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (NotFound("there is no such contract", code="contract.not_found"), 404),
        (FailedPrecondition("it is not signed", code="contract.not_signed"), 409),
        (InvalidArgument("another body", code="request.idempotency_key_reused"), 422),
    ],
)
async def test_what_a_service_refuses_arrives_with_its_code_and_advice(
    front: Front, refusal: NotFound, status: int
) -> None:
    refusal.field, refusal.advice = "contract_id", "check the id"

    async def refuse(_request: Message) -> Message:
        raise refusal

    front.peers.answers["ActivateContract"] = refuse
    reply = await front.ask(
        "POST", f"/v1/contracts/{UUID}:activate", json={"activate_on": "2026-09-01"}
    )

    problem = expect(reply, status, refusal.stable_code, "contract_id")
    assert (problem["detail"], problem["advice"]) == (refusal.message, "check the id")


async def test_the_rows_a_service_refuses_are_listed_and_all_are_counted(front: Front) -> None:
    rows = [Violation(f"rows[{n}].minutes", "time_entry.day_limit", "over 24 h") for n in range(3)]

    async def refuse(_request: Message) -> Message:
        raise InvalidRequest(rows, total=700)

    front.peers.answers["ImportTimeEntries"] = refuse
    reply = await front.ask("POST", "/v1/time-entries:batch", json={"rows": [ENTRY]})

    problem = expect(reply, 422, "request.invalid_field", "rows[0].minutes")
    assert rules_of(problem) == [(row.field, row.rule) for row in rows]
    assert problem["violation_count"] == 700


async def test_an_id_in_the_path_is_checked_by_its_owner(front: Front) -> None:
    for bad in ("me", "%ff", f"{UUID}:unknown"):
        reply = await front.ask("GET", f"/v1/customers/{bad}")
        expect(reply, 422, "request.invalid_field", "customer_id")
    reply = await front.ask("GET", "/v1/customers/a%00b")
    expect(reply, 422, "request.malformed", "customer_id")


async def test_a_service_that_cannot_now_is_asked_again_later(front: Front) -> None:
    async def refuse(_request: Message) -> Message:
        raise Unavailable("the database is out of reach", advice="try again in a moment")

    front.peers.answers["ActivateContract"] = refuse
    reply = await front.ask(
        "POST", f"/v1/contracts/{UUID}:activate", json={"activate_on": "2026-09-01"}
    )

    expect(reply, 503, "request.unavailable")
    assert reply.headers["retry-after"] == "1"
    # Only with the key that was made for it can the command be repeated safely.
    assert reply.headers["idempotency-key"]


async def test_a_services_bug_is_told_by_its_trace_alone(front: Front) -> None:
    async def fail(_request: Message) -> Message:
        raise RuntimeError("secret figures")

    front.peers.answers["ListCustomers"] = fail
    reply = await front.ask("GET", "/v1/customers")

    expect(reply, 500, "request.internal")
    assert "secret" not in reply.text


async def test_our_own_bug_is_told_by_its_trace_alone(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("secret figures")

    monkeypatch.setattr("gateway.routes.derived.json_response", fail)
    reply = await front.ask("GET", "/v1/customers")

    expect(reply, 500, "request.internal")
    assert "secret" not in reply.text


async def test_a_service_that_is_down_is_said_to_be_out_of_reach(front: Front) -> None:
    targets = dict.fromkeys(SERVICES, "dns:///127.0.0.1:1")
    async with open_front(front.issuer, Peers(), targets=targets) as alone:
        reply = await alone.ask("GET", "/v1/customers")

    expect(reply, 503, "peer.out_of_reach")
    assert reply.headers["retry-after"] == "1"


async def test_a_service_that_is_not_deployed_is_said_not_to_be(front: Front) -> None:
    async with open_front(front.issuer, Peers(), targets={}) as alone:
        reply = await alone.ask("GET", "/v1/customers")

    expect(reply, 503, "peer.not_deployed")


async def test_a_service_that_does_not_believe_us_is_our_own_fault(front: Front) -> None:
    async with open_front(
        front.issuer, Peers(), targets=front.targets, caller_key="another key" * 4
    ) as stranger:
        reply = await stranger.ask("GET", "/v1/customers")

    expect(reply, 500, "request.internal")
