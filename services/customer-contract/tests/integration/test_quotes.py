"""Quotes over gRPC, on the real database: who may approve, and what an import does."""

import asyncio
from typing import Any

import pytest
from customer_contract_world import (
    World,
    a_request_id,
    eur,
    ids_of,
    sampled_lines,
)

from throughline.customer_contract.v1 import quote_pb2
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline_core.errors import Aborted, NotFound, PermissionDenied, Refusal
from throughline_runtime.identity import Caller
from throughline_testing.serving import a_caller

UNKNOWN = "01980000-0000-7000-8000-00000000dead"
OUTCOME = pb.ImportOutcome


def approval_of(quote: quote_pb2.Quote, **changes: Any) -> pb.ApproveQuoteRequest:
    values: dict[str, Any] = {"quote_id": quote.quote_id, "quote_version": quote.quote_version}
    return pb.ApproveQuoteRequest(request_id=a_request_id(), **values | changes)


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


def other_lines() -> list[pb.QuoteLineTerms]:
    """Return the sampled lines with one dropped and one dearer."""
    lines = sampled_lines()[:3]
    lines[2].unit_price.CopyFrom(eur("2600.00"))
    lines[2].ClearField("net_total")
    return lines


async def test_an_offer_is_completed_from_the_catalogue(world: World) -> None:
    quote = await world.created_quote()

    assert (quote.number, quote.quote_version) == ("Q-000001", 1)
    assert quote.status == quote_pb2.QUOTE_STATUS_IN_REVIEW
    assert (quote.net_total.amount, quote.payment_terms_days) == ("116400.00", 30)
    fixed_fee, _, support, expenses = quote.lines
    assert [one.amount.amount for one in fixed_fee.milestones] == ["9600.00", "14400.00"]
    assert (support.anchor_day, expenses.markup_percent) == (1, "5")
    read = await world.quotes().GetQuote(pb.GetQuoteRequest(quote_id=quote.quote_id))
    assert read.quote == quote


async def test_who_wrote_an_offer_does_not_approve_it_somebody_else_does(world: World) -> None:
    quote = await world.created_quote()

    assert (
        await refusal_of(world.quotes(subject="olga").ApproveQuote(approval_of(quote)))
        == "quote.approved_by_proposer"
    )
    reply = await world.quotes(subject="paul").ApproveQuote(approval_of(quote))

    assert (reply.quote.status, reply.quote.approved_by) == (
        quote_pb2.QUOTE_STATUS_APPROVED,
        "paul",
    )
    assert reply.contract == await world.contract(reply.contract.contract_id)
    assert [line.terms for line in reply.contract.lines] == list(reply.quote.lines)
    assert (await world.events())[-1] == "quote.approved.v1"


async def test_an_approval_names_the_version_that_was_looked_at(world: World) -> None:
    quote = await world.created_quote()
    with pytest.raises(Aborted):
        await world.quotes(subject="paul").ApproveQuote(approval_of(quote, quote_version=2))


async def test_of_two_approvals_at_once_one_drafts_the_contract(world: World) -> None:
    quote = await world.created_quote()
    outcomes = await asyncio.gather(
        *(world.quotes(subject=f"p{n}").ApproveQuote(approval_of(quote)) for n in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, pb.ApproveQuoteResponse) for one in outcomes) == 1
    assert await world.count("contract") == 1
    assert (await world.events()).count("quote.approved.v1") == 1


async def test_a_rejected_offer_says_why_and_stays_rejected(world: World) -> None:
    quote = await world.created_quote()
    reply = await world.quotes().RejectQuote(
        pb.RejectQuoteRequest(
            request_id=a_request_id(), quote_id=quote.quote_id, quote_version=1, reason="too dear"
        )
    )
    assert reply.quote.status == quote_pb2.QUOTE_STATUS_REJECTED
    assert reply.quote.rejection_reason == "too dear"
    approve = world.quotes(subject="paul").ApproveQuote(approval_of(quote))
    assert await refusal_of(approve) == "request.illegal_transition"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"customer_id": UNKNOWN}, "customer.not_found"),
        ({"legal_entity_id": UNKNOWN}, "legal_entity.not_found"),
        ({"end_on": "2026-09-01"}, "quote.term_empty"),
        ({"currency": "USD"}, "money.mixed_currencies"),
    ],
)
async def test_an_offer_that_cannot_be_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    assert await refusal_of(world.created_quote(**changes)) == code
    assert await world.count("quote") == 0


async def test_an_offer_with_an_unknown_service_says_everything_itself(world: World) -> None:
    line = pb.QuoteLineTerms(service_code="NEW", quantity="1", unit_price=eur("10.00"))
    assert await refusal_of(world.created_quote(lines=[line])) == "service_line.incomplete"
    line.MergeFrom(
        pb.QuoteLineTerms(
            description="New",
            billing_model=quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS,
            tax_category="x",
            template_code="x",
        )
    )
    assert (await world.created_quote(lines=[line])).lines[0].service_code == "NEW"


async def test_an_approved_quote_comes_in_with_its_contract(world: World) -> None:
    reply = await world.imports().ImportQuote(world.import_request())
    contract = await world.contract(reply.contract_id)

    assert reply.outcome == OUTCOME.IMPORT_OUTCOME_CREATED
    assert (reply.quote.number, reply.quote.approved_by) == (
        "Q-00412",
        "salesforce:0055g000009SalesAAW",
    )
    assert reply.quote.proposed_by == "service:connectors"
    assert (contract.number, contract.quote_version) == (reply.contract_number, 1)
    assert contract.correlation_id == reply.quote.correlation_id
    assert (await world.events())[-1] == "quote.approved.v1"


async def test_the_same_content_again_changes_nothing(world: World) -> None:
    first = await world.imports().ImportQuote(world.import_request())
    events = await world.events()
    again = await world.imports().ImportQuote(world.import_request())

    assert again.outcome == OUTCOME.IMPORT_OUTCOME_UNCHANGED
    assert (again.quote, again.contract_id) == (first.quote, first.contract_id)
    assert await world.events() == events


async def test_a_quote_approved_later_is_approved_here_later(world: World) -> None:
    waiting = await world.imports().ImportQuote(world.import_request(approved=False))
    assert (waiting.quote.status, waiting.contract_id) == (quote_pb2.QUOTE_STATUS_IN_REVIEW, "")
    approved = await world.imports().ImportQuote(world.import_request())

    assert approved.outcome == OUTCOME.IMPORT_OUTCOME_APPROVED
    assert approved.quote.quote_version == 1
    assert approved.contract_id
    assert await world.count("contract") == 1


async def test_changed_content_becomes_the_next_version_and_redrafts_the_contract(
    world: World,
) -> None:
    draft = await world.a_draft()
    reply = await world.imports().ImportQuote(world.import_request(lines=other_lines()))
    redraft = await world.contract(draft.contract_id)

    assert reply.outcome == OUTCOME.IMPORT_OUTCOME_REVISED
    assert (reply.quote.quote_version, reply.quote.correlation_id) == (2, draft.correlation_id)
    assert (redraft.number, redraft.version, redraft.quote_version) == (draft.number, 2, 2)
    assert [line.contract_line_id for line in redraft.lines] == [
        line.contract_line_id for line in draft.lines[:3]
    ]
    assert redraft.lines[2].terms.net_total.amount == "31200.00"
    old = await world.quotes().GetQuote(
        pb.GetQuoteRequest(quote_id=reply.quote.quote_id, quote_version=1)
    )
    assert old.quote.status == quote_pb2.QUOTE_STATUS_SUPERSEDED
    assert len(old.quote.lines) == 4


async def test_what_is_behind_a_signed_contract_changes_no_more(world: World) -> None:
    await world.a_signed()
    unchanged = await world.imports().ImportQuote(world.import_request())
    assert unchanged.outcome == OUTCOME.IMPORT_OUTCOME_UNCHANGED
    changed = world.imports().ImportQuote(world.import_request(lines=other_lines()))
    assert await refusal_of(changed) == "quote.contract_already_signed"


async def test_a_revision_not_approved_yet_keeps_the_old_terms_from_being_signed(
    world: World,
) -> None:
    draft = await world.a_draft()
    await world.imports().ImportQuote(world.import_request(lines=other_lines(), approved=False))
    sign = world.contracts().SignContract(world.signature_of(draft.contract_id))
    assert await refusal_of(sign) == "request.illegal_transition"


async def test_of_imports_of_one_quote_at_once_one_makes_it(world: World) -> None:
    outcomes = await asyncio.gather(
        *(world.imports().ImportQuote(world.import_request()) for _ in range(6)),
        return_exceptions=True,
    )
    replies = [one for one in outcomes if isinstance(one, pb.ImportQuoteResponse)]
    assert all(isinstance(one, Aborted) for one in outcomes if isinstance(one, BaseException))
    assert [one.outcome for one in replies].count(OUTCOME.IMPORT_OUTCOME_CREATED) == 1
    assert (await world.count("quote"), await world.count("contract")) == (1, 1)
    assert (await world.events()).count("quote.approved.v1") == 1


async def test_a_person_imports_offers_but_no_approvals(world: World) -> None:
    person = world.imports(a_caller("integration", subject="ines"))

    assert (
        await refusal_of(person.ImportQuote(world.import_request())) == "quote.approval_not_trusted"
    )
    reply = await person.ImportQuote(world.import_request(approved=False))
    own = world.imports(a_caller("finance", subject="ines"))
    assert (
        await refusal_of(own.ApproveQuote(approval_of(reply.quote))) == "quote.approved_by_proposer"
    )


async def test_a_connector_vouches_for_what_it_brings_in_on_somebodys_behalf(
    world: World,
) -> None:
    on_behalf = Caller(subject="ines", entities=None, actor="connectors")
    reply = await world.imports(on_behalf).ImportQuote(world.import_request())
    assert reply.quote.proposed_by == "service:connectors"


async def test_lines_of_one_source_are_one_line(world: World) -> None:
    lines = sampled_lines()
    lines[1].source.CopyFrom(lines[0].source)
    imported = world.imports().ImportQuote(world.import_request(lines=lines))
    assert await refusal_of(imported) == "quote.source_repeated"


async def test_a_total_read_in_mid_calculation_is_refused(world: World) -> None:
    lines = sampled_lines()
    lines[0].net_total.CopyFrom(eur("20000.00"))
    imported = world.imports().ImportQuote(world.import_request(lines=lines))
    assert await refusal_of(imported) == "service_line.total_mismatch"


async def test_quotes_are_listed_at_their_latest_version(world: World) -> None:
    await world.a_draft()
    revised = await world.imports().ImportQuote(world.import_request(lines=other_lines()))
    created = await world.created_quote()

    async def listed(**filters: Any) -> set[str]:
        reply = await world.quotes().ListQuotes(pb.ListQuotesRequest(**filters))
        return {quote.quote_id for quote in reply.quotes}

    both = {revised.quote.quote_id, created.quote_id}
    assert await listed() == both
    assert await listed(customer_id=world.customer.customer_id) == both
    assert await listed(number="Q-00412") == {revised.quote.quote_id}
    assert await listed(status=quote_pb2.QUOTE_STATUS_IN_REVIEW) == {created.quote_id}
    assert await listed(legal_entity_id=UNKNOWN) == set()


def long_lines(count: int, *, milestones: int = 0) -> list[pb.QuoteLineTerms]:
    plan = [
        quote_pb2.MilestonePlan(key=f"m{n}", name="x" * 100, share_percent=str(100 // milestones))
        for n in range(milestones)
    ]
    return [
        pb.QuoteLineTerms(
            service_code="DISCOVERY-FF",
            description="x" * 200,
            quantity="1",
            unit_price=eur("1.00"),
            milestones=plan,
        )
        for _ in range(count)
    ]


async def test_an_offer_that_no_event_could_carry_is_refused(world: World) -> None:
    large = world.created_quote(lines=long_lines(200, milestones=10))
    assert await refusal_of(large) == "quote.too_large"


async def test_a_page_is_as_long_as_one_reply_holds(world: World) -> None:
    for number in range(32):
        await world.imports().ImportQuote(
            world.import_request(
                f"quote-{number}", lines=long_lines(200, milestones=2), approved=False
            )
        )
    listed, token, pages = 0, "", 0
    while pages == 0 or token:
        reply = await world.quotes().ListQuotes(
            pb.ListQuotesRequest(page_size=100, page_token=token)
        )
        listed, token, pages = listed + len(reply.quotes), reply.next_page_token, pages + 1
    assert listed == 32
    assert pages > 1


async def test_offers_of_other_companies_are_out_of_reach(world: World) -> None:
    quote = await world.created_quote()
    stranger = world.quotes(subject="paul", entities=ids_of(UNKNOWN))

    assert not (await stranger.ListQuotes(pb.ListQuotesRequest())).quotes
    with pytest.raises(NotFound):
        await stranger.GetQuote(pb.GetQuoteRequest(quote_id=quote.quote_id))
    for call in (
        stranger.ApproveQuote(approval_of(quote)),
        stranger.CreateQuote(pb.CreateQuoteRequest(request_id=a_request_id(), terms=world.terms())),
    ):
        with pytest.raises(PermissionDenied):
            await call


async def test_an_unknown_quote_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.quotes().GetQuote(pb.GetQuoteRequest(quote_id=UNKNOWN))
