"""The numbers people use."""

from enum import StrEnum
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_TAKE: Final = text("""
    UPDATE number_series SET last = last + 1 WHERE series = :series RETURNING last
""")


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


async def take(tx: AsyncConnection, series: Series) -> str:
    """Return the next number, such as `C-000042`.

    The series stays locked until the transaction ends: take it late.
    """
    last = (await tx.execute(_TAKE, {"series": series})).scalar_one()
    return f"{_PREFIX[series]}-{last:06}"
