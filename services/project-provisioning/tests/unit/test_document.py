"""A document is what its first bytes say, whatever it is called."""

import hashlib
import io
import zipfile

import pytest

from project_provisioning.domain.document import DocumentTypeRefused, read_document

PDF = b"%PDF-1.7\n%receipt"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


@pytest.mark.parametrize(
    ("content_type", "content"),
    [("application/pdf", PDF), ("image/png", PNG), ("image/jpeg", JPEG)],
)
def test_a_document_is_known_by_the_hash_of_its_content(content_type: str, content: bytes) -> None:
    document = read_document(content_type, content, field="receipt")

    assert document.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/pdf", b"MZ\x90\x00"),
        ("application/pdf", b"\x7fELF"),
        ("image/png", JPEG),
        ("image/jpeg", b""),
        ("text/html", b"<html>"),
    ],
)
def test_a_disguised_file_is_refused(content_type: str, content: bytes) -> None:
    with pytest.raises(DocumentTypeRefused):
        read_document(content_type, content, field="receipt")


def an_archive(comment: bytes = b"") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("Main.class", b"\xca\xfe\xba\xbe")
        archive.comment = comment
    return content.getvalue()


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/pdf", PDF + an_archive()),
        ("image/jpeg", JPEG + an_archive(b"a comment")),
        ("image/png", PNG + b"tEXt" + PDF),
    ],
)
def test_a_file_that_can_be_read_as_two_types_is_refused(content_type: str, content: bytes) -> None:
    with pytest.raises(DocumentTypeRefused):
        read_document(content_type, content, field="receipt")


def test_a_receipt_may_hold_bytes_that_only_look_like_an_archives_end() -> None:
    content = PDF + b"PK\x05\x06" + bytes(18) + b"and the receipt goes on"

    assert read_document("application/pdf", content, field="receipt").content == content
