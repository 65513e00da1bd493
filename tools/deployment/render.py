"""The files of a deployment that follow from what the services declare.

Each is written by the code that also sets up one machine, or from the same declarations, so that
the two cannot tell different stories.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import yaml

from throughline_cli.stack.broker import ADMINISTRATOR, User, administrator, service_user
from throughline_cli.stack.postgres import (
    DatabaseAccount,
    close_shared_databases,
    create_database,
    create_roles,
    limit_connections,
)
from throughline_cli.stack.services import ALL_SERVICES, SERVICES, ServiceSpec
from throughline_runtime.streams import Durable
from tools.deployment import declared, network

Documents = Sequence[Mapping[str, Any]]

ACCOUNT: Final = "firm"
"""The broker's account, as on one machine."""

REPLICAS: Final = (2, 4)
"""Servers, and consumers, of one service: at least and at most."""

CONNECTIONS: Final = 104
"""Of a service's role: five servers and five consumers at 8, three relays and schedulers at 4.
One pod of each is there only during an update."""

OWNER_CONNECTIONS: Final = 4

_LAG: Final = 2_000
"""Pending messages for which one consumer more is worth starting: some ten batches."""

_CPU_PERCENT: Final = 70

_HEADER: Final = (
    "Rendered by tools/render_deployment.py from what the services declare: do not edit."
)


def files() -> Mapping[Path, str]:
    """Return the text of each rendered file by its path from the root.

    Raises:
        StackFailure: a service cannot be imported.
    """
    return {
        Path("deploy/nats/users.conf"): broker_users(declared.durables()),
        Path("deploy/postgres/init.sql"): database_script(),
        Path("k8s/components/cloudnative-pg/databases.yaml"): _manifest(_databases()),
        Path("k8s/components/cloudnative-pg/roles.yaml"): _manifest([_cluster_roles()]),
        Path("k8s/components/hpa/autoscalers.yaml"): _manifest(_autoscalers()),
        Path("k8s/components/keda/scaledobjects.yaml"): _manifest(
            _scaled_objects(declared.durables())
        ),
        Path("k8s/components/network-policies/peers.yaml"): _manifest(
            network.peer_policies(declared.calls())
        ),
        Path("k8s/components/monitoring/alerts.yaml"): _manifest([_alerts()]),
    }


def stale(root: Path) -> Mapping[Path, str]:
    """Return the rendered files below `root` that are out of date, with the text they should have.

    Raises:
        StackFailure: a service cannot be imported.
    """
    return {
        path: text
        for path, text in files().items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    }


def broker_users(durables: Mapping[str, Sequence[Durable]]) -> str:
    """Return the broker's users and grants; passwords are variables of another file."""
    users = [administrator(f"${variable_of(ADMINISTRATOR)}")] + [
        service_user(name, f"${variable_of(name)}", durables=durables[name]) for name in durables
    ]
    blocks = "".join(_broker_user(user) for user in users)
    return (
        f"# {_HEADER}\n"
        "# A password for each: ADMINISTRATOR, BILLING_EVENT and so on.\n"
        "include passwords.conf\n\n"
        f"accounts {{\n  {ACCOUNT} {{\n    jetstream: enabled\n    users: [\n{blocks}    ]\n"
        "  }\n}\n"
    )


def variable_of(user: str) -> str:
    """Return the name of the configuration variable with a broker user's password."""
    return user.replace("-", "_").upper()


def _broker_user(user: User) -> str:
    def allow(subjects: Iterable[str]) -> str:
        lines = "".join(f'              "{subject}"\n' for subject in subjects)
        return f"{{\n            allow: [\n{lines}            ]\n          }}"

    return (
        "      {\n"
        f"        user: {user.name}\n"
        f"        password: {user.password}\n"
        "        permissions {\n"
        f"          publish {allow(user.publish)}\n"
        f"          subscribe {allow(user.subscribe)}\n"
        "        }\n"
        "      }\n"
    )


def database_script() -> str:
    """Return the psql script that makes databases and roles on a fresh server."""
    recorder = _Recorder()
    asyncio.run(_set_up_databases(cast(asyncpg.Connection, recorder)))
    variables = "".join(
        f"\\set {service.package} `cat /run/secrets/database-{service.name}`\n"
        f"\\set {service.package}_owner `cat /run/secrets/database-owner-{service.name}`\n"
        for service in SERVICES
    )
    return (
        f"-- {_HEADER}\n"
        "-- One database and two roles for each service: the owner migrates, the other one works.\n"
        f"\\set ON_ERROR_STOP on\n{variables}\n" + "".join(f"{each};\n" for each in recorder.said)
    )


async def _set_up_databases(connection: asyncpg.Connection) -> None:
    await close_shared_databases(connection)
    for service in SERVICES:
        # Where a password would stand, psql puts the variable, quoted.
        account = DatabaseAccount(
            service.package, f":'{service.package}'", f":'{service.package}_owner'"
        )
        await create_roles(connection, account)
        await limit_connections(connection, account)
        await create_database(connection, account)


class _Recorder:
    """Stands in for a connection to a fresh server, and notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def fetchval(self, statement: str, *arguments: Any) -> str | None:
        """Answer the two questions that are asked: how a statement is quoted, what exists."""
        if not statement.startswith("SELECT format("):
            return None
        template, names = arguments
        for name in names:
            place = min(at for at in (template.find("%I"), template.find("%L")) if at >= 0)
            quote = _identifier if template[place + 1] == "I" else _literal
            template = template[:place] + quote(name) + template[place + 2 :]
        return cast(str, template)

    async def execute(self, statement: str) -> None:
        self.said.append(statement)


def _identifier(name: str) -> str:
    return f'"{name}"'


def _literal(value: str) -> str:
    return value if value.startswith(":'") else f"'{value}'"


def _databases() -> Documents:
    return [
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Database",
            "metadata": {"name": service.name},
            "spec": {
                "cluster": {"name": "postgres"},
                "name": service.package,
                "owner": f"{service.package}_owner",
                "databaseReclaimPolicy": "retain",
            },
        }
        for service in SERVICES
    ]


def _cluster_roles() -> Mapping[str, Any]:
    """Return the part of the PostgreSQL cluster that lists roles, and lets each into its database.

    What is no role of that database is turned away before it can ask for anything.
    """
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "postgres"},
        "spec": {
            "managed": {"roles": [role for each in SERVICES for role in _roles(each)]},
            "postgresql": {
                "pg_hba": [
                    *(
                        f"hostssl {each.package} {each.package},{each.package}_owner"
                        " all scram-sha-256"
                        for each in SERVICES
                    ),
                    "host all all all reject",
                ]
            },
        },
    }


def _roles(service: ServiceSpec) -> Documents:
    return [
        {
            "name": name,
            "ensure": "present",
            "login": True,
            "connectionLimit": limit,
            "passwordSecret": {"name": f"postgres-{name.replace('_', '-')}"},
        }
        for name, limit in (
            (service.package, CONNECTIONS),
            (f"{service.package}_owner", OWNER_CONNECTIONS),
        )
    ]


def _autoscalers() -> Documents:
    names = [each.name if each.is_stateless else f"{each.name}-serve" for each in ALL_SERVICES]
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": REPLICAS[0],
                "maxReplicas": REPLICAS[1],
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": _CPU_PERCENT},
                        },
                    }
                ],
            },
        }
        for name in names
    ]


def _scaled_objects(durables: Mapping[str, Sequence[Durable]]) -> Documents:
    return [
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": f"{service}-consume"},
            "spec": {
                "scaleTargetRef": {"name": f"{service}-consume"},
                "minReplicaCount": REPLICAS[0],
                "maxReplicaCount": REPLICAS[1],
                "triggers": [_pending_messages(durable) for durable in of_service],
            },
        }
        for service, of_service in durables.items()
        if of_service
    ]


def _pending_messages(durable: Durable) -> Mapping[str, Any]:
    return {
        "type": "nats-jetstream",
        "metadata": {
            "natsServerMonitoringEndpoint": "nats.throughline.svc:8222",
            "account": ACCOUNT,
            "stream": durable.stream,
            "consumer": durable.name,
            # The scaler takes strings only.
            "lagThreshold": str(_LAG),
        },
    }


def _alerts() -> Mapping[str, Any]:
    rules = (declared.ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "throughline"},
        "spec": yaml.safe_load(rules),
    }


def _manifest(documents: Documents) -> str:
    text = yaml.safe_dump_all(documents, sort_keys=False, width=120)
    return f"# {_HEADER}\n{text}"
