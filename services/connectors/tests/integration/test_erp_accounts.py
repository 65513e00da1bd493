"""Whether a customer needs an account in an ERP, and whether it is there, is told in batches."""

from uuid import UUID

import pytest
from connectors_world import World
from sqlalchemy import text

from connectors.domain import Connection
from connectors.erp_accounts.grpc_api import ErpAccountServicer
from connectors.repository import put
from throughline.connectors.events.v1.connectors_events_pb2 import CrosswalkLinked
from throughline.connectors.v1 import erp_account_service_pb2 as pb
from throughline_core.errors import AlreadyExists, FailedPrecondition, PermissionDenied
from throughline_runtime.database import read, write
from throughline_runtime.events import subject_of
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.serving import a_caller
from throughline_testing.statements import Statements

DE01 = UUID("01980000-0000-7000-8000-0000000000e1")
US01 = UUID("01980000-0000-7000-8000-0000000000e2")
CUSTOMER = UUID("01980000-0000-7000-8000-0000000000c1")
OTHER = UUID("01980000-0000-7000-8000-0000000000c2")
FINANCE = a_caller("finance", subject="user:fina.finance")
SERVICE = Caller.service("project-provisioning")


@pytest.fixture
def servicer(world: World) -> ErpAccountServicer:
    return ErpAccountServicer(world.context)


async def want(
    servicer: ErpAccountServicer, *, required: bool, entity: UUID = DE01, system: str = "erp-de"
) -> pb.ErpPolicy:
    request = pb.PutErpPolicyRequest(
        request_id=f"{entity} {system} {required}",
        legal_entity_id=str(entity),
        system=system,
        account_required=required,
    )
    with acting_as(FINANCE):
        return (await servicer.PutErpPolicy(request, None)).policy


async def record(
    servicer: ErpAccountServicer, account: str, *, customer: UUID = CUSTOMER, key: str = "record"
) -> pb.ErpAccount:
    request = pb.PutErpAccountRequest(
        request_id=key, legal_entity_id=str(DE01), customer_id=str(customer), account=account
    )
    with acting_as(FINANCE):
        return (await servicer.PutErpAccount(request, None)).account


async def states(servicer: ErpAccountServicer, *keys: tuple[UUID, UUID]) -> list[str]:
    request = pb.CheckErpAccountsRequest(
        keys=[
            pb.ErpAccountKey(customer_id=str(customer), legal_entity_id=str(entity))
            for customer, entity in keys
        ]
    )
    with acting_as(SERVICE):
        answer = await servicer.CheckErpAccounts(request, None)
    names = [pb.ErpAccountState.Name(account.state) for account in answer.accounts]
    return [name.removeprefix("ERP_ACCOUNT_STATE_").lower() for name in names]


async def test_where_nothing_was_said_no_account_is_required(servicer: ErpAccountServicer) -> None:
    assert await states(servicer, (CUSTOMER, DE01), (CUSTOMER, US01)) == ["not_required"] * 2


async def test_a_required_account_is_missing_until_it_is_recorded(
    servicer: ErpAccountServicer, world: World
) -> None:
    policy = await want(servicer, required=True)
    assert (policy.version, policy.system) == (1, "erp-de")
    assert await states(servicer, (CUSTOMER, DE01), (CUSTOMER, US01)) == ["missing", "not_required"]

    recorded = await record(servicer, "C-100482")
    again = await record(servicer, "C-100482", key="again")

    assert (recorded.system, recorded.account) == ("erp-de", "C-100482")
    assert again == recorded
    assert await states(servicer, (CUSTOMER, DE01), (OTHER, DE01)) == ["exists", "missing"]
    query = text("SELECT payload FROM outbox WHERE subject = :subject")
    async with read(world.context.engine) as tx:
        rows = await tx.execute(query, {"subject": subject_of(CrosswalkLinked)})
        [link] = [CrosswalkLinked.FromString(row.payload).link for row in rows]
    assert (link.source.object_type, link.object_id) == ("customer", str(CUSTOMER))


async def test_entities_that_share_an_erp_share_the_account(servicer: ErpAccountServicer) -> None:
    await want(servicer, required=True)
    await want(servicer, required=True, entity=US01)
    await record(servicer, "C-100482")

    assert await states(servicer, (CUSTOMER, DE01), (CUSTOMER, US01)) == ["exists"] * 2


async def test_an_account_belongs_to_one_customer_and_a_customer_has_one(
    servicer: ErpAccountServicer,
) -> None:
    with pytest.raises(FailedPrecondition) as no_erp:
        await record(servicer, "C-1")
    assert no_erp.value.stable_code == "erp_account.no_erp"
    await want(servicer, required=False)
    await record(servicer, "C-1")

    with pytest.raises(AlreadyExists) as taken:
        await record(servicer, "C-1", customer=OTHER, key="other")
    assert taken.value.stable_code == "erp_account.taken"
    with pytest.raises(AlreadyExists) as exists:
        await record(servicer, "C-2", key="second")
    assert exists.value.stable_code == "erp_account.exists"


async def test_of_an_erp_that_is_switched_off_nothing_is_known(
    servicer: ErpAccountServicer, world: World
) -> None:
    await want(servicer, required=True)
    connection = Connection(
        name="erp-de",
        vendor="stripe",
        base_url="https://erp.example",
        client_id="",
        secret_ref="erp-de",
        enabled=False,
        legal_entity_id=None,
        mapping={},
        poll_seconds=0,
        version=1,
    )
    async with write(world.context.engine) as tx:
        await put(tx, connection)

    assert await states(servicer, (CUSTOMER, DE01)) == ["unknown"]


async def test_a_policy_moves_on_and_is_listed(servicer: ErpAccountServicer) -> None:
    await want(servicer, required=True)
    moved = await want(servicer, required=False)
    await want(servicer, required=True, entity=US01, system="erp-us")

    assert moved.version == 2
    with acting_as(FINANCE):
        first = await servicer.ListErpPolicies(pb.ListErpPoliciesRequest(page_size=1), None)
        token = first.next_page_token
        rest = await servicer.ListErpPolicies(pb.ListErpPoliciesRequest(page_token=token), None)
    assert [each.system for each in (*first.policies, *rest.policies)] == ["erp-de", "erp-us"]


async def test_other_legal_entities_are_out_of_reach(servicer: ErpAccountServicer) -> None:
    await want(servicer, required=True)
    stranger = a_caller("finance", entities=[US01])
    key = {"legal_entity_id": str(DE01), "customer_id": str(CUSTOMER)}

    with acting_as(stranger):
        assert not (await servicer.ListErpPolicies(pb.ListErpPoliciesRequest(), None)).policies
        with pytest.raises(PermissionDenied):
            await servicer.GetErpAccount(pb.GetErpAccountRequest(**key), None)
        with pytest.raises(PermissionDenied):
            await servicer.PutErpAccount(
                pb.PutErpAccountRequest(request_id="x", account="C-1", **key), None
            )


async def test_many_are_answered_by_one_query(
    servicer: ErpAccountServicer, statements: Statements
) -> None:
    await want(servicer, required=True)
    statements.clear()

    found = await states(servicer, *((UUID(int=number), DE01) for number in range(1, 501)))

    assert found == ["missing"] * 500
    assert len(statements) == 1
