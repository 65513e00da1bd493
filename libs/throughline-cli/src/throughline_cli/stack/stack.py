"""One stack put together: its servers, the services' environments and the order of its start."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from throughline_cli.stack.broker import (
    ADMINISTRATOR,
    Account,
    Broker,
    User,
    administrator,
    service_user,
)
from throughline_cli.stack.layout import Layout, choose_ports
from throughline_cli.stack.postgres import (
    CONNECTIONS_PER_SERVICE,
    DatabaseAccount,
    Postgres,
    close_shared_databases,
    create_database,
    create_roles,
    limit_connections,
)
from throughline_cli.stack.program import Program
from throughline_cli.stack.programs import (
    migration_program,
    service_program,
    simulators_program,
)
from throughline_cli.stack.secrets import AUDIENCE, ISSUER, Secrets
from throughline_cli.stack.services import GATEWAY, ServiceSpec
from throughline_cli.stack.topology import Declared, apply_topology, declared, jetstream
from throughline_runtime.streams import Sizing

PRODUCTION: Final = "production"
SANDBOX: Final = "sandbox"

_SPARE_CONNECTIONS: Final = 32
"""For migrations, people and the superuser."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs in one folder."""

    layout: Layout
    services: tuple[ServiceSpec, ...]
    sandbox: bool
    ports: Mapping[str, int]
    secrets: Secrets
    postgres: Postgres
    broker: Broker
    durables: Declared

    @classmethod
    def prepare(cls, layout: Layout, services: Sequence[ServiceSpec], *, sandbox: bool) -> "Stack":
        """Make folders, secrets and ports, and write the servers' configurations.

        Raises:
            StackFailure: something of the machine is in the way; the message names it.
        """
        layout.prepare()
        secrets = Secrets(layout.secrets)
        secrets.issuer.prepare()
        ports = choose_ports(layout, _port_names(services))
        stores = sum(not service.is_stateless for service in services)
        postgres = Postgres(
            layout.postgres,
            secrets.value("postgres-superuser"),
            max_connections=CONNECTIONS_PER_SERVICE * stores + _SPARE_CONNECTIONS,
        )
        postgres.initialise()
        durables = declared(services)
        account = Account("firm", _users(services, durables, secrets))
        broker = Broker(layout.broker, ports["nats"], ports["nats-monitor"], (account,))
        broker.initialise()
        return cls(layout, tuple(services), sandbox, ports, secrets, postgres, broker, durables)

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['gateway-public']}"

    async def prepare_databases(self) -> None:
        """Give each service its database and its two roles, which can reach no other."""
        connection = await self.postgres.connect()
        try:
            await close_shared_databases(connection)
            for service in self.services:
                if not service.is_stateless:
                    account = self._account(service)
                    await create_roles(connection, account)
                    await limit_connections(connection, account)
                    await create_database(connection, account)
        finally:
            await connection.close()

    def migrations(self) -> list[Program]:
        """Return what brings each database to its newest schema, run by its owner."""
        programs = []
        for service in self.services:
            if not service.is_stateless:
                account = self._account(service)
                owner_url = self.postgres.url(
                    user=account.owner, password=account.owner_password, database=account.service
                )
                file = self.secrets.keep(f"database-owner-url-{service.name}", owner_url)
                environment = self.environment(service)
                environment["THROUGHLINE_DATABASE_OWNER_URL_FILE"] = str(file)
                log = self.layout.log_of(f"{service.name}-migrate")
                programs.append(migration_program(service, environment, log))
        return programs

    async def apply_streams(self) -> None:
        """Create or adjust the streams and durables of the services that run."""
        password = self.secrets.value(f"nats-{ADMINISTRATOR}")
        async with jetstream(self.broker.url, user=ADMINISTRATOR, password=password) as context:
            durables = list(chain.from_iterable(self.durables.values()))
            await apply_topology(context, durables, Sizing())

    def program(self, service: ServiceSpec) -> Program:
        """Return the process of a service."""
        return service_program(
            service,
            self.environment(service),
            self.layout.log_of(service.name),
            http_port=self.ports[f"{service.name}-http"],
        )

    def simulators(self) -> Program:
        """Return the process of the vendors' stand-ins."""
        return simulators_program(
            self.layout.simulators,
            self.layout.log_of("simulators"),
            port=self.ports["simulators"],
        )

    def environment(self, service: ServiceSpec) -> dict[str, str]:
        """Return the settings of a service; its secrets are named by files."""
        values = {
            "SERVICE": service.name,
            "ENVIRONMENT": SANDBOX if self.sandbox else PRODUCTION,
            "HTTP_ADDRESS": f"127.0.0.1:{self.ports[f'{service.name}-http']}",
            "PEERS": json.dumps(self._peers()),
            "CALLER_KEY_FILE": str(self.secrets.file("caller-key")),
            # Nobody here waits for the news that a service is about to leave.
            "LEAVE_SECONDS": "0",
            "SECRETS_DIR": str(self.layout.vendor_secrets),
        }
        if self.sandbox:
            values["CLOCK_FILE"] = str(self.layout.clock)
        values |= self._front_door() if service == GATEWAY else self._stores(service)
        return {f"THROUGHLINE_{name}": value for name, value in values.items()}

    def _stores(self, service: ServiceSpec) -> dict[str, str]:
        """Return where a service serves its peers, and its database and broker."""
        account = self._account(service)
        url = self.postgres.url(
            user=account.service, password=account.password, database=account.service
        )
        return {
            "GRPC_ADDRESS": f"127.0.0.1:{self.ports[f'{service.name}-grpc']}",
            "DATABASE_URL_FILE": str(self.secrets.keep(f"database-url-{service.name}", url)),
            "NATS_URL": self.broker.url,
            "NATS_USER": service.name,
            "NATS_PASSWORD_FILE": str(self.secrets.file(f"nats-{service.name}")),
            "NATS_MONITOR_URL": self.broker.monitor_url,
        }

    def _front_door(self) -> dict[str, str]:
        """Return where the gateway meets clients, and whose tokens it takes."""
        return {
            "LISTEN_ADDRESS": f"127.0.0.1:{self.ports['gateway-public']}",
            "TOKEN_ISSUER": ISSUER,
            "TOKEN_AUDIENCE": AUDIENCE,
            "TOKEN_JWKS": str(self.secrets.issuer.jwks_file),
        }

    def _peers(self) -> Mapping[str, str]:
        return {
            service.name: f"dns:///127.0.0.1:{self.ports[f'{service.name}-grpc']}"
            for service in self.services
            if not service.is_stateless
        }

    def _account(self, service: ServiceSpec) -> DatabaseAccount:
        return DatabaseAccount(
            service.package,
            self.secrets.value(f"database-{service.name}"),
            self.secrets.value(f"database-owner-{service.name}"),
        )


def _users(
    services: Sequence[ServiceSpec], durables: Declared, secrets: Secrets
) -> tuple[User, ...]:
    of_services = (
        service_user(
            service.name,
            secrets.value(f"nats-{service.name}"),
            durables=durables[service.name],
        )
        for service in services
        if not service.is_stateless
    )
    return (administrator(secrets.value(f"nats-{ADMINISTRATOR}")), *of_services)


def _port_names(services: Sequence[ServiceSpec]) -> list[str]:
    names = ["nats", "nats-monitor", "simulators", "gateway-public"]
    return names + [f"{service.name}-{kind}" for service in services for kind in ("grpc", "http")]
