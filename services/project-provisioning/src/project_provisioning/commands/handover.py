"""Handing projects over to another manager: as many at once as one transaction takes."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands.following import AT_ONCE
from project_provisioning.domain import following
from project_provisioning.domain import handover as domain
from project_provisioning.domain.handover import Handover, Wish
from project_provisioning.queries.handover import require_visible
from project_provisioning.repository import employment as employment_repository
from project_provisioning.repository import following as following_repository
from project_provisioning.repository import handover as repository
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import project as project_repository
from project_provisioning.repository.following import Cause
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

_NUMBERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """A hand-over, how many projects have still to follow, and numbers of those it is about."""

    handover: Handover
    remaining: int
    numbers: tuple[str, ...] = ()


async def reassign(
    tx: AsyncConnection, wish: Wish, *, by: str, at: datetime, today: date, is_dry_run: bool
) -> Standing:
    """Let another person lead projects from a day on; the first of them follow at once.

    Raises:
        PersonNotFound, EntityForbidden, SamePerson, NotEmployed, NothingToHandOver, StaleVersion.
    """
    if wish.legal_entity_id is not None:
        require_entity(wish.legal_entity_id)
    for person_id in (wish.from_person_id, wish.to_person_id):
        await person_repository.get(tx, person_id)
    stretches = await employment_repository.of_people(tx, [wish.to_person_id])
    outlook = await repository.outlook(tx, wish, size=_NUMBERS_MAX)
    handover_id = new_id()
    handover = domain.ask(
        wish,
        handover_id=None if is_dry_run else handover_id,
        employments=stretches[wish.to_person_id],
        open_projects=outlook.projects,
        pending=outlook.pending,
        by=by,
        at=at,
    )
    numbers = tuple(outlook.numbers)
    if is_dry_run:
        return Standing(handover, outlook.projects, numbers)
    await repository.add(tx, handover)
    if wish.effective_on <= today:
        handover = await _advance(tx, handover, at=at)
    left = await repository.remaining(tx, [handover])
    return Standing(handover, left.get(handover_id, 0), numbers)


async def advance_next(tx: AsyncConnection, *, at: datetime, today: date) -> bool:
    """Let more projects of the hand-over that is due first follow; return whether one was due."""
    handover = await repository.due(tx, today)
    if handover is None:
        return False
    await _advance(tx, handover, at=at)
    return True


async def cancel(
    tx: AsyncConnection, handover_id: UUID, *, entities: frozenset[UUID] | None, at: datetime
) -> Handover:
    """Give a hand-over up; projects that followed stay where they are.

    Raises:
        HandoverNotFound, HandoverFinished, StaleVersion.
    """
    handover = await repository.get(tx, handover_id)
    require_visible(handover, entities)
    cancelled = domain.cancel(handover, at=at)
    await repository.save(tx, cancelled)
    return cancelled


async def _advance(tx: AsyncConnection, handover: Handover, *, at: datetime) -> Handover:
    ids = await repository.next_projects(tx, handover.wish, size=AT_ONCE)
    projects = (await project_repository.get_all(tx, ids)).values()
    wish = handover.wish
    cause = Cause(handover.requested_by, at, wish.reason, handover.handover_id)
    led = [following.lead(each, wish.to_person_id) for each in projects]
    await following_repository.save(tx, led, cause)
    advanced = domain.advance(handover, moved=len(ids), is_last=len(ids) < AT_ONCE, at=at)
    await repository.save(tx, advanced)
    return advanced
