"""Whether docker-compose.yml runs everything, confined, and as the code declares."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from throughline_cli.stack.postgres import CONNECTIONS_PER_SERVICE
from throughline_cli.stack.secrets import ISSUER
from throughline_cli.stack.services import ALL_SERVICES, GATEWAY, SERVICES
from tools.deployment import declared, environment, images, secret_files

Service = Mapping[str, Any]

_SPARE_CONNECTIONS: Final = 32
_HELPERS: Final = {"nats-volumes"}
"""Run as root for a moment, to give fresh volumes away: with that one right, and no network."""


def problems(composition: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Find what the specification allows and we do not."""
    services: Mapping[str, Service] = composition["services"]
    for name, service in services.items():
        for problem in (*_confinement(name, service), *images.problems(service["image"])):
            yield f"{name}: {problem}"
    yield from _processes(services)
    yield from _files(composition, root)
    yield from _postgres(services["postgres"])
    gateway = services[GATEWAY.name]["environment"]
    if gateway.get("THROUGHLINE_TOKEN_ISSUER") != ISSUER:
        yield f"the gateway does not take the tokens of {ISSUER}, whose keys it is given"


def _confinement(name: str, service: Service) -> Iterator[str]:
    user = str(service.get("user", "root")).partition(":")[0]
    if name in _HELPERS:
        if (service.get("cap_add"), service.get("network_mode")) != (["CHOWN"], "none"):
            yield "may do more than change owners"
    elif user in {"root", "0"}:
        yield "runs as root"
    elif service.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory") is None:
        yield "has no limit of memory"
    if service.get("read_only") is not True:
        yield "may write to its image"
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"]:
        yield "may gain privileges"
    for port in service.get("ports", ()):
        if not str(port).startswith("127.0.0.1:"):
            yield f"{port} is open to the network"


def _processes(services: Mapping[str, Service]) -> Iterator[str]:
    for service in ALL_SERVICES:
        runs = {service.name: service.role}
        if service != GATEWAY:
            runs[f"{service.name}-migrate"] = "migrate"
        for name, role in runs.items():
            container = services.get(name)
            if container is None or container.get("command") != [role]:
                yield f"{service.name} is nowhere run as {role}"
            elif not container["image"].startswith(f"{images.OURS}{service.name}:"):
                yield f"{name}: runs the image {container['image']}"
            else:
                yield from _environment(name, service.name, container)


def _environment(name: str, service: str, container: Service) -> Iterator[str]:
    secrets = [each if isinstance(each, str) else each["target"] for each in container["secrets"]]
    yield from environment.problems(
        environment.Process(
            where=name,
            service=service,
            environment=container["environment"],
            files={f"/run/secrets/{each}" for each in secrets},
            peers={each.name: each.name for each in SERVICES},
        )
    )


def _files(composition: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Find files that nobody made, and mounts of what is not declared."""
    for name, config in composition["configs"].items():
        if not (root / config["file"]).is_file():
            yield f"config {name}: there is no {config['file']}"
    made = {f"./{secret_files.FOLDER}/secrets/{name}" for name in _made_secrets()}
    for name, secret in composition["secrets"].items():
        if secret["file"] not in made:
            yield f"secret {name}: nobody makes {secret['file']}"
    for kind in ("configs", "secrets"):
        mounted = {
            each if isinstance(each, str) else each["source"]
            for service in composition["services"].values()
            for each in service.get(kind, ())
        }
        for name in mounted ^ set(composition[kind]):
            yield f"{kind}: {name} is declared or mounted, but not both"


def _postgres(service: Service) -> Iterator[str]:
    wanted = CONNECTIONS_PER_SERVICE * len(SERVICES) + _SPARE_CONNECTIONS
    if f"max_connections={wanted}" not in service["command"]:
        yield f"postgres: max_connections should be {wanted}"


@cache
def _made_secrets() -> frozenset[str]:
    with TemporaryDirectory() as folder:
        return frozenset(file.name for file in secret_files.write_compose(Path(folder)).iterdir())


def scrape_problems(prometheus: Mapping[str, Any]) -> Iterator[str]:
    """Find processes of the Compose stack that Prometheus does not look at."""
    scraped = {
        target
        for job in prometheus["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    wanted = {f"{service.name}:{declared.HTTP_PORT}" for service in ALL_SERVICES}
    for target in scraped ^ wanted:
        yield f"{target} is scraped or runs, but not both"
