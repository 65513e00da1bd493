"""The runtime's tables, and nothing of its own."""

from typing import Final

from sqlalchemy import MetaData

from throughline_runtime.schema import metadata_tables

METADATA: Final = MetaData()
metadata_tables(METADATA)
