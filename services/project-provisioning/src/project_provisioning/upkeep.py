"""Periodic work on people and costs, and on open projects that follow what they depend on."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk import costing
from project_provisioning.commands import following, handover, party_watch
from project_provisioning.repository import employment
from throughline_runtime import audit
from throughline_runtime.context import Context
from throughline_runtime.database import write
from throughline_runtime.schedule import Schedule

COST_WAITING_TIME: Final = "project-provisioning.cost-waiting-time"
FOLLOW_PARTIES: Final = "project-provisioning.follow-parties"
HAND_OVER: Final = "project-provisioning.hand-over-projects"
_ROLL_SECONDS: Final = 600
_COST_SECONDS: Final = 300
_FOLLOW_SECONDS: Final = 10
_HAND_OVER_SECONDS: Final = 30


async def roll_employments(context: Context) -> None:
    """Let lists show people by the employment of today."""
    async with write(context.engine) as tx:
        await employment.roll(tx, today=context.clock.today("UTC"))


async def cost_waiting_time(context: Context) -> None:
    """Cost approved entries whose cost has become known since."""
    after = None
    while True:
        async with write(context.engine) as tx:
            after = await costing.record_waiting(tx, after=after)
        if after is None:
            return


async def follow_parties(context: Context) -> None:
    """Let open projects follow their customers and companies, and tell of what stopped."""
    while True:
        async with write(context.engine) as tx:
            more = await following.follow_next(tx, at=context.clock.now())
            await _note(tx, FOLLOW_PARTIES)
        if not more:
            break
    async with write(context.engine) as tx:
        await party_watch.watch(tx, at=context.clock.now())


async def hand_over_projects(context: Context) -> None:
    """Let projects follow the hand-overs whose day has come."""
    while True:
        async with write(context.engine) as tx:
            today = context.clock.today("UTC")
            more = await handover.advance_next(tx, at=context.clock.now(), today=today)
            await _note(tx, HAND_OVER)
        if not more:
            return


async def _note(tx: AsyncConnection, job: str) -> None:
    if audit.touched(tx).aggregate_ids:
        await audit.note(tx, job)


SCHEDULES: Final = (
    Schedule("project-provisioning.roll-employments", _ROLL_SECONDS, roll_employments),
    Schedule(COST_WAITING_TIME, _COST_SECONDS, cost_waiting_time),
    Schedule(FOLLOW_PARTIES, _FOLLOW_SECONDS, follow_parties),
    Schedule(HAND_OVER, _HAND_OVER_SECONDS, hand_over_projects),
)
