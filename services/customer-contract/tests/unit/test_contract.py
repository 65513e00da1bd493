"""Contracts: from the draft a quote makes to the end, and what every version keeps."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from customer_contract_builders import (
    CARD_ID,
    END,
    LEARNED,
    START,
    a_billing_profile,
    a_contract,
    a_line,
    a_quote,
    a_signature,
    a_signed_contract,
    an_active_contract,
    an_amendment,
    an_id,
    eur,
)

from customer_contract.domain import contract as domain
from customer_contract.domain import contract_state as state
from customer_contract.domain.contract_events import (
    ContractActivated,
    ContractCompleted,
    ContractSigned,
    ContractTerminated,
)
from customer_contract.domain.contract_limit import (
    LimitNotApplicable,
    LimitNotPositive,
    LimitUnchanged,
    LineNotFound,
)
from customer_contract.domain.contract_state import TRANSITIONS
from customer_contract.domain.contract_terms import Contract, ContractStatus, StateInstants
from customer_contract.domain.quote import ContractAlreadySigned
from customer_contract.domain.values import ContractLineId, CustomerId
from throughline_core.errors import IllegalTransition, Refusal
from throughline_core.money import MixedCurrencies, Money

DAY = timedelta(days=1)
TODAY = date(2026, 11, 20)
ENDED = datetime(2026, 11, 20, 9, tzinfo=UTC)


def statuses_without(target: ContractStatus) -> list[ContractStatus]:
    return [status for status in ContractStatus if target not in TRANSITIONS[status]]


def statuses_but(excluded: ContractStatus) -> list[ContractStatus]:
    return [status for status in ContractStatus if status is not excluded]


def drafted() -> Contract:
    return domain.draft(
        a_quote(),
        contract_id=a_contract().contract_id,
        engagement_id=an_id("f1"),
        number="CT-000017",
        time_zone="Europe/Berlin",
        recorded=an_amendment(),
    )


def test_a_draft_has_the_terms_of_its_quote_and_the_usual_billing() -> None:
    draft = drafted()

    assert [line.terms for line in draft.lines] == list(a_quote().lines)
    assert replace(draft, lines=a_contract().lines) == a_contract(
        billing=a_billing_profile(rate_card_id=None)
    )


def test_lines_of_one_quote_line_have_one_id_whenever_they_are_drafted() -> None:
    assert [one.contract_line_id for one in drafted().lines] == [
        one.contract_line_id for one in drafted().lines
    ]
    assert len({one.contract_line_id for one in drafted().lines}) == 4


def test_a_redraft_takes_the_quotes_terms_and_keeps_what_was_edited() -> None:
    edited = replace(
        drafted(),
        version=5,
        billing=a_billing_profile(not_to_exceed=eur("1"), payment_terms_days=7),
    )
    revision = a_quote(quote_version=2, lines=(a_line(2),), payment_terms_days=45)

    redraft = domain.redraft(edited, revision, time_zone="Europe/Berlin", recorded=an_amendment())

    assert (redraft.version, redraft.contract_version, redraft.quote_version) == (6, 1, 2)
    assert redraft.lines == drafted().lines[1:2]
    assert redraft.billing == replace(edited.billing, payment_terms_days=45)


def test_a_redraft_for_another_customer_or_currency_forgets_what_was_about_the_first() -> None:
    edited = replace(drafted(), billing=a_billing_profile(not_to_exceed=eur("1")))
    other = CustomerId(an_id("c2"))

    resold, repriced = (
        domain.redraft(edited, quote, time_zone="UTC", recorded=an_amendment()).billing
        for quote in (a_quote(customer_id=other), a_quote(currency="USD", lines=()))
    )

    assert (resold.bill_to_customer_id, resold.rate_card_id) == (other, None)
    assert resold.not_to_exceed == eur("1")
    assert (repriced.not_to_exceed, repriced.rate_card_id) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda contract: domain.redraft(
            contract, a_quote(), time_zone="UTC", recorded=an_amendment()
        ),
        lambda contract: domain.edit_draft(
            contract, a_billing_profile(), card_currency=None, recorded=an_amendment()
        ),
    ],
)
@pytest.mark.parametrize("status", statuses_but(ContractStatus.DRAFT))
def test_signed_terms_are_not_rewritten(
    change: Callable[[Contract], Contract], status: ContractStatus
) -> None:
    with pytest.raises(domain.NotDraft):
        change(an_active_contract(status=status))


def test_an_edit_of_a_draft_stays_within_its_currency() -> None:
    def edit(card_currency: str | None = "EUR", **changes: Any) -> Contract:
        return domain.edit_draft(
            a_contract(),
            a_billing_profile(**changes),
            card_currency=card_currency,
            recorded=an_amendment(),
        )

    assert edit(payment_terms_days=10).billing.payment_terms_days == 10
    with pytest.raises(MixedCurrencies):
        edit(not_to_exceed=Money(Decimal(1), "USD"))
    with pytest.raises(LimitNotPositive):
        edit(not_to_exceed=eur("0"))
    with pytest.raises(domain.CardCurrencyDiffers):
        edit("USD", rate_card_id=CARD_ID)


def test_the_signature_closes_the_terms_from_its_day_on() -> None:
    change = state.sign(a_contract(), a_signature(), recorded=an_amendment(), today=TODAY)

    assert change.state == a_signed_contract()
    assert change.events == (ContractSigned(change.state),)


def test_nothing_is_signed_tomorrow() -> None:
    with pytest.raises(state.DateInFuture):
        state.sign(
            a_contract(), a_signature(signed_on=TODAY + DAY), recorded=an_amendment(), today=TODAY
        )


@pytest.mark.parametrize("status", statuses_without(ContractStatus.SIGNED))
def test_only_a_draft_is_signed(status: ContractStatus) -> None:
    with pytest.raises(IllegalTransition):
        state.sign(a_contract(status=status), a_signature(), recorded=an_amendment(), today=TODAY)


def test_a_signed_contract_comes_into_force_on_the_first_day_of_its_term() -> None:
    change = state.activate(a_signed_contract(), on=START, today=START, at=LEARNED)

    assert change.state == an_active_contract()
    assert change.events == (ContractActivated(change.state),)


@pytest.mark.parametrize("status", statuses_without(ContractStatus.ACTIVE))
def test_only_a_signed_contract_is_activated(status: ContractStatus) -> None:
    with pytest.raises(IllegalTransition):
        state.activate(a_contract(status=status), on=START, today=TODAY, at=LEARNED)


@pytest.mark.parametrize(
    ("on", "today", "refusal"),
    [
        (START - DAY, TODAY, state.TermNotStarted),
        (END, END, state.TermOver),
        (TODAY + DAY, TODAY, state.DateInFuture),
    ],
)
def test_a_contract_is_activated_within_its_term_and_not_ahead(
    on: date, today: date, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        state.activate(a_signed_contract(), on=on, today=today, at=LEARNED)


def test_a_contract_ends_early_with_a_reason() -> None:
    change = state.terminate(
        an_active_contract(), on=TODAY, today=TODAY, reason="insolvent", at=ENDED
    )

    assert change.state == an_active_contract(
        status=ContractStatus.TERMINATED,
        version=4,
        terminated_on=TODAY,
        termination_reason="insolvent",
        learned=StateInstants(activated_at=LEARNED, ended_at=ENDED),
    )
    assert change.events == (ContractTerminated(change.state),)


@pytest.mark.parametrize("status", statuses_without(ContractStatus.TERMINATED))
def test_a_draft_or_an_ended_contract_is_not_terminated(status: ContractStatus) -> None:
    with pytest.raises(IllegalTransition):
        state.terminate(
            an_active_contract(status=status), on=TODAY, today=TODAY, reason="x", at=ENDED
        )


@pytest.mark.parametrize(
    ("contract", "on", "refusal"),
    [
        (an_active_contract(), START - DAY, state.EndsBeforeStart),
        (a_signed_contract(), date(2026, 8, 23), state.EndsBeforeStart),
        (an_active_contract(), END, state.TermOver),
        (an_active_contract(), TODAY + DAY, state.DateInFuture),
    ],
)
def test_a_contract_ends_after_it_began_and_not_ahead(
    contract: Contract, on: date, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        state.terminate(contract, on=on, today=TODAY, reason="x", at=ENDED)


def test_a_late_signature_covers_the_whole_term() -> None:
    late = a_signature(signed_on=START + 30 * DAY)
    signed = state.sign(a_contract(), late, recorded=an_amendment(), today=TODAY).state

    assert signed.amendment.effective_on == START
    assert state.as_of(signed, START).status is ContractStatus.SIGNED


@pytest.mark.parametrize(
    ("today", "activated_on"),
    [(START - DAY, None), (START, START), (TODAY, START)],
)
def test_a_signature_may_put_the_contract_into_force_as_soon_as_its_term_begins(
    today: date, activated_on: date | None
) -> None:
    change = state.activate_on_signature(a_signed_contract(), today=today, at=LEARNED)

    assert change.state.activated_on == activated_on
    assert change.state.is_activated_when_due == (activated_on is None)
    assert len(change.events) == (activated_on is not None)


def test_a_contract_that_waits_for_its_term_is_active_or_ended_once() -> None:
    waiting = a_signed_contract(is_activated_when_due=True)

    for change in (
        state.activate(waiting, on=START, today=START, at=LEARNED),
        state.terminate(waiting, on=START, today=START, reason="x", at=ENDED),
    ):
        assert not change.state.is_activated_when_due


def completed(contract: Contract | None = None, **changes: Any) -> Contract:
    facts: dict[str, Any] = {"on": TODAY, "today": TODAY, "open_change_orders": 0, "at": ENDED}
    return state.complete(contract or an_active_contract(), **facts | changes).state


def test_a_contract_is_completed_when_everything_was_done_even_after_its_term() -> None:
    done = completed(on=END + DAY, today=END + DAY)

    assert (done.status, done.completed_on) == (ContractStatus.COMPLETED, END + DAY)
    assert done.version == an_active_contract().version + 1
    change = state.complete(
        an_active_contract(), on=TODAY, today=TODAY, open_change_orders=0, at=ENDED
    )
    assert change.events == (ContractCompleted(change.state),)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"open_change_orders": 1}, state.ChangeOrdersOpen),
        ({"on": START - DAY}, state.EndsBeforeStart),
        ({"on": TODAY + DAY}, state.DateInFuture),
    ],
)
def test_what_is_still_open_is_not_completed(
    changes: dict[str, Any], refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        completed(**changes)


@pytest.mark.parametrize("status", statuses_without(ContractStatus.COMPLETED))
def test_only_a_contract_in_force_is_completed(status: ContractStatus) -> None:
    with pytest.raises(IllegalTransition):
        completed(an_active_contract(status=status))


def moved(
    limit: Money | None, *, line: int | None = 2, contract: Contract | None = None
) -> Contract:
    contract = contract or an_active_contract()
    line_id = None if line is None else contract.lines[line - 1].contract_line_id
    return domain.change_limit(
        contract, limit, contract_line_id=line_id, recorded=an_amendment(), today=TODAY
    ).state


def test_a_moved_limit_makes_the_next_version_of_the_terms() -> None:
    contract = moved(eur("66000"))

    assert (contract.version, contract.contract_version) == (4, 2)
    assert contract.lines[1].terms.terms.not_to_exceed == eur("66000")
    assert contract.amendment.effective_on == TODAY
    assert contract.lines[0] == an_active_contract().lines[0]


def test_a_limit_may_be_lifted_and_one_over_all_lines_set() -> None:
    assert moved(None).lines[1].terms.terms.not_to_exceed is None
    assert moved(eur("90000"), line=None).billing.not_to_exceed == eur("90000")


@pytest.mark.parametrize(
    ("limit", "line", "refusal"),
    [
        (eur("60000"), 2, LimitUnchanged),
        (None, None, LimitUnchanged),
        (eur("0"), 2, LimitNotPositive),
        (Money(Decimal(1), "USD"), 2, MixedCurrencies),
        (eur("1"), 1, LimitNotApplicable),
        (eur("1"), 3, LimitNotApplicable),
    ],
)
def test_a_limit_that_means_nothing_is_refused(
    limit: Money | None, line: int | None, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        moved(limit, line=line)


def test_a_limit_is_moved_on_a_line_of_the_contract() -> None:
    with pytest.raises(LineNotFound):
        domain.change_limit(
            an_active_contract(),
            eur("1"),
            contract_line_id=ContractLineId(an_id("b999")),
            recorded=an_amendment(),
            today=TODAY,
        )


@pytest.mark.parametrize("status", statuses_but(ContractStatus.ACTIVE))
def test_limits_move_while_the_contract_is_active(status: ContractStatus) -> None:
    with pytest.raises(domain.NotActive):
        moved(eur("1"), contract=an_active_contract(status=status))


@pytest.mark.parametrize("status", ContractStatus)
def test_the_offer_behind_a_signed_contract_is_fixed(status: ContractStatus) -> None:
    domain.require_unsigned(None)
    if status is ContractStatus.DRAFT:
        domain.require_unsigned(a_contract())
    else:
        with pytest.raises(ContractAlreadySigned):
            domain.require_unsigned(a_contract(status=status))


def test_a_past_day_shows_the_state_of_that_day() -> None:
    ended = state.terminate(an_active_contract(), on=TODAY, today=TODAY, reason="x", at=ENDED).state

    assert state.as_of(ended, TODAY) == ended
    before = state.as_of(ended, TODAY - DAY)
    assert (before.status, before.terminated_on) == (ContractStatus.ACTIVE, None)
    signed = state.as_of(ended, START - DAY)
    assert (signed.status, signed.activated_on) == (ContractStatus.SIGNED, None)
    with pytest.raises(state.NoTermsYet):
        state.as_of(ended, date(2026, 8, 23))
    with pytest.raises(state.NoTermsYet):
        state.as_of(a_contract(), TODAY)


def test_a_day_is_told_as_it_was_known_at_an_instant() -> None:
    ended = state.terminate(an_active_contract(), on=TODAY, today=TODAY, reason="x", at=ENDED).state
    instant = timedelta(microseconds=1)

    def known(day: date, at: datetime) -> tuple[ContractStatus, date | None]:
        shown = state.as_of(ended, day, known_at=at)
        return shown.status, shown.terminated_on

    assert known(TODAY, ENDED) == (ContractStatus.TERMINATED, TODAY)
    assert known(TODAY, ENDED - instant) == (ContractStatus.ACTIVE, None)
    assert known(TODAY, LEARNED - instant) == (ContractStatus.SIGNED, None)
