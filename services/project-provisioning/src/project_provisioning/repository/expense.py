"""Expense reports as rows, with their lines."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.expense import (
    ExpenseChange,
    ExpenseLine,
    ExpenseReport,
    ExpenseReportNotFound,
    ExpenseReportStatus,
    SourceExists,
)
from project_provisioning.domain.time_entry import Source
from project_provisioning.repository.person import person_from
from project_provisioning.wire import expense as wire
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import audit, outbox


async def add(tx: AsyncConnection, report: ExpenseReport) -> None:
    """Write a new report with its lines.

    Raises:
        SourceExists: a line came in before, in a report that was not rejected.
    """
    head = {
        **_values(report),
        "expense_report_id": report.expense_report_id,
        "person_id": report.person.person_id,
        "legal_entity_id": report.person.legal_entity_id,
        "title": report.title,
    }
    await tx.execute(insert(tables.expense_report), head)
    rows = [
        {
            **_line_values(line),
            "expense_report_id": report.expense_report_id,
            "position": position,
        }
        for position, line in enumerate(report.lines, start=1)
    ]
    await tx.execute(insert(tables.expense_line), rows)
    await _claim_sources(tx, report)
    audit.touch(tx, report.expense_report_id)


async def get(tx: AsyncConnection, expense_report_id: UUID) -> ExpenseReport:
    """Return a report, locked until the transaction ends.

    Raises:
        ExpenseReportNotFound: there is none.
    """
    report = tables.expense_report
    query = select(report).where(report.c.expense_report_id == expense_report_id)
    row = (await tx.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise ExpenseReportNotFound(
            f"no expense report {expense_report_id}", field="expense_report_id"
        )
    [found] = await assemble(tx, [row])
    return found


async def save(tx: AsyncConnection, change: ExpenseChange) -> None:
    """Write the new state and queue its events.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    report, table = change.state, tables.expense_report
    written = await tx.execute(
        update(table)
        .where(table.c.expense_report_id == report.expense_report_id)
        .where(table.c.version == report.version - 1)
        .values(_values(report))
    )
    if written.rowcount != 1:
        raise StaleVersion(
            f"expense report {report.expense_report_id} is not at {report.version - 1}"
        )
    audit.touch(tx, report.expense_report_id)
    if report.status is ExpenseReportStatus.REJECTED:
        source = tables.expense_source
        await tx.execute(
            delete(source).where(source.c.expense_report_id == report.expense_report_id)
        )
    await outbox.append(tx, map(wire.write_event, change.events))


async def assemble(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[ExpenseReport]:
    """Return the reports of these rows with people and lines: two queries, however many."""
    person, line = tables.person, tables.expense_line
    person_ids = {row.person_id for row in rows}
    people = {
        found.person_id: person_from(found)
        for found in await tx.execute(select(person).where(person.c.person_id.in_(person_ids)))
    }
    lines: defaultdict[UUID, list[ExpenseLine]] = defaultdict(list)
    query = (
        select(line)
        .where(line.c.expense_report_id.in_([row.expense_report_id for row in rows]))
        .order_by(line.c.position)
    )
    for found in await tx.execute(query):
        lines[found.expense_report_id].append(_line_from(found))
    return [
        ExpenseReport(
            expense_report_id=row.expense_report_id,
            version=row.version,
            person=people[row.person_id],
            title=row.title,
            status=ExpenseReportStatus(row.status),
            lines=tuple(lines[row.expense_report_id]),
            submitted_by=row.submitted_by or "",
            submitted_at=row.submitted_at,
            decided_by=row.decided_by or "",
            decided_at=row.decided_at,
            rejection_reason=row.rejection_reason or "",
        )
        for row in rows
    ]


async def _claim_sources(tx: AsyncConnection, report: ExpenseReport) -> None:
    """Keep each record of another system to one report; of two writers the second is refused."""
    named = [(index, line.source) for index, line in enumerate(report.lines) if line.source]
    if not named:
        return
    table = tables.expense_source
    columns = (table.c.source_system, table.c.source_object_type, table.c.source_object_id)
    # One order for all writers, so that two of them wait for each other instead of deadlocking.
    rows = [
        dict(zip((column.name for column in columns), source, strict=True))
        for source in sorted({source for _, source in named})
    ]
    claim = upsert(table).values(
        [{**row, "expense_report_id": report.expense_report_id} for row in rows]
    )
    claimed = {
        tuple(row) for row in await tx.execute(claim.on_conflict_do_nothing().returning(*columns))
    }
    for index, source in named:
        if source not in claimed:
            raise SourceExists(
                f"{source.object_type} {source.object_id} of {source.system} came in before",
                field=f"lines[{index}].source",
                advice="leave the line out; if its report was wrong, have that one rejected first",
            )
        claimed.discard(source)


def _values(report: ExpenseReport) -> dict[str, Any]:
    return {
        "version": report.version,
        "status": report.status,
        "submitted_by": report.submitted_by or None,
        "submitted_at": report.submitted_at,
        "decided_by": report.decided_by or None,
        "decided_at": report.decided_at,
        "rejection_reason": report.rejection_reason or None,
    }


def _line_values(line: ExpenseLine) -> dict[str, Any]:
    source = line.source
    return {
        "expense_line_id": line.expense_line_id,
        "project_id": line.project_id,
        "contract_id": line.contract_id,
        "contract_line_id": line.contract_line_id,
        "engagement_id": line.engagement_id,
        "incurred_on": line.incurred_on,
        "category": line.category,
        "description": line.description,
        "net_amount": line.net_amount.amount,
        "tax_amount": line.tax_amount.amount,
        "currency": line.net_amount.currency,
        "billable": line.billable,
        "reimbursable": line.reimbursable,
        "receipt_sha256": line.receipt_sha256 or None,
        "source_system": source.system if source else None,
        "source_object_type": source.object_type if source else None,
        "source_object_id": source.object_id if source else None,
    }


def _line_from(row: Row[Any]) -> ExpenseLine:
    return ExpenseLine(
        expense_line_id=row.expense_line_id,
        project_id=row.project_id,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        engagement_id=row.engagement_id,
        incurred_on=row.incurred_on,
        category=row.category,
        description=row.description,
        net_amount=Money(row.net_amount, row.currency),
        tax_amount=Money(row.tax_amount, row.currency),
        billable=row.billable,
        reimbursable=row.reimbursable,
        receipt_sha256=row.receipt_sha256 or "",
        source=(
            None
            if row.source_system is None
            else Source(row.source_system, row.source_object_type, row.source_object_id)
        ),
    )
