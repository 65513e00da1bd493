"""Staffing requests as rows."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.staffing import StaffingRequest, StaffingRequestNotFound
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_request, _assignment = tables.staffing_request, tables.assignment

ASSIGNED = (
    select(func.coalesce(func.sum(_assignment.c.planned_hours), 0))
    .where(_assignment.c.staffing_request_id == _request.c.staffing_request_id)
    .scalar_subquery()
)
"""Hours of the assignments made for a request."""


def requests() -> Select[Any]:
    """Return the query of requests with their assigned hours, to be narrowed."""
    return select(_request, ASSIGNED.label("assigned_hours"))


async def get(tx: AsyncConnection, staffing_request_id: UUID) -> StaffingRequest:
    """Return a request, locked until the transaction ends.

    Raises:
        StaffingRequestNotFound: there is none.
    """
    query = requests().where(_request.c.staffing_request_id == staffing_request_id)
    row = (await tx.execute(query.with_for_update(of=_request))).one_or_none()
    if row is None:
        raise StaffingRequestNotFound(
            f"no staffing request {staffing_request_id}", field="staffing_request_id"
        )
    return request_from(row)


async def add(tx: AsyncConnection, request: StaffingRequest) -> None:
    """Write a new request."""
    values = {
        "staffing_request_id": request.staffing_request_id,
        "version": request.version,
        "project_id": request.project_id,
        "legal_entity_id": request.legal_entity_id,
        "contract_line_id": request.contract_line_id,
        "role": request.role,
        "level": request.level,
        "region": request.region,
        "skills": list(request.skills),
        "starts_on": request.starts_on,
        "ends_on": request.ends_on,
        "hours": request.hours,
        "note": request.note,
        "requested_by": request.requested_by,
        "cancelled_reason": request.cancelled_reason,
    }
    await tx.execute(insert(_request), values)
    audit.touch(tx, request.staffing_request_id, request.project_id)


async def save(tx: AsyncConnection, request: StaffingRequest) -> None:
    """Write the new state of a request.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    written = await tx.execute(
        update(_request)
        .where(_request.c.staffing_request_id == request.staffing_request_id)
        .where(_request.c.version == request.version - 1)
        .values(version=request.version, cancelled_reason=request.cancelled_reason)
    )
    if written.rowcount != 1:
        raise StaleVersion(f"staffing request {request.staffing_request_id} has changed meanwhile")
    audit.touch(tx, request.staffing_request_id, request.project_id)


def request_from(row: Row[Any]) -> StaffingRequest:
    """Return the request a row holds."""
    return StaffingRequest(
        staffing_request_id=row.staffing_request_id,
        version=row.version,
        project_id=row.project_id,
        legal_entity_id=row.legal_entity_id,
        contract_line_id=row.contract_line_id,
        role=row.role,
        level=row.level,
        region=row.region,
        skills=tuple(row.skills),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        hours=row.hours,
        note=row.note,
        requested_by=row.requested_by,
        cancelled_reason=row.cancelled_reason,
        assigned_hours=row.assigned_hours,
    )
