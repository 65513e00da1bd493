"""Record ids: 15 characters that tell case apart, and three more for systems that do not."""

import hashlib
import string
from typing import Final

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SUFFIX: Final = string.ascii_uppercase + "012345"
_INSTANCE: Final = "5g0"


def numbered_id(key_prefix: str, number: int) -> str:
    """Return the 18-character id of the `number`-th record of an object."""
    return widen(key_prefix + _INSTANCE + _base62(number))


def referenced_id(key_prefix: str, reference: str) -> str:
    """Return the same 18-character id for the same `reference`, so that a seed can be repeated."""
    number = int.from_bytes(hashlib.sha256(f"{key_prefix}:{reference}".encode()).digest()[:7])
    return widen(key_prefix + _INSTANCE + _base62(number % 62**9))


def widen(id15: str) -> str:
    """Return the 18-character form: each suffix character tells which of five are upper case."""
    suffix = ""
    for start in (0, 5, 10):
        uppers = (c in string.ascii_uppercase for c in id15[start : start + 5])
        suffix += _SUFFIX[sum(1 << position for position, upper in enumerate(uppers) if upper)]
    return id15 + suffix


def normalised(value: str) -> str | None:
    """Return the 18-character form of an id of 15 or 18 characters, None if it is no id."""
    if len(value) not in (15, 18) or not all(character in _DIGITS for character in value):
        return None
    wide = widen(value[:15])
    return wide if value in (value[:15], wide) else None


def _base62(number: int) -> str:
    digits = ""
    for _ in range(9):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
