"""The probe as a process: what `run` makes of a service that declares almost nothing."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.schema import exception_note
from throughline_runtime.service import Service, run
from throughline_runtime.totals import ControlTotal


async def control_totals(tx: AsyncConnection) -> Sequence[ControlTotal]:
    notes = await tx.scalar(select(func.count()).select_from(exception_note))
    return [ControlTotal("notes", {"count": int(notes or 0)})]


if __name__ == "__main__":
    run(Service("runtime-probe", "runtime_probe", control_totals=control_totals))
