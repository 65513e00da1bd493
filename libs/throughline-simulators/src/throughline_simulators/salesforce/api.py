"""The REST API of the simulated org, as its clients meet it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import parse_qsl

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from throughline_simulators import exact_json
from throughline_simulators.salesforce.errors import ApiError, TokenError, not_found
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.pricing import Pricing
from throughline_simulators.salesforce.query import Cursors, QueryRun, attributes
from throughline_simulators.salesforce.records import MultipleChoices, Records
from throughline_simulators.salesforce.schema import SObject, describe
from throughline_simulators.salesforce.sessions import Sessions
from throughline_simulators.salesforce.values import Record

_VERSION: Final = re.compile(r"v(\d+)\.0")
_BATCH_SIZE: Final = re.compile(r"batchSize\s*=\s*(\d+)")
_UPSERTS_MAX: Final = 200
_USED: Final = "salesforce.counter.api_calls"

Handler = Callable[[Request], Awaitable[Response]]


class SalesforceReply(exact_json.ExactJSONResponse):
    media_type = "application/json;charset=UTF-8"


class RestApi:
    """All operations; each takes the request and gives the vendor's reply."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.pricing = Pricing(org)
        self.records = Records(org, self.pricing)
        self.sessions = Sessions(org)
        self.cursors = Cursors()

    def application(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.add_exception_handler(ApiError, self._refuse)
        app.add_exception_handler(TokenError, self._refuse_token)
        app.add_exception_handler(MultipleChoices, self._offer_choices)
        app.add_exception_handler(HTTPException, self._refuse_route)
        app.include_router(self._routes())
        return app

    def unavailable(self) -> Response:
        """Return what an org under maintenance answers."""
        if self.org.switches.unavailable_as_html:
            return HTMLResponse("<html><body>Down for maintenance</body></html>", 503)
        return self._errors(503, "SERVER_UNAVAILABLE", "Server unavailable, try again later")

    def throttled(self) -> Response:
        """Return the refusal of a call over the org's limit."""
        return self._errors(
            self.org.switches.throttled_status,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        )

    def _routes(self) -> APIRouter:
        router = APIRouter()
        data, record = "/services/data/{version}", "/sobjects/{object_name}/{record_id}"
        by_external_id = "/sobjects/{object_name}/{field_name}/{value:path}"
        router.add_api_route("/services/oauth2/token", self._token, methods=["POST"])
        router.add_api_route("/services/data", self._versions, methods=["GET"])
        guarded: list[tuple[str, str, Handler]] = [
            ("GET", "/query", self._query),
            ("GET", "/query/{locator}", self._query_more),
            ("GET", "/limits", self._limits),
            ("GET", "/sobjects", self._list_objects),
            ("POST", "/sobjects/{object_name}", self._create),
            ("GET", "/sobjects/{object_name}/describe", self._describe),
            ("GET", record, self._get),
            ("PATCH", record, self._update),
            ("DELETE", record, self._delete),
            ("PATCH", by_external_id, self._upsert),
            ("GET", by_external_id, self._get_by_external_id),
            ("PATCH", "/composite/sobjects/{object_name}/{field_name}", self._upsert_many),
        ]
        for method, path, handler in guarded:
            router.add_api_route(data + path, self._guarded(handler), methods=[method])
        return router

    def _guarded(self, handler: Handler) -> Handler:
        """Ask for a session, a known version and an unspent allowance before the work."""

        async def call(request: Request) -> Response:
            self.sessions.use(request.headers.get("Authorization"))
            self._check_version(request)
            if self._used() >= self.org.switches.daily_calls_max:
                return self.throttled()
            self.org.store.next_number(_USED)
            if request.method != "GET" and self.org.board.take("row_locks_next"):
                raise ApiError(
                    "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"
                )
            self.pricing.finish_due()
            response = await handler(request)
            response.headers["Sforce-Limit-Info"] = self._usage()
            return response

        return call

    # Operations

    async def _token(self, request: Request) -> Response:
        form = dict(
            parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True)
        )
        host, prefix = request.url.netloc, request.scope.get("root_path", "")
        instance_url = f"{request.url.scheme}://{host}{prefix}"
        return SalesforceReply(self.sessions.grant(form, instance_url=instance_url))

    async def _versions(self) -> Response:
        switches = self.org.switches
        numbers = range(switches.oldest_version, switches.newest_version + 1)
        return SalesforceReply(
            [
                {"label": f"v{n}", "url": f"/services/data/v{n}.0", "version": f"{n}.0"}
                for n in numbers
            ]
        )

    async def _query(self, request: Request) -> Response:
        text = request.query_params.get("q")
        if text is None:
            raise ApiError("MALFORMED_QUERY", "A query string has to be specified")
        return self._shown(
            lambda run: run.answer(text, page_size=self._page_size(request)), request
        )

    async def _query_more(self, request: Request) -> Response:
        locator = request.path_params["locator"]
        return SalesforceReply(self.cursors.next(locator, request.path_params["version"]))

    async def _limits(self, _request: Request) -> Response:
        most = self.org.switches.daily_calls_max
        left = max(0, most - self._used())
        return SalesforceReply({"DailyApiRequests": {"Max": most, "Remaining": left}})

    async def _list_objects(self, _request: Request) -> Response:
        entities = [
            {"name": entity.name, "label": entity.label, "keyPrefix": entity.key_prefix}
            for entity in self.org.entities()
        ]
        return SalesforceReply({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entities})

    async def _describe(self, request: Request) -> Response:
        entity = self._entity(request)
        children = [(child.name, field) for child, field in self.org.children_of(entity)]
        return SalesforceReply(describe(entity, children))

    async def _get(self, request: Request) -> Response:
        entity, record = self._record(request)
        return self._shown(lambda run: run.whole(entity, record, _names(request)), request)

    async def _get_by_external_id(self, request: Request) -> Response:
        entity = self._entity(request)
        field = entity.field(request.path_params["field_name"])
        if field is None or not field.external_id:
            raise not_found()
        wanted = request.path_params["value"]
        matches = [r for r in self.org.live(entity) if str(r.get(field.name)) == wanted]
        if len(matches) > 1:
            raise MultipleChoices(matches)
        if not matches:
            raise not_found()
        return self._shown(lambda run: run.whole(entity, matches[0], _names(request)), request)

    async def _create(self, request: Request) -> Response:
        entity = self._entity(request)
        record_id = self.records.create(entity, await _body(request))
        return SalesforceReply(self._result(record_id), HTTPStatus.CREATED)

    async def _update(self, request: Request) -> Response:
        entity, record = self._record(request)
        self.records.update(entity, record, await _body(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _delete(self, request: Request) -> Response:
        self.records.delete(*self._record(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _upsert(self, request: Request) -> Response:
        path = request.path_params
        record_id, created = self.records.upsert(
            self._entity(request), path["field_name"], path["value"], await _body(request),
            update_only=request.query_params.get("updateOnly") == "true",
        )  # fmt: skip
        result = {**self._result(record_id), "created": created}
        if created:
            return SalesforceReply(result, HTTPStatus.CREATED)
        status = self.org.switches.upsert_update_status
        if status is None:
            status = 204 if self._check_version(request) < 46 else 200
        return Response(status_code=204) if status == 204 else SalesforceReply(result)

    async def _upsert_many(self, request: Request) -> Response:
        """Upsert up to 200 records, each by itself; all or none is not simulated."""
        body = await _body(request)
        records = body.get("records")
        if not isinstance(records, list) or len(records) > _UPSERTS_MAX:
            raise ApiError(
                "INVALID_INPUT", f"records: a list of at most {_UPSERTS_MAX} is expected"
            )
        if body.get("allOrNone") is True:
            raise ApiError("INVALID_INPUT", "allOrNone is not simulated")
        entity, field_name = self._entity(request), request.path_params["field_name"]
        return SalesforceReply([self._upsert_one(entity, field_name, each) for each in records])

    def _upsert_one(self, entity: SObject, field_name: str, body: Mapping[str, object]) -> object:
        try:
            record_id, created = self.records.upsert(
                entity, field_name, str(body.get(field_name)),
                {name: value for name, value in body.items() if name != field_name},
                update_only=False,
            )  # fmt: skip
        except ApiError as error:
            problem = {"statusCode": error.code, "message": error.message, "fields": error.fields}
            return {"success": False, "errors": [problem]}
        except MultipleChoices:
            problem = {"statusCode": "DUPLICATE_EXTERNAL_ID", "message": "several records match"}
            return {"success": False, "errors": [problem]}
        return {**self._result(record_id), "created": created}

    # Shared steps

    def _shown(
        self, show: Callable[[QueryRun], Mapping[str, object]], request: Request
    ) -> Response:
        """Show records as they are now; recalculations seen often enough end afterwards."""
        run = QueryRun(
            self.org, self.cursors,
            version=request.path_params["version"], on_read=self.pricing.note_read,
        )  # fmt: skip
        reply = SalesforceReply(show(run))
        self.pricing.finish_read()
        return reply

    def _entity(self, request: Request) -> SObject:
        return self.org.require(request.path_params["object_name"])

    def _record(self, request: Request) -> tuple[SObject, Record]:
        entity = self._entity(request)
        record = self.org.find(entity, request.path_params["record_id"])
        if record is None:
            raise not_found()
        return entity, record

    def _check_version(self, request: Request) -> int:
        match = _VERSION.fullmatch(request.path_params["version"])
        switches = self.org.switches
        if match is None or not switches.oldest_version <= int(match[1]) <= switches.newest_version:
            raise not_found()
        return int(match[1])

    def _page_size(self, request: Request) -> int:
        """Return the smaller of our switch and the batch size asked for, which is at least 200."""
        asked = _BATCH_SIZE.search(request.headers.get("Sforce-Query-Options", ""))
        size = self.org.switches.page_size
        return size if asked is None else min(size, max(200, int(asked[1])))

    def _result(self, record_id: str) -> dict[str, object]:
        return {"id": record_id[: self.org.switches.id_length], "success": True, "errors": []}

    def _used(self) -> int:
        return cast("int", self.org.store.collection(_USED).get("last", {"number": 0})["number"])

    def _usage(self) -> str:
        return f"api-usage={self._used()}/{self.org.switches.daily_calls_max}"

    # Refusals

    def _errors(
        self, status: int, code: str, message: str, fields: tuple[str, ...] = ()
    ) -> Response:
        sent = self.org.switches.error_code_names.get(code, code)
        error: dict[str, object] = {"message": message, "errorCode": sent}
        if fields and self.org.switches.errors_carry_fields:
            error["fields"] = fields
        return SalesforceReply([error], status)

    async def _refuse(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        response = self._errors(error.status, error.code, error.message, error.fields)
        response.headers["Sforce-Limit-Info"] = self._usage()
        return response

    async def _refuse_token(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, TokenError)
        return SalesforceReply({"error": error.error, "error_description": error.description}, 400)

    async def _offer_choices(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, MultipleChoices)
        entity, version = self._entity(request), request.path_params["version"]
        return SalesforceReply(
            [attributes(entity, record, version)["url"] for record in error.records], 300
        )

    async def _refuse_route(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return self._errors(405, "METHOD_NOT_ALLOWED", "HTTP method not allowed")
        return self._errors(404, "NOT_FOUND", "The requested resource does not exist")


def _names(request: Request) -> list[str] | None:
    fields = request.query_params.get("fields")
    return None if fields is None else fields.split(",")


async def _body(request: Request) -> Mapping[str, object]:
    try:
        body = exact_json.read(await request.body())
    except ValueError as error:
        raise ApiError("JSON_PARSER_ERROR", f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ApiError("JSON_PARSER_ERROR", "The body is no JSON object")
    return body
