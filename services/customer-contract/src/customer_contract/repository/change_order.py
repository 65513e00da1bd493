"""Change orders."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from google.protobuf import json_format
from sqlalchemy import Row, Select, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.change_order_record import (
    OPEN,
    Application,
    ChangeApproval,
    ChangeOrder,
    ChangeOrderApproved,
    ChangeOrderStatus,
)
from customer_contract.domain.contract_terms import Signature
from customer_contract.domain.values import ChangeOrderId, ContractId, LegalEntityId
from customer_contract.wire import change_order as wire
from throughline.customer_contract.v1 import change_order_service_pb2 as pb
from throughline_core.change import Change
from throughline_core.errors import NotFound, StaleVersion
from throughline_runtime import audit, outbox

# Days are the contract's, whose zone the database knows as well as we do.
_DUE: Final = text("""
    SELECT change_order_id FROM change_order JOIN contract USING (contract_id)
    WHERE change_order.status = 'approved' AND contract.status = 'active'
      AND effective_on <= (CAST(:now AS timestamptz) AT TIME ZONE time_zone)::date
    ORDER BY effective_on, change_order_id
    LIMIT :at_most
""")


class ChangeOrderNotFound(NotFound):
    """There is no change order of this id."""

    code = "change_order.not_found"


async def get(tx: AsyncConnection, change_order_id: ChangeOrderId) -> ChangeOrder:
    """Return the change order.

    Raises:
        ChangeOrderNotFound: there is none.
    """
    table = tables.change_order
    found = await load(tx, select(table).where(table.c.change_order_id == change_order_id))
    if not found:
        raise ChangeOrderNotFound(
            f"there is no change order {change_order_id}", field="change_order_id"
        )
    return found[0]


async def load(tx: AsyncConnection, query: Select[Any]) -> list[ChangeOrder]:
    """Return the change orders whose rows a query yields, in its order."""
    return [_change_order_from(row) for row in await tx.execute(query)]


async def open_count(tx: AsyncConnection, contract_id: ContractId) -> int:
    """Return how many change orders of the contract are neither applied nor closed."""
    table = tables.change_order
    query = select(func.count()).select_from(table)
    query = query.where(table.c.contract_id == contract_id, table.c.status.in_(sorted(OPEN)))
    return int((await tx.execute(query)).scalar_one())


async def due(tx: AsyncConnection, now: datetime, *, at_most: int) -> Sequence[ChangeOrderId]:
    """Return approved change orders whose day has come, those of the earliest day first."""
    rows = await tx.execute(_DUE, {"now": now, "at_most": at_most})
    return [ChangeOrderId(change_order_id) for change_order_id in rows.scalars()]


async def add(tx: AsyncConnection, change_order: ChangeOrder) -> None:
    """Write a new draft."""
    values = {
        "change_order_id": change_order.change_order_id,
        "number": change_order.number,
        "contract_id": change_order.contract_id,
        "legal_entity_id": change_order.legal_entity_id,
        "engagement_id": change_order.engagement_id,
        "correlation_id": change_order.correlation_id,
        "currency": change_order.currency,
        **_state_columns(change_order),
    }
    await tx.execute(insert(tables.change_order).values(values))
    _touch(tx, change_order)


async def save(tx: AsyncConnection, change_order: ChangeOrder) -> None:
    """Write where the change order stands and what it says.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    table = tables.change_order
    written = await tx.execute(
        update(table)
        .where(table.c.change_order_id == change_order.change_order_id)
        .where(table.c.version == change_order.version - 1)
        .values(_state_columns(change_order))
    )
    if written.rowcount != 1:
        raise StaleVersion(
            f"change order {change_order.number} is not at {change_order.version - 1}"
        )
    _touch(tx, change_order)


async def save_approved(
    tx: AsyncConnection, change: Change[ChangeOrder, ChangeOrderApproved]
) -> None:
    """Write the approval and queue its event.

    Raises:
        StaleVersion: see `save`.
    """
    await save(tx, change.state)
    await outbox.append(tx, map(wire.write_event, change.events))


def _touch(tx: AsyncConnection, change_order: ChangeOrder) -> None:
    audit.touch(tx, change_order.change_order_id, engagement_id=change_order.engagement_id)


def _state_columns(change_order: ChangeOrder) -> dict[str, object]:
    approval, application = change_order.approval, change_order.application
    content = wire.write_content(change_order.content, change_order.contract_id)
    for line in content.added_lines:
        line.ClearField("terms")  # The line itself says all of it.
    return {
        "version": change_order.version,
        "status": change_order.status,
        "reason": change_order.reason,
        "effective_on": change_order.effective_on,
        "content": json_format.MessageToDict(content, preserving_proto_field_name=True),
        "drafted_by": change_order.drafted_by,
        "proposed_by": change_order.proposed_by,
        "approved_by": approval and approval.by,
        "approved_at": approval and approval.at,
        "signatory": approval and approval.signature.signatory,
        "signed_on": approval and approval.signature.signed_on,
        "document_sha256": approval and approval.signature.document_sha256,
        "approved_contract_version": approval and approval.contract_version,
        "contract_versions": [] if application is None else [*application.contract_versions],
        "applied_at": application and application.at,
        "closing_reason": change_order.closing_reason,
    }


def _change_order_from(row: Row[Any]) -> ChangeOrder:
    content = json_format.ParseDict(row.content, pb.ChangeOrderContent())
    return ChangeOrder(
        change_order_id=ChangeOrderId(row.change_order_id),
        version=row.version,
        number=row.number,
        contract_id=ContractId(row.contract_id),
        legal_entity_id=LegalEntityId(row.legal_entity_id),
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        currency=row.currency,
        status=ChangeOrderStatus(row.status),
        reason=row.reason,
        effective_on=row.effective_on,
        content=wire.read_content(content),
        drafted_by=row.drafted_by,
        proposed_by=row.proposed_by,
        approval=_approval_from(row),
        application=(
            None
            if row.applied_at is None
            else Application(row.applied_at, tuple(row.contract_versions))
        ),
        closing_reason=row.closing_reason,
    )


def _approval_from(row: Row[Any]) -> ChangeApproval | None:
    if row.approved_by is None:
        return None
    signature = Signature(row.document_sha256, row.signatory, row.signed_on)
    return ChangeApproval(
        row.approved_by, row.approved_at, signature, row.approved_contract_version
    )
