"""Callbacks of vendors: the raw bytes go to connectors, which verifies, stores and answers."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi
from gateway.edge import edge_of
from gateway.reading import path_values
from throughline.connectors.v1 import webhook_service_pb2 as pb
from throughline.connectors.v1 import webhook_service_pb2_grpc as pb_grpc
from throughline_runtime.identity import Caller

_BODY_BYTES_MAX: Final = 256 * 1024
# Only what signatures need; cookies and tokens stay out of the store.
_HEADERS: Final = ("stripe-signature", "content-type", "user-agent")
_GATEWAY: Final = Caller.service("gateway")

_RECEIVE: Final[dict[str, Any]] = openapi.operation(
    "ReceiveWebhook",
    summary="Receive a vendor's callback",
    description="The vendor's signature over the raw body is the proof. Sending the same event "
    "again is answered alike and changes nothing.",
    tag="Webhook",
    access=None,
    reply={"description": "Stored; it is worked on afterwards."},
    parameters=[
        {
            "name": "provider",
            "in": "path",
            "required": True,
            "description": "The vendor.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 40},
            "example": "stripe",
        }
    ],
    body={
        "*/*": {"schema": {"type": "string", "description": "The body as the vendor signed it."}}
    },
)


def mount(app: FastAPI) -> None:
    """Add the route of this module."""
    openapi.add_route(app, "post", "/v1/webhooks/{provider}", receive_webhook, _RECEIVE)


async def receive_webhook(request: Request) -> Response:
    """Store a callback."""
    edge = edge_of(request)
    # Anybody may call, so all callers count as one.
    await edge.throttle.admit(_GATEWAY.subject)
    await edge.call(
        pb_grpc.WebhookServiceStub,
        "connectors",
        "ReceiveWebhook",
        pb.ReceiveWebhookRequest(
            **path_values(request, ("provider",)),
            body=await edge.read_body(request, bytes_max=_BODY_BYTES_MAX),
            headers={name: request.headers[name] for name in _HEADERS if name in request.headers},
        ),
        caller=_GATEWAY,
    )
    return Response()
