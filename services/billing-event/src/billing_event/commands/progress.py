"""Reports progress of fixed fees, and bills what was approved of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands.lines import require_agreement
from billing_event.commands.rate import rate
from billing_event.domain import progress
from billing_event.domain.progress import Earned, ProgressReport, ProgressReportId
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.repository import progress as repository
from throughline_runtime import audit
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

Today = Callable[[str], date]


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody reports: how far a line is, as of when, and what shows it."""

    contract_id: ContractId
    contract_line_id: ContractLineId
    percent: Decimal
    as_of: date
    note: str
    evidence: str
    evidence_sha256: str


async def report(
    tx: AsyncConnection, said: Said, *, by: str, at: datetime, today: Today
) -> ProgressReport:
    """Keep a report until a second person decides; `today` gives the day of a zone.

    Raises:
        ContractNotFound, EntityForbidden: it is not known as in force, or not for the caller.
        TermsMissing, LineNotFound, NotByProgress: see `domain.progress.line_by_progress`.
        DayInFuture, BeforeTheLast: see `domain.progress.check_day`.
        AnotherIsOpen: a report of the line waits.
    """
    agreement = await require_agreement(tx, said.contract_id)
    newest = agreement.newest
    progress.line_by_progress(agreement, said.contract_line_id, said.as_of)
    billed = await repository.billed_of(tx, said.contract_line_id, newest.currency)
    progress.check_day(said.as_of, billed, today=today(newest.time_zone))
    made = ProgressReport(
        progress_report_id=ProgressReportId(new_id()),
        version=1,
        contract_id=said.contract_id,
        contract_line_id=said.contract_line_id,
        legal_entity_id=newest.legal_entity_id,
        engagement_id=newest.engagement_id,
        status=ProposalStatus.PROPOSED,
        percent=said.percent,
        as_of=said.as_of,
        note=said.note,
        evidence=said.evidence,
        evidence_sha256=said.evidence_sha256,
        reported_by=by,
        reported_at=at,
        currency=newest.currency,
    )
    await repository.add(tx, made)
    audit.touch(tx, made.progress_report_id, engagement_id=newest.engagement_id)
    return made


async def approve(
    tx: AsyncConnection, progress_report_id: ProgressReportId, *, by: str, at: datetime
) -> ProgressReport:
    """Approve a report and rate the difference to what was billed before.

    Raises:
        ReportNotFound, EntityForbidden: it is not there, or not for the caller.
        ReportNotOpen, ReportedByCaller: see `domain.progress.decide`.
        TermsMissing, LineNotFound, NotByProgress: see `domain.progress.line_by_progress`.
        StaleVersion: somebody else decided first.
    """
    waiting = await _load(tx, progress_report_id)
    agreement = await require_agreement(tx, waiting.contract_id)
    line = progress.line_by_progress(agreement, waiting.contract_line_id, waiting.as_of)
    billed = await repository.billed_of(tx, waiting.contract_line_id, waiting.currency)
    approved = progress.approve(waiting, line, billed, by=by, at=at)
    await _save(tx, approved)
    await rate(tx, [progress.source_item_of(approved, line, billed)], at=at)
    return approved


async def decide(
    tx: AsyncConnection,
    progress_report_id: ProgressReportId,
    status: ProposalStatus,
    *,
    by: str,
    at: datetime,
    reason: str = "",
) -> ProgressReport:
    """Turn a report down, or take it back.

    Raises:
        ReportNotFound, EntityForbidden, ReportNotOpen, ReportedByCaller, StaleVersion: see
            `approve`.
    """
    waiting = await _load(tx, progress_report_id)
    decided = progress.decide(waiting, status, by=by, at=at, reason=reason)
    await _save(tx, decided)
    return decided


async def preview(
    tx: AsyncConnection,
    contract_id: ContractId,
    contract_line_id: ContractLineId,
    percent: Decimal,
    *,
    today: Today,
) -> Earned:
    """Return what a percentage of a line would bill today.

    Raises:
        ContractNotFound, EntityForbidden, TermsMissing, LineNotFound, NotByProgress: see `report`.
    """
    agreement = await require_agreement(tx, contract_id)
    newest = agreement.newest
    line = progress.line_by_progress(agreement, contract_line_id, today(newest.time_zone))
    billed = await repository.billed_of(tx, contract_line_id, newest.currency)
    return progress.earned_by(line, percent, billed)


async def _load(tx: AsyncConnection, progress_report_id: ProgressReportId) -> ProgressReport:
    found = await repository.get(tx, progress_report_id)
    require_entity(found.legal_entity_id)
    return found


async def _save(tx: AsyncConnection, report: ProgressReport) -> None:
    await repository.save(tx, report)
    audit.touch(tx, report.progress_report_id, engagement_id=report.engagement_id)
