"""The servers of a test run: real, apart for each test, gone with the last process."""

import asyncpg
import nats
import pytest

from throughline_testing.broker import TestBroker
from throughline_testing.database import Database

pytestmark = pytest.mark.service("throughline-testing")


def _plain(url: str) -> str:
    return url.replace("+asyncpg", "")


@pytest.mark.parametrize("_time", range(2))
async def test_each_test_has_a_database_of_its_own(empty_database: Database, _time: int) -> None:
    owner = await asyncpg.connect(_plain(empty_database.owner_url))
    try:
        await owner.execute("CREATE TABLE note (text text)")
    finally:
        await owner.close()


async def test_the_application_role_owns_nothing(empty_database: Database) -> None:
    application = await asyncpg.connect(_plain(empty_database.url))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute("CREATE TABLE note (text text)")
    finally:
        await application.close()


@pytest.mark.parametrize("_time", range(2))
async def test_each_test_finds_the_broker_empty(broker: TestBroker, _time: int) -> None:
    connection = await nats.connect(broker.url, user=broker.user, password=broker.password)
    try:
        stream = await connection.jetstream().add_stream(name="NOTE", subjects=["note.>"])
        assert stream.state.messages == 0
        await connection.jetstream().publish("note.written", b"one")
    finally:
        await connection.close()
