"""What the gateway's tests share: one running gateway for each module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from gateway_front import Front, open_front_with_peers

from throughline_runtime.telemetry import tracing


@pytest.fixture(scope="session", autouse=True)
def _traced() -> None:
    tracing.configure("gateway", "serve", "test")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    folder: Path = tmp_path_factory.mktemp("front")
    async with open_front_with_peers(folder) as front:
        yield front


@pytest.fixture
def front(running_front: Front) -> Front:
    """The module's gateway; its services answer with examples and have been asked nothing yet."""
    running_front.peers.answers.clear()
    running_front.peers.asked.clear()
    return running_front
