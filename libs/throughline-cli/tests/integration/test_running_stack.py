"""A running stack: closed to others, mending itself, telling what it sees."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest


def test_a_second_up_finds_the_stack_running(running: Any) -> None:
    before = running.program("postgres")

    assert running.run("up", "--servers-only").returncode == 0

    assert running.program("postgres") == before


def test_nobody_else_may_read_a_secret(running: Any) -> None:
    secrets = running.folder / "secrets"
    private = [secrets, *secrets.rglob("*"), running.folder / "nats" / "nats-server.json"]

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in private}

    assert len(modes) > 4
    assert modes == {path: 0o700 if path.is_dir() else 0o600 for path in private}


def test_servers_listen_on_loopback_alone(running: Any) -> None:
    listening = {
        connection.laddr.ip
        for process in running.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["postgres", "nats"])
def test_a_killed_server_is_started_again(
    running: Any, eventually: Callable[..., None], name: str
) -> None:
    before = running.program(name)

    psutil.Process(before.pid).kill()

    eventually(lambda: running.program(name).pid not in {None, before.pid})
    eventually(lambda: running.program(name).state == "ready")
    assert running.program(name).restarts > before.restarts


def test_the_broker_may_be_one_elsewhere(running: Any, tmp_path: Path) -> None:
    password = running.folder / "secrets" / "nats-administrator"
    (tmp_path / "wrong").write_text("guessed")
    elsewhere = ["--service", "gateway", "--replicas", "1", "--nats-url"]
    url = running.json("status")["nats_url"]

    found = running.run("streams", "check", *elsewhere, url, "--password-file", str(password))
    refused = running.run(
        "streams", "check", *elsewhere, url, "--password-file", str(tmp_path / "wrong")
    )

    assert found.returncode == 0, found.stderr
    assert refused.returncode == 1
    assert f"{url} cannot be reached" in refused.stderr


def test_the_clock_of_real_work_is_not_moved(running: Any) -> None:
    moved = running.run("clock", "advance", "1d")

    assert moved.returncode == 1
    assert "up --sandbox" in moved.stderr


def test_the_doctor_has_no_complaint(running: Any) -> None:
    findings = running.json("doctor")["findings"]

    assert {finding["verdict"] for finding in findings} <= {"ok", "warning"}
    assert {"broker", "streams", "secrets"} <= {finding["check"] for finding in findings}


def test_the_doctor_finds_a_secret_that_others_may_read(running: Any) -> None:
    secret = running.folder / "secrets" / "postgres-superuser"
    os.chmod(secret, 0o644)

    doctor = running.run("doctor")

    os.chmod(secret, 0o600)
    assert doctor.returncode == 1
    assert "postgres-superuser" in doctor.stdout
