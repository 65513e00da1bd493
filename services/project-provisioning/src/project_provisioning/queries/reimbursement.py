"""What people are to be paid back, what they were, and costs that wait for project or tax."""

from datetime import date
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.person import Sight
from project_provisioning.domain.reimbursement import Reimbursable, Reimbursement
from project_provisioning.domain.unassigned_expense import (
    UnassignedExpense,
    UnassignedExpenseStatus,
)
from project_provisioning.queries.paging import after, by_id, cut, own, within
from project_provisioning.repository.reimbursement import OPEN, reimbursement_from
from project_provisioning.repository.unassigned_expense import expense_from
from throughline_core.money import Money
from throughline_runtime.fields import read_uuid
from throughline_runtime.page import Page, next_token

_line, _report, _person = tables.expense_line, tables.expense_report, tables.person
_paid, _waiting = tables.reimbursement, tables.unassigned_expense
_KEY = (_report.c.person_id, _report.c.legal_entity_id, _line.c.currency)


async def reimbursables(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    legal_entity_id: UUID | None,
    incurred_before: date | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Reimbursable], str]:
    """Return what is open by person, company and currency, and the next page's token."""
    query = (
        select(
            *_KEY,
            _person.c.name,
            func.sum(_line.c.net_amount + _line.c.tax_amount).label("gross"),
            func.count().label("lines"),
            func.min(_line.c.incurred_on).label("first_on"),
            func.max(_line.c.incurred_on).label("last_on"),
        )
        .join(_report, _report.c.expense_report_id == _line.c.expense_report_id)
        .join(_person, _person.c.person_id == _report.c.person_id)
        .where(*OPEN)
        .group_by(*_KEY, _person.c.name)
    )
    query = own(within(query, _report.c.legal_entity_id, sight), sight)
    if person_id is not None:
        query = query.where(_report.c.person_id == person_id)
    if legal_entity_id is not None:
        query = query.where(_report.c.legal_entity_id == legal_entity_id)
    if incurred_before is not None:
        query = query.where(_line.c.incurred_on < incurred_before)
    if page.after is not None:
        person, entity, currency = page.after
        last = (read_uuid("page_token", person), read_uuid("page_token", entity), currency)
        query = query.where(tuple_(*_KEY) > tuple_(*last))
    rows = (await tx.execute(query.order_by(*_KEY).limit(page.size + 1))).all()
    kept, token = rows[: page.size], ""
    if len(rows) > page.size:
        token = next_token(*(getattr(kept[-1], column.name) for column in _KEY))
    return [
        Reimbursable(
            person_id=row.person_id,
            person_name=row.name,
            legal_entity_id=row.legal_entity_id,
            amount=Money(row.gross, row.currency),
            line_count=row.lines,
            first_on=row.first_on,
            last_on=row.last_on,
        )
        for row in kept
    ], token


async def reimbursements(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    legal_entity_id: UUID | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Reimbursement], str]:
    """Return payments, latest first, and the next page's token."""
    query = select(_paid).join(_person, _person.c.person_id == _paid.c.person_id)
    query = own(within(query, _paid.c.legal_entity_id, sight), sight)
    if person_id is not None:
        query = query.where(_paid.c.person_id == person_id)
    if legal_entity_id is not None:
        query = query.where(_paid.c.legal_entity_id == legal_entity_id)
    if page.after is not None:
        query = query.where(_paid.c.reimbursement_id < after(page))
    query = query.order_by(_paid.c.reimbursement_id.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.reimbursement_id)
    return list(map(reimbursement_from, kept)), token


async def unassigned_expenses(
    tx: AsyncConnection,
    *,
    status: UnassignedExpenseStatus,
    person_id: UUID | None,
    sight: Sight,
    page: Page,
) -> tuple[list[UnassignedExpense], str]:
    """Return costs without project or tax, oldest first, and the next page's token."""
    query = within(select(_waiting), _waiting.c.legal_entity_id, sight)
    query = query.where(_waiting.c.status == status)
    if person_id is not None:
        query = query.where(_waiting.c.person_id == person_id)
    rows = (await tx.execute(by_id(query, _waiting.c.expense_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.expense_id)
    return list(map(expense_from, kept)), token
