"""What a request says: JSON, lines of JSON and query strings, as the fields of its message.

Pydantic, the JSON parser and protobuf keep the interpreter to themselves while they work, so a
thread would not spare the event loop. Long bodies give way between their steps instead: reading
10,000 rows holds it no longer than some 10 ms at a time.
"""

import asyncio
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import uuid4

from google.protobuf.descriptor import FieldDescriptor
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from gateway import rules, transcode
from gateway.edge import Edge
from gateway.problems import Malformed, MediaTypeUnknown, read_errors
from gateway.transcode import Shape
from throughline_core.errors import InvalidArgument

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
IDEMPOTENCY_KEY: Final = "idempotency-key"
KEY_LENGTH_MAX: Final = 255

# What fits into every integer of the contract.
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_LONG_BODY_BYTES: Final = 256 * 1024
_LINES_AT_ONCE: Final = 1000
_QUERY_FIELDS_MAX: Final = 100


class IdempotencyKeyUnfit(InvalidArgument):
    """The idempotency key cannot stand for one intention."""

    code = "request.idempotency_key_unfit"


class QueryUnfit(InvalidArgument):
    """The query string says something twice, or not in UTF-8, or where nothing is asked."""

    code = "request.query_unfit"


def idempotency_key(request: Request) -> str:
    """Return the caller's key, or a fresh one: then a repetition is a new command.

    Raises:
        IdempotencyKeyUnfit: it was sent twice, is empty, too long, or not printable ASCII.
    """
    keys = request.headers.getlist(IDEMPOTENCY_KEY) or [str(uuid4())]
    key = keys[0].strip()
    flaw = ""
    if len(keys) > 1:
        flaw = "was sent more than once"
    elif not 1 <= len(key) <= KEY_LENGTH_MAX:
        flaw = f"has {len(key)} characters, 1 to {KEY_LENGTH_MAX} are possible"
    elif not (key.isascii() and key.isprintable()):
        flaw = "holds characters other than printable ASCII"
    if flaw:
        raise IdempotencyKeyUnfit(
            f"Idempotency-Key {flaw}", field="Idempotency-Key", advice="send one UUID"
        )
    # Told with every reply, also a failed one: only so can the command be repeated.
    request.state.idempotency_key = key
    return key


def path_values(request: Request, names: Collection[str]) -> dict[str, str]:
    """Return the values that stand in the path; their owner knows whether they name something.

    Raises:
        Malformed: one holds a NUL character, which no database takes.
    """
    values: dict[str, str] = {name: request.path_params[name] for name in names}
    for name, value in values.items():
        if "\0" in value:
            raise Malformed("the path holds a NUL character", field=name, advice="leave it out")
    return values


def path_number(name: str, value: str) -> int:
    """Return a number that stands in the path.

    Raises:
        Malformed: it is none, or more than the contract's integers hold.
    """
    if not _NUMBER.fullmatch(value):
        raise Malformed(f"{name} is no number", field=name, advice="send up to nine digits")
    return int(value)


def read_query(request: Request, shape: Shape, lists: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a query string; only `lists` may come more than once.

    Raises:
        QueryUnfit, InvalidRequest.
    """
    values: dict[str, Any] = {}
    for name, value in _query(request):
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise QueryUnfit(f"{name} was sent more than once", field=name, advice="send it once")
        else:
            values[name] = value
    try:
        return shape.validate_python(values, strict=False)
    except ValidationError as error:
        raise read_errors(error) from error


def _query(request: Request) -> list[tuple[str, str]]:
    raw: bytes = request.scope["query_string"]
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    except ValueError as error:
        raise QueryUnfit(
            "the query string is malformed", advice="send name=value pairs in UTF-8, URL-encoded"
        ) from error
    for name, value in pairs:
        if "\0" in value:
            raise QueryUnfit("a text holds a NUL character", field=name, advice="leave it out")
    return pairs


async def read_body(
    edge: Edge,
    request: Request,
    shape: Shape,
    *,
    batch: FieldDescriptor | None = None,
    flags: Shape | None = None,
) -> dict[str, Any]:
    """Return the fields of a body: a JSON object, or the lines of `batch` with flags in the query.

    Raises:
        MediaTypeUnknown, BodyTooLarge, Malformed, QueryUnfit, InvalidRequest.
    """
    kind = _media_type(request, (JSON,) if batch is None else (JSON, NDJSON))
    body = await edge.read_body(request)
    if kind == NDJSON and batch is not None and flags is not None:
        fields = read_query(request, flags)
        return {**fields, batch.name: await _read_lines(body, batch)}
    if request.scope["query_string"]:
        raise QueryUnfit(
            "this method takes no query string",
            field=next((name for name, _ in _query(request)), None),
            advice="send the fields in the body",
        )
    value = _parse(body or b"{}")
    await _give_way(body)
    try:
        fields = shape.validate_python(value)
    except ValidationError as error:
        raise read_errors(error) from error
    await _give_way(body)
    return fields


def _media_type(request: Request, accepted: Collection[str]) -> str:
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in accepted:
        raise MediaTypeUnknown(
            f"{kind[:100]} is not accepted here",
            field="Content-Type",
            advice=f"send {' or '.join(accepted)}",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise MediaTypeUnknown(
            "compressed bodies are not accepted", field="Content-Encoding", advice="send it plain"
        )
    return kind


async def _read_lines(body: bytes, batch: FieldDescriptor) -> list[dict[str, Any]]:
    """Return the items of a batch that came as one JSON object a line; empty lines do not count."""
    numbers: list[int] = []
    values: list[Any] = []
    items_max = rules.list_bounds(batch).get("max_length", len(body))
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            numbers.append(number)
            values.append(_parse(line, number=number))
        if len(values) > items_max:
            break  # One too many is enough to be refused.
        if number % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)
    try:
        items = transcode.items_shape_of(batch).validate_python(values)
    except ValidationError as error:
        raise read_errors(error, below=batch.name, lines=numbers) from error
    await _give_way(body)
    return items


def _parse(text: bytes, *, number: int | None = None) -> Any:
    """Return the JSON value; `number` is that of the line, where it is one of several."""
    try:
        value = from_json(text, allow_inf_nan=False)
        # Databases refuse it. Only where its letters occur is it worth a walk through the value.
        if rb"\u0000" in text and _holds_nul(value):
            raise ValueError("a text holds a NUL character")
        return value
    except ValueError as error:
        reason = str(error)
        if number is not None:
            reason = f"line {number}: {reason.replace('at line 1 column', 'at column')}"
        raise Malformed(
            reason,
            field=None if number is None else f"line {number}",
            advice="send JSON in UTF-8, without NaN and no deeper than the reference shows",
        ) from error


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


async def _give_way(body: bytes) -> None:
    if len(body) > _LONG_BODY_BYTES:
        await asyncio.sleep(0)
