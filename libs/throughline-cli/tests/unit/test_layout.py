"""Ports and secrets of a folder."""

import socket
import stat
from pathlib import Path

from throughline_cli.stack.layout import Layout, choose_ports, write_secret


def test_a_port_is_remembered(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)

    first = choose_ports(layout, ["nats", "gateway"])

    assert len(set(first.values())) == 2
    assert choose_ports(layout, ["gateway", "nats"]) == first


def test_a_remembered_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    first = choose_ports(layout, ["nats", "gateway"])

    with socket.create_server(("127.0.0.1", first["nats"])):
        second = choose_ports(layout, ["nats", "gateway"])

    assert second["nats"] != first["nats"]
    assert second["gateway"] == first["gateway"]


def test_a_secret_is_readable_by_its_owner_alone_from_its_first_moment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o644)

    write_secret(secret, "hush")

    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.read_text() == "hush"
    assert list(tmp_path.iterdir()) == [secret]
