"""A gateway on loopback before servicers that are faked, and the tokens to enter it with."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from gateway.app import make_app
from gateway.contract import message_class, rest_methods
from gateway.examples import example_of
from gateway.main import make_edge
from gateway.server import FrontDoor, listen
from gateway.settings import GatewaySettings
from throughline.invoice_payment.v1 import invoice_service_pb2 as invoices
from throughline.operations.v1 import operations_service_pb2 as operations
from throughline_runtime.identity import Caller, current_caller
from throughline_runtime.rpc.server import Mount
from throughline_testing.serving import faked, serving
from throughline_testing.settings import CALLER_KEY

ISSUER = "https://issuer.test"
AUDIENCE = "throughline"
SERVICES = sorted({method.service for method in rest_methods()})
UNLISTED = (
    *operations.DESCRIPTOR.services_by_name["OperationsService"].methods,
    invoices.DESCRIPTOR.services_by_name["InvoiceService"].methods_by_name["GetInvoiceDocument"],
)
"""Methods without a path that the gateway calls all the same."""

Answer = Callable[[Any], Awaitable[Message]]
TELL_TALES = ("Traceback", ".py", "pydantic", "grpc", "site-packages", "127.0.0.1")


class Issuer:
    """An identity provider with one key, whose public half lies in a file."""

    def __init__(self, folder: Path) -> None:
        self.jwks_file = folder / "jwks.json"
        self.key = OKPKey.generate_key("Ed25519", {"kid": "first", "alg": "Ed25519"})
        self.publish(self.key)

    def publish(self, *keys: OKPKey) -> None:
        """Make these the keys that the issuer tells."""
        self.jwks_file.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))

    def token(self, *roles: str, key: OKPKey | None = None, **claims: Any) -> str:
        """Return a token of these roles; a claim given as None is left out."""
        signer = key or self.key
        now = int(time.time())
        all_claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ada",
            "iat": now,
            "exp": now + 600,
            "roles": list(roles),
            **claims,
        }
        kept = {name: value for name, value in all_claims.items() if value is not None}
        header = {"alg": "Ed25519", "kid": signer.kid}
        return jwt.encode(header, kept, signer, algorithms=["Ed25519"])


@dataclass
class Peers:
    """What the faked services were asked, and how they answer."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Message, Caller]] = field(default_factory=list)

    @property
    def last(self) -> tuple[str, Any, Caller]:
        """The newest question: method, request, caller."""
        return self.asked[-1]

    def mounts(self) -> list[Mount]:
        """Return every service of the contract; each method answers with an example."""
        stubs = {method.stub_class: None for method in rest_methods()}
        webhooks = import_module("throughline.connectors.v1.webhook_service_pb2_grpc")
        named = import_module("throughline.operations.v1.operations_service_pb2_grpc")
        stubs |= {webhooks.WebhookServiceStub: None, named.OperationsServiceStub: None}
        return [self._mount(stub) for stub in stubs]

    def _mount(self, stub: type[Any]) -> Mount:
        module = import_module(stub.__module__)
        name = stub.__name__.removesuffix("Stub")
        pb = import_module(stub.__module__.removesuffix("_grpc"))
        methods = pb.DESCRIPTOR.services_by_name[name].methods
        servicer = faked(
            getattr(module, f"{name}Servicer"),
            **{method.name: self._answering(method) for method in methods},
        )
        return getattr(module, f"add_{name}Servicer_to_server"), servicer

    def _answering(self, method: MethodDescriptor) -> Answer:
        async def answer(request: Message) -> Message:
            self.asked.append((method.name, request, current_caller()))
            if method.name in self.answers:
                return await self.answers[method.name](request)
            return an_example(method.output_type)

        return answer


def an_example(descriptor: Descriptor) -> Message:
    """Return a message with the texts, numbers and flags that the documentation shows."""
    flat = {
        name: value
        for name, value in example_of(descriptor).items()
        if (field := descriptor.fields_by_name[name]).message_type is None and not field.enum_type
    }
    message = message_class(descriptor)()
    return json_format.ParseDict(flat, message)


@dataclass
class Front:
    """A gateway that answers, and the client to ask it with."""

    url: str
    client: httpx.AsyncClient
    issuer: Issuer
    peers: Peers
    targets: Mapping[str, str]

    def bearer(self, *roles: str, **claims: Any) -> dict[str, str]:
        """Return the header of a token with these roles; `admin` unless others are named."""
        token = self.issuer.token(*(roles or ("admin",)), **claims)
        return {"Authorization": f"Bearer {token}"}

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> httpx.Response:
        """Send a request as an administrator."""
        return await self.client.request(
            method, path, headers={**self.bearer(), **(headers or {})}, **rest
        )


def make_settings(issuer: Issuer, peers: Mapping[str, str], **values: Any) -> GatewaySettings:
    """Return the settings of a gateway before these peers."""
    defaults = {
        "environment": "test",
        "listen_address": "127.0.0.1:0",
        "http_address": "127.0.0.1:0",
        "peers": dict(peers),
        "caller_key": CALLER_KEY,
        "token_issuer": ISSUER,
        "token_audience": AUDIENCE,
        "token_jwks": str(issuer.jwks_file),
    }
    return GatewaySettings(**{**defaults, **values})


@asynccontextmanager
async def open_front(
    issuer: Issuer, peers: Peers, *, targets: Mapping[str, str], **values: Any
) -> AsyncIterator[Front]:
    """Serve a gateway over HTTP before the given targets."""
    edge = make_edge(make_settings(issuer, targets, **values))
    listener = listen("127.0.0.1:0")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop = asyncio.Event()
    serving_http = asyncio.create_task(FrontDoor(make_app(edge), listener).run(stop))
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            yield Front(url, client, issuer, peers, targets)
    finally:
        stop.set()
        await serving_http
        await edge.peers.close()


@asynccontextmanager
async def open_front_with_peers(folder: Path, **values: Any) -> AsyncIterator[Front]:
    """Serve a gateway before faked services that all live at one address."""
    peers = Peers()
    async with serving(peers.mounts()) as target:
        targets = dict.fromkeys(SERVICES, target)
        async with open_front(Issuer(folder), peers, targets=targets, **values) as front:
            yield front


def rules_of(problem: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return field and rule of each violation a problem lists."""
    return [(row["field"], row["rule"]) for row in problem.get("violations", ())]


def expect(reply: httpx.Response, status: int, code: str, field: str = "") -> dict[str, Any]:
    """Check that a reply is a problem of this kind that tells nothing about us; return it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "server" not in reply.headers
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"urn:throughline:problem:{code}"
    assert problem.get("field", "") == field
    assert problem["title"]
    assert problem["detail"]
    assert problem["advice"]
    assert problem["trace_id"] == reply.headers["trace-id"]
    assert not [word for word in TELL_TALES if word in reply.text]
    return problem
