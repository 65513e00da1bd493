"""`call`: what it sends, what it prints, and what it refuses to send."""

import json
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from throughline_cli.api import Api
from throughline_cli.commands.call import read_body
from throughline_cli.main import app

PROJECTS = {"projects": [{"project_id": "p-1", "tasks": ["t-1"]}], "next_page_token": ""}


class Gateway:
    """Keeps what it was sent and answers from a list; the last answer again and again."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers = [PROJECTS]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(200, json=answer)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    answering = Gateway()
    monkeypatch.setattr(
        Api,
        "of",
        lambda _layout, _subject: Api(
            "http://gateway", "token", transport=httpx.MockTransport(answering)
        ),
    )
    return answering


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["call", *words])


def test_a_write_carries_its_body_and_its_key(gateway: Gateway) -> None:
    done = call("post", "/v1/customers", '{"name": "Roth"}', "--key", "one intention")

    assert done.exit_code == 0
    (sent,) = gateway.requests
    assert (sent.method, json.loads(sent.content)) == ("POST", {"name": "Roth"})
    assert sent.headers["Idempotency-Key"] == "one intention"


def test_a_read_carries_its_query_and_no_body(gateway: Gateway) -> None:
    done = call("GET", "/v1/projects", "--query", "status=active", "--query", "page_size=1")

    assert done.exit_code == 0
    (sent,) = gateway.requests
    assert dict(sent.url.params) == {"status": "active", "page_size": "1"}
    assert not sent.content
    assert json.loads(done.stdout) == PROJECTS


def test_what_is_picked_stands_alone(gateway: Gateway) -> None:
    assert call("GET", "/v1/projects", "--pick", "projects.0.project_id").stdout == "p-1\n"
    assert json.loads(call("GET", "/v1/projects", "--pick", "projects.0.tasks").stdout) == ["t-1"]


@pytest.mark.parametrize(
    "path", ["projects.1.project_id", "projects.one", "people", "projects.0.x"]
)
def test_nothing_to_pick_is_a_failure_that_says_where(gateway: Gateway, path: str) -> None:
    done = call("GET", "/v1/projects", "--pick", path)

    assert done.exit_code == 1
    assert path in done.stderr


def test_it_looks_again_for_what_comes_later(gateway: Gateway) -> None:
    gateway.answers = [{"projects": []}, PROJECTS]

    done = call("GET", "/v1/projects", "--pick", "projects.0.project_id", "--wait", "5")

    assert (done.exit_code, done.stdout, len(gateway.requests)) == (0, "p-1\n", 2)


def test_a_write_is_never_repeated_for_the_sake_of_waiting(gateway: Gateway) -> None:
    gateway.answers = [{}]

    done = call("POST", "/v1/customers", "{}", "--pick", "customer", "--wait", "5")

    assert (done.exit_code, len(gateway.requests)) == (1, 1)


@pytest.mark.parametrize(
    "words",
    [
        ("FETCH", "/v1/projects"),
        ("GET", "/v1/projects", "--query", "status"),
        ("GET", "/v1/projects", "--role", "service"),
        ("POST", "/v1/customers", "[]"),
        ("POST", "/v1/customers", "{"),
        ("POST", "/v1/customers", "@no-such-file"),
        ("POST", "/v1/customers", "{}", "--csv"),
        ("GET", "/v1/projects", "--csv", "--pick", "projects"),
    ],
    ids=" ".join,
)
def test_wrong_usage_sends_nothing(gateway: Gateway, words: tuple[str, ...]) -> None:
    assert call(*words).exit_code == 2
    assert gateway.requests == []


def answering(monkeypatch: pytest.MonkeyPatch, *answers: httpx.Response) -> list[httpx.Request]:
    """Have these answers given one after the other; return what is asked."""
    asked: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return left.pop(0)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(Api, "of", lambda *_: Api("http://gateway", "token", transport=transport))
    return asked


def test_a_sheet_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    csv = {"content-type": "text/csv; charset=utf-8"}
    link = {"link": '</v1/holds?owner=pmo&page_token=b>; rel="next"'}
    first = httpx.Response(200, content=b"hold_id\r\na\r\n", headers=csv | link)
    rest = httpx.Response(200, content=b"b\r\n", headers=csv)
    asked = answering(monkeypatch, first, rest)

    done = call("GET", "/v1/holds", "--query", "owner=pmo", "--csv")

    assert (done.exit_code, done.stdout_bytes) == (0, b"hold_id\r\na\r\nb\r\n")
    assert [request.headers["accept"] for request in asked] == ["text/csv"] * 2
    assert [dict(request.url.params) for request in asked] == [
        {"owner": "pmo"},
        {"owner": "pmo", "page_token": "b"},
    ]


def test_what_is_no_list_is_no_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, httpx.Response(200, json={"hold": {}}))

    done = call("GET", "/v1/holds/1", "--csv")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "/v1/holds/1 is no list" in done.stderr


def test_a_body_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "customer.json"
    file.write_text('{"name": "Roth"}', encoding="utf-8")

    assert read_body(f"@{file}") == {"name": "Roth"}
    with pytest.raises(typer.BadParameter):
        read_body(f"@{tmp_path}")
