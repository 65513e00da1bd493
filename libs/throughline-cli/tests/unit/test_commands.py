"""What the commands say and the codes they end with, where nothing runs."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from throughline_cli.commands.clock import read_span
from throughline_cli.main import app

NEED_A_STACK = (
    ["down"],
    ["status"],
    ["clock", "advance", "1d"],
    ["clock", "reset"],
    ["streams", "apply"],
    ["streams", "check"],
    ["parked", "list"],
    ["replay", "billing-event", "0199a3c2-0000-7000-8000-000000000001"],
    ["audit", "verify"],
)


@pytest.mark.parametrize("command", NEED_A_STACK, ids=" ".join)
def test_a_command_without_its_stack_ends_with_3_and_advice(
    command: list[str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, [*command, "--folder", str(tmp_path)])

    assert done.exit_code == 3
    assert "throughline up" in done.stderr


def test_a_failure_is_a_document_where_one_was_asked_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["status", "--json", "--folder", str(tmp_path)])

    assert done.exit_code == 3
    assert json.loads(done.stdout)["error"]["advice"] == "start one with `throughline up`"


@pytest.mark.parametrize(
    "command",
    [
        ["up", "--service", "unheard-of"],
        ["token", "--role", "service"],
        ["token", "--system", "Sales Force"],
        ["streams", "apply", "--nats-url", "nats://127.0.0.1:1"],
        ["clock", "advance", "tomorrow"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(command: list[str]) -> None:
    assert CliRunner().invoke(app, command).exit_code == 2


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30d", timedelta(days=30)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("90m", timedelta(minutes=90)),
        ("5s", timedelta(seconds=5)),
    ],
)
def test_a_span_is_days_hours_minutes_seconds(text: str, span: timedelta) -> None:
    assert read_span(text) == span


@pytest.mark.parametrize("text", ["", "30", "-1d", "1w", "1d nonsense", "1.5d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_span(text)


def test_every_command_has_an_example_and_speaks_json() -> None:
    leaves = _leaves(typer.main.get_command(app))

    assert len(leaves) >= 14
    for command in leaves:
        assert "Example" in (command.help or ""), command.name
        assert any("--json" in option.opts for option in command.params), command.name


def _leaves(command: Any) -> list[Any]:
    children = getattr(command, "commands", None)
    if children is None:
        return [command]
    return [leaf for child in children.values() for leaf in _leaves(child)]
