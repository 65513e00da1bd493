"""Policies as rows, and accounts as links of the crosswalk."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import tables
from connectors.erp_accounts.domain import OBJECT_TYPE, ErpPolicy, Facts, Key
from throughline_core.errors import StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import audit

# The first account is the one: a second is refused when it is recorded.
_FACTS: Final = text("""
    SELECT asked.customer_id, asked.legal_entity_id, policy.version, policy.system,
           policy.account_required, link.source_object_id AS account, link.linked_at,
           coalesce(NOT connection.enabled, false) AS is_switched_off
    FROM unnest(CAST(:customer_ids AS uuid[]), CAST(:legal_entity_ids AS uuid[]))
        AS asked (customer_id, legal_entity_id)
    LEFT JOIN erp_policy AS policy USING (legal_entity_id)
    LEFT JOIN connection ON connection.name = policy.system
    LEFT JOIN LATERAL (
        SELECT source_object_id, linked_at FROM crosswalk_link
        WHERE object_id = asked.customer_id AND system = policy.system
          AND object_type = :object_type AND object_kind = :object_type
        ORDER BY linked_at, crosswalk_link_id LIMIT 1
    ) AS link ON true
""")


async def facts_of(tx: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, Facts]:
    """Return what is stored about each key: one query, however many."""
    rows = await tx.execute(
        _FACTS,
        {
            "customer_ids": [key.customer_id for key in keys],
            "legal_entity_ids": [key.legal_entity_id for key in keys],
            "object_type": OBJECT_TYPE,
        },
    )
    return {Key(row.customer_id, row.legal_entity_id): _facts_from(row) for row in rows}


async def holder_of(tx: AsyncConnection, system: str, account: str) -> UUID | None:
    """Return the customer whose account of the system it is, None if nobody's."""
    table = tables.crosswalk_link
    query = (
        select(table.c.object_id)
        .where(table.c.system == system)
        .where(table.c.object_type == OBJECT_TYPE)
        .where(table.c.object_kind == OBJECT_TYPE)
        .where(table.c.source_object_id == account)
    )
    holder: UUID | None = await tx.scalar(query)
    return holder


async def lock_customer(tx: AsyncConnection, key: Key) -> None:
    """Let only one account of a customer be recorded at a time."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"erp_account/{key.customer_id}"},
    )


async def get_policy(tx: AsyncConnection, legal_entity_id: UUID) -> ErpPolicy | None:
    """Return an entity's policy, None where nothing was said."""
    table = tables.erp_policy
    row = (
        await tx.execute(select(table).where(table.c.legal_entity_id == legal_entity_id))
    ).one_or_none()
    return None if row is None else policy_from(row)


async def policies(
    tx: AsyncConnection, *, after: UUID | None, limit: int, entities: frozenset[UUID] | None
) -> list[ErpPolicy]:
    """Return policies by entity, past `after`; `entities` leaves those of others out."""
    table = tables.erp_policy
    query = select(table).order_by(table.c.legal_entity_id).limit(limit)
    if after is not None:
        query = query.where(table.c.legal_entity_id > after)
    if entities is not None:
        query = query.where(table.c.legal_entity_id.in_(entities))
    return [policy_from(row) for row in await tx.execute(query)]


async def put_policy(tx: AsyncConnection, policy: ErpPolicy) -> None:
    """Write a policy that is one version ahead of the stored one, or new.

    Raises:
        StaleVersion: another writer was faster.
    """
    table = tables.erp_policy
    statement = insert(table).values(
        legal_entity_id=policy.legal_entity_id,
        version=policy.version,
        system=policy.system,
        account_required=policy.account_required,
    )
    changed = ("version", "system", "account_required")
    written = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["legal_entity_id"],
            set_={name: statement.excluded[name] for name in changed},
            where=table.c.version == policy.version - 1,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion("the policy was changed by somebody else")
    audit.touch(tx, derived_id("erp_policy", policy.legal_entity_id))


def policy_from(row: Row[Any]) -> ErpPolicy:
    """Return the policy a row holds."""
    return ErpPolicy(row.legal_entity_id, row.version, row.system, row.account_required)


def _facts_from(row: Row[Any]) -> Facts:
    return Facts(
        policy=None if row.version is None else policy_from(row),
        account=row.account,
        recorded_at=row.linked_at,
        is_switched_off=row.is_switched_off,
    )
