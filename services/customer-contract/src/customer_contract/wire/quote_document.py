"""Messages of the documents of quotes."""

from typing import Final

from customer_contract.domain.quote_document import DocumentKind, QuoteDocument
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline_runtime.fields import EnumMap, read_optional_enum, write_instant

DOCUMENT_KIND: Final = EnumMap(pb.QuoteDocumentKind, DocumentKind)


def read_kind(request: pb.AttachQuoteDocumentRequest) -> DocumentKind:
    """Return what the document is to the offer: the statement of work unless told."""
    kind = read_optional_enum("kind", request.kind, DOCUMENT_KIND)
    return kind or DocumentKind.STATEMENT_OF_WORK


def write_document(document: QuoteDocument) -> pb.QuoteDocument:
    return pb.QuoteDocument(
        sha256=document.sha256.hex(),
        quote_version=document.quote_version,
        kind=DOCUMENT_KIND.write(document.kind),
        file_name=document.file_name,
        content_type=document.content_type,
        size_bytes=document.size_bytes,
        attached_by=document.attached_by,
        attached_at=write_instant(document.attached_at),
    )
