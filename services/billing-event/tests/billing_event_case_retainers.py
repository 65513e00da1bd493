"""The table of retainers, row by row: what is drawn, billed and charged, and what is left."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from billing_event_builders import SUPPORT, an_id
from billing_event_case_scene import Scene
from billing_event_case_steps import FINANCE, STEPS
from billing_event_sources import key
from billing_event_world import fetch, unrated

from throughline.billing_event.v1 import retainer_service_pb2 as pb
from throughline.billing_event.v1.retainer_service_pb2_grpc import RetainerServiceStub
from throughline.common.v1 import money_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_testing.samples import sample
from throughline_testing.serving import a_caller

Case = Mapping[str, Any]

SALES: Final = a_caller("sales_operations", subject="user:sam.sales")
_ROWS: Final = """
    SELECT event.*, position.status, taker.billing_event_id AS taken_by,
           coalesce((SELECT string_agg(reason, ' ' ORDER BY reason) FROM hold
                     WHERE hold.billing_event_id = event.billing_event_id
                       AND cleared_at IS NULL), '') AS reasons
    FROM billing_event AS event JOIN position USING (billing_event_id)
    LEFT JOIN billing_event AS taker ON taker.reverses_billing_event_id = event.billing_event_id
    ORDER BY event.source_item_id, event.part
"""


async def work_rows(scene: Scene) -> Sequence[Any]:
    """Return the rows of work, by thing and part."""
    return [row for row in await fetch(scene.engine, _ROWS) if row.type != "recurring"]


async def retainers(scene: Scene, case: Case) -> None:
    given = case["given"]
    terms: dict[str, Any] = {"retainer": _block(given)}
    if "runs" in given:
        terms["support_runs"] = given["runs"]
    await STEPS["contract in force"](scene, terms)
    await STEPS["day"](scene, "2026-09-14")
    for number, step in enumerate(case["when"], start=1):
        [(verb, what)] = step.items()
        await _play(scene, verb, what, number=number, block=given)
    live = [
        row
        for row in await work_rows(scene)
        if row.reverses_billing_event_id is None and row.taken_by is None
    ]
    assert list(map(_drawn, live)) == [_exact(row) for row in case["then"] if "amount" in row]
    for row in case["then"]:
        if "period" in row:
            await _check_period(scene, row["period"])
        elif "charged" in row:
            assert await _charged(scene, row["from"]) == Decimal(row["charged"])
        elif "waits" in row:
            assert await unrated(scene.engine) == [row["waits"]]
    told = [row["overdrawn"] for row in case["then"] if "overdrawn" in row]
    assert await _overdrawn(scene) == told


def _block(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of the retainer as change orders and contracts say them."""
    block = {"price": given["price"], "beyond": given["overage"]}
    if "hours" in given:
        block["hours"] = given["hours"]
    else:
        block["rates"] = {"consultant": given["rate"]}
    if given["roll_over"] == "carry":
        block["carries_on_percent"] = given.get("at_most_percent", "100")
        block["for_months"] = given.get("for_periods", "0")
    if "overage_rate" in given:
        block["overage_rate"] = given["overage_rate"]
    return block


async def _play(
    scene: Scene, verb: str, what: Any, *, number: int, block: Mapping[str, Any]
) -> None:
    if verb == "work":
        letter = what.get("as", f"W{number}")
        words = f"{letter}, {what['hours']} h of consultant on {what['day']} for support"
        await STEPS["work"](scene, words)
    elif verb == "take_back":
        await STEPS["taken back"](scene, f"{what} by W{number}")
    elif verb == "expense":
        await _spend(scene, what, number=number)
    elif verb == "propose_top_up":
        await _propose(scene, what)
    elif verb == "top_up":
        await _top_up(scene, what)
    elif verb == "agree":
        agreed = {**block, **what}
        if "rate" in what:
            agreed.pop("hours", None)
        changes = {name: what[name] for name in ("from", "version") if name in what}
        await STEPS["change order"](scene, {**changes, "retainer": _block(agreed)})
    elif verb == "end":
        changes = {"from": what["from"], "support_ends_on": what["on"]}
        await STEPS["change order"](scene, changes)
    elif verb == "terminate":
        await STEPS["terminated"](scene, f"from {what}")
    else:
        assert verb == "day", verb
        await STEPS["day"](scene, what)


def _drawn(row: Any) -> dict[str, object]:
    told = "bills" if row.treatment == "invoiced" else "draws"
    found = {told: row.quantity, "amount": row.amount, "status": row.status}
    return {**found, "because": row.reasons} if row.reasons else found


def _exact(row: Mapping[str, str]) -> dict[str, object]:
    words = ("status", "because")
    return {name: value if name in words else Decimal(value) for name, value in row.items()}


async def _spend(scene: Scene, what: Mapping[str, str], *, number: int) -> None:
    """Have an expense on the line of the retainer approved."""
    report: projects.ExpenseReportApproved = sample(projects.ExpenseReportApproved)
    report.expense_report_id = str(an_id(f"18{number:06x}"))
    del report.lines[1:]
    [line] = report.lines
    line.expense_line_id = str(scene.named(f"E{number}", "17"))
    line.contract_line_id, line.incurred_on = str(SUPPORT), what["day"]
    line.ClearField("receipt_net_amount")
    line.ClearField("tax_amount")
    line.net_amount.amount, line.net_amount.currency = what["amount"], "EUR"
    await scene.take(report)


async def _propose(scene: Scene, what: Mapping[str, str]) -> str:
    """Propose a top-up of the period from a day, else of the first one, and return its id."""
    sales = scene.running.stub(RetainerServiceStub, caller=SALES)
    listed = await sales.ListRetainerPeriods(
        pb.ListRetainerPeriodsRequest(contract_line_id=str(SUPPORT))
    )
    period = next(
        each
        for each in listed.retainer_periods
        if each.period_from == what.get("of", each.period_from)
    )
    proposed = await sales.ProposeRetainerTopUp(
        pb.ProposeRetainerTopUpRequest(
            request_id=key(),
            retainer_period_id=period.retainer_period_id,
            quantity=what["hours"],
            price=money_pb2.Money(amount=what["price"], currency="EUR"),
            reason="more hours in September",
        )
    )
    return proposed.retainer_top_up.retainer_top_up_id


async def _top_up(scene: Scene, what: Mapping[str, str]) -> None:
    top_up_id = await _propose(scene, what)
    await scene.running.stub(RetainerServiceStub, caller=FINANCE).ApproveRetainerTopUp(
        pb.ApproveRetainerTopUpRequest(request_id=key(), retainer_top_up_id=top_up_id)
    )


async def _check_period(scene: Scene, wanted: Mapping[str, str]) -> None:
    [period] = await fetch(
        scene.engine,
        """SELECT granted, carried_in, drawn, carried_out, lapsed, balance AS "left"
           FROM retainer_period WHERE period_from = CAST(CAST(:first AS text) AS date)""",
        first=wanted["from"],
    )
    expected = {name: Decimal(wanted.get(name, "0")) for name in period._fields}
    assert dict(period._mapping) == expected


async def _charged(scene: Scene, first: str) -> Decimal:
    """Return what is charged of the period from a day: its block and its top-ups."""
    [row] = await fetch(
        scene.engine,
        """SELECT coalesce(sum(amount), 0) AS amount FROM billing_event
           WHERE type = 'recurring' AND service_from = CAST(CAST(:first AS text) AS date)""",
        first=first,
    )
    return Decimal(row.amount)


async def _overdrawn(scene: Scene) -> list[str]:
    """Return from when the periods are on which more was drawn than they grant, as people see."""
    found = await fetch(
        scene.engine,
        """SELECT period_from FROM exception_item
           JOIN retainer_period ON retainer_period_id = subject_id
           WHERE kind = 'retainer.drawn_beyond_end' AND exception_item.closed_at IS NULL
           ORDER BY period_from""",
    )
    return [str(row.period_from) for row in found]
