"""Documents, which are bytes and not JSON."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi
from gateway.edge import edge_of
from gateway.reading import path_values
from throughline.invoice_payment.v1 import invoice_service_pb2 as pb
from throughline.invoice_payment.v1 import invoice_service_pb2_grpc as pb_grpc
from throughline_runtime.rpc.access import access_of

_METHOD: Final = pb.DESCRIPTOR.services_by_name["InvoiceService"].methods_by_name[
    "GetInvoiceDocument"
]
_ACCESS: Final = access_of(_METHOD)
_GET: Final[dict[str, Any]] = openapi.operation(
    "GetInvoiceDocument",
    summary="Download the PDF of an issued invoice",
    description="The same bytes each time; the ETag is their SHA-256.",
    tag="Invoice",
    access=_ACCESS,
    reply={
        "description": "The document.",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    },
    parameters=list(openapi.parameters(_METHOD.input_type, ("invoice_id",), "path")),
)
_GET["responses"]["304"] = {"description": "The copy named by If-None-Match is the document."}


def mount(app: FastAPI) -> None:
    """Add the route of this module."""
    openapi.add_route(app, "get", "/v1/invoices/{invoice_id}/document", get_invoice_document, _GET)


async def get_invoice_document(request: Request) -> Response:
    """Return the document, or say that the client has it already."""
    edge = edge_of(request)
    caller = await edge.admit(request, _ACCESS)
    question = pb.GetInvoiceDocumentRequest(**path_values(request, ("invoice_id",)))
    answer = await edge.call(
        pb_grpc.InvoiceServiceStub, "invoice-payment", _METHOD.name, question, caller=caller
    )
    assert isinstance(answer, pb.GetInvoiceDocumentResponse)
    etag = f'"{answer.sha256}"'
    headers = {
        "etag": etag,
        "cache-control": "private, no-cache",
        "content-disposition": f'inline; filename="{answer.file_name}"',
    }
    known = request.headers.get("if-none-match", "")
    if etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(answer.content, media_type=answer.content_type, headers=headers)
