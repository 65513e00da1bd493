"""Exchange rates as rows, and the table of those that a set of conversions may need."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.exchange_rate import ExchangeRate, RateTable
from project_provisioning.wire import exchange_rate as wire
from throughline_core.ids import derived_id
from throughline_runtime import audit, outbox
from throughline_runtime.ids import new_id

_table = tables.exchange_rate
_KEY = (_table.c.base, _table.c.quote, _table.c.rate_on, _table.c.source)


async def known(tx: AsyncConnection, rates: Sequence[ExchangeRate]) -> list[ExchangeRate]:
    """Return what is recorded for the same pairs, days and sources."""
    keys = [(each.base, each.quote, each.rate_on, each.source) for each in rates]
    query = select(_table).where(tuple_(*_KEY).in_(keys))
    return [rate_from(row) for row in await tx.execute(query)]


async def add(
    tx: AsyncConnection, rates: Collection[ExchangeRate], *, by: str, at: datetime
) -> None:
    """Write new rates and announce them; what another writer recorded first stays, untold."""
    if not rates:
        return
    rows = [
        {
            "base": each.base,
            "quote": each.quote,
            "rate_on": each.rate_on,
            "source": each.source,
            "rate": each.rate,
            "recorded_by": by,
            "recorded_at": at,
        }
        for each in rates
    ]
    added = await tx.execute(
        insert(_table).values(rows).on_conflict_do_nothing().returning(*_table.c)
    )
    recorded = [rate_from(row) for row in added]
    audit.touch(tx, *{derived_id("exchange_rates", each.source, each.rate_on) for each in rates})
    if recorded:
        await outbox.append(tx, [wire.write_recorded(recorded, batch_id=new_id(), at=at)])


async def table_for(
    tx: AsyncConnection, currencies: Collection[str], first: date, last: date, *, days_max: int
) -> RateTable:
    """Return all rates between these currencies, also by way of others, that days may need.

    The days are `first` to `last`, and up to `days_max` before. One query.
    """
    if not set(currencies) - {next(iter(currencies), "")}:
        return RateTable(())
    query = select(_table).where(
        _table.c.rate_on.between(first - timedelta(days=days_max), last),
        or_(_table.c.base.in_(currencies), _table.c.quote.in_(currencies)),
    )
    return RateTable([rate_from(row) for row in await tx.execute(query)])


def rate_from(row: Row[Any]) -> ExchangeRate:
    """Return the rate a row holds."""
    return ExchangeRate(row.base, row.quote, row.rate_on, row.source, row.rate)
