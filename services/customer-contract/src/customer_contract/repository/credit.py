"""Overrides of credit limits."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.credit import Override, OverrideStatus
from customer_contract.domain.values import CustomerId
from throughline_core.errors import NotFound
from throughline_core.money import Money
from throughline_runtime import audit


class OverrideNotFound(NotFound):
    """There is no override of this id."""

    code = "credit.override_not_found"


async def get(tx: AsyncConnection, credit_override_id: UUID) -> Override:
    """Return the override; its row stays locked, so that one decision on it is the first.

    Raises:
        OverrideNotFound: there is none.
    """
    table = tables.credit_override
    query = select(table).where(table.c.credit_override_id == credit_override_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise OverrideNotFound(
            f"there is no override {credit_override_id}", field="credit_override_id"
        )
    return override_from(row)


async def of_customers(
    tx: AsyncConnection, customer_ids: Collection[CustomerId]
) -> Sequence[Override]:
    """Return the overrides of these customers that are not revoked, the oldest first."""
    table = tables.credit_override
    query = (
        select(table)
        .where(table.c.customer_id.in_(customer_ids))
        .where(table.c.status != OverrideStatus.REVOKED)
        .order_by(table.c.credit_override_id)
    )
    return [override_from(row) for row in await tx.execute(query)]


async def add(tx: AsyncConnection, override: Override) -> None:
    """Write a proposed override."""
    audit.touch(tx, override.credit_override_id, override.customer_id)
    await tx.execute(
        insert(tables.credit_override).values(
            credit_override_id=override.credit_override_id,
            customer_id=override.customer_id,
            amount=override.amount.amount,
            currency=override.amount.currency,
            expires_on=override.expires_on,
            reason=override.reason,
            proposed_by=override.proposed_by,
            proposed_at=override.proposed_at,
            **_decision_columns(override),
        )
    )


async def save(tx: AsyncConnection, override: Override) -> None:
    """Write the decision on an override that `get` locked."""
    audit.touch(tx, override.credit_override_id, override.customer_id)
    table = tables.credit_override
    await tx.execute(
        update(table)
        .where(table.c.credit_override_id == override.credit_override_id)
        .values(_decision_columns(override))
    )


def override_from(row: Row[Any]) -> Override:
    return Override(
        credit_override_id=row.credit_override_id,
        customer_id=CustomerId(row.customer_id),
        amount=Money(row.amount, row.currency),
        expires_on=row.expires_on,
        reason=row.reason,
        status=OverrideStatus(row.status),
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        revoked_reason=row.revoked_reason,
    )


def _decision_columns(override: Override) -> dict[str, object]:
    return {
        "status": override.status,
        "decided_by": override.decided_by,
        "decided_at": override.decided_at,
        "revoked_reason": override.revoked_reason,
    }
