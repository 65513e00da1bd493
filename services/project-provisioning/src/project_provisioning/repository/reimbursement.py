"""Payments to people as rows, and the lines they pay back."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.reimbursement import Reimbursement
from throughline_core.money import Money
from throughline_runtime import audit

_line, _report = tables.expense_line, tables.expense_report
_table = tables.reimbursement

OPEN = (
    _line.c.reimbursable.is_(True),
    _line.c.approved_at.is_not(None),
    _line.c.reimbursement_id.is_(None),
)
"""What makes a line one that is still to be paid back."""


async def open_lines(
    tx: AsyncConnection, person_id: UUID, legal_entity_id: UUID, currency: str, before: date
) -> list[Row[Any]]:
    """Return id and gross amount of a person's open lines, locked until the transaction ends."""
    query = (
        select(_line.c.expense_line_id, (_line.c.net_amount + _line.c.tax_amount).label("gross"))
        .join(_report, _report.c.expense_report_id == _line.c.expense_report_id)
        .where(
            *OPEN,
            _report.c.person_id == person_id,
            _report.c.legal_entity_id == legal_entity_id,
            _line.c.currency == currency,
            _line.c.incurred_on < before,
        )
        .order_by(_line.c.expense_line_id)
        .with_for_update(of=_line)
    )
    return list(await tx.execute(query))


async def add(tx: AsyncConnection, reimbursement: Reimbursement, line_ids: Sequence[UUID]) -> None:
    """Write a payment, and name it on the lines it pays back."""
    await tx.execute(
        insert(_table).values(
            reimbursement_id=reimbursement.reimbursement_id,
            person_id=reimbursement.person_id,
            legal_entity_id=reimbursement.legal_entity_id,
            amount=reimbursement.amount.amount,
            currency=reimbursement.amount.currency,
            line_count=reimbursement.line_count,
            incurred_before=reimbursement.incurred_before,
            payment_reference=reimbursement.payment_reference,
            paid_on=reimbursement.paid_on,
            recorded_by=reimbursement.recorded_by,
            recorded_at=reimbursement.recorded_at,
        )
    )
    await tx.execute(
        update(_line)
        .where(_line.c.expense_line_id.in_(line_ids))
        .values(reimbursement_id=reimbursement.reimbursement_id)
    )
    audit.touch(tx, reimbursement.reimbursement_id, reimbursement.person_id)


def reimbursement_from(row: Row[Any]) -> Reimbursement:
    """Return the payment a row holds."""
    return Reimbursement(
        reimbursement_id=row.reimbursement_id,
        person_id=row.person_id,
        legal_entity_id=row.legal_entity_id,
        amount=Money(row.amount, row.currency),
        line_count=row.line_count,
        incurred_before=row.incurred_before,
        payment_reference=row.payment_reference,
        paid_on=row.paid_on,
        recorded_by=row.recorded_by,
        recorded_at=row.recorded_at,
    )
