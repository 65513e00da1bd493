"""Credit: limits, overrides by two people, and what invoice-payment says customers owe."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from customer_contract_world import World, a_request_id, eur
from sqlalchemy import text

from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import credit_service_pb2 as pb
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline.customer_contract.v1.credit_service_pb2_grpc import CreditServiceStub
from throughline.invoice_payment.v1 import receivable_service_pb2 as receivable_pb
from throughline.invoice_payment.v1.receivable_service_pb2_grpc import (
    ReceivableServiceServicer,
    add_ReceivableServiceServicer_to_server,
)
from throughline_core.errors import Refusal, Unavailable
from throughline_runtime.identity import Caller, current_caller
from throughline_testing.serving import a_caller, faked, serving
from throughline_testing.statements import Statements

if TYPE_CHECKING:  # The class exists in the stubs only.
    from throughline.customer_contract.v1.credit_service_pb2_grpc import CreditServiceAsyncStub


@dataclass
class Ledger:
    """What invoice-payment says, and who asked."""

    owed: dict[str, tuple[str, str]] = field(default_factory=dict)
    is_silent: bool = False
    callers: list[Caller] = field(default_factory=list)

    async def tell(
        self, request: receivable_pb.GetExposureRequest
    ) -> receivable_pb.GetExposureResponse:
        self.callers.append(current_caller())
        if self.is_silent:
            raise Unavailable("the database is being moved")
        response = receivable_pb.GetExposureResponse()
        response.as_of.GetCurrentTime()
        for customer_id in request.customer_ids:
            exposures = []
            if customer_id in self.owed:
                open_invoices, unbilled = self.owed[customer_id]
                exposures.append(
                    receivable_pb.Exposure(open_invoices=eur(open_invoices), unbilled=eur(unbilled))
                )
            response.customers.add(customer_id=customer_id, exposures=exposures)
        return response


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def peers(ledger: Ledger) -> AsyncIterator[dict[str, str]]:
    servicer = faked(ReceivableServiceServicer, GetExposure=ledger.tell)
    async with serving([(add_ReceivableServiceServicer_to_server, servicer)]) as target:
        yield {"invoice-payment": target}


def credit(
    world: World, subject: str = "fritz", *roles: str, **caller: Any
) -> "CreditServiceAsyncStub":
    return world.running.stub(
        CreditServiceStub, caller=a_caller(*(roles or ("finance",)), subject=subject, **caller)
    )


async def limit(world: World, amount: str | None = "1000.00") -> None:
    await credit(world).SetCreditLimit(
        pb.SetCreditLimitRequest(
            request_id=a_request_id(),
            customer_id=world.customer.customer_id,
            credit_limit=None if amount is None else eur(amount),
            reason="rating of 2026",
        )
    )


async def standing(world: World) -> pb.GetCreditStatusResponse:
    request = pb.GetCreditStatusRequest(customer_id=world.customer.customer_id)
    response: pb.GetCreditStatusResponse = await credit(world).GetCreditStatus(request)
    return response


async def propose(world: World, **changes: Any) -> pb.CreditOverride:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "customer_id": world.customer.customer_id,
        "amount": eur("500.00"),
        "expires_on": "2999-01-01",
        "reason": "a payment is on its way",
    }
    reply = await credit(world, "sonja", "sales_operations").ProposeCreditOverride(
        pb.ProposeCreditOverrideRequest(**values | changes)
    )
    return reply.override


async def approve(
    world: World, override: pb.CreditOverride, by: str = "fritz"
) -> pb.CreditOverride:
    reply = await credit(world, by).ApproveCreditOverride(
        pb.ApproveCreditOverrideRequest(
            request_id=a_request_id(), credit_override_id=override.credit_override_id
        )
    )
    return reply.override


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def failing(world: World, contract_id: str) -> set[tuple[str, str]]:
    """Return what a draft fails besides not being active."""
    reply = await world.contracts().CheckReadiness(
        contract_pb.CheckReadinessRequest(contract_id=contract_id)
    )
    found = {(check.code, check.owner) for check in reply.checks if not check.passed}
    return found - {("contract.not_active", "sales_operations")}


async def test_a_limit_is_set_lifted_and_every_move_is_kept_with_its_reason(world: World) -> None:
    await limit(world)
    await limit(world)
    await limit(world, None)

    async with world.engine.connect() as connection:
        moves = (
            await connection.execute(
                text("SELECT credit_limit, moved_by FROM credit_limit_move ORDER BY version")
            )
        ).all()
    assert [(None if one[0] is None else str(one[0]), one[1]) for one in moves] == [
        ("1000.0000", "fritz"),
        (None, "fritz"),
    ]
    assert (await world.events()).count("customer.recorded.v1") == 3
    assert await refusal_of(limit(world, "0.00")) == "credit.limit_not_positive"


async def test_the_status_says_what_is_left_and_who_let_it_be_exceeded(
    world: World, ledger: Ledger
) -> None:
    ledger.owed[world.customer.customer_id] = ("900.00", "250.00")
    assert not (await standing(world)).exceeded
    await limit(world)

    status = await standing(world)
    [position] = status.positions
    assert (position.available.amount, status.exceeded) == ("-150.00", True)
    override = await propose(world)
    assert (await standing(world)).exceeded
    approved = await approve(world, override)
    status = await standing(world)
    [position] = status.positions
    assert (position.allowed.amount, position.available.amount) == ("1500.00", "350.00")
    assert not status.exceeded
    assert [one.credit_override_id for one in status.overrides] == [approved.credit_override_id]
    await credit(world).RevokeCreditOverride(
        pb.RevokeCreditOverrideRequest(
            request_id=a_request_id(),
            credit_override_id=override.credit_override_id,
            reason="it bounced",
        )
    )
    assert (await standing(world)).exceeded


async def test_an_override_needs_a_second_person_and_is_decided_once(world: World) -> None:
    override = await propose(world)

    assert await refusal_of(approve(world, override, by="sonja")) == "credit.override_own"
    assert (await approve(world, override)).decided_by == "fritz"
    assert await refusal_of(approve(world, override)) == "credit.override_settled"
    assert await refusal_of(propose(world, expires_on="2020-01-01")) == "credit.override_over"
    assert await refusal_of(propose(world, amount=eur("-1.00"))) == "credit.limit_not_positive"
    unknown = pb.CreditOverride(credit_override_id=str(UUID(int=9)))
    assert await refusal_of(approve(world, unknown)) == "credit.override_not_found"
    by_sales = credit(world, "sonja", "sales_operations").ApproveCreditOverride(
        pb.ApproveCreditOverrideRequest(
            request_id=a_request_id(), credit_override_id=override.credit_override_id
        )
    )
    assert await refusal_of(by_sales) == "caller.role_missing"


async def test_overrides_are_listed_by_customer_and_status(world: World) -> None:
    first, second = await propose(world), await propose(world)
    await approve(world, second)

    async def listed(**filters: Any) -> list[str]:
        reply = await credit(world).ListCreditOverrides(pb.ListCreditOverridesRequest(**filters))
        return [one.credit_override_id for one in reply.overrides]

    assert await listed() == [first.credit_override_id, second.credit_override_id]
    assert await listed(status=pb.CREDIT_OVERRIDE_STATUS_PROPOSED) == [first.credit_override_id]
    assert await listed(customer_id=str(UUID(int=9))) == []


async def test_readiness_holds_the_limit_against_what_the_whole_firm_is_owed(
    world: World, ledger: Ledger
) -> None:
    draft = await world.a_draft()
    await failing(world, draft.contract_id)
    assert ledger.callers == []

    await limit(world)
    assert await failing(world, draft.contract_id) == set()
    ledger.owed[world.customer.customer_id] = ("1000.01", "0.00")
    assert await failing(world, draft.contract_id) == {
        ("customer.credit_limit_exceeded", "finance")
    }
    # Asked as the service: who is limited to one company still needs what all of them are owed.
    assert all(caller.is_service and caller.entities is None for caller in ledger.callers)


async def test_a_silent_invoice_payment_is_a_failed_check_and_is_asked_again(
    world: World, ledger: Ledger
) -> None:
    draft = await world.a_draft()
    await limit(world)
    ledger.is_silent = True

    assert await failing(world, draft.contract_id) == {("customer.exposure_unknown", "integration")}
    status = await standing(world)
    assert (status.exposure_known, status.HasField("as_of")) == (False, False)
    ledger.is_silent = False
    assert await failing(world, draft.contract_id) == set()
    assert (await standing(world)).exposure_known


async def test_many_contracts_are_judged_with_one_question_and_as_many_statements_as_one(
    world: World, ledger: Ledger, statements: Statements
) -> None:
    await limit(world)
    ids = [(await world.a_draft(f"quote-{number}")).contract_id for number in range(5)]
    service = world.running.stub(ContractServiceStub, caller=Caller.service("project-provisioning"))

    async def judged(*contract_ids: str) -> list[contract_pb.CheckReadinessResponse]:
        request = contract_pb.CheckReadinessBatchRequest(contract_ids=contract_ids)
        return list((await service.CheckReadinessBatch(request)).contracts)

    await judged(ids[0])
    statements.clear()
    await judged(ids[0])
    for_one = len(statements)
    statements.clear()
    ledger.callers.clear()
    replies = await judged(*ids, str(UUID(int=9)))

    assert len(statements) == for_one
    assert len(ledger.callers) == 1
    assert [reply.contract_id for reply in replies] == [*ids, str(UUID(int=9))]
    assert [check.code for check in replies[-1].checks] == ["contract.not_found"]
    assert not replies[-1].ready


async def test_a_customer_that_is_not_there_has_no_credit(world: World) -> None:
    request = pb.GetCreditStatusRequest(customer_id=str(UUID(int=9)))
    assert await refusal_of(credit(world).GetCreditStatus(request)) == "customer.not_found"
