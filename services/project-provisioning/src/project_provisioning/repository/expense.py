"""Expense reports as rows, with their lines and what policies say against them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.expense import (
    ExpenseChange,
    ExpenseReport,
    ExpenseReportNotFound,
    ExpenseReportStatus,
)
from project_provisioning.domain.expense_line import (
    ExpenseLine,
    LineFinding,
    LineNotFound,
    SourceExists,
)
from project_provisioning.domain.rule_set import Severity
from project_provisioning.domain.time_entry import Source
from project_provisioning.repository.expense_line import line_from, line_values
from project_provisioning.repository.person import person_from
from project_provisioning.wire import expense as wire
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, outbox

_report, _line, _finding = tables.expense_report, tables.expense_line, tables.expense_finding
_source, _person = tables.expense_source, tables.person
_SOURCE = (_source.c.source_system, _source.c.source_object_type, _source.c.source_object_id)


async def add_all(tx: AsyncConnection, reports: Sequence[ExpenseReport]) -> None:
    """Write new reports with their lines: five statements, however many reports.

    Raises:
        SourceExists: a line came in before, in a report that was not rejected.
    """
    if not reports:
        return
    heads = [
        {
            **_values(report),
            "expense_report_id": report.expense_report_id,
            "person_id": report.person.person_id,
            "legal_entity_id": report.legal_entity_id,
            "title": report.title,
        }
        for report in reports
    ]
    await tx.execute(insert(_report), heads)
    for report in reports:
        audit.touch(tx, report.expense_report_id)
    lines = [
        (report.expense_report_id, position, line)
        for report in reports
        for position, line in enumerate(report.lines, start=1)
    ]
    await _insert_lines(tx, lines)
    await _claim_sources(tx, reports)


async def get(tx: AsyncConnection, expense_report_id: UUID) -> ExpenseReport:
    """Return a report, locked until the transaction ends.

    Raises:
        ExpenseReportNotFound: there is none.
    """
    query = select(_report).where(_report.c.expense_report_id == expense_report_id)
    row = (await tx.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise ExpenseReportNotFound(
            f"no expense report {expense_report_id}", field="expense_report_id"
        )
    [found] = await assemble(tx, [row])
    return found


async def get_of_line(tx: AsyncConnection, expense_line_id: UUID) -> ExpenseReport:
    """Return the report a line is on, locked until the transaction ends.

    Raises:
        LineNotFound: there is no such line.
    """
    query = select(_line.c.expense_report_id).where(_line.c.expense_line_id == expense_line_id)
    report_id = await tx.scalar(query)
    if report_id is None:
        raise LineNotFound(f"no expense line {expense_line_id}", field="expense_line_id")
    return await get(tx, report_id)


async def find_draft(
    tx: AsyncConnection, person_id: UUID, legal_entity_id: UUID, title: str
) -> ExpenseReport | None:
    """Return the person's latest draft of this title, locked; None where there is none."""
    query = (
        select(_report)
        .where(
            _report.c.person_id == person_id,
            _report.c.legal_entity_id == legal_entity_id,
            _report.c.title == title,
            _report.c.status == ExpenseReportStatus.DRAFT,
        )
        .order_by(_report.c.expense_report_id.desc())
        .limit(1)
        .with_for_update()
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else (await assemble(tx, [row]))[0]


async def save(tx: AsyncConnection, before: ExpenseReport, change: ExpenseChange) -> None:
    """Write the new state with the lines that differ from `before`, and queue its events.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
        SourceExists: a line came in before, in another report that was not rejected.
    """
    report = change.state
    written = await tx.execute(
        update(_report)
        .where(_report.c.expense_report_id == report.expense_report_id)
        .where(_report.c.version == report.version - 1)
        .values(_values(report))
    )
    if written.rowcount != 1:
        raise StaleVersion(
            f"expense report {report.expense_report_id} is not at {report.version - 1}"
        )
    audit.touch(tx, report.expense_report_id)
    if report.lines != before.lines:
        await _save_lines(tx, before, report)
    if report.status is ExpenseReportStatus.REJECTED:
        of_report = _source.c.expense_report_id == report.expense_report_id
        await tx.execute(delete(_source).where(of_report))
    await outbox.append(tx, map(wire.write_event, change.events))


async def assemble(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[ExpenseReport]:
    """Return the reports of these rows with people, lines and findings: three queries."""
    person_ids = {row.person_id for row in rows}
    people = {
        found.person_id: person_from(found)
        for found in await tx.execute(select(_person).where(_person.c.person_id.in_(person_ids)))
    }
    query = (
        select(_line)
        .where(_line.c.expense_report_id.in_([row.expense_report_id for row in rows]))
        .order_by(_line.c.position)
    )
    found = (await tx.execute(query)).all()
    findings = await _findings_of(tx, [row.expense_line_id for row in found])
    lines: defaultdict[UUID, list[ExpenseLine]] = defaultdict(list)
    for row in found:
        line = line_from(row, findings.get(row.expense_line_id, ()))
        lines[row.expense_report_id].append(line)
    return [
        ExpenseReport(
            expense_report_id=row.expense_report_id,
            version=row.version,
            person=people[row.person_id],
            legal_entity_id=row.legal_entity_id,
            title=row.title,
            status=ExpenseReportStatus(row.status),
            lines=tuple(lines[row.expense_report_id]),
            submitted_by=row.submitted_by or "",
            submitted_at=row.submitted_at,
            decided_by=row.decided_by or "",
            decided_for=row.decided_for or "",
            decided_at=row.decided_at,
            rejection_reason=row.rejection_reason or "",
        )
        for row in rows
    ]


async def costs_of_days(
    tx: AsyncConnection, days: Mapping[UUID, Collection[date]], *, but: Iterable[UUID]
) -> Mapping[UUID, list[ExpenseLine]]:
    """Return people's lines of these days in other reports than `but`, by person: one query.

    Rejected reports do not count, nor lines that were taken back.
    """
    keys = [(person_id, day) for person_id, each in days.items() for day in each]
    if not keys:
        return {}
    reversed_ids = select(_line.c.reverses_expense_line_id).where(
        _line.c.reverses_expense_line_id.is_not(None)
    )
    query = (
        select(_line, _report.c.person_id)
        .join(_report, _report.c.expense_report_id == _line.c.expense_report_id)
        .where(
            tuple_(_report.c.person_id, _line.c.incurred_on).in_(keys),
            _report.c.status != ExpenseReportStatus.REJECTED,
            _report.c.expense_report_id.not_in(list(but)),
            _line.c.reverses_expense_line_id.is_(None),
            _line.c.expense_line_id.not_in(reversed_ids),
        )
    )
    found: defaultdict[UUID, list[ExpenseLine]] = defaultdict(list)
    for row in await tx.execute(query):
        found[row.person_id].append(line_from(row, ()))
    return found


async def of_sources(
    tx: AsyncConnection, sources: Collection[Source]
) -> Mapping[Source, tuple[UUID, ExpenseLine]]:
    """Return lines that came in from these records, each with its person: one query."""
    query = (
        select(_line, _report.c.person_id)
        .join(_source, _source.c.expense_report_id == _line.c.expense_report_id)
        .join(_report, _report.c.expense_report_id == _line.c.expense_report_id)
        .where(
            tuple_(*_SOURCE).in_(sources),
            _line.c.source_system == _source.c.source_system,
            _line.c.source_object_type == _source.c.source_object_type,
            _line.c.source_object_id == _source.c.source_object_id,
        )
    )
    found: dict[Source, tuple[UUID, ExpenseLine]] = {}
    for row in await tx.execute(query):
        line = line_from(row, ())
        if line.source is not None:
            found[line.source] = (row.person_id, line)
    return found


async def _save_lines(tx: AsyncConnection, before: ExpenseReport, report: ExpenseReport) -> None:
    """Write lines that are new or changed and delete those that are gone.

    An approved line is only ever added to, and what it says stays.
    """
    known = {line.expense_line_id: line for line in before.lines}
    kept = {line.expense_line_id for line in report.lines}
    gone = [line_id for line_id in known if line_id not in kept]
    changed = [line for line in report.lines if known.get(line.expense_line_id, line) != line]
    touched = [*gone, *(line.expense_line_id for line in changed)]
    await tx.execute(delete(_finding).where(_finding.c.expense_line_id.in_(touched)))
    if gone:
        await tx.execute(delete(_line).where(_line.c.expense_line_id.in_(gone)))
    for line in changed:
        statement = update(_line).where(_line.c.expense_line_id == line.expense_line_id)
        await tx.execute(statement.values(line_values(line)))
    await _insert_findings(tx, changed)
    last = await tx.scalar(
        select(_line.c.position)
        .where(_line.c.expense_report_id == report.expense_report_id)
        .order_by(_line.c.position.desc())
        .limit(1)
    )
    fresh = [line for line in report.lines if line.expense_line_id not in known]
    rows = [
        (report.expense_report_id, position, line)
        for position, line in enumerate(fresh, start=(last or 0) + 1)
    ]
    await _insert_lines(tx, rows)
    if [line.source for line in before.lines] != [line.source for line in report.lines]:
        of_report = _source.c.expense_report_id == report.expense_report_id
        await tx.execute(delete(_source).where(of_report))
        await _claim_sources(tx, [report])


async def _insert_lines(
    tx: AsyncConnection, lines: Sequence[tuple[UUID, int, ExpenseLine]]
) -> None:
    if not lines:
        return
    rows = [
        {**line_values(line), "expense_report_id": report_id, "position": position}
        for report_id, position, line in lines
    ]
    await tx.execute(insert(_line), rows)
    await _insert_findings(tx, [line for _, _, line in lines])


async def _insert_findings(tx: AsyncConnection, lines: Iterable[ExpenseLine]) -> None:
    rows = [
        {
            "expense_line_id": line.expense_line_id,
            "rule": each.rule,
            "severity": each.severity,
            "explanation": each.explanation,
            "excepted_by": each.excepted_by or None,
            "excepted_at": each.excepted_at,
            "exception_reason": each.exception_reason or None,
        }
        for line in lines
        for each in line.findings
    ]
    if rows:
        await tx.execute(insert(_finding), rows)


async def _findings_of(
    tx: AsyncConnection, line_ids: Collection[UUID]
) -> Mapping[UUID, list[LineFinding]]:
    query = select(_finding).where(_finding.c.expense_line_id.in_(line_ids))
    found: defaultdict[UUID, list[LineFinding]] = defaultdict(list)
    for row in await tx.execute(query.order_by(_finding.c.expense_line_id, _finding.c.rule)):
        found[row.expense_line_id].append(
            LineFinding(
                rule=row.rule,
                severity=Severity(row.severity),
                explanation=row.explanation,
                excepted_by=row.excepted_by or "",
                excepted_at=row.excepted_at,
                exception_reason=row.exception_reason or "",
            )
        )
    return found


async def _claim_sources(tx: AsyncConnection, reports: Iterable[ExpenseReport]) -> None:
    """Keep each record of another system to one report; of two writers the second is refused."""
    named = [
        (report, index, line.source)
        for report in reports
        for index, line in enumerate(report.lines)
        if line.source
    ]
    if not named:
        return
    # One order for all writers, so that two of them wait for each other instead of deadlocking.
    owners = {source: report.expense_report_id for report, _, source in reversed(named)}
    rows = [
        {
            **dict(zip((column.name for column in _SOURCE), source, strict=True)),
            "expense_report_id": owners[source],
        }
        for source in sorted(owners)
    ]
    claim = upsert(_source).values(rows).on_conflict_do_nothing().returning(*_SOURCE)
    claimed = {tuple(row) for row in await tx.execute(claim)}
    for _, index, source in named:
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
        "decided_for": report.decided_for or None,
        "decided_at": report.decided_at,
        "rejection_reason": report.rejection_reason or None,
    }
