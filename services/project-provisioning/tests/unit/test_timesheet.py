"""A timesheet is handed in by one person and judged by another."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from project_provisioning_builders import AT, a_sheet, an_id

from project_provisioning.domain.delegation import Judge
from project_provisioning.domain.timesheet import (
    OPEN,
    TRANSITIONS,
    NotApprover,
    NothingLeft,
    NotSubmitter,
    OwnTime,
    TimeApprover,
    Timesheet,
    TimesheetEmpty,
    TimesheetNotOpen,
    TimesheetStatus,
    approve,
    recall,
    reject,
    require_open,
    send_back,
    submit,
    week_start_of,
)
from throughline_core.errors import FailedPrecondition, IllegalTransition, PermissionDenied

ADA, PAULA = "user:ada.brandt", "user:paula.pmo"
SUBMITTED = a_sheet(TimesheetStatus.SUBMITTED, submitted_by="client:time-tracker")


def pmo(subject: str) -> Judge:
    return Judge(subject, is_pmo=True)


def judged(sheet: Timesheet, by: str) -> Timesheet:
    return approve(sheet, judge=pmo(by), at=AT, decision_id=an_id("161"))


@pytest.mark.parametrize("status", [TimesheetStatus.DRAFT, TimesheetStatus.REJECTED])
def test_a_draft_or_a_rejected_sheet_is_handed_in(status: TimesheetStatus) -> None:
    sheet = submit(a_sheet(status, decided_by=PAULA), by=ADA, at=AT, entry_count=1)

    assert (sheet.status, sheet.version) == (TimesheetStatus.SUBMITTED, 2)
    assert (sheet.submitted_by, sheet.decided_by) == (ADA, "")


def test_an_empty_sheet_is_not_handed_in() -> None:
    with pytest.raises(TimesheetEmpty):
        submit(a_sheet(), by=ADA, at=AT, entry_count=0)


def test_a_second_person_approves_for_good() -> None:
    approved = judged(SUBMITTED, PAULA)

    assert approved.status is TimesheetStatus.APPROVED
    assert approved.decision_id == an_id("161")
    assert not TRANSITIONS[TimesheetStatus.APPROVED]


@pytest.mark.parametrize("by", [ADA, "client:time-tracker"])
def test_neither_the_person_nor_who_submitted_judges(by: str) -> None:
    with pytest.raises(OwnTime):
        judged(SUBMITTED, by)
    with pytest.raises(OwnTime):
        reject(SUBMITTED, judge=pmo(by), at=AT, reason="no")


@pytest.mark.parametrize("status", sorted(set(TimesheetStatus) - {TimesheetStatus.SUBMITTED}))
def test_only_a_submitted_sheet_is_judged(status: TimesheetStatus) -> None:
    with pytest.raises(IllegalTransition):
        judged(a_sheet(status), PAULA)


@pytest.mark.parametrize("rule", [TimeApprover.LINE_MANAGER, TimeApprover.PROJECT_MANAGER])
def test_the_manager_of_the_policy_approves_and_nobody_else(rule: TimeApprover) -> None:
    sheet = replace(SUBMITTED, rule=rule, manager="user:lena.lead")

    approved = approve(
        sheet, judge=Judge("user:lena.lead", is_pmo=False), at=AT, decision_id=an_id("161")
    )

    assert (approved.decided_by, approved.decided_for) == ("user:lena.lead", "")
    with pytest.raises(NotApprover):
        judged(sheet, PAULA)


@pytest.mark.parametrize("manager", ["", ADA, "client:time-tracker"])
def test_the_pmo_approves_where_no_second_person_is_the_manager(manager: str) -> None:
    sheet = replace(SUBMITTED, rule=TimeApprover.LINE_MANAGER, manager=manager)

    assert judged(sheet, PAULA).decided_by == PAULA


@pytest.mark.parametrize("by", [ADA, "client:time-tracker"])
def test_whose_time_it_is_or_who_submitted_takes_it_back(by: str) -> None:
    recalled = recall(SUBMITTED, by=by)

    assert (recalled.status, recalled.submitted_by) == (TimesheetStatus.DRAFT, "")


def test_nobody_else_takes_a_sheet_back() -> None:
    with pytest.raises(NotSubmitter):
        recall(SUBMITTED, by=PAULA)


@pytest.mark.parametrize("status", sorted(set(TimesheetStatus) - {TimesheetStatus.SUBMITTED}))
def test_only_a_submitted_sheet_is_taken_back(status: TimesheetStatus) -> None:
    with pytest.raises(IllegalTransition):
        recall(a_sheet(status), by=ADA)


def test_what_is_sent_back_goes_to_a_draft_that_names_its_sheet() -> None:
    one, other = an_id("151"), an_id("152")

    draft = send_back(SUBMITTED, entry_ids=[one, other], rejected_ids=[one], draft_id=an_id("142"))

    assert draft.status is TimesheetStatus.DRAFT
    assert draft.split_from == SUBMITTED.timesheet_id
    assert not draft.takes_entries
    with pytest.raises(NothingLeft):
        send_back(SUBMITTED, entry_ids=[one], rejected_ids=[one], draft_id=an_id("142"))


@pytest.mark.parametrize("status", sorted(TimesheetStatus))
def test_entries_are_taken_off_open_sheets_only(status: TimesheetStatus) -> None:
    if status in OPEN:
        require_open(a_sheet(status))
    else:
        with pytest.raises(TimesheetNotOpen):
            require_open(a_sheet(status))


@given(st.dates(min_value=date(1, 1, 1)))
def test_a_week_starts_on_its_monday(day: date) -> None:
    monday = week_start_of(day)

    assert monday.weekday() == 0
    assert 0 <= (day - monday).days < 7
    assert monday.isocalendar()[:2] == day.isocalendar()[:2]


class TimesheetMachine(RuleBasedStateMachine):
    """People do what they like; whatever they try, nobody's own time is approved by them."""

    people = st.sampled_from([ADA, PAULA, "user:omar.pmo", "client:time-tracker"])

    def __init__(self) -> None:
        super().__init__()
        self.sheet = a_sheet()
        self.approved: Timesheet | None = None

    def attempt(self, decide: Any) -> None:
        """Take the decision; a refusal leaves the sheet as it is."""
        try:
            self.sheet = decide(self.sheet)
        except (FailedPrecondition, PermissionDenied):
            return
        if self.sheet.status is TimesheetStatus.APPROVED:
            self.approved = self.approved or self.sheet

    @rule(by=people, entries=st.integers(0, 2))
    def hand_in(self, by: str, entries: int) -> None:
        self.attempt(lambda sheet: submit(sheet, by=by, at=AT, entry_count=entries))

    @rule(by=people)
    def approve(self, by: str) -> None:
        self.attempt(lambda sheet: judged(sheet, by))

    @rule(by=people)
    def reject(self, by: str) -> None:
        self.attempt(lambda sheet: reject(sheet, judge=pmo(by), at=AT, reason="see the notes"))

    @rule(by=people)
    def take_back(self, by: str) -> None:
        self.attempt(lambda sheet: recall(sheet, by=by))

    @invariant()
    def approved_is_final(self) -> None:
        assert self.approved in (None, self.sheet)

    @invariant()
    def a_second_person_decided(self) -> None:
        if self.sheet.decided_by:
            assert self.sheet.decided_by not in (ADA, self.sheet.submitted_by)

    @invariant()
    def the_row_is_one_the_table_takes(self) -> None:
        sheet = self.sheet
        decided = sheet.status in (TimesheetStatus.APPROVED, TimesheetStatus.REJECTED)
        assert decided == bool(sheet.decided_by) == (sheet.decided_at is not None)
        assert (sheet.status is TimesheetStatus.APPROVED) == (sheet.decision_id is not None)
        assert (sheet.status is TimesheetStatus.REJECTED) == bool(sheet.rejection_reason)


TestTimesheets = TimesheetMachine.TestCase
