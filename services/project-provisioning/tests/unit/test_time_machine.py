"""Whatever people do with time, in whatever order, every minute is where a naive ledger has it.

The machine keeps sheets and entries as the tables do and changes them by the decisions alone.
Beside it stands a ledger of pieces of work, each with its task and its minutes and nothing else.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from project_provisioning_builders import (
    ADA,
    AT,
    DE01,
    FIXED_FEE_TASK,
    MONDAY,
    TIME_TASK,
    a_row,
    a_sheet,
    a_work_task,
    a_worker,
    an_id,
    columns,
    facts,
)

from project_provisioning.domain.correction import (
    Corrected,
    Corrector,
    Reentry,
    Standing,
    correct,
    in_order,
)
from project_provisioning.domain.delegation import Judge
from project_provisioning.domain.time_entry import NewEntry, judge
from project_provisioning.domain.time_facts import Facts
from project_provisioning.domain.timesheet import (
    OPEN,
    Timesheet,
    TimesheetStatus,
    approve,
    recall,
    reject,
    send_back,
    submit,
)
from throughline_core.errors import FailedPrecondition, PermissionDenied

PAULA = Judge("user:paula.pmo", is_pmo=True)
TASKS = [str(TIME_TASK), str(FIXED_FEE_TASK)]
DAYS = [MONDAY + timedelta(days=day) for day in range(2)]


@dataclass(slots=True)
class Piece:
    """A piece of work as the naive ledger has it."""

    task_id: str
    day: date
    minutes: int
    is_approved: bool = False


class TimeMachine(RuleBasedStateMachine):
    """Sheets, entries, and the ledger they have to agree with."""

    minutes = st.sampled_from([1, 60, 480, 720, 960])
    tasks = st.sampled_from(TASKS)
    days = st.sampled_from(DAYS)
    choice = st.integers(0, 12)

    def __init__(self) -> None:
        super().__init__()
        self.ids = count(1)
        self.sheets: dict[UUID, Timesheet] = {}
        self.entries: dict[str, NewEntry] = {}
        self.places: dict[str, UUID] = {}
        self.announced: list[NewEntry] = []
        self.ledger: dict[str, Piece] = {}
        """Pieces by the entry that stands for each now."""

    def fresh_id(self) -> UUID:
        return an_id(f"9{next(self.ids):05}")

    def facts(self) -> Facts:
        totals: Counter[date] = Counter()
        for entry in self.entries.values():
            totals[entry.work_date] += entry.minutes
        work = [a_work_task(), a_work_task(task_id=TASKS[1], billable=False)]
        return facts(workers=[a_worker(dict(totals))], tasks=work)

    def pick(self, choice: int, *statuses: TimesheetStatus) -> Timesheet | None:
        found = [sheet for sheet in self.sheets.values() if sheet.status in statuses]
        return found[choice % len(found)] if found else None

    def on_sheet(self, sheet: Timesheet) -> list[str]:
        return [key for key, place in self.places.items() if place == sheet.timesheet_id]

    def announce(self, sheet: Timesheet) -> None:
        for key in self.on_sheet(sheet):
            self.announced.append(self.entries[key])
            self.ledger[key].is_approved = True

    @rule(minutes=minutes, task_id=tasks, day=days)
    def record(self, minutes: int, task_id: str, day: date) -> None:
        for entry in self.judged(minutes, task_id, day):
            draft = next((each for each in self.sheets.values() if each.takes_entries), None)
            self.put(entry, draft or a_sheet(timesheet_id=self.fresh_id(), takes_entries=True))

    @rule(minutes=minutes, task_id=tasks, day=days)
    def bring_in_approved(self, minutes: int, task_id: str, day: date) -> None:
        for entry in self.judged(minutes, task_id, day):
            sheet = a_sheet(TimesheetStatus.APPROVED, timesheet_id=self.fresh_id())
            self.put(entry, sheet)
            self.announce(sheet)

    def judged(self, minutes: int, task_id: str, day: date) -> list[NewEntry]:
        row = a_row(
            entry_id=str(self.fresh_id()),
            minutes=minutes,
            task_id=task_id,
            work_date=day.isoformat(),
            allow_duplicate=True,
        )
        return judge(columns(row), self.facts()).entries

    def put(self, entry: NewEntry, sheet: Timesheet) -> None:
        self.sheets[sheet.timesheet_id] = sheet
        self.entries[entry.entry_id] = entry
        self.places[entry.entry_id] = sheet.timesheet_id
        piece = Piece(entry.task.task_id, entry.work_date, entry.minutes)
        self.ledger[entry.entry_id] = piece

    @rule(choice=choice)
    def delete(self, choice: int) -> None:
        sheet = self.pick(choice, *OPEN)
        for key in self.on_sheet(sheet)[:1] if sheet else ():
            del self.entries[key], self.places[key], self.ledger[key]

    @rule(choice=choice)
    def hand_in(self, choice: int) -> None:
        self.change(self.pick(choice, *OPEN), self.submitted)

    def submitted(self, sheet: Timesheet) -> Timesheet:
        entries = len(self.on_sheet(sheet))
        return submit(sheet, by=sheet.person_subject, at=AT, entry_count=entries)

    @rule(choice=choice)
    def take_back(self, choice: int) -> None:
        sheet = self.pick(choice, TimesheetStatus.SUBMITTED)
        self.change(sheet, lambda sheet: recall(sheet, by=sheet.person_subject))

    @rule(choice=choice)
    def reject_sheet(self, choice: int) -> None:
        sheet = self.pick(choice, TimesheetStatus.SUBMITTED)
        self.change(sheet, lambda sheet: reject(sheet, judge=PAULA, at=AT, reason="no"))

    @rule(choice=choice)
    def approve_sheet(self, choice: int) -> None:
        sheet = self.pick(choice, TimesheetStatus.SUBMITTED)
        self.change(sheet, self.approved)

    def approved(self, sheet: Timesheet) -> Timesheet:
        return approve(sheet, judge=PAULA, at=AT, decision_id=an_id("161"))

    @rule(choice=choice, which=choice)
    def send_one_back(self, choice: int, which: int) -> None:
        sheet = self.pick(choice, TimesheetStatus.SUBMITTED)
        if sheet is None:
            return
        keys = self.on_sheet(sheet)
        key = keys[which % len(keys)]
        try:
            draft = send_back(
                sheet,
                entry_ids=[UUID(each) for each in keys],
                rejected_ids=[UUID(key)],
                draft_id=self.fresh_id(),
            )
        except FailedPrecondition:
            assert len(keys) == 1
            return
        self.sheets[draft.timesheet_id] = draft
        self.places[key] = draft.timesheet_id
        self.change(sheet, self.approved)

    def change(self, sheet: Timesheet | None, decide: Any) -> None:
        """Take a decision; a refusal leaves all as it is."""
        if sheet is None:
            return
        try:
            changed = decide(sheet)
        except (FailedPrecondition, PermissionDenied):
            return
        self.sheets[sheet.timesheet_id] = changed
        if changed.status is TimesheetStatus.APPROVED:
            self.announce(changed)

    @precondition(lambda self: self.announced)
    @rule(choice=choice)
    def reverse(self, choice: int) -> None:
        self.correct(choice, None)

    @precondition(lambda self: self.announced)
    @rule(choice=choice, minutes=minutes)
    def reenter(self, choice: int, minutes: int) -> None:
        self.correct(choice, Reentry(minutes=minutes))

    @precondition(lambda self: self.announced)
    @rule(choice=choice, task_id=tasks)
    def move(self, choice: int, task_id: str) -> None:
        self.correct(choice, Reentry(task_id=task_id))

    def correct(self, choice: int, reentry: Reentry | None) -> None:
        original = self.announced[choice % len(self.announced)]
        outcome = correct(
            self.standing(original), reentry, self.facts(), Corrector(PAULA.subject, False)
        )
        if not isinstance(outcome, Corrected):
            return
        piece = self.ledger.pop(original.entry_id)
        sheet_id = self.fresh_id()
        self.sheets[sheet_id] = a_sheet(TimesheetStatus.APPROVED, timesheet_id=sheet_id)
        for entry in in_order([outcome]):
            assert entry.entry_id not in self.entries
            self.entries[entry.entry_id] = entry
            self.places[entry.entry_id] = sheet_id
            self.announced.append(entry)
        if reentry is not None and outcome.replacement is not None:
            self.ledger[outcome.replacement.entry_id] = Piece(
                reentry.task_id or piece.task_id, piece.day, reentry.minutes or piece.minutes, True
            )

    def standing(self, entry: NewEntry) -> Standing:
        return Standing(
            entry_id=entry.entry_id,
            person_id=str(ADA),
            person_name="Ada Brandt",
            person_subject="user:ada.brandt",
            legal_entity_id=str(DE01),
            task=entry.task,
            work_date=entry.work_date,
            minutes=entry.minutes,
            role=entry.role,
            level=entry.level,
            region=entry.region,
            billable=entry.billable,
            note=entry.note,
            activity=entry.activity,
            status=self.sheets[self.places[entry.entry_id]].status,
            is_reversed=any(each.reverses == entry.entry_id for each in self.entries.values()),
        )

    @invariant()
    def every_minute_is_where_the_ledger_has_it(self) -> None:
        stored: Counter[tuple[str, date]] = Counter()
        for entry in self.entries.values():
            stored[entry.task.task_id, entry.work_date] += entry.minutes
        expected: Counter[tuple[str, date]] = Counter()
        for piece in self.ledger.values():
            expected[piece.task_id, piece.day] += piece.minutes
        assert +stored == +expected
        assert min(stored.values(), default=0) >= 0

    @invariant()
    def billing_was_told_of_exactly_what_is_approved(self) -> None:
        told: Counter[str] = Counter()
        for entry in self.announced:
            told[entry.task.task_id] += entry.minutes
        approved: Counter[str] = Counter()
        for piece in self.ledger.values():
            if piece.is_approved:
                approved[piece.task_id] += piece.minutes
        assert +told == +approved

    @invariant()
    def no_day_has_more_than_24_hours(self) -> None:
        totals: Counter[date] = Counter()
        for entry in self.entries.values():
            totals[entry.work_date] += entry.minutes
        assert all(0 <= minutes <= 24 * 60 for minutes in totals.values())

    @invariant()
    def an_entry_is_taken_back_and_replaced_once(self) -> None:
        for name in ("reverses", "replaces"):
            named = [each for entry in self.entries.values() if (each := getattr(entry, name))]
            assert len(named) == len(set(named))

    @invariant()
    def one_draft_takes_entries(self) -> None:
        assert sum(sheet.takes_entries for sheet in self.sheets.values()) <= 1


TimeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestTime = TimeMachine.TestCase
