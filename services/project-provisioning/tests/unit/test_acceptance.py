"""The client accepts a milestone, or a share of it; an acceptance may be taken back."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import KICKOFF, eur, the_milestone

from project_provisioning.domain.acceptance import (
    Acceptance,
    AcceptedBeforeCompletion,
    NotAccepted,
    ShareAmbiguous,
    ShareOutOfRange,
    WithoutEvidence,
    accept,
    rest_id_of,
    withdraw,
)
from project_provisioning.domain.milestone import (
    AcceptanceWithdrawn,
    DayInFuture,
    Milestone,
    MilestoneAccepted,
    MilestoneStatus,
    StepKind,
)
from throughline_core.errors import IllegalTransition
from throughline_core.money import MixedCurrencies, Money

TODAY = date(2026, 9, 14)
COMPLETED = the_milestone(MilestoneStatus.COMPLETED, version=2, completed_on=date(2026, 9, 11))
SIGNED = Acceptance("Clara Neumann", TODAY, "9c" * 32, "user:paula.pmo")


def test_the_client_accepts_what_is_complete() -> None:
    change = accept(COMPLETED, SIGNED, today=TODAY)

    accepted = change.state
    assert (accepted.status, accepted.version) == (MilestoneStatus.ACCEPTED, 3)
    assert (accepted.accepted_by, accepted.accepted_on) == ("Clara Neumann", TODAY)
    assert accepted.recorded_by == "user:paula.pmo"
    assert change.events == (MilestoneAccepted(accepted, None),)
    assert [step.kind for step in change.steps] == [StepKind.ACCEPTED]


@pytest.mark.parametrize("status", sorted(set(MilestoneStatus) - {MilestoneStatus.COMPLETED}))
def test_only_a_completed_milestone_is_accepted(status: MilestoneStatus) -> None:
    with pytest.raises(IllegalTransition):
        accept(the_milestone(status), SIGNED, today=TODAY)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"accepted_on": date(2026, 9, 10)}, AcceptedBeforeCompletion),
        ({"accepted_on": date(2026, 9, 15)}, DayInFuture),
        ({"evidence_sha256": ""}, WithoutEvidence),
        ({"share_percent": Decimal(50), "amount": eur("1.00")}, ShareAmbiguous),
        ({"share_percent": Decimal(0)}, ShareOutOfRange),
        ({"share_percent": Decimal("0.0001")}, ShareOutOfRange),
        ({"amount": eur("0.00")}, ShareOutOfRange),
        ({"amount": eur("9600.01")}, ShareOutOfRange),
        ({"amount": Money(Decimal(1), "USD")}, MixedCurrencies),
    ],
)
def test_an_unsound_acceptance_is_refused(
    change: dict[str, object], refusal: type[Exception]
) -> None:
    small = replace(COMPLETED, amount=eur("9600.00"))
    if change.get("share_percent") == Decimal("0.0001"):
        small = replace(COMPLETED, amount=eur("0.10"))

    with pytest.raises(refusal):
        accept(small, replace(SIGNED, **change), today=TODAY)  # type: ignore[arg-type]  # varied


def test_a_share_splits_the_milestone() -> None:
    change = accept(COMPLETED, replace(SIGNED, share_percent=Decimal(40)), today=TODAY)

    accepted, rest = change.state, change.rest
    assert rest is not None
    assert (accepted.amount, rest.amount) == (eur("3840.00"), eur("5760.00"))
    assert (accepted.milestone_id, rest.split_from_milestone_id) == (KICKOFF, KICKOFF)
    assert (rest.key, rest.version, rest.status) == ("kickoff_rest", 1, MilestoneStatus.COMPLETED)
    assert rest.completed_on == COMPLETED.completed_on
    assert (rest.accepted_by, rest.accepted_on, rest.recorded_by) == ("", None, "")
    assert change.events == (MilestoneAccepted(accepted, rest),)
    assert [step.kind for step in change.steps] == [
        StepKind.ACCEPTED_IN_PART,
        StepKind.SPLIT_OFF,
    ]


def test_all_of_the_amount_is_no_share() -> None:
    for whole in (
        replace(SIGNED, amount=eur("9600.00")),
        replace(SIGNED, share_percent=Decimal(100)),
    ):
        assert accept(COMPLETED, whole, today=TODAY).rest is None


def test_rests_of_rests_have_keys_of_their_own() -> None:
    part = replace(SIGNED, share_percent=Decimal(50))
    first = accept(COMPLETED, part, today=TODAY, taken_keys={"kickoff"}).rest
    assert first is not None

    second = accept(first, part, today=TODAY, taken_keys={"kickoff", "kickoff_rest"}).rest

    assert second is not None
    assert second.key == "kickoff_rest2"
    assert len({COMPLETED.milestone_id, first.milestone_id, second.milestone_id}) == 3


@given(
    cents=st.integers(1, 10**9),
    shares=st.lists(st.decimals("0.0001", "99.9999", places=4), min_size=1, max_size=6),
)
def test_whatever_is_accepted_bit_by_bit_sums_to_what_there_was(
    cents: int, shares: list[Decimal]
) -> None:
    left = replace(COMPLETED, amount=Money(Decimal(cents) / 100, "EUR"))
    accepted = Money.zero("EUR")
    keys = {left.key}
    for share in shares:
        try:
            change = accept(
                left, replace(SIGNED, share_percent=share), today=TODAY, taken_keys=keys
            )
        except ShareOutOfRange:
            continue
        accepted += change.state.amount
        if change.rest is None:
            left = replace(left, amount=Money.zero("EUR"))
            break
        assert change.rest.key not in keys
        left = change.rest
        keys.add(left.key)

    assert accepted + left.amount == Money(Decimal(cents) / 100, "EUR")


def in_part() -> tuple[Milestone, Milestone]:
    """Return a milestone of which 40 % are accepted, and the rest."""
    change = accept(COMPLETED, replace(SIGNED, share_percent=Decimal(40)), today=TODAY)
    assert change.rest is not None
    return change.state, change.rest


def test_an_acceptance_is_taken_back_and_leaves_nothing_of_it() -> None:
    accepted = accept(COMPLETED, SIGNED, today=TODAY).state

    change = withdraw(accepted, "signed for the wrong thing", today=TODAY)

    assert change.state == replace(COMPLETED, version=4)
    assert change.events == (AcceptanceWithdrawn(change.state, "signed for the wrong thing"),)
    assert [step.kind for step in change.steps] == [StepKind.WITHDRAWN]


def test_what_was_left_by_an_acceptance_in_part_goes_back_with_it() -> None:
    accepted, rest = in_part()
    asked = replace(rest, version=2, acceptance_requested_on=TODAY)

    change = withdraw(accepted, "the wrong thing", today=TODAY, rest=asked)

    assert rest.milestone_id == rest_id_of(accepted)
    assert change.state == replace(COMPLETED, version=5)
    assert change.rest is not None
    assert (change.rest.status, change.rest.version) == (MilestoneStatus.CANCELLED, 3)
    assert change.rest.amount == eur("0.00")
    assert change.events == (AcceptanceWithdrawn(change.state, "the wrong thing", change.rest),)
    assert [(step.kind, step.milestone.amount) for step in change.steps] == [
        (StepKind.WITHDRAWN, eur("3840.00")),
        (StepKind.MERGED, eur("9600.00")),
        (StepKind.CANCELLED, eur("0.00")),
    ]


@pytest.mark.parametrize(
    "status", [MilestoneStatus.ACCEPTED, MilestoneStatus.REJECTED, MilestoneStatus.CANCELLED]
)
def test_a_rest_the_client_has_answered_for_stays_what_it_is(status: MilestoneStatus) -> None:
    accepted, rest = in_part()

    change = withdraw(accepted, "why", today=TODAY, rest=replace(rest, status=status, version=2))

    assert (change.state.amount, change.state.version, change.rest) == (eur("3840.00"), 4, None)


def test_what_went_back_may_be_accepted_in_part_anew() -> None:
    accepted, rest = in_part()
    merged = withdraw(accepted, "why", today=TODAY, rest=rest).state

    again = accept(
        merged,
        replace(SIGNED, share_percent=Decimal(75)),
        today=TODAY,
        taken_keys={merged.key, rest.key},
    )

    assert again.rest is not None
    assert (again.state.amount, again.rest.amount) == (eur("7200.00"), eur("2400.00"))
    assert again.rest.milestone_id != rest.milestone_id
    assert again.rest.key == "kickoff_rest2"


def test_only_what_is_accepted_is_taken_back() -> None:
    with pytest.raises(NotAccepted):
        withdraw(COMPLETED, "nothing to take back", today=TODAY)
