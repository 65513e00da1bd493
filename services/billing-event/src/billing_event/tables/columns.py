"""How tables are written down here: the metadata, and columns of the usual types."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.schema import SchemaItem

from throughline_runtime.schema import metadata_tables

metadata: Final = MetaData()
metadata_tables(metadata)


def table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    """Return a table of the service's own metadata."""
    return Table(name, metadata, *items, comment=comment)


def uuid(name: str, *, null: bool = False, key: bool = False) -> Column[Any]:
    """Return a column of UUIDs."""
    return Column(name, Uuid, nullable=null, primary_key=key)


def words(name: str, *, null: bool = False) -> Column[Any]:
    """Return a column of text."""
    return Column(name, Text, nullable=null)


def number(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    """Return a column of exact decimals; a scale would round what it is given, silently."""
    server_default = None if default is None else text(default)
    return Column(name, Numeric, nullable=null, server_default=server_default)


def count(name: str) -> Column[Any]:
    """Return a column of whole numbers."""
    return Column(name, BigInteger, nullable=False)


def day(name: str, *, null: bool = False) -> Column[Any]:
    """Return a column of civil dates."""
    return Column(name, Date, nullable=null)


def instant(name: str, *, null: bool = False) -> Column[Any]:
    """Return a column of instants."""
    return Column(name, DateTime(timezone=True), nullable=null)


def insert_of(into: Table, tail: str = "", *, without: Collection[str] = ()) -> TextClause:
    """Return the statement that inserts any number of rows, one array a column.

    The arrays are parameters named like the columns; `without` names those left to their default.
    """
    names = [column.name for column in into.columns if column.name not in without]
    return text(
        f"INSERT INTO {into.name} ({', '.join(names)})"
        f" SELECT * FROM unnest({arrays_of(into, names)}) {tail}"
    )


def arrays_of(of: Table, names: Iterable[str]) -> str:
    """Return the arguments of `unnest` that hold these columns: parameters of the same names."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # not annotated
    types = ((name, of.columns[name].type.compile(dialect)) for name in names)
    return ", ".join(f"CAST(:{name} AS {type_}[])" for name, type_ in types)
