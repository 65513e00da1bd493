"""Costs that came in without a project or without their tax: kept until somebody knows."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.expense_line import Claim, ExpenseLine, Tax
from project_provisioning.domain.time_entry import Source
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money

PROJECT_MISSING: Final = "expense.project_missing"
TAX_MISSING: Final = "expense.tax_missing"


class UnassignedExpenseStatus(StrEnum):
    """Where such a cost stands."""

    UNASSIGNED = "unassigned"
    ASSIGNED = "assigned"
    DISCARDED = "discarded"


class UnassignedExpenseNotFound(NotFound):
    """There is no such cost, or none the caller may see."""

    code = "unassigned_expense.not_found"


class UnassignedExpenseNotOpen(FailedPrecondition):
    """The cost was assigned or discarded before."""

    code = "unassigned_expense.not_open"


class UnassignedExpenseIncomplete(InvalidArgument):
    """The project or the tax is still missing."""

    code = "unassigned_expense.incomplete"


@dataclass(frozen=True, slots=True)
class ImportedCost:
    """A cost as another system has it; None is what nobody knows there."""

    person_id: UUID
    title: str
    project_id: UUID | None
    contract_line_id: UUID | None
    incurred_on: date
    category: str
    description: str
    net_amount: Money
    tax_amount: Money | None
    taxes: tuple[Tax, ...]
    billable: bool | None
    reimbursable: bool
    receipt_sha256: str
    justification: str
    source: Source

    @property
    def missing(self) -> str:
        """Which of the two is missing, the project first; empty when neither is."""
        if self.project_id is None:
            return PROJECT_MISSING
        return TAX_MISSING if self.tax_amount is None else ""

    def claim(self) -> Claim:
        """Return the cost as a claim.

        Raises:
            UnassignedExpenseIncomplete: the project or the tax is missing.
        """
        if self.project_id is None or self.tax_amount is None:
            field = "project_id" if self.project_id is None else "tax_amount"
            raise UnassignedExpenseIncomplete(
                f"{field} is still missing", field=field, advice="send it with the assignment"
            )
        return Claim(
            project_id=self.project_id,
            contract_line_id=self.contract_line_id,
            incurred_on=self.incurred_on,
            category=self.category,
            description=self.description,
            net_amount=self.net_amount,
            tax_amount=self.tax_amount,
            billable=self.billable,
            reimbursable=self.reimbursable,
            receipt_sha256=self.receipt_sha256,
            source=self.source,
            taxes=self.taxes,
            justification=self.justification,
        )

    def says(self, other: "ImportedCost") -> bool:
        """Whether another record of the same source says the same about the same person."""
        return (self.person_id, self.incurred_on, self.category, self.net_amount) == (
            other.person_id,
            other.incurred_on,
            other.category,
            other.net_amount,
        )


def cost_of_line(person_id: UUID, line: ExpenseLine, source: Source) -> ImportedCost:
    """Return a recorded line as the cost that came in, in the receipt's currency."""
    exchange = line.exchange
    return ImportedCost(
        person_id=person_id,
        title="",
        project_id=line.project_id,
        contract_line_id=line.contract_line_id,
        incurred_on=line.incurred_on,
        category=line.category,
        description=line.description,
        net_amount=exchange.net_amount if exchange else line.net_amount,
        tax_amount=exchange.tax_amount if exchange else line.tax_amount,
        taxes=line.taxes,
        billable=line.billable,
        reimbursable=line.reimbursable,
        receipt_sha256=line.receipt_sha256,
        justification=line.justification,
        source=source,
    )


@dataclass(frozen=True, slots=True)
class UnassignedExpense:
    """A cost that waits, or what became of it."""

    expense_id: UUID
    version: int
    status: UnassignedExpenseStatus
    legal_entity_id: UUID
    cost: ImportedCost
    reason: str
    expense_report_id: UUID | None = None
    decided_by: str = ""


def assign(expense: UnassignedExpense, report_id: UUID, *, by: str) -> UnassignedExpense:
    """Say that the cost became a line of a report.

    Raises:
        UnassignedExpenseNotOpen: it waits no more.
    """
    _require_open(expense)
    return replace(
        expense,
        version=expense.version + 1,
        status=UnassignedExpenseStatus.ASSIGNED,
        expense_report_id=report_id,
        decided_by=by,
    )


def discard(expense: UnassignedExpense, *, by: str) -> UnassignedExpense:
    """Say that the cost is none of the firm's.

    Raises:
        UnassignedExpenseNotOpen: it waits no more.
    """
    _require_open(expense)
    return replace(
        expense,
        version=expense.version + 1,
        status=UnassignedExpenseStatus.DISCARDED,
        decided_by=by,
    )


def _require_open(expense: UnassignedExpense) -> None:
    if expense.status is not UnassignedExpenseStatus.UNASSIGNED:
        raise UnassignedExpenseNotOpen(
            f"the cost is {expense.status}", advice="look at the report it is on, if any"
        )
