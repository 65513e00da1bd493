"""Change orders over gRPC, on the real database: from the draft to the next terms."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from customer_contract_world import World, a_request_id, customer_request, eur, ids_of
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from customer_contract import schedules
from throughline.customer_contract.v1 import change_order_service_pb2 as pb
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import legal_entity_service_pb2 as entity_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline_core.errors import Aborted, NotFound, PermissionDenied, Refusal
from throughline_runtime import exceptions
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.identity import Caller, acting_as

UNKNOWN = "01980000-0000-7000-8000-00000000dead"
Clock = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def october(move_clock: Clock) -> None:
    move_clock(datetime(2026, 10, 15, 12, tzinfo=UTC))


def rates_of(contract: contract_pb2.Contract, senior: str) -> pb.LineRates:
    """Return the agreed rates with another one for seniors."""
    rates = pb.LineRates(rates=_time(contract).rates)
    rates.rates[0].hourly_rate.amount = senior
    return rates


def seniors_cost(contract: contract_pb2.Contract, senior: str) -> list[pb.AlteredLine]:
    line_id = contract.lines[1].contract_line_id
    return [pb.AlteredLine(contract_line_id=line_id, rates=rates_of(contract, senior))]


def _time(contract: contract_pb2.Contract) -> quote_pb2.ServiceLine:
    return contract.lines[1].terms


def decision(kind: type[Any], change_order: pb.ChangeOrder, **values: Any) -> Any:
    return kind(request_id=a_request_id(), change_order_id=change_order.change_order_id, **values)


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def approved(
    world: World, contract: contract_pb2.Contract, effective_on: str, **content: Any
) -> pb.ChangeOrder:
    proposal = await world.a_proposal(contract, effective_on, **content)
    reply = await world.change_orders(subject="ines").ApproveChangeOrder(
        world.approval_of(proposal)
    )
    return reply.change_order


async def by_the_clock(context: Context, job: Callable[[Context], Any]) -> None:
    with acting_as(Caller.service("customer-contract")):
        await job(context)


async def test_a_change_order_moves_the_bill_to_and_earlier_terms_keep_theirs(world: World) -> None:
    active = await world.an_active()
    holding = await world.customers().CreateCustomer(customer_request(name="Holding", tax_id=None))
    moved = holding.customer.customer_id

    applied = await approved(world, active, "2026-10-01", bill_to_customer_id=moved)

    assert applied.content.bill_to_customer_id == moved
    amended = await world.contract(active.contract_id)
    assert (amended.bill_to_customer_id, amended.customer_id) == (moved, active.customer_id)
    first = await world.contract(active.contract_id, contract_version=1)
    assert first.bill_to_customer_id == active.bill_to_customer_id
    nobody = world.change_request(
        active, "2026-11-01", bill_to_customer_id="01980000-0000-7000-8000-00000000ffff"
    )
    with pytest.raises(NotFound) as refused:
        await world.change_orders(subject="olga").CreateChangeOrder(nobody)
    assert refused.value.field == "content.bill_to_customer_id"


async def test_a_change_order_adds_alters_and_ends_lines_and_moves_the_profile(
    world: World,
) -> None:
    active = await world.an_active()
    payer = await world.customers().CreateCustomer(customer_request(name="Payer", tax_id=None))
    orders = world.change_orders(subject="olga")
    draft = (
        await orders.CreateChangeOrder(
            world.change_request(
                active,
                "2026-10-01",
                added_lines=[
                    pb.AddedLine(
                        key="phase_2",
                        terms=quote_pb.QuoteLineTerms(
                            service_code="DISCOVERY-FF", quantity="1", unit_price=eur("8000.00")
                        ),
                    )
                ],
                altered_lines=seniors_cost(active, "190.00"),
                ended_lines=[pb.EndedLine(contract_line_id=active.lines[3].contract_line_id)],
                limit=pb.LimitMove(not_to_exceed=eur("150000.00")),
                payers=pb.Payers(
                    payers=[
                        contract_pb2.PayerShare(
                            customer_id=active.customer_id, share_percent="60", rounding_payer=True
                        ),
                        contract_pb2.PayerShare(
                            customer_id=payer.customer.customer_id, share_percent="40"
                        ),
                    ]
                ),
                holdback=pb.HoldbackChange(holdback=contract_pb2.Holdback(percent="5")),
                end_on="2027-12-01",
            )
        )
    ).change_order
    assert (draft.number, draft.status) == ("CO-000001", pb.CHANGE_ORDER_STATUS_DRAFT)
    [added] = draft.content.added_lines
    assert [one.amount.amount for one in added.line.milestones] == ["3200.00", "4800.00"]

    compared = await orders.CompareChangeOrder(
        pb.CompareChangeOrderRequest(change_order_id=draft.change_order_id)
    )
    assert compared.contract_version == 1
    assert (compared.totals[0].before.amount, compared.totals[0].after.amount) == (
        "116400.00",
        "124400.00",
    )
    await orders.ProposeChangeOrder(decision(pb.ProposeChangeOrderRequest, draft))
    approval = world.approval_of(draft)
    applied = (await world.change_orders(subject="ines").ApproveChangeOrder(approval)).change_order

    assert applied.status == pb.CHANGE_ORDER_STATUS_APPLIED
    assert list(applied.contract_versions) == [2]
    amended = await world.contract(active.contract_id)
    assert (amended.contract_version, amended.terms_effective_on) == (2, "2026-10-01")
    assert amended.change_order_id == draft.change_order_id
    assert _time(amended).rates[0].hourly_rate.amount == "190.00"
    assert amended.lines[3].ended_on == "2026-10-01"
    assert amended.lines[4].contract_line_id == added.contract_line_id
    assert amended.lines[4].added_by_change_order_id == draft.change_order_id
    assert (amended.lines[4].terms.position, amended.lines[4].terms.start_on) == (5, "2026-10-01")
    assert (amended.not_to_exceed.amount, amended.end_on) == ("150000.00", "2027-12-01")
    assert [one.share_percent for one in amended.payers] == ["60", "40"]
    assert amended.holdback.percent == "5"
    assert await world.contract(active.contract_id, contract_version=1) == _at_version(
        amended, active
    )
    assert (await world.events())[-2:] == ["change_order.approved.v1", "contract.amended.v1"]
    after = await orders.CompareChangeOrder(
        pb.CompareChangeOrderRequest(change_order_id=draft.change_order_id)
    )
    assert after == compared


def _at_version(
    amended: contract_pb2.Contract, former: contract_pb2.Contract
) -> contract_pb2.Contract:
    """Return the earlier terms beside where the contract stands now."""
    expected = contract_pb2.Contract()
    expected.CopyFrom(former)
    expected.version = amended.version
    return expected


async def test_a_retroactive_change_leaves_what_was_agreed_for_later_days(
    world: World, move_clock: Clock
) -> None:
    active = await world.an_active()
    await approved(world, active, "2026-10-10", altered_lines=seniors_cost(active, "190.00"))
    known_at = Timestamp()
    known_at.FromDatetime(datetime(2026, 10, 20, tzinfo=UTC))
    move_clock(datetime(2026, 11, 2, 12, tzinfo=UTC))
    limit = pb.LimitMove(not_to_exceed=eur("99000.00"))
    second = await approved(world, active, "2026-09-15", limit=limit)

    assert list(second.contract_versions) == [3, 4]
    assert (await world.events())[-3:] == [
        "change_order.approved.v1",
        "contract.amended.v1",
        "contract.amended.v1",
    ]

    async def told(day: str, **point: Any) -> tuple[str, str]:
        contract = await world.contract(active.contract_id, as_of=day, **point)
        return _time(contract).rates[0].hourly_rate.amount, contract.not_to_exceed.amount

    assert await told("2026-09-14") == ("180.00", "")
    assert await told("2026-09-15") == ("180.00", "99000.00")
    assert await told("2026-10-10") == ("190.00", "99000.00")
    assert await told("2026-09-15", known_at=known_at) == ("180.00", "")
    assert await told("2026-10-10", known_at=known_at) == ("190.00", "")
    versions = await world.contracts().ListContractVersions(
        contract_pb.ListContractVersionsRequest(contract_id=active.contract_id)
    )
    assert [(one.effective_on, one.change_order_id != "") for one in versions.versions] == [
        ("2026-08-24", False),
        ("2026-10-10", True),
        ("2026-09-15", True),
        ("2026-10-10", True),
    ]


async def test_a_change_for_a_later_day_is_applied_by_itself_on_that_day(
    world: World, move_clock: Clock, context: Context
) -> None:
    active = await world.an_active()
    waiting = await approved(
        world, active, "2026-11-01", altered_lines=seniors_cost(active, "190.00")
    )
    assert waiting.status == pb.CHANGE_ORDER_STATUS_APPROVED
    orders = world.change_orders()
    apply = orders.ApplyChangeOrder(decision(pb.ApplyChangeOrderRequest, waiting))
    assert await refusal_of(apply) == "change_order.not_due"
    await by_the_clock(context, schedules.apply_due)
    assert (await world.contract(active.contract_id)).contract_version == 1

    # 31 October, eleven in the evening in UTC: November has begun in Berlin.
    move_clock(datetime(2026, 10, 31, 23, 5, tzinfo=UTC))
    await by_the_clock(context, schedules.apply_due)
    await by_the_clock(context, schedules.apply_due)

    amended = await world.contract(active.contract_id)
    assert (amended.contract_version, amended.terms_effective_on) == (2, "2026-11-01")
    assert (await world.events()).count("contract.amended.v1") == 1
    assert (await world.audited(waiting.change_order_id))[-1] == "ApplyChangeOrder"


async def test_a_change_overtaken_by_another_waits_for_a_new_approval(
    world: World, move_clock: Clock, context: Context
) -> None:
    active = await world.an_active()
    later = await approved(
        world, active, "2026-11-01", altered_lines=seniors_cost(active, "200.00")
    )
    await approved(world, active, "2026-10-10", altered_lines=seniors_cost(active, "190.00"))
    move_clock(datetime(2026, 11, 2, 12, tzinfo=UTC))
    await by_the_clock(context, schedules.apply_due)

    async with read(world.engine) as tx:
        [item] = await exceptions.page(tx, after=None, size=5, kind="change_order")
    assert (item.halt.reason, item.halt.owner) == ("change_order.stale", "sales_operations")
    compared = await world.change_orders().CompareChangeOrder(
        pb.CompareChangeOrderRequest(change_order_id=later.change_order_id)
    )
    assert [(one.old_value, one.new_value) for one in compared.changes] == [("190.00", "200.00")]
    assert compared.conflicts
    olga, ines = world.change_orders(subject="olga"), world.change_orders(subject="ines")
    await olga.ProposeChangeOrder(decision(pb.ProposeChangeOrderRequest, later))
    reply = await ines.ApproveChangeOrder(world.approval_of(later))
    assert reply.change_order.status == pb.CHANGE_ORDER_STATUS_APPLIED
    async with read(world.engine) as tx:
        assert await exceptions.page(tx, after=None, size=5, kind="change_order") == []


async def test_a_closed_period_takes_no_change(world: World) -> None:
    active = await world.an_active()
    proposal = await world.a_proposal(
        active, "2026-09-15", altered_lines=seniors_cost(active, "190.00")
    )
    await world.entities().ClosePeriod(
        entity_pb.ClosePeriodRequest(
            request_id=a_request_id(),
            legal_entity_id=world.entity.legal_entity_id,
            closed_through="2026-09-30",
            reason="September is closed",
        )
    )
    approve = world.change_orders(subject="ines").ApproveChangeOrder(world.approval_of(proposal))
    assert await refusal_of(approve) == "change_order.period_closed"


async def test_a_period_that_is_being_closed_is_waited_for(world: World) -> None:
    active = await world.an_active()
    proposal = await world.a_proposal(
        active, "2026-09-15", altered_lines=seniors_cost(active, "190.00")
    )
    approving = world.change_orders(subject="ines").ApproveChangeOrder(world.approval_of(proposal))
    async with world.engine.begin() as closing:
        await closing.execute(
            text("UPDATE legal_entity SET closed_through = '2026-09-30', version = version + 1")
        )
        refused = asyncio.create_task(refusal_of(approving))
        await asyncio.sleep(0.3)
        assert not refused.done()

    assert await refused == "change_order.period_closed"
    assert (await world.contract(active.contract_id)).contract_version == 1


async def test_two_people_and_the_customer_agree_on_a_change(world: World) -> None:
    active = await world.an_active()
    orders = world.change_orders(subject="olga")
    proposal = await world.a_proposal(
        active, "2026-10-01", altered_lines=seniors_cost(active, "190.00")
    )

    own = orders.ApproveChangeOrder(world.approval_of(proposal))
    assert await refusal_of(own) == "change_order.approved_by_proposer"
    ahead = world.change_orders(subject="ines").ApproveChangeOrder(
        world.approval_of(proposal, signed_on="2026-10-16")
    )
    assert await refusal_of(ahead) == "contract.date_in_future"
    update = orders.UpdateChangeOrder(
        decision(
            pb.UpdateChangeOrderRequest,
            proposal,
            reason="other",
            effective_on="2026-10-02",
            content=proposal.content,
        )
    )
    assert await refusal_of(update) == "change_order.not_draft"
    rejected = await world.change_orders(subject="ines").RejectChangeOrder(
        decision(pb.RejectChangeOrderRequest, proposal, reason="too dear")
    )
    assert rejected.change_order.closing_reason == "too dear"
    withdraw = orders.WithdrawChangeOrder(
        decision(pb.WithdrawChangeOrderRequest, proposal, reason="x")
    )
    assert await refusal_of(withdraw) == "request.illegal_transition"


async def test_a_draft_is_rewritten_until_it_is_proposed(world: World) -> None:
    active = await world.an_active()
    orders = world.change_orders(subject="olga")
    draft = (
        await orders.CreateChangeOrder(
            world.change_request(
                active, "2026-10-01", limit=pb.LimitMove(not_to_exceed=eur("1.00"))
            )
        )
    ).change_order
    content = pb.ChangeOrderContent(altered_lines=seniors_cost(active, "185.00"))
    edit = {"reason": "other", "effective_on": "2026-10-05", "content": content}
    stale = decision(pb.UpdateChangeOrderRequest, draft, version=7, **edit)
    assert await refusal_of(orders.UpdateChangeOrder(stale)) == "request.stale_version"

    reply = await orders.UpdateChangeOrder(decision(pb.UpdateChangeOrderRequest, draft, **edit))

    assert (reply.change_order.version, reply.change_order.effective_on) == (2, "2026-10-05")
    assert reply.change_order.content == content
    stored = await orders.GetChangeOrder(
        pb.GetChangeOrderRequest(change_order_id=draft.change_order_id)
    )
    assert stored.change_order == reply.change_order


@pytest.mark.parametrize(
    ("effective_on", "content", "code"),
    [
        ("2026-10-01", {}, "change_order.empty"),
        (
            "2026-08-31",
            {"limit": pb.LimitMove(not_to_exceed=eur("1.00"))},
            "change_order.outside_term",
        ),
        (
            "2026-10-01",
            {"limit": pb.LimitMove(not_to_exceed=eur("0.00"))},
            "contract.limit_not_positive",
        ),
        (
            "2026-10-01",
            {"altered_lines": [pb.AlteredLine(contract_line_id=UNKNOWN, quantity="1")]},
            "contract.line_not_found",
        ),
        (
            "2026-10-01",
            {
                "payers": pb.Payers(
                    payers=[
                        contract_pb2.PayerShare(
                            customer_id=UNKNOWN, share_percent="100", rounding_payer=True
                        )
                    ]
                )
            },
            "customer.not_found",
        ),
        (
            "2026-10-01",
            {
                "added_lines": [
                    pb.AddedLine(
                        key="a",
                        terms=quote_pb.QuoteLineTerms(
                            service_code="ADVISORY-TM",
                            quantity="1",
                            unit_price=eur("1.00"),
                            delivering_legal_entity_id=UNKNOWN,
                        ),
                    )
                ]
            },
            "legal_entity.not_found",
        ),
    ],
)
async def test_a_change_that_does_not_fit_is_not_drafted(
    world: World, effective_on: str, content: dict[str, Any], code: str
) -> None:
    active = await world.an_active()
    create = world.change_orders().CreateChangeOrder(
        world.change_request(active, effective_on, **content)
    )
    assert await refusal_of(create) == code
    assert await world.count("change_order") == 0


async def test_drafts_are_edited_and_ended_contracts_stay(world: World) -> None:
    draft = await world.a_draft()
    request = world.change_request(draft, "2026-10-01", limit=pb.LimitMove())
    create = world.change_orders().CreateChangeOrder(request)
    assert await refusal_of(create) == "change_order.contract_not_open"


async def test_an_open_change_order_keeps_a_contract_from_being_completed(world: World) -> None:
    active = await world.an_active()
    proposal = await world.a_proposal(
        active, "2026-10-01", altered_lines=seniors_cost(active, "190.00")
    )
    request = contract_pb.CompleteContractRequest(
        request_id=a_request_id(), contract_id=active.contract_id, complete_on="2026-10-15"
    )
    complete = world.contracts().CompleteContract(request)
    assert await refusal_of(complete) == "contract.change_orders_open"

    await world.change_orders().WithdrawChangeOrder(
        decision(pb.WithdrawChangeOrderRequest, proposal, reason="not wanted")
    )
    done = (await world.contracts().CompleteContract(request)).contract
    assert (done.status, done.completed_on) == (
        contract_pb2.CONTRACT_STATUS_COMPLETED,
        "2026-10-15",
    )
    assert (await world.events())[-1] == "contract.completed.v1"


async def test_of_two_approvals_at_once_one_amends(world: World) -> None:
    active = await world.an_active()
    proposals = [
        await world.a_proposal(
            active, "2026-10-01", altered_lines=seniors_cost(active, f"{rate}.00")
        )
        for rate in (190, 195)
    ]
    outcomes = await asyncio.gather(
        *(
            world.change_orders(subject="ines").ApproveChangeOrder(world.approval_of(one))
            for one in proposals
        ),
        return_exceptions=True,
    )
    lost = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, Aborted) for one in lost)
    latest = await world.contract(active.contract_id)
    assert latest.contract_version == 1 + len(outcomes) - len(lost)


async def test_an_approval_sent_again_amends_once(world: World) -> None:
    active = await world.an_active()
    proposal = await world.a_proposal(
        active, "2026-10-01", altered_lines=seniors_cost(active, "190.00")
    )
    request = world.approval_of(proposal)
    first, again = [
        await world.change_orders(subject="ines").ApproveChangeOrder(request) for _ in range(2)
    ]
    assert first == again
    assert (await world.events()).count("contract.amended.v1") == 1


async def test_change_orders_are_listed_and_out_of_other_companies_reach(world: World) -> None:
    active = await world.an_active()
    first, second = [
        await world.a_proposal(active, "2026-10-01", limit=pb.LimitMove(not_to_exceed=eur(amount)))
        for amount in ("1.00", "2.00")
    ]
    await world.change_orders().WithdrawChangeOrder(
        decision(pb.WithdrawChangeOrderRequest, second, reason="x")
    )

    async def listed(**filters: Any) -> list[str]:
        reply = await world.change_orders().ListChangeOrders(pb.ListChangeOrdersRequest(**filters))
        return [one.number for one in reply.change_orders]

    assert await listed(contract_id=active.contract_id) == ["CO-000001", "CO-000002"]
    assert await listed(status=pb.CHANGE_ORDER_STATUS_WITHDRAWN) == ["CO-000002"]
    assert await listed(number="CO-000001", page_size=1) == ["CO-000001"]
    assert await listed(contract_id=UNKNOWN) == []
    stranger = world.change_orders(entities=ids_of(UNKNOWN))
    assert not (await stranger.ListChangeOrders(pb.ListChangeOrdersRequest())).change_orders
    for call in (
        stranger.GetChangeOrder(pb.GetChangeOrderRequest(change_order_id=first.change_order_id)),
        stranger.CompareChangeOrder(
            pb.CompareChangeOrderRequest(change_order_id=first.change_order_id)
        ),
    ):
        assert await refusal_of(call) == "change_order.not_found"
    with pytest.raises(PermissionDenied):
        await stranger.WithdrawChangeOrder(
            decision(pb.WithdrawChangeOrderRequest, first, reason="x")
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_order SET content = '{}'",
        "UPDATE change_order SET effective_on = '2026-09-01'",
        "DELETE FROM change_order",
        "UPDATE contract_terms SET end_on = '2030-01-01'",
    ],
)
async def test_the_database_itself_keeps_what_was_agreed(world: World, statement: str) -> None:
    active = await world.an_active()
    await approved(world, active, "2026-11-01", altered_lines=seniors_cost(active, "190.00"))
    async with world.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"is approved|are signed|permission denied"):
            await connection.execute(text(statement))


async def test_a_signature_activates_the_contract_when_its_term_begins(
    world: World, move_clock: Clock, context: Context
) -> None:
    move_clock(datetime(2026, 8, 25, 12, tzinfo=UTC))
    draft = await world.a_draft()
    request = world.signature_of(draft.contract_id)
    request.activate = True
    signed = (await world.contracts().SignContract(request)).contract
    assert signed.activate_when_due
    assert signed.status == contract_pb2.CONTRACT_STATUS_SIGNED
    await by_the_clock(context, schedules.activate_due)
    assert await world.contract(draft.contract_id) == signed

    move_clock(datetime(2026, 8, 31, 22, 5, tzinfo=UTC))
    await by_the_clock(context, schedules.activate_due)
    await by_the_clock(context, schedules.activate_due)

    active = await world.contract(draft.contract_id)
    assert (active.status, active.activated_on) == (
        contract_pb2.CONTRACT_STATUS_ACTIVE,
        "2026-09-01",
    )
    assert not active.activate_when_due
    assert (await world.events()).count("contract.activated.v1") == 1


async def test_a_late_signature_activates_at_once(world: World) -> None:
    draft = await world.a_draft()
    request = world.signature_of(draft.contract_id)
    request.activate, request.signed_on = True, "2026-10-12"

    active = (await world.contracts().SignContract(request)).contract

    assert (active.activated_on, active.terms_effective_on) == ("2026-10-12", "2026-09-01")
    assert (await world.events())[-2:] == ["contract.signed.v1", "contract.activated.v1"]
