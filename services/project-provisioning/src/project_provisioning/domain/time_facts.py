"""What the rules of recording time ask about people, tasks and entries that are stored.

Ids stay text as they are sent and stored, and facts are shared by all rows that name them: they
are on the hot path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple


class Stretch(NamedTuple):
    """Employment in `[valid_from, valid_to)`; `is_visible` if the caller may see the company."""

    legal_entity_id: str
    valid_from: date
    valid_to: date | None
    role: str
    level: str
    region: str
    is_visible: bool = True

    def holds_on(self, day: date) -> bool:
        """Whether the person is employed so on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class Booking(NamedTuple):
    """A stretch in which the person is assigned to a task: `[starts_on, ends_on)`."""

    task_id: str
    starts_on: date
    ends_on: date


@dataclass(frozen=True, slots=True)
class Worker:
    """A person, with the minutes stored already for the days of the weeks in question.

    `bookings` are those to tasks that take time of assigned people only.
    """

    person_id: str
    name: str
    subject: str
    stretches: tuple[Stretch, ...]
    day_minutes: Mapping[date, int]
    bookings: tuple[Booking, ...] = ()

    def employed_on(self, day: date) -> Stretch | None:
        """Return the employment of a day, None where there is none."""
        for stretch in self.stretches:
            if stretch.holds_on(day):
                return stretch
        return None


@dataclass(frozen=True, slots=True)
class WorkTask:
    """A task, with what its project and contract line put on each entry.

    `work_ends_on` is the first day it takes no time any more, None while that is open.
    """

    task_id: str
    project_id: str
    contract_id: str
    contract_line_id: str
    engagement_id: str
    billable: bool
    closed: bool
    work_ends_on: date | None = None
    requires_assignment: bool = False


class Recorded(NamedTuple):
    """What an entry says, as far as a second one from the same source has to agree."""

    person_id: str
    task_id: str
    work_date: date
    minutes: int


class Content(NamedTuple):
    """All that an entry says of the work: two that say the same look like one, entered twice."""

    person_id: str
    task_id: str
    work_date: date
    minutes: int
    activity: str
    note: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known: people and tasks by id as the rows spell it, stored entries by their id.

    `contents` are those of entries that stand, with the systems they came from (empty for none).
    `open_from` is the first open day of each company that locks at all. `own_subject` limits the
    caller to the time of the person who signs in so; None does not.
    """

    workers: Mapping[str, Worker]
    tasks: Mapping[str, WorkTask]
    recorded: Mapping[str, Recorded]
    own_subject: str | None
    contents: Mapping[Content, frozenset[str]] = field(default_factory=dict)
    open_from: Mapping[str, date] = field(default_factory=dict)
    has_rules: bool = False
