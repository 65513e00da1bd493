"""Nothing can be called that does not say who may call it."""

import re
from importlib import import_module

import pytest
from fastapi.routing import APIRoute
from gateway_front import Front, Issuer, make_settings
from google.protobuf.descriptor import MethodDescriptor
from starlette.routing import Mount, Route

from gateway.app import make_app
from gateway.contract import descriptor_set, rest_methods
from gateway.main import make_edge
from gateway.openapi import Operation
from gateway.routes import reference
from throughline.operations.v1 import operations_service_pb2 as pb
from throughline_runtime.rpc.access import access_of

WITHOUT_TOKEN = {("POST", "/v1/webhooks/{provider}")}
"""Vendors have no token; connectors checks their signature."""
FOR_READERS = {reference.DOCUMENT, *reference.READERS, reference.ASSETS}


def rpcs() -> list[MethodDescriptor]:
    """Return every method of every service in the contract, with a path or without."""
    modules = [
        import_module(f"{file.name.removesuffix('.proto').replace('/', '.')}_pb2")
        for file in descriptor_set().file
        if file.package.startswith("throughline.") and file.service
    ]
    return [
        method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    """Every route of the application."""
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    app = make_app(make_edge(make_settings(issuer, {})))
    assert {route.path for route in app.routes if isinstance(route, Mount)} == {reference.ASSETS}
    return [route for route in app.routes if isinstance(route, Route)]


def operation_of(route: Route) -> Operation:
    assert isinstance(route, APIRoute), f"{route.path} has no description"
    return route.openapi_extra or {}


@pytest.mark.parametrize("method", rpcs(), ids=lambda method: method.full_name)
def test_every_rpc_says_who_may_call_it(method: MethodDescriptor) -> None:
    access = access_of(method)

    assert access.scope.partition(".")[2], "a scope is <resource>.<verb>"
    assert "ROLE_UNSPECIFIED" not in access.roles


def test_every_method_with_a_path_is_a_route(routes: list[Route]) -> None:
    served = {(verb.lower(), route.path) for route in routes for verb in route.methods or ()}

    assert {(method.verb, method.path) for method in rest_methods()} <= served


def test_everything_operators_may_do_is_a_route(routes: list[Route]) -> None:
    served = {route.name for route in routes if route.path.startswith("/v1/operations/")}

    assert served == set(pb.DESCRIPTOR.services_by_name["OperationsService"].methods_by_name)


def test_every_route_needs_a_token_but_those_listed(routes: list[Route]) -> None:
    open_to_all = {
        (verb, route.path)
        for route in routes
        if route.path not in FOR_READERS and operation_of(route).get("security") != [{"bearer": []}]
        for verb in route.methods or ()
    }

    assert open_to_all == WITHOUT_TOKEN


def test_every_route_says_scope_and_roles_in_its_description(routes: list[Route]) -> None:
    for route in routes:
        if route.path not in FOR_READERS and operation_of(route)["security"]:
            assert "Scope `" in operation_of(route)["description"]


@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_token_no_route_answers_but_those_listed(
    front: Front, routes: list[Route]
) -> None:
    for route in routes:
        for verb in route.methods or ():
            if route.path in FOR_READERS or (verb, route.path) in WITHOUT_TOKEN:
                continue
            path = re.sub(r"\{[a-z0-9_]+\}", "x", route.path)
            reply = await front.client.request(verb, path)
            assert (reply.status_code, reply.json()["code"]) == (401, "token.missing"), path
    assert not front.peers.asked


@pytest.mark.asyncio(loop_scope="module")
async def test_with_a_token_of_no_role_no_route_answers(front: Front, routes: list[Route]) -> None:
    token = front.bearer("nobody")
    for route in routes:
        for verb in route.methods or ():
            if route.path in FOR_READERS or (verb, route.path) in WITHOUT_TOKEN:
                continue
            path = re.sub(r"\{[a-z0-9_]+\}", "x", route.path)
            reply = await front.client.request(verb, path, headers=token)
            assert (reply.status_code, reply.json()["code"]) == (403, "caller.role_missing"), path
    assert not front.peers.asked
