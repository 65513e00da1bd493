"""What a service's own code is given to work with; made once, by the composition in `service`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime.clock import Clock
from throughline_runtime.rpc.client import Peers
from throughline_runtime.settings import Settings

StubT = TypeVar("StubT")


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one process: its settings, its database, its clock and its peers."""

    settings: Settings
    engine: AsyncEngine
    clock: Clock
    peers: Peers
    wake_schedule: Callable[[str], None]

    def stub(
        self, stub_class: Callable[[grpc.aio.Channel], StubT], service: str, *, bulk: bool = False
    ) -> StubT:
        """Return a stub of a peer's service ("customer-contract"); see `Peers.stub`."""
        return self.peers.stub(stub_class, service, bulk=bulk)

    def wake(self, schedule_name: str) -> None:
        """Let a schedule of this process run now; without effect where it runs elsewhere."""
        self.wake_schedule(schedule_name)
