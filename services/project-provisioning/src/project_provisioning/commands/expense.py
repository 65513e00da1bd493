"""Expense reports and receipts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import expense_facts
from project_provisioning.domain import expense as domain
from project_provisioning.domain import lock as lock_domain
from project_provisioning.domain.delegation import DelegationScope, Judge
from project_provisioning.domain.document import Document
from project_provisioning.domain.expense import ExpenseReport, NotOwnExpenses
from project_provisioning.domain.expense_line import Claim, ExpenseLine, LineFacts
from project_provisioning.domain.person import Person, Sight
from project_provisioning.repository import delegation as delegation_repository
from project_provisioning.repository import document as document_repository
from project_provisioning.repository import expense as repository
from project_provisioning.repository import lock as lock_repository
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import rule_set as rule_repository
from throughline_core.change import Change
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides and when; `is_entitled` by a role of the own, else by delegation only."""

    subject: str
    is_entitled: bool
    at: datetime
    today: date


async def create_report(
    tx: AsyncConnection,
    person_id: UUID,
    title: str,
    claims: Sequence[Claim],
    *,
    sight: Sight,
    today: date,
) -> ExpenseReport:
    """Record a draft with its lines, and with what the policies say against them.

    Raises:
        PersonNotFound, EntityForbidden, NotOwnExpenses, EntityDiffers.
        ProjectNotFound, AmountInvalid, ...: see `commands.expense_facts.take`.
        SourceExists: a line came in before, in a report that was not rejected.
    """
    person = await person_repository.get(tx, person_id)
    _require_own(person, sight)
    facts = await expense_facts.load(tx, [person_id], claims)
    taken = [
        expense_facts.take(claim, facts, person_id, line_id=new_id(), field=f"lines[{index}].")
        for index, claim in enumerate(claims)
    ]
    entity = taken[0][0]
    for index, (other, _) in enumerate(taken):
        domain.require_same_entity(entity, other, field=f"lines[{index}].")
    draft = domain.new_report(new_id(), person, title, entity, [line for _, line in taken])
    [report] = await expense_facts.judge(tx, [draft], facts.policies, on=today)
    await repository.add_all(tx, [report])
    return report


async def add_line(
    tx: AsyncConnection, report_id: UUID, claim: Claim, *, sight: Sight, today: date
) -> ExpenseReport:
    """Add a line to an open report.

    Raises:
        ExpenseReportNotFound, EntityForbidden, NotOwnExpenses, ReportNotOpen, ReportFull,
        EntityDiffers, SourceExists; see `commands.expense_facts.take` for the others.
    """
    report = await repository.get(tx, report_id)
    _require_sight(report, sight)
    facts, line = await _take(tx, report, claim, line_id=new_id())
    return await _relined(tx, report, [*report.lines, line], facts, today)


async def change_line(
    tx: AsyncConnection, line_id: UUID, claim: Claim, *, sight: Sight, today: date
) -> ExpenseReport:
    """Replace a line of an open report; it keeps its id, and exceptions made for it end.

    Raises:
        LineNotFound, EntityForbidden, NotOwnExpenses, ReportNotOpen, EntityDiffers,
        SourceExists; see `commands.expense_facts.take` for the others.
    """
    report = await repository.get_of_line(tx, line_id)
    _require_sight(report, sight)
    facts, line = await _take(tx, report, claim, line_id=line_id)
    lines = [line if each.expense_line_id == line_id else each for each in report.lines]
    return await _relined(tx, report, lines, facts, today)


async def remove_line(tx: AsyncConnection, line_id: UUID, *, sight: Sight) -> ExpenseReport:
    """Take a line off an open report.

    Raises:
        LineNotFound, EntityForbidden, NotOwnExpenses, ReportNotOpen.
    """
    report = await repository.get_of_line(tx, line_id)
    _require_sight(report, sight)
    lines = [each for each in report.lines if each.expense_line_id != line_id]
    changed = domain.with_lines(report, lines)
    await repository.save(tx, report, Change(changed, ()))
    return changed


async def except_lines(
    tx: AsyncConnection,
    report_id: UUID,
    line_ids: Collection[UUID],
    *,
    by: str,
    at: datetime,
    reason: str,
) -> ExpenseReport:
    """Let lines pass although a policy stops them.

    Raises:
        ExpenseReportNotFound, EntityForbidden, OwnExpenses, ReportNotOpen, LineNotFound,
        NothingToExcept.
    """
    report = await repository.get(tx, report_id)
    require_entity(report.legal_entity_id)
    changed = domain.except_lines(report, line_ids, by=by, at=at, reason=reason)
    await repository.save(tx, report, Change(changed, ()))
    return changed


async def submit_report(
    tx: AsyncConnection, report_id: UUID, *, sight: Sight, by: str, at: datetime, today: date
) -> ExpenseReport:
    """Hand a report in; the policies of today count.

    Raises:
        ExpenseReportNotFound, EntityForbidden, NotOwnExpenses, IllegalTransition, ReportEmpty,
        JustificationMissing, PolicyStop, PeriodLocked, StaleVersion.
    """
    report = await repository.get(tx, report_id)
    _require_sight(report, sight)
    days = [(report.legal_entity_id, line.incurred_on) for line in report.lines]
    if report.status in domain.OPEN:
        lock_domain.require_open(
            await lock_repository.open_from(tx, [report.legal_entity_id]), days, field="lines"
        )
    policies = await rule_repository.expense_policies(tx)
    [judged] = await expense_facts.judge(tx, [report], policies, on=today)
    change = domain.submit(judged, by=by, at=at)
    await repository.save(tx, report, change)
    return change.state


async def approve_report(tx: AsyncConnection, report_id: UUID, decider: Decider) -> ExpenseReport:
    """Approve a report and announce its lines.

    Raises:
        ExpenseReportNotFound, EntityForbidden, IllegalTransition, OwnExpenses, NotApprover,
        StaleVersion.
    """
    report = await repository.get(tx, report_id)
    require_entity(report.legal_entity_id)
    change = domain.approve(report, judge=await _judge_of(tx, decider), at=decider.at)
    await repository.save(tx, report, change)
    return change.state


async def reject_report(
    tx: AsyncConnection, report_id: UUID, decider: Decider, *, reason: str
) -> ExpenseReport:
    """Refuse a report for good.

    Raises:
        ExpenseReportNotFound, EntityForbidden, IllegalTransition, OwnExpenses, NotApprover,
        StaleVersion.
    """
    report = await repository.get(tx, report_id)
    require_entity(report.legal_entity_id)
    change = domain.reject(report, judge=await _judge_of(tx, decider), at=decider.at, reason=reason)
    await repository.save(tx, report, change)
    return change.state


async def return_report(
    tx: AsyncConnection, report_id: UUID, decider: Decider, *, reason: str
) -> ExpenseReport:
    """Send a report back to be corrected.

    Raises:
        ExpenseReportNotFound, EntityForbidden, IllegalTransition, OwnExpenses, NotApprover,
        StaleVersion.
    """
    report = await repository.get(tx, report_id)
    require_entity(report.legal_entity_id)
    change = domain.return_(
        report, judge=await _judge_of(tx, decider), at=decider.at, reason=reason
    )
    await repository.save(tx, report, change)
    return change.state


async def reverse_line(
    tx: AsyncConnection,
    line_id: UUID,
    replacement: Claim | None,
    *,
    by: str,
    at: datetime,
    today: date,
    reason: str,
) -> ExpenseReport:
    """Take an approved line back, put the right cost in its place, and announce both.

    Raises:
        LineNotFound, EntityForbidden, PeriodLocked, OwnExpenses, LineNotApproved, LineReversed,
        LineIsReversal, JustificationMissing, PolicyStop; see `commands.expense_facts.take` for
        those of the replacement.
    """
    report = await repository.get_of_line(tx, line_id)
    require_entity(report.legal_entity_id)
    line = domain.line_of(report, line_id)
    await lock_repository.require_open(
        tx, [(report.legal_entity_id, line.incurred_on)], field="expense_line_id"
    )
    new = None
    if replacement is not None:
        facts, taken = await _take(tx, report, replacement, line_id=new_id(), field="replacement.")
        standing = domain.standing_lines(report, but=line_id)
        probe = replace(report, lines=(*standing, taken))
        [judged] = await expense_facts.judge(tx, [probe], facts.policies, on=today)
        new = judged.lines[-1]
    change = domain.reverse(
        report, line_id, reversal_id=new_id(), replacement=new, reason=reason, by=by, at=at
    )
    await repository.save(tx, report, change)
    return change.state


async def keep_document(tx: AsyncConnection, document: Document, *, by: str) -> None:
    """Keep a document, once for each content."""
    await document_repository.add(tx, document, by=by)


async def _judge_of(tx: AsyncConnection, decider: Decider) -> Judge:
    return await delegation_repository.judge_of(
        tx,
        decider.subject,
        is_pmo=decider.is_entitled,
        scope=DelegationScope.EXPENSES,
        on=decider.today,
    )


async def _take(
    tx: AsyncConnection, report: ExpenseReport, claim: Claim, *, line_id: UUID, field: str = "line."
) -> tuple[LineFacts, ExpenseLine]:
    person_id = report.person.person_id
    facts = await expense_facts.load(tx, [person_id], [claim])
    entity, line = expense_facts.take(claim, facts, person_id, line_id=line_id, field=field)
    domain.require_same_entity(report.legal_entity_id, entity, field=field)
    return facts, line


async def _relined(
    tx: AsyncConnection,
    report: ExpenseReport,
    lines: Sequence[ExpenseLine],
    facts: LineFacts,
    today: date,
) -> ExpenseReport:
    changed = domain.with_lines(report, lines)
    [judged] = await expense_facts.judge(tx, [changed], facts.policies, on=today)
    await repository.save(tx, report, Change(judged, ()))
    return judged


def _require_sight(report: ExpenseReport, sight: Sight) -> None:
    require_entity(report.legal_entity_id)
    _require_own(report.person, sight)


def _require_own(person: Person, sight: Sight) -> None:
    if sight.own_subject is not None and person.subject != sight.own_subject:
        raise NotOwnExpenses(
            "these are the expenses of somebody else",
            field="person_id",
            advice="ask that person, or somebody of the PMO",
        )
