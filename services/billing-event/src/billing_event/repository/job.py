"""Runs that are worked off chunk by chunk: how their status is written."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import Table, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.job import RunStatus
from throughline_core.errors import StaleVersion
from throughline_runtime import audit


class Run(Protocol):
    """What of a run its status consists of."""

    @property
    def version(self) -> int: ...
    @property
    def status(self) -> RunStatus: ...
    @property
    def finished_at(self) -> datetime | None: ...
    @property
    def name_in_words(self) -> str: ...


async def save(tx: AsyncConnection, table: Table, run_id: UUID, run: Run) -> None:
    """Write the new status of a run of a table whose key is one id.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    [key] = table.primary_key.columns
    written = await tx.execute(
        update(table)
        .where(key == run_id, table.c.version == run.version - 1)
        .values(version=run.version, status=run.status, finished_at=run.finished_at)
    )
    audit.touch(tx, run_id)
    if written.rowcount != 1:
        raise StaleVersion(f"{run.name_in_words} was changed meanwhile")
