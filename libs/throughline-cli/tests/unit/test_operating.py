"""Commands that ask the gateway: what they show of its answers, and the codes they end with."""

import json
from collections.abc import Callable

import httpx
import pytest
from typer.testing import CliRunner

from throughline_cli.api import Api
from throughline_cli.main import app

PARKED_ID = "0199a3c2-0000-7000-8000-000000000001"
CHAIN = {"service": "billing-event", "intact": True, "sealed": "12", "head": "qg=="}

Answering = Callable[[Callable[[httpx.Request], httpx.Response]], None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """`answering(function)` puts a gateway in place that answers as the function says."""

    def put(answer: Callable[[httpx.Request], httpx.Response]) -> None:
        api = Api("http://gateway", "token", transport=httpx.MockTransport(answer))
        monkeypatch.setattr(Api, "of", lambda _layout: api)

    return put


def test_parked_messages_are_listed_with_service_owner_and_reason(answering: Answering) -> None:
    message = {
        "service": "billing-event",
        "parked_id": PARKED_ID,
        "subject": "project_provisioning.time.approved.v1",
        "owner": "billing",
        "reason": "rate card missing",
    }
    answering(lambda _: httpx.Response(200, json={"parked": [message], "next_page_token": ""}))

    listed = CliRunner().invoke(app, ["parked", "list"])

    assert listed.exit_code == 0
    assert all(word in listed.stdout for word in ("billing-event", PARKED_ID, "rate card missing"))


def test_replay_names_the_service_and_its_messages(answering: Answering) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/operations/billing-event/parked:replay"
        return httpx.Response(
            200, json={"replayed": len(json.loads(request.content)["parked_ids"])}
        )

    answering(answer)

    replayed = CliRunner().invoke(app, ["replay", "billing-event", PARKED_ID, "--json"])

    assert json.loads(replayed.stdout) == {"replayed": 1}


def test_a_refused_replay_ends_with_1_and_the_reason(answering: Answering) -> None:
    problem = {"detail": "it was settled before", "code": "parked.already_settled"}
    answering(lambda _: httpx.Response(409, json=problem))

    replayed = CliRunner().invoke(app, ["replay", "billing-event", PARKED_ID])

    assert replayed.exit_code == 1
    assert "it was settled before (parked.already_settled, 409)" in replayed.stderr


@pytest.mark.parametrize(
    ("chains", "code"),
    [
        ([CHAIN], 0),
        ([CHAIN, CHAIN | {"intact": False, "broken_reason": "hash differs"}], 1),
        ([], 1),
    ],
    ids=["all intact", "one broken", "none answered"],
)
def test_an_audit_holds_only_if_every_chain_does(
    answering: Answering, chains: list[object], code: int
) -> None:
    answering(lambda _: httpx.Response(200, json={"chains": chains}))

    assert CliRunner().invoke(app, ["audit", "verify"]).exit_code == code
