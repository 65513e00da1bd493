"""Reviews of offers: steps taken one after the other, each by somebody else."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from customer_contract_builders import a_quote

from customer_contract.domain import quote_decision as decisions
from customer_contract.domain.price_policy import (
    ApproverRole,
    Breach,
    PolicyBreached,
    PriceRule,
    ReviewStep,
)
from customer_contract.domain.proposal import Act
from customer_contract.domain.quote import Quote, QuoteStatus
from customer_contract.domain.quote_review import (
    ApprovedTwice,
    NoBreaches,
    Review,
    StepOfAnotherRole,
)
from throughline_core.errors import IllegalTransition

SALES, FINANCE, ADMIN = ApproverRole
TODAY = date(2026, 8, 20)
BREACH = Breach(
    a_quote().lines[1].quote_line_id, 2, "ADVISORY-TM", PriceRule.BELOW_FLOOR, "1 EUR", "2 EUR"
)
STEPS = (ReviewStep(1, SALES, "Sales", ""), ReviewStep(2, FINANCE, "Finance", ""))


def by(name: str) -> Act:
    return Act(name, datetime(2026, 8, 20, 9, tzinfo=UTC), "fine")


def in_review(**changes: object) -> Quote:
    review = replace(Review(steps=STEPS), **changes)  # type: ignore[arg-type]  # a test's wish
    return a_quote(review=review)


def step(quote: Quote, name: str, *roles: ApproverRole) -> Quote:
    return decisions.approve_step(quote, by(name), frozenset(roles), today=TODAY).state


def test_the_last_step_approves_and_the_others_do_not() -> None:
    first = decisions.approve_step(in_review(), by("paul"), {SALES}, today=TODAY)
    last = decisions.approve_step(first.state, by("frieda"), {FINANCE}, today=TODAY)

    assert (first.state.status, first.state.version, first.events) == (
        QuoteStatus.IN_REVIEW,
        2,
        (),
    )
    assert (last.state.status, last.state.version) == (QuoteStatus.APPROVED, 3)
    assert last.state.approval is not None
    assert last.state.approval.by == "frieda"
    assert len(last.events) == 1
    assert [one.taken and one.taken.by for one in last.state.review.steps] == ["paul", "frieda"]


def test_steps_are_taken_in_their_order_by_their_roles() -> None:
    with pytest.raises(StepOfAnotherRole):
        step(in_review(), "frieda", FINANCE)
    with pytest.raises(StepOfAnotherRole):
        step(in_review(), "anna", ADMIN)


def test_nobody_takes_two_steps_nor_one_of_the_own_offer() -> None:
    once = step(in_review(), "paul", SALES, FINANCE)
    with pytest.raises(ApprovedTwice):
        step(once, "paul", SALES, FINANCE)
    with pytest.raises(decisions.ApprovedByProposer):
        step(in_review(), a_quote().origin.proposed_by, SALES)


@pytest.mark.parametrize("status", [one for one in QuoteStatus if one != QuoteStatus.IN_REVIEW])
def test_only_an_offer_in_review_is_approved(status: QuoteStatus) -> None:
    with pytest.raises(IllegalTransition):
        step(replace(in_review(), status=status), "paul", SALES)


def test_an_offer_is_approved_through_its_last_day() -> None:
    step(replace(in_review(), valid_until=TODAY), "paul", SALES)
    with pytest.raises(decisions.ValidityOver):
        step(replace(in_review(), valid_until=date(2026, 8, 19)), "paul", SALES)


def test_the_step_of_the_exception_role_lets_breaches_pass() -> None:
    quote = in_review(breaches=(BREACH,), exception_role=FINANCE)
    assert quote.review.open_breaches == (BREACH,)
    first = step(quote, "paul", SALES)
    assert first.review.open_breaches == (BREACH,)
    last = step(first, "frieda", FINANCE)
    assert last.review.accepted == by("frieda")
    assert last.review.open_breaches == ()


def test_breaches_that_nobody_may_let_pass_stop_every_step() -> None:
    with pytest.raises(PolicyBreached) as refused:
        step(in_review(breaches=(BREACH,)), "paul", SALES)
    assert refused.value.field == "terms.lines[1]"


def test_breaches_of_an_approved_offer_are_accepted_by_the_role_in_force() -> None:
    approved = replace(
        in_review(steps=(), breaches=(BREACH,)), status=QuoteStatus.APPROVED, version=2
    )
    with pytest.raises(StepOfAnotherRole):
        decisions.accept_breaches(approved, by("paul"), {SALES}, exception_role=FINANCE)
    with pytest.raises(PolicyBreached):
        decisions.accept_breaches(approved, by("anna"), {ADMIN}, exception_role=None)
    accepted = decisions.accept_breaches(approved, by("frieda"), {FINANCE}, exception_role=FINANCE)
    assert (accepted.version, accepted.review.open_breaches) == (3, ())
    with pytest.raises(NoBreaches):
        decisions.accept_breaches(accepted, by("anna"), {FINANCE}, exception_role=FINANCE)
    waiting = in_review(breaches=(BREACH,))
    with pytest.raises(IllegalTransition):
        decisions.accept_breaches(waiting, by("frieda"), {FINANCE}, exception_role=FINANCE)
