"""Progress reports as rows."""

from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.progress import (
    AnotherIsOpen,
    Billed,
    Earned,
    ProgressReport,
    ProgressReportId,
    ReportNotFound,
)
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractLineId
from throughline_core.errors import StaleVersion
from throughline_core.money import Money

_TABLE = tables.progress_report


async def get(tx: AsyncConnection, progress_report_id: ProgressReportId) -> ProgressReport:
    """Return a report.

    Raises:
        ReportNotFound: there is none.
    """
    query = select(_TABLE).where(_TABLE.c.progress_report_id == progress_report_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise ReportNotFound(f"progress report {progress_report_id} does not exist")
    return report_from(row)


async def billed_of(tx: AsyncConnection, contract_line_id: ContractLineId, currency: str) -> Billed:
    """Return what the approved reports of a line come to.

    While one report waits no other can be approved, so the sum stands until it is decided.
    """
    approved = (
        select(_TABLE)
        .where(_TABLE.c.contract_line_id == contract_line_id)
        .where(_TABLE.c.status == ProposalStatus.APPROVED)
        .order_by(_TABLE.c.decided_at, _TABLE.c.progress_report_id)
    )
    reports = [report_from(row) for row in await tx.execute(approved)]
    amounts = [report.earned.amount for report in reports if report.earned is not None]
    total = Money.total(amounts, currency)
    if not reports:
        return Billed(total)
    last = reports[-1]
    net_total = None if last.earned is None else last.earned.net_total
    return Billed(total, last.as_of, last.percent, net_total)


async def add(tx: AsyncConnection, report: ProgressReport) -> None:
    """Write a report that waits.

    Raises:
        AnotherIsOpen: one of the line waits already.
    """
    added = await tx.execute(
        postgresql.insert(_TABLE)
        .values(**_columns(report))
        .on_conflict_do_nothing(
            index_elements=["contract_line_id"], index_where=text("status = 'proposed'")
        )
    )
    if added.rowcount != 1:
        raise AnotherIsOpen(
            f"a report of line {report.contract_line_id} waits for its decision",
            field="contract_line_id",
            advice="have it approved or rejected, or withdraw it, first",
        )


async def save(tx: AsyncConnection, report: ProgressReport) -> None:
    """Write what was decided.

    Raises:
        StaleVersion: somebody else decided first.
    """
    saved = await tx.execute(
        update(_TABLE)
        .where(_TABLE.c.progress_report_id == report.progress_report_id)
        .where(_TABLE.c.version == report.version - 1)
        .values(**_columns(report))
    )
    if saved.rowcount != 1:
        raise StaleVersion(f"progress report {report.progress_report_id} was decided meanwhile")


def report_from(row: Row[Any]) -> ProgressReport:
    """Return the report a row holds."""
    earned = None
    if row.amount is not None:
        earned = Earned(
            Money(row.net_total, row.currency),
            Money(row.earned, row.currency),
            Money(row.amount, row.currency),
        )
    return ProgressReport(
        progress_report_id=row.progress_report_id,
        version=row.version,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        legal_entity_id=row.legal_entity_id,
        engagement_id=row.engagement_id,
        status=ProposalStatus(row.status),
        percent=row.percent,
        as_of=row.as_of,
        note=row.note,
        evidence=row.evidence,
        evidence_sha256=row.evidence_sha256,
        reported_by=row.reported_by,
        reported_at=row.reported_at,
        currency=row.currency,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
        earned=earned,
    )


def _columns(report: ProgressReport) -> dict[str, Any]:
    names = [column.name for column in _TABLE.columns]
    earned = report.earned
    amounts = {
        "net_total": earned and earned.net_total.amount,
        "earned": earned and earned.earned.amount,
        "amount": earned and earned.amount.amount,
    }
    return {name: getattr(report, name) for name in names if name not in amounts} | amounts
