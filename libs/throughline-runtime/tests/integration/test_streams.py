"""What is declared is what the broker has, and what differs is named."""

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy
from runtime_probe.support import record, until

from throughline.customer_contract.events.v1.customer_contract_events_pb2 import QuoteApproved
from throughline_runtime.streams import (
    ADVISORIES,
    Durable,
    Sizing,
    apply,
    differences,
    durable_of,
    stream_of,
)
from throughline_runtime.subscription import Subscription

STREAMS = (stream_of("customer-contract"), stream_of("billing-event"), ADVISORIES)
DURABLES = (durable_of(Subscription("probe-record", QuoteApproved, record)),)


def test_a_durable_is_derived_from_its_subscription() -> None:
    assert (
        Durable("CUSTOMER_CONTRACT", "probe-record", "customer_contract.quote.approved.v1"),
    ) == DURABLES


async def test_applying_makes_what_is_missing_and_leaves_nothing_to_do(
    jetstream: JetStreamContext,
) -> None:
    missing = await differences(jetstream, STREAMS, DURABLES, Sizing())
    await apply(jetstream, STREAMS, DURABLES, Sizing())

    assert missing == [
        "stream BILLING_EVENT: absent",
        "stream ADVISORIES: absent",
        "durable CUSTOMER_CONTRACT.probe-record: absent",
    ]
    assert await differences(jetstream, STREAMS, DURABLES, Sizing()) == []


async def test_what_somebody_changed_is_named_and_put_right_with_nothing_lost(
    jetstream: JetStreamContext,
) -> None:
    await apply(jetstream, STREAMS, DURABLES, Sizing())
    await jetstream.publish("customer_contract.quote.approved.v1", b"")
    config = (await jetstream.stream_info("CUSTOMER_CONTRACT")).config
    config.discard, config.max_age = DiscardPolicy.OLD, 3600.0
    await jetstream.update_stream(config)
    declared = {**DURABLES[0].config, "ack_wait": 1.0}
    await jetstream.add_consumer("CUSTOMER_CONTRACT", ConsumerConfig(**declared))

    found = await differences(jetstream, STREAMS, DURABLES, Sizing())
    await apply(jetstream, STREAMS, DURABLES, Sizing())

    assert found == [
        "stream CUSTOMER_CONTRACT: discard is old, declared new",
        "stream CUSTOMER_CONTRACT: max_age is 3600.0, declared 604800.0",
        "durable CUSTOMER_CONTRACT.probe-record: ack_wait is 1.0, declared 30.0",
    ]
    assert await differences(jetstream, STREAMS, DURABLES, Sizing()) == []
    assert (await jetstream.stream_info("CUSTOMER_CONTRACT")).state.messages == 1


async def test_a_message_given_up_leaves_an_advisory_that_stays(
    jetstream: JetStreamContext,
) -> None:
    await apply(jetstream, STREAMS, DURABLES, Sizing())
    await jetstream.publish("customer_contract.quote.approved.v1", b"")
    pull = await jetstream.pull_subscribe_bind("probe-record", "CUSTOMER_CONTRACT")
    [message] = await pull.fetch(1)
    await message.term()
    await pull.unsubscribe()

    async def is_stored() -> bool:
        return (await jetstream.stream_info("ADVISORIES")).state.messages == 1

    await until(is_stored)
