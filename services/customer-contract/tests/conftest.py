"""What the tests of the running service share."""

import pytest
from customer_contract_world import World, found
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_testing.serving import Running


@pytest.fixture
async def world(running: Running, engine: AsyncEngine) -> World:
    """A firm with one German company, its customer and its catalogue."""
    return await found(running, engine)
