"""A price is agreed late, when work is invoiced: a run corrects it, as the contract says."""

from decimal import Decimal
from typing import Any

import pytest
from e2e_billing import invoiced, work
from e2e_practice import Practice, by_the_hour, money

from throughline_cli.api import Document


@pytest.mark.timeout(300)
def test_an_amended_deal_is_corrected_by_lines_on_the_next_invoice(practice: Practice) -> None:
    entity, contract = a_deal_half_invoiced(practice)
    contract_id = contract["contract_id"]
    agree_rate(practice, contract, "150.00")

    # The change opened a draft by itself; the exception names it.
    told = practice.until("finance is told", lambda: rerating_needed(practice, entity))
    [draft] = runs(practice, contract_id, status="draft")
    run_id = draft["rerating_run_id"]
    assert run_id in told["advice"]
    assert (draft["cause"], draft["scope"]["contract_ids"]) == ("change_order", [contract_id])

    path = f"/v1/rerating-runs/{run_id}"
    practice.finance.post(f"{path}:preview", {})
    reached(practice, run_id, "previewed")
    items = list(practice.finance.pages(f"{path}/items", "items", different_only="true"))
    assert {(each["place"], each["action"], each["difference"]["amount"]) for each in items} == {
        ("invoiced", "debit", "80.00"),
        ("released", "replace", "80.00"),
    }
    [number] = {number for each in items for number in each["invoices"]}
    summary = practice.finance.get(f"{path}/summary")
    [total] = summary["totals"]
    assert (total["items"], total["difference"]) == (2, money("160.00"))
    [line] = summary["by_contract_line"]
    assert line["key"] == contract["lines"][0]["contract_line_id"]
    sheet = practice.finance.get(f"{path}/items:export")["csv"]
    assert number in sheet

    # Nothing is posted before a second person agrees.
    refused = practice.refusal(lambda: practice.finance.post(f"{path}:approve", {}))
    assert refused.code == "rerating_run.second_person_required"
    assert len(practice.events(contract_id)) == 2
    practice.controller.post(f"{path}:approve", {})
    reached(practice, run_id, "applied")

    [invoice] = invoiced(practice, entity, "second")
    assert sorted(line_of(each) for each in invoice["lines"]) == [
        ("-8.00", "140.00", "-1120.00"),
        ("16.00", "150.00", "2400.00"),
    ]
    assert invoice["net_total"]["amount"] == "1280.00"
    practice.until("the exception is closed", lambda: rerating_needed(practice, entity) is None)
    assert practice.broken_invariants() == []


@pytest.mark.timeout(300)
def test_a_contract_may_want_a_credit_note_and_a_new_invoice(practice: Practice) -> None:
    entity, contract = a_deal_half_invoiced(practice, rerating_policy="credit_and_rebill")
    contract_id = contract["contract_id"]
    agree_rate(practice, contract, "130.00")
    opened = {
        "scope": {
            "legal_entity_id": entity,
            "contract_ids": [contract_id],
            "service_from": practice.day(-1),
        },
        "cause": "change_order",
        "reason": "Agreed in the steering committee",
    }
    run_id = practice.finance.post("/v1/rerating-runs", opened)["run"]["rerating_run_id"]
    reached(practice, run_id, "previewed")
    path = f"/v1/rerating-runs/{run_id}"
    items = practice.finance.pages(f"{path}/items", "items", place="invoiced")
    assert [each["action"] for each in items] == ["credit_and_rebill"]
    practice.controller.post(f"{path}:approve", {})
    reached(practice, run_id, "applied")

    note = practice.until("a credit note is drafted", lambda: credit_note(practice, contract_id))
    assert note["net_total"]["amount"] == "1120.00"
    [invoice] = invoiced(practice, entity, "second")
    assert [line_of(each) for each in invoice["lines"]] == [("16.00", "130.00", "2080.00")]
    rows = practice.events(contract_id)
    assert sum(Decimal(row["amount"]["amount"]) for row in rows) == 16 * 130
    assert practice.broken_invariants() == []


def a_deal_half_invoiced(practice: Practice, **profile: Any) -> tuple[str, Document]:
    """Return entity and contract of a deal with two days of work, the first of them invoiced."""
    entity = practice.found_entity()
    contract_id = practice.approve(
        practice.offer(entity, practice.customer(), [by_the_hour("140.00")])
    )
    if profile:
        draft = practice.contract(contract_id)
        kept = ("version", "bill_to_customer_id", "payment_terms_days", "invoice_grouping")
        terms = {name: draft[name] for name in (*kept, "line_detail", "time_rounding_mode")}
        body = terms | {"time_rounding_minutes": 1} | profile
        practice.sales.patch(f"/v1/contracts/{contract_id}", body)
    practice.put_in_force(contract_id)
    [project] = practice.projects(contract_id)
    ada = practice.hire(entity)
    work(practice, project, ada)
    practice.until("the day is rated", lambda: rated(practice, contract_id, 1))
    [invoice] = invoiced(practice, entity, "first")
    assert invoice["net_total"]["amount"] == "1120.00"
    practice.advance(1)
    work(practice, project, ada)
    practice.until("the next day is rated", lambda: rated(practice, contract_id, 2))
    return entity, practice.contract(contract_id)


def agree_rate(practice: Practice, contract: Document, rate: str) -> None:
    """Agree another rate that reaches back to the first day."""
    rates = [{"role": "consultant", "hourly_rate": money(rate), "planned_hours": "400"}]
    line_id = contract["lines"][0]["contract_line_id"]
    altered = [{"contract_line_id": line_id, "rates": {"rates": rates}}]
    contract_id = contract["contract_id"]
    order = practice.agree_change(contract_id, practice.day(-1), {"altered_lines": altered})
    assert order["status"] == "applied"
    # Known to billing once new work would be priced by it.
    practice.until(
        "billing has the terms",
        lambda: (
            practice.finance.get(f"/v1/contracts/{contract_id}/position")["contract_version"] == 2
        ),
    )


def rated(practice: Practice, contract_id: str, number: int) -> bool:
    return len(practice.events(contract_id)) == number


def runs(practice: Practice, contract_id: str, **filters: str) -> list[Document]:
    return list(
        practice.finance.pages("/v1/rerating-runs", "runs", contract_id=contract_id, **filters)
    )


def reached(practice: Practice, run_id: str, status: str) -> None:
    def look() -> bool:
        run = practice.finance.get(f"/v1/rerating-runs/{run_id}")["run"]
        return bool(run["status"] == status)

    practice.until(f"the run is {status}", look)


def rerating_needed(practice: Practice, entity_id: str) -> Document | None:
    """Return the open exception of work that changed terms overtook."""
    filters = {
        "service": "billing-event",
        "kind": "contract.rerating_needed",
        "legal_entity_id": entity_id,
    }
    return next(practice.finance.pages("/v1/operations/exceptions", "exceptions", **filters), None)


def credit_note(practice: Practice, contract_id: str) -> Document | None:
    found = practice.finance.pages(
        "/v1/invoices", "invoices", contract_id=contract_id, document_type="credit_note"
    )
    return next(found, None)


def line_of(line: Document) -> tuple[str, str, str]:
    """Return what an invoice prints of a line: quantity, rate and net."""
    return line["quantity"], line["unit_rate"]["amount"], line["net_amount"]["amount"]
