"""The catalogue of skills, and who has them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.person import Person, Sight
from project_provisioning.domain.skill import Needed, PersonSkill, Skill, SkillNotFound
from project_provisioning.queries import time as person_queries
from project_provisioning.queries.paging import by_id, cut, within
from project_provisioning.repository import person as person_repository
from project_provisioning.repository.skill import skill_from
from throughline_runtime.page import Page

_skill, _held, _person = tables.skill, tables.person_skill, tables.person
_HELD = select(_held, _skill.c.levels).join(_skill, _skill.c.code == _held.c.skill_code)


async def skills(
    tx: AsyncConnection, *, category: str, with_retired: bool, page: Page
) -> tuple[list[Skill], str]:
    """Return the catalogue by code, and the next page's token."""
    query = select(_skill)
    if category:
        query = query.where(_skill.c.category == category)
    if not with_retired:
        query = query.where(_skill.c.retired.is_(False))
    if page.after is not None:
        query = query.where(_skill.c.code > page.after[0])
    rows = (await tx.execute(query.order_by(_skill.c.code).limit(page.size + 1))).all()
    kept, token = cut(rows, page, lambda row: row.code)
    return list(map(skill_from, kept)), token


async def skills_of(
    tx: AsyncConnection, person_id: UUID, *, sight: Sight, page: Page
) -> tuple[list[PersonSkill], str]:
    """Return a person's skills by code, and the next page's token.

    Raises:
        PersonNotFound: there is no such person the caller may see.
    """
    await person_queries.get_person(tx, person_id, sight)
    query = _HELD.where(_held.c.person_id == person_id)
    if page.after is not None:
        query = query.where(_held.c.skill_code > page.after[0])
    rows = (await tx.execute(query.order_by(_held.c.skill_code).limit(page.size + 1))).all()
    kept, token = cut(rows, page, lambda row: row.skill_code)
    return list(map(_held_from, kept)), token


async def skilled_persons(
    tx: AsyncConnection,
    needed: Sequence[Needed],
    *,
    held_on: date,
    legal_entity_id: UUID | None,
    role: str,
    region: str,
    sight: Sight,
    page: Page,
) -> tuple[list[tuple[Person, list[PersonSkill]]], str]:
    """Return people who have all of these skills on a day, by id, with them; two queries.

    Raises:
        SkillNotFound: the catalogue lacks one of them.
    """
    codes = {each.skill_code for each in needed}
    known = set((await tx.execute(select(_skill.c.code).where(_skill.c.code.in_(codes)))).scalars())
    if codes - known:
        missing = min(codes - known)
        raise SkillNotFound(f"no skill {missing}", field="skills")
    query = within(select(_person), _person.c.legal_entity_id, sight)
    for each in needed:
        held = and_(
            _held.c.person_id == _person.c.person_id,
            _held.c.skill_code == each.skill_code,
            _held.c.level >= each.level,
            _held.c.valid_from <= held_on,
            or_(_held.c.valid_to.is_(None), _held.c.valid_to > held_on),
        )
        query = query.where(exists().where(held))
    query = query.where(or_(_person.c.employed_to.is_(None), _person.c.employed_to > held_on))
    if legal_entity_id is not None:
        query = query.where(_person.c.legal_entity_id == legal_entity_id)
    if role:
        query = query.where(_person.c.role == role)
    if region:
        query = query.where(_person.c.region == region)
    rows = (await tx.execute(by_id(query, _person.c.person_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.person_id)
    found = _HELD.where(
        _held.c.person_id.in_([row.person_id for row in kept]), _held.c.skill_code.in_(codes)
    )
    by_person: defaultdict[UUID, list[PersonSkill]] = defaultdict(list)
    for row in await tx.execute(found.order_by(_held.c.skill_code)):
        by_person[row.person_id].append(_held_from(row))
    people = [person_repository.person_from(row) for row in kept]
    return [(person, by_person[person.person_id]) for person in people], token


def _held_from(row: Row[Any]) -> PersonSkill:
    return PersonSkill(
        person_id=row.person_id,
        skill_code=row.skill_code,
        level=row.level,
        level_name=row.levels[row.level - 1],
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        certified_on=row.certified_on,
        certificate=row.certificate,
    )
