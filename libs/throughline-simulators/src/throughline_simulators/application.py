"""The whole process as one ASGI application: every vendor under its prefix, and the controls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from throughline_simulators.clock import Clock
from throughline_simulators.gate import CommitFirst
from throughline_simulators.salesforce.control import salesforce
from throughline_simulators.store import Store
from throughline_simulators.stripe.control import stripe
from throughline_simulators.vendor import shared_controls


class ClockOffset(BaseModel):
    """How far the vendors live ahead of real time."""

    model_config = ConfigDict(extra="forbid")

    offset_seconds: int = Field(ge=-(10**9), le=10**9)


def create_application(data: Path | None = None) -> FastAPI:
    """Return the application; its state is kept in the file `data`, or only in memory."""
    store = Store(data)
    clock = Clock(store)
    org = salesforce(store, clock)
    account, webhooks = stripe(store, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        deliveries = asyncio.create_task(webhooks.run())
        yield
        deliveries.cancel()
        with suppress(asyncio.CancelledError):
            await deliveries
        store.close()

    controls = FastAPI(
        title="Controls of the simulated vendors",
        version=version("throughline-simulators"),
        docs_url=None,
        redoc_url=None,
    )
    controls.include_router(_clock_controls(clock))
    for shared in (shared_controls(org), shared_controls(account)):
        controls.include_router(shared)
    for own in (org.controls, account.controls):
        controls.include_router(own)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.mount("/_control", CommitFirst(controls, store))
    app.mount("/salesforce", org.app)
    app.mount("/stripe", account.app)
    return app


def _clock_controls(clock: Clock) -> APIRouter:
    router = APIRouter(tags=["clock"])

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Answer as soon as the vendors do."""
        return {"status": "ready"}

    @router.get("/clock")
    async def show_clock() -> ClockOffset:
        """Show how far the vendors live ahead of real time."""
        return ClockOffset(offset_seconds=clock.offset_seconds)

    @router.put("/clock")
    async def move_clock(offset: ClockOffset) -> ClockOffset:
        """Let the vendors' stamps run ahead of real time; webhook signatures stay real."""
        clock.move(offset_seconds=offset.offset_seconds)
        return offset

    return router
