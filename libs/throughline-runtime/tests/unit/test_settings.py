"""Settings come from the environment and the files it names, and unsafe ones do not start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from throughline_runtime.settings import Settings

VARIABLES = {
    "SERVICE": "billing-event",
    "ENVIRONMENT": "test",
    "NATS_URL": "nats://127.0.0.1:1",
    "NATS_USER": "billing-event",
    "NATS_PASSWORD": "throwaway",
    "CALLER_KEY": "the caller key of tests",
}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(f"THROUGHLINE_{name}", value)
    return monkeypatch


def read() -> Settings:
    return Settings()  # type: ignore[call-arg]  # the environment has them


def test_settings_are_read_from_the_environment(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("THROUGHLINE_PEERS", '{"customer-contract": "dns:///127.0.0.1:1"}')

    settings = read()

    assert settings.service == "billing-event"
    assert settings.peers == {"customer-contract": "dns:///127.0.0.1:1"}


def test_a_secret_is_read_from_the_file_that_is_named(
    variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(" pass word\n")
    variables.delenv("THROUGHLINE_NATS_PASSWORD")
    variables.setenv("THROUGHLINE_NATS_PASSWORD_FILE", str(tmp_path / "password"))

    assert read().nats_password.get_secret_value() == " pass word"


def test_a_structure_is_read_from_a_file_as_well(
    variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "peers").write_text('{"reporting": "dns:///reporting:1"}\n')
    variables.setenv("THROUGHLINE_PEERS_FILE", str(tmp_path / "peers"))

    assert read().peers == {"reporting": "dns:///reporting:1"}


def test_a_value_goes_before_a_file(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from the file")
    variables.setenv("THROUGHLINE_NATS_PASSWORD_FILE", str(tmp_path / "password"))

    assert read().nats_password.get_secret_value() == "throwaway"


def test_secrets_are_neither_printed_nor_quoted_in_errors(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("THROUGHLINE_DATABASE_URL", "postgresql+asyncpg://me:hush@host/db")
    assert "hush" not in repr(read())
    assert "throwaway" not in repr(read())

    variables.setenv("THROUGHLINE_DATABASE_POOL_SIZE", "hush")
    with pytest.raises(ValidationError) as refused:
        read()
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"), [("INBOX_DISABLED", "true"), ("REQUIRE_DURABLE_BROKER", "false")]
)
def test_production_keeps_its_guards(variables: pytest.MonkeyPatch, name: str, value: str) -> None:
    variables.setenv(f"THROUGHLINE_{name}", value)
    read()

    variables.delenv("THROUGHLINE_ENVIRONMENT")  # Unsaid, it is production.
    with pytest.raises(ValidationError, match=name.lower()):
        read()
