"""Operators see all services as one, and one that is silent does not hide the others."""

from typing import Any

import pytest
from gateway_front import SERVICES, Front, Peers, open_front
from google.protobuf.message import Message

from throughline.operations.v1 import operations_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "01980000-0000-7000-8000-000000000131"


def parked(reason: str, *, token: str = "") -> pb.ListParkedResponse:
    message = pb.ParkedMessage(parked_id=ID, reason=reason, status=pb.PARKED_STATUS_PARKED)
    return pb.ListParkedResponse(parked=[message], next_page_token=token)


async def test_rows_of_all_services_are_one_list_that_says_whose_each_is(front: Front) -> None:
    async def answer(request: Any) -> Message:
        assert request.page_size == 10
        return parked("no such contract")

    front.peers.answers["ListParked"] = answer
    page = (await front.ask("GET", "/v1/operations/parked?page_size=10")).json()

    assert [row["service"] for row in page["parked"]] == SERVICES
    assert page["parked"][0]["status"] == "parked"
    assert (page["silent_services"], page["next_page_token"]) == ([], "")


async def test_pages_go_on_only_where_a_service_has_more(front: Front) -> None:
    async def answer(request: Any) -> Message:
        is_first = len(front.peers.asked) == 1
        return parked(request.page_token or "first", token="more" if is_first else "")

    front.peers.answers["ListParked"] = answer
    first = (await front.ask("GET", "/v1/operations/parked")).json()
    front.peers.asked.clear()
    query = {"page_token": first["next_page_token"]}
    second = (await front.ask("GET", "/v1/operations/parked", params=query)).json()

    assert [row["reason"] for row in second["parked"]] == ["more"]
    assert len(front.peers.asked) == 1


async def test_one_service_can_be_asked_alone(front: Front) -> None:
    page = (await front.ask("GET", "/v1/operations/audit?service=reporting")).json()
    unknown = await front.ask("GET", "/v1/operations/audit?service=gateway")

    assert page["silent_services"] == []
    assert len(front.peers.asked) == 1
    assert unknown.status_code == 404
    assert unknown.json()["code"] == "operations.service_unknown"


@pytest.mark.parametrize("token", ["rubbish", "e30=", "WzFd", "eyJyZXBvcnRpbmciOiAxfQ==", "é"])
async def test_a_page_token_from_elsewhere_is_refused(front: Front, token: str) -> None:
    reply = await front.ask("GET", "/v1/operations/parked", params={"page_token": token})

    assert reply.status_code == 422
    assert reply.json()["field"] == "page_token"


async def test_an_unknown_filter_is_refused(front: Front) -> None:
    reply = await front.ask("GET", "/v1/operations/exceptions?owner=me")

    assert reply.status_code == 422
    assert reply.json()["field"] == "owner"


async def test_a_silent_service_hides_only_its_own_rows(front: Front) -> None:
    targets = {**front.targets, "reporting": "dns:///127.0.0.1:1"}
    async with open_front(front.issuer, Peers(), targets=targets) as partly:
        page = await partly.ask("GET", "/v1/operations/exceptions")
        proof = await partly.ask("GET", "/v1/operations/audit:verify")

    assert page.status_code == 200
    assert page.json()["silent_services"] == ["reporting"]
    # A part of the proof would prove nothing.
    assert proof.status_code == 503


async def test_when_all_are_silent_there_is_no_list(front: Front) -> None:
    targets = dict.fromkeys(SERVICES, "dns:///127.0.0.1:1")
    async with open_front(front.issuer, Peers(), targets=targets) as alone:
        reply = await alone.ask("GET", "/v1/operations/parked")

    assert reply.status_code == 503


async def test_every_service_proves_its_trail_and_gives_its_totals(front: Front) -> None:
    chains = (await front.ask("GET", "/v1/operations/audit:verify")).json()["chains"]
    totals = (await front.ask("GET", "/v1/operations/control-totals")).json()["services"]

    assert [chain["service"] for chain in chains] == SERVICES
    assert [answer["service"] for answer in totals] == SERVICES


async def test_a_command_goes_to_its_service_under_its_key(front: Front) -> None:
    reply = await front.ask(
        "POST",
        "/v1/operations/billing-event/parked:replay",
        json={"parked_ids": [ID]},
        headers={"Idempotency-Key": "again"},
    )

    assert reply.status_code == 200, reply.text
    assert reply.headers["idempotency-key"] == "again"
    assert front.peers.last[1] == pb.ReplayParkedRequest(request_id="again", parked_ids=[ID])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nobody/parked:replay", {"parked_ids": [ID]}, 404),
        ("billing-event/parked:replay", {"parked_ids": []}, 422),
        ("billing-event/parked:discard", {"parked_ids": [ID]}, 422),
        ("billing-event/exceptions:note", {"exception_id": "x", "note": "y"}, 422),
    ],
)
async def test_a_command_that_is_not_valid_reaches_nobody(
    front: Front, path: str, body: dict[str, Any], status: int
) -> None:
    reply = await front.ask("POST", f"/v1/operations/{path}", json=body)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert not front.peers.asked


async def test_an_auditor_reads_the_trail_and_changes_nothing(front: Front) -> None:
    auditor = front.bearer("auditor")
    path = "/v1/operations/billing-event/parked:replay"

    trail = await front.client.get("/v1/operations/audit", headers=auditor)
    replay = await front.client.post(path, json={"parked_ids": [ID]}, headers=auditor)

    assert (trail.status_code, replay.status_code) == (200, 403)
