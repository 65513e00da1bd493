"""The secrets of a deployment: made at random once, kept in a folder that git ignores."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from throughline_cli.stack.broker import ADMINISTRATOR
from throughline_cli.stack.layout import write_secret
from throughline_cli.stack.secrets import Secrets
from throughline_cli.stack.services import SERVICES, ServiceSpec
from tools.deployment.render import variable_of

FOLDER: Final = Path("deploy/.throughline")
"""Looks to the `throughline` command like the folder of a stack, so that it can mint tokens."""

KUBERNETES_FOLDER: Final = FOLDER / "kubernetes"
MANIFEST: Final = KUBERNETES_FOLDER / "secrets.yaml"

BROKER_SERVERS: Final = ("nats-0.nats", "nats-1.nats", "nats-2.nats")

MADE_ELSEWHERE: Final = frozenset(
    {
        "connectors-vendors",  # by the firm: credentials of its outside systems
        "gateway-tls",  # by the firm: the certificate that clients see
        "postgres-backup-store",  # by the firm: the keys of the backups' bucket
        "postgres-ca",  # by the database operator
    }
)

Manifest = Mapping[str, Any]


def write_compose(root: Path) -> Path:
    """Make what docker-compose.yml mounts, and return the folder.

    Containers run as another user than who calls this: the files are open to all, and the folder
    around them is closed.
    """
    folder = root / FOLDER / "secrets"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (root / FOLDER / "vendors").mkdir(exist_ok=True)
    secrets = Secrets(folder)
    secrets.issuer.prepare()
    for service in SERVICES:
        for role, url in (("database", "database-url"), ("database-owner", "database-owner-url")):
            value = database_url(service, secrets, role=role, host="postgres")
            secrets.keep(f"{url}-{service.name}", value)
    for name in ("postgres-superuser", "caller-key", "grafana-administrator"):
        secrets.file(name)
    secrets.keep("nats-passwords.conf", broker_passwords(secrets))
    secrets.keep("nats-routes.conf", broker_routes(secrets))
    for file in folder.iterdir():
        if file != secrets.issuer.key_file:
            file.chmod(0o444)
    return folder


def write_kubernetes(root: Path) -> Path:
    """Make the Secret objects that the manifests refer to, and return their file."""
    folder = root / KUBERNETES_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    objects = list(kubernetes_secrets(Secrets(folder)))
    write_secret(root / MANIFEST, yaml.safe_dump_all(objects, sort_keys=False))
    return root / MANIFEST


def kubernetes_secrets(secrets: Secrets) -> Iterator[Manifest]:
    """Return the Secret objects of a cluster."""
    yield _secret("caller-key", {"caller-key": secrets.value("caller-key")})
    yield _secret("nats-administrator", {"password": secrets.value(f"nats-{ADMINISTRATOR}")})
    yield _secret(
        "nats-passwords",
        {"passwords.conf": broker_passwords(secrets), "routes.conf": broker_routes(secrets)},
    )
    for service in SERVICES:
        urls = {
            role: database_url(service, secrets, role=role, host="postgres-rw") + "?ssl=verify-full"
            for role in ("database", "database-owner")
        }
        password = secrets.value(f"nats-{service.name}")
        own = {"database-url": urls["database"], "nats-password": password}
        yield _secret(f"{service.name}-secrets", own)
        yield _secret(f"{service.name}-owner", {"database-owner-url": urls["database-owner"]})
        yield _role_secret(service.package, secrets.value(f"database-{service.name}"))
        owner_password = secrets.value(f"database-owner-{service.name}")
        yield _role_secret(f"{service.package}_owner", owner_password)


def database_url(service: ServiceSpec, secrets: Secrets, *, role: str, host: str) -> str:
    """Return the URL of a service's database for its role `database` or `database-owner`."""
    user = service.package if role == "database" else f"{service.package}_owner"
    password = secrets.value(f"{role}-{service.name}")
    return f"postgresql+asyncpg://{user}:{password}@{host}:5432/{service.package}"


def broker_passwords(secrets: Secrets) -> str:
    """Return the variables that the broker's `users.conf` refers to."""
    users = (ADMINISTRATOR, *(service.name for service in SERVICES))
    return "".join(f'{variable_of(user)}: "{secrets.value(f"nats-{user}")}"\n' for user in users)


def broker_routes(secrets: Secrets) -> str:
    """Return the variables by which the broker's servers find and trust each other."""
    password = secrets.value("nats-route")
    routes = ", ".join(f'"nats://route:{password}@{server}:6222"' for server in BROKER_SERVERS)
    return f'ROUTE_PASSWORD: "{password}"\nROUTES: [{routes}]\n'


def _role_secret(role: str, password: str) -> Manifest:
    return _secret(
        f"postgres-{role.replace('_', '-')}",
        {"username": role, "password": password},
        kind="kubernetes.io/basic-auth",
        # The operator takes a changed password over at once.
        labels={"cnpg.io/reload": "true"},
    )


def _secret(
    name: str,
    values: Mapping[str, str],
    *,
    kind: str = "Opaque",
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    metadata: dict[str, Any] = {"name": name, "namespace": "throughline"}
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": metadata,
        "stringData": dict(values),
    }
