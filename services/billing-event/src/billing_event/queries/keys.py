"""Pages by an instant and an id, and the keys of their tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.fields import read_uuid
from throughline_runtime.page import MalformedPage, Page, next_token

_COUNT_MAX: Final = 2**31 - 1


async def page_by_time(
    tx: AsyncConnection,
    query: Select[Any],
    keys: tuple[ColumnElement[Any], ColumnElement[Any]],
    page: Page,
) -> tuple[Sequence[Row[Any]], str]:
    """Return a page of rows in order of an instant and an id, and the token of the next one."""
    moment, key = keys
    if page.after is not None:
        at, row_id = page.after
        after = read_moment(at), read_uuid("page_token", row_id)
        query = query.where(tuple_(moment, key) > after)
    rows = (await tx.execute(query.order_by(moment, key).limit(page.size + 1))).all()
    shown = rows[: page.size]
    if len(rows) <= page.size:
        return shown, ""
    last = shown[-1]._mapping
    return shown, next_token(last[moment.name].isoformat(), last[key.name])


def read_moment(value: str) -> datetime:
    """Return the instant a page token holds.

    Raises:
        MalformedPage: it holds none.
    """
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("a day, or a time of no zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _foreign_token() from error


def read_count(value: str) -> int:
    """Return the whole number a page token holds.

    Raises:
        MalformedPage: it holds none.
    """
    try:
        count = int(value)
        if abs(count) > _COUNT_MAX:
            raise ValueError("no count reaches this")
        return count
    except ValueError as error:
        raise _foreign_token() from error


def _foreign_token() -> MalformedPage:
    return MalformedPage(
        "page_token is not one this list gave out",
        field="page_token",
        advice="send next_page_token of the page before, or none to begin anew",
    )
