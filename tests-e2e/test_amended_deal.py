"""A deal is amended twice; the second change reaches back. What was signed and billed stays."""

from e2e_practice import CHANGE_SIGNATURE, Practice, at_a_fixed_fee, by_the_hour, money

from throughline_cli.api import Document


def test_two_change_orders_the_second_of_them_retroactive(practice: Practice) -> None:
    entity = practice.found_entity()
    contract = practice.deal(entity, practice.customer(), [by_the_hour("140.00")])
    contract_id = contract["contract_id"]
    [line] = contract["lines"]
    [project] = practice.projects(contract_id)
    ada = practice.hire(entity)
    work(practice, project, ada, days=0)
    began = practice.today

    # The first change lies ahead: a dearer hour and a second phase from the tenth day on.
    first = practice.agree_change(
        contract_id,
        practice.day(10),
        {
            "altered_lines": [rate_of(line, "150.00")],
            "added_lines": [{"key": "phase_2", "terms": at_a_fixed_fee("12000.00")}],
        },
    )
    assert first["status"] == "approved"
    assert practice.contract(contract_id)["contract_version"] == 1

    practice.advance(10)
    second_version = practice.until(
        "the first change is applied", lambda: terms_of(practice, contract_id, 2)
    )
    assert hourly(second_version) == "150.00"
    assert len(second_version["lines"]) == 2
    practice.until("the project has the second phase", lambda: milestones(practice, contract_id))
    work(practice, project, ada, days=0)

    # The second reaches back to the fifth day.
    reach = practice.day(-5)
    changes = {"altered_lines": [rate_of(line, "145.00")]}
    second = practice.agree_change(contract_id, reach, changes)
    assert second["status"] == "applied"
    changes = practice.sales.get(f"/v1/change-orders/{second['change_order_id']}:compare")[
        "changes"
    ]
    assert [(each["kind"], each["old_value"], each["new_value"]) for each in changes] == [
        ("altered", "140.00", "145.00")
    ]

    # What held on each day, as it is known now, and as it was known before.
    now = {day: hourly(practice.contract(contract_id, as_of=practice.day(day))) for day in (-6, -1)}
    assert now == {-6: "140.00", -1: "145.00"}
    then = practice.contract(
        contract_id, as_of=practice.day(-1), known_at=f"{began.isoformat()}T12:00:00Z"
    )
    assert hourly(then) == "140.00"
    assert [v["contract_version"] for v in versions(practice, contract_id)][:2] == [1, 2]
    assert hourly(terms_of(practice, contract_id, 1) or {}) == "140.00"

    # What was rated keeps the rate it was rated at; new work follows the terms of its day.
    work(practice, project, ada, days=-1)
    rates = practice.until("three days are rated", lambda: rates_by_day(practice, contract_id, 3))
    assert rates == {
        practice.day(-10): "140",
        practice.day(-1): "145",
        practice.day(0): "150",
    }
    assert practice.broken_invariants() == []


def test_a_change_is_agreed_by_two_people_and_signed(practice: Practice) -> None:
    entity = practice.found_entity()
    contract = practice.deal(entity, practice.customer(), [by_the_hour()])
    drafted = practice.draft_change(
        contract["contract_id"],
        practice.day(0),
        {"altered_lines": [rate_of(contract["lines"][0], "160.00")]},
    )
    path = f"/v1/change-orders/{drafted['change_order_id']}"
    practice.sales.post(f"{path}:propose", {})
    signature = {"signature": CHANGE_SIGNATURE | {"signed_on": practice.day(0)}}

    refused = practice.refusal(lambda: practice.sales.post(f"{path}:approve", signature))

    assert refused.code == "change_order.approved_by_proposer"
    assert practice.contract(contract["contract_id"])["contract_version"] == 1


def rate_of(line: Document, rate: str) -> Document:
    rates = [{"role": "consultant", "hourly_rate": money(rate), "planned_hours": "400"}]
    return {"contract_line_id": line["contract_line_id"], "rates": {"rates": rates}}


def work(practice: Practice, project: Document, person_id: str, *, days: int) -> None:
    """Record an approved day of eight hours."""
    task = next(task for task in project["tasks"] if task["billable"])
    row = {
        "person_id": person_id,
        "task_id": task["task_id"],
        "work_date": practice.day(days),
        "minutes": 480,
        "note": "Build",
    }
    assert practice.record([row])["recorded_count"] == 1


def hourly(contract: Document) -> str:
    rate: str = contract["lines"][0]["terms"]["rates"][0]["hourly_rate"]["amount"]
    return rate


def versions(practice: Practice, contract_id: str) -> list[Document]:
    found: list[Document] = practice.sales.get(f"/v1/contracts/{contract_id}/versions")["versions"]
    return found


def terms_of(practice: Practice, contract_id: str, version: int) -> Document | None:
    if practice.contract(contract_id)["contract_version"] < version:
        return None
    return practice.contract(contract_id, contract_version=str(version))


def milestones(practice: Practice, contract_id: str) -> list[Document]:
    return [one for project in practice.projects(contract_id) for one in project["milestones"]]


def rates_by_day(practice: Practice, contract_id: str, days: int) -> dict[str, str] | None:
    """Return the rate of each day once so many are rated."""
    found = {
        event["service_from"]: event["unit_rate"]["amount"].rstrip("0").rstrip(".")
        for event in practice.events(contract_id)
    }
    return found if len(found) == days else None
