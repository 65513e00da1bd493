"""Messages into values: approved things and claims, as their services announced them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Final, TypeAlias

from google.protobuf.message import Message

from billing_event.domain.claim import Claim, ClaimKind, allocation_id, giving_up_id
from billing_event.domain.exchange import EXCHANGE_PLACES, Quotation
from billing_event.domain.position import (
    BillingEventId,
)
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
    SourceRef,
)
from billing_event.domain.step import SourceStep, StepState
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoice_events
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as project_events,
)
from throughline.project_provisioning.v1 import project_pb2, work_pb2
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    read_date,
    read_decimal,
    read_money,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
)

MilestoneEvent: TypeAlias = (
    project_events.MilestoneCompleted
    | project_events.MilestoneAccepted
    | project_events.MilestoneRejected
    | project_events.MilestoneAcceptanceWithdrawn
)

_STATES: Final[Mapping[type[Message], StepState]] = {
    project_events.MilestoneCompleted: StepState.COMPLETED,
    project_events.MilestoneAccepted: StepState.ACCEPTED,
    project_events.MilestoneRejected: StepState.REFUSED,
    project_events.MilestoneAcceptanceWithdrawn: StepState.WITHDRAWN,
}

_DAY: Final = timedelta(days=1)

# The same few projects, persons and days stand on thousands of entries.
_read_known_uuid = lru_cache(maxsize=1 << 16)(read_uuid)
_read_known_date = lru_cache(maxsize=1 << 12)(read_date)


def read_time(event: project_events.TimeApproved) -> Iterator[SourceItem]:
    """Yield the approved entries, in the order of the event."""
    for entry in event.entries:
        work_date = _read_known_date("entries.work_date", entry.work_date)
        contract_id, line_id = _read_line_ids(entry)
        yield SourceItem(
            source_item_id=SourceItemId(read_uuid("entries.time_entry_id", entry.time_entry_id)),
            type=ItemType.TIME,
            contract_id=contract_id,
            contract_line_id=line_id,
            engagement_id=_read_known_uuid("entries.engagement_id", entry.engagement_id),
            project_id=_read_known_uuid("entries.project_id", entry.project_id),
            task_id=_read_known_uuid("entries.task_id", entry.task_id),
            person_id=_read_known_uuid("entries.person_id", entry.person_id),
            person_name=entry.person_name,
            delivering_entity_id=_read_entity(entry),
            role=entry.role,
            level=entry.level,
            region=entry.region,
            description=entry.note,
            service_from=work_date,
            service_to=work_date + _DAY,
            minutes=entry.minutes,
            price=None,
            is_billable=entry.billable,
            approved_by=event.approved_by,
            source=_read_source(entry),
            activity=entry.activity,
            project_contract_id=None if contract_id else _read_contract_id(entry.contract_id),
            reverses_item_id=_read_item_id(
                "entries.reverses_time_entry_id", entry.reverses_time_entry_id
            ),
            replaces_item_id=_read_item_id(
                "entries.replaces_time_entry_id", entry.replaces_time_entry_id
            ),
        )


def read_expenses(event: project_events.ExpenseReportApproved) -> Iterator[SourceItem]:
    """Yield the approved lines, in the order of the event."""
    for line in event.lines:
        incurred_on = _read_known_date("lines.incurred_on", line.incurred_on)
        contract_id, line_id = _read_line_ids(line)
        yield SourceItem(
            source_item_id=SourceItemId(read_uuid("lines.expense_line_id", line.expense_line_id)),
            type=ItemType.EXPENSE,
            contract_id=contract_id,
            contract_line_id=line_id,
            engagement_id=_read_known_uuid("lines.engagement_id", line.engagement_id),
            project_id=_read_known_uuid("lines.project_id", line.project_id),
            person_id=_read_known_uuid("lines.person_id", line.person_id),
            person_name=line.person_name,
            delivering_entity_id=_read_entity(line),
            description=line.description,
            service_from=incurred_on,
            service_to=incurred_on + _DAY,
            price=read_money("lines.net_amount", line.net_amount),
            is_billable=line.billable,
            approved_by=event.approved_by,
            source=_read_source(line),
            reverses_item_id=_read_item_id(
                "lines.reverses_expense_line_id", line.reverses_expense_line_id
            ),
            receipt_price=(
                read_money("lines.receipt_net_amount", line.receipt_net_amount)
                if line.HasField("receipt_net_amount")
                else None
            ),
            category=line.category,
        )


def read_milestones(event: MilestoneEvent) -> Iterator[tuple[SourceItem, SourceStep]]:
    """Yield the milestone as a thing to bill with what is said of it, whichever event came first.

    After an acceptance in part the rest follows as a milestone of its own that is complete; when it
    has gone back into the milestone, nothing is to be paid for it.
    """
    yield _read_milestone(event.milestone, event), _read_step(event)
    if isinstance(event, project_events.MilestoneAccepted) and event.HasField("rest"):
        rest = project_events.MilestoneCompleted(milestone=event.rest)
        yield _read_milestone(event.rest, event), _read_step(rest)
    if isinstance(event, project_events.MilestoneAcceptanceWithdrawn) and event.HasField("rest"):
        yield _read_milestone(event.rest, event), _read_return(event)


def _read_milestone(milestone: project_pb2.Milestone, event: MilestoneEvent) -> SourceItem:
    day = read_date("milestone.completed_on", milestone.completed_on or milestone.accepted_on)
    return SourceItem(
        source_item_id=SourceItemId(read_uuid("milestone.milestone_id", milestone.milestone_id)),
        type=ItemType.MILESTONE,
        contract_id=ContractId(read_uuid("milestone.contract_id", milestone.contract_id)),
        contract_line_id=ContractLineId(
            read_uuid("milestone.contract_line_id", milestone.contract_line_id)
        ),
        engagement_id=read_uuid("engagement_id", event.engagement_id),
        project_id=read_uuid("milestone.project_id", milestone.project_id),
        delivering_entity_id=None,
        description=milestone.name,
        service_from=day,
        service_to=day + _DAY,
        price=read_money("milestone.amount", milestone.amount),
        price_basis=f"agreed amount of milestone {milestone.key}",
        # Whether it is accepted is the last word of its steps, not of the event at hand.
        is_accepted=False,
    )


def _read_step(event: MilestoneEvent) -> SourceStep:
    milestone, reason = event.milestone, ""
    if isinstance(
        event, project_events.MilestoneRejected | project_events.MilestoneAcceptanceWithdrawn
    ):
        reason = event.reason or "no reason given"
    state = _STATES[type(event)]
    is_accepted = state is StepState.ACCEPTED
    accepted_on = milestone.accepted_on if is_accepted else ""
    return SourceStep(
        source_item_id=SourceItemId(read_uuid("milestone.milestone_id", milestone.milestone_id)),
        version=milestone.version,
        state=state,
        price=read_money("milestone.amount", milestone.amount),
        reason=reason,
        accepted_on=read_optional_date("milestone.accepted_on", accepted_on),
        accepted_by=milestone.accepted_by if is_accepted else "",
        evidence_sha256=milestone.evidence_sha256 if is_accepted else "",
        recorded_by=milestone.recorded_by if is_accepted else "",
    )


def _read_return(event: project_events.MilestoneAcceptanceWithdrawn) -> SourceStep:
    rest = event.rest
    return SourceStep(
        source_item_id=SourceItemId(read_uuid("rest.milestone_id", rest.milestone_id)),
        version=rest.version,
        state=StepState.REPRICED,
        price=read_money("rest.amount", rest.amount),
        reason=f"back in milestone {event.milestone.key}: {event.reason}",
    )


def read_rates(event: project_events.ExchangeRatesRecorded) -> Iterator[Quotation]:
    """Yield the rates that were recorded."""
    for rate in event.rates:
        yield Quotation(
            rate.base,
            rate.quote,
            read_date("rates.rate_on", rate.rate_on),
            rate.source,
            read_decimal("rates.rate", rate.rate, places=EXCHANGE_PLACES),
        )


def read_claims(event: invoice_events.InvoiceItemsBilled) -> Iterator[Claim]:
    """Yield what the invoice billed, item by item."""
    invoice_id = read_uuid("invoice_id", event.invoice_id)
    for item in event.items:
        line_id = _read_known_uuid("items.invoice_line_id", item.invoice_line_id)
        row_id = BillingEventId(read_uuid("items.billing_event_id", item.billing_event_id))
        yield Claim(
            allocation_id(invoice_id, line_id, row_id),
            row_id,
            invoice_id,
            line_id,
            read_decimal("items.quantity", item.quantity, places=RATE_PLACES),
            read_money("items.amount", item.amount, places=RATE_PLACES),
        )


def read_credits(event: invoice_events.InvoiceItemsCredited) -> Iterator[Claim]:
    """Yield what a credit note gave back, item by item, and what of it is given up."""
    note_id = read_uuid("credit_note_id", event.credit_note_id)
    for item in event.items:
        line_id = _read_known_uuid("items.credit_line_id", item.credit_line_id)
        row_id = BillingEventId(read_uuid("items.billing_event_id", item.billing_event_id))
        quantity = read_decimal("items.quantity", item.quantity, places=RATE_PLACES)
        amount = read_money("items.amount", item.amount, places=RATE_PLACES)
        credit_id = allocation_id(note_id, line_id, row_id)
        yield Claim(credit_id, row_id, note_id, line_id, -quantity, -amount, kind=ClaimKind.CREDIT)
        if item.disposition == invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF:
            gone_id = giving_up_id(credit_id)
            yield Claim(gone_id, row_id, None, None, quantity, amount, kind=ClaimKind.WRITE_OFF)


def _read_line_ids(
    work: work_pb2.TimeEntry | work_pb2.ExpenseLine,
) -> tuple[ContractId | None, ContractLineId | None]:
    """Return contract and line, or neither: work that names only one of them is mapped to none."""
    if not work.contract_id or not work.contract_line_id:
        return None, None
    return (
        ContractId(_read_known_uuid("contract_id", work.contract_id)),
        ContractLineId(_read_known_uuid("contract_line_id", work.contract_line_id)),
    )


def _read_contract_id(value: str) -> ContractId | None:
    return ContractId(_read_known_uuid("contract_id", value)) if value else None


def _read_item_id(field: str, value: str) -> SourceItemId | None:
    found = read_optional_uuid(field, value)
    return None if found is None else SourceItemId(found)


def _read_entity(work: work_pb2.TimeEntry | work_pb2.ExpenseLine) -> LegalEntityId:
    return LegalEntityId(_read_known_uuid("legal_entity_id", work.legal_entity_id))


def _read_source(work: work_pb2.TimeEntry | work_pb2.ExpenseLine) -> SourceRef | None:
    if not work.HasField("source"):
        return None
    source = work.source
    return SourceRef(source.system, source.object_type, source.object_id)
