"""The gateway as a process of its own: it starts, tells, shares its socket, and leaves in order."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from gateway_front import AUDIENCE, ISSUER, SERVICES, Issuer, Peers
from google.protobuf.message import Message

from throughline.customer_contract.v1 import customer_service_pb2 as customers
from throughline_runtime.process import ExitCode
from throughline_testing.serving import serving
from throughline_testing.settings import CALLER_KEY


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@dataclass
class Gateway:
    """A running process with its two addresses."""

    process: asyncio.subprocess.Process
    url: str
    probes: str
    log: Path

    async def get(self, url: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.get(url, headers=headers)

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(40):
            while not await self._holds(is_so):
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def _holds(self, is_so: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await is_so()
        except httpx.TransportError:
            return False

    async def is_ready(self) -> bool:
        return (await self.get(f"{self.probes}/readyz")).status_code == 200

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log about an event."""
        # The last line may still be on its way, and libraries in C write lines of their own.
        lines = self.log.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line[0] == "{" and line[-1] == "\n"]
        return [line for line in found if line["event"] == event]

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def left_behind(self) -> list[Path]:
        """Return what is still there of the folders that workers share."""
        return list(self.log.parent.glob("throughline-gateway-*"))


@asynccontextmanager
async def started(
    folder: Path, issuer: Issuer, target: str, *, waits: bool = True, **values: str
) -> AsyncIterator[Gateway]:
    ports = free_port(), free_port()
    given = {
        "environment": "test",
        "listen_address": f"127.0.0.1:{ports[0]}",
        "http_address": f"127.0.0.1:{ports[1]}",
        "peers": json.dumps(dict.fromkeys(SERVICES, target)),
        "caller_key": CALLER_KEY,
        "token_issuer": ISSUER,
        "token_audience": AUDIENCE,
        "token_jwks": str(issuer.jwks_file),
        **values,
    }
    environment = {f"THROUGHLINE_{name.upper()}": value for name, value in given.items()}
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            "serve",
            env={**os.environ, **environment, "TMPDIR": str(folder)},
            stdout=output,
            stderr=output,
        )
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    gateway = Gateway(process, urls[0], urls[1], log)
    try:
        if waits:
            await gateway.until(gateway.is_ready)
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
async def target(peers: Peers) -> AsyncIterator[str]:
    async with serving(peers.mounts()) as target:
        yield target


async def test_it_answers_tells_and_leaves_when_told(
    tmp_path: Path, issuer: Issuer, peers: Peers, target: str
) -> None:
    begun = asyncio.Event()

    async def slowly(_request: Message) -> Message:
        begun.set()
        await asyncio.sleep(1)
        return customers.ListCustomersResponse(next_page_token="late")

    async with started(tmp_path, issuer, target) as gateway:
        token = f"Bearer {issuer.token('auditor', sub='ada@firm.test')}"
        reply = await gateway.get(f"{gateway.url}/v1/persons", authorization=token)
        refused = await gateway.get(f"{gateway.url}/v1/persons")
        metrics = (await gateway.get(f"{gateway.probes}/metrics")).text
        assert (reply.status_code, refused.status_code) == (200, 401)
        assert "server" not in reply.headers
        assert (await gateway.get(f"{gateway.probes}/livez")).status_code == 200
        for status in ("200", "401"):
            labels = f'method="GET",route="/v1/persons",status="{status}"'
            assert f"throughline_http_request_seconds_count{{{labels}}} 1.0" in metrics
        assert "throughline_http_requests_in_flight 0.0" in metrics

        peers.answers["ListCustomers"] = slowly
        late = asyncio.create_task(gateway.get(f"{gateway.url}/v1/customers", authorization=token))
        await begun.wait()
        gateway.process.send_signal(signal.SIGTERM)

        assert (await late).json()["next_page_token"] == "late"
        assert await gateway.process.wait() == ExitCode.CLEAN
        first, second, third = gateway.lines("request_answered")
        assert first["trace_id"] == reply.headers["trace-id"]
        assert (second["status"], third["route"]) == (401, "/v1/customers")
        assert first["subject"] == third["subject"] != second["subject"]
        assert "ada" not in gateway.log.read_text()


async def test_workers_share_the_socket_and_one_that_dies_is_replaced(
    tmp_path: Path, issuer: Issuer, target: str
) -> None:
    async with started(tmp_path, issuer, target, workers="2") as gateway:

        async def all_have_started() -> bool:
            return len(gateway.lines("process_started")) >= 3

        await gateway.until(all_have_started)
        for _ in range(20):
            assert (await gateway.get(f"{gateway.url}/v1/persons")).status_code == 401
        metrics = (await gateway.get(f"{gateway.probes}/metrics")).text
        labels = 'method="GET",route="/v1/persons",status="401"'
        assert f"throughline_http_request_seconds_count{{{labels}}} 20.0" in metrics

        before = gateway.workers()
        before[0].kill()

        async def is_replaced() -> bool:
            return len(gateway.workers()) == 2 and before[0] not in gateway.workers()

        await gateway.until(is_replaced)
        assert (await gateway.get(f"{gateway.url}/v1/persons")).status_code == 401
        assert [line["code"] for line in gateway.lines("worker_ended")] == [-signal.SIGKILL]

        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.process.wait() == ExitCode.CLEAN
        assert not [child for child in before if child.is_running()]
        assert not gateway.left_behind()


async def test_workers_do_not_outlive_their_parent(
    tmp_path: Path, issuer: Issuer, target: str
) -> None:
    async with started(tmp_path, issuer, target, workers="2") as gateway:
        workers = gateway.workers()
        gateway.process.kill()
        await gateway.process.wait()

        await asyncio.to_thread(psutil.wait_procs, workers, timeout=20)
        assert not [worker for worker in workers if worker.is_running()]
        assert not gateway.left_behind()


async def test_an_address_that_is_taken_is_said_to_be(tmp_path: Path, issuer: Issuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AssertionError, match="address_taken"):
            async with started(tmp_path, issuer, "dns:///x", listen_address=address):
                pass


async def test_without_the_issuers_keys_it_is_not_ready(tmp_path: Path, issuer: Issuer) -> None:
    nowhere = str(tmp_path / "nothing.json")
    async with started(tmp_path, issuer, "dns:///x", waits=False, token_jwks=nowhere) as gateway:

        async def says_so() -> bool:
            answer = await gateway.get(f"{gateway.probes}/readyz")
            return answer.status_code == 503 and "tokens" in answer.json()["problems"]

        await gateway.until(says_so)
        token = f"Bearer {issuer.token('auditor')}"
        reply = await gateway.get(f"{gateway.url}/v1/persons", authorization=token)
        assert (reply.status_code, reply.json()["code"]) == (503, "token.keys_unavailable")
