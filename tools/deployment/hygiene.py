"""What no file of a deployment may hold: hosts of registries, secrets, leftovers."""

import re
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from throughline_cli.stack.broker import version_command
from throughline_cli.stack.secrets import Secrets
from tools.deployment import secret_files

_REGISTRY: Final = re.compile(
    r"\b(docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.k8s\.io|pypi\.org|pythonhosted\.org|npmjs\.org"
    r"|mcr\.microsoft\.com|public\.ecr\.aws|[\w-]+\.(pkg\.dev|azurecr\.io|amazonaws\.com))\b"
)
_SECRETS: Final = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    re.compile(r"://[^\s:/@$]+:[^\s:/@$]+@"),
    re.compile(
        r"(?i)\b(password|passwd|secret|token|api_?key)\b\"?\s*[:=]\s*\"?[\w+/-]{16,}\"?\s*$"
    ),
)


def text_problems(name: str, text: str) -> Iterator[str]:
    """Find in a file what would tie it to a place, or give somebody away."""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _REGISTRY.search(line):
            yield f"{name}:{number}: names the host {match[0]}"
        if any(pattern.search(line) for pattern in _SECRETS):
            yield f"{name}:{number}: looks like a secret"


def unused(folder: Path, used: Collection[Path]) -> Iterator[str]:
    """Find manifests that no overlay is made from."""
    for file in sorted(folder.rglob("*.yaml")):
        if file.resolve() not in used:
            yield f"{file}: no overlay uses it"


def broker_problems(folder: Path) -> Iterator[str]:
    """Have the server read its configuration, with passwords made up for it."""
    settings = (folder / "nats.conf").read_text(encoding="utf-8")
    if not re.search(r"^\s*sync_interval:\s*always$", settings, re.MULTILINE):
        yield "nats.conf: acknowledged messages are lost in a power cut: sync_interval: always"
    with TemporaryDirectory() as scratch:
        secrets = Secrets(Path(scratch))
        for name in ("nats.conf", "users.conf"):
            (Path(scratch) / name).write_bytes((folder / name).read_bytes())
        secrets.keep("passwords.conf", secret_files.broker_passwords(secrets))
        secrets.keep("routes.conf", secret_files.broker_routes(secrets))
        program = version_command()[0]
        command = [program, "--config", str(Path(scratch) / "nats.conf"), "-t"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"nats-server refuses its configuration: {done.stderr.strip()}"
