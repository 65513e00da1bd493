"""The working-time rules, held against the weeks of many people at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import time_rules as domain
from project_provisioning.domain import timesheet
from project_provisioning.domain.calendar import Schedule
from project_provisioning.domain.employment import employment_on
from project_provisioning.domain.rule_set import RuleBook, Severity
from project_provisioning.domain.time_entry import NewEntry
from project_provisioning.domain.time_rules import Finding, TimeRules, Worked
from project_provisioning.domain.timesheet import Timesheet
from project_provisioning.repository import calendar as calendar_repository
from project_provisioning.repository import rule_set as rule_repository
from project_provisioning.repository import time_entry as entry_repository

WeekKey = tuple[UUID, date]
"""A person and the Monday of a week."""

_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """The rules in force and when people work; judges one week at a time."""

    book: RuleBook[TimeRules]
    schedules: Mapping[UUID, Schedule]
    today: date

    def judge(self, week: WeekKey, worked: Sequence[Worked]) -> list[Finding]:
        """Return what the rules say of a person's week."""
        schedule = self.schedules.get(week[0], Schedule(()))

        def rules_on(day: date) -> TimeRules | None:
            stretch = employment_on(schedule.employments, day)
            if stretch is None:
                return None
            rule_set = self.book.in_force(stretch.legal_entity_id, day)
            return None if rule_set is None else rule_set.rules

        return domain.judge(worked, rules_on, schedule, today=self.today)


async def load(tx: AsyncConnection, weeks: Collection[WeekKey], *, today: date) -> RuleCheck | None:
    """Return what judges these weeks, None where no rules are in force: six queries at most."""
    book = await rule_repository.time_rules(tx)
    if not book.versions or not weeks:
        return None
    mondays = [monday for _, monday in weeks]
    schedules = await calendar_repository.schedules(
        tx, {person_id for person_id, _ in weeks}, min(mondays), max(mondays) + _WEEK
    )
    return RuleCheck(book, schedules, today)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What rules say of new entries: words for those they stop, warnings for the others' weeks."""

    stops: Mapping[str, str]
    warnings: Mapping[WeekKey, Sequence[Finding]]


async def judge_entries(
    tx: AsyncConnection, entries: Sequence[NewEntry], *, today: date
) -> Judgement:
    """Hold new entries against the rules, together with what is stored for their weeks."""
    weeks: defaultdict[WeekKey, list[NewEntry]] = defaultdict(list)
    for entry in entries:
        weeks[UUID(entry.worker.person_id), entry.week_start].append(entry)
    check = await load(tx, weeks, today=today)
    if check is None:
        return Judgement({}, {})
    stops: dict[str, str] = {}
    warnings: dict[WeekKey, Sequence[Finding]] = {}
    for week, new in weeks.items():
        warnings[week] = _judge_week(check, week, new, stops)
    return Judgement(stops, warnings)


@dataclass(frozen=True, slots=True)
class SheetFindings:
    """What rules say of the week of a sheet, as far as it concerns the sheet."""

    stops: Sequence[timesheet.Finding] = ()
    warnings: Sequence[timesheet.Finding] = ()


async def judge_sheets(
    tx: AsyncConnection,
    sheets: Sequence[Timesheet],
    entries: Mapping[str, Sequence[Row[Any]]],
    *,
    today: date,
) -> Mapping[UUID, SheetFindings]:
    """Hold the weeks of sheets against the rules, each sheet with what other ones of it hold.

    `entries` are those of the sheets by the sheet's id.
    """
    weeks = {(sheet.person_id, sheet.week_start) for sheet in sheets}
    check = await load(tx, weeks, today=today)
    if check is None:
        return {sheet.timesheet_id: SheetFindings() for sheet in sheets}
    totals = await entry_repository.day_minutes(tx, weeks)
    return {
        sheet.timesheet_id: _judge_sheet(
            check,
            sheet,
            entries.get(str(sheet.timesheet_id), ()),
            totals.get((sheet.person_id, sheet.week_start), {}),
        )
        for sheet in sheets
    }


def _judge_sheet(
    check: RuleCheck, sheet: Timesheet, rows: Sequence[Row[Any]], totals: Mapping[date, int]
) -> SheetFindings:
    own = [
        Worked(row.time_entry_id, date.fromisoformat(row.work_date), row.minutes, is_new=True)
        for row in rows
    ]
    others = dict(totals)
    for entry in own:
        others[entry.work_date] = others.get(entry.work_date, 0) - entry.minutes
    days = {entry.work_date for entry in own}
    worked = [*own, *(Worked("", day, rest, is_new=False) for day, rest in others.items() if rest)]
    found: dict[Severity, list[timesheet.Finding]] = {Severity.STOP: [], Severity.WARN: []}
    for finding in check.judge((sheet.person_id, sheet.week_start), worked):
        if finding.work_date is None or finding.work_date in days:
            said = timesheet.Finding(finding.rule, finding.text, finding.work_date)
            found[finding.severity].append(said)
    return SheetFindings(found[Severity.STOP], found[Severity.WARN])


def _judge_week(
    check: RuleCheck, week: WeekKey, new: Sequence[NewEntry], stops: dict[str, str]
) -> Sequence[Finding]:
    """Add the words for the entries to stop, and return the warnings about the rest.

    What a rule says of an entry stops that entry, of a day all new ones of the day, of the week all
    new ones of the week: the narrowest first, since the wider ones may be kept without them.
    """
    for scope in (_of_entry, _of_day, _of_week):
        findings = check.judge(week, _worked(week, new, stops))
        for finding in findings:
            if finding.severity is Severity.STOP and scope(finding):
                stops.update(
                    (entry.entry_id, f"{finding.rule}: {finding.text}")
                    for entry in new
                    if entry.entry_id not in stops and _concerns(finding, entry)
                )
    rest = check.judge(week, _worked(week, new, stops))
    return [finding for finding in rest if finding.severity is Severity.WARN]


def _worked(week: WeekKey, new: Sequence[NewEntry], stops: Mapping[str, str]) -> list[Worked]:
    stored = [
        Worked("", day, minutes, is_new=False)
        for day, minutes in new[0].worker.day_minutes.items()
        if week[1] <= day < week[1] + _WEEK
    ]
    fresh = (
        Worked(entry.entry_id, entry.work_date, entry.minutes, is_new=True)
        for entry in new
        if entry.entry_id not in stops
    )
    return [*stored, *fresh]


def _of_entry(finding: Finding) -> bool:
    return finding.entry_id is not None


def _of_day(finding: Finding) -> bool:
    return finding.work_date is not None


def _of_week(_finding: Finding) -> bool:
    return True


def _concerns(finding: Finding, entry: NewEntry) -> bool:
    if finding.entry_id is not None:
        return finding.entry_id == entry.entry_id
    return finding.work_date in {None, entry.work_date}
