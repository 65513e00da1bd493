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
        DocumentTypeRefused: the content does not begin as files of this type do.
    """
    signature = _SIGNATURES.get(content_type)
    if signature is None or not content.startswith(signature):
        raise DocumentTypeRefused(
            f"the content is no {content_type}",
            field=field,
            advice=f"send a file of one of the types {', '.join(_SIGNATURES)}",
        )
    return Document(sha256(content).hexdigest(), content_type, content)
