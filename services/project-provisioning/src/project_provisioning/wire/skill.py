"""Skills as messages."""

from collections.abc import Sequence

from project_provisioning.domain.person import Person
from project_provisioning.domain.skill import Needed, PersonSkill, Skill
from throughline.project_provisioning.v1 import skill_service_pb2 as pb
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_uuid,
    write_date,
    write_id,
)


def read_skill(request: pb.PutSkillRequest) -> Skill:
    """Return the skill to record."""
    return Skill(
        code=request.code,
        version=1,
        name=request.name,
        category=request.category,
        levels=tuple(request.levels),
        retired=request.retired,
    )


def write_skill(skill: Skill) -> pb.Skill:
    """Return a skill."""
    return pb.Skill(
        code=skill.code,
        version=skill.version,
        name=skill.name,
        category=skill.category,
        levels=skill.levels,
        retired=skill.retired,
    )


def read_person_skill(request: pb.PutPersonSkillRequest) -> PersonSkill:
    """Return the person's skill to record; the level's name is the catalogue's to say."""
    return PersonSkill(
        person_id=read_uuid("person_id", request.person_id),
        skill_code=request.skill_code,
        level=request.level,
        level_name="",
        valid_from=read_date("valid_from", request.valid_from),
        valid_to=read_optional_date("valid_to", request.valid_to),
        certified_on=read_optional_date("certified_on", request.certified_on),
        certificate=request.certificate,
    )


def write_person_skill(held: PersonSkill) -> pb.PersonSkill:
    """Return a person's skill."""
    return pb.PersonSkill(
        person_id=write_id(held.person_id),
        skill_code=held.skill_code,
        level=held.level,
        level_name=held.level_name,
        valid_from=write_date(held.valid_from),
        valid_to=None if held.valid_to is None else write_date(held.valid_to),
        certified_on=None if held.certified_on is None else write_date(held.certified_on),
        certificate=held.certificate,
    )


def read_needed(skills: Sequence[str]) -> list[Needed]:
    """Return the skills that are asked for: `code` or `code:level`."""
    parted = (each.partition(":") for each in skills)
    return [Needed(code, int(level or 1)) for code, _, level in parted]


def write_skilled_person(person: Person, skills: Sequence[PersonSkill]) -> pb.SkilledPerson:
    """Return a person with the skills that were asked for."""
    return pb.SkilledPerson(
        person_id=write_id(person.person_id),
        name=person.name,
        legal_entity_id=write_id(person.legal_entity_id),
        role=person.role,
        level=person.level,
        region=person.region,
        skills=map(write_person_skill, skills),
    )
