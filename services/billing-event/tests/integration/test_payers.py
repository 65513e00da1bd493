"""Several customers share the bill of one contract: each is billed, held and freed by itself."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from billing_event_builders import (
    CUSTOMER,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    limit_changed,
    recorded,
)
from billing_event_world import assert_sound, events_out, fetch, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import billing_event_service_pb2 as event_pb
from throughline.billing_event.v1 import limit_service_pb2 as limit_pb
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceStub
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2
from throughline.project_provisioning.v1 import work_pb2
from throughline_core.errors import FailedPrecondition
from throughline_testing.serving import Running, a_caller

SECOND, THIRD = an_id("c2"), an_id("c3")


def payer(customer: Any, share: str, *, amount: str = "", **different: Any) -> Any:
    found = contract_pb2.PayerShare(customer_id=str(customer), share_percent=share, **different)
    if amount:
        found.amount.amount, found.amount.currency = amount, "EUR"
    return found


SIXTY_FORTY = (payer(CUSTOMER, "60", rounding_payer=True), payer(SECOND, "40"))


def a_shared_contract(
    *payers: contract_pb2.PayerShare, version: int = 1, **different: Any
) -> contract_pb2.Contract:
    contract = a_contract(version=version, **different)
    contract.payers.extend(payers)
    return contract


def known(customer: Any, **different: Any) -> contracts.CustomerRecorded:
    event = recorded(**different)
    event.customer.customer_id = str(customer)
    return event


def everybody() -> list[contracts.CustomerRecorded]:
    return [known(customer) for customer in (CUSTOMER, SECOND, THIRD)]


async def borne(engine: AsyncEngine) -> list[tuple[Any, str, str]]:
    """Return payer, amount and status of all rows, by thing and part."""
    found = await fetch(
        engine,
        """
        SELECT bill_to_customer_id AS payer, amount, status
        FROM billing_event JOIN position USING (billing_event_id, amount)
        ORDER BY source_item_id, part
        """,
    )
    return [(row.payer, f"{row.amount:.2f}", row.status) for row in found]


def a_reversal(of: int, number: int) -> work_pb2.TimeEntry:
    entry = an_approved_entry(number, minutes=-480)
    entry.reverses_time_entry_id = str(an_id(f"15{of:06x}"))
    return entry


async def test_each_payer_gets_its_row_with_its_share(engine: AsyncEngine) -> None:
    await take(engine, *everybody(), activated(a_shared_contract(*SIXTY_FORTY)))
    await take(engine, approved(an_approved_entry(1)))
    assert await borne(engine) == [
        (CUSTOMER, "864.00", "released"),
        (SECOND, "576.00", "released"),
    ]
    [event] = [e for e in await events_out(engine) if isinstance(e, own.BillingEventsReleased)]
    assert [row.share_percent for row in event.billing_events] == ["60", "40"]
    await assert_sound(engine)


async def test_what_is_taken_back_is_taken_back_of_each_payer(engine: AsyncEngine) -> None:
    await take(engine, *everybody(), activated(a_shared_contract(*SIXTY_FORTY)))
    await take(engine, approved(an_approved_entry(1)))
    await take(engine, approved(a_reversal(1, 2), number=2))
    assert (await borne(engine))[2:] == [
        (CUSTOMER, "-864.00", "released"),
        (SECOND, "-576.00", "released"),
    ]
    await assert_sound(engine)


async def test_credit_of_one_payer_holds_and_frees_its_rows_only(engine: AsyncEngine) -> None:
    await take(engine, *everybody(), activated(a_shared_contract(*SIXTY_FORTY)))
    await take(engine, known(SECOND, version=2, credit_hold=True))
    await take(engine, approved(an_approved_entry(1)))
    assert [status for *_, status in await borne(engine)] == ["released", "held"]
    await take(engine, known(CUSTOMER, version=2))
    assert [status for *_, status in await borne(engine)] == ["released", "held"]
    await take(engine, known(SECOND, version=3))
    assert [status for *_, status in await borne(engine)] == ["released", "released"]
    await assert_sound(engine)


async def test_a_payer_not_heard_of_yet_waits_and_the_others_do_not(engine: AsyncEngine) -> None:
    await take(engine, known(CUSTOMER), activated(a_shared_contract(*SIXTY_FORTY)))
    await take(engine, approved(an_approved_entry(1)))
    assert [status for *_, status in await borne(engine)] == ["released", "held"]
    await take(engine, known(SECOND))
    assert [status for *_, status in await borne(engine)] == ["released", "released"]


async def test_rows_that_wait_for_the_checkpoint_are_held_by_their_own_payer(
    engine: AsyncEngine,
) -> None:
    contract = a_shared_contract(*SIXTY_FORTY, rates={"senior_consultant": "2000.00"})
    await take(engine, *everybody(), activated(contract), approved(an_approved_entry(1)))
    assert [status for *_, status in await borne(engine)] == ["eligible", "eligible"]
    await take(engine, known(SECOND, version=2, credit_hold=True))
    assert [status for *_, status in await borne(engine)] == ["eligible", "held"]


async def test_a_payer_by_amount_pays_first_and_is_paid_out_exactly(engine: AsyncEngine) -> None:
    grant = payer(THIRD, "0", amount="2000.00")
    await take(engine, *everybody(), activated(a_shared_contract(grant, *SIXTY_FORTY)))
    await take(engine, approved(an_approved_entry(1), an_approved_entry(2)))
    assert await borne(engine) == [
        (THIRD, "1440.00", "released"),
        (THIRD, "559.80", "released"),
        (CUSTOMER, "527.40", "released"),
        (SECOND, "352.80", "released"),
    ]
    [limit] = await fetch(
        engine, "SELECT customer_id, reserved, agreed FROM limit_account WHERE scope = 'payer'"
    )
    assert (limit.customer_id, limit.reserved, limit.agreed) == (THIRD, Decimal("1999.80"), 2000)

    # What it gets back is paid by it again.
    await take(engine, approved(a_reversal(1, 3), number=2))
    await take(engine, approved(an_approved_entry(4), number=3))
    assert (await borne(engine))[-1] == (THIRD, "1440.00", "released")
    await assert_sound(engine)


@pytest.mark.parametrize(
    "loose", [{"enforcement": limit_pb.LIMIT_ENFORCEMENT_SOFT}, {"tolerance_percent": "5"}]
)
async def test_what_a_payer_pays_before_the_others_is_not_loosened(
    engine: AsyncEngine, running: Running, loose: dict[str, Any]
) -> None:
    grant = payer(THIRD, "0", amount="2000.00")
    await take(engine, *everybody(), activated(a_shared_contract(grant, *SIXTY_FORTY)))
    [limit] = await fetch(engine, "SELECT limit_account_id FROM limit_account")
    wanted = {"enforcement": limit_pb.LIMIT_ENFORCEMENT_HARD, **loose}
    stub = running.stub(LimitServiceStub, caller=a_caller("finance", subject="user:fin"))
    with pytest.raises(FailedPrecondition) as refused:
        await stub.PutLimitSettings(
            limit_pb.PutLimitSettingsRequest(
                request_id="loosen",
                limit_account_id=str(limit.limit_account_id),
                reason="they said it would be fine",
                **wanted,
            )
        )
    assert refused.value.stable_code == "limit.pays_by_amount"
    assert [refused.value.field] == list(loose)


async def test_two_writers_racing_for_the_last_of_an_amount_pay_it_out_once(
    engine: AsyncEngine,
) -> None:
    grant = payer(THIRD, "0", amount="1440.00")
    await take(engine, *everybody(), activated(a_shared_contract(grant, *SIXTY_FORTY)))
    batches = [approved(an_approved_entry(number), number=number) for number in range(1, 9)]
    await asyncio.gather(*(take(engine, batch) for batch in batches))
    paid: dict[Any, Decimal] = {}
    for who, amount, status in await borne(engine):
        assert status == "released"
        paid[who] = paid.get(who, Decimal(0)) + Decimal(amount)
    assert paid == {
        THIRD: Decimal("1440.00"),
        CUSTOMER: Decimal("6048.00"),
        SECOND: Decimal("4032.00"),
    }
    await assert_sound(engine)


async def test_other_payers_pay_for_work_of_their_days(engine: AsyncEngine) -> None:
    thirds: Sequence[Any] = (payer(CUSTOMER, "50", rounding_payer=True), payer(THIRD, "50"))
    later = a_shared_contract(*thirds, version=2)
    later.version = 2
    later.terms_effective_on = "2026-10-01"
    await take(engine, *everybody(), activated(a_shared_contract(*SIXTY_FORTY)))
    await take(engine, limit_changed(later))
    before = an_approved_entry(1, work_date="2026-09-30")
    after = an_approved_entry(2, work_date="2026-10-01")
    await take(engine, approved(before, after))
    assert [who for who, *_ in await borne(engine)] == [CUSTOMER, SECOND, CUSTOMER, THIRD]
    await assert_sound(engine)


async def test_rows_are_listed_by_payer_and_by_who_delivered(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, *everybody(), activated(a_shared_contract(*SIXTY_FORTY)))
    lent = an_approved_entry(2, legal_entity_id=str(an_id("e2")))
    await take(engine, approved(an_approved_entry(1), lent))
    finance = running.stub(BillingEventServiceStub, caller=a_caller("finance"))

    async def listed(**wanted: Any) -> list[tuple[str, str]]:
        reply = await finance.ListBillingEvents(event_pb.ListBillingEventsRequest(**wanted))
        return sorted((row.source_item_id, row.amount.amount) for row in reply.billing_events)

    own, other = str(an_id("15000001")), str(an_id("15000002"))
    assert await listed(bill_to_customer_id=str(SECOND)) == [(own, "576.00"), (other, "576.00")]
    assert await listed(bill_to_customer_id=str(THIRD)) == []
    assert await listed(delivering_legal_entity_id=str(an_id("e2"))) == [
        (other, "576.00"),
        (other, "864.00"),
    ]


def moved_to(customer: Any, *, version: int = 2, **terms: Any) -> contracts.ContractAmended:
    """Return that a change order had the invoices go to somebody else, from October on."""
    contract = a_contract(version=version, **terms)
    contract.version, contract.bill_to_customer_id = version + 2, str(customer)
    contract.terms_effective_on = "2026-10-01"
    return contracts.ContractAmended(contract=contract, change_order_number="CO-000002")


A_LOT = 2400


async def test_work_that_is_not_released_follows_the_bill_to_of_its_contract(
    engine: AsyncEngine,
) -> None:
    await take(engine, *everybody(), activated(a_contract()))
    await take(engine, approved(an_approved_entry(1, minutes=A_LOT)))
    await take(engine, known(CUSTOMER, version=2, credit_hold=True))
    await take(engine, approved(an_approved_entry(2), number=2))
    assert [status for *_, status in await borne(engine)] == ["held", "held"]

    await take(engine, moved_to(SECOND))

    live = [row for row in await borne(engine) if row[2] != "reversed"]
    assert live == [(SECOND, "7200.00", "eligible"), (SECOND, "1440.00", "released")]
    await take(engine, moved_to(SECOND))
    assert [row for row in await borne(engine) if row[2] != "reversed"] == live
    await assert_sound(engine)


async def test_what_costs_something_else_by_now_does_not_follow_by_itself(
    engine: AsyncEngine,
) -> None:
    await take(engine, *everybody(), activated(a_contract()))
    await take(engine, approved(an_approved_entry(1, minutes=A_LOT, work_date="2026-10-05")))

    await take(engine, moved_to(SECOND, rates={"senior_consultant": "190.00"}))

    assert await borne(engine) == [(CUSTOMER, "7200.00", "eligible")]


async def test_what_a_person_holds_stays_held_for_whoever_pays(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, *everybody(), activated(a_contract()))
    await take(engine, approved(an_approved_entry(1, minutes=A_LOT)))
    [row] = await fetch(engine, "SELECT billing_event_id FROM billing_event")
    finance = running.stub(BillingEventServiceStub, caller=a_caller("finance", subject="user:finn"))
    await finance.PlaceHold(
        event_pb.PlaceHoldRequest(
            request_id="hold", billing_event_id=str(row.billing_event_id), reason="in dispute"
        )
    )

    await take(engine, moved_to(SECOND))

    assert (await borne(engine))[-1] == (SECOND, "7200.00", "held")
    holds = await fetch(engine, "SELECT reason, detail FROM hold WHERE cleared_at IS NULL")
    assert [tuple(hold) for hold in holds] == [("manual", "in dispute")]
    await assert_sound(engine)


async def test_payers_of_later_terms_share_what_is_not_released_of_their_days(
    engine: AsyncEngine,
) -> None:
    await take(engine, *everybody(), activated(a_contract()))
    await take(engine, approved(an_approved_entry(1, minutes=A_LOT, work_date="2026-09-30")))
    await take(
        engine, approved(an_approved_entry(2, minutes=A_LOT, work_date="2026-10-01"), number=2)
    )

    event = moved_to(CUSTOMER)
    event.contract.payers.extend(SIXTY_FORTY)
    await take(engine, event)

    assert [row for row in await borne(engine) if row[2] != "reversed"] == [
        (CUSTOMER, "7200.00", "eligible"),
        (CUSTOMER, "4320.00", "released"),
        (SECOND, "2880.00", "released"),
    ]
    await assert_sound(engine)
