"""Templates."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import template as domain
from project_provisioning.domain.template import Template
from project_provisioning.repository import template as repository


async def put_template(tx: AsyncConnection, draft: Template) -> Template:
    """Publish the draft as the template's next version.

    Raises:
        TemplateMalformed: see `domain.template.publish`.
        StaleVersion: another writer published a version first; safe to retry.
    """
    versions = await repository.latest_versions(tx, [draft.code])
    template = domain.publish(draft, latest_version=versions.get(draft.code, 0))
    await repository.add(tx, template)
    return template
