"""Secrets are made once, at random, and closed to others."""

import stat
from pathlib import Path

import pytest
import yaml

from throughline_cli.stack.services import SERVICES
from tools.deployment import hygiene, secret_files
from tools.deployment.declared import ROOT


def test_making_them_again_keeps_those_that_are_there(tmp_path: Path) -> None:
    folder = secret_files.write_compose(tmp_path)
    before = {file.name: file.read_text() for file in folder.iterdir()}

    secret_files.write_compose(tmp_path)

    assert {file.name: file.read_text() for file in folder.iterdir()} == before


def test_the_folder_is_closed_and_the_signing_key_too(tmp_path: Path) -> None:
    folder = secret_files.write_compose(tmp_path)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "token-issuer.json").stat().st_mode) == 0o600


def test_no_two_roles_share_a_password(tmp_path: Path) -> None:
    made = yaml.safe_load_all(secret_files.write_kubernetes(tmp_path).read_text())

    roles = {
        each["stringData"]["username"]: each["stringData"]["password"]
        for each in made
        if each["type"] == "kubernetes.io/basic-auth"
    }
    assert len(roles) == 2 * len(SERVICES)
    assert len(set(roles.values())) == len(roles)


def test_git_ignores_the_folder_of_secrets() -> None:
    assert f"{secret_files.FOLDER.name}/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_broker_reads_its_configuration() -> None:
    assert list(hygiene.broker_problems(ROOT / "deploy/nats")) == []


def test_a_broker_that_does_not_sync_or_cannot_be_read_is_found(tmp_path: Path) -> None:
    settings = (ROOT / "deploy/nats/nats.conf").read_text()
    (tmp_path / "nats.conf").write_text(settings.replace("sync_interval: always", "sync: often"))
    (tmp_path / "users.conf").write_text("accounts {")

    problems = list(hygiene.broker_problems(tmp_path))

    assert [problem for problem in problems if "sync_interval: always" in problem]
    assert [problem for problem in problems if "refuses its configuration" in problem]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("image: ghcr.io/cloudnative-pg/postgresql:18", "names the host ghcr.io"),
        ("-----BEGIN EC PRIVATE KEY-----", "looks like a secret"),
        ("url: postgresql+asyncpg://app:swordfish@postgres/app", "looks like a secret"),
        ('  password: "wJalrXUtnFEMIK7MDENG"', "looks like a secret"),
    ],
)
def test_hosts_of_registries_and_secrets_are_found(line: str, fault: str) -> None:
    [problem] = hygiene.text_problems("file.yaml", f"ok: true\n{line}\n")

    assert problem.startswith("file.yaml:2: ")
    assert fault in problem
