"""JSON with exact numbers: decimals are read as `Decimal` and written digit for digit."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NoReturn

from starlette.responses import Response


def read(text: str | bytes) -> object:
    """Return the parsed document; every fraction is a `Decimal`.

    Raises:
        ValueError: not JSON, or one of the numbers is NaN or infinite.
    """
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)


def write(value: object, *, indent: int | None = None, depth: int = 0) -> str:
    """Return `value` as JSON text; `indent` counts spaces, None writes one line."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        items = [f"{json.dumps(key)}: {write(item, indent=indent, depth=depth + 1)}"
                 for key, item in value.items()]  # fmt: skip
        return _bracket("{", items, "}", indent, depth)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [write(item, indent=indent, depth=depth + 1) for item in value]
        return _bracket("[", items, "]", indent, depth)
    return json.dumps(value, allow_nan=False)


class ExactJSONResponse(Response):
    """A reply whose decimals keep their digits."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return write(content).encode()


def _bracket(opening: str, items: list[str], closing: str, indent: int | None, depth: int) -> str:
    if not items:
        return opening + closing
    if indent is None:
        return opening + ", ".join(items) + closing
    inner, outer = "\n" + " " * indent * (depth + 1), "\n" + " " * indent * depth
    return opening + inner + f",{inner}".join(items) + outer + closing


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
