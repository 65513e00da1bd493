"""The servicers of connectors: connections, crosswalk, callbacks."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import commands, domain, queries, repository, schedules, wire
from connectors.adapters.salesforce.org_mapping import SalesforceMapping
from connectors.adapters.stripe import adapter as stripe_adapter
from connectors.domain import Connection, MappingInvalid, ProviderUnknown
from connectors.erp_accounts.grpc_api import ErpAccountServicer
from connectors.settings import ConnectorSettings
from throughline.connectors.v1 import connection_service_pb2 as pb
from throughline.connectors.v1 import webhook_service_pb2 as webhook_pb
from throughline.connectors.v1.connection_service_pb2_grpc import (
    ConnectionServiceServicer,
    add_ConnectionServiceServicer_to_server,
)
from throughline.connectors.v1.erp_account_service_pb2_grpc import (
    add_ErpAccountServiceServicer_to_server,
)
from throughline.connectors.v1.webhook_service_pb2_grpc import (
    WebhookServiceServicer,
    add_WebhookServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.fields import read_optional_uuid, read_uuid
from throughline_runtime.identity import visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import MalformedPage, next_token, read_page
from throughline_runtime.rpc.server import Mount
from throughline_runtime.settings import PRODUCTION


class ConnectionServicer(ConnectionServiceServicer):
    """Connections and the crosswalk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def PutConnection(
        self, request: pb.PutConnectionRequest, context: object
    ) -> pb.PutConnectionResponse:
        wanted = Connection(
            name=request.name,
            vendor=request.vendor,
            base_url=request.base_url,
            client_id=request.client_id,
            secret_ref=request.secret_ref,
            enabled=request.enabled,
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            mapping=_read_mapping(request.vendor, request.mapping_json),
            poll_seconds=request.poll_seconds,
            version=0,
        )
        ConnectorSettings().secret(wanted.secret_ref)
        is_production = self._context.settings.environment == PRODUCTION

        async def handle(tx: AsyncConnection) -> pb.PutConnectionResponse:
            put = await commands.put_connection(tx, wanted, is_production=is_production)
            return pb.PutConnectionResponse(connection=wire.write_connection(put))

        return await once(self._context.engine, request, pb.PutConnectionResponse, handle)

    async def GetConnection(
        self, request: pb.GetConnectionRequest, context: object
    ) -> pb.GetConnectionResponse:
        async with read(self._context.engine) as tx:
            connection, state = await repository.get(tx, request.name, entities=visible_entities())
        return pb.GetConnectionResponse(
            connection=wire.write_connection(connection), sync_state=wire.write_sync_state(state)
        )

    async def ListConnections(
        self, request: pb.ListConnectionsRequest, context: object
    ) -> pb.ListConnectionsResponse:
        page = read_page(request)
        after = page.after[0] if page.after else None
        async with read(self._context.engine) as tx:
            found = await repository.connections(
                tx, after=after, limit=page.size + 1, entities=visible_entities()
            )
        shown = [connection for connection, _ in found[: page.size]]
        return pb.ListConnectionsResponse(
            connections=map(wire.write_connection, shown),
            next_page_token=next_token(shown[-1].name) if len(found) > page.size else "",
        )

    async def SyncConnection(
        self, request: pb.SyncConnectionRequest, context: object
    ) -> pb.SyncConnectionResponse:
        async def handle(tx: AsyncConnection) -> pb.SyncConnectionResponse:
            state = await commands.request_sync(tx, request.name, at=self._context.clock.now())
            return pb.SyncConnectionResponse(sync_state=wire.write_sync_state(state))

        reply = await once(self._context.engine, request, pb.SyncConnectionResponse, handle)
        self._context.wake(schedules.SYNC)
        return reply

    async def ListCrosswalkLinks(
        self, request: pb.ListCrosswalkLinksRequest, context: object
    ) -> pb.ListCrosswalkLinksResponse:
        page = read_page(request, keys=2)
        async with read(self._context.engine) as tx:
            rows = await queries.crosswalk_links(
                tx,
                after=_read_key(page.after),
                page_size=page.size + 1,
                system=request.system,
                source_object_id=request.source_object_id,
                object_id=read_optional_uuid("object_id", request.object_id),
                entities=visible_entities(),
            )
        return pb.ListCrosswalkLinksResponse(
            links=[link for _, link in rows[: page.size]],
            next_page_token=_token([key for key, _ in rows], page.size),
        )


class WebhookServicer(WebhookServiceServicer):
    """Callbacks of vendors."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def ReceiveWebhook(
        self, request: webhook_pb.ReceiveWebhookRequest, context: object
    ) -> webhook_pb.ReceiveWebhookResponse:
        async with read(self._context.engine) as tx:
            known = await repository.connections(tx, vendor=request.provider)
        enabled = [connection for connection, _ in known if connection.enabled]
        if request.provider != domain.STRIPE or not enabled:
            raise ProviderUnknown(
                f"nobody here expects callbacks of {request.provider}",
                field="provider",
                advice="put a connection for this vendor, and enable it",
            )
        # The account whose secret fits is the one that sent it.
        settings = ConnectorSettings()
        secrets = {
            connection.name: settings.webhook_secrets(connection.secret_ref)
            for connection in enabled
        }
        callback = stripe_adapter.verify(request.body, request.headers, secrets)
        # The vendor's event id is the idempotency key: a repetition is only counted.
        async with write(self._context.engine) as tx:
            duplicate = await commands.store_callback(tx, callback, at=self._context.clock.now())
        self._context.wake(schedules.WEBHOOKS)
        return webhook_pb.ReceiveWebhookResponse(duplicate=duplicate)

    async def ListWebhooks(
        self, request: webhook_pb.ListWebhooksRequest, context: object
    ) -> webhook_pb.ListWebhooksResponse:
        page = read_page(request, keys=2)
        name = webhook_pb.WebhookStatus.Name(request.status).removeprefix("WEBHOOK_STATUS_")
        async with read(self._context.engine) as tx:
            rows = await queries.webhooks(
                tx,
                after=_read_key(page.after),
                page_size=page.size + 1,
                provider=request.provider,
                status=name.lower() if request.status else None,
                entities=visible_entities(),
            )
        return webhook_pb.ListWebhooksResponse(
            webhooks=[webhook for _, webhook in rows[: page.size]],
            next_page_token=_token([key for key, _ in rows], page.size),
        )


def _read_mapping(vendor: str, text: str) -> Mapping[str, Any]:
    try:
        mapping = json.loads(text or "{}")
    except ValueError as error:
        raise MappingInvalid(
            f"the mapping is no JSON: {error}", field="mapping_json", advice="send a JSON object"
        ) from error
    if not isinstance(mapping, dict):
        raise MappingInvalid(
            "the mapping is no JSON object", field="mapping_json", advice="send a JSON object"
        )
    if vendor == domain.SALESFORCE:
        SalesforceMapping.read(mapping)
    return mapping


def _read_key(keys: tuple[str, ...] | None) -> tuple[datetime, UUID] | None:
    if keys is None:
        return None
    try:
        at = datetime.fromisoformat(keys[0])
        if at.tzinfo is None:
            raise ValueError("an instant without its offset")
    except ValueError as error:
        raise MalformedPage(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        ) from error
    return at, read_uuid("page_token", keys[1])


def _token(keys: list[tuple[datetime, UUID]], size: int) -> str:
    if len(keys) <= size:
        return ""
    at, row_id = keys[size - 1]
    return next_token(at.isoformat(), row_id)


def servicers(context: Context) -> list[Mount]:
    """Return what a process of this service mounts."""
    return [
        (add_ConnectionServiceServicer_to_server, ConnectionServicer(context)),
        (add_WebhookServiceServicer_to_server, WebhookServicer(context)),
        (add_ErpAccountServiceServicer_to_server, ErpAccountServicer(context)),
    ]
