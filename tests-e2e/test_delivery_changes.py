"""While work is under way: a consultant changes entity, a plan is redrawn, work is put right."""

from base64 import b64encode
from typing import Any

from e2e_practice import Practice, at_a_fixed_fee, by_the_hour, money

from throughline_cli.api import Document

_PDF = b"%PDF-1.7\nSigned by the client.\n%%EOF\n"


def test_a_consultant_is_transferred_in_the_middle_of_a_project(practice: Practice) -> None:
    germany, austria = practice.found_entity(), practice.found_entity()
    contract = practice.deal(germany, practice.customer(), [by_the_hour()])
    [project] = practice.projects(contract["contract_id"])
    iris = practice.hire(germany)
    practice.record([day_of_work(practice, project, iris, days=0)])

    moved = practice.pmo.post(
        f"/v1/persons/{iris}:transfer",
        {"legal_entity_id": austria, "effective_on": practice.day(1)},
    )
    assert [period["legal_entity_id"] for period in moved["employments"]] == [germany, austria]
    practice.advance(2)
    practice.record([day_of_work(practice, project, iris, days=-1)])

    entries = {
        entry["entry"]["work_date"]: entry["entry"]["legal_entity_id"]
        for entry in practice.pmo.pages("/v1/time-entries", "time_entries", person_id=iris)
    }
    assert entries == {practice.day(-2): germany, practice.day(-1): austria}
    # Time on a day nobody employed the person is refused and changes nothing.
    before = practice.refusal(
        lambda: practice.record([day_of_work(practice, project, iris, days=-400)])
    )
    assert before.status in {400, 409, 422}
    assert practice.broken_invariants() == []


def test_a_new_plan_leaves_the_signed_contract_as_it_was(practice: Practice) -> None:
    entity = practice.found_entity()
    contract = practice.deal(entity, practice.customer(), [by_the_hour(), at_a_fixed_fee()])
    [project] = practice.projects(contract["contract_id"])
    path = f"/v1/projects/{project['project_id']}"
    signed = practice.contract(contract["contract_id"])
    [first] = practice.pmo.get(f"{path}/baselines")["baselines"]
    assert first["number"] == 1

    task = next(task for task in project["tasks"] if task["billable"])
    added = {"name": "Migration", "parent_task_id": task["task_id"], "planned_hours": "80"}
    practice.pmo.post(f"{path}/tasks", {"task": added})
    milestone = project["milestones"][0]
    practice.pmo.post(
        f"/v1/milestones/{milestone['milestone_id']}:reschedule",
        {"due_on": practice.day(60), "reason": "The pilot took longer"},
    )
    taken = practice.pmo.post(
        f"{path}/baselines", {"label": "After the pilot", "reason": "The pilot took longer"}
    )["baseline"]
    compared = practice.pmo.get(f"{path}/baselines:compare", from_number=1, to_number=2)

    assert taken["number"] == 2
    names = {(each["kind"], each["item_kind"], each["name"]) for each in compared["differences"]}
    assert ("added", "task", "Migration") in names
    assert ("changed", "milestone", milestone["name"]) in names
    assert practice.contract(contract["contract_id"]) == signed


def test_a_milestone_is_accepted_in_part_and_the_rest_later(practice: Practice) -> None:
    entity = practice.found_entity()
    contract = practice.deal(entity, practice.customer(), [at_a_fixed_fee("10000.00")])
    [project] = practice.projects(contract["contract_id"])
    milestone = project["milestones"][0]
    path = f"/v1/milestones/{milestone['milestone_id']}"
    practice.pmo.post(f"{path}:complete", {"completed_on": practice.day(0)})

    accepted = practice.pmo.post(f"{path}:accept", acceptance(practice, share_percent="75"))

    assert accepted["milestone"]["amount"] == money("3000.00")
    assert accepted["rest"]["amount"] == money("1000.00")
    assert accepted["rest"]["status"] == "completed"
    open_rest = f"/v1/milestones/{accepted['rest']['milestone_id']}"
    practice.pmo.post(f"{open_rest}:accept", acceptance(practice))

    def all_eligible() -> list[Document] | None:
        events = practice.events(contract["contract_id"], type="milestone")
        waiting = [event for event in events if event["status"] == "held"]
        return events if events and not waiting else None

    events = practice.until("both parts are accepted", all_eligible)
    assert sum(float(event["amount"]["amount"]) for event in events) == 4000
    assert practice.broken_invariants() == []


def test_approved_time_is_put_right_by_counter_entries(practice: Practice) -> None:
    entity = practice.found_entity()
    contract = practice.deal(entity, practice.customer(), [by_the_hour(), by_the_hour("90.00")])
    [project] = practice.projects(contract["contract_id"])
    dear, cheap = [task for task in project["tasks"] if task["billable"]]
    iris = practice.hire(entity)
    row = day_of_work(practice, project, iris, days=0) | {"task_id": dear["task_id"]}
    practice.record([row])
    [entry] = practice.pmo.pages("/v1/time-entries", "time_entries", person_id=iris)
    practice.until("it is rated", lambda: practice.events(contract["contract_id"], type="time"))

    move = {"time_entry_ids": [entry["entry"]["time_entry_id"]], "task_id": cheap["task_id"]}
    preview = practice.pmo.post("/v1/time-entries:preview-move", move)
    assert preview["refused_count"] == 0
    moved = practice.pmo.post(
        "/v1/time-entries:move", move | {"reason": "Booked on the wrong line"}
    )

    assert moved["replacements"][0]["replaces_time_entry_id"] == entry["entry"]["time_entry_id"]
    again = practice.refusal(
        lambda: practice.pmo.post("/v1/time-entries:move", move | {"reason": "Once more"})
    )
    assert again.code is not None
    assert practice.broken_invariants() == []
    position = practice.until(
        "the positions follow", lambda: worth(practice, contract["contract_id"], "720")
    )
    assert position


def day_of_work(
    practice: Practice, project: Document, person_id: str, *, days: int
) -> dict[str, Any]:
    task = next(task for task in project["tasks"] if task["billable"])
    return {
        "person_id": person_id,
        "task_id": task["task_id"],
        "work_date": practice.day(days),
        "minutes": 480,
        "note": f"Build {days}",
    }


def acceptance(practice: Practice, **share: str) -> Document:
    evidence = {"content_type": "application/pdf", "content": b64encode(_PDF).decode()}
    return {
        "accepted_by": "M. Roth",
        "accepted_on": practice.day(0),
        "evidence": evidence,
        **share,
    }


def worth(practice: Practice, contract_id: str, amount: str) -> bool:
    """Whether the time of a contract is worth this much, over all its rows."""
    events = practice.events(contract_id, type="time")
    total = sum(float(event["amount"]["amount"]) for event in events)
    return total == float(amount)
