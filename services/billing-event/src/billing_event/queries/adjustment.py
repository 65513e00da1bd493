"""Adjustments and their reasons, listed and written."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.adjustment import AdjustmentId, AdjustmentNotFound, AdjustmentReason
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.queries.keys import page_by_time
from billing_event.repository.adjustment import adjustment_from, reason_from
from throughline.billing_event.v1 import adjustment_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant, write_money
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page, next_token

STATUSES: Final = EnumMap(pb.AdjustmentStatus, ProposalStatus)

_TABLE = tables.adjustment
_REASON = tables.adjustment_reason


@dataclass(frozen=True, slots=True)
class AdjustmentFilter:
    """Which adjustments are wanted; None or empty does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: ProposalStatus | None = None
    reason_code: str = ""


async def adjustments(
    tx: AsyncConnection, wanted: AdjustmentFilter, page: Page
) -> pb.ListAdjustmentsResponse:
    """Return a page of adjustments in the order they were proposed."""
    query = _query()
    for column, value in (
        (_TABLE.c.contract_id, wanted.contract_id),
        (_TABLE.c.contract_line_id, wanted.contract_line_id),
        (_TABLE.c.status, wanted.status),
        (_TABLE.c.reason_code, wanted.reason_code or None),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_TABLE.c.legal_entity_id.in_(wanted.legal_entity_ids))
    keys = (_TABLE.c.proposed_at, _TABLE.c.adjustment_id)
    rows, token = await page_by_time(tx, query, keys, page)
    return pb.ListAdjustmentsResponse(adjustments=map(_write, rows), next_page_token=token)


async def adjustment(tx: AsyncConnection, adjustment_id: AdjustmentId) -> pb.Adjustment:
    """Return an adjustment.

    Raises:
        AdjustmentNotFound, EntityForbidden: it is not there, or not for the caller.
    """
    query = _query().where(_TABLE.c.adjustment_id == adjustment_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise AdjustmentNotFound(f"adjustment {adjustment_id} does not exist")
    require_entity(row.legal_entity_id)
    return _write(row)


async def reasons(tx: AsyncConnection, page: Page) -> pb.ListAdjustmentReasonsResponse:
    """Return a page of reasons by code."""
    query = select(_REASON).order_by(_REASON.c.code).limit(page.size + 1)
    if page.after is not None:
        query = query.where(_REASON.c.code > page.after[0])
    rows = (await tx.execute(query)).all()
    shown = [reason_from(row) for row in rows[: page.size]]
    response = pb.ListAdjustmentReasonsResponse(adjustment_reasons=map(write_reason, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].code)
    return response


def write_reason(reason: AdjustmentReason) -> pb.AdjustmentReason:
    """Return a reason as it is replied."""
    return pb.AdjustmentReason(
        code=reason.code,
        version=reason.version,
        description=reason.description,
        active=reason.is_active,
    )


def _query() -> Select[Any]:
    counter = _TABLE.alias("counter")
    live = (ProposalStatus.PROPOSED, ProposalStatus.APPROVED)
    undone_by = (
        select(counter.c.adjustment_id)
        .where(counter.c.undoes_adjustment_id == _TABLE.c.adjustment_id)
        .where(counter.c.status.in_(live))
        .scalar_subquery()
    )
    return select(_TABLE, undone_by.label("undone_by"))


def _write(row: Row[Any]) -> pb.Adjustment:
    found = adjustment_from(row)
    return pb.Adjustment(
        adjustment_id=str(found.adjustment_id),
        version=found.version,
        contract_id=str(found.contract_id),
        contract_line_id=str(found.contract_line_id),
        legal_entity_id=str(found.legal_entity_id),
        status=STATUSES.write(found.status),
        amount=write_money(found.amount),
        service_on=write_date(found.service_on),
        reason_code=found.reason_code,
        description=found.description,
        billing_event_id=write_id(found.billing_event_id) or None,
        undoes_adjustment_id=write_id(found.undoes_adjustment_id) or None,
        undone_by_adjustment_id=write_id(row.undone_by) or None,
        proposed_by=found.proposed_by,
        proposed_at=write_instant(found.proposed_at),
        decided_by=found.decided_by,
        decided_at=write_instant(found.decided_at),
        decision_reason=found.decision_reason,
    )
