"""How long tests take that go on as long as one lets them: in full where `make drill` runs them."""

import os
from typing import Final, TypeVar

T = TypeVar("T")

IS_DRILL: Final = os.environ.get("THROUGHLINE_DRILL") == "1"


def in_drill(full: T, *, otherwise: T) -> T:
    """Return the size of `make drill`, or that of every other run."""
    return full if IS_DRILL else otherwise
