"""SQL made from tables: every column from the value of its name, cast to its own type."""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

LINE_PREFIX: Final = "line_"
"""A document and its lines have columns of the same names."""


def insert_sql(table: Table, *, prefix: str = "", **expressions: str) -> str:
    """Return the statement that writes one row; columns of `expressions` come from there.

    `prefix` begins the names of its values, where another table of the statement has the same.
    """
    names = [column.name for column in table.c]
    values = ", ".join(expressions.get(name) or _value(table, name, prefix) for name in names)
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {values}"


def insert_lines_sql(table: Table, *, keys: Sequence[str]) -> str:
    """Return the statement that writes all lines of a document at once.

    `keys` stand for every line; every other column comes from a list, see `LINE_PREFIX`.
    """
    names = [column.name for column in table.c if column.name not in keys]
    values = ", ".join([*(_value(table, key) for key in keys), "line.*"])
    lists = ", ".join(f"CAST(:{LINE_PREFIX}{name} AS {_type_of(table, name)}[])" for name in names)
    return (
        f"INSERT INTO {table.name} ({', '.join([*keys, *names])})"
        f" SELECT {values} FROM unnest({lists}) AS line"
    )


def update_sql(table: Table, names: Iterable[str], *, where: str) -> str:
    """Return the statement that writes these columns of the rows that `where` names."""
    values = ", ".join(f"{name} = {_value(table, name)}" for name in names)
    return f"UPDATE {table.name} SET {values} WHERE {where}"


def _value(table: Table, column: str, prefix: str = "") -> str:
    return f"CAST(:{prefix}{column} AS {_type_of(table, column)})"


def _type_of(table: Table, column: str) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own gap
    return str(table.c[column].type.compile(dialect=dialect))
