"""Open projects follow what they depend on: parties that are told of, and who leads them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import following as domain
from project_provisioning.domain.legal_entity import LegalEntity
from project_provisioning.domain.party import Customer
from project_provisioning.domain.project import Project
from project_provisioning.repository import following as repository
from project_provisioning.repository import legal_entity as entity_repository
from project_provisioning.repository import party as party_repository
from project_provisioning.repository import project as project_repository
from project_provisioning.repository.following import Cause
from project_provisioning.repository.party import CUSTOMER, LEGAL_ENTITY
from project_provisioning.repository.project import ProjectChange
from throughline_core.change import Change
from throughline_runtime.identity import current_caller

AT_ONCE: Final = 100
"""How many projects follow in one transaction."""


async def keep_customers(tx: AsyncConnection, customers: Sequence[Customer]) -> None:
    """Keep customers, each once, and have the open projects of those that are news follow."""
    await party_repository.note(tx, CUSTOMER, await party_repository.keep_customers(tx, customers))


async def keep_companies(tx: AsyncConnection, entities: Sequence[LegalEntity]) -> None:
    """Keep companies, each once, and have the open projects of those that are news follow."""
    await party_repository.note(tx, LEGAL_ENTITY, await entity_repository.keep(tx, entities))


async def follow_next(tx: AsyncConnection, *, at: datetime) -> bool:
    """Let the next open projects of the party noted first follow it.

    Returns whether it is worth asking again at once: not where none waits, nor where somebody
    else works on all projects that are left.
    """
    party = await party_repository.due(tx)
    if party is None:
        return False
    ids = await party_repository.behind(tx, *party, size=AT_ONCE)
    if not ids:
        return await party_repository.finish(tx, *party)
    projects = (await project_repository.get_all(tx, ids)).values()
    parties = await party_repository.of_projects(tx, projects)
    cause = Cause(current_caller().subject, at)
    await repository.save(tx, [domain.follow(each, parties) for each in projects], cause)
    return True


async def know_parties(
    tx: AsyncConnection, changes: Sequence[ProjectChange]
) -> Sequence[ProjectChange]:
    """Return new projects with what is known of their parties; the others as they are.

    What is not known yet is followed once it is told of.
    """
    new = [change.state for change in changes if change.state.version == 1]
    if not new:
        return changes
    parties = await party_repository.of_projects(tx, new, hold=True)
    await party_repository.note(
        tx, CUSTOMER, {each.customer_id for each in new} - parties.customers.keys()
    )
    companies = {
        entity for each in new for entity in (each.legal_entity_id, each.selling_legal_entity_id)
    }
    await party_repository.note(tx, LEGAL_ENTITY, companies - parties.entities.keys())
    return [
        _with_state(change, domain.know(change.state, parties))
        if change.state.version == 1
        else change
        for change in changes
    ]


async def catch_up(tx: AsyncConnection, project: Project) -> None:
    """Have a project that is open again follow what changed meanwhile."""
    await party_repository.note(tx, CUSTOMER, [project.customer_id])
    await party_repository.note(
        tx, LEGAL_ENTITY, [project.legal_entity_id, project.selling_legal_entity_id]
    )


def _with_state(change: ProjectChange, state: Project) -> ProjectChange:
    return Change(state, tuple(replace(event, project=state) for event in change.events))
