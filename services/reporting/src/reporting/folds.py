"""Events become rows of the read models: one pure function for each kind of event."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Final

from reporting.domain import ContractLine, Kind, Link, Node, Rows, source_record_id
from throughline.billing_event.v1 import billing_event_pb2 as billing
from throughline.common.v1 import source_pb2
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as events_pb2
from throughline.invoice_payment.v1 import invoice_pb2, payment_pb2
from throughline.project_provisioning.v1 import project_pb2, work_pb2

_LABEL_LENGTH_MAX: Final = 160
_SOURCE_KINDS: Final = {
    billing.BILLING_EVENT_TYPE_TIME: Kind.TIME_ENTRY,
    billing.BILLING_EVENT_TYPE_EXPENSE: Kind.EXPENSE_LINE,
    billing.BILLING_EVENT_TYPE_MILESTONE: Kind.MILESTONE,
    billing.BILLING_EVENT_TYPE_RECURRING: Kind.SERVICE_PERIOD,
}
_JOURNAL_PARENTS: Final = {
    "invoice": Kind.INVOICE,
    "payment": Kind.PAYMENT,
    "payment_allocation": Kind.PAYMENT_ALLOCATION,
}


def fold_quote(rows: Rows, quote: quote_pb2.Quote) -> None:
    """An approved quote puts its lines on the chain, and the records they came from."""
    for line in quote.lines:
        _add_source(rows, line, Kind.QUOTE_LINE, line.quote_line_id)
        rows.nodes.append(
            Node(
                kind=Kind.QUOTE_LINE,
                object_id=line.quote_line_id,
                label=_label(f"{quote.number} line {line.position}: {line.description}"),
                version=quote.quote_version,
                amount=Decimal(line.net_total.amount),
                currency=line.net_total.currency,
                happened_on=_day(quote.start_on),
                legal_entity_id=quote.legal_entity_id or None,
            )
        )


def fold_contract(rows: Rows, contract: contract_pb2.Contract) -> None:
    """A contract's lines follow from quote lines and have positions from now on."""
    for line in contract.lines:
        terms = line.terms
        rows.links.append(
            Link(Kind.QUOTE_LINE, terms.quote_line_id, Kind.CONTRACT_LINE, line.contract_line_id)
        )
        rows.nodes.append(
            Node(
                kind=Kind.CONTRACT_LINE,
                object_id=line.contract_line_id,
                label=_label(f"{contract.number} line {terms.position}: {terms.description}"),
                version=contract.version,
                state=str(contract.contract_version),
                amount=Decimal(terms.net_total.amount),
                currency=terms.net_total.currency,
                happened_on=_day(contract.activated_on or contract.start_on),
                contract_line_id=line.contract_line_id,
                legal_entity_id=contract.legal_entity_id,
            )
        )
        rows.contract_lines.append(
            ContractLine(
                contract_line_id=line.contract_line_id,
                contract_id=contract.contract_id,
                version=contract.version,
                contract_number=contract.number,
                quote_line_id=terms.quote_line_id,
                legal_entity_id=contract.legal_entity_id,
                customer_id=contract.customer_id,
                line_position=terms.position,
                description=terms.description,
                billing_model=_billing_model(terms.billing_model),
                currency=contract.currency,
                contracted=Decimal(terms.net_total.amount),
            )
        )


def fold_project(rows: Rows, project: project_pb2.Project) -> None:
    """A project's tasks and milestones stand between contract lines and the work on them."""
    rows.nodes.append(
        Node(
            kind=Kind.PROJECT,
            object_id=project.project_id,
            label=_label(f"{project.number} {project.name}"),
            version=project.version,
            amount=Decimal(project.budget.amount),
            currency=project.budget.currency,
            happened_on=_day(project.starts_on),
            legal_entity_id=project.legal_entity_id,
        )
    )
    for task in project.tasks:
        rows.nodes.append(
            Node(
                kind=Kind.TASK,
                object_id=task.task_id,
                label=_label(f"{task.phase}: {task.name}"),
                version=project.version,
                contract_line_id=task.contract_line_id or None,
                legal_entity_id=project.legal_entity_id,
            )
        )
        rows.links.append(Link(Kind.PROJECT, project.project_id, Kind.TASK, task.task_id))
        if task.contract_line_id:
            rows.links.append(
                Link(Kind.CONTRACT_LINE, task.contract_line_id, Kind.TASK, task.task_id)
            )
    for milestone in project.milestones:
        fold_milestone(rows, milestone, legal_entity_id=project.legal_entity_id)


def fold_milestone(
    rows: Rows, milestone: project_pb2.Milestone, *, legal_entity_id: str | None = None
) -> None:
    """A milestone follows from its contract line; its state is the latest one told."""
    rows.nodes.append(
        Node(
            kind=Kind.MILESTONE,
            object_id=milestone.milestone_id,
            label=_label(milestone.name),
            version=milestone.version,
            state=project_pb2.MilestoneStatus.Name(milestone.status)
            .removeprefix("MILESTONE_STATUS_")
            .lower(),
            quantity=Decimal(1),
            amount=Decimal(milestone.amount.amount),
            currency=milestone.amount.currency,
            happened_on=_day(milestone.accepted_on or milestone.completed_on or milestone.due_on),
            contract_line_id=milestone.contract_line_id,
            legal_entity_id=legal_entity_id,
        )
    )
    rows.links.append(
        Link(
            Kind.CONTRACT_LINE,
            milestone.contract_line_id,
            Kind.MILESTONE,
            milestone.milestone_id,
        )
    )


def fold_time(rows: Rows, entries: Iterable[work_pb2.TimeEntry]) -> None:
    """Approved time follows from its task."""
    for entry in entries:
        rows.nodes.append(
            Node(
                kind=Kind.TIME_ENTRY,
                object_id=entry.time_entry_id,
                label=_label(f"{entry.person_name}, {entry.minutes} min: {entry.note}"),
                state="billable" if entry.billable and entry.contract_line_id else "cost",
                quantity=Decimal(entry.minutes),
                happened_on=_day(entry.work_date),
                contract_line_id=entry.contract_line_id or None,
                legal_entity_id=entry.legal_entity_id,
            )
        )
        rows.links.append(Link(Kind.TASK, entry.task_id, Kind.TIME_ENTRY, entry.time_entry_id))
        _add_source(rows, entry, Kind.TIME_ENTRY, entry.time_entry_id)


def fold_expenses(rows: Rows, lines: Iterable[work_pb2.ExpenseLine]) -> None:
    """Approved expenses follow from the contract line that lets them be billed."""
    for line in lines:
        rows.nodes.append(
            Node(
                kind=Kind.EXPENSE_LINE,
                object_id=line.expense_line_id,
                label=_label(f"{line.category}: {line.description}"),
                state="billable" if line.billable and line.contract_line_id else "cost",
                quantity=Decimal(1),
                amount=Decimal(line.net_amount.amount),
                currency=line.net_amount.currency,
                happened_on=_day(line.incurred_on),
                contract_line_id=line.contract_line_id or None,
                legal_entity_id=line.legal_entity_id,
            )
        )
        if line.contract_line_id:
            rows.links.append(
                Link(
                    Kind.CONTRACT_LINE,
                    line.contract_line_id,
                    Kind.EXPENSE_LINE,
                    line.expense_line_id,
                )
            )
        _add_source(rows, line, Kind.EXPENSE_LINE, line.expense_line_id)


def fold_billing_events(rows: Rows, events: Iterable[billing.BillingEvent]) -> None:
    """A rated row follows from the approved thing it bills."""
    for event in events:
        source_kind = _SOURCE_KINDS[event.type]
        rows.nodes.append(
            Node(
                kind=Kind.BILLING_EVENT,
                object_id=event.billing_event_id,
                label=_label(event.description),
                version=event.version,
                state=billing.BillingEventStatus.Name(event.status)
                .removeprefix("BILLING_EVENT_STATUS_")
                .lower(),
                quantity=Decimal(event.quantity),
                amount=Decimal(event.amount.amount),
                currency=event.amount.currency,
                happened_on=_day(event.service_from),
                contract_line_id=event.contract_line_id,
                legal_entity_id=event.legal_entity_id,
            )
        )
        rows.links.append(
            Link(source_kind, event.source_item_id, Kind.BILLING_EVENT, event.billing_event_id)
        )
        if source_kind is Kind.SERVICE_PERIOD:
            _add_service_period(rows, event)


def fold_invoice(rows: Rows, invoice: invoice_pb2.Invoice) -> None:
    """An issued invoice and its lines."""
    issued_on = _day(invoice.issued_on)
    rows.nodes.append(
        Node(
            kind=Kind.INVOICE,
            object_id=invoice.invoice_id,
            label=invoice.number,
            version=invoice.version,
            state="issued",
            quantity=Decimal(len(invoice.lines)),
            amount=Decimal(invoice.gross_total.amount),
            currency=invoice.currency,
            happened_on=issued_on,
            legal_entity_id=invoice.legal_entity_id,
        )
    )
    _add_invoice_lines(
        rows,
        invoice.invoice_id,
        invoice.version,
        invoice.lines,
        issued_on=issued_on,
        legal_entity_id=invoice.legal_entity_id,
    )


def fold_continued_lines(rows: Rows, event: events_pb2.InvoiceLinesContinued) -> None:
    """The further lines of a long invoice."""
    _add_invoice_lines(rows, event.invoice_id, event.version, event.lines)


def _add_invoice_lines(
    rows: Rows,
    invoice_id: str,
    version: int,
    lines: Iterable[invoice_pb2.InvoiceLine],
    *,
    issued_on: date | None = None,
    legal_entity_id: str | None = None,
) -> None:
    for line in lines:
        rows.nodes.append(
            Node(
                kind=Kind.INVOICE_LINE,
                object_id=line.invoice_line_id,
                label=_label(f"line {line.position}: {line.description}"),
                version=version,
                quantity=Decimal(line.quantity),
                amount=Decimal(line.net_amount.amount),
                currency=line.net_amount.currency,
                happened_on=issued_on,
                contract_line_id=line.contract_line_id,
                legal_entity_id=legal_entity_id,
            )
        )
        rows.links.append(Link(Kind.INVOICE_LINE, line.invoice_line_id, Kind.INVOICE, invoice_id))


def fold_items(rows: Rows, items: Iterable[invoice_pb2.InvoiceItem]) -> None:
    """What an invoice line billed of which row."""
    for item in items:
        rows.links.append(
            Link(
                Kind.BILLING_EVENT,
                item.billing_event_id,
                Kind.INVOICE_LINE,
                item.invoice_line_id,
                quantity=Decimal(item.quantity),
                amount=Decimal(item.amount.amount),
            )
        )


def fold_payment(rows: Rows, payment: payment_pb2.Payment) -> None:
    """Money that arrived."""
    rows.nodes.append(
        Node(
            kind=Kind.PAYMENT,
            object_id=payment.payment_id,
            label=_label(f"{payment.provider} {payment.provider_payment_id}"),
            version=payment.version,
            amount=Decimal(payment.amount.amount),
            currency=payment.amount.currency,
            happened_on=_day(payment.received_on),
            legal_entity_id=payment.legal_entity_id or None,
        )
    )


def fold_allocation(rows: Rows, allocation: payment_pb2.PaymentAllocation) -> None:
    """The part of a payment that settles an invoice stands between the two."""
    rows.nodes.append(
        Node(
            kind=Kind.PAYMENT_ALLOCATION,
            object_id=allocation.payment_allocation_id,
            label=f"{allocation.amount.amount} {allocation.amount.currency} settled",
            amount=Decimal(allocation.amount.amount),
            currency=allocation.amount.currency,
            happened_on=_day(allocation.allocated_on),
        )
    )
    rows.links.append(
        Link(
            Kind.INVOICE,
            allocation.invoice_id,
            Kind.PAYMENT_ALLOCATION,
            allocation.payment_allocation_id,
        )
    )
    rows.links.append(
        Link(
            Kind.PAYMENT_ALLOCATION,
            allocation.payment_allocation_id,
            Kind.PAYMENT,
            allocation.payment_id,
        )
    )


def fold_journal_entry(rows: Rows, entry: payment_pb2.JournalEntry) -> None:
    """An entry of the books follows from the document or payment it tells of."""
    total = sum((Decimal(line.debit.amount) for line in entry.lines), Decimal(0))
    rows.nodes.append(
        Node(
            kind=Kind.JOURNAL_ENTRY,
            object_id=entry.journal_entry_id,
            label=f"{entry.number} ({entry.fact})",
            amount=total,
            currency=entry.currency,
            happened_on=_day(entry.posted_on),
            legal_entity_id=entry.legal_entity_id,
        )
    )
    parent = _JOURNAL_PARENTS.get(entry.fact)
    if parent is not None:
        rows.links.append(Link(parent, entry.fact_id, Kind.JOURNAL_ENTRY, entry.journal_entry_id))


def _add_service_period(rows: Rows, event: billing.BillingEvent) -> None:
    rows.nodes.append(
        Node(
            kind=Kind.SERVICE_PERIOD,
            object_id=event.source_item_id,
            label=f"{event.service_from} to {event.service_to}",
            quantity=Decimal(event.quantity),
            happened_on=_day(event.service_from),
            contract_line_id=event.contract_line_id,
            legal_entity_id=event.legal_entity_id,
        )
    )
    rows.links.append(
        Link(
            Kind.CONTRACT_LINE,
            event.contract_line_id,
            Kind.SERVICE_PERIOD,
            event.source_item_id,
        )
    )


def _add_source(
    rows: Rows,
    item: quote_pb2.ServiceLine | work_pb2.TimeEntry | work_pb2.ExpenseLine,
    kind: Kind,
    object_id: str,
) -> None:
    if not item.HasField("source"):
        return
    source: source_pb2.SourceRef = item.source
    record_id = str(source_record_id(source.system, source.object_type, source.object_id))
    rows.nodes.append(
        Node(
            kind=Kind.SOURCE_RECORD,
            object_id=record_id,
            label=_label(f"{source.system} {source.object_type} {source.object_id}"),
        )
    )
    rows.links.append(Link(Kind.SOURCE_RECORD, record_id, kind, object_id))


def _billing_model(value: quote_pb2.BillingModel.ValueType) -> str:
    return quote_pb2.BillingModel.Name(value).removeprefix("BILLING_MODEL_").lower()


def _label(text: str) -> str:
    return text[:_LABEL_LENGTH_MAX]


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
