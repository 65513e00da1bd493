"""Expense reports and documents."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.document import Document, DocumentNotFound
from project_provisioning.domain.expense import (
    ExpenseReport,
    ExpenseReportNotFound,
    ExpenseReportStatus,
)
from project_provisioning.domain.person import Sight
from project_provisioning.queries.milestone import get_milestone
from project_provisioning.queries.paging import after, cut, own, within
from project_provisioning.repository import expense
from throughline_runtime.page import Page

_report, _line, _person = tables.expense_report, tables.expense_line, tables.person


async def get_expense_report(tx: AsyncConnection, report_id: UUID, sight: Sight) -> ExpenseReport:
    """Return a report with its lines.

    Raises:
        ExpenseReportNotFound: there is none the caller may see.
    """
    query = _reports(sight).where(_report.c.expense_report_id == report_id)
    rows = (await tx.execute(query)).all()
    if not rows:
        raise ExpenseReportNotFound(f"no expense report {report_id}", field="expense_report_id")
    [found] = await expense.assemble(tx, rows)
    return found


async def expense_reports(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    project_id: UUID | None,
    status: ExpenseReportStatus | None,
    sight: Sight,
    page: Page,
) -> tuple[list[ExpenseReport], str]:
    """Return reports with their lines, latest first, and the next page's token."""
    query = _reports(sight)
    if person_id is not None:
        query = query.where(_report.c.person_id == person_id)
    if project_id is not None:
        of_report = _line.c.expense_report_id == _report.c.expense_report_id
        query = query.where(exists().where(of_report, _line.c.project_id == project_id))
    if status is not None:
        query = query.where(_report.c.status == status)
    if page.after is not None:
        query = query.where(_report.c.expense_report_id < after(page))
    query = query.order_by(_report.c.expense_report_id.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.expense_report_id)
    return await expense.assemble(tx, kept), token


async def receipt(tx: AsyncConnection, sha256: str, sight: Sight, *, subject: str) -> Document:
    """Return a document that a visible expense line names, or that `subject` uploaded.

    Raises:
        DocumentNotFound: there is none the caller may see.
    """
    table = tables.document
    visible = _reports(sight).with_only_columns(_line.c.receipt_sha256)
    visible = visible.join(_line, _line.c.expense_report_id == _report.c.expense_report_id)
    visible = visible.where(_line.c.receipt_sha256 == sha256)
    may_see = (table.c.uploaded_by == subject) | table.c.sha256.in_(visible)
    return await _document(tx, sha256, may_see)


async def evidence(tx: AsyncConnection, milestone_id: UUID, sight: Sight) -> Document:
    """Return the document that shows a milestone's acceptance.

    Raises:
        MilestoneNotFound: there is no such milestone the caller may see.
        DocumentNotFound: nothing was accepted, or the document is kept elsewhere.
    """
    found = await get_milestone(tx, milestone_id, sight)
    return await _document(tx, found.evidence_sha256)


async def _document(tx: AsyncConnection, sha256: str, *conditions: ColumnElement[bool]) -> Document:
    table = tables.document
    query = select(table).where(table.c.sha256 == sha256, *conditions)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise DocumentNotFound("no such document is kept here", advice="check the hash")
    return Document(row.sha256, row.content_type, row.content)


def _reports(sight: Sight) -> Select[Any]:
    query = select(_report).join(_person, _person.c.person_id == _report.c.person_id)
    return own(within(query, _report.c.legal_entity_id, sight), sight)
