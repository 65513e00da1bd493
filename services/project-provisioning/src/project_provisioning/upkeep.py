"""Periodic work on people and costs."""

from typing import Final

from project_provisioning.bulk import costing
from project_provisioning.repository import employment
from throughline_runtime.context import Context
from throughline_runtime.database import write
from throughline_runtime.schedule import Schedule

COST_WAITING_TIME: Final = "project-provisioning.cost-waiting-time"
_ROLL_SECONDS: Final = 600
_COST_SECONDS: Final = 300


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


SCHEDULES: Final = (
    Schedule("project-provisioning.roll-employments", _ROLL_SECONDS, roll_employments),
    Schedule(COST_WAITING_TIME, _COST_SECONDS, cost_waiting_time),
)
