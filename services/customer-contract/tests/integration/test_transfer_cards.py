"""Transfer cards over gRPC: what entities of the firm charge each other for their people."""

from typing import Any

import pytest
from customer_contract_world import World, a_rate, entity_request

from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline.customer_contract.v1 import rate_card_pb2
from throughline.customer_contract.v1 import rate_card_service_pb2 as pb
from throughline_core.errors import Refusal

UNKNOWN = "01980000-0000-7000-8000-00000000dead"
TRANSFER = rate_card_pb2.RATE_CARD_PURPOSE_TRANSFER


async def a_borrower(world: World) -> str:
    """Return the id of a second legal entity."""
    request = entity_request(code="CH01", name="Morgenstern Schweiz AG", tax_id="DE129273398")
    return (await world.entities().CreateLegalEntity(request)).legal_entity.legal_entity_id


async def test_entities_agree_on_transfer_prices_that_no_customer_pays(world: World) -> None:
    line = (await world.an_active()).lines[2].contract_line_id
    await world.publish_card(world.card_request(a_rate("consultant", "150.00")))
    borrower = await a_borrower(world)
    request = world.card_request(
        a_rate("consultant", "90.00"),
        code="IC-DE",
        purpose=TRANSFER,
        borrowing_legal_entity_id=borrower,
    )
    proposed = (await world.propose_card(request)).proposal
    compared = await world.proposals().CompareProposal(
        proposal_pb.CompareProposalRequest(proposal_id=proposed.proposal_id)
    )
    assert {change.term: change.new_value for change in compared.terms} == {
        "name": "Germany",
        "purpose": "transfer",
        "borrowing_legal_entity_id": borrower,
    }
    published = await world.cards(subject="paul").PublishRateCard(request)
    card = published.rate_card
    assert (card.purpose, card.borrowing_legal_entity_id) == (TRANSFER, borrower)
    assert "keeps the price" in published.retroactive.text

    async def listed(**wanted: Any) -> list[str]:
        reply = await world.cards().ListRateCards(pb.ListRateCardsRequest(**wanted))
        return sorted(one.code for one in reply.rate_cards)

    assert await listed(purpose=TRANSFER) == ["IC-DE"]
    assert await listed(purpose=rate_card_pb2.RATE_CARD_PURPOSE_BILLING) == ["RC-DE-2026"]
    assert await listed(borrowing_legal_entity_id=borrower) == ["IC-DE"]
    assert await listed() == ["IC-DE", "RC-DE-2026"]
    resolved = await world.cards().ResolveRate(
        pb.ResolveRateRequest(contract_line_id=line, role="consultant", work_date="2026-09-02")
    )
    assert (resolved.hourly_rate.amount, len(resolved.candidates)) == ("150.00", 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"legal_entity_id": None}, "rate_card.transfer_parties"),
        ({"borrowing_legal_entity_id": UNKNOWN}, "legal_entity.not_found"),
        (
            {"purpose": rate_card_pb2.RATE_CARD_PURPOSE_BILLING},
            "rate_card.transfer_parties",
        ),
    ],
)
async def test_a_transfer_card_between_nobody_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    values = {"purpose": TRANSFER, "borrowing_legal_entity_id": await a_borrower(world)}
    with pytest.raises(Refusal) as refused:
        await world.publish_card(world.card_request(**values | changes))
    assert refused.value.stable_code == code
    assert await world.count("rate_card") == 0
