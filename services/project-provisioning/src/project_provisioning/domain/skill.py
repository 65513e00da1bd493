"""Skills: what people can do, how well, and until when."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound


class SkillNotFound(NotFound):
    """There is no such skill, or the person does not have it."""

    code = "skill.not_found"


class SkillRetired(FailedPrecondition):
    """Nobody is given the skill any more."""

    code = "skill.retired"


class LevelUnknown(InvalidArgument):
    """The skill has fewer levels."""

    code = "skill.level_unknown"


class LevelsInUse(FailedPrecondition):
    """Somebody holds a level that would be gone."""

    code = "skill.levels_in_use"


class ValidityInvalid(InvalidArgument):
    """The skill ends before it begins, or is certified for a day after that."""

    code = "skill.validity_invalid"


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill of the catalogue; `levels` are the names from level 1 on."""

    code: str
    version: int
    name: str
    category: str
    levels: tuple[str, ...]
    retired: bool


@dataclass(frozen=True, slots=True)
class PersonSkill:
    """A person's level in a skill, `[valid_from, valid_to)`."""

    person_id: UUID
    skill_code: str
    level: int
    level_name: str
    valid_from: date
    valid_to: date | None
    certified_on: date | None
    certificate: str


@dataclass(frozen=True, slots=True)
class Needed:
    """A skill and the lowest level that will do."""

    skill_code: str
    level: int


def give(skill: Skill, held: PersonSkill) -> None:
    """Refuse a level or a validity that cannot be.

    Raises:
        SkillRetired, LevelUnknown, ValidityInvalid.
    """
    if skill.retired:
        raise SkillRetired(
            f"{skill.code} is retired", field="skill_code", advice="use the skill that replaced it"
        )
    if held.level > len(skill.levels):
        raise LevelUnknown(
            f"{skill.code} has {len(skill.levels)} levels",
            field="level",
            advice=f"send 1 to {len(skill.levels)}",
        )
    if held.valid_to is not None and held.valid_to <= held.valid_from:
        raise ValidityInvalid(
            "the skill has no day it holds on",
            field="valid_to",
            advice="send the first day it no longer holds, or none",
        )
    if held.certified_on is not None and held.valid_to and held.certified_on >= held.valid_to:
        raise ValidityInvalid(
            "the certificate is of a day the skill no longer holds on",
            field="certified_on",
            advice="check the two days",
        )


def check_levels(skill: Skill, *, highest_held: int) -> None:
    """Refuse to drop a level somebody holds.

    Raises:
        LevelsInUse: see above.
    """
    if len(skill.levels) < highest_held:
        raise LevelsInUse(
            f"somebody holds level {highest_held}",
            field="levels",
            advice=f"keep at least {highest_held} levels, or change those people's levels first",
        )
