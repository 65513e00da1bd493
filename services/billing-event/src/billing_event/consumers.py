"""What billing-event does about the events of others: one function for each, a batch at a time.

Streams have no order among them. What comes before its contract is kept and held; whatever comes
later frees it. Everything made here is named by what it is made from, so that repetition makes
nothing twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import rate, record
from billing_event.wire import received
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_runtime.clock import Clock
from throughline_runtime.subscription import Subscription

M = TypeVar("M", bound=Message)
Terms: TypeAlias = contracts.ContractActivated | contracts.ContractLimitChanged


async def rate_time(
    clock: Clock, tx: AsyncConnection, events: Sequence[projects.TimeApproved]
) -> None:
    """Every approved entry gets its rated row, or a hold that says why not."""
    items = (item for event in events for item in received.read_time(event))
    await rate.rate(tx, items, at=clock.now())


async def rate_expenses(
    clock: Clock, tx: AsyncConnection, events: Sequence[projects.ExpenseReportApproved]
) -> None:
    """Every approved expense line is billed at cost plus the markup of its contract line."""
    items = (item for event in events for item in received.read_expenses(event))
    await rate.rate(tx, items, at=clock.now())


async def rate_milestones(
    clock: Clock, tx: AsyncConnection, events: Sequence[projects.MilestoneCompleted]
) -> None:
    """A completed milestone is rated, and held until the client accepts it."""
    await _follow(clock, tx, events)


async def hold_refused_milestones(
    clock: Clock, tx: AsyncConnection, events: Sequence[projects.MilestoneRejected]
) -> None:
    """A milestone the client refused stays held and says why, until it is completed again."""
    await _follow(clock, tx, events)


async def _follow(
    clock: Clock,
    tx: AsyncConnection,
    events: Sequence[projects.MilestoneCompleted] | Sequence[projects.MilestoneRejected],
) -> None:
    await rate.follow(
        tx,
        [received.read_milestone(event) for event in events],
        [received.read_step(event) for event in events],
        at=clock.now(),
    )


async def accept_milestones(
    clock: Clock, tx: AsyncConnection, events: Sequence[projects.MilestoneAccepted]
) -> None:
    """An accepted milestone may be billed; one not heard of before is rated as accepted."""
    await rate.accept(
        tx,
        [received.read_milestone(event) for event in events],
        [received.read_acceptance(event.milestone) for event in events],
        at=clock.now(),
    )


async def record_terms(clock: Clock, tx: AsyncConnection, events: Sequence[Terms]) -> None:
    """Newer terms set limits and the billing calendar, and free the work that waited for them."""
    await record.record_terms(tx, [event.contract for event in events], at=clock.now())


async def record_cards(
    clock: Clock, tx: AsyncConnection, events: Sequence[contracts.RateCardPublished]
) -> None:
    """A published card prices work that waited for a rate; what is rated already keeps its own."""
    await record.record_cards(tx, [event.rate_card for event in events], at=clock.now())


async def record_customers(
    clock: Clock, tx: AsyncConnection, events: Sequence[contracts.CustomerRecorded]
) -> None:
    """Credit hold and tax status of the bill-to customer hold its rows, or let them go."""
    customers = [received.read_customer(event.customer) for event in events]
    await record.record_customers(tx, customers, at=clock.now())


async def allocate_billed(
    clock: Clock, tx: AsyncConnection, events: Sequence[invoices.InvoiceItemsBilled]
) -> None:
    """What an issued invoice billed is no longer open, and is committed to its limits."""
    claims = [claim for event in events for claim in received.read_claims(event)]
    await record.allocate(tx, claims, at=clock.now())


def subscriptions(clock: Clock) -> tuple[Subscription[Any], ...]:
    """Return what billing-event listens to, dated by `clock`."""

    def on(
        message: type[M],
        name: str,
        function: Callable[[Clock, AsyncConnection, Sequence[M]], Awaitable[None]],
    ) -> Subscription[M]:
        return Subscription(f"billing-event-{name}", message, partial(function, clock))

    return (
        on(projects.TimeApproved, "rate-time", rate_time),
        on(projects.ExpenseReportApproved, "rate-expenses", rate_expenses),
        on(projects.MilestoneCompleted, "rate-milestones", rate_milestones),
        on(projects.MilestoneRejected, "hold-refused-milestones", hold_refused_milestones),
        on(projects.MilestoneAccepted, "accept-milestones", accept_milestones),
        on(contracts.ContractActivated, "record-terms", record_terms),
        on(contracts.ContractLimitChanged, "record-limits", record_terms),
        on(contracts.RateCardPublished, "record-cards", record_cards),
        on(contracts.CustomerRecorded, "record-customers", record_customers),
        on(invoices.InvoiceItemsBilled, "allocate-billed", allocate_billed),
    )
