"""One deal, three entities, two regions: sold once, delivered in parts, under one engagement."""

from e2e_practice import Practice, at_a_fixed_fee, by_the_hour, each_month

from throughline_cli.api import Document


def test_a_global_deal_becomes_one_project_for_each_entity_and_region(practice: Practice) -> None:
    germany = practice.found_entity()
    austria = practice.found_entity(name="Nordstern Beratung GmbH, Wien")
    france = practice.found_entity(name="Nordstern Conseil SAS")
    contract = practice.deal(
        germany,
        practice.customer(),
        [
            at_a_fixed_fee("24000.00"),
            by_the_hour(delivering_legal_entity_id=austria, region="dach"),
            by_the_hour(delivering_legal_entity_id=france, region="west"),
            each_month(region="west"),
        ],
    )

    projects = practice.projects(contract["contract_id"], 4)

    assert len(projects) == 4
    places = {(project["legal_entity_id"], project["region"]) for project in projects}
    assert places == {(germany, ""), (austria, "dach"), (france, "west"), (germany, "west")}
    [master] = [project for project in projects if not project.get("master_project_id")]
    assert master["legal_entity_id"] == germany
    assert master["region"] == ""
    assert {project["master_project_id"] for project in projects if project is not master} == {
        master["project_id"]
    }
    for shared in ("engagement_id", "correlation_id", "selling_legal_entity_id"):
        assert len({project[shared] for project in projects}) == 1
    lines = [
        task["contract_line_id"]
        for project in projects
        for task in project["tasks"]
        if not task.get("parent_task_id")
    ]
    assert {line["contract_line_id"] for line in contract["lines"]} == set(lines)
    run = practice.run_of(contract["contract_id"])
    assert set(run["project_ids"]) == {project["project_id"] for project in projects}

    # Each entity's people work on its own part; the seller's contract is billed for all of it.
    for entity, project in ((austria, projects), (france, projects)):
        [own] = [each for each in project if each["legal_entity_id"] == entity]
        task = next(task for task in own["tasks"] if task["billable"])
        row = {
            "person_id": practice.hire(entity),
            "task_id": task["task_id"],
            "work_date": practice.day(0),
            "minutes": 300,
            "note": "Roll-out",
        }
        practice.record([row])

    def both() -> list[Document] | None:
        events = practice.events(contract["contract_id"], type="time")
        return events if len(events) == 2 else None

    events = practice.until("both are rated", both)
    assert {event["legal_entity_id"] for event in events} == {germany}
    assert {event["delivering_legal_entity_id"] for event in events} == {austria, france}
    assert practice.broken_invariants() == []
