"""Documents of quotes: the statement of work and what else belongs to an offer."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from customer_contract.domain.quote import Quote, QuoteStatus
from customer_contract.domain.values import QuoteId
from throughline_core.errors import IllegalTransition, InvalidArgument, ResourceExhausted

PDF: Final = "application/pdf"
DOCUMENTS_MAX: Final = 20

# ISO 32000-2, 7.5.2 and 7.5.5: a file begins with its header and ends with an end-of-file marker.
_HEADER: Final = b"%PDF-"
_TRAILER: Final = b"%%EOF"
_TRAILER_BYTES: Final = 1024

_OPEN: Final = frozenset({QuoteStatus.DRAFT, QuoteStatus.IN_REVIEW, QuoteStatus.APPROVED})


class NotAPdf(InvalidArgument):
    """The content is not what a document may be, whatever its name says."""

    code = "quote_document.not_a_pdf"


class TooManyDocuments(ResourceExhausted):
    """The version has as many documents as an offer can have."""

    code = "quote_document.too_many"


class DocumentKind(StrEnum):
    """What a document is to an offer."""

    STATEMENT_OF_WORK = "statement_of_work"
    ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True)
class QuoteDocument:
    """A document of a version of an offer; its content is known by its SHA-256."""

    quote_id: QuoteId
    quote_version: int
    sha256: bytes
    kind: DocumentKind
    file_name: str
    content_type: str
    size_bytes: int
    attached_by: str
    attached_at: datetime


def attach(
    quote: Quote, content: bytes, *, kind: DocumentKind, file_name: str, by: str, at: datetime
) -> QuoteDocument:
    """Return the document as it belongs to this version of the offer.

    Raises:
        NotAPdf: the content does not begin and end as a PDF does.
        IllegalTransition: the version was signed, turned down, or is out of date.
    """
    if quote.status not in _OPEN:
        raise IllegalTransition(
            f"quote {quote.number} is {quote.status}: what belongs to it is settled",
            advice="attach the document to the version that is offered now",
        )
    if not content.startswith(_HEADER) or _TRAILER not in content[-_TRAILER_BYTES:]:
        raise NotAPdf(f"{file_name} is no PDF", field="content", advice="save the document as PDF")
    digest = sha256(content).digest()
    return QuoteDocument(
        quote.quote_id, quote.quote_version, digest, kind, file_name, PDF, len(content), by, at
    )


def require_room(attached: int) -> None:
    """Refuse a document beyond what a version can have.

    Raises:
        TooManyDocuments: it has `DOCUMENTS_MAX` already.
    """
    if attached >= DOCUMENTS_MAX:
        raise TooManyDocuments(
            f"an offer has at most {DOCUMENTS_MAX} documents",
            advice="put them together, or write the next version of the offer",
        )
