"""Expense lines: one receipt's worth of cost, in the currency of who bears it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from project_provisioning.domain import lock
from project_provisioning.domain.employment import Employments, NotEmployed, employment_on
from project_provisioning.domain.exchange_rate import Conversion, RateTable
from project_provisioning.domain.expense_policy import NO_POLICY, ExpensePolicy
from project_provisioning.domain.legal_entity import LegalEntity, LegalEntityUnknown
from project_provisioning.domain.project import (
    Project,
    ProjectLine,
    ProjectNotFound,
    ProjectStatus,
)
from project_provisioning.domain.rule_set import RuleBook, Severity
from project_provisioning.domain.template import BillingModel
from project_provisioning.domain.time_entry import Source
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money


class LineNotFound(NotFound):
    """There is no such line, or none the caller may see."""

    code = "expense_line.not_found"


class AmountInvalid(InvalidArgument):
    """The cost is not above zero, the tax is below it, or they are in two currencies."""

    code = "expense_line.amount_invalid"


class TaxInvalid(InvalidArgument):
    """The taxes by rate do not sum to the line."""

    code = "expense_line.tax_invalid"


class LineNotBillable(FailedPrecondition):
    """The contract has no line to pass expenses through."""

    code = "expense_line.not_billable"


class ContractLineUnknown(InvalidArgument):
    """The project's contract has no such pass-through line."""

    code = "expense_line.contract_line_unknown"


class ContractLineUnclear(InvalidArgument):
    """The contract has several pass-through lines, and none was named."""

    code = "expense_line.contract_line_unclear"


class ReceiptMissing(FailedPrecondition):
    """No receipt of this hash was uploaded."""

    code = "expense_line.receipt_missing"


class SourceExists(AlreadyExists):
    """The cost came in before, from the same record of the other system."""

    code = "expense_line.source_exists"


class SourceDiffers(AlreadyExists):
    """The record came in before, and says something else now."""

    code = "expense_line.source_differs"


class WorkEnded(FailedPrecondition):
    """The project is closed, or it or the contract line takes no costs of that day any more."""

    code = "expense_line.work_ended"


class RateMissing(FailedPrecondition):
    """No exchange rate is recorded for the receipt's day, or shortly before it."""

    code = "expense_line.exchange_rate_missing"


class EntityDiffers(InvalidArgument):
    """Another company employed the person on that day than on the report's other days."""

    code = "expense_line.entity_differs"


@dataclass(frozen=True, slots=True)
class Tax:
    """Tax of one rate on a receipt, in its currency."""

    rate_percent: Decimal
    net_amount: Money
    tax_amount: Money


@dataclass(frozen=True, slots=True)
class Claim:
    """A cost as it was sent, in the receipt's currency; None where the usual case decides."""

    project_id: UUID
    contract_line_id: UUID | None
    incurred_on: date
    category: str
    description: str
    net_amount: Money
    tax_amount: Money
    billable: bool | None
    reimbursable: bool
    receipt_sha256: str
    source: Source | None
    taxes: tuple[Tax, ...] = ()
    justification: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the receipt said, and how it became a cost of the employer."""

    net_amount: Money
    tax_amount: Money
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What a policy says against a line; `excepted_by` of finance let it pass all the same."""

    rule: str
    severity: Severity
    explanation: str
    excepted_by: str = ""
    excepted_at: datetime | None = None
    exception_reason: str = ""


@dataclass(frozen=True, slots=True)
class ExpenseLine:
    """One receipt's worth of cost; billed under `contract_line_id` when billable.

    Amounts are the employer's currency; `exchange` is None where the receipt is in it as well.
    """

    expense_line_id: UUID
    project_id: UUID
    contract_id: UUID
    contract_line_id: UUID | None
    engagement_id: UUID
    incurred_on: date
    category: str
    description: str
    net_amount: Money
    tax_amount: Money
    billable: bool
    reimbursable: bool
    receipt_sha256: str
    source: Source | None
    exchange: Exchange | None = None
    taxes: tuple[Tax, ...] = ()
    justification: str = ""
    findings: tuple[LineFinding, ...] = ()
    reverses_expense_line_id: UUID | None = None
    reversal_reason: str = ""
    approved_at: datetime | None = None
    reimbursement_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class LineFacts:
    """What is known of all costs of a request: one load, however many lines.

    `employments` are by person; `open_from` are the first open days of companies that lock.
    """

    projects: Mapping[UUID, Project]
    receipts: frozenset[str]
    employments: Mapping[UUID, Employments]
    entities: Mapping[UUID, LegalEntity]
    rates: RateTable
    policies: RuleBook[ExpensePolicy]
    open_from: Mapping[UUID, date]

    def policy(self, legal_entity_id: UUID, day: date) -> ExpensePolicy:
        """Return the firm's policy that holds for a company's people on a day."""
        found = self.policies.in_force(legal_entity_id, day)
        return NO_POLICY if found is None else found.rules


def employer_on(facts: LineFacts, person_id: UUID, day: date, *, field: str) -> UUID:
    """Return the company that bears a person's cost of a day.

    Raises:
        NotEmployed: nobody employs the person then.
        PeriodLocked: the day is locked for the company.
    """
    stretch = employment_on(facts.employments.get(person_id, ()), day)
    if stretch is None:
        raise NotEmployed(
            f"nobody employs the person on {day}",
            field=f"{field}incurred_on",
            advice="check the day of the receipt, and the person's employment",
        )
    entity = stretch.legal_entity_id
    lock.require_open(facts.open_from, [(entity, day)], field=f"{field}incurred_on")
    return entity


def claim_line(
    claim: Claim, facts: LineFacts, *, legal_entity_id: UUID, line_id: UUID, field: str
) -> ExpenseLine:
    """Return the line for a cost that `legal_entity_id` bears; `field` ends in a point.

    Raises:
        ProjectNotFound, AmountInvalid, TaxInvalid, LineNotBillable, ContractLineUnknown,
        ContractLineUnclear, WorkEnded, ReceiptMissing, LegalEntityUnknown, RateMissing.
    """
    project = facts.projects.get(claim.project_id)
    if project is None:
        raise ProjectNotFound(f"no project {claim.project_id}", field=f"{field}project_id")
    _require_at_work(project, claim.incurred_on, field)
    _check_amounts(claim, field)
    _check_taxes(claim, field)
    if claim.receipt_sha256 and claim.receipt_sha256 not in facts.receipts:
        raise ReceiptMissing(
            "no receipt of this hash was uploaded",
            field=f"{field}receipt_sha256",
            advice="upload the receipt first and send the hash it got",
        )
    passing = [line for line in project.lines if line.billing_model is BillingModel.PASS_THROUGH]
    billable = bool(passing) if claim.billable is None else claim.billable
    line = ExpenseLine(
        expense_line_id=line_id,
        project_id=project.project_id,
        contract_id=project.contract_id,
        contract_line_id=_billed_under(claim, passing, field) if billable else None,
        engagement_id=project.engagement_id,
        incurred_on=claim.incurred_on,
        category=claim.category,
        description=claim.description,
        net_amount=claim.net_amount,
        tax_amount=claim.tax_amount,
        billable=billable,
        reimbursable=claim.reimbursable,
        receipt_sha256=claim.receipt_sha256,
        source=claim.source,
        taxes=claim.taxes,
        justification=claim.justification,
    )
    return _converted(line, facts, legal_entity_id, field)


def negated(line: ExpenseLine, *, line_id: UUID, reason: str, at: datetime) -> ExpenseLine:
    """Return the line that takes another one back: its amounts with the other sign."""
    exchange = line.exchange
    return replace(
        line,
        expense_line_id=line_id,
        net_amount=-line.net_amount,
        tax_amount=-line.tax_amount,
        exchange=exchange
        and replace(exchange, net_amount=-exchange.net_amount, tax_amount=-exchange.tax_amount),
        taxes=tuple(
            replace(tax, net_amount=-tax.net_amount, tax_amount=-tax.tax_amount)
            for tax in line.taxes
        ),
        source=None,
        findings=(),
        reverses_expense_line_id=line.expense_line_id,
        reversal_reason=reason,
        approved_at=at,
        reimbursement_id=None,
    )


def _converted(
    line: ExpenseLine, facts: LineFacts, legal_entity_id: UUID, field: str
) -> ExpenseLine:
    entity = facts.entities.get(legal_entity_id)
    if entity is None:
        raise LegalEntityUnknown(
            f"the currency of legal entity {legal_entity_id} is not known here yet",
            advice="try again in a moment; if it lasts, see that the legal entity is recorded",
        )
    receipt, currency = line.net_amount.currency, entity.currency
    if receipt == currency:
        return line
    policy = facts.policy(legal_entity_id, line.incurred_on)
    found = facts.rates.find(
        receipt,
        currency,
        line.incurred_on,
        source=policy.exchange_rate_source,
        days_max=policy.exchange_rate_days_max,
    )
    if found is None:
        raise RateMissing(
            f"no rate from {receipt} to {currency} is recorded for {line.incurred_on}",
            field=f"{field}net_amount.currency",
            advice="ask finance to record the exchange rates of that day, then send it again",
        )
    net = found.convert(line.net_amount, currency)
    if net.is_zero:
        raise AmountInvalid(
            f"{line.net_amount} is less than a cent in {currency}",
            field=f"{field}net_amount.amount",
            advice="check the currency of the receipt",
        )
    return replace(
        line,
        net_amount=net,
        tax_amount=found.convert(line.tax_amount, currency),
        exchange=Exchange(line.net_amount, line.tax_amount, found),
    )


def _check_amounts(claim: Claim, field: str) -> None:
    if claim.net_amount.currency != claim.tax_amount.currency:
        raise AmountInvalid(
            "cost and tax are in two currencies",
            field=f"{field}tax_amount.currency",
            advice="send both in the currency of the receipt",
        )
    if claim.net_amount.amount <= 0 or claim.tax_amount.amount < 0:
        raise AmountInvalid(
            "the cost is not above zero, or the tax is below it",
            field=f"{field}net_amount.amount",
            advice="send the amounts of the receipt",
        )


def _check_taxes(claim: Claim, field: str) -> None:
    if not claim.taxes:
        return
    currency = claim.net_amount.currency
    amounts = [amount for tax in claim.taxes for amount in (tax.net_amount, tax.tax_amount)]
    rates = [tax.rate_percent for tax in claim.taxes]
    right = (
        all(amount.currency == currency and amount.amount >= 0 for amount in amounts)
        and Money.total((tax.net_amount for tax in claim.taxes), currency) == claim.net_amount
        and Money.total((tax.tax_amount for tax in claim.taxes), currency) == claim.tax_amount
        and len(set(rates)) == len(rates)
    )
    if not right:
        raise TaxInvalid(
            "the taxes by rate do not sum to the line's cost and tax, each rate once",
            field=f"{field}taxes",
            advice="send base and tax of each rate as the receipt has them",
        )


def _billed_under(claim: Claim, passing: list[ProjectLine], field: str) -> UUID:
    if not passing:
        raise LineNotBillable(
            "the contract has no line to pass expenses through",
            field=f"{field}billable",
            advice="send the line as not billable",
        )
    ids = [line.contract_line_id for line in passing]
    if claim.contract_line_id is not None and claim.contract_line_id not in ids:
        raise ContractLineUnknown(
            "the project's contract has no such pass-through line",
            field=f"{field}contract_line_id",
            advice="name one of the contract's pass-through lines, or none",
        )
    going = [line for line in passing if not _has_ended(line, claim.incurred_on)]
    named = [line for line in going if claim.contract_line_id in (None, line.contract_line_id)]
    if not named:
        raise WorkEnded(
            f"the contract's line for expenses ended before {claim.incurred_on}",
            field=f"{field}contract_line_id",
            advice="check the day of the receipt, or send the line as not billable",
        )
    if len(named) > 1:
        raise ContractLineUnclear(
            "the contract has several pass-through lines",
            field=f"{field}contract_line_id",
            advice="name the line the cost is billed under",
        )
    return named[0].contract_line_id


def _has_ended(line: ProjectLine, day: date) -> bool:
    return line.ended_on is not None and day >= line.ended_on


def _require_at_work(project: Project, day: date, field: str) -> None:
    if project.status is ProjectStatus.CLOSED:
        raise WorkEnded(
            f"project {project.number} is closed",
            field=f"{field}project_id",
            advice="choose the project the cost belongs to, or ask the PMO",
        )
    if project.work_ends_on is not None and day >= project.work_ends_on:
        raise WorkEnded(
            f"project {project.number} takes no costs from {project.work_ends_on} on",
            field=f"{field}incurred_on",
            advice="check the day of the receipt, or choose another project",
        )
