"""Rows written many at a time: each column is sent as one array, whatever the number of rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from sqlalchemy import ARRAY, Column, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.database import fetch

Rows = Sequence[Mapping[str, Any]]

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it open


@dataclass(frozen=True, slots=True)
class Write:
    """How the rows of one table are written: new ones whole, of known ones the columns `changed`.

    `only_if` is a condition on a known row, by the table's name, and the one sent, `excluded`.
    """

    table: Table
    changed: tuple[str, ...] = ()
    only_if: str = ""


class Writing:
    """The rows of some tables, written by one statement; references among them may be new."""

    def __init__(self, *writes: Write) -> None:
        self._tables = tuple(write.table for write in writes)
        starts = [sum(len(each.columns) for each in self._tables[:n]) for n in range(len(writes))]
        inserts = [
            f"written_{write.table.name} AS ({_insert(write, after)} RETURNING 1)"
            for write, after in zip(writes, starts, strict=True)
        ]
        self._sql = (
            f"WITH {', '.join(inserts)} SELECT count(*) AS rows FROM written_{self._tables[0].name}"
        )

    async def save(self, tx: AsyncConnection, *rows: Rows) -> int:
        """Write rows of each table, in the tables' order; return how many of the first were."""
        columns = chain.from_iterable(
            _columns(table, of_table) for table, of_table in zip(self._tables, rows, strict=True)
        )
        [written] = await fetch(tx, self._sql, *columns)
        count: int = written["rows"]
        return count


def _insert(write: Write, after: int) -> str:
    table, names = write.table.name, [column.name for column in write.table.columns]
    sent = [
        f"${place}::{_sent_as(column)}[]"
        for place, column in enumerate(write.table.columns, start=after + 1)
    ]
    taken = [_taken(column) for column in write.table.columns]
    sql = (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(taken)}"
        f" FROM unnest({', '.join(sent)}) AS sent ({', '.join(names)})"
    )
    if write.changed:
        keys = ", ".join(column.name for column in write.table.primary_key)
        changes = ", ".join(f"{name} = excluded.{name}" for name in write.changed)
        sql += f" ON CONFLICT ({keys}) DO UPDATE SET {changes}"
        sql += f" WHERE {write.only_if}" if write.only_if else ""
    return sql


def _is_nested(column: Column[Any]) -> bool:
    """Whether values are lists or documents: an array of lists would become one flat list."""
    return isinstance(column.type, ARRAY | JSONB)


def _type_of(column: Column[Any]) -> str:
    return column.type.compile(_DIALECT)


def _sent_as(column: Column[Any]) -> str:
    return "text" if _is_nested(column) else _type_of(column)


def _taken(column: Column[Any]) -> str:
    name = f"sent.{column.name}"
    if isinstance(column.type, ARRAY):
        return f"ARRAY(SELECT jsonb_array_elements_text({name}::jsonb))::{_type_of(column)}"
    return f"{name}::jsonb" if isinstance(column.type, JSONB) else name


def _columns(table: Table, rows: Rows) -> list[list[Any]]:
    return [
        [_json(row[column.name]) for row in rows]
        if _is_nested(column)
        else [row[column.name] for row in rows]
        for column in table.columns
    ]


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str)
