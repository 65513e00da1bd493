"""Making streams: patience with a store that is still going, and with nothing else."""

from typing import Any, cast

import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError, ServerError

from throughline_runtime.streams import Sizing, apply, stream_of


class Broker:
    """Has no stream, and refuses to make one as often as it is told."""

    def __init__(self, *refusals: int) -> None:
        self.refusals = list(refusals)
        self.made: list[str] = []

    async def stream_info(self, _name: str) -> Any:
        raise NotFoundError

    async def add_stream(self, config: Any) -> None:
        if self.refusals:
            raise ServerError(code=500, err_code=self.refusals.pop(0))
        self.made.append(config.name)


async def make(broker: Broker) -> None:
    await apply(cast(JetStreamContext, broker), [stream_of("billing-event")], [], Sizing())


async def test_a_stream_takes_the_place_of_one_just_deleted() -> None:
    broker = Broker(10049, 10049)

    await make(broker)

    assert broker.made == ["BILLING_EVENT"]


@pytest.mark.parametrize("refusals", [(10049,) * 7, (10047,)], ids=["for good", "another cause"])
async def test_what_does_not_pass_is_an_error(refusals: tuple[int, ...]) -> None:
    broker = Broker(*refusals)

    with pytest.raises(ServerError):
        await make(broker)

    assert broker.made == []
