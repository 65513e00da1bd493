"""What the roles of one service's database may do, and what they may not."""

import asyncpg
import pytest

from throughline_cli.stack.postgres import SUPERUSER
from throughline_testing.database import Database, fresh_database
from throughline_testing.servers import acquire

pytestmark = pytest.mark.service("toy-service")


@pytest.mark.parametrize("database", [SUPERUSER, "template1"])
async def test_a_role_enters_no_database_the_cluster_was_born_with(
    empty_database: Database, database: str
) -> None:
    url = _plain(empty_database.url).replace(f"/{empty_database.name}?", f"/{database}?")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(url)


async def test_neither_role_enters_the_database_of_another_service(
    empty_database: Database,
) -> None:
    async with fresh_database(acquire("postgres"), "other-service", migrated=False) as other:
        for mine in (empty_database.url, empty_database.owner_url):
            url = _plain(mine).replace(f"/{empty_database.name}?", f"/{other.name}?")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(url)


async def test_a_wrong_password_is_refused(empty_database: Database) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(_plain(empty_database.url), password="guessed")


async def test_the_application_role_owns_nothing_and_is_nobody(empty_database: Database) -> None:
    connection = await asyncpg.connect(_plain(empty_database.url))
    try:
        role = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        )
        assert not any(role.values())
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE note (text text)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TEMPORARY TABLE note (text text)")
    finally:
        await connection.close()


async def test_the_application_role_waits_for_nothing_long(empty_database: Database) -> None:
    connection = await asyncpg.connect(_plain(empty_database.url))
    try:
        limits = {
            name: await connection.fetchval(f"SHOW {name}")
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
            )
        }
    finally:
        await connection.close()

    assert limits == {
        "statement_timeout": "5s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "10s",
    }


async def test_the_owner_migrates_its_own_database(empty_database: Database) -> None:
    connection = await asyncpg.connect(_plain(empty_database.owner_url))
    try:
        await connection.execute("CREATE TABLE note (text text)")
    finally:
        await connection.close()


def _plain(url: str) -> str:
    return url.replace("+asyncpg", "")
