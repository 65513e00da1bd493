"""Finds what people name at the checkpoint: rows by id or by contract, and holds."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.hold import HoldId
from billing_event.domain.position import BillingEventId
from billing_event.domain.source import ContractId

_ELIGIBLE: Final = """
    FROM billing_event JOIN position USING (billing_event_id)
    JOIN source_item USING (source_item_id)
    WHERE position.status = 'eligible'
      AND (CAST(:contract_id AS uuid) IS NULL
           OR billing_event.contract_id = CAST(:contract_id AS uuid))
      AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
           OR billing_event.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
      AND (CAST(:through AS date) IS NULL
           OR billing_event.service_to <= CAST(:through AS date) + 1)
"""

# Who approved the work, or recorded the acceptance it may be billed by.
_OWN: Final = """
    coalesce((SELECT nullif(recorded_by, '') FROM source_step AS step
              WHERE step.source_item_id = source_item.source_item_id
              ORDER BY version DESC LIMIT 1), source_item.approved_by) = :by
"""

_MATCH: Final = text(f"""
    SELECT billing_event_id, source_item_id {_ELIGIBLE} AND NOT {_OWN}
    ORDER BY billing_event.service_from, billing_event_id LIMIT :limit
""")

_COUNT_OWN: Final = text(f"SELECT count(*) {_ELIGIBLE} AND {_OWN}")

_SIGN_CLEARING: Final = text("""
    UPDATE hold SET cleared_by = :by, clearing_reason = :reason
    WHERE hold_id = :hold_id AND cleared_at IS NOT NULL AND cleared_by IS NULL
""")


async def find(
    tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]
) -> dict[BillingEventId, Row[Any]]:
    """Return `source_item_id, legal_entity_id` of the rows that exist."""
    table = tables.billing_event
    columns: Sequence[Column[Any]] = (
        table.c.billing_event_id,
        table.c.source_item_id,
        table.c.legal_entity_id,
    )
    rows = await tx.execute(select(*columns).where(table.c.billing_event_id.in_(billing_event_ids)))
    return {row.billing_event_id: row for row in rows}


async def match(
    tx: AsyncConnection,
    *,
    by: str,
    through: date | None,
    contract_id: ContractId | None,
    legal_entity_ids: Collection[UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return eligible rows that `by` may release, those of the earliest service first."""
    values = _scope(by, through, contract_id, legal_entity_ids)
    return (await tx.execute(_MATCH, {**values, "limit": limit})).all()


async def count_own(
    tx: AsyncConnection,
    *,
    by: str,
    through: date | None,
    contract_id: ContractId | None,
    legal_entity_ids: Collection[UUID] | None,
) -> int:
    """Return how many eligible rows wait for somebody else than `by`."""
    values = _scope(by, through, contract_id, legal_entity_ids)
    return int((await tx.execute(_COUNT_OWN, values)).scalar_one())


async def find_hold(tx: AsyncConnection, hold_id: HoldId) -> Row[Any] | None:
    """Return a hold, open or cleared."""
    rows = await tx.execute(select(tables.hold).where(tables.hold.c.hold_id == hold_id))
    return rows.one_or_none()


async def sign_clearing(tx: AsyncConnection, hold_id: HoldId, reason: str, *, by: str) -> bool:
    """Write who cleared a hold and why; return whether nobody had done so before."""
    values = {"hold_id": hold_id, "reason": reason, "by": by}
    return (await tx.execute(_SIGN_CLEARING, values)).rowcount == 1


def _scope(
    by: str,
    through: date | None,
    contract_id: ContractId | None,
    legal_entity_ids: Collection[UUID] | None,
) -> dict[str, Any]:
    return {
        "by": by,
        "through": through,
        "contract_id": contract_id,
        "legal_entity_ids": None if legal_entity_ids is None else list(legal_entity_ids),
    }
