"""The tables of what is metered, reported, agreed, bought, converted and due, row by row.

Each function plays one case of the file of its name and compares what the ledger says then.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import pytest
from billing_event_builders import CONTRACT, ENTITY, EXPENSES, HOURS, SUPPORT, activated
from billing_event_case_events import exchange_rates
from billing_event_case_outcomes import exceptions
from billing_event_case_scene import Scene
from billing_event_case_steps import FINANCE, PMO, STEPS, usage_read
from billing_event_case_terms import a_contract_of
from billing_event_sources import BY_PROGRESS, METERED, METERS, key
from billing_event_world import fetch, rows, unrated
from google.protobuf import json_format

from billing_event import schedules
from throughline.billing_event.v1 import adjustment_service_pb2 as adjustment_pb
from throughline.billing_event.v1 import exchange_policy_service_pb2 as exchange_pb
from throughline.billing_event.v1 import progress_service_pb2 as progress_pb
from throughline.billing_event.v1 import purchase_service_pb2 as purchase_pb
from throughline.billing_event.v1 import usage_service_pb2 as usage_pb
from throughline.billing_event.v1.adjustment_service_pb2_grpc import AdjustmentServiceStub
from throughline.billing_event.v1.exchange_policy_service_pb2_grpc import (
    ExchangePolicyServiceStub,
)
from throughline.billing_event.v1.progress_service_pb2_grpc import ProgressServiceStub
from throughline.billing_event.v1.purchase_service_pb2_grpc import PurchaseServiceStub
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline.common.v1 import money_pb2, source_pb2
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.errors import Refusal
from throughline_testing.serving import a_caller

Case = Mapping[str, Any]

OTHER: Final = a_caller("pmo", subject="user:otto.pmo")


async def usage(scene: Scene, case: Case) -> None:
    given, then = case["given"], case["then"]
    tiers = [
        f"{tier['up_to']} at {tier['price']}" if "up_to" in tier else f"the rest at {tier['price']}"
        for tier in given["tiers"]
    ]
    terms = {"included": given["included"], "tiers": tiers, "counted_as": given["counted_as"]}
    await STEPS["contract in force"](scene, terms)
    days = enumerate(case["when"]["readings"], start=2)
    taken = [f"{reading} at 2026-09-{day:02d}T08:00" for day, reading in days]
    if taken:
        await usage_read(scene, taken)
    await STEPS["day"](scene, "2026-10-05")
    stub = scene.running.stub(UsageServiceStub, caller=METERS)
    listed = await stub.ListUsagePeriods(
        usage_pb.ListUsagePeriodsRequest(contract_line_id=str(METERED), page_size=1)
    )
    [first] = listed.usage_periods
    found = await stub.GetUsagePeriod(
        usage_pb.GetUsagePeriodRequest(usage_period_id=first.usage_period_id)
    )
    assert Decimal(found.usage_period.quantity) == Decimal(then["quantity"])
    charged = [f"{each.quantity} x {each.unit_price.amount}" for each in found.charges]
    assert charged == then["charged"]
    assert await _sum_of(scene, "usage") == Decimal(then["amount"])


async def progress(scene: Scene, case: Case) -> None:
    await STEPS["contract in force"](scene, case["given"])
    amounts = []
    for number, report in enumerate(case["when"], start=1):
        if "net_total" in report:
            changed = {"from": f"2026-09-{number:02d}", "net_total": report["net_total"]}
            await STEPS["change order"](scene, changed)
        amounts.append(await _reported(scene, report["percent"], f"2026-09-{number + 1:02d}"))
    assert amounts == [Decimal(each) for each in case["then"]]
    assert await _sum_of(scene, "progress") == sum(amounts)


async def _reported(scene: Scene, percent: str, as_of: str) -> Decimal:
    """Report progress as one person and approve it as another; return what it bills."""
    made = await scene.running.stub(ProgressServiceStub, caller=PMO).ReportProgress(
        progress_pb.ReportProgressRequest(
            request_id=key(),
            contract_line_id=str(BY_PROGRESS),
            contract_id=str(CONTRACT),
            percent=percent,
            as_of=as_of,
            evidence="Steering committee minutes",
        )
    )
    done = await scene.running.stub(ProgressServiceStub, caller=OTHER).ApproveProgressReport(
        progress_pb.ApproveProgressReportRequest(
            request_id=key(), progress_report_id=made.progress_report.progress_report_id
        )
    )
    return Decimal(done.progress_report.amount.amount)


async def adjustments(scene: Scene, case: Case) -> None:
    given, then = case["given"], case["then"]
    await STEPS["contract in force"](scene, {})
    proposer, decider = (
        scene.running.stub(AdjustmentServiceStub, caller=a_caller("finance", subject=given[who]))
        for who in ("proposed_by", "decided_by")
    )
    reason = adjustment_pb.PutAdjustmentReasonRequest(
        request_id=key(), code="goodwill", description="Goodwill", active=True
    )
    await proposer.PutAdjustmentReason(reason)
    made = await proposer.ProposeAdjustment(
        adjustment_pb.ProposeAdjustmentRequest(
            request_id=key(),
            contract_id=str(CONTRACT),
            contract_line_id=str(HOURS),
            service_on="2026-09-10",
            reason_code="goodwill",
            description="As agreed",
            amount=money_pb2.Money(amount=case["when"]["amount"], currency="EUR"),
        )
    )
    approval = _approval_of(made.adjustment)
    if "refused" in then:
        with pytest.raises(Refusal) as refused:
            await decider.ApproveAdjustment(approval)
        assert refused.value.stable_code == then["refused"]
        assert await rows(scene.engine) == []
        return
    await decider.ApproveAdjustment(approval)
    if given.get("undone") == "true":
        undoing = adjustment_pb.UndoAdjustmentRequest(
            request_id=key(), adjustment_id=made.adjustment.adjustment_id, description="Undone"
        )
        counter = await proposer.UndoAdjustment(undoing)
        await decider.ApproveAdjustment(_approval_of(counter.adjustment))
    assert await _sum_of(scene, "adjustment") == Decimal(then["billed"])


def _approval_of(made: adjustment_pb.Adjustment) -> adjustment_pb.ApproveAdjustmentRequest:
    return adjustment_pb.ApproveAdjustmentRequest(
        request_id=key(), adjustment_id=made.adjustment_id
    )


async def purchases(scene: Scene, case: Case) -> None:
    given, when, then = case["given"], case["when"], case["then"]
    terms = {"markup": given["line_markup"], "markups": given.get("markups", {})}
    await STEPS["contract in force"](scene, terms)
    if "rate" in given:
        await exchange_rates(scene, [f"{given['rate']} of 2026-09-07"])
    cost, currency = when["cost"].split()
    row = purchase_pb.PurchaseRow(
        contract_id=str(CONTRACT),
        contract_line_id=str(EXPENSES),
        category=when["category"],
        supplier="Northwind",
        document_number="NW-0001",
        description="Test",
        incurred_on="2026-09-07",
        cost=money_pb2.Money(amount=cost, currency=currency),
        source=source_pb2.SourceRef(system="erp", object_type="vendor_bill", object_id="VB-1"),
    )
    brought = await scene.running.stub(PurchaseServiceStub, caller=METERS).ImportPurchases(
        purchase_pb.ImportPurchasesRequest(request_id=key(), rows=[row])
    )
    await scene.running.stub(PurchaseServiceStub, caller=FINANCE).ApprovePurchases(
        purchase_pb.ApprovePurchasesRequest(
            request_id=key(), purchase_ids=[each.purchase_id for each in brought.results]
        )
    )
    if "held" in then:
        assert await unrated(scene.engine) == [then["held"]]
        return
    assert await _sum_of(scene, "expense") == Decimal(then["amount"])


async def exchange(scene: Scene, case: Case) -> None:
    given, when, then = case["given"], case["when"], case["then"]
    contract = _in_currency(a_contract_of({"markup": 0}), when["into"])
    await scene.take(activated(contract))
    if "rule" in given:
        await _put_policy(scene, given)
    if given["rates"]:
        await exchange_rates(scene, given["rates"])
    await STEPS["expense"](scene, f"E, {when['convert']} of travel on {when['work_date']}")
    if "held" in then:
        assert await unrated(scene.engine) == [then["held"]]
        assert await rows(scene.engine) == []
        return
    [row] = await fetch(scene.engine, "SELECT * FROM billing_event")
    assert (row.currency, round(row.amount, 2)) == (when["into"], Decimal(then["price"]))
    assert row.exchange_rate == Decimal(then["rate"])
    assert str(row.exchange_rate_on) == then["of"]
    assert then.get("words", "") in row.rate_explanation


def _in_currency(contract: contract_pb2.Contract, currency: str) -> contract_pb2.Contract:
    """Return the contract with every amount in another currency."""
    words = json_format.MessageToJson(contract, preserving_proto_field_name=True)
    found = contract_pb2.Contract()
    json_format.Parse(words.replace('"EUR"', f'"{currency}"'), found)
    return found


async def _put_policy(scene: Scene, given: Mapping[str, Any]) -> None:
    request = exchange_pb.PutExchangePolicyRequest(
        request_id=key(),
        legal_entity_id=str(ENTITY),
        rule=exchange_pb.ExchangeDateRule.Value(f"EXCHANGE_DATE_RULE_{given['rule'].upper()}"),
    )
    for words in given.get("fixed", ()):
        pair, rate = words.split()
        base, quote = pair.split("/")
        request.fixed_rates.add(base=base, quote=quote, rate=rate)
    stub = scene.running.stub(ExchangePolicyServiceStub, caller=FINANCE)
    await stub.PutExchangePolicy(request)


async def recurring(scene: Scene, case: Case) -> None:
    given = case["given"]
    terms = {
        "support_runs": f"{given['from']} to {given['to']}",
        "anchor_day": given["anchor_day"],
        "price": "2500.00",
        "months": given.get("months", "1"),
        "proration": given.get("proration", "actual_days"),
        "in_advance": given.get("in_advance", "false"),
    }
    await STEPS["contract in force"](scene, terms)
    for order in given.get("changed", ()):
        changed = dict(order)
        if "on" in changed:
            await STEPS["day"](scene, changed.pop("on"))
        first, last = changed.pop("first", given["from"]), changed.pop("last", given["to"])
        if {"first", "last"} & order.keys():
            changed["support_runs"] = f"{first} to {last}"
        await STEPS["change order"](scene, {"from": changed.pop("effective"), **changed})
        await schedules.report_changes(scene.context)
    await STEPS["day"](scene, "2028-12-31")
    found = await fetch(
        scene.engine,
        """SELECT period.service_from, period.service_to - 1 AS last, sum(event.amount) AS amount
           FROM billing_event AS event
           JOIN recurring_period AS period ON period.recurring_period_id = event.source_item_id
           WHERE period.contract_line_id = :line GROUP BY 1, 2 ORDER BY 1""",
        line=SUPPORT,
    )
    charged = [f"{row.service_from}..{row.last} {row.amount:.2f}" for row in found]
    assert charged == case["then"]
    assert await exceptions(scene) == case.get("told", [])


async def _sum_of(scene: Scene, event_type: str) -> Decimal:
    [row] = await fetch(
        scene.engine,
        "SELECT coalesce(sum(amount), 0) AS amount FROM billing_event WHERE type = :type",
        type=event_type,
    )
    return Decimal(row.amount)
