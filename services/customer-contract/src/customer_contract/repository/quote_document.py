"""Documents of quotes; contents are kept once, by their SHA-256, apart from the quotes."""

from typing import Any, Final

from sqlalchemy import Row, Select, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.quote_document import PDF, DocumentKind, QuoteDocument
from customer_contract.domain.values import QuoteId
from throughline_core.errors import NotFound
from throughline_runtime import audit

_LOCK_QUOTE: Final = text("""
    SELECT FROM quote WHERE quote_id = :quote_id AND quote_version = :quote_version FOR UPDATE
""")


class QuoteDocumentNotFound(NotFound):
    """The quote has no document with this content."""

    code = "quote_document.not_found"


async def add(tx: AsyncConnection, document: QuoteDocument, content: bytes) -> None:
    """Keep the content, unless it is kept already, and what it belongs to."""
    await tx.execute(
        insert(tables.document)
        .values(sha256=document.sha256, content_type=document.content_type, content=content)
        .on_conflict_do_nothing()
    )
    await tx.execute(
        insert(tables.quote_document).values(
            quote_id=document.quote_id,
            quote_version=document.quote_version,
            sha256=document.sha256,
            kind=document.kind,
            file_name=document.file_name,
            size_bytes=document.size_bytes,
            attached_by=document.attached_by,
            attached_at=document.attached_at,
        )
    )
    audit.touch(tx, document.quote_id)


async def attached(
    tx: AsyncConnection, quote_id: QuoteId, quote_version: int
) -> list[QuoteDocument]:
    """Return the documents of a version, which no other writer adds to meanwhile."""
    await tx.execute(_LOCK_QUOTE, {"quote_id": quote_id, "quote_version": quote_version})
    table = tables.quote_document
    query = select(table).where(
        table.c.quote_id == quote_id, table.c.quote_version == quote_version
    )
    return await load(tx, query)


async def is_attached(
    tx: AsyncConnection, quote_id: QuoteId, quote_version: int, sha256: bytes
) -> bool:
    """Return whether the version of the quote has a document with this content."""
    table = tables.quote_document
    query = select(func.count()).where(
        table.c.quote_id == quote_id,
        table.c.quote_version == quote_version,
        table.c.sha256 == sha256,
    )
    return bool(await tx.scalar(query))


async def get(tx: AsyncConnection, quote_id: QuoteId, sha256: bytes) -> tuple[QuoteDocument, bytes]:
    """Return a document of the quote, of its latest version that has it, with its content.

    Raises:
        QuoteDocumentNotFound: there is none.
    """
    table = tables.quote_document
    query = (
        select(table, tables.document.c.content)
        .join(tables.document)
        .where(table.c.quote_id == quote_id, table.c.sha256 == sha256)
        .order_by(table.c.quote_version.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise QuoteDocumentNotFound(
            f"quote {quote_id} has no document {sha256.hex()}", field="sha256"
        )
    return _document_from(row), row.content


async def load(tx: AsyncConnection, query: Select[Any]) -> list[QuoteDocument]:
    """Return the documents the query over `tables.quote_document` yields, in its order."""
    return [_document_from(row) for row in await tx.execute(query)]


def _document_from(row: Row[Any]) -> QuoteDocument:
    return QuoteDocument(
        QuoteId(row.quote_id),
        row.quote_version,
        row.sha256,
        DocumentKind(row.kind),
        row.file_name,
        PDF,
        row.size_bytes,
        row.attached_by,
        row.attached_at,
    )
