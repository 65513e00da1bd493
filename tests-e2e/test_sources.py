"""What is billed besides hours: metered usage, progress, a subcontractor in dollars, goodwill."""

from datetime import date
from decimal import Decimal
from typing import Any

from e2e_billing import invoiced
from e2e_practice import Practice, money

from throughline_cli.api import Document, Refused


def test_a_month_of_usage_progress_a_subcontractor_and_goodwill_is_invoiced(
    practice: Practice,
) -> None:
    offer_services(practice)
    entity = practice.found_entity()
    contract = practice.deal(entity, practice.customer(), [metered(), by_progress(), passed_on()])
    contract_id = contract["contract_id"]
    devices, migration, bought = (line["contract_line_id"] for line in contract["lines"])
    known = f"/v1/contracts/{contract_id}/billing-calendar"
    calendar = practice.until(
        "the contract's calendar is planned",
        lambda: list(calendar_of(practice, known)),
    )
    usage = [entry for entry in calendar if entry["kind"] == "usage"]
    first_day, next_day = usage[0]["service_from"], usage[0]["service_to"]
    began = practice.today
    practice.advance(1)

    # Devices are counted by the day; the same delivery twice is one.
    readings = [reading(devices, f"{first_day}T12:00:00Z", "90", "R-1")]
    readings.append(reading(devices, f"{began.isoformat()}T13:00:00Z", "45.5", "R-2"))
    for delivery in range(2):
        done = practice.integration.post("/v1/usage-records:import", {"rows": readings})
        assert (done["recorded"], done["duplicates"]) == ((2, 0), (0, 2))[delivery]
    period = practice.finance.get(f"/v1/usage-periods/{usage[0]['reference']}")
    assert (period["usage_period"]["quantity"], period["amount"]["amount"]) == ("135.5", "177.50")

    # Progress takes two persons, and so does what was bought.
    approve_progress(practice, contract_id, migration, "40")
    own = practice.refusal(
        lambda: practice.pmo.post(
            "/v1/purchases:approve", {"purchase_ids": [buy(practice, contract_id, bought)]}
        )
    )
    assert own.code == "purchase.second_person_required"
    purchase_id = buy(practice, contract_id, bought)
    practice.finance.post("/v1/purchases:approve", {"purchase_ids": [purchase_id]})
    held = practice.until(
        "the bill in dollars waits for a rate",
        lambda: list(
            practice.finance.pages(
                "/v1/holds", "holds", contract_id=contract_id, reason="missing_fx_rate"
            )
        ),
    )
    assert "from USD to EUR" in held[0]["detail"]
    record_rate(practice)

    adjust(practice, contract_id, migration, "-250.00")
    practice.until("three things are rated", lambda: amounts_of(practice, contract_id, 3))

    # The month ends: usage is charged by itself.
    practice.advance((date.fromisoformat(next_day) - practice.today).days + 1)
    amounts = practice.until("usage is charged", lambda: amounts_of(practice, contract_id, 4))
    assert amounts == {
        "usage": Decimal("177.50"),
        "progress": Decimal("8000.00"),
        "expense": Decimal("840.00"),
        "adjustment": Decimal("-250.00"),
    }

    # One more reading of that month prices it anew, before or after it is invoiced.
    late = reading(devices, f"{began.isoformat()}T14:00:00Z", "10", "R-3")
    done = practice.integration.post("/v1/usage-records:import", {"rows": [late]})
    assert done["repriced_periods"] == 1
    practice.until(
        "the difference is posted",
        lambda: usage_net(practice, contract_id) == Decimal("227.50"),
    )

    release(practice, contract_id)
    invoices = invoiced(practice, entity)
    total = sum((Decimal(invoice["net_total"]["amount"]) for invoice in invoices), Decimal(0))
    assert total == Decimal("227.50") + 8000 + 840 - 250
    chain = practice.until(
        "what was bought is on an invoice",
        lambda: lineage(practice, "purchase", purchase_id, through="invoice"),
    )
    assert chain["source_record"] == f"erp bill VB-{bought}"
    assert chain["purchase"] == "Northwind Engineering: Penetration test"
    assert practice.broken_invariants() == []


def offer_services(practice: Practice) -> None:
    usage = {
        "meter": "managed_devices",
        "period_months": 1,
        "aggregation": "sum",
        "included_quantity": "100",
        "tiers": [{"unit_price": money("5.00")}],
    }
    common = {"tax_category": "professional_services"}
    practice.offer_service(
        "DEVICES",
        common
        | {
            "name": "Managed devices",
            "billing_model": "usage",
            "template_code": "support",
            "usage": usage,
        },
    )
    practice.offer_service(
        "MIGRATION",
        common
        | {
            "name": "Migration by progress",
            "billing_model": "fixed_fee",
            "template_code": "delivery",
            "fixed_fee_billing": "percent_complete",
        },
    )


def metered() -> Document:
    return {
        "service_code": "DEVICES",
        "quantity": "1",
        "unit_price": money("0.00"),
        "anchor_day": 1,
    }


def by_progress() -> Document:
    return {"service_code": "MIGRATION", "quantity": "1", "unit_price": money("20000.00")}


def passed_on() -> Document:
    return {"service_code": "EXPENSES", "quantity": "1", "unit_price": money("5000.00")}


def calendar_of(practice: Practice, path: str) -> list[Document]:
    """Return what comes due of a contract; nothing while billing has not heard of it."""
    try:
        return list(practice.finance.pages(path, "entries"))
    except Refused as refused:
        if refused.code != "contract.not_found":
            raise
        return []


def reading(line_id: str, at: str, quantity: str, number: str) -> dict[str, Any]:
    return {
        "contract_line_id": line_id,
        "quantity": quantity,
        "measured_at": at,
        "source": {
            "system": "monitoring",
            "object_type": "count",
            "object_id": f"{line_id}-{number}",
        },
    }


def approve_progress(practice: Practice, contract_id: str, line_id: str, percent: str) -> None:
    report = {
        "contract_id": contract_id,
        "percent": percent,
        "as_of": practice.day(0),
        "evidence": "Steering committee minutes",
    }
    path = f"/v1/contract-lines/{line_id}/progress-reports"
    made = practice.pmo.post(path, report)["progress_report"]
    approve = f"/v1/progress-reports/{made['progress_report_id']}:approve"
    refused = practice.refusal(lambda: practice.pmo.post(approve, {}))
    assert refused.code == "progress_report.second_person_required"
    done = practice.finance.post(approve, {})["progress_report"]
    assert done["amount"]["amount"] == "8000.00"


def buy(practice: Practice, contract_id: str, line_id: str) -> str:
    row = {
        "contract_id": contract_id,
        "contract_line_id": line_id,
        "category": "subcontractor",
        "supplier": "Northwind Engineering",
        "document_number": "NW-0001",
        "description": "Penetration test",
        "incurred_on": practice.day(0),
        "cost": money("1000.00", "USD"),
        "source": {"system": "erp", "object_type": "bill", "object_id": f"VB-{line_id}"},
    }
    [result] = practice.pmo.post("/v1/purchases:import", {"rows": [row]})["results"]
    return str(result["purchase_id"])


def lineage(practice: Practice, kind: str, key: str, *, through: str) -> dict[str, str] | None:
    """Return the labels of a chain by kind, None as long as nothing on it is of kind `through`."""
    chain = practice.finance.get(f"/v1/lineage/{kind}/{key}")
    found = {node["kind"]: node["label"] for node in chain["nodes"]}
    return found if through in found else None


def record_rate(practice: Practice) -> None:
    rate = {
        "base": "EUR",
        "quote": "USD",
        "rate_on": practice.day(0),
        "source": practice.name("rates").replace(" ", "-"),
        "rate": "1.25",
    }
    practice.finance.post("/v1/exchange-rates:import", {"rates": [rate]})


def adjust(practice: Practice, contract_id: str, line_id: str, amount: str) -> None:
    reason = {"description": "Goodwill of the account manager", "active": True}
    practice.finance.put("/v1/adjustment-reasons/goodwill", reason)
    adjustment = {
        "contract_id": contract_id,
        "contract_line_id": line_id,
        "amount": money(amount),
        "service_on": practice.day(0),
        "reason_code": "goodwill",
        "description": "Allowance for the outage",
    }
    made = practice.finance.post("/v1/adjustments", adjustment)["adjustment"]
    practice.controller.post(f"/v1/adjustments/{made['adjustment_id']}:approve", {})


def amounts_of(practice: Practice, contract_id: str, number: int) -> dict[str, Decimal] | None:
    """Return what each kind of thing comes to, once there are so many."""
    sums: dict[str, Decimal] = {}
    for event in practice.events(contract_id):
        amount = Decimal(event["amount"]["amount"])
        sums[event["type"]] = sums.get(event["type"], Decimal(0)) + amount
    return sums if len(sums) >= number else None


def usage_net(practice: Practice, contract_id: str) -> Decimal:
    events = practice.events(contract_id, type="usage")
    return sum((Decimal(event["amount"]["amount"]) for event in events), Decimal(0))


def release(practice: Practice, contract_id: str) -> None:
    """Let everything that waits for the checkpoint pass, as somebody who approved none of it."""
    waiting = practice.events(contract_id, status="eligible")
    if waiting:
        ids = [event["billing_event_id"] for event in waiting]
        practice.admin.post("/v1/billing-events:release", {"billing_event_ids": ids})
