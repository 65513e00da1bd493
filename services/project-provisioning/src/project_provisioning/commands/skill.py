"""The catalogue of skills, and giving them to people."""

from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import skill as domain
from project_provisioning.domain.skill import PersonSkill, Skill
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import skill as repository
from throughline_runtime.identity import require_entity, require_every_entity


async def put_skill(tx: AsyncConnection, skill: Skill) -> Skill:
    """Record a skill, or change it; the catalogue is the whole firm's.

    Raises:
        LevelsInUse: somebody holds a level that would be gone.
        EntityForbidden: the caller is limited to some companies.
    """
    require_every_entity()
    domain.check_levels(skill, highest_held=await repository.highest_held(tx, skill.code))
    return await repository.put(tx, skill)


async def give_skill(tx: AsyncConnection, held: PersonSkill) -> PersonSkill:
    """Say how well a person can do something.

    Raises:
        PersonNotFound, SkillNotFound, SkillRetired, LevelUnknown, ValidityInvalid,
        EntityForbidden.
    """
    person = await person_repository.get(tx, held.person_id)
    require_entity(person.legal_entity_id)
    skill = await repository.get(tx, held.skill_code)
    domain.give(skill, held)
    await repository.give(tx, held)
    return replace(held, level_name=skill.levels[held.level - 1])


async def take_skill(tx: AsyncConnection, person_id: UUID, code: str) -> None:
    """Take a skill off a person.

    Raises:
        PersonNotFound, SkillNotFound, EntityForbidden.
    """
    person = await person_repository.get(tx, person_id)
    require_entity(person.legal_entity_id)
    await repository.take(tx, person_id, code)
