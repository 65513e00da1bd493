"""What operators see of all services as one: parked messages, exceptions, audit, control totals,
ownership rules.

Each service answers for its own database; the gateway asks all of them at once, and every row says
whose it is.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, NotRequired

import structlog
from fastapi import FastAPI
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi, reading, transcode
from gateway.contract import comments, message_class, services
from gateway.edge import CALL_SECONDS, Edge, edge_of
from gateway.openapi import Endpoint
from gateway.routes.derived import json_response
from throughline.operations.v1 import operations_service_pb2 as pb
from throughline.operations.v1 import operations_service_pb2_grpc as pb_grpc
from throughline_core.errors import InvalidArgument, NotFound, Unavailable
from throughline_runtime.identity import Caller
from throughline_runtime.rpc.access import access_of, seconds_of
from throughline_runtime.rpc.errors import PeerFault

# Path below /v1/operations, method, and the field of its answer that holds the rows.
LISTS: Final = (
    ("parked", "ListParked", "parked"),
    ("exceptions", "ListExceptions", "exceptions"),
    ("audit", "ListAuditEntries", "entries"),
    ("ownership-rules", "ListOwnershipRules", "rules"),
)
# Path, method, and the field of the reply that holds the answers.
QUESTIONS: Final = (
    ("audit:verify", "VerifyAudit", "chains"),
    ("control-totals", "GetControlTotals", "services"),
)
COMMANDS: Final = (
    ("{service}/parked:replay", "ReplayParked"),
    ("{service}/parked:discard", "DiscardParked"),
    ("{service}/exceptions:note", "NoteException"),
    ("{service}/outbox:republish", "RepublishEvents"),
    ("{service}/ownership-rules:put", "PutOwnershipRule"),
)

_METHODS: Final = pb.DESCRIPTOR.services_by_name["OperationsService"].methods_by_name
_SERVICE: Final = Annotated[str, Field(description="The service whose it is: `billing-event`.")]
_ONLY_SERVICE: Final = Annotated[str, Field(description="Only this service: `billing-event`.")]

_log: Final = structlog.get_logger(__name__)


class ServiceUnknown(NotFound):
    """No deployed service has this name."""

    code = "operations.service_unknown"


class PageTokenInvalid(InvalidArgument):
    """The page token was not made by this list."""

    code = "request.malformed_page"


def mount(app: FastAPI) -> None:
    """Add the routes of this module."""
    for path, name, rows in LISTS:
        _add_list(app, path, _METHODS[name], rows)
    for path, name, rows in QUESTIONS:
        _add_question(app, path, _METHODS[name], rows)
    for path, name in COMMANDS:
        _add_command(app, path, _METHODS[name])


def _add_list(app: FastAPI, path: str, method: MethodDescriptor, rows: str) -> None:
    """Add a paged list over all services; one that is silent hides only its own rows."""
    fields = {
        **transcode.request_fields(method.input_type),
        "service": NotRequired[_ONLY_SERVICE],
    }
    shape = TypeAdapter(
        transcode.make_request_type(
            f"{method.name}OfAllRequest", comments().of(method.input_type), fields
        )
    )
    encode, access = transcode.encoder_of(method.output_type), access_of(method)
    message_type = message_class(method.input_type)

    async def endpoint(request: Request) -> Response:
        edge = edge_of(request)
        caller = await edge.admit(request, access)
        fields = reading.read_query(request, shape)
        asked = _chosen(edge, fields.pop("service", None))
        tokens = _read_tokens(fields.pop("page_token", ""), asked)
        questions = {
            peer: message_type(**fields, page_token=token) for peer, token in tokens.items()
        }
        answers = await _ask(edge, method.name, questions, caller)
        pages = {peer: encode(answer) for peer, answer in answers.items()}
        return json_response(
            {
                rows: [{"service": peer, **row} for peer in pages for row in pages[peer][rows]],
                "silent_services": [peer for peer in tokens if peer not in pages],
                "next_page_token": _write_tokens(
                    {peer: page["next_page_token"] for peer, page in pages.items()}
                ),
            }
        )

    names = [field.name for field in method.input_type.fields]
    parameters = [_parameter("query"), *openapi.parameters(method.input_type, names, "query")]
    _add(app, "get", path, endpoint, method, _list_type(method, rows), parameters=parameters)


def _list_type(method: MethodDescriptor, rows: str) -> Any:
    field = method.output_type.fields_by_name[rows]
    row = list.__class_getitem__(_owned(transcode.message_of(field)))
    silent = "Services that did not answer; their rows are missing."
    fields = {
        **transcode.reply_fields(method.output_type),
        rows: Annotated[row, Field(description=transcode.describe(field))],
        "silent_services": Annotated[list[str], Field(description=silent)],
    }
    return transcode.make_reply_type(
        f"{method.name}OfAllResponse", comments().of(method.output_type), fields
    )


async def _ask(
    edge: Edge, method: str, questions: Mapping[str, Message], caller: Caller
) -> dict[str, Message]:
    """Return the answers of those services that give one.

    Raises:
        Unavailable, PeerFault: none does.
    """

    async def ask(peer: str) -> Message | Unavailable | PeerFault:
        try:
            return await _call(edge, peer, method, questions[peer], caller)
        except (Unavailable, PeerFault) as error:
            _log.warning("service_silent", peer=peer, reason=str(error))
            return error

    answers = dict(zip(questions, await asyncio.gather(*map(ask, questions)), strict=True))
    given = {peer: answer for peer, answer in answers.items() if isinstance(answer, Message)}
    failed = [answer for answer in answers.values() if isinstance(answer, Exception)]
    if failed and not given:
        raise failed[0]
    return given


def _add_question(app: FastAPI, path: str, method: MethodDescriptor, rows: str) -> None:
    """Add a route that needs every service's answer: a part of it would prove nothing."""
    encode, access = transcode.encoder_of(method.output_type), access_of(method)
    shape, question = transcode.shape_of(method.input_type), message_class(method.input_type)()

    async def endpoint(request: Request) -> Response:
        edge = edge_of(request)
        caller = await edge.admit(request, access)
        reading.read_query(request, shape)
        answers = await asyncio.gather(
            *(_call(edge, peer, method.name, question, caller) for peer in edge.services)
        )
        pairs = zip(edge.services, map(encode, answers), strict=True)
        return json_response({rows: [{**answer, "service": peer} for peer, answer in pairs]})

    row = list.__class_getitem__(_owned(method.output_type))
    fields = {rows: Annotated[row, Field(description="One for each service.")]}
    text = comments().of(method.output_type)
    reply = transcode.make_reply_type(f"{method.name}OfAllResponse", text, fields)
    _add(app, "get", path, endpoint, method, reply)


def _add_command(app: FastAPI, path: str, method: MethodDescriptor) -> None:
    """Add a command to one service."""
    shape, access = transcode.shape_of(method.input_type, ("request_id",)), access_of(method)
    encode = transcode.encoder_of(method.output_type)
    message_type = message_class(method.input_type)

    async def endpoint(request: Request) -> Response:
        edge = edge_of(request)
        caller = await edge.admit(request, access)
        (service,) = _chosen(edge, request.path_params["service"])
        key = reading.idempotency_key(request)
        fields = await reading.read_body(edge, request, shape)
        command = message_type(**fields, request_id=key)
        return json_response(encode(await _call(edge, service, method.name, command, caller)))

    _add(
        app,
        "post",
        path,
        endpoint,
        method,
        transcode.reply_type_of(method.output_type),
        parameters=[_parameter("path")],
        body=openapi.json_body(shape, method.input_type, ("request_id",)),
    )


def _add(
    app: FastAPI,
    verb: str,
    path: str,
    endpoint: Endpoint,
    method: MethodDescriptor,
    reply: Any,
    *,
    parameters: Collection[Mapping[str, Any]] = (),
    body: Mapping[str, Any] | None = None,
) -> None:
    described = openapi.operation(
        method.name,
        summary=openapi.in_words(method.name),
        description=openapi.paragraphs(comments().of(method)),
        tag="Operations",
        access=access_of(method),
        reply=openapi.json_reply(reply, "Found." if body is None else "Done."),
        parameters=list(parameters),
        body=body,
        is_command=body is not None,
    )
    openapi.add_route(app, verb, f"/v1/operations/{path}", endpoint, described)


def _parameter(place: str) -> dict[str, Any]:
    return {
        "name": "service",
        "in": place,
        "required": place == "path",
        "description": "The service." if place == "path" else "Only this service.",
        "schema": {"type": "string", "enum": list(services())},
        "example": services()[0],
    }


def _owned(message: Descriptor) -> Any:
    """Return the type of a row or an answer that says whose it is."""
    fields = {**transcode.reply_fields(message), "service": _SERVICE}
    name = f"{transcode.name_of(message)}OfService"
    return transcode.make_reply_type(name, comments().of(message), fields)


async def _call(
    edge: Edge,
    peer: str,
    name: str,
    request: Message,
    caller: Caller,
) -> Message:
    seconds = seconds_of(_METHODS[name]) or CALL_SECONDS
    return await edge.call(
        pb_grpc.OperationsServiceStub, peer, name, request, caller=caller, seconds=seconds
    )


def _chosen(edge: Edge, service: str | None) -> tuple[str, ...]:
    if service is None:
        return edge.services
    if service not in edge.services:
        raise ServiceUnknown(
            f"there is no service {service}",
            field="service",
            advice=f"name one of {', '.join(edge.services)}",
        )
    return (service,)


def _read_tokens(token: str, services: Collection[str]) -> dict[str, str]:
    """Return the services still to be asked, each with the page token it gave."""
    if not token:
        return dict.fromkeys(services, "")
    try:
        left = json.loads(base64.urlsafe_b64decode(token))
        tokens = {peer: left[peer] for peer in services if peer in left}
        if not tokens or not all(isinstance(value, str) for value in tokens.values()):
            raise ValueError("another list's token")
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise PageTokenInvalid(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        ) from error
    return tokens


def _write_tokens(left: Mapping[str, str]) -> str:
    remaining = {peer: token for peer, token in left.items() if token}
    return base64.urlsafe_b64encode(json.dumps(remaining).encode()).decode() if remaining else ""
