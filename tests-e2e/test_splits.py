"""One bill for several customers, and one person for several entities: nothing lost in between."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from e2e_billing import invoiced, work
from e2e_practice import Practice, by_the_hour, money

from throughline_cli.api import Document


def test_two_customers_share_what_a_fund_does_not_pay(practice: Practice) -> None:
    entity, buyer = practice.found_entity(), practice.customer()
    partner, fund = (practice.new_customer(tax_id=practice.tax_id()) for _ in range(2))
    payers: list[Mapping[str, Any]] = [
        {"customer_id": fund, "share_percent": "0", "amount": money("1000.00")},
        {"customer_id": buyer, "share_percent": "60", "rounding_payer": True},
        {"customer_id": partner, "share_percent": "40", "purchase_order_number": "P-77"},
    ]
    contract_id = practice.approve(practice.offer(entity, buyer, [by_the_hour("140.00")]))
    refused = practice.refusal(lambda: share_bill(practice, contract_id, payers[1:2]))
    assert refused.code == "contract.payer_shares"
    share_bill(practice, contract_id, payers)
    practice.put_in_force(contract_id)
    [project] = practice.projects(contract_id)
    iris = practice.hire(entity)

    # The fund pays its amount first; of 8.42 hours its last hundredth that fits is the 7.14th.
    work(practice, project, iris, minutes=480)
    rows = practice.until("the day is rated", lambda: rated(practice, contract_id, 3))
    assert borne(rows) == {
        fund: Decimal("999.60"),
        buyer: Decimal("72.80"),
        partner: Decimal("47.60"),
    }
    work(practice, project, iris, minutes=25)
    rows = practice.until("the rest is rated", lambda: rated(practice, contract_id, 5))
    expected = {
        fund: Decimal("999.60"),
        buyer: Decimal("107.80"),
        partner: Decimal("71.40"),
    }
    assert borne(rows) == expected
    assert sum(expected.values()) == Decimal("8.42") * 140
    assert sum(row["minutes"] for row in rows) == 505
    shares = {row["bill_to_customer_id"]: row["share_percent"] for row in rows}
    assert shares == {fund: "0", buyer: "60", partner: "40"}

    invoices = invoiced(practice, entity)
    assert {
        invoice["customer_id"]: Decimal(invoice["net_total"]["amount"]) for invoice in invoices
    } == expected
    assert practice.broken_invariants() == []


def test_a_consultant_who_moves_is_charged_between_the_entities_from_that_day_on(
    practice: Practice,
) -> None:
    germany = practice.found_entity()
    austria = practice.found_entity(name="Nordstern Beratung GmbH, Wien")
    contract = practice.deal(germany, practice.customer(), [by_the_hour("140.00")])
    contract_id = contract["contract_id"]
    [project] = practice.projects(contract_id)
    iris = practice.hire(germany)
    moves_on = practice.day(1)
    transfer = {"legal_entity_id": austria, "effective_on": moves_on}
    practice.pmo.post(f"/v1/persons/{iris}:transfer", transfer)
    work(practice, project, iris, minutes=480)
    practice.advance(1)
    work(practice, project, iris, minutes=465)
    practice.until("both days are rated", lambda: rated(practice, contract_id, 2))

    # Nobody has said yet what the one asks of the other.
    asked = practice.until("finance is asked for a card", lambda: halted(practice, austria))
    assert "consultant" in asked["reason"]
    assert charges(practice, contract_id) == []

    practice.publish(
        practice.sales.post("/v1/rate-cards:propose", a_transfer_card(practice, austria))
    )
    [charge] = practice.until("the day is charged", lambda: charges(practice, contract_id))
    assert (charge["work_date"], charge["person_id"]) == (moves_on, iris)
    assert (charge["lending_legal_entity_id"], charge["borrowing_legal_entity_id"]) == (
        austria,
        germany,
    )
    assert (charge["quantity"], charge["amount"]) == ("7.75", money("736.25"))
    practice.until("the exception is closed", lambda: halted(practice, austria) is None)

    # The customer pays the selling entity for both days alike.
    rows = practice.events(contract_id)
    assert {row["legal_entity_id"] for row in rows} == {germany}
    assert sorted(row["delivering_legal_entity_id"] for row in rows) == sorted([austria, germany])
    [total] = practice.finance.get(
        "/v1/intercompany-charges:summarize", lending_legal_entity_id=austria
    )["totals"]
    assert (total["borrowing_legal_entity_id"], total["month"]) == (germany, f"{moves_on[:7]}-01")
    assert (total["charges"], total["quantity"], total["amount"]) == (
        1,
        "7.75",
        money("736.25"),
    )
    assert practice.broken_invariants() == []


def share_bill(
    practice: Practice, contract_id: str, payers: Sequence[Mapping[str, Any]]
) -> Document:
    """Name on the draft who pays."""
    draft = practice.contract(contract_id)
    kept = ("version", "bill_to_customer_id", "payment_terms_days", "invoice_grouping")
    profile = {name: draft[name] for name in (*kept, "line_detail", "time_rounding_mode")}
    return practice.sales.patch(
        f"/v1/contracts/{contract_id}",
        profile | {"payers": list(payers), "time_rounding_minutes": 1},
    )


def a_transfer_card(practice: Practice, lender: str) -> Document:
    """Return a card by which an entity lends consultants to any other."""
    entry = {"role": "consultant", "hourly_rate": money("95.00"), "valid_from": "2026-01-01"}
    return {
        "code": practice.name("IC").replace(" ", "-"),
        "name": "Consultants lent",
        "currency": "EUR",
        "legal_entity_id": lender,
        "purpose": "transfer",
        "entries": [entry],
    }


def rated(practice: Practice, contract_id: str, number: int) -> list[Document] | None:
    """Return the rows of a contract once there are so many."""
    rows = practice.events(contract_id)
    return rows if len(rows) == number else None


def borne(rows: Sequence[Document]) -> dict[str, Decimal]:
    """Return what each payer bears."""
    found: dict[str, Decimal] = {}
    for row in rows:
        payer = row["bill_to_customer_id"]
        found[payer] = found.get(payer, Decimal(0)) + Decimal(row["amount"]["amount"])
    return found


def charges(practice: Practice, contract_id: str) -> list[Document]:
    return list(
        practice.finance.pages("/v1/intercompany-charges", "charges", contract_id=contract_id)
    )


def halted(practice: Practice, entity_id: str) -> Document | None:
    """Return the open exception of work that no transfer card prices."""
    filters = {
        "service": "billing-event",
        "kind": "intercompany.no_transfer_rate",
        "legal_entity_id": entity_id,
    }
    return next(practice.finance.pages("/v1/operations/exceptions", "exceptions", **filters), None)
