"""Documents as messages."""

from project_provisioning.domain.document import Document
from throughline.project_provisioning.v1 import document_pb2 as pb


def write_document(document: Document) -> pb.Document:
    """Return a document as it was uploaded."""
    return pb.Document(content_type=document.content_type, content=document.content)
