"""Columns that several tables share."""

from typing import Any, Final

from sqlalchemy import ARRAY, Boolean, Column, Date, Integer, MetaData, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB

from throughline_runtime import schema

metadata: Final = MetaData()
schema.metadata_tables(metadata)


def text_column(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def address() -> list[Column[Any]]:
    return [
        Column("address_lines", ARRAY(Text), nullable=False),
        text_column("city"),
        text_column("postal_code"),
        text_column("region"),
        text_column("country"),
    ]


def source() -> list[Column[Any]]:
    return [
        text_column("source_system", nullable=True),
        text_column("source_type", nullable=True),
        text_column("source_id", nullable=True),
    ]


def service_line() -> list[Column[Any]]:
    return [
        Column("position", Integer, nullable=False),
        text_column("service_code"),
        text_column("description"),
        text_column("billing_model"),
        Column("quantity", Numeric(13, 4), nullable=False),
        Column("unit_price", Numeric(18, 6), nullable=False),
        Column("net_total", Numeric(24, 4), nullable=False),
        Column("discount_percent", Numeric(7, 4), nullable=False),
        text_column("tax_category"),
        text_column("template_code"),
        Column("start_on", Date),
        Column("end_on", Date),
        Column("milestones", JSONB, nullable=False),
        Column("rates", JSONB, nullable=False),
        Column("not_to_exceed", Numeric(18, 4)),
        Column("anchor_day", Integer, nullable=False),
        Column("in_advance", Boolean, nullable=False),
        Column("markup_percent", Numeric(7, 4)),
        *source(),
        Column("terms", JSONB, nullable=False),
        Column("delivery", JSONB, nullable=False),
    ]
