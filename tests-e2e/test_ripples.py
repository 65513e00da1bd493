"""What projects depend on changes: open ones follow, closed ones and issued documents stay."""

from collections.abc import Mapping
from typing import Any

from e2e_billing import invoiced, work
from e2e_practice import Practice, by_the_hour

from throughline_cli.api import Document
from throughline_cli.story import firm

_SIGNATURE = {"signatory": "M. Roth", "document_sha256": "5" * 64}


def test_a_customer_is_renamed_and_its_invoices_go_elsewhere(practice: Practice) -> None:
    entity = practice.found_entity()
    buyer, holding = (practice.new_customer(tax_id=practice.tax_id()) for _ in range(2))
    contract, done = (practice.deal(entity, buyer, [by_the_hour()]) for _ in range(2))
    [project] = practice.projects(contract["contract_id"])
    [closed] = practice.projects(done["contract_id"])
    path = f"/v1/projects/{closed['project_id']}"
    practice.pmo.post(f"{path}:close", {"reason": "Delivered in one day"})
    iris = practice.hire(entity)
    work(practice, project, iris)
    first = printed(practice, entity, "first")
    former = first["buyer"]["name"]

    # The buyer is renamed and moves; from today on its holding receives the invoices.
    renamed = practice.name("Roth SE")
    practice.sales.patch(
        f"/v1/customers/{buyer}",
        moved(practice, buyer, street="Neuer Wall 10")
        | {"name": renamed, "details": {"bill_to_customer_id": holding}},
    )
    followed = practice.until(
        "the open project follows its customer",
        lambda: project_when(practice, project, lambda now: now["customer"]["name"] == renamed),
    )
    assert followed["customer"]["bill_to_customer_id"] == holding
    assert followed["version"] > project["version"]
    [change] = changes(practice, project, kind="customer")
    facts = {fact["fact"]: (fact["old_value"], fact["new_value"]) for fact in change["facts"]}
    assert facts["name"] == (former, renamed)
    assert set(facts) == {"name", "address", "bill_to_customer_id"}
    assert change["project_version"] == followed["version"]
    assert current(practice, closed)["customer"]["name"] == former
    assert changes(practice, closed) == []

    move_bill_to(practice, contract, holding)
    practice.advance(1)
    work(practice, project, iris)
    second = printed(practice, entity, "second")

    assert (second["customer_id"], second["buyer"]["party_id"]) == (holding, holding)
    assert (first["customer_id"], first["buyer"]["party_id"]) == (buyer, buyer)
    assert practice.finance.get(f"/v1/invoices/{first['invoice_id']}")["invoice"] == first
    assert practice.broken_invariants() == []


def test_zone_and_calendar_of_a_company_reach_its_open_projects(practice: Practice) -> None:
    entity = practice.found_entity()
    buyer = practice.new_customer(tax_id=practice.tax_id())
    contracts = [practice.deal(entity, buyer, [by_the_hour()]) for _ in range(3)]
    *open_ones, closed = [practice.projects(each["contract_id"])[0] for each in contracts]
    practice.pmo.post(f"/v1/projects/{closed['project_id']}:close", {"reason": "Given up"})

    practice.finance.patch(
        f"/v1/legal-entities/{entity}",
        {
            **{key: firm.ENTITIES[0][key] for key in ("name", "address", "tax_id", "registration")},
            **{key: firm.ENTITIES[0][key] for key in ("iban", "bic", "billing_email")},
            "time_zone": "Europe/Lisbon",
            "details": {"holiday_subdivision": "BY", "working_days": [1, 2, 3, 4]},
        },
    )

    practice.until(
        "the projects have the days of their company",
        lambda: {current(practice, each)["time_zone"] for each in open_ones} == {"Europe/Lisbon"},
    )
    for project in open_ones:
        now = current(practice, project)
        assert now["legal_entity"]["holiday_subdivision"] == "BY"
        assert now["legal_entity"]["working_days"] == [1, 2, 3, 4]
        kinds = {each["kind"] for each in changes(practice, project)}
        assert kinds == {"delivering_entity", "selling_entity"}
    assert current(practice, closed)["time_zone"] == closed["time_zone"]
    iris = practice.hire(entity)
    days = practice.pmo.get(
        f"/v1/persons/{iris}/working-days", first_on=practice.day(0), before=practice.day(14)
    )["days"]
    assert len([each for each in days if each["contracted_minutes"]]) == 8


def test_projects_are_handed_over_and_a_manager_who_leaves_is_told_of(practice: Practice) -> None:
    entity = practice.found_entity()
    leaving, staying = practice.hire(entity), practice.hire(entity)
    buyer = practice.new_customer(tax_id=practice.tax_id())
    contracts = [practice.deal(entity, buyer, [by_the_hour()]) for _ in range(3)]
    *open_ones, closed = [practice.projects(each["contract_id"])[0] for each in contracts]
    for project in (*open_ones, closed):
        path = f"/v1/projects/{project['project_id']}"
        practice.pmo.post(f"{path}:assign-manager", {"manager_person_id": leaving})
    practice.pmo.post(f"/v1/projects/{closed['project_id']}:close", {"reason": "Given up"})

    practice.pmo.post(f"/v1/persons/{leaving}:end-employment", {"ends_on": practice.day(30)})
    told = practice.until(
        "the project office knows", lambda: exceptions_of(practice, entity, "manager_leaving")
    )
    assert "/v1/projects:reassign-manager" in told[0]["advice"]

    wish = {"from_person_id": leaving, "to_person_id": staying, "reason": "Leaves the firm"}
    dry = practice.pmo.post("/v1/projects:reassign-manager", wish | {"dry_run": True})
    assert dry["handover"]["remaining_projects"] == 2
    done = practice.pmo.post("/v1/projects:reassign-manager", wish, key="hand over")
    assert practice.pmo.post("/v1/projects:reassign-manager", wish, key="hand over") == done
    assert (done["handover"]["status"], done["handover"]["moved_projects"]) == ("done", 2)

    assert {current(practice, each)["manager_person_id"] for each in open_ones} == {staying}
    assert current(practice, closed)["manager_person_id"] == leaving
    [last, _] = changes(practice, open_ones[0], kind="manager")
    assert (last["reason"], last["changed_by"]) == ("Leaves the firm", "petra.pmo")
    practice.until(
        "nothing is left to be told of",
        lambda: not exceptions_of(practice, entity, "manager_leaving"),
    )


def moved(practice: Practice, customer_id: str, *, street: str) -> dict[str, Any]:
    """Return what may be edited of a customer, as it is but for the street."""
    found = practice.sales.get(f"/v1/customers/{customer_id}")["customer"]
    names = ("name", "address", "tax_id", "payment_terms_days", "currency", "billing_email")
    kept = {name: found[name] for name in names if name in found}
    return kept | {"address": found["address"] | {"lines": [street]}}


def move_bill_to(practice: Practice, contract: Mapping[str, Any], customer_id: str) -> None:
    """Agree by a change order who receives the invoices from today on."""
    contract_id = contract["contract_id"]
    made = practice.sales.post(
        f"/v1/contracts/{contract_id}/change-orders",
        {
            "reason": "Invoices go to the holding",
            "effective_on": practice.day(0),
            "content": {"bill_to_customer_id": customer_id},
        },
    )
    path = f"/v1/change-orders/{made['change_order']['change_order_id']}"
    practice.sales.post(f"{path}:propose", {})
    signature = _SIGNATURE | {"signed_on": practice.day(0)}
    practice.deal_desk.post(f"{path}:approve", {"signature": signature})
    practice.until(
        "the terms name the new bill-to",
        lambda: practice.contract(contract_id)["bill_to_customer_id"] == customer_id,
    )
    assert practice.broken_invariants() == []


def printed(practice: Practice, entity_id: str, run_key: str) -> Document:
    """Invoice what is released until today, and return the only document of it, printed."""
    [issued] = invoiced(practice, entity_id, run_key)

    def made() -> Document | None:
        found: Document = practice.finance.get(f"/v1/invoices/{issued['invoice_id']}")["invoice"]
        return found if found["document_step"] == "done" else None

    return practice.until("its document is made", made)


def current(practice: Practice, project: Document) -> Document:
    found: Document = practice.pmo.get(f"/v1/projects/{project['project_id']}")["project"]
    return found


def project_when(practice: Practice, project: Document, holds: Any) -> Document | None:
    now = current(practice, project)
    return now if holds(now) else None


def changes(practice: Practice, project: Document, **filters: str) -> list[Document]:
    path = f"/v1/projects/{project['project_id']}/changes"
    return list(practice.pmo.pages(path, "changes", **filters))


def exceptions_of(practice: Practice, entity_id: str, kind: str) -> list[Document]:
    filters = {"service": "project-provisioning", "kind": kind, "legal_entity_id": entity_id}
    return list(practice.pmo.pages("/v1/operations/exceptions", "exceptions", **filters))
