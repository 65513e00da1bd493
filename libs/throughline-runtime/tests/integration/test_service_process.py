"""A service as its supervisor sees it: start, readiness, exit codes, an end that loses nothing."""

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline_core.errors import Unavailable
from throughline_runtime import database, exceptions
from throughline_runtime.database import DatabaseUnavailable
from throughline_runtime.identity import Caller, CallerTokens, acting_as
from throughline_runtime.process import ExitCode
from throughline_runtime.rpc.client import Peers
from throughline_runtime.schema import exception_note
from throughline_testing.broker import TestBroker
from throughline_testing.database import Database
from throughline_testing.settings import CALLER_KEY

SERVICE = "runtime-probe"
READY_SECONDS = 30
PROBE = Path(__file__).parent.parent / "probe"
OPERATOR = Caller("user-7", frozenset({"ROLE_FINANCE", "ROLE_AUDITOR"}), entities=None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**values: str) -> dict[str, str]:
    nowhere = {
        "SERVICE": SERVICE,
        "ENVIRONMENT": "test",
        "DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:1/none",
        "NATS_URL": "nats://127.0.0.1:1",
        "NATS_USER": "nobody",
        "NATS_PASSWORD": "throwaway",
        "CALLER_KEY": CALLER_KEY,
        "GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
        "HTTP_ADDRESS": f"127.0.0.1:{free_port()}",
    }
    return {f"THROUGHLINE_{name}": value for name, value in (nowhere | values).items()}


@dataclass
class Running:
    """A service process under test."""

    process: asyncio.subprocess.Process
    environment: dict[str, str]

    async def get(self, path: str) -> httpx.Response:
        address = self.environment["THROUGHLINE_HTTP_ADDRESS"]
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return await client.get(f"http://{address}{path}")

    async def wait_status(self, path: str, status: int) -> httpx.Response:
        async with asyncio.timeout(READY_SECONDS):
            while True:
                try:
                    answer = await self.get(path)
                    if answer.status_code == status:
                        return answer
                except httpx.TransportError:
                    assert self.process.returncode is None, "the process ended"
                await asyncio.sleep(0.05)

    async def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 30)


async def start(role: str, variables: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runtime_probe",
        role,
        env=os.environ | {"PYTHONPATH": str(PROBE)} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@asynccontextmanager
async def running(role: str, variables: dict[str, str]) -> AsyncIterator[Running]:
    process = await start(role, variables)
    assert process.stdout is not None
    drain = asyncio.create_task(process.stdout.read())
    try:
        yield Running(process, variables)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        output = await drain
        print(output.decode())


@asynccontextmanager
async def peers_of(variables: dict[str, str]) -> AsyncIterator[Peers]:
    target = variables["THROUGHLINE_GRPC_ADDRESS"]
    peers = Peers("gateway", {SERVICE: target}, CallerTokens(CALLER_KEY), is_front_door=True)
    yield peers
    await peers.close()


async def ended(role: str, variables: dict[str, str]) -> tuple[int, str]:
    process = await start(role, variables)
    output, _ = await asyncio.wait_for(process.communicate(), READY_SECONDS)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_process_starts_works_and_ends_clean(
    probe_database: Database, broker: TestBroker
) -> None:
    variables = environment(
        DATABASE_URL=probe_database.url,
        NATS_URL=broker.url,
        NATS_USER=broker.user,
        NATS_PASSWORD=broker.password,
        REQUIRE_DURABLE_BROKER="false",
    )
    async with running("all", variables) as service, peers_of(variables) as peers:
        await service.wait_status("/readyz", 200)
        with acting_as(OPERATOR):
            stub = peers.stub(OperationsServiceStub, SERVICE)
            totals = await stub.GetControlTotals(pb.GetControlTotalsRequest())
        metrics = await service.get("/metrics")

        assert totals.service == SERVICE
        figures = {total.name: dict(total.figures) for total in totals.totals}
        assert figures["notes"] == {"count": "0"}
        assert "throughline_rpc_seconds_count" in metrics.text
        assert await service.terminate() == ExitCode.CLEAN


async def test_migrate_brings_an_empty_database_up_to_date_and_ends(
    empty_database: Database,
) -> None:
    variables = environment(
        DATABASE_URL=empty_database.url, DATABASE_OWNER_URL=empty_database.owner_url
    )
    code, output = await ended("migrate", variables)

    assert (code, "database_migrated" in output) == (ExitCode.CLEAN, True)


async def test_a_server_is_ready_without_a_broker_and_a_relay_is_not(
    probe_database: Database,
) -> None:
    variables = environment(DATABASE_URL=probe_database.url)
    async with running("serve", variables) as server:
        await server.wait_status("/readyz", 200)
    async with running("relay", variables) as relay:
        answer = await relay.wait_status("/readyz", 503)

    assert list(answer.json()["problems"]) == ["relay"]


async def test_without_its_database_a_server_lives_refuses_calls_and_says_why() -> None:
    variables = environment()
    async with running("serve", variables) as service, peers_of(variables) as peers:
        answer = await service.wait_status("/readyz", 503)
        assert (await service.get("/livez")).status_code == 200
        with acting_as(OPERATOR), pytest.raises(Unavailable) as refused:
            await peers.stub(OperationsServiceStub, SERVICE).GetControlTotals(
                pb.GetControlTotalsRequest(), timeout=10
            )
        assert await service.terminate() == ExitCode.CLEAN

    assert answer.json()["problems"] == {"database": "it is out of reach"}
    assert refused.value.stable_code == DatabaseUnavailable.code


async def test_a_process_with_unfit_settings_does_not_start_and_says_which() -> None:
    cases = [
        ({"SERVICE": "another"}, "not for runtime-probe"),
        ({"CALLER_KEY": "too short"}, "at least 32 bytes"),
        ({"DATABASE_POOL_SIZE": "much"}, "settings: database_pool_size"),
        ({"LOG_LEVEL": "loud"}, "loud is no log level"),
    ]
    ends = await asyncio.gather(*(ended("serve", environment(**changed)) for changed, _ in cases))

    for (code, output), (_, said) in zip(ends, cases, strict=True):
        assert code == ExitCode.UNFIT
        assert said in output
        assert "too short" not in output


async def test_an_address_that_is_taken_ends_the_process_with_its_own_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ends = await asyncio.gather(
            ended("serve", environment(GRPC_ADDRESS=address)),
            ended("serve", environment(HTTP_ADDRESS=address)),
        )

    assert [code for code, _ in ends] == [ExitCode.ADDRESS_TAKEN, ExitCode.ADDRESS_TAKEN]


async def test_restarts_under_load_lose_nothing_and_double_nothing(
    probe_database: Database, engine: AsyncEngine
) -> None:
    """Every call ends in an answer, and the answered ones are exactly what the database holds."""
    subject_id = uuid4()
    async with database.write(engine) as tx:
        await exceptions.open_(tx, "probe.stopped", subject_id, "it stopped", "ops", "look at it")
        [item] = await exceptions.page(tx, after=None, size=1)
    variables = environment(DATABASE_URL=probe_database.url, LEAVE_SECONDS="0.2")
    stop = asyncio.Event()
    numbers = itertools.count(1)
    answered = 0

    async def load(peers: Peers) -> None:
        nonlocal answered
        stub = peers.stub(OperationsServiceStub, SERVICE)
        while not stop.is_set():
            request = pb.NoteExceptionRequest(
                request_id=f"note-{next(numbers)}",
                exception_id=str(item.exception_id),
                note="seen",
            )
            while True:
                try:
                    await stub.NoteException(request)
                    answered += 1
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)

    async with peers_of(variables) as peers:
        with acting_as(OPERATOR):
            clients = [asyncio.create_task(load(peers)) for _ in range(8)]
        for _ in range(3):
            async with running("serve", variables) as service:
                await service.wait_status("/readyz", 200)
                await asyncio.sleep(0.7)
                assert await service.terminate() == ExitCode.CLEAN
        async with running("serve", variables):
            stop.set()
            await asyncio.wait_for(asyncio.gather(*clients), READY_SECONDS)

    async with database.read(engine) as tx:
        written = await tx.scalar(select(func.count()).select_from(exception_note))
    assert answered > 50
    assert written == answered
