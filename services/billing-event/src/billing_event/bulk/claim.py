"""Writes what is claimed of rows; the position's own checks refuse what would claim too much."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.claim import AllocationId, Claim
from billing_event.domain.position import BillingEventId

_LOCK_ROWS: Final = text("""
    SELECT billing_event.billing_event_id, billing_event.contract_id, terms.time_zone,
           position.allocated_quantity
    FROM billing_event JOIN position USING (billing_event_id)
    CROSS JOIN LATERAL (
        SELECT time_zone FROM contract_terms
        WHERE contract_terms.contract_id = billing_event.contract_id
        ORDER BY contract_version DESC LIMIT 1
    ) AS terms
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
    ORDER BY billing_event_id FOR UPDATE OF position
""")

# Claim and sum move in one statement, so that no two writers can both find the same rest open.
_ADD: Final = text("""
    WITH added AS (
        INSERT INTO allocation (allocation_id, billing_event_id, invoice_id, invoice_line_id,
                                quantity, amount, kind, recorded_on, recorded_at)
        SELECT claim.*, :at FROM unnest(
            CAST(:allocation_ids AS uuid[]), CAST(:billing_event_ids AS uuid[]),
            CAST(:invoice_ids AS uuid[]), CAST(:invoice_line_ids AS uuid[]),
            CAST(:quantities AS numeric[]), CAST(:amounts AS numeric[]),
            CAST(:kinds AS text[]), CAST(:days AS date[])
        ) AS claim
        ON CONFLICT DO NOTHING
        RETURNING allocation_id, billing_event_id, quantity, amount
    ), moved AS (
        UPDATE position SET
            allocated_quantity = allocated_quantity + claimed.quantity,
            allocated_amount = allocated_amount + claimed.amount
        FROM (SELECT billing_event_id, sum(quantity) AS quantity, sum(amount) AS amount
              FROM added GROUP BY billing_event_id) AS claimed
        WHERE position.billing_event_id = claimed.billing_event_id
    )
    SELECT allocation_id FROM added
""")


async def lock_rows(
    tx: AsyncConnection, billing_event_ids: Sequence[BillingEventId]
) -> dict[BillingEventId, Row[Any]]:
    """Lock the positions of rows in one order, and return of each `contract_id`,
    `time_zone` and `allocated_quantity`."""
    rows = await tx.execute(_LOCK_ROWS, {"billing_event_ids": list(billing_event_ids)})
    return {row.billing_event_id: row for row in rows}


async def add(
    tx: AsyncConnection,
    claims: Sequence[Claim],
    days: Mapping[BillingEventId, date],
    *,
    at: datetime,
) -> set[AllocationId]:
    """Write claims, and return those that were not written before.

    Raises:
        IntegrityError: a check of `position` refuses the claim.
    """
    added = await tx.execute(
        _ADD,
        {
            "allocation_ids": [claim.allocation_id for claim in claims],
            "billing_event_ids": [claim.billing_event_id for claim in claims],
            "invoice_ids": [claim.invoice_id for claim in claims],
            "invoice_line_ids": [claim.invoice_line_id for claim in claims],
            "quantities": [claim.quantity for claim in claims],
            "amounts": [claim.amount.amount for claim in claims],
            "kinds": [claim.kind for claim in claims],
            "days": [days[claim.billing_event_id] for claim in claims],
            "at": at,
        },
    )
    return set(added.scalars())
