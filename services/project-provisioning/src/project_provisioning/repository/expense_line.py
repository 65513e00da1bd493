"""Expense lines as rows."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from project_provisioning.domain.exchange_rate import Conversion
from project_provisioning.domain.expense_line import Exchange, ExpenseLine, LineFinding, Tax
from project_provisioning.domain.time_entry import Source
from throughline_core.money import Money


def line_values(line: ExpenseLine) -> dict[str, Any]:
    """Return what a row holds of a line, but for its report and place."""
    source, exchange = line.source, line.exchange
    conversion = exchange.conversion if exchange else None
    return {
        "expense_line_id": line.expense_line_id,
        "project_id": line.project_id,
        "contract_id": line.contract_id,
        "contract_line_id": line.contract_line_id,
        "engagement_id": line.engagement_id,
        "incurred_on": line.incurred_on,
        "category": line.category,
        "description": line.description,
        "net_amount": line.net_amount.amount,
        "tax_amount": line.tax_amount.amount,
        "currency": line.net_amount.currency,
        "billable": line.billable,
        "reimbursable": line.reimbursable,
        "receipt_sha256": line.receipt_sha256 or None,
        "source_system": source.system if source else None,
        "source_object_type": source.object_type if source else None,
        "source_object_id": source.object_id if source else None,
        "receipt_net_amount": exchange.net_amount.amount if exchange else None,
        "receipt_tax_amount": exchange.tax_amount.amount if exchange else None,
        "receipt_currency": exchange.net_amount.currency if exchange else None,
        "exchange_rate": conversion.rate if conversion else None,
        "exchange_rate_source": conversion.source if conversion else None,
        "exchange_rate_on": conversion.rate_on if conversion else None,
        "taxes": taxes_to(line.taxes),
        "justification": line.justification,
        "reverses_expense_line_id": line.reverses_expense_line_id,
        "reversal_reason": line.reversal_reason,
        "approved_at": line.approved_at,
        "reimbursement_id": line.reimbursement_id,
    }


def line_from(row: Row[Any], findings: Iterable[LineFinding]) -> ExpenseLine:
    """Return the line a row holds."""
    exchange = None
    if row.receipt_currency is not None:
        exchange = Exchange(
            Money(row.receipt_net_amount, row.receipt_currency),
            Money(row.receipt_tax_amount, row.receipt_currency),
            Conversion(row.exchange_rate, row.exchange_rate_source, row.exchange_rate_on),
        )
    return ExpenseLine(
        expense_line_id=row.expense_line_id,
        project_id=row.project_id,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        engagement_id=row.engagement_id,
        incurred_on=row.incurred_on,
        category=row.category,
        description=row.description,
        net_amount=Money(row.net_amount, row.currency),
        tax_amount=Money(row.tax_amount, row.currency),
        billable=row.billable,
        reimbursable=row.reimbursable,
        receipt_sha256=row.receipt_sha256 or "",
        source=(
            None
            if row.source_system is None
            else Source(row.source_system, row.source_object_type, row.source_object_id)
        ),
        exchange=exchange,
        taxes=taxes_from(row.taxes, row.receipt_currency or row.currency),
        justification=row.justification,
        findings=tuple(findings),
        reverses_expense_line_id=row.reverses_expense_line_id,
        reversal_reason=row.reversal_reason,
        approved_at=row.approved_at,
        reimbursement_id=row.reimbursement_id,
    )


def taxes_to(taxes: Sequence[Tax]) -> list[Mapping[str, str]]:
    """Return taxes as they are stored: decimals as text, in the currency of the receipt."""
    return [
        {
            "rate_percent": str(tax.rate_percent),
            "net_amount": str(tax.net_amount.amount),
            "tax_amount": str(tax.tax_amount.amount),
        }
        for tax in taxes
    ]


def taxes_from(stored: Sequence[Mapping[str, str]], currency: str) -> tuple[Tax, ...]:
    """Return taxes as they are stored."""
    return tuple(
        Tax(
            Decimal(tax["rate_percent"]),
            Money(Decimal(tax["net_amount"]), currency),
            Money(Decimal(tax["tax_amount"]), currency),
        )
        for tax in stored
    )
