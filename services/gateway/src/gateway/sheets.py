"""Lists as sheets: CSV (RFC 4180) with a column for each value of a row.

A sheet holds the pages of a list from where the request begins. It is put together page by page and
ends at a bound, so that what one request takes of memory and time is known beforehand; the `Link`
of the reply leads to the rest.
"""

import csv
import io
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from gateway import rules, transcode
from gateway.contract import RestMethod
from throughline_core.sheet import harmless

CSV: Final = "text/csv"
ROWS_MAX: Final = 10_000
"""A sheet ends with the page that reaches so many rows."""
BYTES_MAX: Final = 16 * 1024 * 1024
"""Or so many bytes."""

_MONEY: Final = "throughline.common.v1.Money"
_BETWEEN_ITEMS: Final = ";"
_PATH_PART: Final = re.compile(r"/([a-z][a-z0-9:_-]*)")

Ask = Callable[[Message], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, and what a row has in it."""

    name: str
    cell: Callable[[Message], str]


def is_wanted(request: Request) -> bool:
    """Whether the request asks for a sheet: its `Accept` names CSV, and not JSON before it."""
    accepted = [
        kind.partition(";")[0].strip().lower()
        for kind in request.headers.get("accept", "").split(",")
    ]
    named = [kind for kind in accepted if kind in {CSV, "application/json"}]
    return named[:1] == [CSV]


async def respond(request: Request, method: RestMethod, message: Any, ask: Ask) -> Response:
    """Return the rows that `message` asks for as a sheet.

    Where the caller sent a size it is that one page; else all pages up to the bound, each as long
    as the method allows. A sheet that goes on another has no headings: together they are one file.
    """
    assert method.sheet is not None, f"{method.name} has no rows"
    sheet = io.StringIO(newline="")
    page_size = method.request.fields_by_name.get("page_size")
    is_first = page_size is None or not message.page_token
    is_one_page = page_size is None or message.page_size > 0
    if page_size is not None and not is_one_page:
        message.page_size = rules.integer_bounds(page_size)["le"]
    rows, heads = 0, is_first
    while True:
        answer: Any = await ask(message)
        rows += _write(sheet, method.sheet, answer, heads=heads)
        heads = False
        token: str = getattr(answer, "next_page_token", "")
        if not token or is_one_page or rows >= ROWS_MAX or sheet.tell() >= BYTES_MAX:
            break
        message.page_token = token
    headers = {"content-disposition": f'attachment; filename="{file_name(method.path)}"'}
    if token:
        headers["link"] = f'<{_next(request, token)}>; rel="next"'
    kind = f"{CSV}; charset=utf-8; header={'present' if is_first else 'absent'}"
    return Response(sheet.getvalue(), media_type=kind, headers=headers)


def file_name(path: str) -> str:
    """Return the name of a sheet: the words of its route, `limits-entries.csv`."""
    words = "-".join(_PATH_PART.findall(path)[1:])
    return f"{words.replace(':', '-')}.csv"


@cache
def columns_of(rows: Descriptor) -> tuple[Column, ...]:
    """Return the columns of rows of this type, in the order of the contract."""
    return tuple(_columns(rows, "", lambda row: row))


def _write(sheet: io.StringIO, field: FieldDescriptor, answer: Message, *, heads: bool) -> int:
    """Write one page, and return how many rows it has."""
    found = getattr(answer, field.name)
    if field.message_type is None:
        sheet.write(found)
        return int(found.count("\n"))
    columns = columns_of(field.message_type)
    writer = csv.writer(sheet)
    if heads:
        writer.writerow(column.name for column in columns)
    writer.writerows([column.cell(row) for column in columns] for row in found)
    return len(found)


def _columns(
    message: Descriptor, prefix: str, reach: Callable[[Message], Message | None]
) -> Iterator[Column]:
    """Yield the columns of a message that is reached from the row; None means it is absent."""
    for field in message.fields:
        name = f"{prefix}{field.name}"
        inner = field.message_type
        if inner is None or transcode.is_instant(field):
            if field.type != FieldDescriptor.TYPE_BYTES:
                yield Column(name, _cell(field, reach))
        elif field.is_repeated or transcode.is_recursive(field):
            continue  # A list within a row has no place in one line.
        elif inner.full_name == _MONEY:
            of_money = _inner(field, reach)
            amount, currency = (inner.fields_by_name[each] for each in ("amount", "currency"))
            yield Column(name, _cell(amount, of_money))
            yield Column(f"{name}_currency", _cell(currency, of_money))
        else:
            yield from _columns(inner, f"{name}_", _inner(field, reach))


def _inner(
    field: FieldDescriptor, reach: Callable[[Message], Message | None]
) -> Callable[[Message], Message | None]:
    name = field.name

    def reach_inner(row: Message) -> Message | None:
        outer = reach(row)
        return getattr(outer, name) if outer is not None and outer.HasField(name) else None

    return reach_inner


def _cell(
    field: FieldDescriptor, reach: Callable[[Message], Message | None]
) -> Callable[[Message], str]:
    write = transcode.writer_of(field)

    def cell(row: Message) -> str:
        message = reach(row)
        return "" if message is None else _text(write(message))

    return cell


def _text(value: Any) -> str:
    """Return a value of JSON as a cell holds it."""
    if isinstance(value, str):
        return harmless(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return harmless(_BETWEEN_ITEMS.join(map(_text, value)))
    return str(value)


def _next(request: Request, token: str) -> str:
    """Return the address of the rest, relative to this server."""
    kept = [pair for pair in request.query_params.multi_items() if pair[0] != "page_token"]
    path = quote(request.scope["path"], safe="/:")
    return f"{path}?{urlencode([*kept, ('page_token', token)])}"
