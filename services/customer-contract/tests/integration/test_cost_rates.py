"""Cost rates over gRPC: two persons, for finance only, and in nobody else's replies."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from customer_contract_world import World, a_request_id, eur, ids_of
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from throughline.customer_contract import v1
from throughline.customer_contract.v1 import cost_rate_pb2
from throughline.customer_contract.v1 import cost_rate_service_pb2 as pb
from throughline.customer_contract.v1.cost_rate_pb2 import CostRateCard, CostRateEntry
from throughline_core.errors import PermissionDenied, Refusal
from throughline_runtime.rpc.access import access_of

UNKNOWN = "01980000-0000-7000-8000-00000000dead"
PRIVY = {"ROLE_FINANCE"}


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


def a_cost(role: str, amount: str, **changes: Any) -> CostRateEntry:
    values: dict[str, Any] = {"role": role, "valid_from": "2026-01-01"}
    return CostRateEntry(**values | changes, hourly_cost=eur(amount))


def a_request(world: World, *entries: CostRateEntry, **changes: Any) -> pb.ProposeCostRatesRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "legal_entity_id": world.entity.legal_entity_id,
        "entries": entries or [a_cost("consultant", "71.25")],
    }
    return pb.ProposeCostRatesRequest(**values | changes)


async def published(world: World, *entries: CostRateEntry) -> CostRateCard:
    proposed = await world.costs(subject="frieda").ProposeCostRates(a_request(world, *entries))
    reply = await world.costs(subject="fred").PublishCostRates(
        pb.PublishCostRatesRequest(
            request_id=a_request_id(), proposal_id=proposed.proposal.proposal_id
        )
    )
    return reply.proposal.cost_rate_card


async def test_costs_take_two_persons_and_are_announced(world: World) -> None:
    frieda = world.costs(subject="frieda")
    proposal = (await frieda.ProposeCostRates(a_request(world))).proposal
    publish = pb.PublishCostRatesRequest(
        request_id=a_request_id(), proposal_id=proposal.proposal_id
    )
    assert await refusal_of(frieda.PublishCostRates(publish)) == "proposal.published_by_proposer"
    await world.costs(subject="fred").PublishCostRates(publish)

    listed = (await frieda.ListCostRateCards(pb.ListCostRateCardsRequest())).cost_rate_cards
    assert [(one.version, one.currency) for one in listed] == [(1, "EUR")]
    assert (await world.events())[-1] == "cost_rate_card.published.v1"
    again = frieda.ProposeCostRates(a_request(world))
    assert await refusal_of(again) == "cost_rate.unchanged"
    waiting = await frieda.ListCostRateProposals(pb.ListCostRateProposalsRequest())
    assert [one.decided_by for one in waiting.proposals] == ["fred"]


async def test_versions_of_costs_stay_and_the_past_is_known_as_it_was(
    world: World, move_clock: Any
) -> None:
    for day, amount in ((1, "71.25"), (2, "73.00")):
        move_clock(datetime(2027, 1, day, tzinfo=UTC))
        card = await published(world, a_cost("consultant", amount))
    versions = await world.costs().ListCostRateCardVersions(
        pb.ListCostRateCardVersionsRequest(cost_rate_card_id=card.cost_rate_card_id)
    )
    assert [one.version for one in versions.cost_rate_cards] == [1, 2]

    async def known(at: datetime | None) -> str:
        request = pb.ResolveCostRateRequest(
            legal_entity_id=world.entity.legal_entity_id,
            work_date="2026-09-02",
            role="consultant",
        )
        if at is not None:
            request.known_at.FromDatetime(at)
        return (await world.costs().ResolveCostRate(request)).hourly_cost.amount

    assert await known(None) == "73.00"
    assert await known(datetime(2027, 1, 1, 12, tzinfo=UTC)) == "71.25"
    assert await refusal_of(known(datetime(2026, 1, 1, tzinfo=UTC))) == "cost_rate.not_found"


async def test_a_cost_is_found_with_its_reason(world: World) -> None:
    await published(
        world,
        a_cost("consultant", "70.00"),
        a_cost("consultant", "80.00", region="CH"),
        a_cost("consultant", "90.00", level="senior"),
    )

    async def resolved(**hour: str) -> pb.ResolveCostRateResponse:
        values: dict[str, Any] = {"role": "consultant", "work_date": "2026-09-02"} | hour
        return await world.costs().ResolveCostRate(
            pb.ResolveCostRateRequest(legal_entity_id=world.entity.legal_entity_id, **values)
        )

    assert (await resolved()).hourly_cost.amount == "70.00"
    swiss = await resolved(region="CH")
    assert (swiss.hourly_cost.amount, swiss.path) == (
        "80.00",
        "role consultant, region CH, on version 1",
    )
    assert (await resolved(region="CH", level="senior")).hourly_cost.amount == "90.00"
    assert await refusal_of(resolved(role="painter")) == "cost_rate.no_cost"


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([a_cost("a", "1.00"), a_cost("a", "2.00")], "cost_rate.overlapping_entries"),
        ([a_cost("a", "1.00", valid_to="2026-01-01")], "cost_rate.empty_period"),
        ([a_cost("a", "0.00")], "cost_rate.cost_not_positive"),
    ],
)
async def test_costs_that_answer_twice_or_not_at_all_are_refused(
    world: World, entries: list[CostRateEntry], code: str
) -> None:
    assert await refusal_of(world.costs().ProposeCostRates(a_request(world, *entries))) == code


async def test_costs_are_in_the_entitys_currency(world: World) -> None:
    dollars = a_cost("a", "1.00")
    dollars.hourly_cost.currency = "USD"
    proposed = world.costs().ProposeCostRates(a_request(world, dollars))
    assert await refusal_of(proposed) == "money.mixed_currencies"


async def test_costs_of_other_companies_are_out_of_reach(world: World) -> None:
    card = await published(world)
    stranger = world.costs(entities=ids_of(UNKNOWN))
    assert not (await stranger.ListCostRateCards(pb.ListCostRateCardsRequest())).cost_rate_cards
    listed = await stranger.ListCostRateProposals(pb.ListCostRateProposalsRequest())
    assert not listed.proposals
    got = stranger.GetCostRateCard(
        pb.GetCostRateCardRequest(cost_rate_card_id=card.cost_rate_card_id)
    )
    assert await refusal_of(got) == "cost_rate.not_found"


@pytest.mark.parametrize(
    "role", ["sales_operations", "pmo", "consultant", "integration", "auditor", "service"]
)
async def test_who_is_not_finance_sees_no_costs(world: World, role: str) -> None:
    card = await published(world)
    other = world.costs(role)
    for call in (
        other.GetCostRateCard(pb.GetCostRateCardRequest(cost_rate_card_id=card.cost_rate_card_id)),
        other.ListCostRateCards(pb.ListCostRateCardsRequest()),
        other.ListCostRateProposals(pb.ListCostRateProposalsRequest()),
        other.ProposeCostRates(a_request(world)),
    ):
        with pytest.raises(PermissionDenied) as refused:
            await call
        assert refused.value.stable_code == "caller.role_missing"


async def test_a_token_without_the_scope_sees_no_costs(world: World) -> None:
    limited = world.costs(scopes=["rate_cards.read"])
    listed = limited.ListCostRateCards(pb.ListCostRateCardsRequest())
    assert await refusal_of(listed) == "caller.scope_missing"


def test_no_reply_that_others_may_read_can_hold_a_cost() -> None:
    """What is granted to anybody besides finance reaches no message or field of costs."""
    secret = set(cost_rate_pb2.DESCRIPTOR.message_types_by_name.values())
    open_methods = [method for method in methods() if not access_of(method).roles <= PRIVY]
    assert len(open_methods) > 20
    for method in open_methods:
        reached = set(messages_in(method.output_type))
        assert not reached & secret, method.full_name
        fields = {field.name for message in reached for field in message.fields}
        assert not fields & {"hourly_cost", "cost_rate", "cost_rate_card"}, method.full_name


def test_the_walk_over_replies_would_find_a_cost() -> None:
    """The negative control: the replies of the cost service do reach costs."""
    [method] = [one for one in methods() if one.name == "GetCostRateCard"]
    assert set(messages_in(method.output_type)) & set(
        cost_rate_pb2.DESCRIPTOR.message_types_by_name.values()
    )


def methods() -> Iterator[MethodDescriptor]:
    for module in iter_modules(v1.__path__, f"{v1.__name__}."):
        if module.name.endswith("_service_pb2"):
            descriptor = import_module(module.name).DESCRIPTOR
            for service in descriptor.services_by_name.values():
                yield from service.methods


def messages_in(message: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[Descriptor]:
    yield message
    for field in message.fields:
        inner = field.message_type
        if inner is not None and inner.full_name not in seen:
            yield from messages_in(inner, seen | {message.full_name})
