"""Costs without project or tax as rows."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.time_entry import Source
from project_provisioning.domain.unassigned_expense import (
    ImportedCost,
    UnassignedExpense,
    UnassignedExpenseNotFound,
    UnassignedExpenseStatus,
)
from project_provisioning.repository.expense_line import taxes_from, taxes_to
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.database import Contended

_table = tables.unassigned_expense
_SOURCE = (_table.c.source_system, _table.c.source_object_type, _table.c.source_object_id)


async def add_all(tx: AsyncConnection, expenses: Sequence[UnassignedExpense]) -> None:
    """Write new costs in one statement.

    Raises:
        Contended: another writer brought one of them in since they were looked for.
    """
    if not expenses:
        return
    rows = sorted(map(_values, expenses), key=lambda row: row["source_object_id"])
    statement = insert(_table).values(rows).on_conflict_do_nothing()
    written = (await tx.execute(statement.returning(_table.c.expense_id))).all()
    if len(written) != len(rows):
        raise Contended("others bring in the same costs", advice="try again")
    audit.touch(tx, *(each.expense_id for each in expenses))


async def get(tx: AsyncConnection, expense_id: UUID) -> UnassignedExpense:
    """Return a cost, locked until the transaction ends.

    Raises:
        UnassignedExpenseNotFound: there is none.
    """
    query = select(_table).where(_table.c.expense_id == expense_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise UnassignedExpenseNotFound(f"no such cost {expense_id}", field="expense_id")
    return expense_from(row)


async def of_sources(
    tx: AsyncConnection, sources: Collection[Source]
) -> Mapping[Source, UnassignedExpense]:
    """Return costs that came in from these records, whatever became of them: one query."""
    query = select(_table).where(tuple_(*_SOURCE).in_(sources))
    found = [expense_from(row) for row in await tx.execute(query)]
    return {expense.cost.source: expense for expense in found}


async def save(tx: AsyncConnection, expense: UnassignedExpense) -> None:
    """Write what became of a cost.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    written = await tx.execute(
        update(_table)
        .where(_table.c.expense_id == expense.expense_id)
        .where(_table.c.version == expense.version - 1)
        .values(
            version=expense.version,
            status=expense.status,
            expense_report_id=expense.expense_report_id,
            decided_by=expense.decided_by or None,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"expense {expense.expense_id} is not at {expense.version - 1}")
    audit.touch(tx, expense.expense_id)


def expense_from(row: Row[Any]) -> UnassignedExpense:
    """Return the cost a row holds."""
    tax = row.tax_amount
    cost = ImportedCost(
        person_id=row.person_id,
        title=row.title,
        project_id=row.project_id,
        contract_line_id=row.contract_line_id,
        incurred_on=row.incurred_on,
        category=row.category,
        description=row.description,
        net_amount=Money(row.net_amount, row.currency),
        tax_amount=None if tax is None else Money(tax, row.currency),
        taxes=taxes_from(row.taxes, row.currency),
        billable=row.billable,
        reimbursable=row.reimbursable,
        receipt_sha256=row.receipt_sha256 or "",
        justification=row.justification,
        source=Source(row.source_system, row.source_object_type, row.source_object_id),
    )
    return UnassignedExpense(
        expense_id=row.expense_id,
        version=row.version,
        status=UnassignedExpenseStatus(row.status),
        legal_entity_id=row.legal_entity_id,
        cost=cost,
        reason=row.reason,
        expense_report_id=row.expense_report_id,
        decided_by=row.decided_by or "",
    )


def _values(expense: UnassignedExpense) -> dict[str, Any]:
    cost = expense.cost
    return {
        "expense_id": expense.expense_id,
        "version": expense.version,
        "status": expense.status,
        "person_id": cost.person_id,
        "legal_entity_id": expense.legal_entity_id,
        "title": cost.title,
        "project_id": cost.project_id,
        "contract_line_id": cost.contract_line_id,
        "incurred_on": cost.incurred_on,
        "category": cost.category,
        "description": cost.description,
        "net_amount": cost.net_amount.amount,
        "tax_amount": None if cost.tax_amount is None else cost.tax_amount.amount,
        "currency": cost.net_amount.currency,
        "taxes": taxes_to(cost.taxes),
        "billable": cost.billable,
        "reimbursable": cost.reimbursable,
        "receipt_sha256": cost.receipt_sha256 or None,
        "justification": cost.justification,
        "source_system": cost.source.system,
        "source_object_type": cost.source.object_type,
        "source_object_id": cost.source.object_id,
        "reason": expense.reason,
        "expense_report_id": expense.expense_report_id,
        "decided_by": expense.decided_by or None,
    }
