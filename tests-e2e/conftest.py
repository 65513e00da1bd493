"""One running platform for all stories: every service, the database, the broker, the vendors."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from e2e_platform import Platform
from e2e_practice import Practice
from e2e_sandbox import Sandbox, sandbox
from e2e_traces import TraceReceiver

from throughline_cli.stack import control
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.services import ALL_SERVICES
from throughline_cli.story.cast import Cast
from throughline_cli.story.teller import Teller
from throughline_cli.story.told import Told


@pytest.fixture(scope="session")
def traces() -> Iterator[TraceReceiver]:
    """Where every process sends its spans."""
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def platform(traces: TraceReceiver) -> Iterator[Platform]:
    """The whole platform in a temporary folder, ended with the session."""
    os.environ["THROUGHLINE_OTLP_ENDPOINT"] = traces.url
    with TemporaryDirectory(prefix="tl-e2e-", ignore_cleanup_errors=True) as scratch:
        layout = Layout.at(Path(scratch))
        state = control.start(layout, [each.name for each in ALL_SERVICES], sandbox=True)
        try:
            with Cast(layout) as cast:
                yield Platform(layout, state, cast)
        finally:
            control.stop(layout)
            del os.environ["THROUGHLINE_OTLP_ENDPOINT"]


@pytest.fixture(scope="session")
def proving_ground() -> Iterator[Sandbox]:
    """A second platform, for tests that break things; each makes a firm of its own on it."""
    with sandbox() as stack:
        yield stack


@pytest.fixture(scope="session")
def practice() -> Iterator[Practice]:
    """A firm on a third platform, whose clock stories move forward."""
    with sandbox() as stack:
        firm = Practice(stack)
        firm.stock_catalogue()
        yield firm
        firm.close()


@pytest.fixture(scope="session")
def teller(platform: Platform) -> Teller:
    return Teller(platform.layout, platform.state, platform.cast, time.monotonic())


@pytest.fixture(scope="session")
def told(teller: Teller) -> Told:
    """The demo story, told once on this platform."""
    for step in teller.steps():
        step.tell()
    return teller.told
