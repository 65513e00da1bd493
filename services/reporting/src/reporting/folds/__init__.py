"""Events become rows of the read models: one pure function for each kind of event."""

from reporting.folds.billing import (
    fold_billing_events,
    fold_charges,
    fold_retainer_period,
)
from reporting.folds.contract import fold_contract, fold_quote
from reporting.folds.invoice import (
    fold_allocation,
    fold_applied_credit,
    fold_continued_lines,
    fold_credit_note,
    fold_credited_items,
    fold_invoice,
    fold_items,
    fold_journal_entry,
    fold_payment,
)
from reporting.folds.project import (
    fold_acceptance,
    fold_expenses,
    fold_milestone,
    fold_project,
    fold_time,
)

__all__ = [
    "fold_acceptance",
    "fold_allocation",
    "fold_applied_credit",
    "fold_billing_events",
    "fold_charges",
    "fold_continued_lines",
    "fold_contract",
    "fold_credit_note",
    "fold_credited_items",
    "fold_expenses",
    "fold_invoice",
    "fold_items",
    "fold_journal_entry",
    "fold_milestone",
    "fold_payment",
    "fold_project",
    "fold_quote",
    "fold_retainer_period",
    "fold_time",
]
