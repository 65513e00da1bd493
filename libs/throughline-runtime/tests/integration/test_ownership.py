"""A caller that speaks for an outside system is held to the rules before its call is handled."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.common.v1 import address_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as pb
from throughline.customer_contract.v1.customer_service_pb2_grpc import (
    CustomerServiceServicer,
    CustomerServiceStub,
    add_CustomerServiceServicer_to_server,
)
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline.operations.v1.operations_service_pb2_grpc import (
    OperationsServiceStub,
    add_OperationsServiceServicer_to_server,
)
from throughline.options.v1 import options_pb2
from throughline_core.errors import PermissionDenied, Refusal
from throughline_core.ids import derived_id
from throughline_runtime import audit, database, ownership
from throughline_runtime.clock import Clock
from throughline_runtime.context import Context
from throughline_runtime.identity import Caller, CallerTokens, EntityForbidden, acting_as
from throughline_runtime.operations import OperationsServicer
from throughline_runtime.ownership import (
    Action,
    Ownership,
    OwnershipNotAllowed,
    Rule,
)
from throughline_runtime.rpc.client import Peers
from throughline_runtime.rpc.server import Mount
from throughline_runtime.schema import ownership_rule
from throughline_testing.serving import Running, a_caller, faked, running_at, serving
from throughline_testing.settings import CALLER_KEY, make_settings

pytestmark = pytest.mark.asyncio

SALES = a_caller("sales_operations", subject="sam")
CRM = a_caller("sales_operations", subject="crm", system="salesforce")
ERP = a_caller("sales_operations", subject="erp", system="netsuite")
ADMIN = a_caller("admin", subject="ada")


@pytest.fixture
async def calls(engine: AsyncEngine) -> AsyncIterator[Running]:
    async def answer(_request: Any) -> pb.CreateCustomerResponse:
        return pb.CreateCustomerResponse()

    rules = Ownership(engine)
    context = Context(
        make_settings("runtime-probe"),
        engine,
        Clock(),
        Peers("runtime-probe", {}, CallerTokens(CALLER_KEY)),
        lambda _name: None,
    )
    customers = faked(CustomerServiceServicer, CreateCustomer=answer)
    mounts: list[Mount] = [
        (add_CustomerServiceServicer_to_server, customers),
        (add_OperationsServiceServicer_to_server, OperationsServicer(context, None, (), rules)),
    ]
    async with serving(mounts, rules) as target, running_at(target) as running:
        yield running


async def create(calls: Running, caller: Caller) -> None:
    request = pb.CreateCustomerRequest(
        request_id="r",
        name="Nordwind",
        payment_terms_days=30,
        currency="EUR",
        billing_email="ap@nordwind.example",
        address=address_pb2.PostalAddress(lines=["Kai 1"], city="Kiel", country="DE"),
    )
    await calls.stub(CustomerServiceStub, caller=caller).CreateCustomer(request)


async def put(
    calls: Running, *, request_id: str, caller: Caller = ADMIN, **rule: Any
) -> operations_pb.OwnershipRule:
    values: dict[str, Any] = {
        "object": "customer",
        "action": options_pb2.ACTION_CREATE,
        "system": "netsuite",
        "allowed": True,
        "reason": "the acquired unit keeps its customers there",
    }
    request = operations_pb.PutOwnershipRuleRequest(request_id=request_id, **values | rule)
    reply = await calls.stub(OperationsServiceStub, caller=caller).PutOwnershipRule(request)
    answered: operations_pb.OwnershipRule = reply.rule
    return answered


async def test_the_owning_system_and_people_may_and_another_system_is_told_whose_it_is(
    calls: Running,
) -> None:
    await create(calls, SALES)
    await create(calls, CRM)
    with pytest.raises(PermissionDenied, match="netsuite may not create customer: salesf") as told:
        await create(calls, ERP)

    assert told.value.stable_code == "ownership.not_allowed"
    assert "change it in salesforce" in (told.value.advice or "")


async def test_a_service_that_acts_for_a_system_is_held_to_its_rules(calls: Running) -> None:
    await create(calls, Caller.service("connectors"))
    await create(calls, Caller.service("connectors", system="salesforce"))
    with pytest.raises(PermissionDenied, match="hubspot may not create customer"):
        await create(calls, Caller.service("connectors", system="hubspot"))


async def test_a_rule_holds_from_the_next_call_and_the_one_before_is_kept(
    calls: Running, engine: AsyncEngine
) -> None:
    first = await put(calls, request_id="1")
    await create(calls, ERP)
    second = await put(calls, request_id="2", allowed=False, reason="migrated to Salesforce")
    with pytest.raises(PermissionDenied, match="netsuite may not create"):
        await create(calls, ERP)

    assert (first.version, second.version, second.put_by) == (1, 2, "ada")
    rule_id = derived_id("ownership_rule", "customer/create/netsuite")
    async with database.read(engine) as tx:
        entries = await audit.page(tx, before=None, size=5, aggregate_id=rule_id)
    assert [entry.caller for entry in entries] == ["ada", "ada"]


async def test_rules_are_listed_in_pages_as_they_are_in_force(calls: Running) -> None:
    await put(calls, request_id="1")
    await put(calls, request_id="2", allowed=False)
    stub = calls.stub(OperationsServiceStub, caller=a_caller("auditor"))

    listed, token = [], ""
    while True:
        page = await stub.ListOwnershipRules(
            operations_pb.ListOwnershipRulesRequest(page_size=2, page_token=token)
        )
        listed += [(rule.object, rule.system, rule.allowed) for rule in page.rules]
        token = page.next_page_token
        if not token:
            break

    assert listed == [
        ("*", "*", False),
        ("customer", "netsuite", False),
        ("customer", "salesforce", True),
        ("customer", "salesforce", True),
    ]


@pytest.mark.parametrize(
    ("caller", "rule", "code"),
    [
        (ADMIN, {"object": "custmer"}, "ownership.object_unknown"),
        (ADMIN, {"system": "Net Suite"}, "request.invalid_field"),
        (a_caller("admin", system="netsuite"), {}, "ownership.people_only"),
        (a_caller("sales_operations"), {}, "caller.role_missing"),
        (a_caller("admin", entities=[UUID(int=1)]), {}, EntityForbidden.code),
    ],
)
async def test_a_rule_that_could_not_hold_or_is_not_theirs_to_put_is_refused(
    calls: Running, caller: Caller, rule: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as told:
        await put(calls, request_id="1", caller=caller, **rule)

    assert told.value.stable_code == code


async def test_two_who_put_the_same_rule_at_once_make_two_versions(engine: AsyncEngine) -> None:
    rule = Rule("customer", "update", "hubspot", allowed=True)

    async def put_one() -> int:
        async with database.write(engine) as tx:
            return (await ownership.put(tx, rule, reason="both")).version

    with acting_as(ADMIN):
        versions = await asyncio.gather(*(put_one() for _ in range(5)))

    assert sorted(versions) == [1, 2, 3, 4, 5]


async def test_a_command_may_ask_for_more_than_its_method_declares(engine: AsyncEngine) -> None:
    async with database.read(engine) as tx:
        with acting_as(SALES):
            await ownership.require(tx, "customer", Action.APPROVE)
        with acting_as(CRM):
            await ownership.require(tx, "customer", Action.UPDATE)
            with pytest.raises(OwnershipNotAllowed, match="no outside system may, only people"):
                await ownership.require(tx, "customer", Action.APPROVE)


async def test_the_history_of_rules_cannot_be_rewritten(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.write(engine) as tx:
            await tx.execute(ownership_rule.update().values(allowed=True))
