"""Who stands in for another has the other's right, and never over own work."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import AT, DE01, US01, an_id

from project_provisioning.domain.delegation import (
    Delegation,
    DelegationDatesReversed,
    DelegationEnded,
    DelegationNotOwn,
    DelegationOverlap,
    DelegationScope,
    DelegationToSelf,
    Judge,
    Work,
    delegate,
    revoke,
    right_over,
)

ADA, LENA, DORA, PAULA = "user:ada.brandt", "user:lena.lead", "user:dora.deputy", "user:paula.pmo"
WORK = Work(person_subject=ADA, submitted_by=ADA, legal_entity_id=DE01, approver=LENA)
FOR_PMO = replace(WORK, approver="")


def a_delegation(**values: Any) -> Delegation:
    delegation: dict[str, Any] = {
        "delegation_id": an_id("201"),
        "version": 1,
        "delegator": LENA,
        "delegate": DORA,
        "scope": DelegationScope.TIME,
        "by_pmo": False,
        "legal_entity_id": None,
        "starts_on": date(2026, 9, 1),
        "ends_on": date(2026, 10, 1),
        "reason": "",
        "created_by": LENA,
        "created_at": AT,
    }
    return Delegation(**delegation | values)


@pytest.mark.parametrize(
    ("judge", "work", "place"),
    [
        (Judge(LENA, is_pmo=False), WORK, ""),
        (Judge(PAULA, is_pmo=True), WORK, None),
        (Judge(PAULA, is_pmo=True), FOR_PMO, ""),
        (Judge(LENA, is_pmo=False), FOR_PMO, None),
        (Judge(ADA, is_pmo=True), FOR_PMO, None),
        (Judge(DORA, False, (a_delegation(),)), WORK, LENA),
        (Judge(DORA, False, (a_delegation(),)), FOR_PMO, None),
        (Judge(DORA, False, (a_delegation(delegator=PAULA, by_pmo=True),)), FOR_PMO, PAULA),
        (Judge(DORA, False, (a_delegation(legal_entity_id=US01),)), WORK, None),
        # Nobody stands in for who did the work.
        (Judge(DORA, False, (a_delegation(delegator=ADA, by_pmo=True),)), FOR_PMO, None),
        (Judge(ADA, False, (a_delegation(delegate=ADA),)), WORK, None),
    ],
)
def test_the_right_to_decide(judge: Judge, work: Work, place: str | None) -> None:
    assert right_over(judge, work) == place


@given(
    st.sampled_from([ADA, LENA, DORA, PAULA]),
    st.booleans(),
    st.sampled_from([ADA, LENA, PAULA]),
    st.booleans(),
    st.sampled_from(["", LENA, ADA]),
)
def test_nobody_decides_on_own_work_by_whatever_way(
    subject: str, is_pmo: bool, delegator: str, by_pmo: bool, approver: str
) -> None:
    delegations = (a_delegation(delegator=delegator, delegate=subject, by_pmo=by_pmo),)
    place = right_over(Judge(subject, is_pmo, delegations), replace(WORK, approver=approver))

    assert place is None or ADA not in {subject, place}


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"delegate": LENA}, DelegationToSelf),
        ({"ends_on": date(2026, 9, 1)}, DelegationDatesReversed),
        ({"delegator": PAULA}, DelegationNotOwn),
    ],
)
def test_what_cannot_be_delegated(values: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        delegate(a_delegation(**values), by=LENA, is_pmo=False, others=())


@pytest.mark.parametrize(
    ("values", "overlaps"),
    [
        ({}, True),
        ({"scope": DelegationScope.ALL}, True),
        ({"scope": DelegationScope.EXPENSES}, False),
        ({"starts_on": date(2026, 10, 1), "ends_on": date(2026, 11, 1)}, False),
        ({"legal_entity_id": DE01}, True),
        ({"revoked_by": LENA, "revoked_at": AT}, False),
    ],
)
def test_the_same_is_delegated_once_on_a_day(values: dict[str, Any], overlaps: bool) -> None:
    others = [a_delegation(**values)]

    if overlaps:
        with pytest.raises(DelegationOverlap):
            delegate(a_delegation(), by=LENA, is_pmo=False, others=others)
    else:
        assert delegate(a_delegation(), by=LENA, is_pmo=False, others=others) == a_delegation()


@pytest.mark.parametrize("by", [LENA, DORA])
def test_either_of_the_two_ends_it_once(by: str) -> None:
    ended = revoke(a_delegation(), by=by, is_pmo=False, at=AT + timedelta(1))

    assert (ended.version, ended.revoked_by) == (2, by)
    with pytest.raises(DelegationEnded):
        revoke(ended, by=by, is_pmo=False, at=AT)


def test_others_end_it_only_for_the_pmo() -> None:
    with pytest.raises(DelegationNotOwn):
        revoke(a_delegation(), by=ADA, is_pmo=False, at=AT)
    assert revoke(a_delegation(), by=PAULA, is_pmo=True, at=AT).revoked_by == PAULA
