"""Number series: locked when numbers are needed, moved on as the last thing before commit."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.series import Series, SeriesKey, Taken, prefix_of
from invoice_payment.repository import master

_LOCK: Final = text("""
    SELECT legal_entity_id, series, year, prefix, last_number, last_hash
    FROM number_series JOIN unnest(
        CAST(:entities AS uuid[]), CAST(:series AS text[]), CAST(:years AS integer[])
    ) AS wanted (legal_entity_id, series, year) USING (legal_entity_id, series, year)
    ORDER BY legal_entity_id, series, year
    FOR NO KEY UPDATE OF number_series
""")

_BEGIN: Final = text("""
    INSERT INTO number_series (legal_entity_id, series, year, prefix, last_number, last_hash)
    SELECT legal_entity_id, series, year, prefix, 0, '' FROM unnest(
        CAST(:entities AS uuid[]), CAST(:series AS text[]), CAST(:years AS integer[]),
        CAST(:prefixes AS text[])
    ) AS wanted (legal_entity_id, series, year, prefix)
    ON CONFLICT DO NOTHING
""")

_ADVANCE: Final = text("""
    UPDATE number_series
    SET last_number = last_number + moved.count, last_hash = moved.last_hash
    FROM unnest(
        CAST(:entities AS uuid[]), CAST(:series AS text[]), CAST(:years AS integer[]),
        CAST(:counts AS bigint[]), CAST(:last_hashes AS text[])
    ) AS moved (legal_entity_id, series, year, count, last_hash)
    WHERE number_series.legal_entity_id = moved.legal_entity_id
      AND number_series.series = moved.series AND number_series.year = moved.year
""")


async def lock(tx: AsyncConnection, wanted: Mapping[SeriesKey, int]) -> dict[SeriesKey, Taken]:
    """Lock the series and return the next so many numbers of each.

    The lock is the last one a transaction takes, in order of key, and is held until it ends; the
    numbers are used up only by `advance`. A series that does not exist yet begins.
    """
    found = await _lock(tx, wanted)
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        codes = await master.entities(tx, [key.legal_entity_id for key in missing])
        prefixes = [prefix_of(key, codes[key.legal_entity_id].code) for key in missing]
        await tx.execute(_BEGIN, {**_keys(missing), "prefixes": prefixes})
        found = await _lock(tx, wanted)
    return found


async def advance(
    tx: AsyncConnection, taken: Mapping[SeriesKey, Taken], hashes: Mapping[SeriesKey, str]
) -> None:
    """Use up the numbers taken; `hashes` holds the hash of the last document of a series."""
    keys = sorted(taken)
    counts = [taken[key].count for key in keys]
    last_hashes = [hashes.get(key, "") for key in keys]
    await tx.execute(_ADVANCE, {**_keys(keys), "counts": counts, "last_hashes": last_hashes})


async def _lock(tx: AsyncConnection, wanted: Mapping[SeriesKey, int]) -> dict[SeriesKey, Taken]:
    rows = await tx.execute(_LOCK, _keys(sorted(wanted)))
    found = {}
    for row in rows:
        key = SeriesKey(row.legal_entity_id, Series(row.series), row.year)
        found[key] = Taken(key, row.prefix, row.last_number + 1, wanted[key], row.last_hash)
    return found


def _keys(keys: list[SeriesKey]) -> dict[str, object]:
    return {
        "entities": [key.legal_entity_id for key in keys],
        "series": [key.series.value for key in keys],
        "years": [key.year for key in keys],
    }
