"""Exchange rates as they are recorded, and the one that holds between two currencies on a day."""

from datetime import date

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.exchange_rate import Conversion, ExchangeRate, RateNotFound
from project_provisioning.repository import exchange_rate as repository
from throughline_runtime.fields import read_date
from throughline_runtime.page import Page, next_token

_table = tables.exchange_rate
_ORDER = (_table.c.rate_on, _table.c.base, _table.c.quote, _table.c.source)


async def find(
    tx: AsyncConnection, from_: str, to: str, day: date, *, source: str, days_max: int
) -> Conversion:
    """Return the rate that holds.

    Raises:
        RateNotFound: none is recorded for the day, or so many days before it.
    """
    table = await repository.table_for(tx, (from_, to), day, day, days_max=days_max)
    found = table.find(from_, to, day, source=source, days_max=days_max)
    if found is None:
        raise RateNotFound(
            f"no rate from {from_} to {to} for {day}",
            field="rate_on",
            advice="record the rate of the day first",
        )
    return found


async def rates(
    tx: AsyncConnection,
    *,
    base: str,
    quote: str,
    source: str,
    first_on: date | None,
    before: date | None,
    page: Page,
) -> tuple[list[ExchangeRate], str]:
    """Return recorded rates, latest day first, and the next page's token."""
    query = select(_table)
    for column, value in (
        (_table.c.base, base),
        (_table.c.quote, quote),
        (_table.c.source, source),
    ):
        if value:
            query = query.where(column == value)
    if first_on is not None:
        query = query.where(_table.c.rate_on >= first_on)
    if before is not None:
        query = query.where(_table.c.rate_on < before)
    if page.after is not None:
        day, *rest = page.after
        query = query.where(tuple_(*_ORDER) < tuple_(read_date("page_token", day), *rest))
    ordered = query.order_by(*(column.desc() for column in _ORDER)).limit(page.size + 1)
    rows = (await tx.execute(ordered)).all()
    kept, token = rows[: page.size], ""
    if len(rows) > page.size:
        token = next_token(*(getattr(kept[-1], column.name) for column in _ORDER))
    return [repository.rate_from(row) for row in kept], token
