"""How the tables of the service are declared: one metadata, and columns by kind."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.sql.schema import SchemaItem

from throughline_runtime.schema import metadata_tables

metadata: Final = MetaData()
metadata_tables(metadata)


def table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    """Return a table of the service's own metadata."""
    return Table(name, metadata, *items, comment=comment)


def ids(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Return columns of UUIDs."""
    return [Column(name, Uuid, nullable=nullable) for name in names]


def texts(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Return columns of text."""
    return [Column(name, Text, nullable=nullable) for name in names]


def integers(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Return columns of integers."""
    return [Column(name, Integer, nullable=nullable) for name in names]


def numbers(*names: str) -> list[Column[Any]]:
    """Return columns of exact decimals."""
    # Without a scale of their own: numeric(p, s) would round what it is given, silently.
    return [Column(name, Numeric, nullable=False) for name in names]


def days(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Return columns of civil dates."""
    return [Column(name, Date, nullable=nullable) for name in names]


def instant(name: str, *, nullable: bool = False) -> Column[Any]:
    """Return a column of an instant."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def version() -> Column[Any]:
    """Return the column that counts an aggregate's decisions."""
    return Column("version", BigInteger, nullable=False)
