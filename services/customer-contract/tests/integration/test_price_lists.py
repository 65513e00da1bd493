"""The catalogue and the rate cards over gRPC, on the real database."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from customer_contract_world import World, a_rate, a_request_id, ids_of, service_request

from throughline.customer_contract.v1 import catalogue_service_pb2 as catalogue_pb
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline.customer_contract.v1 import rate_card_service_pb2 as pb
from throughline_core.errors import NotFound, PermissionDenied, Refusal

UNKNOWN = "01980000-0000-7000-8000-00000000dead"


def resolve_request(line_id: str, **changes: Any) -> pb.ResolveRateRequest:
    values: dict[str, Any] = {"role": "consultant", "work_date": "2026-09-02"}
    return pb.ResolveRateRequest(contract_line_id=line_id, **values | changes)


async def test_a_service_is_put_changed_retired_and_listed(world: World) -> None:
    catalogue = world.catalogue()
    request = service_request("AUDIT", quote_pb2.BILLING_MODEL_RECURRING, "audit", anchor_day=15)
    first = (await catalogue.PutService(request)).service
    request.request_id = a_request_id()
    assert (await catalogue.PutService(request)).service == first
    request.request_id, request.retired = a_request_id(), True
    retired = (await catalogue.PutService(request)).service

    assert (first.version, retired.version, retired.retired) == (1, 2, True)
    read = await catalogue.GetService(catalogue_pb.GetServiceRequest(code="AUDIT"))
    assert read.service == retired

    async def listed(**filters: Any) -> list[str]:
        reply = await catalogue.ListServices(catalogue_pb.ListServicesRequest(**filters))
        return [service.code for service in reply.services]

    recurring = quote_pb2.BILLING_MODEL_RECURRING
    assert await listed() == ["ADVISORY-TM", "DISCOVERY-FF", "EXPENSES-PT", "SUPPORT-MS"]
    assert await listed(billing_model=recurring) == ["SUPPORT-MS"]
    assert await listed(billing_model=recurring, include_retired=True) == ["AUDIT", "SUPPORT-MS"]
    page = await catalogue.ListServices(catalogue_pb.ListServicesRequest(page_size=3))
    rest = await catalogue.ListServices(
        catalogue_pb.ListServicesRequest(page_size=3, page_token=page.next_page_token)
    )
    assert [service.code for service in rest.services] == ["SUPPORT-MS"]
    assert rest.next_page_token == ""


async def test_an_unknown_service_is_not_found(world: World) -> None:
    with pytest.raises(NotFound) as refused:
        await world.catalogue().GetService(catalogue_pb.GetServiceRequest(code="NONE"))
    assert refused.value.stable_code == "catalogue.not_found"


async def test_versions_of_a_card_follow_each_other_and_stay(world: World) -> None:
    cards = world.cards()
    first = (await world.publish_card(world.card_request())).rate_card
    second = (
        await world.publish_card(world.card_request(a_rate("consultant", "151.00")))
    ).rate_card

    assert (first.version, second.version) == (1, 2)
    assert first.rate_card_id == second.rate_card_id
    for version, card in ((1, first), (2, second), (0, second)):
        read = await cards.GetRateCard(
            pb.GetRateCardRequest(rate_card_id=card.rate_card_id, version=version)
        )
        assert read.rate_card == card
    listed = await cards.ListRateCards(pb.ListRateCardsRequest(code="RC-DE-2026"))
    assert list(listed.rate_cards) == [second]
    versions = pb.ListRateCardVersionsRequest(rate_card_id=first.rate_card_id, page_size=1)
    page = await cards.ListRateCardVersions(versions)
    versions.page_token = page.next_page_token
    rest = await cards.ListRateCardVersions(versions)
    assert [*page.rate_cards, *rest.rate_cards] == [first, second]
    assert (rest.next_page_token, second.proposed_by, second.published_by) == ("", "olga", "paul")
    assert (await world.events()).count("rate_card.published.v1") == 2
    with pytest.raises(NotFound):
        await cards.GetRateCard(pb.GetRateCardRequest(rate_card_id=first.rate_card_id, version=3))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (
            {"entries": [a_rate("a", "1.00"), a_rate("a", "2.00", valid_from="2026-02-01")]},
            "rate_card.overlapping_entries",
        ),
        ({"entries": [a_rate("a", "1.00", valid_to="2026-01-01")]}, "rate_card.empty_period"),
        ({"entries": [a_rate("a", "0.00")]}, "rate_card.rate_not_positive"),
        ({"currency": "USD"}, "money.mixed_currencies"),
        ({"legal_entity_id": UNKNOWN}, "legal_entity.not_found"),
        ({"customer_id": UNKNOWN}, "customer.not_found"),
    ],
)
async def test_a_card_that_cannot_price_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await world.publish_card(world.card_request(**changes))
    assert refused.value.stable_code == code
    assert await world.count("rate_card") == 0


async def test_a_card_that_no_event_could_carry_is_refused(world: World) -> None:
    letter = "\N{MATHEMATICAL FRAKTUR CAPITAL A}"  # Four bytes in UTF-8.
    wide = [
        a_rate(f"{n:03}{letter * 57}", "1.00", level=letter * 40, region=letter * 40)
        for n in range(500)
    ]
    with pytest.raises(Refusal) as refused:
        await world.publish_card(world.card_request(*wide))
    assert refused.value.stable_code == "rate_card.too_large"


async def test_a_card_keeps_its_owner(world: World) -> None:
    await world.publish_card(world.card_request())
    with pytest.raises(Refusal) as refused:
        await world.publish_card(world.card_request(legal_entity_id=None))
    assert refused.value.stable_code == "rate_card.scope_changed"


async def test_of_publishers_at_once_one_publishes_what_was_proposed(world: World) -> None:
    request = world.card_request()
    await world.propose_card(request)

    async def publish(name: str) -> pb.PublishRateCardResponse:
        own = pb.PublishRateCardRequest()
        own.CopyFrom(request)
        own.request_id = a_request_id()
        return await world.cards(subject=name).PublishRateCard(own)

    outcomes = await asyncio.gather(
        *(publish(f"publisher-{n}") for n in range(6)), return_exceptions=True
    )

    published = [one for one in outcomes if isinstance(one, pb.PublishRateCardResponse)]
    refused = {one.stable_code for one in outcomes if isinstance(one, Refusal)}
    assert len(published) == 1
    assert refused <= {
        "request.stale_version",
        "rate_card.not_proposed",
        "proposal.overtaken",
    }
    assert await world.count("rate_card") == 1
    assert (await world.events()).count("rate_card.published.v1") == 1


async def test_a_card_is_published_by_somebody_else_and_as_it_was_proposed(world: World) -> None:
    request = world.card_request()
    await world.propose_card(request)

    with pytest.raises(PermissionDenied) as refused:
        await world.cards(subject="olga").PublishRateCard(request)
    assert refused.value.stable_code == "proposal.published_by_proposer"
    other = world.card_request(a_rate("consultant", "15.00"))
    with pytest.raises(Refusal) as mistaken:
        await world.cards(subject="paul").PublishRateCard(other)
    assert mistaken.value.stable_code == "rate_card.not_proposed"
    assert await world.count("rate_card") == 0


async def test_cards_of_other_companies_are_not_shown(world: World) -> None:
    card = (await world.publish_card(world.card_request())).rate_card
    await world.publish_card(world.card_request(code="FIRM", legal_entity_id=None))
    stranger = world.cards(entities=ids_of(UNKNOWN))

    listed = await stranger.ListRateCards(pb.ListRateCardsRequest())
    assert [one.code for one in listed.rate_cards] == ["FIRM"]
    with pytest.raises(NotFound):
        await stranger.GetRateCard(pb.GetRateCardRequest(rate_card_id=card.rate_card_id))
    with pytest.raises(NotFound):
        await stranger.ListRateCardVersions(
            pb.ListRateCardVersionsRequest(rate_card_id=card.rate_card_id)
        )


async def test_a_rate_is_resolved_with_its_reason(world: World) -> None:
    contract = await world.an_active()
    advisory, support = contract.lines[1], contract.lines[2]
    cards = world.cards()
    await world.publish_card(
        world.card_request(
            a_rate("consultant", "150.00"),
            a_rate("consultant", "165.00", region="CH"),
            multipliers=[quote_pb2.ActivityMultiplier(activity="overtime", factor="1.5")],
        )
    )

    own = await cards.ResolveRate(resolve_request(advisory.contract_line_id))
    assert (own.hourly_rate.amount, own.rate_card_version, own.contract_version) == ("140.00", 0, 1)
    swiss = await cards.ResolveRate(resolve_request(support.contract_line_id, region="CH"))
    assert swiss.hourly_rate.amount == "165.00"
    assert swiss.path == "role consultant, region CH, on the entity's card RC-DE-2026 version 1"
    assert (swiss.factor, swiss.effective_rate.amount) == ("1", "165.00")
    [lost] = swiss.candidates
    assert (lost.hourly_rate.amount, lost.reason) == (
        "150.00",
        "a narrower rate on the same card goes first",
    )
    late = await cards.ResolveRate(
        resolve_request(support.contract_line_id, region="CH", activity="overtime")
    )
    assert (late.effective_rate.amount, late.factor_path) == (
        "247.50",
        "overtime, on card RC-DE-2026 version 1",
    )
    with pytest.raises(NotFound) as refused:
        await cards.ResolveRate(resolve_request(support.contract_line_id, role="painter"))
    assert refused.value.stable_code == "rate_card.no_rate"
    with pytest.raises(NotFound) as refused:
        await cards.ResolveRate(resolve_request(UNKNOWN))
    assert refused.value.stable_code == "contract.line_not_found"


async def test_a_past_decision_is_explained_by_what_was_known_then(
    world: World, move_clock: Any
) -> None:
    line = (await world.an_active()).lines[2].contract_line_id
    for day, amount in ((1, "150.00"), (2, "160.00")):
        move_clock(datetime(2027, 1, day, tzinfo=UTC))
        await world.publish_card(world.card_request(a_rate("consultant", amount)))

    async def known(at: datetime | None) -> tuple[str, int]:
        request = resolve_request(line)
        if at is not None:
            request.known_at.FromDatetime(at)
        found = await world.cards().ResolveRate(request)
        return found.hourly_rate.amount, found.rate_card_version

    assert await known(None) == ("160.00", 2)
    assert await known(datetime(2027, 1, 1, 12, tzinfo=UTC)) == ("150.00", 1)
    with pytest.raises(NotFound):
        await known(datetime(2026, 1, 1, tzinfo=UTC))


async def test_the_audit_finds_every_change_of_a_service_by_its_code(world: World) -> None:
    request = service_request("AUDIT", quote_pb2.BILLING_MODEL_RECURRING, "audit", anchor_day=15)
    await world.catalogue().PutService(request)
    request.request_id, request.retired = a_request_id(), True
    await world.catalogue().PutService(request)

    assert await world.audited("service:AUDIT") == ["PutService", "PutService"]


async def test_who_is_limited_to_a_company_sets_no_price_for_the_others(world: World) -> None:
    limited = world.proposals(entities=ids_of(world.entity.legal_entity_id))
    for call in (
        limited.ProposeRateCard(world.card_proposal(world.card_request(legal_entity_id=None))),
        limited.ProposePricePolicy(
            proposal_pb.ProposePricePolicyRequest(request_id=a_request_id())
        ),
    ):
        with pytest.raises(PermissionDenied) as refused:
            await call
        assert refused.value.stable_code == "caller.entity_forbidden"


async def test_two_versions_of_a_card_are_compared_rate_by_rate(world: World) -> None:
    first = await world.publish_card(
        world.card_request(a_rate("analyst", "100.00"), a_rate("consultant", "150.00"))
    )
    await world.publish_card(
        world.card_request(
            a_rate("consultant", "150.00", valid_to="2027-01-01"),
            a_rate("consultant", "157.50", valid_from="2027-01-01"),
            a_rate("architect", "190.00"),
            name="Germany 2027",
        )
    )
    found = await world.cards().CompareRateCardVersions(
        pb.CompareRateCardVersionsRequest(rate_card_id=first.rate_card.rate_card_id)
    )

    assert (found.from_version, found.to_version) == (1, 2)
    assert [
        (contract_pb2.TermChangeKind.Name(one.kind)[17:], one.role, one.valid_from, one.percent)
        for one in found.rates
    ] == [
        ("ENDED", "analyst", "2026-01-01", ""),
        ("ADDED", "architect", "2026-01-01", ""),
        ("ALTERED", "consultant", "2026-01-01", "0.00"),
        ("ADDED", "consultant", "2027-01-01", "5.00"),
    ]
    assert [(one.term, one.new_value) for one in found.terms] == [("name", "Germany 2027")]


async def test_a_version_that_prices_days_gone_by_says_from_which(
    world: World, move_clock: Any
) -> None:
    move_clock(datetime(2026, 9, 10, 12, tzinfo=UTC))
    first = await world.publish_card(world.card_request(a_rate("consultant", "150.00")))
    ahead = await world.publish_card(
        world.card_request(
            a_rate("consultant", "150.00", valid_to="2026-10-01"),
            a_rate("consultant", "155.00", valid_from="2026-10-01"),
        )
    )
    back = await world.publish_card(
        world.card_request(
            a_rate("consultant", "150.00", valid_to="2026-09-01"),
            a_rate("consultant", "155.00", valid_from="2026-09-01"),
        )
    )

    assert first.retroactive.from_date == "2026-01-01"
    assert not ahead.HasField("retroactive")
    assert back.retroactive.from_date == "2026-09-01"
    assert "rated again" in back.retroactive.text
