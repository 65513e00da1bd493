"""Finds what people name at the checkpoint: rows by id or by contract, and holds."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.hold import HoldId
from billing_event.domain.position import BillingEventId
from billing_event.domain.release_run import ReleaseScope
from billing_event.domain.source import ContractId

_SCOPE: Final = """
    FROM billing_event JOIN position USING (billing_event_id)
    JOIN source_item USING (source_item_id)
    WHERE position.status = ANY(CAST(:statuses AS text[]))
      AND (CAST(:contract_id AS uuid) IS NULL
           OR billing_event.contract_id = CAST(:contract_id AS uuid))
      AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
           OR billing_event.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
      AND (CAST(:through AS date) IS NULL
           OR billing_event.service_to <= CAST(:through AS date) + 1)
      AND (CAST(:types AS text[]) = '{}' OR billing_event.type = ANY(CAST(:types AS text[])))
      AND (CAST(:max_amount AS numeric) IS NULL
           OR billing_event.currency = :max_currency
              AND abs(billing_event.amount) <= CAST(:max_amount AS numeric))
"""

# Who approved the work, or recorded the acceptance it may be billed by.
_OWN: Final = """
    coalesce((SELECT nullif(recorded_by, '') FROM source_step AS step
              WHERE step.source_item_id = source_item.source_item_id
              ORDER BY version DESC LIMIT 1), source_item.approved_by) = :by
"""

_MATCH: Final = text(f"""
    SELECT billing_event_id, source_item_id {_SCOPE} AND NOT {_OWN}
    ORDER BY billing_event.service_from, billing_event_id LIMIT :limit
""")

# In the order of their ids, so that a run can go on behind the last one it has dealt with.
_NEXT: Final = text(f"""
    SELECT billing_event_id, source_item_id {_SCOPE} AND NOT {_OWN}
      AND (CAST(:after AS uuid) IS NULL OR billing_event_id > CAST(:after AS uuid))
    ORDER BY billing_event_id LIMIT :limit
""")

_COUNT: Final = text(f"""
    SELECT count(*) FILTER (WHERE NOT is_own) AS passing, count(*) FILTER (WHERE is_own) AS own
    FROM (SELECT {_OWN} AS is_own {_SCOPE}) AS row
""")

_PREVIEW: Final = text(f"""
    WITH row AS (
        SELECT billing_event.contract_id, billing_event.type, billing_event.currency,
               billing_event.amount,
               position.status = 'held' AS is_held, {_OWN} AS is_own {_SCOPE}
    )
    SELECT contract_id, type, currency,
           count(*) FILTER (WHERE NOT is_held AND NOT is_own) AS passing,
           coalesce(sum(amount) FILTER (WHERE NOT is_held AND NOT is_own), 0) AS passing_amount,
           count(*) FILTER (WHERE NOT is_held AND is_own) AS own,
           coalesce(sum(amount) FILTER (WHERE NOT is_held AND is_own), 0) AS own_amount,
           count(*) FILTER (WHERE is_held) AS held,
           coalesce(sum(amount) FILTER (WHERE is_held), 0) AS held_amount
    FROM row
    WHERE CAST(:after_contract AS uuid) IS NULL
       OR (contract_id, type, currency)
          > (CAST(:after_contract AS uuid), CAST(:after_type AS text),
             CAST(:after_currency AS text))
    GROUP BY contract_id, type, currency ORDER BY contract_id, type, currency LIMIT :limit
""")

_COUNT_OWN: Final = text(f"SELECT count(*) {_SCOPE} AND {_OWN}")

_SIGN_CLEARING: Final = text("""
    UPDATE hold SET cleared_by = :by, clearing_reason = :reason
    WHERE hold_id = ANY(CAST(:hold_ids AS uuid[])) AND cleared_at IS NOT NULL
      AND cleared_by IS NULL
    RETURNING hold_id
""")

_MANUAL_HOLDS: Final = text("""
    SELECT hold_id FROM hold
    WHERE cleared_at IS NULL AND reason = 'manual'
      AND (CAST(:contract_id AS uuid) IS NULL OR contract_id = CAST(:contract_id AS uuid))
      AND (CAST(:opened_by AS text) IS NULL OR opened_by = :opened_by)
      AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
           OR legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
    ORDER BY opened_at, hold_id LIMIT :limit
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
    tx: AsyncConnection, scope: ReleaseScope, *, by: str, limit: int
) -> Sequence[Row[Any]]:
    """Return eligible rows that `by` may release, those of the earliest service first."""
    return (await tx.execute(_MATCH, {**_values(scope, by=by), "limit": limit})).all()


async def next_rows(
    tx: AsyncConnection,
    scope: ReleaseScope,
    *,
    by: str,
    after: BillingEventId | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return eligible rows that `by` may release, by their ids, behind `after`."""
    values = _values(scope, by=by)
    return (await tx.execute(_NEXT, {**values, "after": after, "limit": limit})).all()


async def count(tx: AsyncConnection, scope: ReleaseScope, *, by: str) -> tuple[int, int]:
    """Return how many eligible rows `by` may release, and how many wait for somebody else."""
    row = (await tx.execute(_COUNT, _values(scope, by=by))).one()
    return row.passing, row.own


async def preview(
    tx: AsyncConnection,
    scope: ReleaseScope,
    *,
    by: str,
    after: tuple[UUID, str, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return by contract, type and currency how much would pass, wait for somebody else, or stay.

    Columns: `contract_id, type, currency`, and counts and amounts of `passing`, `own`, `held`.
    """
    contract_id, event_type, currency = after or (None, None, None)
    values = {
        **_values(scope, by=by, statuses=("eligible", "held")),
        "after_contract": contract_id,
        "after_type": event_type,
        "after_currency": currency,
        "limit": limit,
    }
    return (await tx.execute(_PREVIEW, values)).all()


async def count_own(tx: AsyncConnection, scope: ReleaseScope, *, by: str) -> int:
    """Return how many eligible rows wait for somebody else than `by`."""
    return int((await tx.execute(_COUNT_OWN, _values(scope, by=by))).scalar_one())


async def find_holds(tx: AsyncConnection, hold_ids: Collection[HoldId]) -> Sequence[Row[Any]]:
    """Return holds, open or cleared."""
    found = await tx.execute(select(tables.hold).where(tables.hold.c.hold_id.in_(hold_ids)))
    return found.all()


async def manual_holds(
    tx: AsyncConnection,
    *,
    contract_id: ContractId | None,
    opened_by: str | None,
    legal_entity_ids: Collection[UUID] | None,
    limit: int,
) -> list[HoldId]:
    """Return open holds that people placed, oldest first."""
    values = {
        "contract_id": contract_id,
        "opened_by": opened_by,
        "legal_entity_ids": None if legal_entity_ids is None else list(legal_entity_ids),
        "limit": limit,
    }
    return list((await tx.execute(_MANUAL_HOLDS, values)).scalars())


async def sign_clearing(
    tx: AsyncConnection, hold_ids: Collection[HoldId], reason: str, *, by: str
) -> set[HoldId]:
    """Write who cleared holds and why; return those nobody had signed before."""
    values = {"hold_ids": list(hold_ids), "reason": reason, "by": by}
    return set((await tx.execute(_SIGN_CLEARING, values)).scalars())


def _values(
    scope: ReleaseScope, *, by: str, statuses: Sequence[str] = ("eligible",)
) -> dict[str, Any]:
    entities, most = scope.legal_entity_ids, scope.max_amount
    return {
        "by": by,
        "statuses": list(statuses),
        "through": scope.through,
        "contract_id": scope.contract_id,
        "legal_entity_ids": None if entities is None else list(entities),
        "types": list(scope.types),
        "max_amount": None if most is None else most.amount,
        "max_currency": None if most is None else most.currency,
    }
