"""Baselines as rows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.baseline import Baseline, Item, ItemKind
from project_provisioning.repository.rows import Write, Writing
from throughline_runtime import audit

_baseline = tables.baseline

_ADD: Final = Writing(Write(_baseline))


async def latest(tx: AsyncConnection, project_id: UUID) -> Baseline | None:
    """Return a project's latest baseline, None before the first."""
    query = select(_baseline).where(_baseline.c.project_id == project_id)
    row = (await tx.execute(query.order_by(_baseline.c.number.desc()).limit(1))).one_or_none()
    return None if row is None else baseline_from(row)


async def latest_number(tx: AsyncConnection, project_id: UUID) -> int:
    """Return the number of a project's latest baseline, 0 before the first."""
    query = select(func.max(_baseline.c.number)).where(_baseline.c.project_id == project_id)
    return await tx.scalar(query) or 0


async def add_all(tx: AsyncConnection, baselines: list[Baseline]) -> None:
    """Write new baselines: one statement, however many."""
    await _ADD.save(tx, list(map(_values, baselines)))
    for baseline in baselines:
        audit.touch(tx, baseline.baseline_id, baseline.project_id)


def baseline_from(row: Row[Any]) -> Baseline:
    """Return the baseline a row holds."""
    return replace(header_from(row), items=tuple(map(_item_from, row.items)))


def header_from(row: Row[Any]) -> Baseline:
    """Return the baseline a row holds without its items, which may be no part of the row."""
    return Baseline(
        baseline_id=row.baseline_id,
        project_id=row.project_id,
        number=row.number,
        label=row.label,
        reason=row.reason,
        taken_on=row.taken_on,
        taken_by=row.taken_by,
        taken_at=row.taken_at,
        contract_version=row.contract_version,
        items=(),
    )


def _values(baseline: Baseline) -> dict[str, Any]:
    return {
        "baseline_id": baseline.baseline_id,
        "project_id": baseline.project_id,
        "number": baseline.number,
        "label": baseline.label,
        "reason": baseline.reason,
        "taken_on": baseline.taken_on,
        "taken_by": baseline.taken_by,
        "taken_at": baseline.taken_at,
        "contract_version": baseline.contract_version,
        "items": [_item_values(item) for item in baseline.items],
    }


def _item_values(item: Item) -> dict[str, Any]:
    return {"kind": item.kind, "key": item.key, "name": item.name, "figures": dict(item.figures)}


def _item_from(value: Mapping[str, Any]) -> Item:
    return Item(ItemKind(value["kind"]), value["key"], value["name"], value["figures"])
