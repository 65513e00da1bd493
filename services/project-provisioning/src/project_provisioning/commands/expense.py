"""Expense reports and receipts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import expense as domain
from project_provisioning.domain.document import Document
from project_provisioning.domain.expense import (
    Claim,
    ExpenseReport,
    ExpenseReportStatus,
    NotOwnExpenses,
)
from project_provisioning.domain.person import Person, Sight
from project_provisioning.domain.project import ProjectNotFound
from project_provisioning.repository import document as document_repository
from project_provisioning.repository import expense as repository
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import project as project_repository
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


async def create_report(
    tx: AsyncConnection, person_id: UUID, title: str, claims: Sequence[Claim], *, sight: Sight
) -> ExpenseReport:
    """Record a draft with its lines.

    Raises:
        PersonNotFound, ProjectNotFound, EntityForbidden, NotOwnExpenses.
        AmountInvalid, LineNotBillable, ContractLineUnknown, ContractLineUnclear, ReceiptMissing:
            see `domain.expense.claim_line`.
        SourceExists: a line came in before, in a report that was not rejected.
    """
    person = await person_repository.get(tx, person_id)
    _require_sight(person, sight)
    projects = await project_repository.get_all(tx, {claim.project_id for claim in claims})
    receipts = await document_repository.kept(
        tx, {claim.receipt_sha256 for claim in claims if claim.receipt_sha256}
    )
    lines = []
    for index, claim in enumerate(claims):
        field = f"lines[{index}]"
        project = projects.get(claim.project_id)
        if project is None:
            raise ProjectNotFound(f"no project {claim.project_id}", field=f"{field}.project_id")
        lines.append(
            domain.claim_line(claim, project, line_id=new_id(), receipts=receipts, field=field)
        )
    report = ExpenseReport(
        expense_report_id=new_id(),
        version=1,
        person=person,
        title=title,
        status=ExpenseReportStatus.DRAFT,
        lines=tuple(lines),
    )
    await repository.add(tx, report)
    return report


async def submit_report(
    tx: AsyncConnection, report_id: UUID, *, sight: Sight, by: str, at: datetime
) -> ExpenseReport:
    """Hand a report in.

    Raises:
        ExpenseReportNotFound, EntityForbidden, NotOwnExpenses, IllegalTransition, StaleVersion.
    """
    report = await repository.get(tx, report_id)
    _require_sight(report.person, sight)
    change = domain.submit(report, by=by, at=at)
    await repository.save(tx, change)
    return change.state


async def approve_report(
    tx: AsyncConnection, report_id: UUID, *, by: str, at: datetime
) -> ExpenseReport:
    """Approve a report and announce its lines.

    Raises:
        ExpenseReportNotFound, EntityForbidden, IllegalTransition, OwnExpenses, StaleVersion.
    """
    report = await repository.get(tx, report_id)
    require_entity(report.person.legal_entity_id)
    change = domain.approve(report, by=by, at=at)
    await repository.save(tx, change)
    return change.state


async def reject_report(
    tx: AsyncConnection, report_id: UUID, *, by: str, at: datetime, reason: str
) -> ExpenseReport:
    """Send a report back.

    Raises:
        ExpenseReportNotFound, EntityForbidden, IllegalTransition, OwnExpenses, StaleVersion.
    """
    report = await repository.get(tx, report_id)
    require_entity(report.person.legal_entity_id)
    change = domain.reject(report, by=by, at=at, reason=reason)
    await repository.save(tx, change)
    return change.state


async def keep_document(tx: AsyncConnection, document: Document, *, by: str) -> None:
    """Keep a document, once for each content."""
    await document_repository.add(tx, document, by=by)


def _require_sight(person: Person, sight: Sight) -> None:
    require_entity(person.legal_entity_id)
    if sight.own_subject is not None and person.subject != sight.own_subject:
        raise NotOwnExpenses(
            "these are the expenses of somebody else",
            field="person_id",
            advice="ask that person, or somebody of the PMO",
        )
