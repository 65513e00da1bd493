"""The life of a stack through the command: up, killed in part, killed as a whole, down."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from throughline_runtime.clock import Clock

CommandLines = Callable[[str], Any]
Eventually = Callable[..., None]


def test_a_stack_goes_up_and_down_and_leaves_only_its_data(throughline: Any) -> None:
    first = throughline.json("up", "--servers-only")

    assert throughline.run("down").returncode == 0

    assert throughline.processes() == []
    assert not (throughline.folder / "state.json").exists()
    assert throughline.run("status").returncode == 3
    # The same data, at the same addresses: the broker still has its streams.
    assert throughline.json("up", "--servers-only")["nats_url"] == first["nats_url"]
    assert throughline.run("streams", "check").returncode == 0


def test_nothing_outlives_a_killed_supervisor(throughline: Any, eventually: Eventually) -> None:
    state = throughline.json("up", "--servers-only")

    psutil.Process(state["pid"]).kill()

    eventually(lambda: throughline.processes() == [])
    assert throughline.run("status").returncode == 3
    assert throughline.run("up", "--servers-only").returncode == 0


def test_two_stacks_run_side_by_side(command_lines: CommandLines) -> None:
    first, second = command_lines("first"), command_lines("second")

    addresses = {line.json("up", "--servers-only")["nats_url"] for line in (first, second)}

    assert len(addresses) == 2
    assert first.run("down").returncode == 0
    assert second.run("status").returncode == 0


def test_a_stack_runs_in_a_folder_too_deep_for_a_socket(
    command_lines: CommandLines, eventually: Eventually
) -> None:
    line = command_lines("/".join(["deep" * 10] * 3))

    up = line.run("up", "--servers-only")

    assert up.returncode == 0, up.stderr
    sockets = Path(line.program("postgres").address)
    assert len(str(sockets)) < 80
    psutil.Process(line.json("status")["pid"]).kill()
    eventually(lambda: not sockets.exists())


def test_the_clock_of_a_sandbox_moves_for_services_and_vendors_alike(throughline: Any) -> None:
    state = throughline.json("up", "--servers-only", "--sandbox")

    assert throughline.json("clock", "advance", "30d")["offset_seconds"] == 30 * 24 * 3600

    vendors = httpx.get(f"{state['simulators_url']}/_control/clock", trust_env=False).json()
    assert vendors["offset_seconds"] == 30 * 24 * 3600
    assert Clock(throughline.folder / "clock").now() - datetime.now(UTC) > timedelta(days=29)
    assert throughline.json("clock", "reset")["offset_seconds"] == 0


def test_a_start_that_fails_says_why_and_leaves_nothing(throughline: Any) -> None:
    data = throughline.folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")

    up = throughline.run("up", "--servers-only")

    assert up.returncode == 1
    assert "made by PostgreSQL 17" in up.stderr
    assert "advice:" in up.stderr
    assert throughline.processes() == []
