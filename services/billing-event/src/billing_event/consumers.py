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

from billing_event.commands import credit, exchange, rate, record, report_changes
from billing_event.repository.fact import Told
from billing_event.wire import facts, received
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_runtime.clock import Clock
from throughline_runtime.subscription import Subscription

M = TypeVar("M", bound=Message)
Terms: TypeAlias = (
    contracts.ContractLimitChanged
    | contracts.ContractAmended
    | contracts.ContractTerminated
    | contracts.ContractCompleted
)


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


async def follow_milestones(
    clock: Clock, tx: AsyncConnection, events: Sequence[received.MilestoneEvent]
) -> None:
    """A milestone is rated once complete, held until accepted, and worth what was accepted.

    Completed, accepted, refused, withdrawn: the last word counts, in whatever order they come.
    """
    milestones = [each for event in events for each in received.read_milestones(event)]
    await rate.follow(tx, milestones, at=clock.now())


async def record_first_terms(
    clock: Clock, tx: AsyncConnection, events: Sequence[contracts.ContractActivated]
) -> None:
    """Terms that come into force set limits and the billing calendar, and free waiting work."""
    told = [Told(event.contract, is_first=True) for event in events]
    await record.record_terms(tx, told, at=clock.now())


async def record_terms(clock: Clock, tx: AsyncConnection, events: Sequence[Terms]) -> None:
    """Later terms hold from their day on; a contract that ended holds work and stops periods."""
    await record.record_terms(tx, [Told(event.contract) for event in events], at=clock.now())


async def record_amended_terms(
    clock: Clock, tx: AsyncConnection, events: Sequence[contracts.ContractAmended]
) -> None:
    """Amended terms hold from their day on; work of these days that was rated before is told of."""
    await record_terms(clock, tx, events)
    amendments = [found for event in events if (found := facts.read_amendment(event)) is not None]
    await report_changes.keep_amendments(tx, amendments, at=clock.now())


async def record_cards(
    clock: Clock, tx: AsyncConnection, events: Sequence[contracts.RateCardPublished]
) -> None:
    """A published card prices work that waited for a rate; what is rated already keeps its own."""
    await record.record_cards(tx, [event.rate_card for event in events], at=clock.now())


async def record_exchange_rates(
    clock: Clock, tx: AsyncConnection, events: Sequence[projects.ExchangeRatesRecorded]
) -> None:
    """Rates of exchange price what waited for one; what was converted before keeps its own."""
    quotations = [each for event in events for each in received.read_rates(event)]
    await exchange.record_rates(tx, quotations, at=clock.now())


async def record_customers(
    clock: Clock, tx: AsyncConnection, events: Sequence[contracts.CustomerRecorded]
) -> None:
    """Credit hold and tax status of the bill-to customer hold its rows, or let them go."""
    customers = [facts.read_customer(event.customer) for event in events]
    await record.record_customers(tx, customers, at=clock.now())


async def allocate_billed(
    clock: Clock, tx: AsyncConnection, events: Sequence[invoices.InvoiceItemsBilled]
) -> None:
    """What an issued invoice billed is no longer open, and is committed to its limits."""
    claims = [claim for event in events for claim in received.read_claims(event)]
    await record.allocate(tx, claims, at=clock.now())


async def credit_items(
    clock: Clock, tx: AsyncConnection, events: Sequence[invoices.InvoiceItemsCredited]
) -> None:
    """What a credit note gave back is open again, and billed by a later invoice, or given up."""
    claims = [claim for event in events for claim in received.read_credits(event)]
    await credit.credit(tx, claims, at=clock.now())


def subscriptions(clock: Clock) -> tuple[Subscription[Any], ...]:
    """Return what billing-event listens to, dated by `clock`."""

    def on(
        message: type[M],
        name: str,
        function: Callable[[Clock, AsyncConnection, Sequence[M]], Awaitable[None]],
        *,
        workers: int = 1,
    ) -> Subscription[M]:
        return Subscription(
            f"billing-event-{name}", message, partial(function, clock), workers=workers
        )

    return (
        on(projects.TimeApproved, "rate-time", rate_time, workers=2),
        on(projects.ExpenseReportApproved, "rate-expenses", rate_expenses),
        on(projects.MilestoneCompleted, "rate-milestones", follow_milestones),
        on(projects.MilestoneRejected, "hold-refused-milestones", follow_milestones),
        on(projects.MilestoneAccepted, "accept-milestones", follow_milestones),
        on(projects.MilestoneAcceptanceWithdrawn, "withdraw-acceptances", follow_milestones),
        on(projects.ExchangeRatesRecorded, "record-exchange-rates", record_exchange_rates),
        on(contracts.ContractActivated, "record-terms", record_first_terms),
        on(contracts.ContractLimitChanged, "record-limits", record_terms),
        on(contracts.ContractAmended, "record-amended-terms", record_amended_terms),
        on(contracts.ContractTerminated, "record-terminations", record_terms),
        on(contracts.ContractCompleted, "record-completions", record_terms),
        on(contracts.RateCardPublished, "record-cards", record_cards),
        on(contracts.CustomerRecorded, "record-customers", record_customers),
        on(invoices.InvoiceItemsBilled, "allocate-billed", allocate_billed),
        on(invoices.InvoiceItemsCredited, "credit-items", credit_items),
    )
