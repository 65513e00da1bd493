"""What a service listens to, as data: a durable, a message type and a function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from google.protobuf.message import Message

from throughline_runtime.events import subject_of

if TYPE_CHECKING:
    # The command line reads subscriptions too, and never needs a database.
    from sqlalchemy.ext.asyncio import AsyncConnection

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Subscription(Generic[M]):
    """A function that takes the events of one type, in batches, inside one transaction.

    It is given only events the durable has not taken before, in the order of the stream. What it
    cannot take as a batch it is given again one by one. Order between batches is not promised: a
    message that failed for the moment comes back after later ones, and replicas work side by side.
    """

    durable: str  # `<service>-<function>`
    message: type[M]
    function: Callable[[AsyncConnection, Sequence[M]], Awaitable[None]]
    wakes: str | None = None
    """The schedule of this process that goes on with what was taken in, if it runs here."""

    workers: int = 1
    """How many batches a process takes side by side: one is worked out while another waits for the
    database, just as two replicas would do it."""

    @property
    def subject(self) -> str:
        """The subject its messages are published under."""
        return subject_of(self.message)
