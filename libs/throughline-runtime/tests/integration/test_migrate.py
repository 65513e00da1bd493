"""A migrated database is what the code declares; its application may do no more than it must."""

import asyncio

import pytest
from runtime_probe.tables import METADATA
from sqlalchemy import Column, MetaData, Table, Text, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime import database
from throughline_runtime.database import sqlstate_of
from throughline_runtime.migrate import assert_no_drift, migrate
from throughline_testing.database import Database

PRIVILEGE_MISSING = "42501"
REFUSED_BY_TRIGGER = "23001"
APPEND_ONLY_TABLES = ("audit_entry", "audit_seal", "exception_note", "posting")
CHANGES = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
)
COLUMNS = {
    "audit_entry": "method",
    "audit_seal": "hash",
    "exception_note": "text",
    "posting": "posting_id",
}


async def sqlstate_of_running(engine: AsyncEngine, statement: str) -> str | None:
    with pytest.raises(DBAPIError) as failed:
        async with database.write(engine) as tx:
            await tx.execute(text(statement))
    return sqlstate_of(failed.value)


async def test_migrations_make_the_tables_the_code_declares(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, METADATA)


async def test_drift_is_named(engine: AsyncEngine) -> None:
    declared = MetaData()
    for table in METADATA.sorted_tables:
        table.to_metadata(declared)
    Table("effect", declared, Column("colour", Text), extend_existing=True)

    with pytest.raises(AssertionError, match="colour"):
        await assert_no_drift(engine, declared)


async def test_migrating_again_and_at_once_changes_nothing(
    probe_database: Database, engine: AsyncEngine
) -> None:
    again = migrate(
        owner_url=probe_database.owner_url,
        application_url=probe_database.url,
        package="runtime_probe",
    )
    at_once = migrate(
        owner_url=probe_database.owner_url,
        application_url=probe_database.url,
        package="runtime_probe",
    )

    await asyncio.gather(again, at_once)

    await assert_no_drift(engine, METADATA)


async def test_several_migrators_share_the_work(empty_database: Database) -> None:
    await asyncio.gather(
        *(
            migrate(
                owner_url=empty_database.owner_url,
                application_url=empty_database.url,
                package="runtime_probe",
            )
            for _ in range(3)
        )
    )


async def test_the_owner_is_not_the_application(probe_database: Database) -> None:
    with pytest.raises(ValueError, match="role of its own"):
        await migrate(
            owner_url=probe_database.owner_url,
            application_url=probe_database.owner_url,
            package="runtime_probe",
        )


@pytest.mark.parametrize("change", CHANGES)
async def test_nobody_changes_what_is_append_only(
    engine: AsyncEngine, owner_engine: AsyncEngine, change: str
) -> None:
    for table in APPEND_ONLY_TABLES:
        statement = change.format(table=table, column=COLUMNS[table])
        assert await sqlstate_of_running(engine, statement) == PRIVILEGE_MISSING
        assert await sqlstate_of_running(owner_engine, statement) == REFUSED_BY_TRIGGER


async def test_the_application_adds_to_append_only_tables_and_changes_others(
    engine: AsyncEngine,
) -> None:
    async with database.write(engine) as tx:
        await tx.execute(text("INSERT INTO posting (posting_id) VALUES (uuidv7())"))
        await tx.execute(text("INSERT INTO effect (aggregate_id, note) VALUES (uuidv7(), 'x')"))
        await tx.execute(text("UPDATE effect SET note = 'y'"))
        await tx.execute(text("DELETE FROM effect"))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "DROP TABLE effect",
        "TRUNCATE effect",
        "ALTER TABLE audit_entry DISABLE TRIGGER append_only",
        "UPDATE alembic_version SET version_num = '0'",
    ],
)
async def test_the_application_does_not_shape_its_database(
    engine: AsyncEngine, statement: str
) -> None:
    assert await sqlstate_of_running(engine, statement) == PRIVILEGE_MISSING
