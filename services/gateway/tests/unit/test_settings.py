"""What the gateway is told by its environment."""

import os
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.main import main
from gateway.settings import GatewaySettings
from gateway.workers import WorkerSockets
from throughline_runtime.process import ExitCode

SECRET = "a secret that nobody may read in a log"
GIVEN = {
    "peers": '{"reporting": "dns:///reporting:50051"}',
    "caller_key": SECRET,
    "token_issuer": "https://issuer.test",
    "token_jwks": "https://issuer.test/jwks.json",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("THROUGHLINE_")]:
        monkeypatch.delenv(name)
    for name, value in GIVEN.items():
        monkeypatch.setenv(f"THROUGHLINE_{name.upper()}", value)
    return monkeypatch


def read() -> GatewaySettings:
    return GatewaySettings()  # type: ignore[call-arg]  # The environment has the rest.


def test_what_is_not_said_is_strict(environment: pytest.MonkeyPatch) -> None:
    settings = read()

    assert settings.environment == "production"
    assert settings.peers == {"reporting": "dns:///reporting:50051"}
    assert (settings.workers, settings.worker, settings.leaves_within) == (1, None, 5.0)


def test_a_sandbox_leaves_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("THROUGHLINE_ENVIRONMENT", "sandbox")
    assert read().leaves_within == 0.0
    environment.setenv("THROUGHLINE_LEAVE_SECONDS", "2")
    assert read().leaves_within == 2.0


def test_a_worker_is_handed_its_sockets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("THROUGHLINE_WORKER", "[7, 8]")

    assert read().worker == WorkerSockets(listener=7, parent=8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_jwks", "http://issuer.test/jwks.json"),
        ("peers", "reporting=here"),
        ("workers", "0"),
        ("requests_per_minute", "0"),
        ("leave_seconds", "60"),
    ],
)
def test_what_cannot_be_is_refused(environment: pytest.MonkeyPatch, name: str, value: Any) -> None:
    environment.setenv(f"THROUGHLINE_{name.upper()}", value)

    with pytest.raises((ValidationError, ValueError)):
        read()


def test_a_flaw_is_told_by_its_name_and_never_by_its_value(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("THROUGHLINE_TOKEN_ISSUER")
    environment.setenv("THROUGHLINE_TOKEN_JWKS", f"http://user:{SECRET}@issuer.test")

    with pytest.raises(SystemExit) as caught:
        main(["serve"])

    assert caught.value.code == ExitCode.UNFIT
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in told] == ["token_issuer", "token_jwks"]
    assert SECRET not in "".join(told)
