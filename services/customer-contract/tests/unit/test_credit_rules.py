"""Credit: what may be owed in each currency, and who lets it be exceeded."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from customer_contract_builders import CUSTOMER_ID, an_id, eur

from customer_contract.domain import credit as domain
from customer_contract.domain.credit import (
    Exposure,
    Override,
    OverrideOver,
    OverrideOwn,
    OverrideSettled,
    OverrideStatus,
    is_exceeded,
    positions,
)
from customer_contract.domain.customer import LimitNotPositive
from throughline_core.money import Money

TODAY = date(2026, 9, 1)
NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def an_override(**changes: Any) -> Override:
    override = Override(
        credit_override_id=an_id("c9"),
        customer_id=CUSTOMER_ID,
        amount=eur("500.00"),
        expires_on=date(2026, 10, 1),
        reason="the final report of another deal is about to be paid",
        status=OverrideStatus.PROPOSED,
        proposed_by="sonja",
        proposed_at=NOW,
    )
    return replace(override, **changes)


def counting(**changes: Any) -> Override:
    return an_override(
        status=OverrideStatus.APPROVED, decided_by="fritz", decided_at=NOW, **changes
    )


def test_without_a_limit_nothing_is_ever_exceeded() -> None:
    owed = [Exposure(eur("1000000.00"), eur("0.00"))]

    assert positions(None, [counting()], owed, today=TODAY) == ()


@pytest.mark.parametrize(
    ("open_invoices", "exceeded"), [("900.00", False), ("900.01", True), ("0.00", False)]
)
def test_what_is_open_and_what_is_not_invoiced_yet_count_together(
    open_invoices: str, exceeded: bool
) -> None:
    owed = [Exposure(eur(open_invoices), eur("100.00"))]

    assert is_exceeded(positions(eur("1000.00"), [], owed, today=TODAY)) is exceeded


def test_an_override_adds_to_the_limit_until_its_day() -> None:
    owed = [Exposure(eur("1400.00"), eur("0.00"))]

    def exceeded(override: Override, on: date = TODAY) -> bool:
        return is_exceeded(positions(eur("1000.00"), [override], owed, today=on))

    assert not exceeded(counting())
    assert exceeded(an_override())
    assert exceeded(replace(counting(), status=OverrideStatus.REVOKED))
    assert not exceeded(counting(), date(2026, 9, 30))
    assert exceeded(counting(), date(2026, 10, 1))


def test_a_limit_says_nothing_about_another_currency() -> None:
    owed = [Exposure(usd("10.00"), usd("0.00"))]

    standing = positions(eur("1000.00"), [], owed, today=TODAY)
    assert [one.available for one in standing] == [eur("1000.00"), usd("-10.00")]
    assert is_exceeded(standing)
    assert not is_exceeded(
        positions(eur("1000.00"), [counting(amount=usd("10.00"))], owed, today=TODAY)
    )


def test_credits_to_come_lower_what_is_owed() -> None:
    owed = [Exposure(eur("1100.00"), eur("-100.00"))]

    assert not is_exceeded(positions(eur("1000.00"), [], owed, today=TODAY))


def test_an_override_needs_a_second_person_and_counts_once() -> None:
    proposed = domain.propose(an_override(), today=TODAY)

    with pytest.raises(OverrideOwn):
        domain.approve(proposed, by="sonja", at=NOW, today=TODAY)
    approved = domain.approve(proposed, by="fritz", at=NOW, today=TODAY)
    assert approved.counts_on(TODAY)
    with pytest.raises(OverrideSettled):
        domain.approve(approved, by="fritz", at=NOW, today=TODAY)
    revoked = domain.revoke(approved, by="fritz", at=NOW, reason="paid")
    assert not revoked.counts_on(TODAY)
    with pytest.raises(OverrideSettled):
        domain.revoke(revoked, by="fritz", at=NOW, reason="again")
    with pytest.raises(OverrideSettled):
        domain.approve(revoked, by="fritz", at=NOW, today=TODAY)


def test_an_override_that_could_never_count_is_refused() -> None:
    with pytest.raises(OverrideOver):
        domain.propose(an_override(expires_on=TODAY), today=TODAY)
    with pytest.raises(LimitNotPositive):
        domain.propose(an_override(amount=eur("0.00")), today=TODAY)
    with pytest.raises(OverrideOver):
        domain.approve(an_override(), by="fritz", at=NOW, today=date(2026, 10, 1))
