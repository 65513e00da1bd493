"""Working-time rules: what a person's week may hold, each as a warning or a stop.

Entries say how long, not from when to when: the rest between two days is kept by what a day may
hold besides it (Directive 2003/88/EC articles 3 to 7 name the daily rest, breaks and the week).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from project_provisioning.domain.calendar import Day, Schedule, day_of
from project_provisioning.domain.rule_set import Severity
from throughline_core.errors import InvalidArgument

_DAY_MINUTES: Final = 24 * 60
_SUNDAY: Final = 6


class RulesMalformed(InvalidArgument):
    """The rules contradict themselves, or are empty."""

    code = "time_rules.malformed"


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that is not to be passed, and what happens when it is."""

    value: int
    severity: Severity


@dataclass(frozen=True, slots=True)
class Break:
    """Who works longer than `after_minutes` on a day takes breaks of `minutes` in all."""

    after_minutes: int
    minutes: int


@dataclass(frozen=True, slots=True)
class TimeRules:
    """What holds for a company's people; None where there is no such rule.

    `rest_minutes_min` is the rest between two days. Days back and ahead count from today.
    `increment_minutes` is what durations are multiples of.
    """

    day_minutes_max: Limit | None = None
    week_minutes_max: Limit | None = None
    rest_minutes_min: Limit | None = None
    breaks: tuple[Break, ...] = ()
    holiday_work: Severity | None = None
    sunday_work: Severity | None = None
    leave_work: Severity | None = None
    days_back_max: Limit | None = None
    days_ahead_max: Limit | None = None
    increment_minutes: Limit | None = None


class Worked(NamedTuple):
    """Minutes of one entry; what is_new is also held against the rules for single entries."""

    entry_id: str
    work_date: date
    minutes: int
    is_new: bool


class Finding(NamedTuple):
    """A rule that is broken: by a day, by one entry, or by the whole week where both are None."""

    rule: str
    severity: Severity
    work_date: date | None
    entry_id: str | None
    text: str


RulesOn = Callable[[date], TimeRules | None]
"""The rules in force for the person on a day, None where there are none."""


def judge(
    worked: Sequence[Worked], rules_on: RulesOn, schedule: Schedule, *, today: date
) -> list[Finding]:
    """Return what one person's week breaks; `worked` is all of that week, recorded and new.

    The rules of a day are those in force on it, the rules of the week those of its last work day.
    """
    findings: list[Finding] = []
    totals: defaultdict[date, int] = defaultdict(int)
    for entry in worked:
        totals[entry.work_date] += entry.minutes
        rules = rules_on(entry.work_date)
        if entry.is_new and rules is not None:
            findings.extend(_of_entry(entry, rules, today))
    for day, minutes in sorted(totals.items()):
        rules = rules_on(day)
        if rules is not None and minutes > 0:
            findings.extend(_of_day(day_of(schedule, day), minutes, rules))
    if totals:
        findings.extend(_of_week(sum(totals.values()), rules_on(max(totals))))
    return findings


def check_rules(rules: TimeRules) -> None:
    """Refuse rules that cannot be kept.

    Raises:
        RulesMalformed: they are empty, or contradict themselves.
    """
    if rules == TimeRules():
        raise RulesMalformed(
            "there is no rule in it", field="rules", advice="send at least one rule"
        )
    if rules.breaks and rules.rest_minutes_min is None:
        raise RulesMalformed(
            "breaks are kept together with the rest between two days, and none is given",
            field="rules.rest_minutes_min",
            advice="send the rest as well",
        )
    after = [each.after_minutes for each in rules.breaks]
    if after != sorted(set(after)):
        raise RulesMalformed(
            "the breaks are not in order",
            field="rules.breaks",
            advice="send them by rising after_minutes, each once",
        )


def _of_entry(entry: Worked, rules: TimeRules, today: date) -> Iterator[Finding]:
    back, ahead, increment = rules.days_back_max, rules.days_ahead_max, rules.increment_minutes
    age = (today - entry.work_date).days
    if back is not None and age > back.value:
        text = f"{entry.work_date} lies more than {back.value} days back"
        yield Finding("time_rule.too_old", back.severity, entry.work_date, entry.entry_id, text)
    if ahead is not None and -age > ahead.value:
        text = f"{entry.work_date} lies more than {ahead.value} days ahead"
        yield Finding("time_rule.too_early", ahead.severity, entry.work_date, entry.entry_id, text)
    if increment is not None and entry.minutes % increment.value:
        text = f"durations are multiples of {increment.value} minutes"
        yield Finding(
            "time_rule.increment", increment.severity, entry.work_date, entry.entry_id, text
        )


def _of_day(day: Day, minutes: int, rules: TimeRules) -> Iterator[Finding]:
    most, rest = rules.day_minutes_max, rules.rest_minutes_min
    if most is not None and minutes > most.value:
        text = f"{minutes} minutes on {day.day}, at most {most.value} are allowed"
        yield Finding("time_rule.day_maximum", most.severity, day.day, None, text)
    if rest is not None:
        pause = max(
            (each.minutes for each in rules.breaks if minutes > each.after_minutes), default=0
        )
        if minutes + pause + rest.value > _DAY_MINUTES:
            text = f"{minutes} minutes on {day.day} leave no {rest.value} minutes of rest"
            yield Finding("time_rule.rest", rest.severity, day.day, None, text)
    if rules.holiday_work is not None and day.holiday:
        text = f"{day.day} is a holiday: {day.holiday}"
        yield Finding("time_rule.holiday", rules.holiday_work, day.day, None, text)
    if rules.sunday_work is not None and day.day.weekday() == _SUNDAY:
        text = f"{day.day} is a Sunday"
        yield Finding("time_rule.sunday", rules.sunday_work, day.day, None, text)
    if rules.leave_work is not None and day.leave_minutes and not day.capacity_minutes:
        text = f"the person is on leave on {day.day}"
        yield Finding("time_rule.leave", rules.leave_work, day.day, None, text)


def _of_week(minutes: int, rules: TimeRules | None) -> Iterator[Finding]:
    most = None if rules is None else rules.week_minutes_max
    if most is not None and minutes > most.value:
        text = f"{minutes} minutes in the week, at most {most.value} are allowed"
        yield Finding("time_rule.week_maximum", most.severity, None, None, text)
