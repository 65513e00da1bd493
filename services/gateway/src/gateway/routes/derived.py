"""REST for every method of the contract that has a path."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI
from google.protobuf.message import Message
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi, reading, rules, sheets, transcode
from gateway.contract import RestMethod, message_class, rest_methods
from gateway.edge import CALL_SECONDS, Edge, edge_of
from gateway.openapi import Endpoint

# A batch writes thousands of rows in one transaction.
BATCH_SECONDS: Final = 30.0

Reader = Callable[[Edge, Request], Awaitable[dict[str, Any]]]


def mount(app: FastAPI) -> None:
    """Add a route for each method that has a path."""
    for method in rest_methods():
        described = openapi.describe(method)
        openapi.add_route(app, method.verb, method.path, endpoint_of(method), described)


def endpoint_of(method: RestMethod) -> Endpoint:
    """Return the handler of one method: admit, read, call the owner, write JSON or a sheet."""
    message_type = message_class(method.request)
    encode = transcode.encoder_of(method.response)
    read = reader_of(method)
    seconds = method.seconds or (CALL_SECONDS if method.batch_field is None else BATCH_SECONDS)

    async def endpoint(request: Request) -> Response:
        edge = edge_of(request)
        caller = await edge.admit(request, method.access)
        message = message_type(**await read(edge, request))

        async def ask(question: Message) -> Message:
            return await edge.call(
                method.stub_class,
                method.service,
                method.name,
                question,
                caller=caller,
                seconds=seconds,
            )

        if method.sheet is not None and sheets.is_wanted(request):
            return await sheets.respond(request, method, message, ask)
        return json_response(encode(await ask(message)))

    return endpoint


def json_response(content: Any) -> Response:
    """Return a reply in JSON."""
    return Response(to_json(content), media_type=reading.JSON)


def reader_of(method: RestMethod) -> Reader:
    """Return what reads the fields of one method: from path, body or query, and the key."""
    shape = transcode.shape_of(method.request, method.taken)
    batch, flags = method.batch_field, None
    if batch is not None:
        flags = transcode.shape_of(method.request, (*method.taken, batch.name))
    flat = transcode.query_fields(method.request, method.taken)
    lists = frozenset(field.name for field in flat if field.is_repeated)
    numbers = frozenset(
        name
        for name in method.path_fields
        if method.request.fields_by_name[name].type in rules.INTEGER_RANGES
    )

    async def read(edge: Edge, request: Request) -> dict[str, Any]:
        key = reading.idempotency_key(request) if method.is_command else ""
        if method.has_body:
            fields = await reading.read_body(edge, request, shape, batch=batch, flags=flags)
        else:
            fields = reading.read_query(request, shape, lists)
        values = reading.path_values(request, method.path_fields)
        fields.update(values)
        fields.update((name, reading.path_number(name, values[name])) for name in numbers)
        if method.is_command:
            fields["request_id"] = key
        return fields

    return read
