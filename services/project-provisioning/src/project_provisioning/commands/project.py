"""Projects."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import plan
from project_provisioning.domain.project import Project
from project_provisioning.domain.task_edit import Close


async def close_task(tx: AsyncConnection, task_id: UUID) -> Project:
    """Take no more time on a task, nor on its parts.

    Raises:
        TaskNotFound, TaskClosed, ProjectClosed, EntityForbidden, PlanTooLarge, StaleVersion.
    """
    return await plan.edit_task(tx, task_id, Close(task_id))
