"""The numbers people use."""

from enum import StrEnum
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.statement import Statement

TAKE: Final = """
    UPDATE number_series SET last = last + 1 WHERE series = :series
    RETURNING CAST(:prefix AS text) || '-'
              || lpad(last::text, greatest(6, length(last::text)), '0') AS number
"""
"""Takes the next number with the values of `numbering`; for statements that write what has it."""

_TAKE: Final = Statement(TAKE)


class Series(StrEnum):
    """What is numbered; each member's prefix begins its numbers."""

    CUSTOMER = "customer"
    QUOTE = "quote"
    CONTRACT = "contract"
    CHANGE_ORDER = "change_order"


_PREFIX: Final = {
    Series.CUSTOMER: "C",
    Series.QUOTE: "Q",
    Series.CONTRACT: "CT",
    Series.CHANGE_ORDER: "CO",
}


def numbering(series: Series) -> dict[str, object]:
    """Return the values of `TAKE`."""
    return {"series": series, "prefix": _PREFIX[series]}


async def take(tx: AsyncConnection, series: Series) -> str:
    """Return the next number, such as `C-000042`.

    The series stays locked until the transaction ends: take it late.
    """
    [row] = await _TAKE.fetch(tx, numbering(series))
    number: str = row.number
    return number
