"""Templates: proposed by one person, decided on by another."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import template as domain
from project_provisioning.domain.template import Template
from project_provisioning.repository import template as repository


async def propose_template(tx: AsyncConnection, draft: Template) -> Template:
    """Propose the draft as the template's next version.

    Raises:
        TemplateMalformed: see `domain.template.propose`.
        StaleVersion: another writer proposed a version first; safe to retry.
    """
    latest = await repository.latest_version(tx, draft.code)
    template = domain.propose(draft, latest_version=latest)
    await repository.add(tx, template)
    return template


async def approve_template(
    tx: AsyncConnection, code: str, version: int, *, by: str, at: datetime, comment: str
) -> Template:
    """Publish a proposed version.

    Raises:
        TemplateNotFound, IllegalTransition, OwnTemplate, TemplateSuperseded, StaleVersion.
    """
    template = await repository.get(tx, code, version)
    published = (await repository.published_versions(tx, [code])).get(code, 0)
    approved = domain.approve(template, by=by, at=at, comment=comment, published_version=published)
    await repository.decide(tx, approved)
    return approved


async def reject_template(
    tx: AsyncConnection, code: str, version: int, *, by: str, at: datetime, reason: str
) -> Template:
    """Turn a proposed version down.

    Raises:
        TemplateNotFound, IllegalTransition, OwnTemplate, StaleVersion.
    """
    template = await repository.get(tx, code, version)
    rejected = domain.reject(template, by=by, at=at, comment=reason)
    await repository.decide(tx, rejected)
    return rejected


async def withdraw_template(
    tx: AsyncConnection, code: str, version: int, *, by: str, at: datetime
) -> Template:
    """Take an own proposal back.

    Raises:
        TemplateNotFound, IllegalTransition, NotOwnTemplate, StaleVersion.
    """
    withdrawn = domain.withdraw(await repository.get(tx, code, version), by=by, at=at)
    await repository.decide(tx, withdrawn)
    return withdrawn
