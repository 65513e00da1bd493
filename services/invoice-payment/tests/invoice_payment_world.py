"""A firm for integration tests: what other services told of it, and runs driven to their end."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from invoice_payment_builders import APPROVER, CUT_OFF, DE01, DRAFTED_AT, STARTER, a_rule
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from invoice_payment import consumers, schedules
from invoice_payment.commands import invoice as invoices
from invoice_payment.commands import payment as payments
from invoice_payment.commands import run as runs
from invoice_payment.commands import setup
from invoice_payment.commands.item import ChangedDraft, withdraw_items
from invoice_payment.commands.payment import Told
from invoice_payment.domain.payment import PaymentStatus
from invoice_payment.domain.run import WORKING, InvoiceRun
from invoice_payment.domain.tax import TaxRule
from invoice_payment.queries.totals import control_totals
from invoice_payment.repository import run as repository
from throughline.billing_event.events.v1.billing_event_events_pb2 import (
    BillingEventsReleased,
    BillingEventsWrittenOff,
)
from throughline.billing_event.v1 import billing_event_pb2
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractActivated,
    CustomerRecorded,
    LegalEntityRecorded,
)
from throughline_core.money import Money
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.ids import new_id
from throughline_testing.samples import sample

T = TypeVar("T")
M = TypeVar("M", bound=Message)

SERVICE: Final = Caller.service("invoice-payment")


@dataclass(frozen=True, slots=True)
class World:
    """The service's database, with short ways to do what its callers and publishers do."""

    context: Context
    engine: AsyncEngine

    async def told(
        self, function: Callable[[AsyncConnection, Sequence[M]], Awaitable[None]], *events: M
    ) -> None:
        """Let a consumer take events, as one batch in one transaction."""
        with acting_as(SERVICE):
            async with write(self.engine) as tx:
                await function(tx, events)

    async def do(self, command: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run a command as the service itself, in one transaction."""
        with acting_as(SERVICE):
            async with write(self.engine) as tx:
                return await command(tx)

    async def found(self, *, rules: Sequence[TaxRule] = (a_rule(),)) -> None:
        """Tell of the entity, its customer and the contract of the samples; put the tax rules."""
        await self.told(consumers.keep_entities, sample(LegalEntityRecorded))
        await self.told(consumers.keep_customers, sample(CustomerRecorded))
        await self.told(consumers.keep_activated_terms, sample(ContractActivated))
        for rule in rules:
            await self.put_rule(rule)

    async def put_rule(self, rule: TaxRule) -> None:
        await self.do(lambda tx: setup.put_tax_rule(tx, rule))

    async def sign(self, count: int = 1, **values: Any) -> list[str]:
        """Tell of more contracts like the sample's, and return their ids."""
        events = [sample(ContractActivated) for _ in range(count)]
        for event in events:
            event.contract.contract_id = str(new_id())
            for name, value in values.items():
                setattr(event.contract, name, value)
        await self.told(consumers.keep_activated_terms, *events)
        return [event.contract.contract_id for event in events]

    async def release(self, event: BillingEventsReleased | None = None) -> BillingEventsReleased:
        """Release the batch of the samples, or this one."""
        event = event or sample(BillingEventsReleased)
        await self.told(consumers.take_released, event)
        return event

    async def withdraw(self, *item_ids: UUID, version: int = 2) -> list[ChangedDraft]:
        """Take the releases of items up to this version back, as billing-event asks to."""
        versions = dict.fromkeys(item_ids, version)
        return await self.do(
            lambda tx: withdraw_items(tx, versions, reason="released too early", at=DRAFTED_AT)
        )

    async def start(
        self, *, run_key: str = "", cut_off: date = CUT_OFF, contract_ids: Sequence[UUID] = ()
    ) -> InvoiceRun:
        """Start a run, without working on it."""
        return await self.do(
            lambda tx: runs.start_run(
                tx,
                DE01,
                cut_off=cut_off,
                run_key=run_key,
                contract_ids=contract_ids,
                by=STARTER,
                at=DRAFTED_AT,
            )
        )

    async def get(self, run: InvoiceRun) -> InvoiceRun:
        async with read(self.engine) as tx:
            return await repository.get(tx, run.run_id)

    async def work(self, run: InvoiceRun) -> InvoiceRun:
        """Work on a run until its phase is done."""
        with acting_as(SERVICE):
            while (run := await self.get(run)).status in WORKING:
                await schedules.advance(self.context, run)
        return run

    async def draft(self, **values: Any) -> InvoiceRun:
        """Start a run and draft all there is."""
        return await self.work(await self.start(**values))

    async def approve(self, run: InvoiceRun) -> InvoiceRun:
        approving = await self.do(lambda tx: runs.approve_run(tx, run.run_id, by=APPROVER))
        return await self.work(approving)

    async def issue(self, run: InvoiceRun) -> InvoiceRun:
        issuing = await self.do(lambda tx: runs.issue_run(tx, run.run_id))
        return await self.work(issuing)

    async def bill(self, **values: Any) -> InvoiceRun:
        """Draft, approve and issue all there is."""
        return await self.issue(await self.approve(await self.draft(**values)))

    async def customer(self, **values: Any) -> UUID:
        """Tell of another customer like the sample's, and return its id."""
        event = sample(CustomerRecorded)
        event.customer.customer_id = str(new_id())
        for name, value in values.items():
            setattr(event.customer, name, value)
        await self.told(consumers.keep_customers, event)
        return UUID(event.customer.customer_id)

    async def pay(self, invoice_id: UUID, amount: Money) -> None:
        """Let money arrive that settles an invoice."""
        number = await self.value(
            "SELECT number FROM invoice WHERE invoice_id = :id", id=invoice_id
        )
        told = Told(
            provider="bank",
            provider_payment_id=str(new_id()),
            status=PaymentStatus.RECEIVED,
            amount=amount,
            received_on=CUT_OFF,
            legal_entity_id=DE01,
            legal_entity_code="",
            customer_id=None,
            reference=number,
        )
        await self.do(lambda tx: payments.record_payment(tx, told, at=DRAFTED_AT))

    async def void(self, invoice_id: UUID) -> None:
        await self.do(lambda tx: invoices.void_invoice(tx, invoice_id, reason="a mistake"))

    async def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        async with read(self.engine) as tx:
            return [tuple(row) for row in await tx.execute(text(query), values)]

    async def value(self, query: str, **values: object) -> Any:
        """Return the one value a query finds."""
        [[value]] = await self.rows(query, **values)
        return value

    async def totals(self) -> dict[str, dict[str, Any]]:
        async with read(self.engine) as tx:
            return {total.name: dict(total.figures) for total in await control_totals(tx)}

    async def published(self, message_type: type[M]) -> list[M]:
        """Return the events of a type in the outbox, in order."""
        payloads = await self.rows(
            "SELECT payload FROM outbox WHERE schema = :schema ORDER BY position",
            schema=message_type.DESCRIPTOR.full_name,
        )
        return [message_type.FromString(payload) for [payload] in payloads]


def taking_back(event: BillingEventsReleased) -> BillingEventsReleased:
    """Return the release of the rows that take every row of `event` back."""
    mirror = BillingEventsReleased()
    mirror.CopyFrom(event)
    mirror.batch_id = str(new_id())
    for row in mirror.billing_events:
        row.reverses_billing_event_id, row.billing_event_id = row.billing_event_id, str(new_id())
        row.source_item_id = str(new_id())
        row.kind = billing_event_pb2.BILLING_EVENT_KIND_REVERSAL
        row.quantity, row.amount.amount = f"-{row.quantity}", f"-{row.amount.amount}"
        row.minutes = -row.minutes
    return mirror


def a_batch(
    count: int, *, contract_id: str | None = None, days: int = 28, **values: Any
) -> BillingEventsReleased:
    """Return a batch of as many time entries like the sample's, each with ids of its own."""
    event = sample(BillingEventsReleased)
    event.batch_id = str(new_id())
    original = event.billing_events[0]
    del event.billing_events[:]
    for number in range(count):
        row = event.billing_events.add()
        row.CopyFrom(original)
        row.billing_event_id, row.source_item_id = str(new_id()), str(new_id())
        row.service_from = date(2026, 9, number % days + 1).isoformat()
        row.service_to = date(2026, 9, number % days + 2).isoformat()
        row.contract_id = contract_id or original.contract_id
        for name, value in values.items():
            setattr(row, name, value)
    return event


def a_block(amount: str = "2500.00") -> BillingEventsReleased:
    """Return the release of a retainer's block."""
    event = a_batch(
        1,
        type=billing_event_pb2.BILLING_EVENT_TYPE_RECURRING,
        treatment=billing_event_pb2.BILLING_TREATMENT_PREPAYMENT,
        quantity="1",
        unit="month",
        description="Retainer, September 2026",
    )
    event.billing_events[0].unit_rate.amount = amount
    event.billing_events[0].amount.amount = amount
    return event


def written_off(
    event: BillingEventsReleased, *, version: int, undone: bool = False
) -> BillingEventsWrittenOff:
    """Return that the rows of a release were written off, or that undone, by this version."""
    message = BillingEventsWrittenOff(
        batch_id=str(new_id()),
        version=1,
        kind="write_off",
        reason_code="goodwill",
        undone=undone,
        was_released=True,
        billing_events=event.billing_events,
    )
    message.decided_at.FromJsonString("2026-10-02T09:00:00Z")
    for row in message.billing_events:
        row.version = version
        row.status = (
            billing_event_pb2.BILLING_EVENT_STATUS_ELIGIBLE
            if undone
            else billing_event_pb2.BILLING_EVENT_STATUS_WRITTEN_OFF
        )
    return message
