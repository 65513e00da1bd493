"""The price policy over gRPC: proposals by two persons, ladders, breaches, exceptions."""

import asyncio
from typing import Any

import pytest
from customer_contract_world import World, a_request_id, eur, sampled_lines, service_request

from throughline.customer_contract.v1 import catalogue_service_pb2 as catalogue_pb
from throughline.customer_contract.v1 import price_policy_service_pb2 as policy_pb
from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline.customer_contract.v1 import quote_pb2
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline_core.errors import Refusal

SALES = policy_pb.APPROVER_ROLE_SALES_OPERATIONS
FINANCE = policy_pb.APPROVER_ROLE_FINANCE
ADMIN = policy_pb.APPROVER_ROLE_ADMIN


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


def a_ladder() -> list[policy_pb.LadderStep]:
    """Sales operations always, finance above 50,000 EUR, an administrator above 10 percent."""
    return [
        policy_pb.LadderStep(role=SALES),
        policy_pb.LadderStep(role=FINANCE, name="Finance", above_amounts=[eur("50000.00")]),
        policy_pb.LadderStep(role=ADMIN, above_discount_percent="10"),
    ]


def a_floor(code: str, amount: str, role: str = "") -> policy_pb.FloorPrice:
    return policy_pb.FloorPrice(service_code=code, unit_price=eur(amount), role=role)


def approval_of(quote: quote_pb2.Quote, comment: str = "") -> pb.ApproveQuoteRequest:
    return pb.ApproveQuoteRequest(
        request_id=a_request_id(),
        quote_id=quote.quote_id,
        quote_version=quote.quote_version,
        comment=comment,
    )


async def test_a_policy_takes_two_persons_and_keeps_its_versions(world: World) -> None:
    proposals = world.proposals(subject="olga")
    request = proposal_pb.ProposePricePolicyRequest(
        request_id=a_request_id(), steps=a_ladder(), comment="from October on"
    )
    proposal = (await proposals.ProposePricePolicy(request)).proposal
    publish = proposal_pb.PublishProposalRequest(
        request_id=a_request_id(), proposal_id=proposal.proposal_id, comment="agreed"
    )

    assert await refusal_of(proposals.PublishProposal(publish)) == "proposal.published_by_proposer"
    done = (await world.proposals(subject="frieda").PublishProposal(publish)).proposal

    assert (done.subject, done.decided_by, done.reason) == ("firm", "frieda", "agreed")
    policy_id = done.price_policy.price_policy_id
    found = await world.policies().GetPricePolicy(
        policy_pb.GetPricePolicyRequest(price_policy_id=policy_id)
    )
    policy = found.price_policy
    assert (policy.version, policy.proposed_by, policy.published_by) == (1, "olga", "frieda")
    assert list(policy.steps) == a_ladder()
    request.request_id = a_request_id()
    assert await refusal_of(proposals.ProposePricePolicy(request)) == "price_policy.unchanged"
    request.enforce_on_import = True
    second = await proposals.ProposePricePolicy(request)
    await world.put_into_force(second.proposal)
    versions = await world.policies().ListPricePolicyVersions(
        policy_pb.ListPricePolicyVersionsRequest(price_policy_id=policy_id)
    )
    assert [one.version for one in versions.price_policies] == [1, 2]
    listed = await world.policies().ListPricePolicies(policy_pb.ListPricePoliciesRequest())
    assert [one.version for one in listed.price_policies] == [2]


async def test_a_proposal_is_rejected_by_others_and_withdrawn_by_its_author(world: World) -> None:
    olga, frieda = world.proposals(subject="olga"), world.proposals(subject="frieda")
    proposal = (await world.propose_card(world.card_request())).proposal
    reject = proposal_pb.RejectProposalRequest(
        request_id=a_request_id(), proposal_id=proposal.proposal_id, reason="too low"
    )
    withdraw = proposal_pb.WithdrawProposalRequest(
        request_id=a_request_id(), proposal_id=proposal.proposal_id
    )

    assert await refusal_of(olga.RejectProposal(reject)) == "proposal.rejected_by_proposer"
    assert await refusal_of(frieda.WithdrawProposal(withdraw)) == "proposal.not_the_proposer"
    rejected = (await frieda.RejectProposal(reject)).proposal
    assert (rejected.status, rejected.reason) == (proposal_pb.PROPOSAL_STATUS_REJECTED, "too low")
    assert await refusal_of(olga.WithdrawProposal(withdraw)) == "request.illegal_transition"
    other = (await world.propose_card(world.card_request(code="RC-2"))).proposal
    withdraw.request_id, withdraw.proposal_id = a_request_id(), other.proposal_id
    withdrawn = (await olga.WithdrawProposal(withdraw)).proposal
    assert withdrawn.status == proposal_pb.PROPOSAL_STATUS_WITHDRAWN

    async def listed(**filters: Any) -> list[str]:
        reply = await olga.ListProposals(proposal_pb.ListProposalsRequest(**filters))
        return [one.subject for one in reply.proposals]

    assert await listed() == ["RC-2", "RC-DE-2026"]
    assert await listed(status=proposal_pb.PROPOSAL_STATUS_REJECTED) == ["RC-DE-2026"]
    assert await listed(kind=proposal_pb.PROPOSAL_KIND_SERVICE) == []
    assert await listed(subject="RC-2") == ["RC-2"]
    page = await olga.ListProposals(proposal_pb.ListProposalsRequest(page_size=1))
    rest = await olga.ListProposals(
        proposal_pb.ListProposalsRequest(page_size=1, page_token=page.next_page_token)
    )
    assert [one.subject for one in (*page.proposals, *rest.proposals)] == ["RC-2", "RC-DE-2026"]
    assert rest.next_page_token == ""


async def test_a_proposal_that_another_version_overtook_is_not_published(world: World) -> None:
    stale = (await world.propose_card(world.card_request())).proposal
    await world.publish_card(world.card_request(name="Germany, corrected"))

    publish = proposal_pb.PublishProposalRequest(
        request_id=a_request_id(), proposal_id=stale.proposal_id
    )
    refused = world.proposals(subject="frieda").PublishProposal(publish)
    assert await refusal_of(refused) == "proposal.overtaken"
    compared = await world.proposals().CompareProposal(
        proposal_pb.CompareProposalRequest(proposal_id=stale.proposal_id)
    )
    assert compared.from_version == 1
    assert [(one.term, one.old_value) for one in compared.terms] == [("name", "Germany, corrected")]


async def test_prices_of_a_service_on_sale_take_two_persons(world: World) -> None:
    catalogue = world.catalogue()
    dearer = service_request(
        "EXPENSES-PT", quote_pb2.BILLING_MODEL_PASS_THROUGH, "pass_through", markup_percent="9"
    )
    assert await refusal_of(catalogue.PutService(dearer)) == "catalogue.second_person_needed"

    service = (
        await catalogue.GetService(catalogue_pb.GetServiceRequest(code="EXPENSES-PT"))
    ).service
    service.markup_percent = "9"
    service.floor_prices.append(eur("10.00"))
    proposed = await world.proposals(subject="olga").ProposeService(
        proposal_pb.ProposeServiceRequest(
            request_id=a_request_id(), code="EXPENSES-PT", service=service
        )
    )
    compared = await world.proposals().CompareProposal(
        proposal_pb.CompareProposalRequest(proposal_id=proposed.proposal.proposal_id)
    )
    await world.put_into_force(proposed.proposal)

    assert [(one.term, one.old_value, one.new_value) for one in compared.terms] == [
        ("markup_percent", "5", "9"),
        ("floor_prices[0]", "", "10.00 EUR"),
    ]
    versions = await catalogue.ListServiceVersions(
        catalogue_pb.ListServiceVersionsRequest(code="EXPENSES-PT")
    )
    first, second = versions.services
    assert (first.markup_percent, second.markup_percent, second.proposed_by) == ("5", "9", "olga")
    assert (second.published_by, list(second.floor_prices)) == ("frieda", [eur("10.00")])


async def test_every_step_of_the_ladder_is_somebody_elses(world: World) -> None:
    await world.a_policy(steps=a_ladder())
    quote = await world.created_quote()
    review = (await world.quotes().GetQuote(pb.GetQuoteRequest(quote_id=quote.quote_id))).review
    assert [(step.role, step.reason) for step in review.steps] == [
        (SALES, ""),
        (FINANCE, "total of 116400.00 EUR is above 50000.00 EUR"),
    ]

    paul = world.approvals("sales_operations", "finance", subject="paul")
    olga = world.approvals("sales_operations", subject="olga")
    assert await refusal_of(olga.ApproveQuote(approval_of(quote))) == "quote.approved_by_proposer"
    frieda = world.approvals("finance", subject="frieda")
    assert await refusal_of(frieda.ApproveQuote(approval_of(quote))) == "quote.step_of_another_role"
    first = await paul.ApproveQuote(approval_of(quote, "margin is fine"))
    assert first.quote.status == quote_pb2.QUOTE_STATUS_IN_REVIEW
    assert not first.HasField("contract")
    assert first.review.steps[0].comment == "margin is fine"
    assert await refusal_of(paul.ApproveQuote(approval_of(quote))) == "quote.approved_twice"
    waiting = await frieda.ListQuotes(pb.ListQuotesRequest(awaiting_role=FINANCE))
    assert [one.quote_id for one in waiting.quotes] == [quote.quote_id]
    last = await frieda.ApproveQuote(approval_of(quote))

    assert (last.quote.status, last.quote.approved_by) == (
        quote_pb2.QUOTE_STATUS_APPROVED,
        "frieda",
    )
    assert last.contract.quote_id == quote.quote_id
    assert not (await frieda.ListQuotes(pb.ListQuotesRequest(awaiting_role=FINANCE))).quotes
    asked = pb.ListQuoteApprovalsRequest(quote_id=quote.quote_id, page_size=1)
    page = await frieda.ListQuoteApprovals(asked)
    asked.page_token = page.next_page_token
    rest = await frieda.ListQuoteApprovals(asked)
    assert [(one.step, one.approved_by) for one in (*page.approvals, *rest.approvals)] == [
        (1, "paul"),
        (2, "frieda"),
    ]
    assert (await world.events()).count("quote.approved.v1") == 1


async def test_of_two_who_take_a_step_at_once_one_does(world: World) -> None:
    await world.a_policy(steps=a_ladder())
    quote = await world.created_quote()
    outcomes = await asyncio.gather(
        *(
            world.approvals("sales_operations", subject=f"p{n}").ApproveQuote(approval_of(quote))
            for n in range(5)
        ),
        return_exceptions=True,
    )
    taken = [one for one in outcomes if isinstance(one, pb.ApproveQuoteResponse)]
    assert len(taken) == 1
    assert await world.count("quote_approval") == 1
    assert await world.count("contract") == 0


async def test_an_offer_keeps_the_policy_it_was_written_under(world: World) -> None:
    quote = await world.created_quote()
    await world.a_policy(steps=a_ladder())
    reply = await world.approvals("sales_operations", subject="paul").ApproveQuote(
        approval_of(quote)
    )
    assert reply.quote.status == quote_pb2.QUOTE_STATUS_APPROVED
    assert not reply.review.HasField("price_policy_id")


async def test_an_offer_below_the_floor_needs_the_exception_role(world: World) -> None:
    await world.a_policy(
        floor_prices=[a_floor("ADVISORY-TM", "120.00", role="analyst")], exception_role=ADMIN
    )
    quote = await world.created_quote()
    found = await world.quotes().ListQuotes(pb.ListQuotesRequest(breaching=True))
    review = (await world.quotes().GetQuote(pb.GetQuoteRequest(quote_id=quote.quote_id))).review

    [breach] = review.breaches
    assert [one.quote_id for one in found.quotes] == [quote.quote_id]
    assert (breach.rule, breach.role, breach.actual, breach.limit) == (
        pb.PRICE_RULE_BELOW_FLOOR,
        "analyst",
        "110.00 EUR",
        "120.00 EUR",
    )
    assert [step.name for step in review.steps] == ["Exception"]
    paul = world.approvals("sales_operations", "finance", subject="paul")
    assert await refusal_of(paul.ApproveQuote(approval_of(quote))) == "quote.step_of_another_role"
    anna = world.approvals("admin", subject="anna")
    reply = await anna.ApproveQuote(approval_of(quote, "strategic customer"))
    assert reply.quote.status == quote_pb2.QUOTE_STATUS_APPROVED
    assert (reply.review.breaches_accepted_by, reply.review.breaches_accepted_comment) == (
        "anna",
        "strategic customer",
    )


async def test_an_offer_nobody_may_let_pass_is_not_approved(world: World) -> None:
    await world.a_policy(floor_prices=[a_floor("ADVISORY-TM", "200.00")])
    quote = await world.created_quote()
    paul = world.approvals("sales_operations", "finance", "admin", subject="paul")
    assert await refusal_of(paul.ApproveQuote(approval_of(quote))) == "price_policy.breached"


async def test_what_another_system_approved_comes_in_with_its_breaches(world: World) -> None:
    policy = {
        "floor_prices": [a_floor("ADVISORY-TM", "200.00")],
        "exception_role": FINANCE,
    }
    await world.a_policy(**policy)
    reply = await world.imports().ImportQuote(world.import_request())
    assert reply.quote.status == quote_pb2.QUOTE_STATUS_APPROVED
    assert (len(reply.review.breaches), len(reply.review.steps)) == (1, 0)
    accept = pb.AcceptPriceBreachesRequest(
        request_id=a_request_id(),
        quote_id=reply.quote.quote_id,
        quote_version=1,
        comment="agreed before the policy",
    )
    sales = world.approvals("sales_operations", subject="paul")
    assert await refusal_of(sales.AcceptPriceBreaches(accept)) == "quote.step_of_another_role"
    frieda = world.approvals("finance", subject="frieda")
    accepted = await frieda.AcceptPriceBreaches(accept)
    assert accepted.review.breaches_accepted_by == "frieda"
    accept.request_id = a_request_id()
    assert await refusal_of(frieda.AcceptPriceBreaches(accept)) == "quote.no_breaches"

    await world.a_policy(**policy, enforce_on_import=True)
    second = world.imports().ImportQuote(world.import_request("quote-2"))
    assert await refusal_of(second) == "price_policy.breached"
    assert await world.count("quote") == 1
    waiting = await world.imports().ImportQuote(world.import_request("quote-2", approved=False))
    assert waiting.quote.status == quote_pb2.QUOTE_STATUS_IN_REVIEW


async def test_a_floor_of_the_catalogue_holds_without_a_policy(world: World) -> None:
    service = service_request("ADVISORY-TM", quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS, "advisory")
    entry = catalogue_pb.CatalogueEntry(
        code="ADVISORY-TM",
        name=service.name,
        billing_model=service.billing_model,
        tax_category=service.tax_category,
        template_code=service.template_code,
        floor_prices=[eur("150.00")],
    )
    proposed = await world.proposals(subject="olga").ProposeService(
        proposal_pb.ProposeServiceRequest(
            request_id=a_request_id(), code="ADVISORY-TM", service=entry
        )
    )
    await world.put_into_force(proposed.proposal)
    quote = await world.created_quote()
    paul = world.approvals("sales_operations", subject="paul")
    assert await refusal_of(paul.ApproveQuote(approval_of(quote))) == "price_policy.breached"
    lines = sampled_lines()
    lines[1].unit_price.amount = "150.00"
    lines[1].ClearField("net_total")
    fine = await world.created_quote(lines=lines)
    assert (await paul.ApproveQuote(approval_of(fine))).HasField("contract")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (
            {"floor_prices": [a_floor("X", "1.00"), a_floor("X", "2.00")]},
            "price_policy.floor_repeated",
        ),
        ({"floor_prices": [a_floor("X", "0.00")]}, "price_policy.amount_not_positive"),
        (
            {
                "maximum_discounts": [
                    policy_pb.MaximumDiscount(role=SALES, percent=percent) for percent in "12"
                ]
            },
            "price_policy.role_repeated",
        ),
        (
            {"steps": [policy_pb.LadderStep(role=SALES, above_amounts=[eur("1"), eur("2")])]},
            "price_policy.currency_repeated",
        ),
        ({"legal_entity_id": "01980000-0000-7000-8000-00000000dead"}, "legal_entity.not_found"),
    ],
)
async def test_a_policy_that_contradicts_itself_is_refused(
    world: World, rules: dict[str, Any], code: str
) -> None:
    assert await refusal_of(world.a_policy(**rules)) == code
    assert await world.count("price_proposal") == 0


async def test_the_audit_names_who_changed_prices(world: World) -> None:
    policy = await world.a_policy(steps=a_ladder())
    assert await world.audited(policy.price_policy_id) == ["PublishProposal"]
