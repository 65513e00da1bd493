"""Several processes behind one socket: more processors than one for the gateway of one machine.

Each is started afresh, never forked: gRPC's channels do not survive a fork. A worker and its
parent hold the two ends of a connection; it tells the parent that the worker answers, and the
worker that its parent is gone.
"""

import asyncio
import os
import socket
import sys
from shutil import rmtree
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, NamedTuple, Self

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_RESTART_SECONDS: Final = 1.0
_READY: Final = b"ready\n"
# By this name the metrics' library finds where the processes leave their figures.
_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_log: Final = structlog.get_logger(__name__)


class WorkerSockets(NamedTuple):
    """What a worker is handed, as file descriptors."""

    listener: int
    parent: int


class Parent:
    """A worker's view of the process that started it."""

    def __init__(self, sockets: WorkerSockets) -> None:
        self.listener = socket.socket(fileno=sockets.listener)
        self._connection = socket.socket(fileno=sockets.parent)

    async def run(self, stop: asyncio.Event) -> None:
        """Say that the worker answers; end when the parent is gone."""
        reader, writer = await asyncio.open_connection(sock=self._connection)
        writer.write(_READY)
        gone = asyncio.create_task(reader.read())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        gone.cancel()
        writer.close()
        if not stop.is_set():
            # A parent that was killed could not clean up.
            await asyncio.to_thread(rmtree, os.environ[_METRICS_FOLDER], ignore_errors=True)


class Workers:
    """Keeps `count` workers running on one socket."""

    def __init__(self, listener: socket.socket, count: int) -> None:
        self._listener = listener
        self._count = count
        self._ready: set[int] = set()
        self._folder = TemporaryDirectory(prefix="throughline-gateway-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self._folder.cleanup()

    async def problem(self) -> str | None:
        """Return why nobody answers requests, None when somebody does."""
        return None if self._ready else "no worker has started"

    def metrics(self) -> bytes:
        """Return the metrics of all workers together, in Prometheus' text format."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._folder.name)  # type: ignore[no-untyped-call]  # The library's gap.
        return generate_latest(registry)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the workers running; once stopped, end them and wait for each."""
        await asyncio.gather(*(self._keep(stop) for _ in range(self._count)))

    async def _keep(self, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            ours, theirs = socket.socketpair()
            with theirs:
                process = await self._start(theirs)
            watching = asyncio.create_task(self._watch(process.pid, ours))
            ended = asyncio.create_task(process.wait())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                process.terminate()
                await ended
            watching.cancel()
            self._ready.discard(process.pid)
            mark_process_dead(process.pid, self._folder.name)  # type: ignore[no-untyped-call]  # The library's gap.
            if not stop.is_set():
                _log.error("worker_ended", worker=process.pid, code=process.returncode)
                await asyncio.wait({stopping}, timeout=_RESTART_SECONDS)

    async def _start(self, parent: socket.socket) -> asyncio.subprocess.Process:
        sockets = WorkerSockets(self._listener.fileno(), parent.fileno())
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            "serve",
            pass_fds=sockets,
            env={
                **os.environ,
                "THROUGHLINE_WORKERS": "1",
                "THROUGHLINE_WORKER": f"[{sockets.listener}, {sockets.parent}]",
                # Its own probes are for nobody; the parent tells for all.
                "THROUGHLINE_HTTP_ADDRESS": "127.0.0.1:0",
                _METRICS_FOLDER: self._folder.name,
            },
        )

    async def _watch(self, pid: int, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            if await reader.readline() == _READY:
                self._ready.add(pid)
            await reader.read()
        finally:
            writer.close()
