"""Documents that prove something, told by how their content begins rather than by their name."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from throughline_core.errors import InvalidArgument, NotFound

# How a file of each type begins (ISO 32000-2 §7.5.2, ISO/IEC 15948 §5.2, ITU-T T.81 §B.1.1.3).
_SIGNATURES: Final = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}


# A reader of PDF looks for its header in so many bytes (ISO 32000-1 annex H, note 13).
_PDF: Final = b"%PDF-"
_PDF_WITHIN: Final = 1024
# How the last record of a ZIP archive begins, how long it is without its comment, and how long that
# may be (APPNOTE.TXT 6.3.10 §4.3.16): an archive is read from its end, whatever comes before it.
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_END_LENGTH: Final = 22
_ZIP_COMMENT_MAX: Final = 0xFFFF


class DocumentNotFound(NotFound):
    """No such document is kept, or none the caller may see."""

    code = "document.not_found"


class DocumentTypeRefused(InvalidArgument):
    """The content is not what its type says."""

    code = "document.type_refused"


@dataclass(frozen=True, slots=True)
class Document:
    """A file, known by the hash of its content, hexadecimal."""

    sha256: str
    content_type: str
    content: bytes


def read_document(content_type: str, content: bytes, *, field: str) -> Document:
    """Return the document.

    Raises:
        DocumentTypeRefused: the content does not begin as files of this type do, or can be read as
            a file of another type as well.
    """
    signature = _SIGNATURES.get(content_type)
    if signature is None or not content.startswith(signature):
        raise DocumentTypeRefused(
            f"the content is no {content_type}",
            field=field,
            advice=f"send a file of one of the types {', '.join(_SIGNATURES)}",
        )
    if _is_archive(content) or (signature != _PDF and _PDF in content[:_PDF_WITHIN]):
        raise DocumentTypeRefused(
            "the content can be read as a file of another type as well",
            field=field,
            advice="print or scan the receipt anew, and send that file",
        )
    return Document(sha256(content).hexdigest(), content_type, content)


def _is_archive(content: bytes) -> bool:
    """Whether the content ends as a ZIP archive does, as Java's and Office's files are."""
    place = content.rfind(_ZIP_END, -(_ZIP_END_LENGTH + _ZIP_COMMENT_MAX))
    if place < 0 or place + _ZIP_END_LENGTH > len(content):
        return False
    comment_length = int.from_bytes(content[place + 20 : place + 22], "little")
    return place + _ZIP_END_LENGTH + comment_length == len(content)
