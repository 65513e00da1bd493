"""The index finds the route that trying all of them in turn would find."""

import re

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from gateway.contract import RestMethod, rest_methods
from gateway.routes import derived, documents, index, operations, reference, webhooks
from gateway.routes.index import RouteIndex

METHODS = list(rest_methods())


@pytest.fixture(scope="module")
def routes() -> list[BaseRoute]:
    app = FastAPI(openapi_url=None)
    for module in (webhooks, documents, operations, derived, reference):
        module.mount(app)
    return list(app.routes)


@pytest.fixture(scope="module")
def route_index(routes: list[BaseRoute]) -> RouteIndex:
    return RouteIndex(routes)


def scope_of(verb: str, path: str) -> Scope:
    return {"type": "http", "method": verb.upper(), "path": path, "root_path": ""}


def in_turn(routes: list[BaseRoute], scope: Scope) -> BaseRoute | None:
    """Return the first route that takes the request whole."""
    return next((each for each in routes if each.matches(scope)[0] is Match.FULL), None)


def found(route_index: RouteIndex, scope: Scope) -> BaseRoute | None:
    match, child = route_index.matches(scope)
    return child["gateway.route"] if match is Match.FULL else None


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.verb} {method.path}")
def test_every_method_is_found(
    routes: list[BaseRoute], route_index: RouteIndex, method: RestMethod
) -> None:
    path = re.sub(r"\{[^}]+\}", "01980000-0000-7000-8000-000000000151", method.path)
    scope = scope_of(method.verb, path)

    route = found(route_index, scope)

    assert route is in_turn(routes, scope)
    assert isinstance(route, Route)
    assert route.path == method.path


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("get", "/"),
        ("get", "/docs"),
        ("get", "/v1"),
        ("get", "/v1/unknown"),
        ("get", "/v1/time-entries/1/2/3"),
        ("delete", "/v1/time-entries:batch"),
        ("get", "/assets/anything.js"),
        ("post", "/v1/webhooks/stripe"),
        ("get", "/v1//time-entries"),
    ],
)
def test_other_paths_are_answered_as_without_an_index(
    routes: list[BaseRoute], route_index: RouteIndex, verb: str, path: str
) -> None:
    scope = scope_of(verb, path)
    route = found(route_index, scope)

    # What the index does not know is left to the framework, which tries all in turn.
    assert route in (None, in_turn(routes, scope))


def test_the_index_comes_first() -> None:
    app = FastAPI(openapi_url=None)
    derived.mount(app)

    index.mount(app)

    assert isinstance(app.routes[0], RouteIndex)
