"""The database: its engine, its transactions, and what its errors mean to a caller."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import TextClause, event, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from throughline_core.errors import Aborted, InvalidArgument, Refusal, Unavailable
from throughline_runtime import guard
from throughline_runtime.settings import Settings
from throughline_runtime.telemetry import tracing

STATEMENT_TIMEOUT_SECONDS: Final = 5
SURVEY_SECONDS: Final = 40
LOCK_TIMEOUT_SECONDS: Final = 2
IDLE_IN_TRANSACTION_SECONDS: Final = 10
POOL_TIMEOUT_SECONDS: Final = 5
# Backstop for a server that answers nothing at all; batch roles may run statements this long.
_COMMAND_TIMEOUT_SECONDS: Final = 120
_PING_AFTER_IDLE_SECONDS: Final = 1.0
_CHUNK_ROWS: Final = 5_000
_SURVEY_MEMORY: Final = "64MB"
_SURVEY: Final = text("""
    SELECT set_config('statement_timeout', :timeout, true), set_config('work_mem', :memory, true)
""")
# character_not_in_repertoire
_UNTRANSLATABLE: Final = "22021"

# SQLSTATE classes and codes (PostgreSQL 18, appendix A) by what the caller should do.
_CONTENDED: Final = ("40001", "40P01", "55P03")
_OVERLOADED: Final = ("57014", "25P03", "25P04")
_UNAVAILABLE: Final = ("08", "53", "57P", "58")
_SESSION_ENDED: Final = ("08", "57P", "25P")
_READ_ONLY: Final = "25006"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, is restarting, or is out of connections, memory or disk."""

    code = "database.unavailable"


class DatabaseOverloaded(Unavailable):
    """The database answers, but not within the time a statement or a connection may take."""

    code = "database.overloaded"


class UnstorableText(InvalidArgument):
    """A text holds U+0000, which PostgreSQL keeps in no text."""

    code = "request.unstorable_text"


class Contended(Aborted):
    """Another transaction held the rows too long, or won a deadlock; nothing was changed."""

    code = "database.contended"


def create_engine(settings: Settings) -> AsyncEngine:
    """Return the engine of the application role, with the time-outs each statement runs under.

    Raises:
        ValueError: the settings name no database.
    """
    if settings.database_url is None:
        raise ValueError(f"{settings.service} was given no database_url")
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        # The text of an error would quote rows: amounts, names, whole requests.
        hide_parameters=True,
        connect_args={
            "timeout": POOL_TIMEOUT_SECONDS,
            "command_timeout": _COMMAND_TIMEOUT_SECONDS,
            "server_settings": {
                "application_name": f"throughline {settings.service}",
                "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
                "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
                # Compiling costs more than these short statements take.
                "jit": "off",
            },
        },
    )
    _ping_after_idling(engine)
    return engine


def _ping_after_idling(engine: AsyncEngine) -> None:
    """Ping a connection that lay idle before it is used again.

    `pool_pre_ping` does so on each use, at three round trips a transaction: a third of the whole
    cost of a short one.
    """
    pool, dialect = engine.sync_engine.pool, engine.dialect

    @event.listens_for(pool, "checkin")
    def note_time(_connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("idle_since", 0.0) < _PING_AFTER_IDLE_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except Exception as error:
            raise exc.InvalidatePoolError("the connection died while idle") from error


@asynccontextmanager
async def write(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction at READ COMMITTED; it commits when the block ends, else rolls back.

    Raises:
        DatabaseUnavailable, DatabaseOverloaded, Contended: in place of the driver's errors. After
            one of them the commit may or may not have happened.
    """
    async with _connect(engine) as connection:
        try:
            with guard.transaction():
                async with connection.begin():
                    yield connection
            callbacks = _AFTER_COMMIT.get(connection, [])
        except (exc.DBAPIError, asyncpg.PostgresError) as error:
            if sqlstate_of(error) == _READ_ONLY:
                # A primary that another server has taken over from.
                raise _unreachable() from error
            raise
        finally:
            _AFTER_COMMIT.pop(connection, None)
    for callback in callbacks:
        callback()


@asynccontextmanager
async def read(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction in which all statements see one snapshot.

    Raises:
        DatabaseUnavailable, DatabaseOverloaded, Contended: in place of the driver's errors.
    """
    async with _connect(engine) as connection:
        await connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with guard.transaction():
            async with connection.begin():
                yield connection


@asynccontextmanager
async def survey(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction of `read` for sums over whole tables.

    Its statements may take `SURVEY_SECONDS`, and the memory to join millions of rows by hashes:
    without it they are walked through in the order of an index, at random all over the disk.

    Raises:
        DatabaseUnavailable, DatabaseOverloaded, Contended: in place of the driver's errors.
    """
    async with read(engine) as tx:
        await tx.execute(_SURVEY, {"timeout": f"{SURVEY_SECONDS}s", "memory": _SURVEY_MEMORY})
        yield tx


@asynccontextmanager
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Hold one connection outside any transaction: each statement commits by itself.

    Raises:
        DatabaseUnavailable, DatabaseOverloaded, Contended: in place of the driver's errors.
    """
    async with _connect(engine) as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


async def fetch(tx: AsyncConnection, statement: str, *values: object) -> Sequence[asyncpg.Record]:
    """Run a statement of the hot path within `tx` and return its rows; values are `$1`, `$2` ….

    It goes to the driver: SQLAlchemy's way there costs more than many of these statements. Errors
    are the driver's own, which `write`, `read` and `session` know as well as SQLAlchemy's.
    """
    driver = await driver_of(tx)
    with tracing.sql_span(statement):
        rows: Sequence[asyncpg.Record] = await driver.fetch(statement, *values)
    return rows


async def driver_of(tx: AsyncConnection) -> asyncpg.Connection:
    """Return the driver's connection under `tx`, its transaction begun."""
    assert tx.sync_connection is not None, "the connection was opened by this module"
    adapted: Any = tx.sync_connection.connection.dbapi_connection
    driver: asyncpg.Connection = adapted.driver_connection
    if not driver.is_in_transaction():
        # SQLAlchemy begins with its own first statement, this way. A statement of its own that does
        # nothing would cost a round trip in every transaction.
        try:
            await adapted._start_transaction()
        except adapted.dbapi.Error as error:
            # Made for SQLAlchemy to wrap; the driver's own is the one that is read here.
            raise error.__cause__ or error from None
    return driver


async def is_reachable(engine: AsyncEngine) -> bool:
    """Whether the database takes a connection and answers now."""
    try:
        async with session(engine) as connection:
            await connection.execute(text("SELECT 1"))
    except Refusal:
        return False
    return True


async def delete_in_chunks(engine: AsyncEngine, statement: TextClause, **values: object) -> int:
    """Run a DELETE that stops at `:limit` rows, each chunk in its own transaction, until done.

    Returns the number of rows deleted.
    """
    deleted = 0
    while True:
        async with write(engine) as tx:
            chunk = (await tx.execute(statement, {**values, "limit": _CHUNK_ROWS})).rowcount
        deleted += chunk
        if chunk < _CHUNK_ROWS:
            return deleted


_AFTER_COMMIT: Final[WeakKeyDictionary[AsyncConnection, list[Callable[[], None]]]] = (
    WeakKeyDictionary()
)


def after_commit(tx: AsyncConnection, callback: Callable[[], None]) -> None:
    """Call `callback` once the transaction of `write` has committed; never if it rolls back."""
    _AFTER_COMMIT.setdefault(tx, []).append(callback)


@asynccontextmanager
async def _connect(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (exc.SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
            raise refusal_of(error) or _unreachable() from error
        try:
            yield connection
        except Exception as error:
            if _is_broken(error) or (sqlstate_of(error) or "").startswith(_SESSION_ENDED):
                await connection.invalidate()
            if (refusal := refusal_of(error)) is not None:
                raise refusal from error
            raise


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal a database error means to a caller, None when it is a bug.

    An error that is no database error gives None as well.
    """
    if isinstance(error, exc.TimeoutError):
        return DatabaseOverloaded("no database connection was free in time")
    if (state := sqlstate_of(error)) is not None:
        if state.startswith(_CONTENDED):
            return Contended("other transactions work on the same rows", advice="try again")
        if state == _UNTRANSLATABLE:
            return UnstorableText(
                "a text holds a character that cannot be stored",
                advice="remove the null character (U+0000) and send again",
            )
        if state.startswith(_OVERLOADED):
            return DatabaseOverloaded("the database took too long", advice="ask for less at once")
        return _unreachable() if state.startswith(_UNAVAILABLE) else None
    return _unreachable() if _is_broken(error) else None


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of a database error, None if the server sent none."""
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    return state if isinstance(state, str) else None


def _unreachable() -> DatabaseUnavailable:
    return DatabaseUnavailable("the database is out of reach", advice="try again in a moment")


def _is_broken(error: BaseException) -> bool:
    """Whether the connection may be unusable: the driver failed rather than the statement."""
    if isinstance(error, exc.DBAPIError):
        if error.connection_invalidated:
            return True
        cause = error.orig.__cause__ if error.orig is not None else None
        return cause is not None and _is_broken(cause)
    if isinstance(error, asyncpg.InterfaceError):
        # A value the driver could not encode is an InterfaceError by class, a bug by nature.
        return not isinstance(error, ValueError)
    return isinstance(error, asyncpg.InternalClientError | ConnectionError | TimeoutError)
