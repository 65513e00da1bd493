"""Who sees and changes which connections, and where their secrets may be sent."""

from dataclasses import replace
from uuid import UUID

import pytest
from connectors_world import INTEGRATION, Seed, World

from connectors import repository
from connectors.domain import AddressUnsafe, check_connection
from connectors.grpc_api import ConnectionServicer, WebhookServicer
from throughline.connectors.v1 import connection_service_pb2 as pb
from throughline.connectors.v1 import webhook_service_pb2 as webhook_pb
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline_core.errors import InvalidArgument, NotFound, PermissionDenied
from throughline_runtime.database import read
from throughline_runtime.identity import acting_as
from throughline_runtime.operations import OperationsServicer
from throughline_runtime.page import next_token
from throughline_testing.serving import a_caller

DE01 = UUID("01980000-0000-7000-8000-0000000000e1")
US01 = UUID("01980000-0000-7000-8000-0000000000e2")
OF_DE01, OF_US01 = (a_caller("integration", entities=[entity]) for entity in (DE01, US01))


def put_request(world: World, **values: object) -> pb.PutConnectionRequest:
    request: dict[str, object] = {
        "request_id": "put",
        "name": "salesforce",
        "vendor": "salesforce_cpq",
        "base_url": world.simulators.salesforce_url,
        "secret_ref": "salesforce",
        "legal_entity_id": str(DE01),
    }
    return pb.PutConnectionRequest(**request | values)  # type: ignore[arg-type]  # By name.


async def test_connections_of_other_legal_entities_and_what_came_through_them_are_not_there(
    world: World, org: Seed
) -> None:
    await org()
    await world.sync()
    servicer = ConnectionServicer(world.context)

    for caller, is_visible in ((OF_DE01, True), (INTEGRATION, True), (OF_US01, False)):
        with acting_as(caller):
            listed = await servicer.ListConnections(pb.ListConnectionsRequest(), None)
            links = await servicer.ListCrosswalkLinks(pb.ListCrosswalkLinksRequest(), None)
            assert bool(listed.connections) is is_visible
            assert bool(links.links) is is_visible
    with acting_as(OF_US01):
        with pytest.raises(NotFound):
            await servicer.GetConnection(pb.GetConnectionRequest(name="salesforce"), None)
        with pytest.raises(NotFound):
            await servicer.SyncConnection(
                pb.SyncConnectionRequest(request_id="s", name="salesforce"), None
            )


async def test_nobody_connects_a_system_for_other_legal_entities(world: World) -> None:
    servicer = ConnectionServicer(world.context)
    forbidden = (
        put_request(world, legal_entity_id=str(US01)),
        put_request(world, legal_entity_id=""),
        put_request(world, mapping_json=f'{{"legal_entities": {{"Inc": "{US01}"}}}}'),
    )
    with acting_as(OF_DE01):
        for request in forbidden:
            with pytest.raises(PermissionDenied):
                await servicer.PutConnection(request, None)
        await servicer.PutConnection(put_request(world), None)
    with acting_as(OF_US01), pytest.raises(PermissionDenied):
        await servicer.PutConnection(
            put_request(world, request_id="mine", legal_entity_id=str(US01)), None
        )


async def test_the_audit_finds_every_change_of_a_connection_by_its_name(world: World) -> None:
    servicer = ConnectionServicer(world.context)
    with acting_as(INTEGRATION):
        await servicer.PutConnection(put_request(world, enabled=True), None)
        await servicer.SyncConnection(
            pb.SyncConnectionRequest(request_id="s", name="salesforce"), None
        )
        found = await OperationsServicer(world.context, None).ListAuditEntries(
            operations_pb.ListAuditEntriesRequest(aggregate_id="connection:salesforce"), None
        )
    assert [entry.method.rpartition(".")[2] for entry in found.entries] == [
        "SyncConnection",
        "PutConnection",
    ]


@pytest.mark.parametrize(
    ("address", "is_production", "is_safe"),
    [
        ("https://firm.my.salesforce.com", True, True),
        ("https://firm--uat.sandbox.my.salesforce.com", True, True),
        ("http://firm.my.salesforce.com", True, False),
        ("https://169.254.169.254/latest", True, False),
        ("https://salesforce.com.evil.example", True, False),
        ("https://firm.my.salesforce.com@evil.example", True, False),
        ("https://evil.example#.my.salesforce.com", True, False),
        ("http://127.0.0.1:8090/salesforce", True, False),
        ("http://127.0.0.1:8090/salesforce", False, True),
        ("http://127.0.0.1:80@evil.example", False, False),
        ("http://[127.0.0.1", False, False),
        ("https://sandbox.example:notaport", False, False),
    ],
)
async def test_secrets_are_sent_to_the_vendor_only(
    world: World, address: str, is_production: bool, is_safe: bool
) -> None:
    connection = replace(await world.connect_salesforce(), base_url=address)
    if is_safe:
        check_connection(connection, is_production=is_production)
    else:
        with pytest.raises(AddressUnsafe):
            check_connection(connection, is_production=is_production)


async def test_a_mapping_says_what_is_wrong_with_it(world: World) -> None:
    servicer = ConnectionServicer(world.context)
    with acting_as(INTEGRATION):
        for mapping in (
            '{"statuses": "Approved"}',
            '{"statuses": ["O\'Brien"]}',
            '{"products": ["DISC"]}',
            '{"legal_entities": {"Inc": "not an id"}}',
            '{"payment_terms_days": "30"}',
            '{"unheard_of": 1}',
        ):
            with pytest.raises(InvalidArgument) as refused:
                await servicer.PutConnection(put_request(world, mapping_json=mapping), None)
            assert refused.value.stable_code == "connection.mapping_invalid"
            assert (refused.value.field, bool(refused.value.advice)) == ("mapping_json", True)


async def test_a_token_these_lists_never_gave_out_is_refused(world: World) -> None:
    token = next_token("2026-11-20T09:00:00", DE01)
    with acting_as(INTEGRATION):
        with pytest.raises(InvalidArgument):
            await ConnectionServicer(world.context).ListCrosswalkLinks(
                pb.ListCrosswalkLinksRequest(page_token=token), None
            )
        with pytest.raises(InvalidArgument):
            await WebhookServicer(world.context).ListWebhooks(
                webhook_pb.ListWebhooksRequest(page_token=token), None
            )
    async with read(world.context.engine) as tx:
        assert await repository.connections(tx) == []
