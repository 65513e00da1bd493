"""The OpenAPI description: operations from methods, schemas from shapes, examples from comments."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from google.protobuf.descriptor import Descriptor
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from starlette.requests import Request
from starlette.responses import Response

import gateway
from gateway import problems, reading, sheets, transcode
from gateway.contract import RestMethod, groups
from gateway.examples import example_of, example_of_field, example_of_reply
from gateway.transcode import Shape
from throughline_runtime.identity import Access

TITLE: Final = "Throughline API"
VERSION: Final = "3.1.0"
DESCRIPTION: Final = """\
One approved commercial baseline, from quote to cash.

* Sign in with a bearer token; each method names the scope and the roles it needs.
* A token that speaks for an outside system (claim `system`) changes only what the ownership rules
  let this system change: `GET /v1/operations/ownership-rules`.
* Send `Idempotency-Key` with every command: a repetition gets the first reply, and another body
  under the same key is refused. Without one a key is made for you; every reply tells it, also one
  that says a part is out of reach.
* Amounts, rates and quantities are decimal strings; dates are `YYYY-MM-DD`, instants are UTC.
* Lists are paged: pass `next_page_token` back as `page_token`.
* Lists are sheets too: with `Accept: text/csv` all pages come as one file of at most some 10,000
  rows, and where there are more a `Link` leads to the rest. With `page_size` it is that one page.
* Errors are RFC 9457 problems that name the field, the rule and what to do.
* `:batch` methods take a JSON object, or `application/x-ndjson` with one item a line.
"""
_REF: Final = "#/components/schemas/{model}"
_ERRORS: Final = {
    "401": "No valid token.",
    "403": "The caller lacks the role, the scope, the legal entity or the ownership.",
    "404": "No such object, or none the caller may see.",
    "408": "The body did not arrive in time.",
    "409": "The object's state forbids this, or somebody else was faster.",
    "413": "The body is too large.",
    "415": "The body is of a type this method does not take.",
    "422": "The request is not valid; `violations` names fields and rules.",
    "429": "Too many requests; see Retry-After.",
    "500": "We failed; the trace id tells us where.",
    "503": "A part is out of reach; see Retry-After.",
}
_OF_BODIES: Final = frozenset({"408", "413", "415"})
_HEADERS: Final = {
    "trace-id": ("Quote it to support.", "4bf92f3577b34da6a3ce929d0e0e4736"),
    "idempotency-key": ("The key of this command, sent or made.", "7d3c1f0e-5a52-4a57-9f3e"),
    "link": (
        'Of a sheet that does not hold all rows: where it goes on, as `rel="next"`.',
        '</v1/holds?page_token=WyJhIl0>; rel="next"',
    ),
    "retry-after": ("Seconds to wait before the next attempt.", "1"),
}
_VIOLATION: Final = {
    "field": "Path of the field: `rows[3].minutes`.",
    "rule": "Stable name of the rule it breaks.",
    "detail": "The rule, in words.",
    "advice": "What to do.",
}
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What went wrong, in which field, by which rule, and what to do (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "URN of the code."},
        "title": {"type": "string", "description": "The kind of problem, in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "This problem, in words."},
        "code": {"type": "string", "description": "Stable code: `<aggregate>.<reason>`."},
        "field": {"type": "string", "description": "Path of the first offending field."},
        "advice": {"type": "string", "description": "What to do."},
        "violations": {
            "type": "array",
            "description": f"At most {problems.VIOLATIONS_MAX} of the broken rules.",
            "items": {
                "type": "object",
                "properties": {
                    name: {"type": "string", "description": text}
                    for name, text in _VIOLATION.items()
                },
            },
        },
        "violation_count": {"type": "integer", "description": "All of them, listed or not."},
        "trace_id": {"type": "string", "description": "Quote it to support."},
    },
    "examples": [
        {
            "type": "urn:throughline:problem:request.invalid_field",
            "title": "The request is not valid",
            "status": 422,
            "detail": "minutes: Input should be less than or equal to 1440",
            "code": "request.invalid_field",
            "field": "minutes",
            "advice": "correct the field and send again",
        }
    ],
}

Operation = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Described:
    """Stands for the schema of a type until the document is made."""

    adapter: TypeAdapter[Any]
    mode: JsonSchemaMode


def request_schema(shape: TypeAdapter[Any]) -> Described:
    """Return the schema of what clients send."""
    return Described(shape, "validation")


def reply_schema(reply_type: Any) -> Described:
    """Return the schema of what clients get."""
    return Described(TypeAdapter(reply_type), "serialization")


def operation(
    name: str,
    *,
    summary: str,
    description: str,
    tag: str,
    access: Access | None,
    reply: Mapping[str, Any],
    parameters: Sequence[Mapping[str, Any]] = (),
    body: Mapping[str, Any] | None = None,
    is_command: bool = False,
) -> Operation:
    """Return an operation; `access` None means that anybody may call it."""
    needed = "Needs no token."
    if access is not None:
        roles = ", ".join(sorted(role.removeprefix("ROLE_").lower() for role in access.roles))
        needed = f"Scope `{access.scope}`; roles: {roles}."
    headers = ("trace-id", "idempotency-key") if is_command else ("trace-id",)
    made: Operation = {
        "operationId": name,
        "summary": summary,
        "description": f"{description}\n\n{needed}",
        "tags": [tag],
        "security": [] if access is None else [{"bearer": []}],
        "parameters": [*parameters, *([_KEY_PARAMETER] if is_command else [])],
        "responses": {
            "200": {**reply, "headers": {**_headers(*headers), **reply.get("headers", {})}},
            **{
                status: {"$ref": f"#/components/responses/{status}"}
                for status in _ERRORS
                if body is not None or status not in _OF_BODIES
            },
        },
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": body}
    return made


_KEY_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes repeating safe: the same key gets the first reply.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": reading.KEY_LENGTH_MAX,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
    "example": "7d3c1f0e-5a52-4a57-9f3e-1d1f0c9a4b11",
}


def _error(status: str, text: str) -> dict[str, Any]:
    waits = ("retry-after",) if status in {"429", "503"} else ()
    return {
        "description": text,
        "headers": _headers("trace-id", *waits),
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def describe(method: RestMethod) -> Operation:
    """Return the operation of one method of the contract."""
    return operation(
        method.name,
        summary=in_words(method.name),
        description=paragraphs(method.comment) + _ownership(method),
        tag=method.group,
        access=method.access,
        reply=_reply(method),
        parameters=list(_parameters(method)),
        body=_body(method) if method.has_body else None,
        is_command=method.is_command,
    )


def _reply(method: RestMethod) -> dict[str, Any]:
    """Return the description of a method's reply: in JSON, and as a sheet where it is one."""
    text = "Done." if method.is_command else "Found."
    example = example_of_reply(method.response)
    reply = json_reply(transcode.reply_type_of(method.response), text, example=example)
    if method.sheet is not None:
        reply["content"][sheets.CSV] = {"schema": {"type": "string", "description": _sheet(method)}}
        reply["headers"] = _headers("link")
    return reply


def _sheet(method: RestMethod) -> str:
    """Return what stands in the sheet of a method that has one."""
    assert method.sheet is not None
    if method.sheet.message_type is None:
        return transcode.describe(method.sheet)
    columns = ", ".join(column.name for column in sheets.columns_of(method.sheet.message_type))
    return (
        "The rows of the list (RFC 4180, UTF-8), the headings first; a sheet that goes on another "
        "has none. Absent values are empty, several in one cell stand apart by `;`, and texts that "
        "a spreadsheet would take for a formula are led by an apostrophe. "
        f"Columns: {columns}."
    )


def _ownership(method: RestMethod) -> str:
    """Return what a system needs besides scope and role, where the method touches an object."""
    if method.owned is None:
        return ""
    done = f"`{method.owned.action}` of `{method.owned.object}`"
    return f"\n\nTo an outside system without a rule for {done} it refuses ownership.not_allowed."


def paragraphs(comment: str) -> str:
    """Return the comment of a method with its refusals in a paragraph of their own."""
    return comment.replace(" Refuses: ", "\n\nRefuses: ")


def in_words(name: str) -> str:
    """Return the words of a method's name: `ApproveInvoice` is "Approve invoice"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower().capitalize()


def json_reply(
    reply_type: Any, text: str, *, example: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the description of a reply in JSON."""
    content: dict[str, Any] = {"schema": reply_schema(reply_type)}
    if example is not None:
        content["example"] = example
    return {"description": text, "content": {reading.JSON: content}}


def json_body(shape: Shape, message: Descriptor, without: Sequence[str]) -> dict[str, Any]:
    """Return the description of a body in JSON, with an example."""
    return {
        reading.JSON: {
            "schema": request_schema(shape),
            "example": example_of(message, without=without),
        }
    }


def _body(method: RestMethod) -> dict[str, Any]:
    body = json_body(transcode.shape_of(method.request, method.taken), method.request, method.taken)
    if method.batch_field is not None:
        body[reading.NDJSON] = {
            "schema": {
                "type": "string",
                "description": f"One of `{method.batch_field.name}` a line; the other fields in "
                "the query string.",
            }
        }
    return body


def _parameters(method: RestMethod) -> Iterator[dict[str, Any]]:
    yield from parameters(method.request, method.path_fields, "path")
    if not method.has_body:
        flat = transcode.query_fields(method.request, method.taken)
        yield from parameters(method.request, [field.name for field in flat], "query")


def parameters(message: Descriptor, names: Sequence[str], place: str) -> Iterator[dict[str, Any]]:
    """Yield the parameters that these fields of a message are, in the path or in the query."""
    schema = transcode.shape_of(message).json_schema(schema_generator=_Untitled)
    for name in names:
        described = dict(schema["properties"][name])
        text = described.pop("description")
        # Nothing is sent as null in an address.
        single = next((kind for kind in described.get("anyOf", ()) if "type" in kind), described)
        yield {
            "name": name,
            "in": place,
            "required": place == "path" or name in schema.get("required", ()),
            "description": text,
            "schema": single,
            "example": example_of_field(message.fields_by_name[name]),
        }


class _Untitled(GenerateJsonSchema):
    """Leaves out titles, which repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def add_route(app: FastAPI, verb: str, path: str, endpoint: Endpoint, described: Operation) -> None:
    """Add a route with its description."""
    app.add_api_route(
        path,
        endpoint,
        methods=[verb.upper()],
        name=described["operationId"],
        openapi_extra=described,
    )


def document(app: FastAPI) -> dict[str, Any]:
    """Return the description of all routes that have an operation."""
    paths: dict[str, dict[str, Operation]] = {}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.openapi_extra:
            for verb in route.methods or ():
                paths.setdefault(route.path, {})[verb.lower()] = route.openapi_extra
    found = list(dict.fromkeys(_described(paths)))
    references, definitions = TypeAdapter.json_schemas(
        [(index, item.mode, item.adapter) for index, item in enumerate(found)],
        ref_template=_REF,
        schema_generator=_Untitled,
    )
    schemas = {item: references[index, item.mode] for index, item in enumerate(found)}
    return {
        "openapi": VERSION,
        "info": {"title": TITLE, "version": gateway.VERSION, "description": DESCRIPTION},
        "tags": [{"name": name, "description": text} for name, text in groups().items()],
        "paths": _resolve(paths, schemas),
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM},
            "responses": {status: _error(status, text) for status, text in _ERRORS.items()},
            "headers": {
                name: {"description": text, "schema": {"type": "string"}, "example": example}
                for name, (text, example) in _HEADERS.items()
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _described(node: Any) -> Iterator[Described]:
    if isinstance(node, Described):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _described(value)
    elif isinstance(node, list):
        for value in node:
            yield from _described(value)


def _resolve(node: Any, schemas: Mapping[Described, Any]) -> Any:
    """Return the node with each described type replaced by its schema."""
    if isinstance(node, Described):
        return schemas[node]
    if isinstance(node, dict):
        return {key: _resolve(value, schemas) for key, value in node.items()}
    if isinstance(node, list):
        return [_resolve(value, schemas) for value in node]
    return node
