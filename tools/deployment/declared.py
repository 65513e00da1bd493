"""What the code declares and a deployment has to say as well.

Services, durables, who calls whom, which metrics there are and which settings a process reads.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from connectors.settings import ConnectorSettings
from gateway.settings import GatewaySettings
from throughline_cli.stack.services import ALL_SERVICES, GATEWAY, SERVICES, ServiceSpec
from throughline_cli.stack.topology import Declared, declared
from throughline_runtime.settings import EnvironmentSettings, Settings

ROOT: Final = Path(__file__).resolve().parents[2]

GRPC_PORT: Final = 50051
HTTP_PORT: Final = 8080

_SETTINGS: Final[Sequence[type[EnvironmentSettings]]] = (
    Settings,
    GatewaySettings,
    ConnectorSettings,
)
_METRIC_TYPES: Final = {"Counter", "Gauge", "Histogram"}
_HISTOGRAM_SUFFIXES: Final = ("_bucket", "_sum", "_count")


@cache
def durables() -> Declared:
    """Return the durables of each service by its name.

    Raises:
        StackFailure: a service cannot be imported.
    """
    return declared(SERVICES)


@cache
def all_settings() -> frozenset[str]:
    """Return the environment variables that any process reads."""
    names = {_variable(name) for each in _SETTINGS for name in each.model_fields}
    return frozenset(names | {f"{name}_FILE" for name in names})


@cache
def required_settings(service: str) -> frozenset[str]:
    """Return the environment variables without which a process of this service does not start."""
    settings = GatewaySettings if service == GATEWAY.name else Settings
    required = {name for name, each in settings.model_fields.items() if each.is_required()}
    # Whoever has a database needs it, though the class says optional for the gateway's sake.
    stores = {"database_url", "nats_monitor_url"} if service != GATEWAY.name else set()
    return frozenset(_variable(name) for name in required | stores)


@cache
def secret_settings() -> frozenset[str]:
    """Return the environment variables that hold secrets, and so are to come from files."""
    return frozenset(
        _variable(name)
        for each in _SETTINGS
        for name, field in each.model_fields.items()
        if field.annotation is SecretStr or not field.repr
    )


@cache
def calls() -> Mapping[str, tuple[str, ...]]:
    """Return which services each service calls: those its code asks a stub of.

    Who takes the name from data instead, as the gateway does, may call them all.
    """
    return {service.name: _callees(service) for service in ALL_SERVICES}


@cache
def metrics() -> frozenset[str]:
    """Return the names under which Prometheus sees the metrics that the code declares."""
    folders = [ROOT / "libs", *(ROOT / "services" / service.name for service in ALL_SERVICES)]
    return frozenset(
        name for folder in folders for call in _calls_below(folder) for name in _metric_names(call)
    )


@cache
def version() -> str:
    """Return the version that images and manifests carry."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "([^"]+)"$', text, re.MULTILINE)
    assert found is not None, "pyproject.toml declares no version"
    return found[1]


def _variable(field: str) -> str:
    return f"THROUGHLINE_{field}".upper()


def _callees(service: ServiceSpec) -> tuple[str, ...]:
    everybody = tuple(each.name for each in SERVICES if each.name != service.name)
    found: set[str] = set()
    for call in _calls_below(ROOT / "services" / service.name):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "stub":
            match call.args:
                case [_, ast.Constant(value=str(name))]:
                    found.add(name)
                case _:
                    return everybody
    return tuple(name for name in everybody if name in found)


def _metric_names(call: ast.Call) -> Sequence[str]:
    match call:
        case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *_]):
            return _exported(kind, name)
        case ast.Call(func=ast.Attribute(attr=kind), args=[ast.Constant(value=str(name)), *_]):
            return _exported(kind, name)
    return ()


def _exported(kind: str, name: str) -> Sequence[str]:
    if kind == "domain_gauge":
        return (f"throughline_{name}",)
    if kind not in _METRIC_TYPES or not name.startswith("throughline_"):
        return ()
    if kind == "Histogram":
        return [f"{name}{suffix}" for suffix in _HISTOGRAM_SUFFIXES]
    return (f"{name}_total",) if kind == "Counter" else (name,)


@cache
def _calls_below(folder: Path) -> Sequence[ast.Call]:
    """Return every call in the source below `folder`, but for generated code."""
    return [
        node
        for path in sorted(folder.glob("**/src/**/*.py"))
        if not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


@cache
def rest_paths() -> frozenset[str]:
    """Return the paths that the gateway serves: the proto's, and those written by hand."""
    found: set[str] = set()
    for file in (ROOT / "proto/throughline").rglob("*.proto"):
        text = file.read_text(encoding="utf-8")
        found.update(re.findall(r'\b(?:get|post|put|patch|delete): "(/v1/[^"]+)"', text))
    routes = ROOT / "services/gateway/src/gateway/routes"
    for file in routes.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(value=str(text)) if text.startswith("/v1/"):
                    found.add(text)
                case ast.Constant(value=str(text)) if file.name == "operations.py":
                    found.add(f"/v1/operations/{text}")
    return frozenset(found)
