"""The periodic work of connectors: polling what cannot call us, working on callbacks."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy import Row

from connectors import domain, repository
from connectors.adapters.salesforce.adapter import Imported, SalesforceAdapter
from connectors.adapters.salesforce.client import TIMEOUT_SECONDS, SalesforceClient
from connectors.adapters.stripe.adapter import StripeAdapter
from connectors.domain import Connection, Outcome, SyncState, WebhookStatus
from connectors.settings import ConnectorSettings
from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceStub
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceStub
from throughline.invoice_payment.v1.payment_service_pb2_grpc import PaymentServiceStub
from throughline_core.errors import Aborted, Refusal, ResourceExhausted, Unavailable
from throughline_core.ids import derived_id
from throughline_runtime import exceptions
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.schedule import Schedule

SYNC: Final = "connectors.sync"
WEBHOOKS: Final = "connectors.work-webhooks"
IMPORT_REFUSED: Final = "quote.import_refused"
SYNC_FAILED: Final = "connection.sync_failed"
WEBHOOK_FAILED: Final = "webhook.failed"
_BATCH: Final = 50
_REFUSED_MAX: Final = 500

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
        with acting_as(_speaking_for(context, connection)):
            await _read_quotes(context, connection, state)
    except Refusal as refusal:
        log.warning("sync_failed", connection=connection.name, code=refusal.stable_code)
        advice = refusal.advice or "check the connection"
        await _tell_of_failure(context, connection, refusal.message, advice)
        return
    except Exception as error:
        log.exception("sync_failed", connection=connection.name)
        reason = f"{type(error).__qualname__}, see the log"
        await _tell_of_failure(context, connection, reason, "check what the system answers")
        return
    async with write(context.engine) as tx:
        await repository.mark_sync(
            tx, connection.name, last_finished_at=context.clock.now(), last_error=""
        )
        await exceptions.close(tx, SYNC_FAILED, [subject])


async def _tell_of_failure(
    context: Context, connection: Connection, reason: str, advice: str
) -> None:
    async with write(context.engine) as tx:
        await repository.mark_sync(tx, connection.name, last_error=reason)
        await exceptions.open_(
            tx,
            SYNC_FAILED,
            derived_id("connection", connection.name),
            f"{connection.name}: {reason}",
            "integration",
            advice,
            legal_entity_id=connection.legal_entity_id,
        )


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
        seen: set[str] = set()
        async for imported in adapter.import_quotes(
            domain.read_from(state), now=context.clock.now()
        ):
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
            seen.add(imported.source_id)
            await _save(context, connection, imported, state, cursor)
        await _retry_refused(context, connection, adapter, state, cursor, seen)


async def _retry_refused(
    context: Context,
    connection: Connection,
    adapter: SalesforceAdapter,
    state: SyncState,
    cursor: datetime | None,
    seen: Collection[str],
) -> None:
    """Bring in what was refused before and may have been mended here since."""
    now = context.clock.now()
    async with read(context.engine) as tx:
        due = await repository.refused_due(
            tx,
            connection.name,
            now=None if domain.is_asked_for(state) else now,
            limit=_REFUSED_MAX,
        )
    waiting = [source_id for source_id in due if source_id not in seen]
    for start in range(0, len(waiting), _BATCH):
        gone = set(waiting[start : start + _BATCH])
        async for imported in adapter.import_again(waiting[start : start + _BATCH], now=now):
            gone.discard(imported.source_id)
            state = domain.counted(state, imported=imported.is_new, unchanged=False, refused=False)
            await _save(context, connection, imported, state, cursor)
        if gone:
            async with write(context.engine) as tx:
                await repository.forget_refused(tx, connection.name, gone)
                subjects = [_subject(connection, source_id) for source_id in gone]
                await exceptions.close(tx, IMPORT_REFUSED, subjects)


async def _save(
    context: Context,
    connection: Connection,
    imported: Imported,
    state: SyncState,
    cursor: datetime | None,
) -> None:
    """Write what became of one quote together with the cursor that passed it."""
    subject = _subject(connection, imported.source_id)
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
            await repository.note_refused(
                tx,
                connection.name,
                imported.source_id,
                code=imported.refusal.stable_code,
                now=context.clock.now(),
            )
            await exceptions.open_(
                tx,
                IMPORT_REFUSED,
                subject,
                imported.refusal.message,
                "sales_operations",
                imported.refusal.advice
                or "correct what it names, here or there; it is tried again",
                legal_entity_id=connection.legal_entity_id,
            )
        elif not imported.is_pending:
            await repository.forget_refused(tx, connection.name, [imported.source_id])
            await exceptions.close(tx, IMPORT_REFUSED, [subject])


def _subject(connection: Connection, source_id: str) -> UUID:
    """Return what an exception about a record of the other system is about."""
    return derived_id("source_record", connection.name, source_id)


def _speaking_for(context: Context, connection: Connection) -> Caller:
    """Return this service as it acts for a connected system: within what the system owns."""
    return Caller.service(context.settings.service, system=connection.name)


async def work_webhooks(context: Context) -> None:
    """Work on stored callbacks until none is due."""
    while True:
        async with write(context.engine) as tx:
            due = await repository.lease(tx, now=context.clock.now(), limit=_BATCH)
        if not due:
            return
        async with read(context.engine) as tx:
            known = await repository.connections(tx, vendor=domain.STRIPE)
        accounts = _Accounts(context, [connection for connection, _ in known if connection.enabled])
        try:
            await asyncio.gather(*(_work_one(context, accounts, row) for row in due))
        finally:
            await accounts.close()


class _Accounts:
    """The enabled Stripe accounts, each with the adapter that reads it, made when first needed."""

    def __init__(self, context: Context, enabled: Sequence[Connection]) -> None:
        self._context = context
        self._enabled = {connection.name: connection for connection in enabled}
        self._adapters: dict[str, StripeAdapter] = {}

    def of(self, name: str) -> StripeAdapter:
        """Return the adapter of the account that sent a callback; without a name the only one.

        Raises:
            ProviderUnknown: the account is not connected any more, or is switched off.
            SecretMissing: the deployment has lost its key.
        """
        if not name and len(self._enabled) == 1:
            [name] = self._enabled
        if name not in self._enabled:
            raise domain.ProviderUnknown(f"no enabled connection {name or 'of this vendor'}")
        if name not in self._adapters:
            connection = self._enabled[name]
            self._adapters[name] = StripeAdapter(
                connection,
                ConnectorSettings().secret(connection.secret_ref),
                self._context.stub(PaymentServiceStub, "invoice-payment"),
            )
        return self._adapters[name]

    async def close(self) -> None:
        for adapter in self._adapters.values():
            await adapter.close()


async def _work_one(context: Context, accounts: _Accounts, row: Row[Any]) -> None:
    """Work on one callback; whatever stops it stops no other."""
    webhook_id: UUID = row.webhook_id
    try:
        with acting_as(Caller.service(context.settings.service, system=row.connection or None)):
            outcome = await accounts.of(row.connection).work_on(row.body)
    except (Unavailable, Aborted, ResourceExhausted, domain.SecretMissing) as refusal:
        reason = refusal.message
    except Refusal as refusal:
        outcome, reason = Outcome(WebhookStatus.FAILED, refusal.message), ""
    except Exception as error:
        log.exception("callback_failed", webhook_id=str(webhook_id))
        reason = f"{type(error).__qualname__}, see the log"
    else:
        reason = ""
    if reason:
        until = domain.next_attempt(row.attempts, now=context.clock.now())
        if until is not None:
            async with write(context.engine) as tx:
                await repository.postpone(tx, webhook_id, until=until, reason=reason)
            return
        outcome = Outcome(WebhookStatus.FAILED, reason)
    async with write(context.engine) as tx:
        await repository.settle(tx, webhook_id, outcome)
        if outcome.status is WebhookStatus.FAILED:
            await exceptions.open_(
                tx,
                WEBHOOK_FAILED,
                webhook_id,
                outcome.reason,
                "finance",
                "remove the cause and have the vendor send the callback again, or look the payment"
                " up there and record what happened by hand",
            )
        else:
            await exceptions.close(tx, WEBHOOK_FAILED, [webhook_id])


SCHEDULES: Final = (Schedule(SYNC, 1.0, sync), Schedule(WEBHOOKS, 1.0, work_webhooks))
