"""Skills as rows."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.skill import PersonSkill, Skill, SkillNotFound
from throughline_core.ids import derived_id
from throughline_runtime import audit

_skill, _held = tables.skill, tables.person_skill


async def put(tx: AsyncConnection, skill: Skill) -> Skill:
    """Write a skill in place of the one of its code, and return it with its version."""
    values = {
        "name": skill.name,
        "category": skill.category,
        "levels": skill.levels,
        "retired": skill.retired,
    }
    statement = insert(_skill).values(code=skill.code, version=1, **values)
    row = (
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=["code"], set_={**values, "version": _skill.c.version + 1}
            ).returning(_skill)
        )
    ).one()
    audit.touch(tx, derived_id("skill", skill.code))
    return skill_from(row)


async def get(tx: AsyncConnection, code: str) -> Skill:
    """Return a skill; its levels stay as they are until the transaction ends.

    Raises:
        SkillNotFound: there is none.
    """
    query = select(_skill).where(_skill.c.code == code).with_for_update(read=True)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise SkillNotFound(f"no skill {code}", field="skill_code")
    return skill_from(row)


async def highest_held(tx: AsyncConnection, code: str) -> int:
    """Return the highest level anybody holds of a skill, 0 where nobody does.

    The skill is locked first, so that nobody is given a level meanwhile.
    """
    await tx.execute(select(_skill.c.code).where(_skill.c.code == code).with_for_update())
    query = select(func.coalesce(func.max(_held.c.level), 0)).where(_held.c.skill_code == code)
    return int(await tx.scalar(query) or 0)


async def give(tx: AsyncConnection, held: PersonSkill) -> None:
    """Write a person's level in place of the one before."""
    values = {
        "level": held.level,
        "valid_from": held.valid_from,
        "valid_to": held.valid_to,
        "certified_on": held.certified_on,
        "certificate": held.certificate,
    }
    statement = insert(_held).values(person_id=held.person_id, skill_code=held.skill_code, **values)
    await tx.execute(
        statement.on_conflict_do_update(index_elements=["person_id", "skill_code"], set_=values)
    )
    audit.touch(tx, held.person_id)


async def take(tx: AsyncConnection, person_id: UUID, code: str) -> None:
    """Take a skill off a person.

    Raises:
        SkillNotFound: the person does not have it.
    """
    statement = delete(_held).where(_held.c.person_id == person_id, _held.c.skill_code == code)
    if (await tx.execute(statement)).rowcount != 1:
        raise SkillNotFound(f"the person has no skill {code}", field="skill_code")
    audit.touch(tx, person_id)


def skill_from(row: Row[Any]) -> Skill:
    """Return the skill a row holds."""
    return Skill(
        code=row.code,
        version=row.version,
        name=row.name,
        category=row.category,
        levels=tuple(row.levels),
        retired=row.retired,
    )
