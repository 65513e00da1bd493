"""Looking again changes a row exactly when the facts it is held by have changed."""

from dataclasses import replace

import pytest
from billing_event_builders import (
    EXPENSES,
    a_customer,
    a_judge,
    a_line,
    a_milestone,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.agreement import Facts
from billing_event.domain.hold import HoldId, HoldReason, OpenHold
from billing_event.domain.position import EventStatus, Row
from billing_event.domain.release import BY_POLICY
from billing_event.domain.source import SourceItem
from billing_event.domain.standing import Decision, Standing
from billing_event.domain.terms import BillingModel
from throughline_core.errors import IllegalTransition

FEE = some_facts(some_terms(a_line(billing_model=BillingModel.FIXED_FEE)))
ON_HOLD = some_facts(customer=a_customer(is_on_credit_hold=True))


def rated(item: SourceItem, facts: Facts | None = None, threshold: str = "5000.00") -> Standing:
    """Return where a thing stands after it was rated and read back."""
    judge = a_judge(facts, threshold=threshold)
    judge.decide_new([item])
    rows = [replace(row, holds=tuple(map(with_id, row.holds))) for row in judge.decision.rated]
    held = [each.hold for each in judge.decision.opened if each.row is None]
    return Standing(item, tuple(rows), tuple(map(with_id, held)))


def with_id(hold: OpenHold) -> OpenHold:
    return replace(hold, hold_id=HoldId(an_id(f"7{list(HoldReason).index(hold.reason):02x}")))


def again(standing: Standing, facts: Facts | None = None, **options: object) -> Decision:
    judge = a_judge(facts, **options)  # type: ignore[arg-type]  # a threshold
    judge.decide_again([standing])
    return judge.decision


def the(decision: Decision) -> Row:
    [row] = decision.changed
    return row


@pytest.mark.parametrize(
    ("item", "facts"),
    [
        (an_item(), None),
        (an_item(role="architect"), None),
        (an_item(), ON_HOLD),
        (an_item(contract_line_id=None), None),
        (a_milestone(eur(9600), is_accepted=False), FEE),
    ],
)
def test_the_same_facts_decide_nothing(item: SourceItem, facts: Facts | None) -> None:
    assert again(rated(item, facts), facts) == Decision()


def test_acceptance_makes_a_milestone_eligible() -> None:
    standing = rated(a_milestone(eur(9600), is_accepted=False), FEE)
    accepted = replace(standing, item=replace(standing.item, is_accepted=True))
    decision = again(accepted, FEE)
    assert (the(decision).status, the(decision).version) == (EventStatus.ELIGIBLE, 2)
    assert decision.cleared == [hold.hold_id for hold in standing.rows[0].holds]


def test_a_row_below_the_threshold_passes_by_policy_as_soon_as_nothing_holds_it() -> None:
    row = the(again(rated(an_item(), ON_HOLD)))
    assert (row.status, row.released_by, row.holds) == (EventStatus.RELEASED, BY_POLICY, ())


def test_a_credit_hold_stops_what_waits_and_not_what_was_released() -> None:
    waiting, released = rated(an_item(), threshold="0.00"), rated(an_item())
    assert the(again(waiting, ON_HOLD)).status is EventStatus.HELD
    assert again(released, ON_HOLD) == Decision()


def test_a_row_stays_held_until_its_last_reason_is_gone() -> None:
    both = some_facts(
        some_terms(a_line(billing_model=BillingModel.FIXED_FEE)),
        customer=a_customer(is_on_credit_hold=True),
    )
    standing = rated(a_milestone(eur(9600), is_accepted=False), both)
    assert len(standing.rows[0].holds) == 2
    row = the(again(standing, FEE))
    assert row.status is EventStatus.HELD
    assert [hold.reason for hold in row.holds] == [HoldReason.AWAITING_ACCEPTANCE]


@pytest.mark.parametrize("item", [an_item(role="architect"), an_item(contract_line_id=EXPENSES)])
def test_work_that_could_not_be_rated_is_rated_when_the_terms_allow_it(item: SourceItem) -> None:
    wider = some_terms(
        a_line(rates={"architect": eur(200), "consultant": eur(100)}),
        a_line(EXPENSES, rates={"consultant": eur(100)}),
    )
    standing = rated(item)
    decision = again(standing, some_facts(wider))
    assert [row.status for row in decision.rated] == [EventStatus.RELEASED]
    assert decision.cleared == [hold.hold_id for hold in standing.item_holds]


def test_work_that_waits_for_something_else_now_says_so() -> None:
    standing = rated(an_item(contract_id=an_id("b2"), role="architect"))
    known = some_terms(contract_id=an_id("b2"))
    decision = again(standing, some_facts(known))
    assert [each.hold.reason for each in decision.opened] == [HoldReason.MISSING_RATE]
    assert decision.cleared == [hold.hold_id for hold in standing.item_holds]


def test_no_fact_clears_a_manual_hold_only_a_person_does() -> None:
    judge = a_judge(threshold="0.00")
    [row] = rated(an_item(), threshold="0.00").rows
    judge.hold(row, OpenHold(HoldReason.MANUAL, "wait for the addendum", placed_by="user:fin"))
    held = replace(the(judge.decision), holds=(with_id(judge.decision.opened[0].hold),))
    standing = Standing(row.item, (held,))
    assert again(standing) == Decision()

    cleared = a_judge()
    [hold] = held.holds
    assert hold.hold_id is not None
    cleared.decide_again([standing], dropping={hold.hold_id})
    assert the(cleared.decision).status is EventStatus.RELEASED
    assert cleared.decision.cleared == [hold.hold_id]


def test_a_released_row_goes_nowhere_else() -> None:
    [row] = rated(an_item()).rows
    with pytest.raises(IllegalTransition):
        a_judge().hold(row, OpenHold(HoldReason.MANUAL, "too late"))


def test_what_is_not_billable_gets_no_row_and_no_hold() -> None:
    judge = a_judge()
    judge.decide_new([an_item(is_billable=False)])
    assert judge.decision == Decision()


def test_time_under_a_fee_gets_an_explanation_instead_of_a_row() -> None:
    judge = a_judge(FEE)
    judge.decide_new([an_item()])
    [(_, covered)] = judge.decision.covered
    assert covered.explanation == "the fixed fee of the line covers it"
    assert judge.decision.rated == []
