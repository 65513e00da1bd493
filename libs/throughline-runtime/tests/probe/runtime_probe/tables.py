"""One ordinary table and one that only grows."""

from typing import Final

from sqlalchemy import BigInteger, Column, Identity, MetaData, Table, Text, Uuid

from throughline_runtime.schema import APPEND_ONLY, metadata_tables

METADATA: Final = MetaData()
metadata_tables(METADATA)

effect: Final = Table(
    "effect",
    METADATA,
    Column("place", BigInteger, Identity(always=True), primary_key=True),
    Column("aggregate_id", Uuid, nullable=False),
    Column("note", Text, nullable=False),
)

posting: Final = Table(
    "posting",
    METADATA,
    Column("posting_id", Uuid, primary_key=True),
    comment=f"{APPEND_ONLY}: a table of a service that only grows",
)
