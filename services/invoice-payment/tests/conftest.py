"""What the tests on a database share."""

import pytest
from invoice_payment_world import World
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime.context import Context


@pytest.fixture
def bare_world(context: Context, engine: AsyncEngine) -> World:
    """The service before anything was told to it."""
    return World(context, engine)


@pytest.fixture
async def world(bare_world: World) -> World:
    """The firm of the samples: an entity, a customer, a contract and a tax rule."""
    await bare_world.found()
    return bare_world
