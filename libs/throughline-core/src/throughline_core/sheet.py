"""Cells of a sheet that a spreadsheet shows as they are."""

import re
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


def harmless(text: str) -> str:
    """Return a cell that a spreadsheet does not take for a formula: led by `'` where it would.

    A negative number is a number and stays one.
    """
    if not text.startswith(_FORMULA_STARTS) or _DECIMAL.fullmatch(text):
        return text
    return f"'{text}"
