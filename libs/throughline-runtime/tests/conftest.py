"""What the runtime's tests share: a migrated database, and a broker with the probe's streams."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime.broker import Broker
from throughline_runtime.database import create_engine
from throughline_runtime.migrate import migrate
from throughline_runtime.streams import Sizing, apply, stream_of
from throughline_testing.broker import TestBroker
from throughline_testing.database import Database

sys.path.insert(0, str(Path(__file__).parent / "probe"))

from runtime_probe.support import SERVICE, Wire, settings_for


@pytest.fixture
def service() -> str:
    """The service whose databases the fixtures of `throughline_testing` make."""
    return SERVICE


@pytest.fixture
async def probe_database(empty_database: Database) -> Database:
    """A database with the runtime's tables and the probe's."""
    await migrate(
        owner_url=empty_database.owner_url,
        application_url=empty_database.url,
        package="runtime_probe",
    )
    return empty_database


@pytest.fixture
async def engine(probe_database: Database) -> AsyncIterator[AsyncEngine]:
    """The application role's engine on the probe's database."""
    engine = create_engine(settings_for(database_url=probe_database.url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def owner_engine(probe_database: Database) -> AsyncIterator[AsyncEngine]:
    """The owner's engine on the probe's database: for what an application cannot do."""
    engine = create_engine(settings_for(database_url=probe_database.owner_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def jetstream(broker: TestBroker) -> AsyncIterator[JetStreamContext]:
    """An administrator's JetStream, with the stream the probe's events go to."""
    connection = await nats.connect(broker.url, user=broker.user, password=broker.password)
    context = connection.jetstream()
    await apply(context, [stream_of("customer-contract")], [], Sizing())
    yield context
    await connection.close()


@pytest.fixture
async def wire(broker: TestBroker) -> AsyncIterator[Wire]:
    """The line between the process under test and the broker."""
    wire = Wire(int(broker.url.rpartition(":")[2]))
    await wire.mend()
    yield wire
    await wire.cut()


@pytest.fixture
async def connection(
    broker: TestBroker, wire: Wire, jetstream: JetStreamContext
) -> AsyncIterator[Broker]:
    """A process's connection to the broker, over the wire."""
    closed: list[str] = []
    connection = Broker(
        settings_for(
            nats_url=f"nats://127.0.0.1:{wire.port}",
            nats_user=broker.user,
            nats_password=broker.password,
            nats_monitor_url=broker.monitor_url,
        ),
        on_closed=lambda: closed.append("closed"),
    )
    connection.start()
    assert await connection.wait_connected(timeout_seconds=10)
    yield connection
    await connection.close()
    assert closed == []
