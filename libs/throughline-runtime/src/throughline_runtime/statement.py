"""Statements of the hot path: compiled once, and from then on handed to the driver as they are.

SQLAlchemy compiles, caches and unpacks anew on each execution, which costs more than many short
statements take. A `Statement` is one of its constructs, or SQL with `:names`, whose text and order
of values are settled when the module is loaded; its rows read like SQLAlchemy's.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Self

import asyncpg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import ClauseElement

from throughline_runtime import database
from throughline_runtime.telemetry import tracing

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy's own gap

Write = Callable[[Any], Any]


class Row(asyncpg.Record):  # type: ignore[misc]  # asyncpg comes without types
    """A row whose columns are attributes: `row.quote_id`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def _mapping(self) -> Self:
        """The columns by name, for those that share theirs with a method of rows."""
        return self


class Statement:
    """One statement, made once; its values are given by name."""

    def __init__(
        self, construct: ClauseElement | str, *, columns: Collection[str] | None = None
    ) -> None:
        """`columns` are those an `insert` or `update` writes, each from the value of its name.

        Raises:
            ValueError: the construct is another one for each number of values, such as `in_`.
        """
        clause = text(construct) if isinstance(construct, str) else construct
        compiled: Any = clause.compile(
            dialect=_DIALECT, column_keys=None if columns is None else sorted(columns)
        )
        if compiled.post_compile_params:
            raise ValueError("compare with = any_(…): `in_` changes with the number of values")
        self.text: Final = str(compiled)
        bound = [(name, compiled.binds[name]) for name in compiled.positiontup]
        self._values: Final[list[tuple[str, Write | None]]] = [
            (name, bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
            for name, bind in bound
        ]
        self._constants: Final = {name: bind.value for name, bind in bound if not bind.required}

    async def fetch(
        self, tx: AsyncConnection, values: Mapping[str, object] | None = None
    ) -> list[Any]:
        """Run it within `tx` and return its rows; errors are those of `database.fetch`."""
        driver = await database.driver_of(tx)
        with tracing.sql_span(self.text):
            rows: list[Any] = await driver.fetch(
                self.text, *self._arguments(values or {}), record_class=Row
            )
        return rows

    async def run(self, tx: AsyncConnection, values: Mapping[str, object]) -> int:
        """Run it within `tx` and return how many rows it wrote; errors as for `fetch`."""
        driver = await database.driver_of(tx)
        with tracing.sql_span(self.text):
            status: str = await driver.execute(self.text, *self._arguments(values))
        return int(status.rpartition(" ")[2])

    def _arguments(self, values: Mapping[str, object]) -> list[object]:
        if self._constants:
            values = {**self._constants, **values}
        return [
            values[name] if write is None else write(values[name]) for name, write in self._values
        ]
