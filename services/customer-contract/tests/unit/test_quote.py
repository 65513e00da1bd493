"""Quotes: who approves what, and what is frozen."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from customer_contract_builders import (
    CORRELATION_ID,
    CUSTOMER_ID,
    END,
    ENTITY_ID,
    QUOTE_ID,
    START,
    a_quote,
    a_source,
    an_approval,
    an_id,
    an_offer,
    eur,
)

from customer_contract.domain import quote as domain
from customer_contract.domain import quote_decision as decisions
from customer_contract.domain.line_offer import AmountTooLarge, LineOffer
from customer_contract.domain.quote import (
    Identity,
    Pricing,
    Quote,
    QuoteOrigin,
    QuoteStatus,
    QuoteTerms,
    RejectionCode,
)
from customer_contract.domain.quote_decision import TRANSITIONS
from customer_contract.domain.quote_review import UNREVIEWED
from customer_contract.domain.service_line import BillingModel
from customer_contract.domain.values import QuoteLineId
from throughline_core.errors import IllegalTransition, StaleVersion
from throughline_core.money import UnknownCurrency

OFFER = an_offer(BillingModel.TIME_AND_MATERIALS)


def statuses_without(target: QuoteStatus) -> list[QuoteStatus]:
    return [status for status in QuoteStatus if target not in TRANSITIONS[status]]


def proposed(*offers: LineOffer, **changes: object) -> Quote:
    terms = QuoteTerms(CUSTOMER_ID, ENTITY_ID, "EUR", START, END, None, "PO-1", offers or (OFFER,))
    return domain.propose(
        Identity(QUOTE_ID, 1, "Q-000001", CORRELATION_ID),
        replace(terms, **changes),  # type: ignore[arg-type]  # whatever a test wants otherwise
        QuoteOrigin("ada", None, bytes(32)),
        catalogue={},
        customer_payment_terms_days=14,
        line_id=lambda index: QuoteLineId(an_id(f"a10{index}")),
        pricing=Pricing(None, {}),
    )


def test_an_offer_waits_for_approval_with_its_lines_in_order() -> None:
    quote = proposed(OFFER, OFFER)

    assert (quote.status, quote.version, quote.approval) == (QuoteStatus.IN_REVIEW, 1, None)
    assert [line.position for line in quote.lines] == [1, 2]
    assert quote.net_total == eur("200")


def test_an_offer_without_payment_terms_takes_the_customers() -> None:
    assert proposed().payment_terms_days == 14
    assert proposed(payment_terms_days=0).payment_terms_days == 0


def test_an_offer_has_a_term_a_currency_and_a_printable_total() -> None:
    with pytest.raises(domain.TermEmpty):
        proposed(end_on=START)
    with pytest.raises(UnknownCurrency):
        proposed(currency="XXX")
    large = replace(OFFER, quantity=Decimal(900_000_000), unit_price=eur("1000"))
    with pytest.raises(AmountTooLarge):
        proposed(large, large)


def test_approval_freezes_the_offer_and_names_the_approver() -> None:
    change = decisions.approve(a_quote(), an_approval())

    assert change.state == a_quote(
        status=QuoteStatus.APPROVED,
        version=2,
        approval=an_approval(),
        review=replace(UNREVIEWED, steps=()),
    )
    assert change.events == (domain.QuoteApproved(change.state),)


def test_who_wrote_an_offer_does_not_approve_it() -> None:
    quote = a_quote(origin=replace(a_quote().origin, proposed_by="ada"))
    with pytest.raises(decisions.ApprovedByProposer):
        decisions.approve(quote, an_approval(by="ada"))


@pytest.mark.parametrize("status", statuses_without(QuoteStatus.APPROVED))
def test_only_an_offer_in_review_is_approved(status: QuoteStatus) -> None:
    with pytest.raises(IllegalTransition):
        decisions.approve(a_quote(status=status), an_approval())


@pytest.mark.parametrize("status", statuses_without(QuoteStatus.REJECTED))
def test_an_accepted_or_outdated_offer_is_not_rejected(status: QuoteStatus) -> None:
    with pytest.raises(IllegalTransition):
        decisions.reject(a_quote(status=status), reason="too dear", code=RejectionCode.PRICE)


@pytest.mark.parametrize("status", statuses_without(QuoteStatus.SUPERSEDED))
def test_an_accepted_offer_gets_no_next_version(status: QuoteStatus) -> None:
    with pytest.raises(IllegalTransition):
        decisions.supersede(a_quote(status=status))


@pytest.mark.parametrize("status", statuses_without(QuoteStatus.ACCEPTED))
def test_only_an_approved_offer_is_accepted(status: QuoteStatus) -> None:
    with pytest.raises(IllegalTransition):
        decisions.accept(a_quote(status=status), today=START)


def test_an_offer_is_signed_on_its_last_day_and_not_after_it() -> None:
    offer = a_quote(status=QuoteStatus.APPROVED, valid_until=START)

    assert decisions.accept(offer, today=START).status is QuoteStatus.ACCEPTED
    with pytest.raises(decisions.ValidityOver):
        decisions.accept(offer, today=START + timedelta(days=1))


def test_a_rejection_says_why() -> None:
    rejected = decisions.reject(a_quote(), reason="too dear", code=RejectionCode.PRICE)
    assert rejected == a_quote(
        status=QuoteStatus.REJECTED,
        version=2,
        rejection_reason="too dear",
        rejection_code=RejectionCode.PRICE,
    )


def test_a_decision_on_an_older_version_is_refused() -> None:
    domain.require_latest(a_quote(quote_version=2), 2)
    with pytest.raises(StaleVersion):
        domain.require_latest(a_quote(quote_version=2), 1)


def test_another_systems_approval_is_taken_from_its_connector_only() -> None:
    person, connector = (domain.Proposer(name, name != "ada") for name in ("ada", "service:x"))
    domain.require_trusted(an_approval(), connector)
    domain.require_trusted(None, person)
    with pytest.raises(domain.ApprovalNotTrusted):
        domain.require_trusted(an_approval(), person)


def test_two_lines_of_one_source_are_refused() -> None:
    sourced = replace(OFFER, source=a_source("line", "1"))
    domain.require_distinct_sources([sourced, OFFER, OFFER])
    with pytest.raises(domain.SourceRepeated):
        domain.require_distinct_sources([sourced, replace(sourced, start_on=date(2026, 9, 2))])


def test_an_offer_that_was_signed_or_replaced_is_not_taken_back() -> None:
    for status in statuses_without(QuoteStatus.WITHDRAWN):
        with pytest.raises(IllegalTransition):
            decisions.withdraw(
                a_quote(status=status), reason="sold elsewhere", code=RejectionCode.MISTAKE
            )


def test_an_offer_is_valid_through_its_last_day() -> None:
    terms = QuoteTerms(
        CUSTOMER_ID, ENTITY_ID, "EUR", START, END, None, "", (OFFER,), valid_until=START
    )
    domain.require_in_time(terms, today=START)
    with pytest.raises(domain.AlreadyExpired):
        domain.require_in_time(terms, today=START + timedelta(1))


def test_what_comes_from_another_system_is_changed_there() -> None:
    with pytest.raises(domain.WrittenElsewhere):
        domain.require_ours(a_quote())
    domain.require_ours(a_quote(origin=QuoteOrigin("ada", None, bytes(32))))


def test_a_revision_goes_on_from_lines_that_are_there_and_from_each_once() -> None:
    lines = a_quote().lines
    again = replace(OFFER, quote_line_id=lines[0].quote_line_id)
    domain.require_known_lines(lines, [OFFER, again, OFFER])
    with pytest.raises(domain.LineRepeated) as refused:
        domain.require_known_lines(lines, [again, again])
    assert refused.value.field == "terms.lines[1].quote_line_id"
    with pytest.raises(domain.LineNotOffered):
        domain.require_known_lines((), [again])
