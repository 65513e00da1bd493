"""The composition root of the gateway: `python -m gateway serve`."""

import argparse
import gc
import logging
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog
import uvloop
from pydantic import ValidationError

from gateway.app import make_app
from gateway.contract import ContractUnfit
from gateway.edge import Edge
from gateway.identity import Tokens
from gateway.server import FrontDoor, listen
from gateway.settings import GatewaySettings
from gateway.throttle import Throttle
from gateway.workers import Parent, Workers
from throughline_runtime.identity import CallerTokens
from throughline_runtime.probes import Probes
from throughline_runtime.process import ExitCode, Loop, Process
from throughline_runtime.rpc.access import AccessUndeclared
from throughline_runtime.rpc.client import Peers
from throughline_runtime.telemetry import logs, tracing

SERVICE: Final = "gateway"
ROLE: Final = "serve"

_log: Final = structlog.get_logger(__name__)


def make_edge(settings: GatewaySettings) -> Edge:
    """Return the parts of one process, as its settings say."""
    key = settings.caller_key.get_secret_value()
    return Edge(
        peers=Peers(SERVICE, settings.peers, CallerTokens(key), is_front_door=True),
        services=tuple(sorted(settings.peers)),
        tokens=Tokens(
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            jwks=settings.token_jwks,
        ),
        throttle=Throttle(settings.requests_per_minute),
        body_bytes_max=settings.body_bytes_max,
        pseudonym_key=key.encode(),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the role named on the command line until it ends, and exit with an `ExitCode`."""
    parser = argparse.ArgumentParser(prog="python -m gateway")
    parser.add_argument("role", choices=[ROLE])
    parser.parse_args(arguments)
    try:
        settings = GatewaySettings()  # type: ignore[call-arg]  # The environment has the rest.
    except ValidationError as error:
        # Its own text would quote the values, secrets among them.
        for flaw in error.errors(include_input=False, include_context=False, include_url=False):
            print(f"settings: {'.'.join(map(str, flaw['loc']))}: {flaw['msg']}", file=sys.stderr)
        raise SystemExit(ExitCode.UNFIT) from None
    raise SystemExit(_run(settings))


def _run(settings: GatewaySettings) -> ExitCode:
    try:
        logs.configure(SERVICE, ROLE, settings.log_level)
        # Its start and its stop are told by the process itself.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        tracing.configure(SERVICE, ROLE, settings.environment, otlp_endpoint=settings.otlp_endpoint)
        return uvloop.run(_share(settings) if settings.workers > 1 else _serve(settings))
    except (AccessUndeclared, ContractUnfit, ValueError) as error:
        _log.critical("service_unfit", exc_info=error)
        return ExitCode.UNFIT
    except OSError as error:
        _log.error("address_taken", exc_info=error)
        return ExitCode.ADDRESS_TAKEN
    finally:
        tracing.shutdown()


async def _serve(settings: GatewaySettings) -> ExitCode:
    """Answer requests in this process, alone or as one of several workers."""
    async with AsyncExitStack() as connections:
        edge = make_edge(settings)
        connections.push_async_callback(edge.peers.close)
        parent = None if settings.worker is None else Parent(settings.worker)
        door = FrontDoor(
            make_app(edge),
            listen(settings.listen_address) if parent is None else parent.listener,
            leave_seconds=settings.leaves_within,
        )
        loops: dict[str, Loop] = {"door": door, **({"parent": parent} if parent else {})}
        # Not the peers: one service that is down must not take the others' routes with it.
        probes = Probes({"tokens": edge.tokens.problem})
        # What is loaded by now stays: looking through it again and again would only cost pauses.
        gc.collect()
        gc.freeze()
        return await Process(probes, settings.http_address, loops).run()


async def _share(settings: GatewaySettings) -> ExitCode:
    """Let several processes answer requests on one socket, and tell for all of them."""
    with Workers(listen(settings.listen_address), settings.workers) as workers:
        probes = Probes({"workers": workers.problem}, metrics=workers.metrics)
        return await Process(probes, settings.http_address, {"workers": workers}).run()
