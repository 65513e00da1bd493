"""Purchases as rows."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.purchase import Bought, Purchase, PurchaseId
from billing_event.domain.source import SourceRef
from throughline_core.errors import StaleVersion
from throughline_core.money import Money

_TABLE = tables.purchase

_KNOWN_OF: Final = text("""
    SELECT purchase.* FROM purchase
    JOIN unnest(CAST(:systems AS text[]), CAST(:object_types AS text[]),
                CAST(:object_ids AS text[])) AS sent (system, object_type, object_id)
      ON (source_system, source_object_type, source_object_id)
         = (sent.system, sent.object_type, sent.object_id)
""")

_NEXT_VERSION: Final = ", ".join(
    f"{column.name} = EXCLUDED.{column.name}" for column in _TABLE.columns if not column.primary_key
)

_ADD: Final = tables.insert_of(
    _TABLE,
    f"""ON CONFLICT (purchase_id) DO UPDATE SET {_NEXT_VERSION}
    WHERE purchase.version = EXCLUDED.version - 1
      AND purchase.status IN ('rejected', 'withdrawn')
    RETURNING purchase_id""",
)

_SAVE: Final = text("""
    UPDATE purchase
    SET status = :status, version = version + 1, decided_by = :decided_by,
        decided_at = :decided_at, decision_reason = :decision_reason
    WHERE purchase_id = ANY(CAST(:purchase_ids AS uuid[])) AND status = 'proposed'
""")


async def known_of(
    tx: AsyncConnection, sources: Collection[SourceRef]
) -> dict[SourceRef, Purchase]:
    """Return the purchases of sources."""
    rows = await tx.execute(
        _KNOWN_OF,
        {
            "systems": [source.system for source in sources],
            "object_types": [source.object_type for source in sources],
            "object_ids": [source.object_id for source in sources],
        },
    )
    found = map(purchase_from, rows)
    return {purchase.bought.source: purchase for purchase in found}


async def known(
    tx: AsyncConnection, purchase_ids: Collection[PurchaseId], *, lock: bool = False
) -> dict[PurchaseId, Purchase]:
    """Return purchases by id; `lock` lets nobody else decide about them meanwhile."""
    query = (
        select(_TABLE).where(_TABLE.c.purchase_id.in_(purchase_ids)).order_by(_TABLE.c.purchase_id)
    )
    rows = await tx.execute(query.with_for_update() if lock else query)
    return {row.purchase_id: purchase_from(row) for row in rows}


async def add(tx: AsyncConnection, purchases: Sequence[Purchase]) -> None:
    """Write purchases that wait, in place of the version before if there is one.

    Raises:
        StaleVersion: somebody else brings one of them in at this moment.
    """
    bought = [purchase.bought for purchase in purchases]
    number = len(purchases)
    added = await tx.execute(
        _ADD,
        {
            "purchase_id": [purchase.purchase_id for purchase in purchases],
            "version": [purchase.version for purchase in purchases],
            "contract_id": [each.contract_id for each in bought],
            "contract_line_id": [each.contract_line_id for each in bought],
            "legal_entity_id": [purchase.legal_entity_id for purchase in purchases],
            "engagement_id": [purchase.engagement_id for purchase in purchases],
            "status": [purchase.status for purchase in purchases],
            "category": [each.category for each in bought],
            "supplier": [each.supplier for each in bought],
            "document_number": [each.document_number for each in bought],
            "description": [each.description for each in bought],
            "incurred_on": [each.incurred_on for each in bought],
            "cost": [each.cost.amount for each in bought],
            "currency": [each.cost.currency for each in bought],
            "source_system": [each.source.system for each in bought],
            "source_object_type": [each.source.object_type for each in bought],
            "source_object_id": [each.source.object_id for each in bought],
            "recorded_by": [purchase.recorded_by for purchase in purchases],
            "recorded_at": [purchase.recorded_at for purchase in purchases],
            "decided_by": [""] * number,
            "decided_at": [None] * number,
            "decision_reason": [""] * number,
        },
    )
    if len(added.all()) != number:
        raise StaleVersion("one of these purchases is being brought in by somebody else")


async def save(tx: AsyncConnection, decided: Sequence[Purchase]) -> None:
    """Write what one decision was about.

    Raises:
        StaleVersion: somebody else decided about one of them first.
    """
    first = decided[0]
    saved = await tx.execute(
        _SAVE,
        {
            "purchase_ids": [purchase.purchase_id for purchase in decided],
            "status": first.status,
            "decided_by": first.decided_by,
            "decided_at": first.decided_at,
            "decision_reason": first.decision_reason,
        },
    )
    if saved.rowcount != len(decided):
        raise StaleVersion("one of these purchases was decided meanwhile")


def purchase_from(row: Row[Any]) -> Purchase:
    """Return the purchase a row holds."""
    bought = Bought(
        row.contract_id,
        row.contract_line_id,
        row.category,
        row.supplier,
        row.document_number,
        row.description,
        row.incurred_on,
        Money(row.cost, row.currency),
        SourceRef(row.source_system, row.source_object_type, row.source_object_id),
    )
    return Purchase(
        row.purchase_id,
        bought,
        row.version,
        row.legal_entity_id,
        row.engagement_id,
        ProposalStatus(row.status),
        row.recorded_by,
        row.recorded_at,
        row.decided_by,
        row.decided_at,
        row.decision_reason,
    )
