"""Keyset pages: a list goes on after the last key seen, so rows added meanwhile shift nothing."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final, Protocol

from throughline_core.errors import InvalidArgument

SIZE_DEFAULT: Final = 50
SIZE_MAX: Final = 200


class MalformedPage(InvalidArgument):
    """The page asked for cannot be: its size is negative or its token was not made here."""

    code = "request.malformed_page"


class PagedRequest(Protocol):
    """A request for a list."""

    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True)
class Page:
    """At most `size` rows past the keys in `after`, or from the beginning."""

    size: int
    after: tuple[str, ...] | None


def read_page(request: PagedRequest, *, keys: int = 1, max: int = SIZE_MAX) -> Page:
    """Return the page asked for, its size capped at `max`; `keys` is how many a token holds.

    The keys are still strings from outside: read each like any field, under `page_token`.

    Raises:
        MalformedPage: the size is negative, or the token no list of so many keys.
    """
    if request.page_size < 0:
        raise MalformedPage("page_size is negative", field="page_size", advice=f"send 1 to {max}")
    size = min(request.page_size or SIZE_DEFAULT, max)
    return Page(size, _read_token(request.page_token, keys) if request.page_token else None)


def next_token(*keys: object) -> str:
    """Return the opaque token of the page after the row with these keys."""
    text = json.dumps([str(key) for key in keys], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str, keys: int) -> tuple[str, ...]:
    try:
        padded = token + "=" * (-len(token) % 4)
        values = json.loads(urlsafe_b64decode(padded.encode("ascii")))
        if not isinstance(values, list) or len(values) != keys:
            raise ValueError("another list's token")
        if not all(isinstance(value, str) for value in values):
            raise ValueError("keys are strings")
        # Half a surrogate pair is JSON, and no text.
        "".join(values).encode()
    except (ValueError, RecursionError, binascii.Error) as error:
        raise MalformedPage(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        ) from error
    return tuple(values)
