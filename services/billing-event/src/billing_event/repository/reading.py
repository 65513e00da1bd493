"""Readings of meters: kept, looked up by what they are known by, ended."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.reading import Known, RecordStatus, UsageRecord, UsageRecordId
from billing_event.domain.source import SourceRef
from throughline_core.errors import StaleVersion

_KNOWN: Final = text("""
    SELECT record.*, ended.kind
    FROM usage_record AS record LEFT JOIN usage_record_end AS ended USING (usage_record_id)
    WHERE record_key = ANY(CAST(:keys AS text[]))
    ORDER BY record_key, revision DESC
""")


_ADD: Final = tables.insert_of(
    tables.usage_record, "ON CONFLICT DO NOTHING RETURNING usage_record_id"
)


_ADD_ENDS: Final = tables.insert_of(
    tables.usage_record_end, "ON CONFLICT DO NOTHING RETURNING usage_record_id"
)


async def known(tx: AsyncConnection, keys: Collection[str]) -> dict[str, Known]:
    """Return the revisions of each reading, by its key."""
    rows = await tx.execute(_KNOWN, {"keys": list(keys)})
    by_key = {
        record_key: [known_from(row) for row in revisions]
        for record_key, revisions in groupby(rows, key=lambda row: row.record_key)
    }
    return {
        record_key: replace(latest, earlier=tuple(each.record for each in earlier))
        for record_key, (latest, *earlier) in by_key.items()
    }


async def get(tx: AsyncConnection, usage_record_id: UsageRecordId) -> Known | None:
    """Return a reading and whether it counts."""
    record, ended = tables.usage_record, tables.usage_record_end
    query = (
        select(record, ended.c.kind)
        .outerjoin(ended, ended.c.usage_record_id == record.c.usage_record_id)
        .where(record.c.usage_record_id == usage_record_id)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else known_from(row)


async def add(
    tx: AsyncConnection, records: Sequence[UsageRecord], *, by: str, at: datetime
) -> None:
    """Keep readings.

    Raises:
        StaleVersion: somebody else keeps one of them at this moment.
    """
    sources = [record.source for record in records]
    added = await tx.execute(
        _ADD,
        {
            "usage_record_id": [record.usage_record_id for record in records],
            "record_key": [record.record_key for record in records],
            "revision": [record.revision for record in records],
            "contract_id": [record.contract_id for record in records],
            "contract_line_id": [record.contract_line_id for record in records],
            "legal_entity_id": [record.legal_entity_id for record in records],
            "meter": [record.meter for record in records],
            "quantity": [record.quantity for record in records],
            "unit": [record.unit for record in records],
            "measured_at": [record.measured_at for record in records],
            "measured_on": [record.measured_on for record in records],
            "source_system": [source and source.system for source in sources],
            "source_object_type": [source and source.object_type for source in sources],
            "source_object_id": [source and source.object_id for source in sources],
            "recorded_by": [by] * len(records),
            "recorded_at": [at] * len(records),
        },
    )
    if len(added.all()) != len(records):
        raise StaleVersion("one of these readings is being recorded by somebody else")


async def end(
    tx: AsyncConnection,
    usage_record_ids: Collection[UsageRecordId],
    kind: RecordStatus,
    reason: str,
    *,
    by: str,
    at: datetime,
) -> None:
    """Let readings count no more.

    Raises:
        StaleVersion: one was ended by somebody else meanwhile.
    """
    number = len(usage_record_ids)
    ended = await tx.execute(
        _ADD_ENDS,
        {
            "usage_record_id": list(usage_record_ids),
            "kind": [kind] * number,
            "reason": [reason] * number,
            "ended_by": [by] * number,
            "ended_at": [at] * number,
        },
    )
    if len(ended.all()) != number:
        raise StaleVersion("one of these readings was replaced or withdrawn meanwhile")


def known_from(row: Row[Any]) -> Known:
    """Return the reading a row holds, with the kind of its end."""
    source = None
    if row.source_system is not None:
        source = SourceRef(row.source_system, row.source_object_type, row.source_object_id)
    record = UsageRecord(
        row.usage_record_id,
        row.record_key,
        row.revision,
        row.contract_id,
        row.contract_line_id,
        row.legal_entity_id,
        row.meter,
        row.quantity,
        row.unit,
        row.measured_at,
        row.measured_on,
        source,
    )
    return Known(record, RecordStatus(row.kind or RecordStatus.COUNTED))
