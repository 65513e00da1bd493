"""Projects and people."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import project as domain
from project_provisioning.domain.person import Person
from project_provisioning.domain.project import Project
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import project as repository
from throughline_runtime.identity import require_entity


async def close_task(tx: AsyncConnection, task_id: UUID) -> Project:
    """Take no more time on a task.

    Raises:
        TaskNotFound, TaskClosed, EntityForbidden, StaleVersion.
    """
    project = await repository.get_of_task(tx, task_id)
    require_entity(project.legal_entity_id)
    change = domain.close_task(project, task_id)
    await repository.save(tx, change)
    return change.state


async def create_person(tx: AsyncConnection, person: Person) -> Person:
    """Record a person.

    Raises:
        EntityForbidden: the caller may not act for the employing entity.
        SubjectTaken: another person signs in under the subject.
    """
    require_entity(person.legal_entity_id)
    await person_repository.add(tx, person)
    return person
