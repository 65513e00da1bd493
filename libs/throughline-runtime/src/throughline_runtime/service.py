"""The composition of a service: what it declares, and how its processes are put together.

python -m billing_event serve      answers calls
python -m billing_event consume    takes events
python -m billing_event relay      publishes the outbox
python -m billing_event schedule   runs the periodic jobs
python -m billing_event all        all of these in one process
python -m billing_event migrate    brings the database up to date, then ends
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import structlog
import uvloop
from protovalidate import CompilationError
from pydantic import ValidationError

from throughline.operations.v1.operations_service_pb2_grpc import (
    add_OperationsServiceServicer_to_server,
)
from throughline_runtime import database
from throughline_runtime.broker import Broker
from throughline_runtime.clock import Clock
from throughline_runtime.consumer import Consumer
from throughline_runtime.context import Context
from throughline_runtime.identity import CallerTokens
from throughline_runtime.operations import OperationsServicer
from throughline_runtime.ownership import Ownership, OwnershipUndeclared
from throughline_runtime.probes import Check, Probes
from throughline_runtime.process import ExitCode, Loop, Process
from throughline_runtime.relay import Relay
from throughline_runtime.rpc.access import AccessUndeclared
from throughline_runtime.rpc.client import Peers, PeerUnknown
from throughline_runtime.rpc.server import MethodUnfit, Mount, RpcServer
from throughline_runtime.schedule import Schedule, Scheduler
from throughline_runtime.settings import PRODUCTION, Settings
from throughline_runtime.subscription import Subscription
from throughline_runtime.telemetry import logs, tracing
from throughline_runtime.totals import ControlTotals

LEAVE_SECONDS_IN_PRODUCTION: Final = 5.0
"""How long a server in production still answers after it told callers to go elsewhere."""

_GC_YOUNG_OBJECTS: Final = 50_000

_log: Final = structlog.get_logger(__name__)


class Role(StrEnum):
    """What a process of a service does."""

    SERVE = "serve"
    CONSUME = "consume"
    RELAY = "relay"
    SCHEDULE = "schedule"
    ALL = "all"
    MIGRATE = "migrate"


def _no_servicers(_context: Context) -> Sequence[Mount]:
    return ()


@dataclass(frozen=True, slots=True)
class Service:
    """A service as its `main` declares it; health, reflection and operations come with it."""

    name: str  # "billing-event"
    package: str  # "billing_event": its migrations lie in it
    servicers: Callable[[Context], Sequence[Mount]] = _no_servicers
    subscriptions: Sequence[Subscription[Any]] = ()
    schedules: Sequence[Schedule] = ()
    control_totals: ControlTotals | None = None
    hands_out_documents: bool = False  # Messages of up to 32 MiB instead of 4.


def run(service: Service, arguments: Sequence[str] | None = None) -> None:
    """Run the role named on the command line until it ends, and exit with an `ExitCode`."""
    parser = argparse.ArgumentParser(prog=f"python -m {service.package}")
    parser.add_argument("role", type=Role, choices=list(Role))
    role: Role = parser.parse_args(arguments).role
    try:
        settings = Settings()  # type: ignore[call-arg]  # The environment has the rest.
    except ValidationError as error:
        # Its own text would quote the values, secrets among them.
        for flaw in error.errors(include_input=False, include_context=False, include_url=False):
            print(f"settings: {'.'.join(map(str, flaw['loc']))}: {flaw['msg']}", file=sys.stderr)
        raise SystemExit(ExitCode.UNFIT) from None
    raise SystemExit(_run(service, settings, role))


def _run(service: Service, settings: Settings, role: Role) -> ExitCode:
    try:
        logs.configure(service.name, role, settings.log_level)
        tracing.configure(
            service.name, role, settings.environment, otlp_endpoint=settings.otlp_endpoint
        )
        if role is Role.MIGRATE:
            return asyncio.run(_migrate(service, settings))
        return uvloop.run(_work(service, settings, role))
    except (
        AccessUndeclared,
        OwnershipUndeclared,
        MethodUnfit,
        CompilationError,
        PeerUnknown,
        ValueError,
    ) as error:
        _log.critical("service_unfit", exc_info=error)
        return ExitCode.UNFIT
    finally:
        tracing.shutdown()


async def _migrate(service: Service, settings: Settings) -> ExitCode:
    from throughline_runtime.migrate import migrate  # noqa: PLC0415  # Slow, and only needed here.

    if settings.database_url is None or settings.database_owner_url is None:
        raise ValueError("migrate needs database_url and database_owner_url")
    await migrate(
        owner_url=settings.database_owner_url,
        application_url=settings.database_url,
        package=service.package,
    )
    _log.info("database_migrated")
    return ExitCode.CLEAN


async def _work(service: Service, settings: Settings, role: Role) -> ExitCode:
    if settings.service != service.name:
        raise ValueError(f"these settings are for {settings.service}, not for {service.name}")
    async with AsyncExitStack() as connections:
        parts = _Parts(service, settings, role)
        connections.push_async_callback(parts.close)
        # What is loaded by now stays: looking through it again and again would only cost pauses.
        gc.collect()
        gc.freeze()
        # Batches of thousands of rows live until they are written: looking through them every 700
        # objects, as is the default, costs rating eight percent of its time and finds nothing.
        gc.set_threshold(_GC_YOUNG_OBJECTS, *gc.get_threshold()[1:])
        return await parts.process.run()


class _Parts:
    """What a process of one role consists of."""

    def __init__(self, service: Service, settings: Settings, role: Role) -> None:
        self._settings = settings
        self._does = frozenset(Role) if role is Role.ALL else frozenset({role})
        tokens = CallerTokens(settings.caller_key.get_secret_value())
        self._engine = database.create_engine(settings)
        tracing.trace_sql(self._engine)
        self._peers = Peers(service.name, settings.peers, tokens)
        self._broker: Broker | None = None
        self._scheduler: Scheduler | None = None
        context = Context(
            settings, self._engine, Clock(settings.clock_file), self._peers, self._wake
        )
        checks: dict[str, Check] = {"database": self._check_database}
        loops = self._loops(service, context, checks)
        self.process = Process(
            Probes(checks),
            settings.http_address,
            loops,
            rpc=_rpc(service, context, tokens) if Role.SERVE in self._does else None,
            grpc_address=settings.grpc_address,
            leave_seconds=_leave_seconds(settings),
        )

    def _loops(
        self, service: Service, context: Context, checks: dict[str, Check]
    ) -> Mapping[str, Loop]:
        """Return the loops of the role in the order in which they stop, and add their checks."""
        loops: dict[str, Loop] = {}
        if self._does & {Role.CONSUME, Role.RELAY}:
            broker = self._broker = Broker(self._settings, on_closed=self._fail)
            if Role.CONSUME in self._does:
                consumer = Consumer(
                    self._settings,
                    self._engine,
                    broker,
                    service.subscriptions,
                    wake=self._wake,
                )
                loops["consumer"] = consumer
                checks["consumer"] = _asking(lambda: "; ".join(consumer.problems) or None)
            if Role.RELAY in self._does:
                relay = Relay(self._engine, broker)
                loops["relay"] = relay
                checks["relay"] = _asking(lambda: relay.problem)
            broker.start()
        if Role.SCHEDULE in self._does:
            self._scheduler = Scheduler(context, service.schedules)
            loops = {"scheduler": self._scheduler, **loops}
        return loops

    async def close(self) -> None:
        """Close all connections; nobody works on them any more."""
        if self._broker is not None:
            await self._broker.close()
        await self._peers.close()
        await self._engine.dispose()

    def _wake(self, schedule_name: str) -> None:
        if self._scheduler is not None:
            self._scheduler.wake(schedule_name)

    def _fail(self) -> None:
        self.process.fail()

    async def _check_database(self) -> str | None:
        is_reachable = await database.is_reachable(self._engine)
        return None if is_reachable else "it is out of reach"


def _rpc(service: Service, context: Context, tokens: CallerTokens) -> RpcServer:
    ownership = Ownership(context.engine)
    operations = OperationsServicer(
        context, service.control_totals, service.subscriptions, ownership
    )
    mounts = [*service.servicers(context), (add_OperationsServiceServicer_to_server, operations)]
    return RpcServer(mounts, tokens, ownership=ownership, bulk=service.hands_out_documents)


def _leave_seconds(settings: Settings) -> float:
    if settings.leave_seconds is not None:
        return settings.leave_seconds
    return LEAVE_SECONDS_IN_PRODUCTION if settings.environment == PRODUCTION else 0.0


def _asking(problem: Callable[[], str | None]) -> Check:
    async def check() -> str | None:
        return problem()

    return check
