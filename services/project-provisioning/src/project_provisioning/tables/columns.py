"""The kinds of columns and tables this service has."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.sql.schema import SchemaItem

from throughline_runtime.schema import metadata_tables

METADATA: Final = MetaData()
metadata_tables(METADATA)


def table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    return Table(name, METADATA, *items, comment=comment)


def key(name: str) -> Column[Any]:
    return Column(name, Uuid, primary_key=True)


def id_of(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Uuid, nullable=nullable)


def ref(name: str, table: str, *, primary_key: bool = False) -> Column[Any]:
    return Column(
        name, Uuid, ForeignKey(f"{table}.{name}"), nullable=False, primary_key=primary_key
    )


def text_column(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def whole(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False)


def version() -> Column[Any]:
    return Column("version", BigInteger, nullable=False)


def amount(name: str) -> Column[Any]:
    return Column(name, Numeric(18, 6), nullable=False)


def flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def day(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Date, nullable=nullable)


def instant(name: str, *, default: bool = False, nullable: bool = False) -> Column[Any]:
    server_default = func.now() if default else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)
