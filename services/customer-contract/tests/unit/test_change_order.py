"""Change orders: what they may say, who agrees, and what they make of a contract."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from customer_contract_builders import (
    CHANGE_ORDER_ID,
    CUSTOMER_ID,
    END,
    START,
    a_change_order,
    a_contract,
    a_retainer,
    a_signature,
    a_signed_contract,
    an_active_contract,
    an_amendment,
    an_id,
    an_offer,
    eur,
)

from customer_contract.domain import change_order as domain
from customer_contract.domain.change_order_content import (
    AlteredLine,
    ChangeOrderContent,
    ContentOffer,
    EndedLine,
    HoldbackChange,
    LimitMove,
    OfferedLine,
)
from customer_contract.domain.change_order_record import (
    TRANSITIONS,
    ChangeOrder,
    ChangeOrderStatus,
    Grounds,
)
from customer_contract.domain.contract import NotActive
from customer_contract.domain.contract_amendment import (
    KeyRepeated,
    LineEnded,
    LineRepeated,
    OutsideContractTerm,
    WorkBeyondTerm,
    complete_content,
)
from customer_contract.domain.contract_limit import LimitNotPositive, LineNotFound
from customer_contract.domain.contract_profile import (
    HoldbackInvalid,
    PayerAmount,
    PayerRepeated,
    PayerShares,
    PurchaseOrderRepeated,
    PurchaseOrderValidity,
    RoundingPayer,
)
from customer_contract.domain.contract_state import DateInFuture
from customer_contract.domain.contract_terms import (
    Contract,
    ContractStatus,
    Holdback,
    PayerShare,
    PurchaseOrder,
)
from customer_contract.domain.line_change import MilestoneFixed
from customer_contract.domain.line_offer import OutsideTerm, TotalMismatch
from customer_contract.domain.line_terms import (
    AmountNotPositive,
    MilestoneAmounts,
    MilestonesMixed,
    TermOfAnotherModel,
)
from customer_contract.domain.service_line import BillingModel, Milestone
from customer_contract.domain.term_change import TermChange, TermChangeKind
from customer_contract.domain.values import ContractLineId, CustomerId
from throughline_core.errors import IllegalTransition, Refusal
from throughline_core.money import MixedCurrencies, Money

EFFECTIVE = date(2026, 10, 1)
TODAY = date(2026, 10, 15)
AT = datetime(2026, 10, 15, 9, tzinfo=UTC)
USD = Money(Decimal(1), "USD")
FIXED, TIME, RECURRING, EXPENSES = (line.contract_line_id for line in an_active_contract().lines)
UNKNOWN = ContractLineId(an_id("b999"))


def grounds(*history: Contract, **changes: Any) -> Grounds:
    return replace(Grounds(history or (an_active_contract(),), None, TODAY), **changes)


def saying(**content: Any) -> ChangeOrder:
    return a_change_order(content=ChangeOrderContent(**content))


def altering(line_id: ContractLineId, **changes: Any) -> ChangeOrder:
    return saying(altered=(AlteredLine(line_id, **changes),))


def after(change_order: ChangeOrder) -> Contract:
    return domain.compare(change_order, [an_active_contract()]).after


def line_after(change_order: ChangeOrder, position: int) -> Any:
    return after(change_order).lines[position - 1]


def an_order(number: str, **changes: Any) -> PurchaseOrder:
    return replace(PurchaseOrder(number, START, END, eur("1000"), ()), **changes)


def a_payer(last: str, share: str, *, rounds: bool = False, **changes: Any) -> PayerShare:
    payer = PayerShare(CustomerId(an_id(last)), Decimal(share), rounds, None, "")
    return replace(payer, **changes)


def approve(change_order: ChangeOrder, by: str = "ines", **facts: Any) -> ChangeOrder:
    return domain.approve(
        change_order,
        facts.pop("grounds", grounds()),
        by=by,
        signature=a_signature(signed_on=facts.pop("signed_on", TODAY)),
        at=AT,
    ).state


# What a change order may say.


def test_a_price_or_a_quantity_moves_the_total() -> None:
    line = line_after(altering(RECURRING, unit_price=eur("2600"), net_total=eur("31200")), 3)

    assert (line.terms.unit_price, line.terms.net_total) == (eur("2600"), eur("31200"))
    with pytest.raises(TotalMismatch):
        after(altering(RECURRING, unit_price=eur("2600"), net_total=eur("30000")))


def test_what_is_not_named_stays() -> None:
    amended = after(altering(TIME, description="Delivery, two teams"))

    assert amended.lines[1].terms.description == "Delivery, two teams"
    before = an_active_contract()
    assert replace(amended.lines[1].terms, description=before.lines[1].terms.description) == (
        before.lines[1].terms
    )
    assert replace(amended, lines=before.lines) == before


def test_a_fixed_fee_grows_by_new_milestones() -> None:
    extra = Milestone("extension", "Extension", None, date(2026, 11, 1), eur("6000"))
    change = altering(FIXED, unit_price=eur("30000"), milestones=(extra,))

    terms = line_after(change, 1).terms.terms

    assert [(one.key, one.share_percent, one.amount) for one in terms.milestones] == [
        ("kickoff", None, eur("9600")),
        ("target_architecture", None, eur("14400")),
        ("extension", None, eur("6000")),
    ]


def test_a_milestone_is_rescheduled_but_keeps_its_amount() -> None:
    later = Milestone("kickoff", "Kickoff, second date", None, date(2026, 10, 20), None)

    kickoff = line_after(altering(FIXED, milestones=(later,)), 1).terms.terms.milestones[0]

    assert (kickoff.due_on, kickoff.amount) == (date(2026, 10, 20), eur("9600"))
    with pytest.raises(MilestoneFixed):
        after(altering(FIXED, milestones=(replace(later, amount=eur("9000")),)))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"unit_price": eur("20000")}, MilestoneAmounts),
        ({"milestones": (Milestone("x", "X", None, None, eur("1")),)}, MilestoneAmounts),
        ({"milestones": (Milestone("x", "X", Decimal(5), None),)}, MilestonesMixed),
        ({"rates": an_active_contract().lines[1].terms.terms.rates}, TermOfAnotherModel),
        ({"limit": LimitMove(eur("1"))}, TermOfAnotherModel),
        ({"retainer": a_retainer()}, TermOfAnotherModel),
        ({"unit_price": eur("-1")}, AmountNotPositive),
        ({"unit_price": USD}, MixedCurrencies),
        ({"cost_budget": USD}, MixedCurrencies),
        ({"cost_budget": eur("-1")}, AmountNotPositive),
        ({"end_on": date(2026, 9, 30)}, OutsideContractTerm),
        ({"start_on": date(2026, 12, 1)}, OutsideTerm),
        ({"end_on": date(2027, 9, 2)}, WorkBeyondTerm),
    ],
)
def test_a_line_is_altered_within_its_billing_model_and_term(
    changes: dict[str, Any], refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        after(altering(FIXED, **changes))


def test_a_line_ends_from_the_effective_day_or_a_later_one() -> None:
    assert line_after(saying(ended=(EndedLine(TIME),)), 2).ended_on == EFFECTIVE
    later = date(2027, 1, 1)
    assert line_after(saying(ended=(EndedLine(TIME, later),)), 2).ended_on == later


@pytest.mark.parametrize(
    ("ended", "refusal"),
    [
        (EndedLine(TIME, date(2026, 9, 30)), OutsideContractTerm),
        (EndedLine(TIME, END), LineEnded),
        (EndedLine(FIXED, date(2026, 12, 1)), LineEnded),
        (EndedLine(UNKNOWN), LineNotFound),
    ],
)
def test_a_line_ends_early_or_not_at_all(ended: EndedLine, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        after(saying(ended=(ended,)))


def test_what_has_ended_is_not_altered_any_more() -> None:
    ended = after(saying(ended=(EndedLine(TIME),)))
    with pytest.raises(LineEnded):
        domain.compare(altering(TIME, quantity=Decimal(1)), [ended])


def test_a_line_is_named_once() -> None:
    twice = saying(altered=(AlteredLine(TIME, quantity=Decimal(1)),), ended=(EndedLine(TIME),))
    with pytest.raises(LineRepeated):
        after(twice)


def test_the_end_of_the_term_moves_the_lines_without_an_end_of_their_own() -> None:
    assert after(saying(end_on=date(2027, 12, 1))).end_on == date(2027, 12, 1)
    with pytest.raises(WorkBeyondTerm):
        after(saying(end_on=date(2026, 11, 1)))
    shortened = saying(end_on=date(2026, 11, 1), ended=(EndedLine(FIXED),))
    assert after(shortened).end_on == date(2026, 11, 1)
    with pytest.raises(OutsideContractTerm):
        after(saying(end_on=EFFECTIVE))


def completed(*lines: OfferedLine, effective_on: date = EFFECTIVE) -> ChangeOrderContent:
    return complete_content(
        ContentOffer(lines, ChangeOrderContent()),
        an_active_contract(),
        {},
        change_order_id=CHANGE_ORDER_ID,
        effective_on=effective_on,
    )


def test_an_added_line_begins_on_the_effective_day_after_the_last_position() -> None:
    offered = OfferedLine("phase_2", an_offer(BillingModel.TIME_AND_MATERIALS))

    line = line_after(a_change_order(content=completed(offered)), 5)

    assert (line.terms.position, line.terms.start_on) == (5, EFFECTIVE)
    assert line.added_by_change_order_id == CHANGE_ORDER_ID
    again = line_after(a_change_order(content=completed(offered)), 5)
    assert again.contract_line_id == line.contract_line_id


def test_an_added_line_is_no_older_than_the_change_and_named_once() -> None:
    offer = an_offer(BillingModel.TIME_AND_MATERIALS)
    with pytest.raises(OutsideTerm):
        completed(OfferedLine("a", replace(offer, start_on=START)))
    with pytest.raises(KeyRepeated):
        completed(OfferedLine("a", offer), OfferedLine("a", offer))
    with pytest.raises(OutsideContractTerm):
        completed(OfferedLine("a", offer), effective_on=END)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ({"limit": LimitMove(eur("0"))}, LimitNotPositive),
        ({"limit": LimitMove(USD)}, MixedCurrencies),
        ({"purchase_orders": (an_order("1"), an_order("1"))}, PurchaseOrderRepeated),
        ({"purchase_orders": (an_order("1", valid_to=START),)}, PurchaseOrderValidity),
        ({"purchase_orders": (an_order("1", amount=eur("0")),)}, LimitNotPositive),
        ({"purchase_orders": (an_order("1", contract_line_ids=(UNKNOWN,)),)}, LineNotFound),
        ({"payers": (a_payer("c1", "50", rounds=True), a_payer("c2", "49.9999"))}, PayerShares),
        ({"payers": (a_payer("c1", "100", rounds=True), a_payer("c2", "0"))}, PayerShares),
        ({"payers": (a_payer("c1", "50"), a_payer("c2", "50"))}, RoundingPayer),
        (
            {"payers": (a_payer("c1", "50", rounds=True), a_payer("c2", "50", rounds=True))},
            RoundingPayer,
        ),
        ({"payers": (a_payer("c1", "50", rounds=True), a_payer("c1", "50"))}, PayerRepeated),
        ({"payers": (a_payer("c1", "100", rounds=True, not_to_exceed=USD),)}, MixedCurrencies),
        (
            {"payers": (a_payer("c1", "99", rounds=True), a_payer("c2", "1", amount=eur("9")))},
            PayerAmount,
        ),
        (
            {"payers": (a_payer("c1", "0", amount=eur("9"), not_to_exceed=eur("9")),)},
            PayerAmount,
        ),
        (
            {"payers": (a_payer("c1", "99", rounds=True), a_payer("c2", "0", amount=eur("9")))},
            PayerShares,
        ),
        (
            {"payers": (a_payer("c1", "100"), a_payer("c2", "0", amount=eur("9"), rounds=True))},
            RoundingPayer,
        ),
        ({"payers": (a_payer("c1", "0", amount=eur("9")),)}, RoundingPayer),
        ({"payers": (a_payer("c1", "0", amount=eur("0"), rounds=True),)}, LimitNotPositive),
        ({"payers": (a_payer("c1", "0", amount=USD, rounds=True),)}, MixedCurrencies),
        ({"holdback": HoldbackChange(Holdback(Decimal(0), None))}, HoldbackInvalid),
        ({"holdback": HoldbackChange(Holdback(Decimal(100), None))}, HoldbackInvalid),
        ({"holdback": HoldbackChange(Holdback(Decimal(5), START))}, HoldbackInvalid),
    ],
)
def test_the_contract_can_be_paid_after_the_change(
    content: dict[str, Any], refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        after(saying(**content))


def test_payers_by_amount_pay_beside_those_by_percent_or_all_of_it() -> None:
    by_amount = a_payer("c3", "0", amount=eur("5000"))
    beside = (by_amount, a_payer("c1", "60", rounds=True), a_payer("c2", "40"))
    alone = (replace(by_amount, is_rounding_payer=True),)
    for payers in (beside, alone):
        assert after(saying(payers=payers)).billing.payers == payers


# What the difference is.


def test_the_difference_names_every_term_as_the_api_does() -> None:
    rates = tuple(
        replace(rate, hourly_rate=eur("190")) if rate.role == "senior_consultant" else rate
        for rate in an_active_contract().lines[1].terms.terms.rates[:2]
    )
    change = saying(
        altered=(AlteredLine(TIME, rates=rates, limit=LimitMove(None)),),
        ended=(EndedLine(EXPENSES),),
        limit=LimitMove(eur("90000")),
        payers=(PayerShare(CUSTOMER_ID, Decimal(0), True, None, "PO-9", eur("250")),),
    )
    altered, added, ended = TermChangeKind.ALTERED, TermChangeKind.ADDED, TermChangeKind.ENDED
    payer = f"payers[{CUSTOMER_ID}]"

    assert domain.compare(change, [an_active_contract()]).changes == (
        TermChange(added, None, "not_to_exceed", "", "90000.00"),
        TermChange(added, None, f"{payer}.share_percent", "", "0"),
        TermChange(added, None, f"{payer}.rounding_payer", "", "true"),
        TermChange(added, None, f"{payer}.amount", "", "250.00"),
        TermChange(added, None, f"{payer}.purchase_order_number", "", "PO-9"),
        TermChange(altered, TIME, "rates[senior_consultant].hourly_rate", "180.00", "190.00"),
        TermChange(ended, TIME, "rates[analyst].hourly_rate", "110.00", ""),
        TermChange(ended, TIME, "rates[analyst].planned_hours", "80", ""),
        TermChange(ended, TIME, "not_to_exceed", "60000.00", ""),
        TermChange(ended, EXPENSES, "", "", "2026-10-01"),
    )


def test_an_added_line_is_one_difference() -> None:
    offered = OfferedLine("phase_2", an_offer(BillingModel.TIME_AND_MATERIALS))
    change = a_change_order(content=completed(offered))

    [difference] = domain.compare(change, [an_active_contract()]).changes

    assert (difference.kind, difference.term, difference.new_value) == (
        TermChangeKind.ADDED,
        "",
        "100.00",
    )


# Who agrees, and when it is applied.


def test_a_change_that_changes_nothing_is_refused() -> None:
    for change in (
        saying(),
        saying(limit=LimitMove(None)),
        altering(TIME, quantity=Decimal(400)),
        saying(holdback=HoldbackChange(None), payers=(), purchase_orders=()),
    ):
        with pytest.raises(domain.ChangesNothing):
            domain.compare(change, [an_active_contract()])


@pytest.mark.parametrize("by", ["olga", "otto"])
def test_neither_author_nor_proposer_approves(by: str) -> None:
    with pytest.raises(domain.ApprovedByProposer):
        approve(a_change_order(proposed_by="otto"), by=by)


def test_an_approval_keeps_the_customers_signature_and_the_version_it_saw() -> None:
    approval = approve(a_change_order()).approval

    assert approval is not None
    assert (approval.by, approval.contract_version) == ("ines", 1)
    with pytest.raises(DateInFuture):
        approve(a_change_order(), signed_on=date(2026, 10, 16))


@pytest.mark.parametrize(
    "decide",
    [
        lambda change, facts: domain.propose(
            replace(change, status=ChangeOrderStatus.DRAFT), facts, by="olga"
        ),
        lambda change, facts: approve(change, grounds=facts),
        lambda change, facts: domain.apply(approve(change), facts, recorded=an_amendment()),
    ],
)
def test_no_change_takes_effect_in_a_closed_period(
    decide: Callable[[ChangeOrder, Grounds], object],
) -> None:
    with pytest.raises(domain.PeriodClosed):
        decide(a_change_order(), grounds(closed_through=EFFECTIVE))
    decide(a_change_order(), grounds(closed_through=date(2026, 9, 30)))


@pytest.mark.parametrize(
    "contract", [a_contract(), an_active_contract(status=ContractStatus.COMPLETED)]
)
def test_changes_are_made_to_signed_contracts_that_go_on(contract: Contract) -> None:
    with pytest.raises(domain.ContractNotOpen):
        domain.propose(a_change_order(status=ChangeOrderStatus.DRAFT), grounds(contract), by="olga")


def test_a_change_is_applied_once_the_contract_is_in_force_and_its_day_has_come() -> None:
    agreed = approve(a_change_order())
    with pytest.raises(NotActive):
        domain.apply(agreed, grounds(a_signed_contract()), recorded=an_amendment())
    early = grounds(today=date(2026, 9, 30))
    assert not domain.is_due(agreed, early)
    with pytest.raises(domain.NotDue):
        domain.apply(agreed, early, recorded=an_amendment())

    assert domain.is_due(agreed, grounds())
    applied, [change] = domain.apply(agreed, grounds(), recorded=an_amendment())

    assert applied.application is not None
    assert applied.application.contract_versions == (2,)
    assert change.state.amendment.effective_on == EFFECTIVE
    assert change.state.amendment.change_order_id == CHANGE_ORDER_ID
    [event] = change.events
    assert event.is_retroactive
    on_the_day = domain.apply(agreed, grounds(today=EFFECTIVE), recorded=an_amendment())[1][0]
    assert not on_the_day.events[0].is_retroactive


def amended(change_order: ChangeOrder, *history: Contract) -> tuple[Contract, ...]:
    _, changes = domain.apply(
        approve(change_order, grounds=grounds(*history)), grounds(*history), recorded=an_amendment()
    )
    return (*history, *(change.state for change in changes))


def test_a_change_beside_another_one_is_applied_and_one_over_it_is_not() -> None:
    first = an_active_contract()
    waiting = approve(altering(TIME, quantity=Decimal(450)), grounds=grounds(first))
    beside = amended(altering(RECURRING, unit_price=eur("2600")), first)
    over = amended(altering(TIME, quantity=Decimal(500)), first)

    _, [change] = domain.apply(waiting, grounds(*beside), recorded=an_amendment())
    assert change.state.lines[2].terms.unit_price == eur("2600")
    assert change.state.lines[1].terms.quantity == Decimal(450)
    with pytest.raises(domain.Stale):
        domain.apply(waiting, grounds(*over), recorded=an_amendment())
    assert domain.conflicts(waiting, over)


def statuses_without(target: ChangeOrderStatus) -> list[ChangeOrderStatus]:
    return [status for status in ChangeOrderStatus if target not in TRANSITIONS[status]]


@pytest.mark.parametrize(
    ("target", "decide"),
    [
        (ChangeOrderStatus.PROPOSED, lambda one: domain.propose(one, grounds(), by="olga")),
        (ChangeOrderStatus.APPROVED, approve),
        (ChangeOrderStatus.REJECTED, lambda one: domain.reject(one, reason="x")),
        (ChangeOrderStatus.WITHDRAWN, lambda one: domain.withdraw(one, reason="x")),
        (
            ChangeOrderStatus.APPLIED,
            lambda one: domain.apply(one, grounds(), recorded=an_amendment()),
        ),
    ],
)
def test_a_change_order_goes_its_way(
    target: ChangeOrderStatus, decide: Callable[[ChangeOrder], object]
) -> None:
    for status in statuses_without(target):
        with pytest.raises(IllegalTransition):
            decide(a_change_order(status=status))
    for status in ChangeOrderStatus:
        if target in TRANSITIONS[status]:
            decide(a_change_order(status=status))
