"""Release policies of legal entities."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.position import EventType
from billing_event.domain.release import Policies, ReleasePolicy, ReleaseRule
from billing_event.domain.source import ContractId, LegalEntityId
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
        "rules": [_rule_to(rule) for rule in policy.rules],
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
        tuple(_rule_from(rule) for rule in row.rules),
    )


def _rule_to(rule: ReleaseRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "types": sorted(rule.types),
        "contract_id": None if rule.contract_id is None else str(rule.contract_id),
        "min_age_days": rule.min_age_days,
        "threshold": str(rule.threshold.amount),
        "currency": rule.threshold.currency,
    }


def _rule_from(stored: Mapping[str, Any]) -> ReleaseRule:
    contract_id = stored["contract_id"]
    return ReleaseRule(
        name=stored["name"],
        types=frozenset(map(EventType, stored["types"])),
        contract_id=None if contract_id is None else ContractId(UUID(contract_id)),
        min_age_days=stored["min_age_days"],
        threshold=Money(Decimal(stored["threshold"]), stored["currency"]),
    )
