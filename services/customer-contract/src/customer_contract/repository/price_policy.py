"""Price policies: published versions, and the one in force for a legal entity."""

from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.values import LegalEntityId, PricePolicyId
from customer_contract.wire.price_policy import read_rules, write_rules
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import audit


class PricePolicyNotFound(NotFound):
    """There is no price policy of this id, or not in this version."""

    code = "price_policy.not_found"


def id_of(legal_entity_id: LegalEntityId | None) -> PricePolicyId:
    """Return the id of the one policy a legal entity, or the firm, can have."""
    return PricePolicyId(derived_id("price_policy", legal_entity_id or "firm"))


async def get(
    tx: AsyncConnection, price_policy_id: PricePolicyId, *, version: int | None = None
) -> PricePolicy:
    """Return a version of the policy, the latest unless told.

    Raises:
        PricePolicyNotFound: there is none.
    """
    policy = await find(tx, price_policy_id, version=version)
    if policy is None:
        which = "" if version is None else f" in version {version}"
        raise PricePolicyNotFound(
            f"there is no price policy {price_policy_id}{which}", field="price_policy_id"
        )
    return policy


async def find(
    tx: AsyncConnection, price_policy_id: PricePolicyId, *, version: int | None = None
) -> PricePolicy | None:
    """Return a version of the policy, the latest unless told, None where there is none."""
    table = tables.price_policy
    query = select(table).where(table.c.price_policy_id == price_policy_id)
    if version is not None:
        query = query.where(table.c.version == version)
    policies = await load(tx, query.order_by(table.c.version.desc()).limit(1))
    return policies[0] if policies else None


async def in_force(tx: AsyncConnection, legal_entity_id: LegalEntityId) -> PricePolicy | None:
    """Return the policy of the entity's offers, else the firm's, None where there is neither."""
    table = tables.price_policy
    policies = await load(
        tx,
        select(table)
        .where(table.c.price_policy_id.in_([id_of(legal_entity_id), id_of(None)]))
        .order_by(table.c.legal_entity_id.is_(None), table.c.version.desc())
        .limit(1),
    )
    return policies[0] if policies else None


async def load(tx: AsyncConnection, query: Select[Any]) -> list[PricePolicy]:
    """Return the policies the query over `tables.price_policy` yields, in its order."""
    return [_policy_from(row) for row in await tx.execute(query)]


async def add(tx: AsyncConnection, policy: PricePolicy) -> None:
    """Write a published version.

    Raises:
        StaleVersion: another writer published this version first.
    """
    written = await tx.execute(
        insert(tables.price_policy)
        .values(
            price_policy_id=policy.price_policy_id,
            version=policy.version,
            legal_entity_id=policy.legal_entity_id,
            rules=write_rules(policy.rules),
            proposed_by=policy.proposed_by,
            published_by=policy.published_by,
            published_at=policy.published_at,
        )
        .on_conflict_do_nothing()
    )
    if written.rowcount != 1:
        raise StaleVersion(f"the price policy has got version {policy.version} meanwhile")
    audit.touch(tx, policy.price_policy_id)


def _policy_from(row: Row[Any]) -> PricePolicy:
    return PricePolicy(
        PricePolicyId(row.price_policy_id),
        row.version,
        row.legal_entity_id,
        read_rules(row.rules),
        row.proposed_by,
        row.published_by,
        row.published_at,
    )
