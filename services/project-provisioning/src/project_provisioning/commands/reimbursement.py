"""Paying people back."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.expense import OwnExpenses
from project_provisioning.domain.reimbursement import Reimbursement, check_paid
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import reimbursement as repository
from throughline_core.money import Money
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


async def record_reimbursement(
    tx: AsyncConnection,
    person_id: UUID,
    legal_entity_id: UUID,
    *,
    incurred_before: date,
    amount: Money,
    payment_reference: str,
    paid_on: date,
    by: str,
    at: datetime,
) -> Reimbursement:
    """Record that a person was paid what was open for receipts before a day.

    Raises:
        PersonNotFound, EntityForbidden, OwnExpenses, NothingOpen, AmountDiffers.
    """
    require_entity(legal_entity_id)
    person = await person_repository.get(tx, person_id)
    if by == person.subject:
        raise OwnExpenses(
            "these are the caller's own expenses", advice="ask somebody else to record the payment"
        )
    lines = await repository.open_lines(
        tx, person_id, legal_entity_id, amount.currency, incurred_before
    )
    gross = Money.total((Money(row.gross, amount.currency) for row in lines), amount.currency)
    check_paid(gross, len(lines), amount)
    reimbursement = Reimbursement(
        reimbursement_id=new_id(),
        person_id=person_id,
        legal_entity_id=legal_entity_id,
        amount=amount,
        line_count=len(lines),
        incurred_before=incurred_before,
        payment_reference=payment_reference,
        paid_on=paid_on,
        recorded_by=by,
        recorded_at=at,
    )
    await repository.add(tx, reimbursement, [row.expense_line_id for row in lines])
    return reimbursement
