"""The tables of limits and re-rating, row by row.

Each function plays one case of the file of its name and compares what the ledger says then.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from billing_event_builders import CONTRACT
from billing_event_case_retainers import SALES, work_rows
from billing_event_case_scene import Scene
from billing_event_case_steps import STEPS
from billing_event_rerating import Desk
from billing_event_sources import key
from billing_event_world import fetch

from throughline.billing_event.v1 import limit_service_pb2 as limit_pb
from throughline.billing_event.v1 import rerating_service_pb2 as rerating_pb
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceStub

Case = Mapping[str, Any]

_WORK: Final = re.compile(r"([\d.]+) hours at ([\d.]+), (\w[\w ]*)")


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
    found = await work_rows(scene)
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
    before = len(await work_rows(scene))
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
    posted = (await work_rows(scene))[before:]
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
