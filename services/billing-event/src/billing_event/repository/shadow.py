"""Comparisons of rules: their runs, the work they look at, and what they find."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.job import RunStatus
from billing_event.domain.shadow import (
    Compared,
    ShadowRun,
    ShadowRunId,
    ShadowRunNotFound,
    ShadowScope,
)
from billing_event.repository import job
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_RUN: Final = tables.shadow_run

_ADD_DIFFERENCES: Final = tables.insert_of(tables.shadow_difference)

_NEXT: Final = text("""
    SELECT item.source_item_id, item.recorded_at
    FROM source_item AS item JOIN contract_state USING (contract_id)
    WHERE (item.recorded_at, item.source_item_id)
          > (CAST(:cursor_at AS timestamptz),
             coalesce(CAST(:cursor_id AS uuid), '00000000-0000-0000-0000-000000000000'))
      AND item.recorded_at <= :until
      AND item.is_billable AND item.contract_line_id IS NOT NULL
      AND (CAST(:contract_id AS uuid) IS NULL OR item.contract_id = CAST(:contract_id AS uuid))
      AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
           OR contract_state.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
      AND (CAST(:service_from AS date) IS NULL OR item.service_from >= :service_from)
      AND (CAST(:service_through AS date) IS NULL OR item.service_from <= :service_through)
    ORDER BY item.recorded_at, item.source_item_id LIMIT :limit
""")


class RunMovedOn(StaleVersion):
    """The run was stopped while a chunk of it was worked on; the chunk has no effect."""

    code = "shadow_run.moved_on"


async def add(tx: AsyncConnection, run: ShadowRun) -> None:
    """Store a new run."""
    scope = run.scope
    entities = scope.legal_entity_ids
    await tx.execute(
        insert(_RUN).values(
            shadow_run_id=run.shadow_run_id,
            version=run.version,
            name=run.name,
            rules=run.rules,
            contract_id=scope.contract_id,
            legal_entity_id=scope.legal_entity_id,
            legal_entity_ids=None if entities is None else list(entities),
            service_from=scope.service_from,
            service_through=scope.service_through,
            is_live=run.is_live,
            status=run.status,
            items_rated=0,
            items_different=0,
            totals={},
            cursor_at=run.cursor_at,
            started_by=run.started_by,
            started_at=run.started_at,
        )
    )
    audit.touch(tx, run.shadow_run_id)


async def get(tx: AsyncConnection, run_id: ShadowRunId, *, lock: bool = False) -> ShadowRun:
    """Return a run; with `lock` no chunk of it commits before this transaction.

    Raises:
        ShadowRunNotFound: there is none.
    """
    query = select(_RUN).where(_RUN.c.shadow_run_id == run_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise ShadowRunNotFound(f"shadow run {run_id} does not exist", field="shadow_run_id")
    return run_from(row)


async def running(tx: AsyncConnection) -> Sequence[ShadowRun]:
    """Return the runs that are worked on, oldest first."""
    query = select(_RUN).where(_RUN.c.status == RunStatus.RUNNING).order_by(_RUN.c.shadow_run_id)
    return [run_from(row) for row in await tx.execute(query)]


async def save(tx: AsyncConnection, run: ShadowRun) -> None:
    """Write the new status of a run.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    await job.save(tx, _RUN, run.shadow_run_id, run)


async def next_items(
    tx: AsyncConnection, run: ShadowRun, *, until: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return `source_item_id, recorded_at` of the next work to compare, as it was recorded."""
    scope = run.scope
    entities = scope.legal_entity_ids
    values = {
        "cursor_at": run.cursor_at,
        "cursor_id": run.cursor_id,
        "until": until,
        "contract_id": scope.contract_id,
        "legal_entity_ids": None if entities is None else list(entities),
        "service_from": scope.service_from,
        "service_through": scope.service_through,
        "limit": limit,
    }
    return (await tx.execute(_NEXT, values)).all()


async def add_differences(
    tx: AsyncConnection, run_id: ShadowRunId, found: Sequence[Compared]
) -> None:
    """Keep what came out differently."""
    items = [each.item for each in found]
    await tx.execute(
        _ADD_DIFFERENCES,
        {
            "shadow_run_id": [run_id] * len(found),
            "service_from": [item.service_from for item in items],
            "source_item_id": [item.source_item_id for item in items],
            "contract_id": [item.contract_id for item in items],
            "contract_line_id": [item.contract_line_id for item in items],
            "type": [item.type for item in items],
            "person_id": [item.person_id for item in items],
            "currency": [_currency(each) for each in found],
            "live_outcome": [each.live.kind for each in found],
            "live_amount": [each.live.amount and each.live.amount.amount for each in found],
            "live_quantity": [each.live.quantity for each in found],
            "live_explanation": [each.live.explanation for each in found],
            "shadow_outcome": [each.shadow.kind for each in found],
            "shadow_amount": [each.shadow.amount and each.shadow.amount.amount for each in found],
            "shadow_quantity": [each.shadow.quantity for each in found],
            "shadow_explanation": [each.shadow.explanation for each in found],
        },
    )


async def count(
    tx: AsyncConnection,
    run: ShadowRun,
    compared: Sequence[Compared],
    *,
    cursor_at: datetime,
    cursor_id: UUID | None,
) -> None:
    """Add what a chunk found, as the last thing its transaction does.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    totals = dict(run.totals or {})
    for each in compared:
        currency = _currency(each)
        if currency is None:
            continue
        live, shadow = totals.get(currency, (Decimal(0), Decimal(0)))
        live += each.live.amount.amount if each.live.amount else 0
        shadow += each.shadow.amount.amount if each.shadow.amount else 0
        totals[currency] = live, shadow
    written = await tx.execute(
        update(_RUN)
        .where(_RUN.c.shadow_run_id == run.shadow_run_id, _RUN.c.version == run.version)
        .values(
            items_rated=_RUN.c.items_rated + len(compared),
            items_different=_RUN.c.items_different + sum(each.is_different for each in compared),
            totals={key: [str(amount) for amount in pair] for key, pair in totals.items()},
            cursor_at=cursor_at,
            cursor_id=cursor_id,
        )
    )
    if written.rowcount != 1:
        raise RunMovedOn(f"shadow run {run.shadow_run_id} is no longer {run.status}")


def run_from(row: Row[Any]) -> ShadowRun:
    """Return the run a row of its table holds."""
    return ShadowRun(
        shadow_run_id=row.shadow_run_id,
        version=row.version,
        name=row.name,
        rules=row.rules,
        scope=ShadowScope(
            contract_id=row.contract_id,
            legal_entity_id=row.legal_entity_id,
            legal_entity_ids=row.legal_entity_ids,
            service_from=row.service_from,
            service_through=row.service_through,
        ),
        is_live=row.is_live,
        status=RunStatus(row.status),
        cursor_at=row.cursor_at,
        started_by=row.started_by,
        started_at=row.started_at,
        cursor_id=row.cursor_id,
        items_rated=row.items_rated,
        items_different=row.items_different,
        totals={
            key: (Decimal(live), Decimal(shadow)) for key, (live, shadow) in row.totals.items()
        },
        finished_at=row.finished_at,
    )


def _currency(each: Compared) -> str | None:
    amount = each.live.amount or each.shadow.amount
    return None if amount is None else amount.currency
