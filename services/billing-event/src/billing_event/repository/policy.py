"""Release policies of legal entities."""

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.release import Policies, ReleasePolicy
from billing_event.domain.source import LegalEntityId
from throughline_core.errors import StaleVersion
from throughline_core.money import Money


async def load_policies(tx: AsyncConnection) -> Policies:
    """Return the release policies that were set, by legal entity."""
    rows = await tx.execute(select(tables.release_policy))
    return {row.legal_entity_id: policy_from(row) for row in rows}


async def get_policy(tx: AsyncConnection, legal_entity_id: LegalEntityId) -> ReleasePolicy | None:
    """Return the policy of a legal entity, None where the default holds."""
    table = tables.release_policy
    rows = await tx.execute(select(table).where(table.c.legal_entity_id == legal_entity_id))
    row = rows.one_or_none()
    return None if row is None else policy_from(row)


async def save_policy(tx: AsyncConnection, policy: ReleasePolicy) -> None:
    """Write the new policy.

    Raises:
        StaleVersion: somebody else changed it first.
    """
    table = tables.release_policy
    values = {
        "version": policy.version,
        "threshold": policy.threshold.amount,
        "currency": policy.threshold.currency,
        "set_by": policy.set_by,
        "set_at": policy.set_at,
    }
    written = await tx.execute(
        insert(table)
        .values(legal_entity_id=policy.legal_entity_id, **values)
        .on_conflict_do_update(
            index_elements=[table.c.legal_entity_id],
            set_=values,
            where=table.c.version == policy.version - 1,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"release policy of {policy.legal_entity_id} was changed meanwhile")


def policy_from(row: Row[Any]) -> ReleasePolicy:
    """Return the policy a row holds."""
    return ReleasePolicy(
        row.legal_entity_id,
        row.version,
        Money(row.threshold, row.currency),
        row.set_by,
        row.set_at,
    )
