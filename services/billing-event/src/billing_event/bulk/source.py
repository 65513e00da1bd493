"""Keeps approved things, each once."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.bulk.rows import column_of, unless_empty
from billing_event.domain.source import SourceItem

# What the work of one person on one task has in common: many things share it, and it is sent once.
_SHARED_FIELDS: Final = (
    "type",
    "contract_id",
    "contract_line_id",
    "engagement_id",
    "project_id",
    "task_id",
    "person_id",
    "person_name",
    "delivering_entity_id",
    "role",
    "level",
    "region",
    "price_basis",
    "is_billable",
    "approved_by",
    "activity",
    "category",
    "project_contract_id",
)
_OWN_FIELDS: Final[Mapping[str, str]] = {
    "source_item_id": "source_item_id",
    "description": "description",
    "service_from": "service_from",
    "service_to": "service_to",
    "minutes": "minutes",
    "reverses_source_item_id": "reverses_item_id",
    "replaces_source_item_id": "replaces_item_id",
}
_OWN_COLUMNS: Final = (
    *_OWN_FIELDS,
    "price",
    "currency",
    "receipt_price",
    "receipt_currency",
    "source_system",
    "source_object_type",
    "source_object_id",
)

# In one order for all, so that two batches with the same things wait and do not deadlock.
_ADD: Final = text(f"""
    WITH shared AS (
        SELECT * FROM unnest({tables.arrays_of(tables.source_item, _SHARED_FIELDS)})
            WITH ORDINALITY AS shared ({", ".join(_SHARED_FIELDS)}, number)
    ), own AS (
        SELECT * FROM unnest(
            CAST(:shared AS integer[]), {tables.arrays_of(tables.source_item, _OWN_COLUMNS)}
        ) AS own (number, {", ".join(_OWN_COLUMNS)})
    )
    INSERT INTO source_item (
        {", ".join((*_SHARED_FIELDS, *_OWN_COLUMNS))}, recorded_at)
    SELECT {", ".join((*_SHARED_FIELDS, *_OWN_COLUMNS))}, :at
    FROM own JOIN shared USING (number)
    ORDER BY source_item_id
    ON CONFLICT DO NOTHING
    RETURNING source_item_id
""")

_shared_of: Final = attrgetter(*_SHARED_FIELDS)


async def add_items(
    tx: AsyncConnection, items: Iterable[SourceItem], *, at: datetime
) -> list[SourceItem]:
    """Keep approved things, and return those that were not here before, in their order."""
    by_id = {item.source_item_id: item for item in items}
    found = list(by_id.values())
    if not found:
        return []
    numbers: dict[tuple[Any, ...], int] = {}
    shared = [numbers.setdefault(_shared_of(item), len(numbers) + 1) for item in found]
    columns: dict[str, Any] = {
        name: list(values)
        for name, values in zip(_SHARED_FIELDS, zip(*numbers, strict=True), strict=True)
    }
    columns |= {name: column_of(found, field) for name, field in _OWN_FIELDS.items()}
    prices = column_of(found, "price")
    columns["price"] = [price and price.amount for price in prices]
    columns["currency"] = [price and price.currency for price in prices]
    receipts = column_of(found, "receipt_price")
    columns["receipt_price"] = [price and price.amount for price in receipts]
    columns["receipt_currency"] = [price and price.currency for price in receipts]
    sources = column_of(found, "source")
    columns["source_system"] = [source and source.system for source in sources]
    columns["source_object_type"] = [source and source.object_type for source in sources]
    columns["source_object_id"] = [source and source.object_id for source in sources]
    values = {name: unless_empty(column) for name, column in columns.items()}
    added = set((await tx.execute(_ADD, {**values, "shared": shared, "at": at})).scalars())
    return [item for item in found if item.source_item_id in added]
