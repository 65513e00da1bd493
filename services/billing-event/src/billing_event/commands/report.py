"""Brings held work into the exceptions queue: one entry for each reason and contract."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.hold import WAYS_OUT, HoldReason
from throughline_runtime import exceptions

# What somebody has to mend. Waiting for acceptance or on a colleague's hold is ordinary work.
_NEEDS_MENDING: Final = (
    HoldReason.LIMIT_EXCEEDED,
    HoldReason.CREDIT_HOLD,
    HoldReason.MISSING_RATE,
    HoldReason.MISSING_FX_RATE,
    HoldReason.CONTRACT_NOT_ACTIVE,
    HoldReason.OUTSIDE_TERM,
    HoldReason.TAX_INVALID,
    HoldReason.UNMAPPED,
)

# Work that names no contract is gathered by its project.
_NEWS: Final = text("""
    WITH held AS (
        SELECT 'held.' || hold.reason AS kind, hold.reason,
               coalesce(hold.contract_id, item.project_id, item.source_item_id) AS subject_id,
               min(hold.detail) AS detail, min(CAST(hold.legal_entity_id AS text)) AS entity_id,
               min(CAST(item.engagement_id AS text)) AS engagement_id
        FROM hold JOIN source_item AS item USING (source_item_id)
        WHERE hold.cleared_at IS NULL AND hold.reason = ANY(CAST(:reasons AS text[]))
        GROUP BY 1, 2, 3
    ), known AS (
        SELECT kind, subject_id FROM exception_item
        WHERE closed_at IS NULL AND kind LIKE 'held.%'
    )
    SELECT kind, subject_id, held.reason, held.detail, CAST(held.entity_id AS uuid) AS entity_id,
           CAST(held.engagement_id AS uuid) AS engagement_id, known.kind IS NULL AS is_new
    FROM held FULL JOIN known USING (kind, subject_id)
    WHERE held.kind IS NULL OR known.kind IS NULL
""")


async def report_held(tx: AsyncConnection) -> None:
    """Open an exception where work is newly held, and close those whose last hold is cleared."""
    found = (await tx.execute(_NEWS, {"reasons": list(_NEEDS_MENDING)})).all()
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=row.kind,
                subject_id=row.subject_id,
                reason=row.detail,
                owner=WAYS_OUT[HoldReason(row.reason)].owner,
                advice=WAYS_OUT[HoldReason(row.reason)].advice,
                legal_entity_id=row.entity_id,
                engagement_id=row.engagement_id,
            )
            for row in found
            if row.is_new
        ),
    )
    for kind in {row.kind for row in found if not row.is_new}:
        gone = [row.subject_id for row in found if row.kind == kind and not row.is_new]
        await exceptions.close(tx, kind, gone)
