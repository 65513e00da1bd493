"""Costs of other systems: brought in once, and kept apart where they lack project or tax."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import expense_facts
from project_provisioning.domain import expense as domain
from project_provisioning.domain import unassigned_expense as unassigned_domain
from project_provisioning.domain.expense import (
    LINES_MAX,
    ExpenseReport,
    ExpenseReportApproved,
    OwnExpenses,
)
from project_provisioning.domain.expense_findings import require_passable
from project_provisioning.domain.expense_line import (
    ExpenseLine,
    LineFacts,
    ReceiptMissing,
    SourceDiffers,
    Tax,
    employer_on,
)
from project_provisioning.domain.person import Person, PersonNotFound
from project_provisioning.domain.time_entry import Source
from project_provisioning.domain.unassigned_expense import (
    TAX_MISSING,
    ImportedCost,
    UnassignedExpense,
    UnassignedExpenseStatus,
)
from project_provisioning.repository import expense as repository
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import unassigned_expense as unassigned_repository
from project_provisioning.wire import expense as wire
from throughline_core.change import Change
from throughline_core.errors import Refusal
from throughline_core.money import Money
from throughline_runtime import exceptions, outbox
from throughline_runtime.exceptions import Halt
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id
from throughline_runtime.rpc.errors import InvalidRequest, Violation

UNASSIGNED = "expense.unassigned"


class RowRefused(NamedTuple):
    """A row that breaks a rule."""

    row: int
    field: str
    rule: str
    text: str


@dataclass(slots=True)
class Imported:
    """What became of the rows of an import."""

    reports: list[ExpenseReport] = field(default_factory=list)
    unassigned: list[UnassignedExpense] = field(default_factory=list)
    duplicates: int = 0
    refused: list[RowRefused] = field(default_factory=list)

    @property
    def recorded(self) -> int:
        return sum(len(report.lines) for report in self.reports)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What was missing of a cost; None keeps what came in."""

    project_id: UUID | None
    contract_line_id: UUID | None
    net_amount: Money | None
    tax_amount: Money | None
    taxes: tuple[Tax, ...]
    billable: bool | None
    justification: str


_Group = tuple[UUID, UUID, str]
"""Person, bearing company and title: what comes into one report, as far as it has room."""


async def import_expenses(
    tx: AsyncConnection,
    costs: Sequence[ImportedCost],
    *,
    is_approved: bool,
    is_partial: bool,
    by: str,
    at: datetime,
    today: date,
) -> Imported:
    """Bring costs in; a constant number of statements, however many.

    Raises:
        InvalidRequest: a row breaks a rule, and it is all or nothing; names every bad row.
        Contended: another writer brings in the same costs; safe to retry.
    """
    people = await person_repository.get_all(tx, {cost.person_id for cost in costs})
    complete = [cost for cost in costs if not cost.missing]
    loaded = await expense_facts.load(tx, list(people), [cost.claim() for cost in complete])
    facts = replace(loaded, receipts=await expense_facts.receipts_of(tx, costs))
    known = await _known(tx, [cost.source for cost in costs])
    approver = by if is_approved else None
    imported = Imported()
    groups: dict[_Group, list[tuple[int, ExpenseLine]]] = {}
    for index, cost in enumerate(costs):
        try:
            _sort_in(imported, groups, index, cost, known, people, facts, approver=approver)
        except Refusal as refusal:
            _refuse(imported, index, refusal)
    await _judge(tx, imported, groups, people, facts, today=today, is_approved=is_approved)
    if imported.refused and not is_partial:
        raise InvalidRequest(
            [
                Violation(f"rows[{each.row}].{each.field}", each.rule, each.text)
                for each in sorted(imported.refused)
            ]
        )
    if is_approved:
        imported.reports = [_approved(report, by=by, at=at) for report in imported.reports]
    await repository.add_all(tx, imported.reports)
    await _announce(tx, imported.reports, is_approved=is_approved, by=by, at=at)
    await unassigned_repository.add_all(tx, imported.unassigned)
    await exceptions.open_all(tx, map(_halt, imported.unassigned))
    return imported


async def assign_expense(
    tx: AsyncConnection, expense_id: UUID, assignment: Assignment, *, by: str, today: date
) -> ExpenseReport:
    """Say what was missing: the cost becomes a line of a draft of the person.

    Raises:
        UnassignedExpenseNotFound, EntityForbidden, UnassignedExpenseNotOpen,
        UnassignedExpenseIncomplete, SourceExists; see `commands.expense_facts.take`.
    """
    expense = await unassigned_repository.get(tx, expense_id)
    require_entity(expense.legal_entity_id)
    cost = _completed(expense.cost, assignment)
    claim = cost.claim()
    person_id = cost.person_id
    facts = await expense_facts.load(tx, [person_id], [claim])
    entity, line = expense_facts.take(claim, facts, person_id, line_id=new_id(), field="")
    draft = await repository.find_draft(tx, person_id, entity, cost.title)
    if draft is None or len(draft.lines) >= LINES_MAX:
        person = await person_repository.get(tx, person_id)
        fresh = domain.new_report(new_id(), person, cost.title, entity, [line])
        [report] = await expense_facts.judge(tx, [fresh], facts.policies, on=today)
        await repository.add_all(tx, [report])
    else:
        changed = domain.with_lines(draft, [*draft.lines, line])
        [report] = await expense_facts.judge(tx, [changed], facts.policies, on=today)
        await repository.save(tx, draft, Change(report, ()))
    assigned = unassigned_domain.assign(expense, report.expense_report_id, by=by)
    await unassigned_repository.save(tx, assigned)
    await exceptions.close(tx, UNASSIGNED, [expense_id])
    return report


async def discard_expense(tx: AsyncConnection, expense_id: UUID, *, by: str) -> UnassignedExpense:
    """Say that a cost is none of the firm's.

    Raises:
        UnassignedExpenseNotFound, EntityForbidden, UnassignedExpenseNotOpen.
    """
    expense = await unassigned_repository.get(tx, expense_id)
    require_entity(expense.legal_entity_id)
    discarded = unassigned_domain.discard(expense, by=by)
    await unassigned_repository.save(tx, discarded)
    await exceptions.close(tx, UNASSIGNED, [expense_id])
    return discarded


def _sort_in(
    imported: Imported,
    groups: dict[_Group, list[tuple[int, ExpenseLine]]],
    index: int,
    cost: ImportedCost,
    known: dict[Source, ImportedCost],
    people: Mapping[UUID, Person],
    facts: LineFacts,
    *,
    approver: str | None,
) -> None:
    """Put one row where it belongs; a row counts as known for the rows after it."""
    if cost.person_id not in people:
        raise PersonNotFound(f"no person {cost.person_id}", field="person_id")
    if people[cost.person_id].subject == approver:
        raise OwnExpenses("these are the caller's own expenses", field="person_id")
    before = known.get(cost.source)
    if before is not None:
        if not before.says(cost):
            raise SourceDiffers(
                "the record came in before, and says something else now",
                field="source",
                advice="reverse the first one, and send the new one under an id of its own",
            )
        imported.duplicates += 1
        return
    if cost.missing:
        entity = employer_on(facts, cost.person_id, cost.incurred_on, field="")
        require_entity(entity)
        if cost.receipt_sha256 and cost.receipt_sha256 not in facts.receipts:
            raise ReceiptMissing("no receipt of this hash was uploaded", field="receipt_sha256")
        status = UnassignedExpenseStatus.UNASSIGNED
        imported.unassigned.append(
            UnassignedExpense(new_id(), 1, status, entity, cost, cost.missing)
        )
    else:
        entity, line = expense_facts.take(
            cost.claim(), facts, cost.person_id, line_id=new_id(), field=""
        )
        groups.setdefault((cost.person_id, entity, cost.title), []).append((index, line))
    known[cost.source] = cost


async def _judge(
    tx: AsyncConnection,
    imported: Imported,
    groups: Mapping[_Group, Sequence[tuple[int, ExpenseLine]]],
    people: Mapping[UUID, Person],
    facts: LineFacts,
    *,
    today: date,
    is_approved: bool,
) -> None:
    """Make reports of the lines; what was approved elsewhere has to pass the policies here."""
    drafts, places = [], {}
    for (person_id, entity, title), lines in groups.items():
        for start in range(0, len(lines), LINES_MAX):
            chunk = lines[start : start + LINES_MAX]
            places.update({line.expense_line_id: index for index, line in chunk})
            drafts.append(
                domain.new_report(
                    new_id(), people[person_id], title, entity, [line for _, line in chunk]
                )
            )
    for report in await expense_facts.judge(tx, drafts, facts.policies, on=today):
        passed = []
        for line in report.lines:
            try:
                if is_approved:
                    require_passable([line])
                passed.append(line)
            except Refusal as refusal:
                refusal.field = "justification"
                _refuse(imported, places[line.expense_line_id], refusal)
        if passed:
            imported.reports.append(replace(report, lines=tuple(passed)))


def _approved(report: ExpenseReport, *, by: str, at: datetime) -> ExpenseReport:
    """Return a report as it is born when it was approved elsewhere."""
    return replace(
        report,
        status=domain.ExpenseReportStatus.APPROVED,
        lines=tuple(replace(line, approved_at=at) for line in report.lines),
        submitted_by=by,
        submitted_at=at,
        decided_by=by,
        decided_at=at,
    )


async def _announce(
    tx: AsyncConnection,
    reports: Sequence[ExpenseReport],
    *,
    is_approved: bool,
    by: str,
    at: datetime,
) -> None:
    if is_approved:
        events = [ExpenseReportApproved(report, report.lines, by, at) for report in reports]
        await outbox.append(tx, map(wire.write_event, events))


async def _known(tx: AsyncConnection, sources: Sequence[Source]) -> dict[Source, ImportedCost]:
    """Return what came in before from these records, as far as a second one has to agree."""
    waiting = await unassigned_repository.of_sources(tx, sources)
    known = {source: expense.cost for source, expense in waiting.items()}
    for source, (person_id, line) in (await repository.of_sources(tx, sources)).items():
        known.setdefault(source, unassigned_domain.cost_of_line(person_id, line, source))
    return known


def _completed(cost: ImportedCost, assignment: Assignment) -> ImportedCost:
    return replace(
        cost,
        project_id=assignment.project_id or cost.project_id,
        contract_line_id=assignment.contract_line_id or cost.contract_line_id,
        net_amount=assignment.net_amount or cost.net_amount,
        tax_amount=cost.tax_amount if assignment.tax_amount is None else assignment.tax_amount,
        taxes=assignment.taxes or cost.taxes,
        billable=cost.billable if assignment.billable is None else assignment.billable,
        justification=assignment.justification or cost.justification,
    )


def _refuse(imported: Imported, index: int, refusal: Refusal) -> None:
    imported.refused.append(
        RowRefused(index, refusal.field or "", refusal.stable_code, refusal.message)
    )


def _halt(expense: UnassignedExpense) -> Halt:
    is_tax = expense.reason == TAX_MISSING
    return Halt(
        kind=UNASSIGNED,
        subject_id=expense.expense_id,
        reason=expense.reason,
        owner="finance" if is_tax else "pmo",
        advice=(
            "say how the receipt is taxed, and assign the cost"
            if is_tax
            else "name the project the cost belongs to, and assign it"
        ),
        legal_entity_id=expense.legal_entity_id,
        detail={"person_id": str(expense.cost.person_id)},
    )
