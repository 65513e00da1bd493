"""Adjustments and their reasons as rows."""

from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.adjustment import (
    Adjustment,
    AdjustmentId,
    AdjustmentNotFound,
    AdjustmentReason,
    Undone,
)
from billing_event.domain.position import BillingEventId
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractLineId
from throughline_core.errors import StaleVersion
from throughline_core.money import Money

_TABLE = tables.adjustment
_REASON = tables.adjustment_reason


async def get(tx: AsyncConnection, adjustment_id: AdjustmentId) -> Adjustment:
    """Return an adjustment.

    Raises:
        AdjustmentNotFound: there is none.
    """
    query = select(_TABLE).where(_TABLE.c.adjustment_id == adjustment_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise AdjustmentNotFound(f"adjustment {adjustment_id} does not exist")
    return adjustment_from(row)


async def add(tx: AsyncConnection, adjustment: Adjustment) -> None:
    """Write an adjustment that waits.

    Raises:
        Undone: another one undoes the same, or waits to.
    """
    added = await tx.execute(
        insert(_TABLE)
        .values(**_columns(adjustment))
        .on_conflict_do_nothing(
            index_elements=["undoes_adjustment_id"],
            index_where=text(
                "undoes_adjustment_id IS NOT NULL AND status IN ('proposed', 'approved')"
            ),
        )
    )
    if added.rowcount != 1:
        raise Undone(
            f"adjustment {adjustment.undoes_adjustment_id} is undone by another, or about to be"
        )


async def save(tx: AsyncConnection, adjustment: Adjustment) -> None:
    """Write what was decided.

    Raises:
        StaleVersion: somebody else decided first.
    """
    saved = await tx.execute(
        update(_TABLE)
        .where(_TABLE.c.adjustment_id == adjustment.adjustment_id)
        .where(_TABLE.c.version == adjustment.version - 1)
        .values(**_columns(adjustment))
    )
    if saved.rowcount != 1:
        raise StaleVersion(f"adjustment {adjustment.adjustment_id} was decided meanwhile")


async def get_reason(tx: AsyncConnection, code: str) -> AdjustmentReason | None:
    """Return a reason, None where it was never put."""
    row = (await tx.execute(select(_REASON).where(_REASON.c.code == code))).one_or_none()
    return None if row is None else reason_from(row)


async def put_reason(tx: AsyncConnection, reason: AdjustmentReason, *, by: str, at: Any) -> None:
    """Write a reason as it is now.

    Raises:
        StaleVersion: somebody else changed it first.
    """
    values = {
        "version": reason.version,
        "description": reason.description,
        "is_active": reason.is_active,
        "set_by": by,
        "set_at": at,
    }
    written = await tx.execute(
        insert(_REASON)
        .values(code=reason.code, **values)
        .on_conflict_do_update(
            index_elements=[_REASON.c.code],
            set_=values,
            where=_REASON.c.version == reason.version - 1,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"reason {reason.code} was changed meanwhile")


async def line_of_row(
    tx: AsyncConnection, billing_event_id: BillingEventId
) -> ContractLineId | None:
    """Return the contract line a rated row bills, None where there is no such row."""
    table = tables.billing_event
    query = select(table.c.contract_line_id).where(table.c.billing_event_id == billing_event_id)
    found: ContractLineId | None = await tx.scalar(query)
    return found


def adjustment_from(row: Row[Any]) -> Adjustment:
    """Return the adjustment a row holds."""
    return Adjustment(
        adjustment_id=row.adjustment_id,
        version=row.version,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        legal_entity_id=row.legal_entity_id,
        engagement_id=row.engagement_id,
        status=ProposalStatus(row.status),
        amount=Money(row.amount, row.currency),
        service_on=row.service_on,
        reason_code=row.reason_code,
        description=row.description,
        billing_event_id=row.billing_event_id,
        undoes_adjustment_id=row.undoes_adjustment_id,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )


def reason_from(row: Row[Any]) -> AdjustmentReason:
    """Return the reason a row holds."""
    return AdjustmentReason(row.code, row.version, row.description, row.is_active)


def _columns(adjustment: Adjustment) -> dict[str, Any]:
    money = {"amount": adjustment.amount.amount, "currency": adjustment.amount.currency}
    names = [column.name for column in _TABLE.columns if column.name not in money]
    return {name: getattr(adjustment, name) for name in names} | money
