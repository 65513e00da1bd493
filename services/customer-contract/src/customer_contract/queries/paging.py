"""Pages of a list: keyset, limited to what the caller may see and one reply can hold."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Select

from throughline_runtime.fields import read_uuid
from throughline_runtime.identity import visible_entities
from throughline_runtime.page import MalformedPage, Page, next_token

# A reply holds at most 4 MiB; a single quote or card stays far below.
_PAGE_BYTES_MAX: Final = 3 * 1024 * 1024

M = TypeVar("M", bound=Message)


def after_id(page: Page) -> UUID | None:
    return None if page.after is None else read_uuid("page_token", page.after[0])


def after_number(page: Page) -> int | None:
    """Return the number the page goes on from.

    Raises:
        MalformedPage: the token holds none.
    """
    return None if page.after is None else _number(page.after[0])


def after_numbers(page: Page) -> tuple[int, int] | None:
    """Return the two numbers the page goes on from; see `after_number`."""
    return None if page.after is None else (_number(page.after[0]), _number(page.after[1]))


def after_digest(page: Page) -> tuple[int, bytes] | None:
    """Return the number and the digest the page goes on from; see `after_number`."""
    if page.after is None:
        return None
    try:
        return _number(page.after[0]), bytes.fromhex(page.after[1])
    except ValueError as error:
        raise _malformed() from error


def _number(key: str) -> int:
    try:
        return int(key)
    except ValueError as error:
        raise _malformed() from error


def _malformed() -> MalformedPage:
    return MalformedPage(
        "page_token is not one this list gave out",
        field="page_token",
        advice="send next_page_token of the page before, or none to begin anew",
    )


def page_of(query: Select[Any], key: ColumnElement[Any], after: object, page: Page) -> Select[Any]:
    """Return the query for one row more than the page holds, which tells whether it is the last."""
    query = query.order_by(key).limit(page.size + 1)
    return query if after is None else query.where(key > after)


def limited(query: Select[Any], entity: ColumnElement[Any]) -> Select[Any]:
    entities = visible_entities()
    return query if entities is None else query.where(entity.in_(entities))


def filtered(query: Select[Any], wanted: dict[Any, object]) -> Select[Any]:
    """Return the query with an equality for each filter that was given."""
    for column, value in wanted.items():
        if value:
            query = query.where(column == value)
    return query


def cut(messages: list[M], keys: Sequence[object], page: Page) -> tuple[list[M], str]:
    """Return what the page and one reply hold, and the token of the page after it, if any."""
    kept, size = 0, 0
    for message in messages[: page.size]:
        size += message.ByteSize()
        if kept and size > _PAGE_BYTES_MAX:
            break
        kept += 1
    if kept == len(messages):
        return messages, ""
    last = keys[kept - 1]
    return messages[:kept], next_token(*(last if isinstance(last, tuple) else (last,)))
