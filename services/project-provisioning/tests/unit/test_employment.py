"""Stretches of employment follow each other without overlap, whatever is recorded when."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import DE01, US01, ada, an_id

from project_provisioning.domain.employment import (
    Employee,
    Employment,
    EmploymentInUse,
    EmploymentNotFound,
    EmploymentOverlap,
    EmploymentUnchanged,
    EndTooEarly,
    NewTerms,
    NotEmployed,
    SameEntity,
    change_terms,
    employ,
    employment_on,
    end,
    hire,
    revoke,
    transfer,
)
from throughline_core.errors import Refusal

HIRED = date(2024, 1, 1)
TODAY = date(2026, 9, 7)
MOVES_ON = date(2026, 10, 1)
TO_US = NewTerms(legal_entity_id=US01, region="US")


def the_employee() -> Employee:
    return hire(ada(), today=TODAY).state


def a_stretch(valid_from: date, valid_to: date | None = None, **values: Any) -> Employment:
    terms: dict[str, Any] = {
        "legal_entity_id": DE01,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "role": "senior_consultant",
        "level": "senior",
        "region": "DE",
    }
    return Employment(**terms | values)


def test_a_transfer_ends_one_stretch_with_the_day_the_next_begins() -> None:
    moved = transfer(the_employee(), on=MOVES_ON, terms=TO_US, today=TODAY).state

    assert moved.employments == (
        a_stretch(HIRED, MOVES_ON),
        a_stretch(MOVES_ON, legal_entity_id=US01, region="US"),
    )
    on = [employment_on(moved.employments, MOVES_ON + timedelta(days)) for days in (-1, 0)]
    assert [each and each.legal_entity_id for each in on] == [DE01, US01]


def test_lists_show_a_future_transfer_from_its_day_on_only() -> None:
    before = transfer(the_employee(), on=MOVES_ON, terms=TO_US, today=TODAY).state
    after = transfer(the_employee(), on=MOVES_ON, terms=TO_US, today=MOVES_ON).state

    assert (before.person.legal_entity_id, after.person.legal_entity_id) == (DE01, US01)
    assert before.person.version == ada().version + 1


def test_a_transfer_goes_to_another_company() -> None:
    with pytest.raises(SameEntity):
        transfer(the_employee(), on=MOVES_ON, terms=NewTerms(legal_entity_id=DE01), today=TODAY)


def test_a_transfer_does_not_run_into_a_change_that_is_recorded_for_later() -> None:
    planned = change_terms(
        the_employee(), on=date(2027, 1, 1), terms=NewTerms(level="principal"), today=TODAY
    ).state

    with pytest.raises(EmploymentOverlap) as refused:
        transfer(planned, on=MOVES_ON, terms=TO_US, today=TODAY)
    assert "2027-01-01 to open" in refused.value.message


def test_a_promotion_holds_up_to_the_next_change_that_is_recorded() -> None:
    moved = transfer(the_employee(), on=MOVES_ON, terms=TO_US, today=TODAY).state

    promoted = change_terms(
        moved, on=date(2026, 3, 1), terms=NewTerms(level="principal"), today=TODAY
    ).state

    spans = [(each.valid_from, each.valid_to, each.level) for each in promoted.employments]
    assert spans == [
        (HIRED, date(2026, 3, 1), "senior"),
        (date(2026, 3, 1), MOVES_ON, "principal"),
        (MOVES_ON, None, "senior"),
    ]


def test_a_change_on_the_first_day_of_a_stretch_corrects_it() -> None:
    corrected = change_terms(
        the_employee(), on=HIRED, terms=NewTerms(level="junior"), today=TODAY
    ).state

    assert corrected.employments == (a_stretch(HIRED, level="junior"),)


@pytest.mark.parametrize(
    "terms", [NewTerms(), NewTerms(level="senior"), NewTerms(clear_manager=True)]
)
def test_what_changes_nothing_is_refused(terms: NewTerms) -> None:
    with pytest.raises(EmploymentUnchanged):
        change_terms(the_employee(), on=MOVES_ON, terms=terms, today=TODAY)


def test_nobody_is_changed_outside_an_employment() -> None:
    ended = end(the_employee(), on=MOVES_ON, today=TODAY).state

    for day in (HIRED - timedelta(1), MOVES_ON):
        with pytest.raises(NotEmployed):
            change_terms(ended, on=day, terms=NewTerms(level="x"), today=TODAY)


def test_an_employment_ends_once_and_not_before_it_began() -> None:
    ended = end(the_employee(), on=MOVES_ON, today=TODAY).state

    assert ended.person.employed_to == MOVES_ON
    with pytest.raises(NotEmployed):
        end(ended, on=MOVES_ON, today=TODAY)
    with pytest.raises(EndTooEarly):
        end(the_employee(), on=HIRED, today=TODAY)


def test_who_left_may_come_back_but_not_while_employed() -> None:
    ended = end(the_employee(), on=MOVES_ON, today=TODAY).state
    back = employ(ended, a_stretch(date(2027, 1, 1)), today=TODAY).state

    assert len(back.employments) == 2
    with pytest.raises(EmploymentOverlap):
        employ(ended, a_stretch(MOVES_ON - timedelta(1)), today=TODAY)
    with pytest.raises(EmploymentOverlap):
        employ(back, a_stretch(MOVES_ON, None), today=TODAY)


def test_a_change_taken_back_leaves_no_trace() -> None:
    moved = transfer(the_employee(), on=MOVES_ON, terms=TO_US, today=TODAY).state

    assert revoke(moved, valid_from=MOVES_ON, today=TODAY).state.employments == (
        the_employee().employments
    )
    with pytest.raises(EmploymentNotFound):
        revoke(moved, valid_from=date(2026, 10, 2), today=TODAY)
    with pytest.raises(EmploymentInUse):
        revoke(the_employee(), valid_from=HIRED, today=TODAY)


DAYS = st.dates(date(2024, 1, 1), date(2028, 1, 1))
ACTS = st.one_of(
    st.tuples(st.just("transfer"), DAYS, st.sampled_from([DE01, US01, an_id("e3")])),
    st.tuples(st.just("promote"), DAYS, st.sampled_from(["junior", "senior", "principal"])),
    st.tuples(st.just("end"), DAYS, st.none()),
    st.tuples(st.just("employ"), DAYS, st.none()),
    st.tuples(st.just("revoke"), DAYS, st.none()),
)


@given(st.lists(ACTS, max_size=12))
def test_whatever_is_recorded_in_whatever_order_stretches_never_overlap(
    acts: list[tuple[str, date, Any]],
) -> None:
    employee = the_employee()
    for act, day, value in acts:
        version = employee.person.version
        try:
            if act == "transfer":
                terms = NewTerms(legal_entity_id=value)
                employee = transfer(employee, on=day, terms=terms, today=TODAY).state
            elif act == "promote":
                terms = NewTerms(level=value)
                employee = change_terms(employee, on=day, terms=terms, today=TODAY).state
            elif act == "end":
                employee = end(employee, on=day, today=TODAY).state
            elif act == "employ":
                employee = employ(employee, a_stretch(day), today=TODAY).state
            else:
                employee = revoke(employee, valid_from=day, today=TODAY).state
        except Refusal:
            assert employee.person.version == version
            continue
        assert employee.person.version == version + 1
        stretches = employee.employments
        assert all(each.valid_to is None or each.valid_from < each.valid_to for each in stretches)
        for one, following in pairwise(stretches):
            assert one.valid_to is not None
            assert one.valid_to <= following.valid_from
