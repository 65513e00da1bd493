"""Nonsense over gRPC: each is refused by name of field or rule, and changes nothing."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from customer_contract_world import World, a_request_id, eur, sampled_lines

from throughline.common.v1.money_pb2 import Money
from throughline.customer_contract.v1 import change_order_service_pb2 as change_order_pb
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import cost_rate_pb2, customer_pb2, quote_pb2
from throughline.customer_contract.v1 import cost_rate_service_pb2 as cost_pb
from throughline.customer_contract.v1 import credit_service_pb2 as credit_pb
from throughline.customer_contract.v1 import customer_service_pb2 as customer_pb
from throughline.customer_contract.v1 import legal_entity_service_pb2 as entity_pb
from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline.customer_contract.v1.credit_service_pb2_grpc import CreditServiceStub
from throughline_core.errors import Refusal
from throughline_testing.serving import a_caller

UNKNOWN = "01980000-0000-7000-8000-00000000dead"


async def refusal_of(call: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value


def a_line(**changes: Any) -> quote_pb.QuoteLineTerms:
    line: Any = sampled_lines()[1]
    for name, value in changes.items():
        line.ClearField(name)
        if isinstance(value, str | int):
            setattr(line, name, value)
        elif isinstance(value, list):
            getattr(line, name).extend(value)
        else:
            getattr(line, name).CopyFrom(value)
    return cast("quote_pb.QuoteLineTerms", line)


NOUGHT_MONTHS = quote_pb2.RetainerTerms(period_months=0)
TIER = quote_pb2.UsageTier(unit_price=eur("1.00"))
MANY = [sampled_lines()[0]] * 201


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lines": [a_line(quantity="NaN")]}, "terms.lines[0].quantity"),
        ({"lines": [a_line(quantity="-1")]}, "terms.lines[0].quantity"),
        ({"lines": [a_line(quantity="1e9")]}, "terms.lines[0].quantity"),
        ({"lines": [a_line(unit_price=eur("NaN"))]}, "terms.lines[0].unit_price.amount"),
        ({"lines": [a_line(unit_price=eur("Infinity"))]}, "terms.lines[0].unit_price.amount"),
        ({"lines": [a_line(unit_price=eur("-0.01"))]}, "terms.lines[0].unit_price"),
        ({"lines": [a_line(cost_budget=eur("-1"))]}, "terms.lines[0].cost_budget"),
        (
            {"lines": [a_line(cost_budget=Money(amount="1.00", currency="USD"))]},
            "terms.lines[0].cost_budget",
        ),
        ({"lines": [a_line(start_on="2027-02-30")]}, "terms.lines[0].start_on"),
        (
            {"lines": [a_line(start_on="2027-05-01", end_on="2027-04-01")]},
            "terms.lines[0].start_on",
        ),
        (
            {"lines": [a_line(retainer=NOUGHT_MONTHS)]},
            "terms.lines[0].retainer.period_months",
        ),
        (
            {"lines": [a_line(delivering_legal_entity_id="DE01")]},
            "terms.lines[0].delivering_legal_entity_id",
        ),
        (
            {"lines": [a_line(delivering_legal_entity_id=UNKNOWN)]},
            "terms.lines[0].delivering_legal_entity_id",
        ),
        ({"lines": [a_line(region="x" * 41)]}, "terms.lines[0].region"),
        ({"lines": []}, "terms.lines"),
        ({"lines": MANY}, "terms.lines"),
        ({"start_on": "2027-09-01", "end_on": "2026-09-01"}, "terms.end_on"),
        ({"start_on": "2026-09-31"}, "terms.start_on"),
        ({"valid_until": "soon"}, "terms.valid_until"),
        ({"customer_id": UNKNOWN}, "terms.customer_id"),
        ({"customer_id": "C-000001"}, "terms.customer_id"),
        ({"legal_entity_id": UNKNOWN}, "terms.legal_entity_id"),
        ({"currency": "EURO"}, "terms.currency"),
        ({"currency": "XXX"}, "terms.currency"),
    ],
)
async def test_an_offer_of_nonsense_is_refused_and_takes_no_number(
    world: World, changes: dict[str, Any], named: str
) -> None:
    refused = await refusal_of(world.created_quote(**changes))

    assert refused.field == named
    assert await world.count("quote") == 0
    assert (await world.created_quote()).number == "Q-000001"


Ask = Callable[[World], Any]


def costs(**changes: Any) -> Ask:
    values: dict[str, Any] = {
        "role": "consultant",
        "hourly_cost": eur("80.00"),
        "valid_from": "2026-01-01",
    }
    entry = cost_rate_pb2.CostRateEntry(**values | changes)
    return lambda world: world.costs(scopes=["costs.write"]).ProposeCostRates(
        cost_pb.ProposeCostRatesRequest(
            request_id=a_request_id(),
            legal_entity_id=world.entity.legal_entity_id,
            entries=[entry],
        )
    )


def policy(**changes: Any) -> Ask:
    return lambda world: world.proposals().ProposePricePolicy(
        proposal_pb.ProposePricePolicyRequest(
            request_id=a_request_id(), legal_entity_id=world.entity.legal_entity_id, **changes
        )
    )


def listed(**changes: Any) -> Ask:
    return lambda world: world.quotes().ListQuotes(quote_pb.ListQuotesRequest(**changes))


def closed(through: str) -> Ask:
    return lambda world: world.entities().ClosePeriod(
        entity_pb.ClosePeriodRequest(
            request_id=a_request_id(),
            legal_entity_id=world.entity.legal_entity_id,
            closed_through=through,
            version=world.entity.version,
        )
    )


def calendar(from_on: str, to_on: str) -> Ask:
    return lambda world: world.entities().GetCalendar(
        entity_pb.GetCalendarRequest(
            legal_entity_id=world.entity.legal_entity_id, from_on=from_on, to_on=to_on
        )
    )


def exempt(**changes: Any) -> Ask:
    values: dict[str, Any] = {
        "country": "DE",
        "number": "1",
        "valid_from": "2026-01-01",
        "valid_to": "2027-01-01",
    }
    paper = customer_pb2.ExemptionCertificate(**values | changes)
    return lambda world: world.customers().UpdateCustomer(customer_update(world, [paper]))


def customer_update(world: World, papers: list[customer_pb2.ExemptionCertificate]) -> Any:
    return customer_pb.UpdateCustomerRequest(
        request_id=a_request_id(),
        customer_id=world.customer.customer_id,
        version=world.customer.version,
        name=world.customer.name,
        address=world.customer.address,
        payment_terms_days=30,
        currency="EUR",
        details=customer_pb.CustomerDetails(exemption_certificates=papers),
    )


def credits_of(world: World) -> Any:
    return world.running.stub(CreditServiceStub, caller=a_caller("finance"))


def limited(amount: str, currency: str = "EUR") -> Ask:
    return lambda world: credits_of(world).SetCreditLimit(
        credit_pb.SetCreditLimitRequest(
            request_id=a_request_id(),
            customer_id=world.customer.customer_id,
            version=world.customer.version,
            credit_limit=Money(amount=amount, currency=currency),
            reason="new",
        )
    )


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (costs(hourly_cost=eur("NaN")), "entries[0].hourly_cost.amount"),
        (costs(hourly_cost=eur("-1")), "entries[0].hourly_cost"),
        (costs(valid_from="2026-00-01"), "entries[0].valid_from"),
        (listed(page_token="no-token"), "page_token"),
        (listed(page_size=-1), "page_size"),
        (listed(page_size=101), "page_size"),
        (listed(customer_id="*"), "customer_id"),
        (listed(status=99), "status"),
        (closed("2026-02-30"), "closed_through"),
        (closed("2999-01-01"), "closed_through"),
        (calendar("2026-09-01", "2026-09-01"), "to_on"),
        (calendar("2026-01-01", "9999-01-01"), "to_on"),
        (exempt(valid_to="2025-01-01"), "details.exemption_certificates[0].valid_to"),
        (exempt(valid_from="never"), "details.exemption_certificates[0].valid_from"),
        (limited("NaN"), "credit_limit.amount"),
        (limited("-5.00"), "credit_limit.amount"),
        (limited("5.00", "XXX"), "credit_limit.currency"),
    ],
)
async def test_nonsense_is_refused_by_name(world: World, ask: Ask, named: str) -> None:
    assert (await refusal_of(ask(world))).field == named


@pytest.mark.parametrize(
    ("effective_on", "content", "code"),
    [
        ("2026-10-01", {}, "change_order.empty"),
        ("2026-02-30", {"end_on": "2027-10-01"}, None),
        ("2030-01-01", {"end_on": "2027-10-01"}, "change_order.outside_term"),
        ("2026-10-01", {"end_on": "2026-01-01"}, "change_order.outside_term"),
        (
            "2026-10-01",
            {"altered_lines": [change_order_pb.AlteredLine(contract_line_id=UNKNOWN)]},
            "contract.line_not_found",
        ),
        (
            "2026-10-01",
            {"ended_lines": [change_order_pb.EndedLine(contract_line_id=UNKNOWN)]},
            "contract.line_not_found",
        ),
        (
            "2026-10-01",
            {"added_lines": [change_order_pb.AddedLine(key="a", terms=a_line(quantity="NaN"))]},
            None,
        ),
        (
            "2026-10-01",
            {
                "added_lines": [
                    change_order_pb.AddedLine(
                        key="a", terms=a_line(delivering_legal_entity_id=UNKNOWN)
                    )
                ]
            },
            "legal_entity.not_found",
        ),
    ],
)
async def test_a_change_of_nonsense_is_refused_and_takes_no_number(
    world: World, effective_on: str, content: dict[str, Any], code: str | None
) -> None:
    active = await world.an_active()

    create = world.change_orders().CreateChangeOrder(
        world.change_request(active, effective_on, **content)
    )
    refused = await refusal_of(create)

    assert code in (None, refused.stable_code)
    assert await world.count("change_order") == 0
    assert await world.contract(active.contract_id) == active


@pytest.mark.parametrize(
    ("point", "named"),
    [
        ({"as_of": "2026-13-01"}, "as_of"),
        ({"as_of": "1-1-1"}, "as_of"),
        ({"contract_version": -1}, "contract_version"),
        ({"contract_version": 2_000_000_000}, "contract_version"),
    ],
)
async def test_a_point_in_time_that_is_none_is_refused(
    world: World, point: dict[str, Any], named: str
) -> None:
    draft = await world.a_draft()
    get = world.contracts().GetContract(
        contract_pb.GetContractRequest(contract_id=draft.contract_id, **point)
    )
    assert (await refusal_of(get)).field == named
