"""Delivers every message once more, shuffled: what a broker may do, and a replay does."""

import asyncio
from random import Random
from typing import Final

from e2e_probe import broker
from e2e_sandbox import Sandbox
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from throughline_cli.stack.services import SERVICES
from throughline_runtime.streams import Stream, stream_of

_AT_ONCE: Final = 200
_MESSAGE_ID: Final = "Nats-Msg-Id"


async def echo(sandbox: Sandbox, random: Random) -> int:
    """Publish every stored message again and return how many these were.

    They keep the event's id, which consumers know them by, and get another message id, since the
    broker would drop a second one of the same.
    """
    async with broker(sandbox) as connection:
        context = connection.jetstream(timeout=10)
        messages = [
            message
            for service in SERVICES
            for message in await _stored(context, stream_of(service.name))
        ]
        random.shuffle(messages)
        for start in range(0, len(messages), _AT_ONCE):
            await asyncio.gather(
                *[_publish(context, message) for message in messages[start : start + _AT_ONCE]]
            )
    return len(messages)


async def _stored(context: JetStreamContext, stream: Stream) -> list[Msg]:
    left = (await context.stream_info(stream.name)).state.messages
    reader = await context.pull_subscribe(
        stream.subjects[0],
        stream=stream.name,
        config=ConsumerConfig(ack_policy=AckPolicy.NONE),
    )
    messages: list[Msg] = []
    while len(messages) < left:
        messages += await reader.fetch(min(_AT_ONCE, left - len(messages)), timeout=5)
    await reader.unsubscribe()
    return messages


async def _publish(context: JetStreamContext, message: Msg) -> None:
    headers = dict(message.headers or {})
    headers[_MESSAGE_ID] = f"{headers[_MESSAGE_ID]}.echo"
    await context.publish(message.subject, message.data, headers=headers, timeout=30)
