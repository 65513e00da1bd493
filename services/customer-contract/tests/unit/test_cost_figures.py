"""Planned costs are for those who plan them, wherever in a reply they stand."""

from dataclasses import replace

import pytest

from customer_contract.grpc_api.cost_figures import for_caller, may_see_costs
from throughline.common.v1.money_pb2 import Money
from throughline.customer_contract.v1 import change_order_service_pb2 as change_order_pb
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.serving import a_caller

COST = Money(amount="9000.00", currency="EUR")


@pytest.mark.parametrize(
    ("caller", "may"),
    [
        (a_caller("sales_operations"), True),
        (a_caller("pmo"), True),
        (a_caller("finance"), True),
        (a_caller("admin"), True),
        (Caller.service("project-provisioning"), True),
        (a_caller("integration"), False),
        (a_caller("auditor"), False),
        (a_caller("consultant"), False),
        (a_caller("auditor", scopes=["contracts.read"]), False),
        (a_caller("auditor", scopes=["contracts.read", "costs.read"]), True),
        (replace(a_caller("consultant"), actor="project-provisioning"), True),
    ],
)
def test_who_plans_budgets_or_was_given_the_scope_sees_them(caller: Caller, may: bool) -> None:
    assert may_see_costs(caller) is may


def a_contract() -> contract_pb2.Contract:
    terms = quote_pb2.ServiceLine(service_code="ADVISORY-TM", unit_price=COST, cost_budget=COST)
    return contract_pb2.Contract(lines=[contract_pb2.ContractLine(terms=terms)] * 2)


def test_a_contract_is_shown_without_them_and_with_everything_else() -> None:
    with acting_as(a_caller("auditor")):
        shown = for_caller(contract_pb.ListContractsResponse(contracts=[a_contract()] * 2))

    for contract in shown.contracts:
        assert [line.terms.HasField("cost_budget") for line in contract.lines] == [False, False]
        assert {line.terms.unit_price.amount for line in contract.lines} == {"9000.00"}


def test_planners_are_shown_all_of_it() -> None:
    with acting_as(a_caller("pmo")):
        reply = contract_pb.GetContractResponse(contract=a_contract())
        assert for_caller(reply).contract == a_contract()


def test_a_difference_in_them_is_told_without_the_figures() -> None:
    budget = quote_pb.QuoteDifference(term="cost_budget", old_value="1.00 EUR", new_value="2.00")
    price = quote_pb.QuoteDifference(term="unit_price", old_value="3.00 EUR", new_value="4.00")
    with acting_as(a_caller("integration")):
        shown = for_caller(quote_pb.CompareQuoteVersionsResponse(differences=[budget, price]))

    assert list(shown.differences) == [quote_pb.QuoteDifference(term="cost_budget"), price]


def test_neither_added_nor_altered_lines_of_a_change_order_tell_them() -> None:
    content = change_order_pb.ChangeOrderContent(
        added_lines=[change_order_pb.AddedLine(terms=quote_pb.QuoteLineTerms(cost_budget=COST))],
        altered_lines=[change_order_pb.AlteredLine(cost_budget=COST)],
    )
    with acting_as(a_caller("auditor")):
        order = for_caller(
            change_order_pb.GetChangeOrderResponse(
                change_order=change_order_pb.ChangeOrder(content=content)
            )
        ).change_order

    assert not order.content.added_lines[0].terms.HasField("cost_budget")
    assert not order.content.altered_lines[0].HasField("cost_budget")
