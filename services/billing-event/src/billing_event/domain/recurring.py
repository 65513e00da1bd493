"""The billing calendar of recurring lines: which months are charged, how much, and when."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from billing_event.domain.terms import BillingModel, ContractTerms, LineTerms
from throughline_core.errors import InvalidArgument
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.period import Period, months_of, prorate

RecurringPeriodId = NewType("RecurringPeriodId", UUID)

DAYS_AHEAD_MAX: Final = 31


@dataclass(frozen=True, slots=True)
class RecurringPeriod:
    """One billing month of a recurring line, or the part of it inside the line's term."""

    recurring_period_id: RecurringPeriodId
    contract_id: ContractId
    contract_line_id: ContractLineId
    contract_version: int
    engagement_id: UUID
    legal_entity_id: LegalEntityId
    service: Period
    due_on: date
    amount: Money
    description: str
    explanation: str


class TooFarAhead(InvalidArgument):
    """Charges are not made for a day that lies more than a month ahead."""

    code = "recurring.too_far_ahead"


def require_near(through: date, *, today: date) -> None:
    """Check that charges up to `through` may be made today.

    Raises:
        TooFarAhead: it is more than 31 days away.
    """
    if through > today + timedelta(days=DAYS_AHEAD_MAX):
        raise TooFarAhead(
            f"{through} is more than {DAYS_AHEAD_MAX} days after {today}",
            field="through_date",
            advice="name a day of this month end; later periods are charged when they fall due",
        )


def plan(terms: ContractTerms) -> list[RecurringPeriod]:
    """Return the months of all recurring lines of the terms, in order of service for each line."""
    return [
        _period(terms, line, part, whole)
        for line in terms.lines.values()
        if line.billing_model is BillingModel.RECURRING
        for part, whole in months_of(line.term, anchor_day=line.anchor_day)
    ]


def _period(terms: ContractTerms, line: LineTerms, part: Period, whole: Period) -> RecurringPeriod:
    amount, explanation = line.unit_price, f"agreed price of a month: {line.unit_price}"
    if part != whole:
        amount = (line.unit_price * prorate(part, whole)).rounded()
        explanation = f"{part.days} of {whole.days} days of {line.unit_price} a month"
    last_day = part.end - timedelta(days=1)
    return RecurringPeriod(
        # Named by the whole month, so that a term that grows or shrinks charges it only once.
        _period_id(terms.contract_id, line.contract_line_id, whole),
        terms.contract_id,
        line.contract_line_id,
        terms.contract_version,
        terms.engagement_id,
        terms.legal_entity_id,
        part,
        part.start if line.in_advance else last_day,
        amount,
        f"{line.description}, {part.start} to {last_day}",
        explanation,
    )


def _period_id(
    contract_id: ContractId, contract_line_id: ContractLineId, month: Period
) -> RecurringPeriodId:
    return RecurringPeriodId(
        derived_id("recurring_period", contract_id, contract_line_id, month.start)
    )


def source_item_of(period: RecurringPeriod) -> SourceItem:
    """Return the thing that is billed when a period is due; nobody had to approve it."""
    return SourceItem(
        source_item_id=SourceItemId(period.recurring_period_id),
        type=ItemType.RECURRING,
        contract_id=period.contract_id,
        contract_line_id=period.contract_line_id,
        engagement_id=period.engagement_id,
        project_id=None,
        task_id=None,
        person_id=None,
        person_name="",
        delivering_entity_id=period.legal_entity_id,
        role="",
        level="",
        region="",
        description=period.description,
        service_from=period.service.start,
        service_to=period.service.end,
        minutes=0,
        price=period.amount,
        price_basis=period.explanation,
        is_billable=True,
        is_accepted=True,
        refusal="",
        approved_by="",
        source=None,
    )
