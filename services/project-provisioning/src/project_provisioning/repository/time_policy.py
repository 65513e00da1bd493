"""Who approves time, as rows: one for each legal entity that set it."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.timesheet import ApprovalPolicy, TimeApprover
from throughline_runtime import audit

_table = tables.time_approval_policy


async def get(tx: AsyncConnection, legal_entity_id: UUID) -> ApprovalPolicy:
    """Return the policy of a legal entity, the defaults where none is set."""
    query = select(_table).where(_table.c.legal_entity_id == legal_entity_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return ApprovalPolicy(legal_entity_id)
    return ApprovalPolicy(
        legal_entity_id, row.version, TimeApprover(row.approver), row.reminder_days
    )


async def put(tx: AsyncConnection, policy: ApprovalPolicy) -> ApprovalPolicy:
    """Write a policy in place of what was set, and return it with its version."""
    values = {"approver": policy.approver, "reminder_days": policy.reminder_days}
    statement = insert(_table).values(legal_entity_id=policy.legal_entity_id, version=1, **values)
    version = await tx.scalar(
        statement.on_conflict_do_update(
            index_elements=["legal_entity_id"],
            set_={**values, "version": _table.c.version + 1},
        ).returning(_table.c.version)
    )
    assert version is not None, "an upsert returns its row"
    audit.touch(tx, policy.legal_entity_id)
    return ApprovalPolicy(policy.legal_entity_id, version, policy.approver, policy.reminder_days)
