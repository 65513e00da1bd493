"""Finance at the checkpoint: releases in bulk, takes one back, gives work up, tries a rate out."""

from decimal import Decimal
from typing import Any

from e2e_billing import drafted
from e2e_practice import Practice, by_the_hour, money

from throughline_cli.api import Document


def test_work_passes_the_checkpoint_and_comes_back_from_a_draft(practice: Practice) -> None:
    entity, contract = a_deal_of_three_days(practice)
    contract_id = contract["contract_id"]
    scope = {"contract_id": contract_id}

    [line] = practice.finance.post("/v1/release-runs:preview", {"scope": scope})["lines"]
    assert (line["rows"], line["amount"]) == (3, money("3360.00"))
    run = practice.finance.post("/v1/release-runs", {"scope": scope})["release_run"]
    path = f"/v1/release-runs/{run['release_run_id']}"
    practice.until(
        "the run is done",
        lambda: practice.finance.get(path)["release_run"]["status"] == "done",
    )
    assert practice.finance.get(path)["release_run"]["rows_released"] == 3
    drafted(practice, entity)
    [listed] = practice.finance.pages("/v1/invoices", "invoices", contract_id=contract_id)
    draft = practice.finance.get(f"/v1/invoices/{listed['invoice_id']}")["invoice"]
    assert draft["net_total"] == money("3360.00")

    first = practice.events(contract_id)[0]["billing_event_id"]
    withdrawn = practice.finance.post(
        "/v1/billing-events:withdraw-release",
        {"billing_event_ids": [first], "reason": "The client disputes the day", "hold": True},
    )["release_withdrawal"]
    assert withdrawn["status"] == "done"
    redone = practice.finance.get(f"/v1/invoices/{draft['invoice_id']}")["invoice"]
    assert redone["net_total"] == money("2240.00")
    [held] = practice.events(contract_id, status="held")
    assert (held["billing_event_id"], held["holds"]) == (first, ["manual"])
    assert practice.broken_invariants() == []


def test_a_part_of_a_day_is_given_up_by_two_and_taken_up_again(practice: Practice) -> None:
    _, contract = a_deal_of_three_days(practice)
    contract_id = contract["contract_id"]
    first = practice.events(contract_id)[0]["billing_event_id"]
    proposed = practice.pmo.post(
        "/v1/write-offs",
        {
            "kind": "write_off",
            "reason_code": "goodwill",
            "reason": "The workshop began late",
            "billing_event_ids": [first],
            "quantity": "2.00",
        },
    )
    [effect] = proposed["effects"]
    assert (effect["realisation_before"], effect["realisation_after"]) == ("100.00", "91.67")
    path = f"/v1/write-offs/{proposed['write_off']['write_off_id']}"
    approved = practice.finance.post(f"{path}:approve", {})["write_off"]
    assert approved["status"] == "approved"
    assert line_of(practice, contract_id)["written_off"]["amount"] == money("280.00")
    assert line_of(practice, contract_id)["open"]["amount"] == money("3080.00")

    practice.finance.post(f"{path}:undo", {"reason": "The client pays after all"})
    assert line_of(practice, contract_id)["written_off"]["amount"] == money("0.00")
    assert line_of(practice, contract_id)["open"]["amount"] == money("3360.00")
    assert practice.broken_invariants() == []


def test_a_rate_is_tried_out_beside_the_live_one(practice: Practice) -> None:
    entity, contract = a_deal_of_three_days(practice)
    entry = {"role": "consultant", "hourly_rate": money("150.00"), "valid_from": "2026-01-01"}
    card = {
        "rate_card_id": "01980000-0000-7000-8000-00000000d001",
        "version": 1,
        "code": "RC-NEXT",
        "currency": "EUR",
        "legal_entity_id": entity,
        "entries": [entry],
    }
    started = practice.sales.post(
        "/v1/shadow-runs",
        {
            "name": "Rates of next year",
            "rules": {"rate_cards": [card], "ignore_line_rates": True},
            "scope": {"contract_id": contract["contract_id"]},
        },
    )["shadow_run"]
    path = f"/v1/shadow-runs/{started['shadow_run_id']}"

    def done() -> Document | None:
        run: Document = practice.sales.get(path)["shadow_run"]
        return run if run["status"] == "done" else None

    run = practice.until("the comparison is done", done)
    assert [total["difference"] for total in run["totals"]] == [money("240.00")]
    differences = list(practice.sales.pages(f"{path}/differences", "differences"))
    assert {each["difference"]["amount"] for each in differences} == {"80.00"}
    events = practice.events(contract["contract_id"])
    assert sum(Decimal(event["amount"]["amount"]) for event in events) == 3360
    assert practice.broken_invariants() == []


def test_work_in_progress_of_a_past_day_is_told_by_person(practice: Practice) -> None:
    _, contract = a_deal_of_three_days(practice)
    of_contract = {"contract_id": contract["contract_id"]}
    practice.advance(3)
    as_of = practice.day(-2)
    wip = practice.finance.get("/v1/wip", as_of=as_of, group_by="person", **of_contract)
    assert wip["totals"] == [money("3360.00")]
    assert len({line["person_id"] for line in wip["lines"]}) == 1
    again = practice.finance.get("/v1/wip", as_of=as_of, group_by="person", **of_contract)
    assert again == wip


def a_deal_of_three_days(practice: Practice) -> tuple[str, Document]:
    """Return entity and contract of three approved days at 1,120.00 that wait for a person."""
    entity = practice.found_entity()
    practice.finance.put(
        f"/v1/release-policies/{entity}",
        {
            "threshold": money("5000.00"),
            "rules": [{"name": "All time", "types": ["time"], "threshold": money("0.00")}],
        },
    )
    contract = practice.deal(entity, practice.customer(), [by_the_hour("140.00")])
    [project] = practice.projects(contract["contract_id"])
    ada = practice.hire(entity)
    task = next(task for task in project["tasks"] if task["billable"])
    day: dict[str, Any] = {"person_id": ada, "task_id": task["task_id"], "minutes": 480}
    for number in range(3):
        practice.record([day | {"work_date": practice.day(0), "note": f"Day {number}"}])
        practice.advance(1)
    practice.until(
        "the days wait for a person",
        lambda: len(practice.events(contract["contract_id"], status="eligible")) == 3,
    )
    return entity, contract


def line_of(practice: Practice, contract_id: str) -> Document:
    """Return where the only line of a contract stands."""
    [line] = practice.finance.get(f"/v1/contracts/{contract_id}/position")["lines"]
    return dict(line)
