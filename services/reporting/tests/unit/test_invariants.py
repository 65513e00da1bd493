"""Each invariant holds on books that agree and fails when one figure is off by a cent."""

from copy import deepcopy
from decimal import Decimal

import pytest

from reporting.invariants import check, is_settled

AGREED = {
    "customer-contract": {
        "contracts": {"contracted.EUR": Decimal(100)},
        "outbox": {"customer_contract.contract.activated.v1": Decimal(1)},
    },
    "project-provisioning": {
        "approved_time": {"entries": Decimal(2), "minutes": Decimal(120)},
        "approved_expenses": {"lines": Decimal(1), "net.EUR": Decimal(10)},
        "milestones": {"accepted": Decimal(1), "accepted_amount.EUR": Decimal(40)},
    },
    "billing-event": {
        "source_time": {"entries": Decimal(2), "minutes": Decimal(120)},
        "source_expenses": {"lines": Decimal(1), "net.EUR": Decimal(10)},
        "source_milestones": {"accepted": Decimal(1), "accepted_amount.EUR": Decimal(40)},
        "positions": {
            "rated.EUR": Decimal(97),
            "held.EUR": Decimal(20),
            "eligible.EUR": Decimal(10),
            "released.EUR": Decimal(60),
            "written_off.EUR": Decimal(7),
            "allocated.EUR": Decimal(45),
            "open_released.EUR": Decimal(15),
            "invoiced.EUR": Decimal(50),
            "credited.EUR": Decimal(14),
            "drawn.EUR": Decimal(5),
        },
        "intercompany": {"amount.EUR": Decimal(11)},
        "unexplained_sources": {"count": Decimal(0)},
        "quantity_mismatch": {"count": Decimal(0)},
        "over_allocated": {"count": Decimal(0)},
        "given_up": {"of_taken_back": Decimal(0)},
        "limits": {"over_committed": Decimal(0)},
        "inbox": {"billing-event-take-terms customer_contract.contract.activated.v1": Decimal(1)},
        "parked": {"count": Decimal(0)},
    },
    "invoice-payment": {
        "billable_items": {
            "amount.EUR": Decimal(60),
            "invoiced_amount.EUR": Decimal(50),
            "credited.EUR": Decimal(14),
            "credited_given_up.EUR": Decimal(4),
            "drawn.EUR": Decimal(5),
            "open_amount.EUR": Decimal(15),
            "claimed_live_twice": Decimal(0),
        },
        "invoices": {
            "issued": Decimal(1),
            "gross.EUR": Decimal("53.55"),
            "paid.EUR": Decimal(30),
            "credited.EUR": Decimal(10),
            "open.EUR": Decimal("23.55"),
        },
        "credit_notes": {
            "issued": Decimal(1),
            "gross.EUR": Decimal("16.66"),
            "applied.EUR": Decimal(10),
        },
        "number_series": {"gaps": Decimal(0), "repeats": Decimal(0)},
        "issued_chain": {"breaks": Decimal(0)},
        "journal": {
            "unbalanced": Decimal(0),
            "receivable.EUR": Decimal("23.55"),
            "unapplied_cash.EUR": Decimal(5),
            "contract_asset.EUR": Decimal(15),
            "intercompany_receivable.EUR": Decimal(11),
            "intercompany_payable.EUR": Decimal(11),
            "intercompany_revenue.EUR": Decimal(11),
            "intercompany_cost.EUR": Decimal(11),
        },
        "recognised_open": {"amount.EUR": Decimal(15)},
        "payments": {
            "amount.EUR": Decimal(35),
            "allocated.EUR": Decimal(30),
            "unapplied.EUR": Decimal(5),
        },
    },
    "reporting": {
        "approved_time": {"entries": Decimal(2), "minutes": Decimal(120)},
        "positions": {
            "rated.EUR": Decimal(97),
            "held.EUR": Decimal(20),
            "eligible.EUR": Decimal(10),
            "released.EUR": Decimal(60),
            "written_off.EUR": Decimal(7),
            "allocated.EUR": Decimal(45),
            "invoiced.EUR": Decimal(50),
            "credited.EUR": Decimal(14),
            "drawn.EUR": Decimal(5),
        },
        "intercompany": {"amount.EUR": Decimal(11)},
        "credit_notes": {
            "issued": Decimal(1),
            "gross.EUR": Decimal("16.66"),
            "applied.EUR": Decimal(10),
        },
        "invoices": {
            "issued": Decimal(1),
            "gross.EUR": Decimal("53.55"),
            "paid.EUR": Decimal(30),
        },
        "contracts": {"contracted.EUR": Decimal(100)},
    },
}


def test_books_that_agree_hold_every_invariant() -> None:
    assert [row.number for row in check(AGREED) if not row.holds] == []
    assert len(check(AGREED)) == 9
    assert is_settled(AGREED)


@pytest.mark.parametrize(
    ("service", "total", "figure", "number"),
    [
        ("project-provisioning", "approved_time", "minutes", 1),
        ("project-provisioning", "approved_expenses", "net.EUR", 1),
        ("billing-event", "source_milestones", "accepted_amount.EUR", 1),
        ("billing-event", "unexplained_sources", "count", 1),
        ("billing-event", "positions", "held.EUR", 2),
        ("billing-event", "positions", "credited.EUR", 2),
        ("billing-event", "positions", "drawn.EUR", 2),
        ("billing-event", "positions", "written_off.EUR", 2),
        ("invoice-payment", "billable_items", "credited_given_up.EUR", 2),
        ("invoice-payment", "credit_notes", "applied.EUR", 4),
        ("invoice-payment", "journal", "intercompany_payable.EUR", 4),
        ("reporting", "credit_notes", "gross.EUR", 9),
        ("reporting", "intercompany", "amount.EUR", 9),
        ("invoice-payment", "billable_items", "open_amount.EUR", 2),
        ("invoice-payment", "billable_items", "claimed_live_twice", 3),
        ("billing-event", "over_allocated", "count", 3),
        ("billing-event", "given_up", "of_taken_back", 3),
        ("invoice-payment", "journal", "unbalanced", 4),
        ("invoice-payment", "journal", "receivable.EUR", 4),
        ("invoice-payment", "recognised_open", "amount.EUR", 4),
        ("invoice-payment", "number_series", "gaps", 5),
        ("invoice-payment", "issued_chain", "breaks", 5),
        ("invoice-payment", "payments", "unapplied.EUR", 6),
        ("billing-event", "limits", "over_committed", 7),
        ("billing-event", "parked", "count", 8),
        ("reporting", "positions", "rated.EUR", 9),
        ("reporting", "contracts", "contracted.EUR", 9),
    ],
)
def test_a_cent_off_breaks_the_invariant_that_guards_it(
    service: str, total: str, figure: str, number: int
) -> None:
    books = deepcopy(AGREED)
    books[service][total][figure] += Decimal("0.01")
    assert number in [row.number for row in check(books) if not row.holds]


def test_an_event_not_yet_taken_is_not_settled() -> None:
    books = deepcopy(AGREED)
    books["customer-contract"]["outbox"]["customer_contract.contract.activated.v1"] += 1
    assert not is_settled(books)


def test_a_currency_only_one_side_knows_is_noticed() -> None:
    books = deepcopy(AGREED)
    books["invoice-payment"]["billable_items"]["amount.USD"] = Decimal(1)
    assert 2 in [row.number for row in check(books) if not row.holds]
