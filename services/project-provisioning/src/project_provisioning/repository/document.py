"""Documents as rows, kept once for each content."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.document import Document
from throughline_core.ids import derived_id
from throughline_runtime import audit


async def add(tx: AsyncConnection, document: Document, *, by: str) -> None:
    """Keep a document, unless the same content is kept already."""
    values = {
        "sha256": document.sha256,
        "content_type": document.content_type,
        "content": document.content,
        "uploaded_by": by,
    }
    await tx.execute(insert(tables.document).values(values).on_conflict_do_nothing())
    audit.touch(tx, derived_id("document", document.sha256))


async def kept(tx: AsyncConnection, hashes: Iterable[str]) -> frozenset[str]:
    """Return those of the hashes whose documents are kept."""
    table = tables.document
    query = select(table.c.sha256).where(table.c.sha256.in_(list(hashes)))
    return frozenset((await tx.execute(query)).scalars())
