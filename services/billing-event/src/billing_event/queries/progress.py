"""Progress reports, listed and written."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.progress import ProgressReport
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.queries.keys import page_by_time
from billing_event.repository.progress import report_from
from throughline.billing_event.v1 import progress_service_pb2 as pb
from throughline_runtime.fields import (
    EnumMap,
    write_date,
    write_decimal,
    write_instant,
    write_money,
)
from throughline_runtime.page import Page

STATUSES: Final = EnumMap(pb.ProgressReportStatus, ProposalStatus)

_TABLE = tables.progress_report

_PROJECTS: Final = text("""
    SELECT DISTINCT project_id FROM source_item
    WHERE contract_line_id = :contract_line_id AND project_id IS NOT NULL ORDER BY project_id
""")


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: ProposalStatus | None = None


async def reports(
    tx: AsyncConnection, wanted: ReportFilter, page: Page
) -> pb.ListProgressReportsResponse:
    """Return a page of reports in the order they were made."""
    query = select(_TABLE)
    for column, value in (
        (_TABLE.c.contract_id, wanted.contract_id),
        (_TABLE.c.contract_line_id, wanted.contract_line_id),
        (_TABLE.c.status, wanted.status),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_TABLE.c.legal_entity_id.in_(wanted.legal_entity_ids))
    keys = (_TABLE.c.reported_at, _TABLE.c.progress_report_id)
    rows, token = await page_by_time(tx, query, keys, page)
    return pb.ListProgressReportsResponse(
        progress_reports=[write_report(report_from(row)) for row in rows], next_page_token=token
    )


async def projects_of(tx: AsyncConnection, contract_line_id: ContractLineId) -> Sequence[UUID]:
    """Return the projects that a line was worked on."""
    return (await tx.execute(_PROJECTS, {"contract_line_id": contract_line_id})).scalars().all()


def write_report(report: ProgressReport) -> pb.ProgressReport:
    """Return a report as it is replied."""
    message = pb.ProgressReport(
        progress_report_id=str(report.progress_report_id),
        version=report.version,
        contract_id=str(report.contract_id),
        contract_line_id=str(report.contract_line_id),
        legal_entity_id=str(report.legal_entity_id),
        status=STATUSES.write(report.status),
        percent=write_decimal(report.percent),
        as_of=write_date(report.as_of),
        note=report.note,
        evidence=report.evidence,
        evidence_sha256=report.evidence_sha256,
        reported_by=report.reported_by,
        reported_at=write_instant(report.reported_at),
        decided_by=report.decided_by,
        decided_at=write_instant(report.decided_at),
        decision_reason=report.decision_reason,
    )
    if report.earned is not None:
        message.net_total.CopyFrom(write_money(report.earned.net_total))
        message.earned.CopyFrom(write_money(report.earned.earned))
        message.amount.CopyFrom(write_money(report.earned.amount))
    return message
