"""Every published fact becomes rows of the read models."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from reporting import bulk, folds
from reporting.domain import Rows
from throughline.billing_event.events.v1 import billing_event_events_pb2 as billing
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as projects
from throughline_runtime.subscription import Subscription

Event = TypeVar("Event", bound=Message)
Fold = Callable[[Rows, Any], None]


def _taking(fold: Fold) -> Callable[[AsyncConnection, Sequence[Any]], Awaitable[None]]:
    """Return the function of a subscription that folds each event and saves once."""

    async def take(tx: AsyncConnection, events: Sequence[Any]) -> None:
        rows = Rows()
        for event in events:
            fold(rows, event)
        await bulk.save(tx, rows)

    return take


def _subscription(name: str, message: type[Event], fold: Fold) -> Subscription[Event]:
    return Subscription(f"reporting-{name}", message, _taking(fold))


SUBSCRIPTIONS: Final[Sequence[Subscription[Any]]] = (
    _subscription(
        "take-quotes",
        contracts.QuoteApproved,
        lambda rows, event: folds.fold_quote(rows, event.quote),
    ),
    _subscription(
        "take-contracts",
        contracts.ContractActivated,
        lambda rows, event: folds.fold_contract(rows, event.contract),
    ),
    _subscription(
        "take-limits",
        contracts.ContractLimitChanged,
        lambda rows, event: folds.fold_contract(rows, event.contract),
    ),
    _subscription(
        "take-amendments",
        contracts.ContractAmended,
        lambda rows, event: folds.fold_contract(rows, event.contract),
    ),
    _subscription(
        "take-terminations",
        contracts.ContractTerminated,
        lambda rows, event: folds.fold_contract(rows, event.contract),
    ),
    _subscription(
        "take-completions",
        contracts.ContractCompleted,
        lambda rows, event: folds.fold_contract(rows, event.contract),
    ),
    _subscription(
        "take-projects",
        projects.ProjectActivated,
        lambda rows, event: folds.fold_project(rows, event.project),
    ),
    _subscription(
        "take-changed-projects",
        projects.ProjectChanged,
        lambda rows, event: folds.fold_project(rows, event.project),
    ),
    _subscription(
        "take-withdrawn-acceptances",
        projects.MilestoneAcceptanceWithdrawn,
        folds.fold_acceptance,
    ),
    _subscription(
        "take-completed-milestones",
        projects.MilestoneCompleted,
        lambda rows, event: folds.fold_milestone(rows, event.milestone),
    ),
    _subscription(
        "take-accepted-milestones",
        projects.MilestoneAccepted,
        folds.fold_acceptance,
    ),
    _subscription(
        "take-rejected-milestones",
        projects.MilestoneRejected,
        lambda rows, event: folds.fold_milestone(rows, event.milestone),
    ),
    _subscription(
        "take-time",
        projects.TimeApproved,
        lambda rows, event: folds.fold_time(rows, event.entries),
    ),
    _subscription(
        "take-expenses",
        projects.ExpenseReportApproved,
        lambda rows, event: folds.fold_expenses(rows, event.lines),
    ),
    _subscription(
        "take-rated",
        billing.BillingEventsRated,
        lambda rows, event: folds.fold_billing_events(rows, event.billing_events),
    ),
    _subscription(
        "take-changed",
        billing.BillingEventsChanged,
        lambda rows, event: folds.fold_billing_events(rows, event.billing_events),
    ),
    _subscription(
        "take-released",
        billing.BillingEventsReleased,
        lambda rows, event: folds.fold_billing_events(rows, event.billing_events),
    ),
    _subscription(
        "take-written-off",
        billing.BillingEventsWrittenOff,
        lambda rows, event: folds.fold_billing_events(rows, event.billing_events),
    ),
    _subscription(
        "take-charges",
        billing.IntercompanyChargesRated,
        lambda rows, event: folds.fold_charges(rows, event.charges),
    ),
    _subscription(
        "take-retainers",
        billing.RetainerPeriodChanged,
        lambda rows, event: folds.fold_retainer_period(rows, event.retainer_period),
    ),
    _subscription("take-credits", invoices.InvoiceCredited, folds.fold_credit_note),
    _subscription(
        "take-credited-items",
        invoices.InvoiceItemsCredited,
        lambda rows, event: folds.fold_credited_items(rows, event.items),
    ),
    _subscription("take-applied-credits", invoices.CreditApplied, folds.fold_applied_credit),
    _subscription(
        "take-invoices",
        invoices.InvoiceIssued,
        lambda rows, event: folds.fold_invoice(rows, event.invoice),
    ),
    _subscription(
        "take-continued-lines", invoices.InvoiceLinesContinued, folds.fold_continued_lines
    ),
    _subscription(
        "take-billed-items",
        invoices.InvoiceItemsBilled,
        lambda rows, event: folds.fold_items(rows, event.items),
    ),
    _subscription(
        "take-payments",
        invoices.PaymentReceived,
        lambda rows, event: folds.fold_payment(rows, event.payment),
    ),
    _subscription(
        "take-settlements",
        invoices.InvoiceSettled,
        lambda rows, event: folds.fold_allocation(rows, event.allocation),
    ),
    _subscription(
        "take-journal",
        invoices.JournalPosted,
        lambda rows, event: folds.fold_journal_entry(rows, event.journal_entry),
    ),
)
