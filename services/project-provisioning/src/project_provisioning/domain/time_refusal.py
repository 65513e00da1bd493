"""The rules a time entry may break: field, stable code and words of each."""

from typing import Final

Broken = tuple[str, str, str]
"""Field, rule and words of a rule that a row breaks."""

DAY_MINUTES_MAX: Final = 24 * 60
ACTIVITIES: Final = frozenset({"", "overtime", "travel"})
"""Kinds of work that may change the rate; empty is ordinary work."""

MALFORMED: Final = "time_entry.malformed"
RULE_BROKEN: Final = "time_entry.rule_broken"

PERSON_UNKNOWN: Final[Broken] = (
    "person_id",
    "time_entry.person_unknown",
    "no such person, or none you may record time for",
)
TASK_UNKNOWN: Final[Broken] = ("task_id", "time_entry.task_unknown", "no such task")
TASK_CLOSED: Final[Broken] = ("task_id", "time_entry.task_closed", "the task is closed")
NOT_OWN: Final[Broken] = ("person_id", "time_entry.not_own", "you may record your own time only")
DATE_MALFORMED: Final[Broken] = (
    "work_date",
    MALFORMED,
    "send a calendar date such as 2026-09-07",
)
BEFORE_EMPLOYMENT: Final[Broken] = (
    "work_date",
    "time_entry.before_employment",
    "the person was not employed yet",
)
NOT_EMPLOYED: Final[Broken] = (
    "work_date",
    "time_entry.not_employed",
    "nobody employs the person on this day",
)
LOCKED: Final[Broken] = (
    "work_date",
    "time_entry.locked",
    "the day is locked: use an open day, or ask finance to reopen the period",
)
WORK_ENDED: Final[Broken] = (
    "work_date",
    "time_entry.work_ended",
    "the task or its project takes no time for this day: its work ended before",
)
NOT_ASSIGNED: Final[Broken] = (
    "task_id",
    "time_entry.not_assigned",
    "the project takes time of assigned people only, and the person is not assigned on this day",
)
BEFORE_ASSIGNMENT: Final[Broken] = (
    "work_date",
    "time_entry.before_assignment",
    "the person's assignment to this work begins later",
)
MINUTES: Final[Broken] = (
    "minutes",
    "time_entry.minutes_out_of_range",
    f"send 1 to {DAY_MINUTES_MAX} minutes",
)
DAY_LIMIT: Final[Broken] = (
    "minutes",
    "time_entry.day_limit",
    "more than 24 hours for this person and day, with what is recorded already",
)
TASK_NOT_BILLABLE: Final[Broken] = (
    "billable",
    "time_entry.task_not_billable",
    "time on this task is never billed",
)
SOURCE_DIFFERS: Final[Broken] = (
    "source",
    "time_entry.source_differs",
    "recorded before with another person, task, date or duration: reverse it and send the new one"
    " under an id of its own",
)
LOOKS_DUPLICATE: Final[Broken] = (
    "note",
    "time_entry.looks_duplicate",
    "an entry says the same already: person, task, day, minutes, activity and note; if it is other"
    " work, say so by `allow_duplicate`",
)
ACTIVITY_UNKNOWN: Final[Broken] = (
    "activity",
    "time_entry.activity_unknown",
    f"send one of {', '.join(sorted(ACTIVITIES - {''}))}, or leave it empty",
)
