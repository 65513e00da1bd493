"""The tables of limits, retainers and re-rating, row by row.

Each function plays one case of the file of its name and compares what the ledger says then.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from billing_event_builders import CONTRACT, SUPPORT
from billing_event_case_scene import Scene
from billing_event_case_steps import FINANCE, STEPS
from billing_event_rerating import Desk
from billing_event_sources import key
from billing_event_world import fetch

from throughline.billing_event.v1 import limit_service_pb2 as limit_pb
from throughline.billing_event.v1 import rerating_service_pb2 as rerating_pb
from throughline.billing_event.v1 import retainer_service_pb2 as retainer_pb
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceStub
from throughline.billing_event.v1.retainer_service_pb2_grpc import RetainerServiceStub
from throughline.common.v1 import money_pb2
from throughline_testing.serving import a_caller

Case = Mapping[str, Any]

SALES: Final = a_caller("sales_operations", subject="user:sam.sales")
_WORK: Final = re.compile(r"([\d.]+) hours at ([\d.]+), (\w[\w ]*)")
_ROWS: Final = """
    SELECT event.*, position.status, taker.billing_event_id AS taken_by,
           coalesce((SELECT string_agg(reason, ' ' ORDER BY reason) FROM hold
                     WHERE hold.billing_event_id = event.billing_event_id
                       AND cleared_at IS NULL), '') AS reasons
    FROM billing_event AS event JOIN position USING (billing_event_id)
    LEFT JOIN billing_event AS taker ON taker.reverses_billing_event_id = event.billing_event_id
    ORDER BY event.source_item_id, event.part
"""


async def _rows(scene: Scene) -> Sequence[Any]:
    """Return the rows of work, by thing and part."""
    return [row for row in await fetch(scene.engine, _ROWS) if row.type != "recurring"]


async def limits(scene: Scene, case: Case) -> None:
    given = case["given"]
    terms = {"cap": given["limit_of_line"]} if "limit_of_line" in given else {}
    if "limit_of_contract" in given:
        terms["contract_cap"] = given["limit_of_contract"]
    await STEPS["contract in force"](scene, terms)
    if "enforcement" in given or "tolerance_percent" in given:
        await _enforce(scene, given)
    for number, step in enumerate(case["when"], start=1):
        if "approve" in step:
            what = step["approve"]
            letter = what.get("as", f"W{number}")
            await STEPS["work"](scene, f"{letter}, {what['hours']} h of consultant")
        elif "take_back" in step:
            await STEPS["taken back"](scene, f"{step['take_back']} by W{number}")
        else:
            await STEPS["change order"](scene, {"cap": step["agree_limit_of_line"]})
    expected = [
        (Decimal(row["amount"]), row["status"], row.get("because", ""))
        for row in case["then"]
        if "amount" in row
    ]
    found = await _rows(scene)
    shown = [(row.amount, row.status, row.reasons) for row in found if row.status != "reversed"]
    assert shown == expected
    for left in (row["left"] for row in case["then"] if "left" in row):
        assert await _left_of_line(scene) == Decimal(left)


async def _enforce(scene: Scene, given: Mapping[str, Any]) -> None:
    stub = scene.running.stub(LimitServiceStub, caller=SALES)
    [limit] = (await stub.ListLimits(limit_pb.ListLimitsRequest(contract_id=str(CONTRACT)))).limits
    is_soft = given.get("enforcement") == "soft"
    await stub.PutLimitSettings(
        limit_pb.PutLimitSettingsRequest(
            request_id=key(),
            limit_account_id=limit.limit_account_id,
            enforcement=(
                limit_pb.LIMIT_ENFORCEMENT_SOFT if is_soft else limit_pb.LIMIT_ENFORCEMENT_HARD
            ),
            tolerance_percent=given.get("tolerance_percent", "0"),
            alert_percents=[80, 100],
            reason="as agreed with the customer",
        )
    )


async def _left_of_line(scene: Scene) -> Decimal:
    [row] = await fetch(
        scene.engine,
        """SELECT CASE enforcement WHEN 'soft' THEN agreed ELSE enforced END
                  - reserved - committed AS "left"
           FROM limit_account WHERE scope = 'contract_line'""",
    )
    return Decimal(row.left)


async def retainers(scene: Scene, case: Case) -> None:
    given = case["given"]
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
    await STEPS["contract in force"](scene, {"retainer": block})
    await STEPS["day"](scene, "2026-09-14")
    for number, step in enumerate(case["when"], start=1):
        if "work" in step:
            what, letter = step["work"], step["work"].get("as", f"W{number}")
            words = f"{letter}, {what['hours']} h of consultant on {what['day']} for support"
            await STEPS["work"](scene, words)
        elif "take_back" in step:
            await STEPS["taken back"](scene, f"{step['take_back']} by W{number}")
        elif "top_up" in step:
            await _top_up(scene, step["top_up"])
        else:
            await STEPS["day"](scene, step["day"])
    live = [
        row
        for row in await _rows(scene)
        if row.reverses_billing_event_id is None and row.taken_by is None
    ]
    assert list(map(_drawn, live)) == [_exact(row) for row in case["then"] if "amount" in row]
    for wanted in (row["period"] for row in case["then"] if "period" in row):
        await _check_period(scene, wanted)


def _drawn(row: Any) -> dict[str, object]:
    told = "bills" if row.treatment == "invoiced" else "draws"
    found = {told: row.quantity, "amount": row.amount, "status": row.status}
    return {**found, "because": row.reasons} if row.reasons else found


def _exact(row: Mapping[str, str]) -> dict[str, object]:
    words = ("status", "because")
    return {name: value if name in words else Decimal(value) for name, value in row.items()}


async def _top_up(scene: Scene, what: Mapping[str, str]) -> None:
    sales = scene.running.stub(RetainerServiceStub, caller=SALES)
    listed = await sales.ListRetainerPeriods(
        retainer_pb.ListRetainerPeriodsRequest(contract_line_id=str(SUPPORT))
    )
    proposed = await sales.ProposeRetainerTopUp(
        retainer_pb.ProposeRetainerTopUpRequest(
            request_id=key(),
            retainer_period_id=listed.retainer_periods[0].retainer_period_id,
            quantity=what["hours"],
            price=money_pb2.Money(amount=what["price"], currency="EUR"),
            reason="more hours in September",
        )
    )
    await scene.running.stub(RetainerServiceStub, caller=FINANCE).ApproveRetainerTopUp(
        retainer_pb.ApproveRetainerTopUpRequest(
            request_id=key(), retainer_top_up_id=proposed.retainer_top_up.retainer_top_up_id
        )
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


async def rerating(scene: Scene, case: Case) -> None:
    when, then = case["when"], case["then"]
    hours, rate, where = _matched(case["given"])
    terms: dict[str, Any] = {"rates": {"consultant": rate}}
    if "payers" in when:
        shares = when["payers"].removesuffix(" percent").split(" and ")
        names = [f"{name} {share} %" for name, share in zip(_PAYERS, shares, strict=False)]
        terms["payers"] = [f"{names[0]} rounding", *names[1:]]
    if "policy" in when:
        terms["correction"] = when["policy"]
    await STEPS["contract in force"](scene, terms)
    await STEPS["work"](scene, f"A, {round(Decimal(hours) * 60)} min of consultant")
    if where == "invoiced":
        await STEPS["invoice"](scene, "INV-1: A")
    before = len(await _rows(scene))
    await STEPS["change order"](scene, _terms_now(when, billed=Decimal(hours) * Decimal(rate)))
    if when.get("credit hold") == "true":
        await STEPS["customer"](scene, "alpha on credit hold")
    desk = Desk(scene.running, scene.context, scene.engine)
    run_id = await desk.previewed()
    found = await desk.items(run_id)
    action, difference = _finding(found)
    assert (action, difference) == (then["action"], Decimal(then["difference"]))
    if then["posted"]:
        await desk.approve(run_id)
        await desk.drive()
    posted = (await _rows(scene))[before:]
    assert [_posted(row, action) for row in posted] == then["posted"]
    if posted:
        assert sum(row.amount for row in posted) == difference


_PAYERS: Final = ("alpha", "beta", "gamma")


def _matched(words: str) -> tuple[str, str, str]:
    match = _WORK.fullmatch(words)
    assert match is not None, words
    hours, rate, where = match.groups()
    return hours, rate, where


def _terms_now(when: Mapping[str, str], *, billed: Decimal) -> dict[str, Any]:
    """Return what the change order says, from the first day on."""
    terms: dict[str, Any] = {"from": "2026-09-01", "rates": {"consultant": when["rate"]}}
    if "left under the cap" in when:
        terms["cap"] = billed + Decimal(when["left under the cap"])
    if "time is rounded up to" in when:
        minutes = when["time is rounded up to"].removesuffix(" minutes")
        terms["time_rounded"] = f"up to {minutes} min"
    return terms


def _finding(items: Sequence[rerating_pb.ReratingItem]) -> tuple[str, Decimal]:
    if not items:
        return "nothing", Decimal(0)
    [item] = items
    action = rerating_pb.ReratingAction.Name(item.action).removeprefix("RERATING_ACTION_").lower()
    return action, Decimal(item.difference.amount)


def _posted(row: Any, action: str) -> str:
    """Return a row as the cases put it."""
    where = {
        "held": f"held {row.reasons}",
        "eligible": "waits for release",
        "reversed": "cancels the original",
        "released": "to the next invoice",
    }[row.status]
    if row.kind == "reversal" and row.status == "released":
        is_invoiced = action == "credit_and_rebill"
        where = "to a credit note" if is_invoiced else "meets the original where invoices are made"
    return f"{row.quantity:.2f} hours at {row.unit_rate:.2f}, {where}"
