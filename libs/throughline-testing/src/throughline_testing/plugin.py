"""The pytest plugin: the fixtures of `throughline_testing`, under their public names.

pytest loads it for every run, also where nothing of it is used. What a fixture needs is therefore
imported when the fixture is first asked for: unit tests start at once, and a part of the runtime
that does not import breaks the tests that need it and no others.
"""

# ruff: noqa: PLC0415

import os
import sys
from collections.abc import AsyncIterator, Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from throughline_testing.servers import RUN_VARIABLE, acquire, release, wait_gone

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from throughline_runtime.context import Context
    from throughline_runtime.settings import Settings
    from throughline_testing.broker import TestBroker
    from throughline_testing.database import Database
    from throughline_testing.serving import Running
    from throughline_testing.statements import Statements

_OWNS_RUN = pytest.StashKey[bool]()
_SAMPLES: Final = "throughline_testing.samples"


def pytest_configure(config: pytest.Config) -> None:
    """Name the run, for this process and the workers it starts."""
    config.addinivalue_line(
        "markers", "service(name): the service under test, where the test's folder does not say it"
    )
    if RUN_VARIABLE not in os.environ:
        os.environ[RUN_VARIABLE] = str(os.getpid())
        config.stash[_OWNS_RUN] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give up the servers; the process that named the run waits until nothing is left of it."""
    release()
    if config.stash.get(_OWNS_RUN, False):
        wait_gone()
        del os.environ[RUN_VARIABLE]


def pytest_runtest_setup() -> None:
    """Begin without agreed samples read."""
    if _SAMPLES in sys.modules:
        sys.modules[_SAMPLES].subjects_read.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say below a failure over an agreed sample who has to talk to whom."""
    report = yield
    if report.failed and _SAMPLES in sys.modules and "ContractBroken" not in report.longreprtext:
        samples = sys.modules[_SAMPLES]
        subjects = dict.fromkeys(samples.subjects_read)
        report.sections.extend(("contract", samples.parties(subject)) for subject in subjects)
    return report


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """The service under test ("billing-event"): by marker, else by the folder of the test."""
    marker = request.node.get_closest_marker("service")
    if marker is not None:
        return str(marker.args[0])
    parts = Path(request.node.path).parts
    if "services" in parts:
        return parts[parts.index("services") + 1]
    pytest.fail(f"{request.node.nodeid} names no service: mark it with @pytest.mark.service(...)")


@pytest.fixture
async def database(service: str) -> "AsyncIterator[Database]":
    """A database of the service, freshly migrated, for this test alone."""
    from throughline_testing.database import fresh_database

    async with fresh_database(acquire("postgres"), service) as database:
        yield database


@pytest.fixture
async def empty_database(service: str) -> "AsyncIterator[Database]":
    """A database of the service before any migration, for this test alone."""
    from throughline_testing.database import fresh_database

    async with fresh_database(acquire("postgres"), service, migrated=False) as database:
        yield database


@pytest.fixture
async def broker() -> "AsyncIterator[TestBroker]":
    """JetStream without any stream, for this test alone."""
    from throughline_testing.broker import fresh_broker

    async with fresh_broker(acquire("broker")) as broker:
        yield broker


@pytest.fixture
def peers() -> dict[str, str]:
    """The gRPC targets of the services that the one under test asks: none.

    A test that needs some overrides this with what `throughline_testing.serving` yields.
    """
    return {}


@pytest.fixture
def settings(
    service: str,
    database: "Database",
    peers: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> "Settings":
    """Settings of the service on its database, and on the broker if the test asks for one."""
    from throughline_testing.settings import make_settings

    values: dict[str, Any] = {
        "database_url": database.url,
        "database_owner_url": database.owner_url,
        "peers": peers,
        "clock_file": tmp_path / "clock",
    }
    if "broker" in request.fixturenames:
        broker: TestBroker = request.getfixturevalue("broker")
        values |= {
            "nats_url": broker.url,
            "nats_user": broker.user,
            "nats_password": broker.password,
            "nats_monitor_url": broker.monitor_url,
        }
    return make_settings(service, **values)


@pytest.fixture
async def engine(settings: "Settings") -> "AsyncIterator[AsyncEngine]":
    """The engine of the application role."""
    from throughline_runtime.database import create_engine

    engine = create_engine(settings)
    yield engine
    await engine.dispose()


@pytest.fixture
def statements(engine: "AsyncEngine") -> "Statements":
    """The statements that the test's engine sends."""
    from throughline_testing.statements import record_statements

    return record_statements(engine)


@pytest.fixture
async def context(settings: "Settings", engine: "AsyncEngine") -> "AsyncIterator[Context]":
    """What the service's own code is given to work with."""
    from throughline_testing.serving import make_context

    context = make_context(settings, engine)
    yield context
    await context.peers.close()


@pytest.fixture
def move_clock(settings: "Settings") -> Callable[[datetime], None]:
    """`move_clock(instant)` sets business time, which then goes on from there."""

    def move(instant: datetime) -> None:
        assert settings.clock_file is not None
        ahead = instant - datetime.now(UTC)
        settings.clock_file.write_text(str(round(ahead.total_seconds())))

    return move


@pytest.fixture
async def running(service: str, context: "Context") -> "AsyncIterator[Running]":
    """The service, served on loopback behind the same checks as in production."""
    from throughline_runtime.ownership import Ownership
    from throughline_testing.serving import declared_service, mounts_of, running_at, serving

    ownership = Ownership(context.engine)
    async with (
        serving(mounts_of(declared_service(service), context, ownership), ownership) as target,
        running_at(target) as running,
    ):
        yield running


@pytest.fixture
def sample() -> Callable[..., Any]:
    """`sample(MessageType)` returns the event agreed in proto/samples.

    A test that fails after reading one also says who publishes it and who consumes it.
    """
    from throughline_testing import samples

    return samples.sample
