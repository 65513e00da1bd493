"""Purchases come in, a second person approves them, and they are billed at cost plus markup."""

from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    EXPENSES,
    HOURS,
    a_contract,
    activated,
    an_id,
    recorded,
)
from billing_event_sources import key, rates
from billing_event_world import assert_sound, fetch, rows, take, totals, unrated
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.v1 import purchase_service_pb2 as pb
from throughline.billing_event.v1.purchase_service_pb2_grpc import PurchaseServiceStub
from throughline.common.v1 import money_pb2, source_pb2
from throughline_core.errors import Refusal
from throughline_runtime import database
from throughline_testing.serving import Running, a_caller
from throughline_testing.statements import Statements

ERP = a_caller("integration", subject="service:erp")
PMO = a_caller("pmo", subject="user:paula.pmo")
FINANCE = a_caller("finance", subject="user:fin")
ELSEWHERE = a_caller("finance", subject="user:us", entities=[an_id("e2")])


def of(running: Running, caller: Any = ERP) -> Any:
    return running.stub(PurchaseServiceStub, caller=caller)


def a_purchase(
    number: int = 1, cost: str = "1000.00", currency: str = "EUR", **different: Any
) -> pb.PurchaseRow:
    fields: dict[str, Any] = {
        "contract_id": str(CONTRACT),
        "contract_line_id": str(EXPENSES),
        "category": "subcontractor",
        "supplier": "Northwind Engineering",
        "document_number": f"NW-{number:04d}",
        "description": "Penetration test",
        "incurred_on": "2026-09-10",
        "cost": money_pb2.Money(amount=cost, currency=currency),
        "source": source_pb2.SourceRef(
            system="erp", object_type="vendor_bill", object_id=f"VB-{number:05d}"
        ),
    }
    return pb.PurchaseRow(**(fields | different))


async def bring(
    running: Running, *rows: pb.PurchaseRow, caller: Any = ERP
) -> pb.ImportPurchasesResponse:
    request = pb.ImportPurchasesRequest(request_id=key(), rows=rows)
    response: pb.ImportPurchasesResponse = await of(running, caller).ImportPurchases(request)
    return response


async def approve(running: Running, done: pb.ImportPurchasesResponse, caller: Any = FINANCE) -> int:
    ids = [result.purchase_id for result in done.results]
    request = pb.ApprovePurchasesRequest(request_id=key(), purchase_ids=ids)
    return int((await of(running, caller).ApprovePurchases(request)).approved)


async def code_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


@pytest.fixture
async def in_force(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract()))


async def test_an_approved_purchase_is_billed_at_cost_plus_the_lines_markup(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    done = await bring(running, a_purchase())
    assert await rows(engine) == []
    assert await approve(running, done) == 1
    assert await rows(engine) == [("1050.00", "released", "")]
    [row] = await fetch(
        engine,
        """SELECT billing_event.*, item.source_object_id, item.approved_by
           FROM billing_event JOIN source_item AS item USING (source_item_id)""",
    )
    assert (row.type, row.source_object_id, row.approved_by) == ("expense", "VB-00001", "user:fin")
    assert row.rate_explanation.startswith("cost 1000.00 EUR plus 5 %")
    assert (await totals(engine))["source_expenses"]["lines"] == 0
    await assert_sound(engine)


async def test_a_purchase_in_dollars_is_converted_or_waits_for_its_rate(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    await approve(running, await bring(running, a_purchase(currency="USD")))
    assert await unrated(engine) == ["missing_fx_rate"]
    await take(engine, rates(("USD", "2026-09-09", "1.25")))
    assert await rows(engine) == [("840.00", "released", "")]
    [row] = await fetch(engine, "SELECT rate_explanation FROM billing_event")
    assert "ecb of 2026-09-09, 1 day before (work date)" in row.rate_explanation
    await assert_sound(engine)


async def test_a_category_has_its_own_markup_where_the_line_says_so(
    engine: AsyncEngine, running: Running
) -> None:
    contract = a_contract()
    contract.lines[3].terms.expense_policy.rules.add(category="software", markup_percent="12.5")
    await take(engine, recorded(), activated(contract))
    done = await bring(running, a_purchase(category="software"))
    await approve(running, done)
    assert [amount for amount, _, _ in await rows(engine)] == ["1125.00"]


async def test_a_suppliers_credit_gives_back(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    done = await bring(running, a_purchase(), a_purchase(2, "-200.00"))
    await approve(running, done)
    assert sorted(amount for amount, _, _ in await rows(engine)) == ["-210.00", "1050.00"]


async def test_the_same_purchase_again_is_the_same_and_another_content_is_refused(
    running: Running, in_force: None
) -> None:
    first = await bring(running, a_purchase(), a_purchase())
    assert (first.recorded, first.duplicates) == (1, 1)
    again = await bring(running, a_purchase(), a_purchase(cost="999.00"))
    assert (again.duplicates, again.results[1].code) == (1, "purchase.differs")
    twice = await bring(running, a_purchase(3), a_purchase(3, "5.00"))
    assert (twice.recorded, twice.results[1].code) == (1, "purchase.repeated")


async def test_a_suppliers_credit_may_have_the_number_of_a_bill(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    source = source_pb2.SourceRef(system="erp", object_type="vendor_credit", object_id="VB-00001")
    done = await bring(running, a_purchase(1), a_purchase(1, "-200.00", source=source))
    assert (done.recorded, done.refused) == (2, 0)
    again = await bring(running, a_purchase(1, "-200.00", source=source), a_purchase(1))
    assert (again.recorded, again.duplicates) == (0, 2)
    assert [each.purchase_id for each in again.results] == [
        each.purchase_id for each in reversed(done.results)
    ]
    await approve(running, done)
    assert sorted(amount for amount, _, _ in await rows(engine)) == ["-210.00", "1050.00"]


async def reject(running: Running, done: pb.ImportPurchasesResponse) -> None:
    ids = [result.purchase_id for result in done.results]
    await of(running, FINANCE).RejectPurchases(
        pb.RejectPurchasesRequest(request_id=key(), purchase_ids=ids, reason="wrong category")
    )


async def test_a_rejected_purchase_comes_again_mended_and_is_decided_anew(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    wrong = a_purchase(category="travel")
    first = await bring(running, wrong)
    await reject(running, first)
    assert (await bring(running, wrong)).duplicates == 1
    mended = await bring(running, a_purchase(), caller=PMO)
    assert (mended.recorded, mended.results[0].purchase_id) == (1, first.results[0].purchase_id)
    got = await of(running).GetPurchase(
        pb.GetPurchaseRequest(purchase_id=mended.results[0].purchase_id)
    )
    assert (got.purchase.status, got.purchase.version, got.purchase.category) == (
        pb.PURCHASE_STATUS_PROPOSED,
        3,
        "subcontractor",
    )
    assert (got.purchase.recorded_by, got.purchase.decided_by) == ("user:paula.pmo", "")
    assert await code_of(approve(running, mended, PMO)) == "purchase.second_person_required"
    assert (await bring(running, wrong)).results[0].code == "purchase.differs"
    await approve(running, mended)
    assert await rows(engine) == [("1050.00", "released", "")]
    assert (await bring(running, wrong)).results[0].code == "purchase.differs"


async def test_a_withdrawn_purchase_comes_again_once_and_of_its_own_entity_only(
    running: Running, in_force: None
) -> None:
    done = await bring(running, a_purchase(), a_purchase(2))
    for result in done.results:
        await of(running).WithdrawPurchase(
            pb.WithdrawPurchaseRequest(request_id=key(), purchase_id=result.purchase_id)
        )
    far = await bring(running, a_purchase(cost="999.00"), caller=ELSEWHERE)
    assert far.results[0].code == "caller.entity_forbidden"
    both = await bring(running, a_purchase(cost="999.00"), a_purchase(2, "998.00"))
    assert both.recorded == 2
    assert await approve(running, both) == 2


async def test_each_row_is_judged_by_itself(running: Running, in_force: None) -> None:
    done = await bring(
        running,
        a_purchase(1),
        a_purchase(2, contract_line_id=str(HOURS)),
        a_purchase(3, contract_line_id=str(an_id("bad"))),
        a_purchase(4, contract_id=str(an_id("bad"))),
        a_purchase(5, "0.00"),
        a_purchase(6, "1.005"),
        a_purchase(7, currency="XXX"),
    )
    assert [result.code for result in done.results] == [
        "",
        "purchase.not_pass_through",
        "purchase.line_not_found",
        "contract.not_found",
        "purchase.cost_zero",
        "purchase.too_precise",
        "money.unknown_currency",
    ]
    assert (done.recorded, done.refused) == (1, 6)
    far = await bring(running, a_purchase(9), caller=ELSEWHERE)
    assert far.results[0].code == "caller.entity_forbidden"


async def test_approval_is_by_a_second_person_all_or_none_and_once(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    own = await bring(running, a_purchase(1), caller=PMO)
    others = await bring(running, a_purchase(2))
    assert await code_of(approve(running, own, PMO)) == "purchase.second_person_required"
    both = pb.ImportPurchasesResponse(results=[*own.results, *others.results])
    assert await code_of(approve(running, both, PMO)) == "purchase.second_person_required"
    unknown = pb.ApprovePurchasesRequest(request_id=key(), purchase_ids=[str(an_id("bad"))])
    assert await code_of(of(running, FINANCE).ApprovePurchases(unknown)) == "purchase.not_found"
    assert await code_of(approve(running, others, ELSEWHERE)) == "caller.entity_forbidden"
    assert await rows(engine) == []
    assert await approve(running, both) == 2
    assert await code_of(approve(running, both)) == "purchase.not_open"


async def test_what_is_rejected_or_withdrawn_is_not_billed(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    done = await bring(running, a_purchase(1), a_purchase(2))
    first, second = (result.purchase_id for result in done.results)
    rejected = await of(running, FINANCE).RejectPurchases(
        pb.RejectPurchasesRequest(request_id=key(), purchase_ids=[first], reason="not ordered")
    )
    assert rejected.rejected == 1
    withdrawn = await of(running).WithdrawPurchase(
        pb.WithdrawPurchaseRequest(request_id=key(), purchase_id=second)
    )
    assert withdrawn.purchase.status == pb.PURCHASE_STATUS_WITHDRAWN
    got = await of(running).GetPurchase(pb.GetPurchaseRequest(purchase_id=first))
    assert (got.purchase.decided_by, got.purchase.decision_reason) == ("user:fin", "not ordered")
    listed = await of(running).ListPurchases(
        pb.ListPurchasesRequest(status=pb.PURCHASE_STATUS_WITHDRAWN, category="subcontractor")
    )
    assert [each.purchase_id for each in listed.purchases] == [second]
    assert await rows(engine) == []


async def test_many_purchases_take_no_more_statements_than_few(
    running: Running, statements: Statements, in_force: None
) -> None:
    counts = []
    for numbers in (range(1, 4), range(10, 400)):
        statements.clear()
        done = await bring(running, *(a_purchase(number) for number in numbers))
        await approve(running, done)
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("day", ["0001-01-20", "9999-12-31"])
async def test_a_day_nothing_is_billed_for_is_refused_when_it_is_sent(
    running: Running, in_force: None, day: str
) -> None:
    sent = a_purchase(2, currency="USD", incurred_on=day)
    [taken, refused] = (await bring(running, a_purchase(), sent)).results
    assert taken.outcome == pb.PURCHASE_OUTCOME_RECORDED
    assert (refused.code, refused.field) == ("purchase.day_out_of_range", "incurred_on")


async def test_a_purchase_that_was_recorded_for_such_a_day_is_named_when_it_is_approved(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    done = await bring(running, a_purchase(), a_purchase(2, currency="USD"))
    *_, before = (result.purchase_id for result in done.results)
    async with database.write(engine) as tx:
        change = "UPDATE purchase SET incurred_on = '9999-12-31' WHERE purchase_id = :id"
        await tx.execute(text(change), {"id": before})
    with pytest.raises(Refusal, match=before) as refused:
        await approve(running, done)
    assert refused.value.stable_code == "purchase.day_out_of_range"
    request = pb.RejectPurchasesRequest(request_id=key(), purchase_ids=[before], reason="a typo")
    assert (await of(running, FINANCE).RejectPurchases(request)).rejected == 1
