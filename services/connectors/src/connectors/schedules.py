"""The periodic work of connectors: polling what cannot call us, working on callbacks."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import httpx
import structlog

from connectors import domain, repository
from connectors.adapters.salesforce.adapter import Imported, SalesforceAdapter
from connectors.adapters.salesforce.client import TIMEOUT_SECONDS, SalesforceClient
from connectors.adapters.stripe.adapter import StripeAdapter
from connectors.domain import Connection, Outcome, SyncState, WebhookStatus
from connectors.settings import ConnectorSettings
from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceStub
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceStub
from throughline.invoice_payment.v1.payment_service_pb2_grpc import PaymentServiceStub
from throughline_core.errors import Refusal, Unavailable
from throughline_core.ids import derived_id
from throughline_runtime import exceptions
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.schedule import Schedule

SYNC: Final = "connectors.sync"
WEBHOOKS: Final = "connectors.work-webhooks"
IMPORT_REFUSED: Final = "quote.import_refused"
SYNC_FAILED: Final = "connection.sync_failed"
WEBHOOK_FAILED: Final = "webhook.failed"
_BATCH: Final = 50

log = structlog.get_logger()


async def sync(context: Context) -> None:
    """Read each connection whose time has come."""
    async with read(context.engine) as tx:
        known = await repository.connections(tx)
    now = context.clock.now()
    for connection, state in known:
        if domain.is_due(connection, state, now=now):
            await _sync_one(context, connection, state)


async def _sync_one(context: Context, connection: Connection, state: SyncState) -> None:
    """Read one connection; what stops it is an exception in the queue, not in this process."""
    async with write(context.engine) as tx:
        await repository.mark_sync(tx, connection.name, last_started_at=context.clock.now())
    subject = derived_id("connection", connection.name)
    try:
        await _read_quotes(context, connection, state)
    except Refusal as refusal:
        log.warning("sync_failed", connection=connection.name, code=refusal.stable_code)
        async with write(context.engine) as tx:
            await repository.mark_sync(tx, connection.name, last_error=refusal.message)
            await exceptions.open_(
                tx,
                SYNC_FAILED,
                subject,
                f"{connection.name}: {refusal.message}",
                "integration",
                refusal.advice or "check the connection",
            )
        return
    async with write(context.engine) as tx:
        await repository.mark_sync(
            tx, connection.name, last_finished_at=context.clock.now(), last_error=""
        )
        await exceptions.close(tx, SYNC_FAILED, [subject])


async def _read_quotes(context: Context, connection: Connection, state: SyncState) -> None:
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
        client = SalesforceClient(
            http,
            base_url=connection.base_url,
            client_id=connection.client_id,
            secret=ConnectorSettings().secret(connection.secret_ref),
        )
        adapter = SalesforceAdapter(
            connection,
            client,
            context.stub(CustomerServiceStub, "customer-contract"),
            context.stub(QuoteServiceStub, "customer-contract"),
        )
        cursor = state.read_up_to
        is_blocked = False
        async for imported in adapter.import_quotes(domain.read_from(state)):
            # The cursor stays before a quote that is still being calculated: it is read again.
            is_blocked = is_blocked or imported.is_pending
            if not is_blocked and (cursor is None or imported.changed_at > cursor):
                cursor = imported.changed_at
            state = domain.counted(
                state,
                imported=imported.is_new,
                unchanged=bool(imported.links) and not imported.is_new,
                refused=imported.refusal is not None,
            )
            await _save(context, connection, imported, state, cursor)


async def _save(
    context: Context,
    connection: Connection,
    imported: Imported,
    state: SyncState,
    cursor: datetime | None,
) -> None:
    """Write what became of one quote together with the cursor that passed it."""
    subject = derived_id("source_record", connection.name, imported.source_id)
    async with write(context.engine) as tx:
        await repository.mark_sync(
            tx,
            connection.name,
            read_up_to=cursor,
            imported=state.imported,
            unchanged=state.unchanged,
            refused=state.refused,
        )
        if imported.links:
            await repository.link(tx, imported.links)
        if imported.refusal is not None:
            await exceptions.open_(
                tx,
                IMPORT_REFUSED,
                subject,
                imported.refusal.message,
                "sales_operations",
                imported.refusal.advice or "correct the quote there; it is read again when changed",
                legal_entity_id=connection.legal_entity_id,
            )
        elif not imported.is_pending:
            await exceptions.close(tx, IMPORT_REFUSED, [subject])


async def work_webhooks(context: Context) -> None:
    """Work on stored callbacks until none is due."""
    while True:
        async with write(context.engine) as tx:
            due = await repository.lease(tx, now=context.clock.now(), limit=_BATCH)
        if not due:
            return
        async with read(context.engine) as tx:
            known = await repository.connections(tx, vendor=domain.STRIPE)
        adapters = [_stripe(context, connection) for connection, _ in known if connection.enabled]
        await asyncio.gather(
            *(_work_one(context, adapters, row.webhook_id, row.body, row.attempts) for row in due)
        )


def _stripe(context: Context, connection: Connection) -> StripeAdapter:
    return StripeAdapter(
        connection,
        ConnectorSettings().secret(connection.secret_ref),
        context.stub(PaymentServiceStub, "invoice-payment"),
    )


async def _work_one(
    context: Context,
    adapters: Sequence[StripeAdapter],
    webhook_id: UUID,
    body: bytes,
    attempts: int,
) -> None:
    try:
        if not adapters:
            raise domain.ProviderUnknown("no enabled connection reads this vendor's payments")
        outcome = await adapters[0].work_on(body)
    except Unavailable as refusal:
        until = domain.next_attempt(attempts, now=context.clock.now())
        if until is not None:
            async with write(context.engine) as tx:
                await repository.postpone(tx, webhook_id, until=until, reason=refusal.message)
            return
        outcome = Outcome(WebhookStatus.FAILED, refusal.message)
    except Refusal as refusal:
        outcome = Outcome(WebhookStatus.FAILED, refusal.message)
    async with write(context.engine) as tx:
        await repository.settle(tx, webhook_id, outcome)
        if outcome.status is WebhookStatus.FAILED:
            await exceptions.open_(
                tx,
                WEBHOOK_FAILED,
                webhook_id,
                outcome.reason,
                "finance",
                "look the payment up at the vendor and record what happened by hand",
            )


SCHEDULES: Final = (Schedule(SYNC, 1.0, sync), Schedule(WEBHOOKS, 1.0, work_webhooks))
