"""The REST API of the simulated account, as its clients meet it."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from throughline_simulators import exact_json
from throughline_simulators.stripe import listing
from throughline_simulators.stripe.account import Account, cause
from throughline_simulators.stripe.errors import ApiError, InvalidRequest, missing
from throughline_simulators.stripe.idempotency import Replies
from throughline_simulators.stripe.objects import PaymentIntent, new_id
from throughline_simulators.stripe.params import Params, Tree, parse
from throughline_simulators.stripe.payments import Payments
from throughline_simulators.stripe.reversals import Reversals

Document = Mapping[str, object]
Operation = Callable[[Request, Params], Document]

_EXPANDABLE: Final = frozenset(
    {"latest_charge", "charge", "payment_intent", "balance_transaction", "source"}
)


class RestApi:
    """All operations; each reads its parameters and gives the vendor's document."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.payments = Payments(account)
        self.reversals = Reversals(account)
        self._replies = Replies(account)

    def application(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.add_exception_handler(ApiError, self._refuse)
        app.add_exception_handler(HTTPException, self._refuse_route)
        app.include_router(self._routes())
        return app

    def unavailable(self) -> Response:
        """Return what the vendor answers while it is down."""
        return _reply(503, _api_error("Stripe is temporarily unavailable."))

    def throttled(self) -> Response:
        """Return the refusal of one request too many."""
        error = ApiError("Request rate limit exceeded.", status=429, code="rate_limit")
        return _reply(429, error.body())

    def _routes(self) -> APIRouter:
        router = APIRouter(prefix="/v1")
        intents, intent = "/payment_intents", "/payment_intents/{key}"
        posts: list[tuple[str, Operation]] = [
            (intents, lambda _, params: self.payments.create(params)),
            (intent, lambda r, params: self.payments.update(self._intent(r), params)),
            (f"{intent}/confirm", lambda r, params: self.payments.confirm(self._intent(r), params)),
            (f"{intent}/capture", lambda r, params: self.payments.capture(self._intent(r), params)),
            (f"{intent}/cancel", lambda r, params: self.payments.cancel(self._intent(r), params)),
            ("/refunds", lambda _, params: self.reversals.refund(params)),
        ]
        account = self.account
        gets: list[tuple[str, Operation]] = [
            (intents, self._list(account.intents.values, ("customer",))),
            (intent, _one(account.intent)),
            ("/charges", self._list(account.charges.values, ("customer", "payment_intent"))),
            ("/charges/{key}", _one(account.read_charge)),
            ("/refunds", self._list(account.refunds.values, ("charge", "payment_intent"))),
            ("/refunds/{key}", _one(account.refund)),
            ("/disputes", self._list(account.disputes.values, ("charge", "payment_intent"))),
            ("/disputes/{key}", self._dispute),
            ("/balance_transactions", self._list(
                lambda: [account.shown_transaction(each) for each in account.balance.values()],
                ("source", "type", "currency"),
            )),
            ("/balance_transactions/{key}", _one(account.transaction)),
            ("/events", self._list_events),
            ("/events/{key}", self._event),
        ]  # fmt: skip
        for path, operation in posts:
            router.add_api_route(path, self._post(operation), methods=["POST"])
        for path, operation in gets:
            router.add_api_route(path, self._get(operation), methods=["GET"])
        return router

    # The way of a call

    def _get(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            self._authorize(request)
            tree = parse(request.url.query)
            expand = _take_expand(tree)
            document = self._expanded(operation(request, Params(tree)), expand)
            return _reply(200, document, request=request, version=self._version(request))

        return call

    def _post(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            self._authorize(request)
            tree = parse((await request.body()).decode(errors="replace"))
            key = request.headers.get("Idempotency-Key") or None
            path = _public_path(request)
            kept = None if key is None else self._replies.recall(key, path, tree)
            if kept is not None:
                replayed = _text_reply(kept["status"], kept["body"], kept["request_id"])
                replayed.headers["Idempotent-Replayed"] = "true"
                return replayed
            request_id = new_id("req")
            with self._replies.running(key):
                await asyncio.sleep(self.account.switches.execution_milliseconds / 1000)
                status, document = self._execute(operation, request, tree, request_id, key)
            body = exact_json.write(document, indent=2)
            if key is not None:
                self._replies.keep(
                    key, path=path, parameters=tree, status=status, body=body, request_id=request_id
                )
            return _text_reply(status, body, request_id, version=self._version(request), key=key)

        return call

    def _execute(
        self, operation: Operation, request: Request, tree: Tree, request_id: str, key: str | None
    ) -> tuple[int, Document]:
        """Do the work of a POST; refused parameters are raised, for they leave no reply to keep."""
        caused = cause.set({"id": request_id, "idempotency_key": key})
        left = dict(tree)
        expand = _take_expand(left)
        try:
            document = operation(request, Params(left))
            status, document = 200, self._expanded(document, expand)
        except InvalidRequest:
            raise
        except ApiError as error:
            status, document = error.status, error.body()
        finally:
            cause.reset(caused)
        if self.account.board.take("server_error_next"):
            return 500, _api_error("An unexpected error occurred.")
        return status, document

    def _authorize(self, request: Request) -> None:
        """Raises ApiError: no secret key, or none of ours."""
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                credential = base64.b64decode(credential).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                credential = ""
        if not credential:
            raise ApiError(
                "You did not provide an API key. You need to provide your API key in the "
                "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                "YOUR_SECRET_KEY').",
                status=401,
            )
        if credential not in self.account.switches.api_keys:
            shown = f"{credential[:8]}{'*' * max(0, len(credential) - 12)}{credential[-4:]}"
            raise ApiError(f"Invalid API Key provided: {shown}", status=401)

    def _expanded(self, document: Document, paths: list[str]) -> Document:
        return listing.expanded(document, paths, self._find)

    def _find(self, attribute: str, key: str) -> Document | None:
        if attribute not in _EXPANDABLE:
            return None
        account = self.account
        prefix = key.partition("_")[0]
        if prefix in ("ch", "py"):
            return account.read_charge(key)
        if prefix == "txn":
            return account.transaction(key)
        if prefix == "pi":
            return account.intent(key)
        return account.refunds.get(key) if prefix == "re" else account.disputes.get(key)

    def _version(self, request: Request) -> str:
        return request.headers.get("Stripe-Version", self.account.switches.api_version)

    # Operations

    def _intent(self, request: Request) -> PaymentIntent:
        return self.account.intent(request.path_params["key"])

    def _list(
        self, documents: Callable[[], Sequence[Document]], filters: tuple[str, ...] = ()
    ) -> Operation:
        return lambda request, params: listing.page(
            documents(), params, _public_path(request), filters
        )

    def _list_events(self, request: Request, params: Params) -> Document:
        types = params.take_list("types")
        one = params.take("type")
        wanted = [*types, one] if one is not None else types
        events = [
            event
            for event in self.account.listed_events()
            if not wanted or any(_matches(event["type"], pattern) for pattern in wanted)
        ]
        return listing.page(events, params, _public_path(request))

    def _event(self, request: Request, params: Params) -> Document:
        params.finish()
        key = request.path_params["key"]
        for event in self.account.listed_events():
            if event["id"] == key:
                return event
        raise missing("event", key)

    def _dispute(self, request: Request, params: Params) -> Document:
        params.finish()
        key = request.path_params["key"]
        dispute = self.account.disputes.get(key)
        if dispute is None:
            raise missing("dispute", key)
        return dispute

    # Refusals

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return _reply(error.status, error.body(), request=request)

    async def _refuse_route(self, request: Request, _error: Exception) -> Response:
        message = (
            f"Unrecognized request URL ({request.method}: {_public_path(request)}). If you are "
            "trying to list objects, remove the trailing slash."
        )
        return _reply(404, ApiError(message).body(), request=request)


def _one(find: Callable[[str], Document]) -> Operation:
    def retrieve(request: Request, params: Params) -> Document:
        params.finish()
        return find(request.path_params["key"])

    return retrieve


def _matches(type: str, pattern: str) -> bool:
    return type.startswith(pattern[:-1]) if pattern.endswith(".*") else type == pattern


def _take_expand(tree: Tree) -> list[str]:
    """Return the paths to expand, refused here so that no work is done for a wrong one."""
    expand = tree.pop("expand", {})
    paths = [str(path) for path in (expand.values() if isinstance(expand, dict) else [expand])]
    for path in paths:
        if not _EXPANDABLE.issuperset(path.removeprefix("data.").split(".")):
            raise InvalidRequest(f"This property cannot be expanded ({path}).", param="expand")
    return paths


def _public_path(request: Request) -> str:
    return str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))


def _api_error(message: str) -> Document:
    return {"error": {"message": message, "type": "api_error"}}


def _reply(
    status: int, document: Document, *, request: Request | None = None, version: str | None = None
) -> Response:
    key = None if request is None else request.headers.get("Idempotency-Key")
    body = exact_json.write(document, indent=2)
    return _text_reply(status, body, new_id("req"), version=version, key=key)


def _text_reply(
    status: int, body: str, request_id: str, *, version: str | None = None, key: str | None = None
) -> Response:
    headers = {"Request-Id": request_id}
    if version is not None:
        headers["Stripe-Version"] = version
    if key is not None:
        headers["Idempotency-Key"] = key
    return Response(body, status, headers, "application/json")
