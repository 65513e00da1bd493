"""Brings a database to its package's latest migration and grants the application role its due.

A service's `migrations/env.py` calls `run_environment(METADATA)` and does nothing else.
"""

from importlib.resources import files
from typing import Final

from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from throughline_runtime.schema import APPEND_ONLY

_LOCK: Final = 0x7468_726C  # Any number on which all migrators agree.
_LOCK_WAIT_SECONDS: Final = 60
# A migration that waits for a lock makes everybody queue behind it: it gives up and is run again.
_LOCK_TIMEOUT_SECONDS: Final = 5

_REFUSE_CHANGE: Final = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: corrections are new rows', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$
"""

_GRANT: Final = """
DO $$
DECLARE
    role     text := current_setting('throughline.application_role');
    relation record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', role);
    FOR relation IN
        SELECT oid::regclass AS name,
               relname = 'alembic_version' OR relkind IN ('v', 'm') AS is_read_only,
               coalesce(starts_with(obj_description(oid, 'pg_class'),
                                    current_setting('throughline.append_only')), false)
                   AS is_append_only
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, %I', relation.name, role);
        EXECUTE format('GRANT SELECT ON %s TO %I', relation.name, role);
        IF relation.is_append_only THEN
            EXECUTE format('GRANT INSERT ON %s TO %I', relation.name, role);
            EXECUTE format('CREATE OR REPLACE TRIGGER append_only '
                           'BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
                           'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', relation.name);
        ELSIF NOT relation.is_read_only THEN
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO %I', relation.name, role);
        END IF;
    END LOOP;
END
$$
"""


async def migrate(*, owner_url: str, application_url: str, package: str) -> None:
    """Run the package's migrations as the owner, then grant the application's role what it needs.

    The role may read and write ordinary tables, and only add to append-only ones. Safe to run at
    any time and from several machines at once: one of them works, the others wait for it.

    Raises:
        DBAPIError: a migration failed, or another migrator held the lock for a minute.
        ValueError: application and owner are the same role.
    """
    role = make_url(application_url).username
    if role is None or role == make_url(owner_url).username:
        raise ValueError("the application needs a role of its own, which owns nothing")
    engine = create_async_engine(owner_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await _lock(connection)
            await connection.run_sync(_upgrade, package)
            await _grant(connection, role)
    finally:
        await engine.dispose()


def run_environment(metadata: MetaData) -> None:
    """Run the migrations Alembic was asked for, each in a transaction of its own."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def assert_no_drift(engine: AsyncEngine, metadata: MetaData) -> None:
    """Check that the migrations made the tables the code declares.

    Raises:
        AssertionError: what differs, in Alembic's words.
    """
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences, metadata)
    if differences:
        raise AssertionError(
            "\n".join(map(str, ["tables.py and migrations differ:", *differences]))
        )


async def _lock(connection: AsyncConnection) -> None:
    await connection.execute(text(f"SET lock_timeout = '{_LOCK_WAIT_SECONDS}s'"))
    await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    await connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'"))
    # Both outlive the transaction; Alembic wants to begin its own.
    await connection.commit()


def _upgrade(connection: Connection, package: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files(package) / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _grant(connection: AsyncConnection, role: str) -> None:
    await connection.execute(text(_REFUSE_CHANGE))
    await connection.execute(
        text(
            "SELECT set_config('throughline.application_role', :role, true),"
            " set_config('throughline.append_only', :append_only, true)"
        ),
        {"role": role, "append_only": APPEND_ONLY},
    )
    await connection.exec_driver_sql(_GRANT)
    await connection.commit()


def _differences(connection: Connection, metadata: MetaData) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))
