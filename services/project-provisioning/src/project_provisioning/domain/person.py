"""People who deliver, and what a person may do about own work and about others'."""

from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from throughline_core.errors import AlreadyExists, NotFound

_WIDER_ROLES: Final = frozenset(
    {
        "ROLE_ADMIN",
        "ROLE_PMO",
        "ROLE_SALES_OPERATIONS",
        "ROLE_FINANCE",
        "ROLE_INTEGRATION",
        "ROLE_AUDITOR",
        "ROLE_SERVICE",
    }
)


class PersonNotFound(NotFound):
    """There is no such person, or none the caller may see."""

    code = "person.not_found"


class SubjectTaken(AlreadyExists):
    """Another person signs in under this subject."""

    code = "person.subject_taken"


@dataclass(frozen=True, slots=True)
class Person:
    """A person; role, level and region choose the rate unless an entry says otherwise.

    Company, role, level and region are those of today; the employments say those of other days.
    `employed_to` is the first day after the last of them, None while it goes on. `subject` is the
    token subject the person signs in with, empty when the person does not.
    """

    person_id: UUID
    version: int
    name: str
    legal_entity_id: UUID
    role: str
    level: str
    region: str
    employed_from: date
    subject: str
    employed_to: date | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller may see and touch.

    `entities` are the legal entities, None for all; `own_subject` limits a caller to the work of
    the person who signs in so, None does not.
    """

    entities: frozenset[UUID] | None
    own_subject: str | None


def is_limited_to_own(roles: frozenset[str]) -> bool:
    """Whether a caller with these roles, names of the contract's `Role`, sees own work only."""
    return roles.isdisjoint(_WIDER_ROLES)


def is_own_work(subject: str, *, person_subject: str, submitted_by: str) -> bool:
    """Whether the caller `subject` did or submitted the work, and so may not judge it."""
    return subject in {person_subject, submitted_by}
