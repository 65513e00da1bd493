"""Values and messages of the one story all samples tell, each with what a test wants different."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing_event.domain.agreement import Agreement, Ending, Facts
from billing_event.domain.decision import Judge
from billing_event.domain.limit import Account, LimitBook, LimitScope, account_id
from billing_event.domain.release import ReleasePolicy
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    CustomerId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from billing_event.domain.terms import (
    BillingModel,
    CardEntry,
    ContractTerms,
    CustomerState,
    LineTerms,
    Payer,
    RateCard,
    TaxStatus,
)
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2, customer_pb2, quote_pb2, rate_card_pb2
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as invoices
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline.project_provisioning.v1 import work_pb2
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_core.quantity import EXACT_MINUTES
from throughline_testing.samples import sample


def an_id(suffix: str) -> UUID:
    """Return the id of the story that ends in these hexadecimal digits."""
    return UUID(f"01980000-0000-7000-8000-{suffix:0>12}")


ENTITY = LegalEntityId(an_id("e1"))
CUSTOMER = CustomerId(an_id("c1"))
CONTRACT = ContractId(an_id("b1"))
FIXED_FEE = ContractLineId(an_id("b101"))
HOURS = ContractLineId(an_id("b102"))
SUPPORT = ContractLineId(an_id("b103"))
EXPENSES = ContractLineId(an_id("b104"))
PERSON = an_id("131")
CARD = an_id("d1")
TERM = Period(date(2026, 9, 1), date(2027, 9, 1))
NOW = datetime(2026, 9, 14, 7, 30, tzinfo=UTC)


def eur(amount: str | int) -> Money:
    return Money(Decimal(amount), "EUR")


def a_line(contract_line_id: ContractLineId = HOURS, **different: Any) -> LineTerms:
    """Return a line billed by the hour at 100.00 for a consultant."""
    line = LineTerms(
        contract_line_id=contract_line_id,
        quote_line_id=an_id("a102"),
        billing_model=BillingModel.TIME_AND_MATERIALS,
        description="Delivery by time and materials",
        tax_category="professional_services",
        term=TERM,
        unit_price=eur("100.00"),
        rates={"consultant": eur("100.00")},
        not_to_exceed=None,
        anchor_day=1,
        in_advance=False,
        markup_percent=Decimal(0),
    )
    return replace(line, **different)


def some_terms(*lines: LineTerms, **different: Any) -> ContractTerms:
    terms = ContractTerms(
        contract_id=CONTRACT,
        contract_version=1,
        engagement_id=an_id("f1"),
        correlation_id=an_id("f2"),
        customer_id=CUSTOMER,
        bill_to_customer_id=CUSTOMER,
        legal_entity_id=ENTITY,
        currency="EUR",
        time_zone="Europe/Berlin",
        time_rounding=EXACT_MINUTES,
        rate_card_id=None,
        not_to_exceed=None,
        lines={line.contract_line_id: line for line in lines or (a_line(),)},
    )
    return replace(terms, **different)


def a_payer(
    customer_id: CustomerId,
    share_percent: str,
    *,
    is_rounding: bool = False,
    amount: str | None = None,
    not_to_exceed: str | None = None,
    purchase_order_number: str = "",
) -> Payer:
    """Return a payer by percent, or by amount if one is given."""
    return Payer(
        customer_id,
        Decimal(share_percent),
        is_rounding,
        None if not_to_exceed is None else eur(not_to_exceed),
        None if amount is None else eur(amount),
        purchase_order_number,
    )


def a_customer(**different: Any) -> CustomerState:
    customer = CustomerState(CUSTOMER, 1, False, "", TaxStatus.VALID)
    return replace(customer, **different)


def an_agreement(*versions: ContractTerms, ending: Ending | None = None) -> Agreement:
    """Return a contract with these versions of its terms, the first of which came into force."""
    return Agreement(versions, versions[0].contract_version, ending)


def some_facts(
    terms: ContractTerms | None = None,
    *,
    cards: Sequence[RateCard] = (),
    customer: CustomerState | None = None,
) -> Facts:
    known = some_terms() if terms is None else terms
    state = a_customer() if customer is None else customer
    agreement = an_agreement(known)
    return Facts(1, {known.contract_id: agreement}, cards, {state.customer_id: state})


def an_item(**different: Any) -> SourceItem:
    """Return one hour of a consultant, on the first Monday of the story."""
    item = SourceItem(
        source_item_id=SourceItemId(an_id("151")),
        type=ItemType.TIME,
        contract_id=CONTRACT,
        contract_line_id=HOURS,
        engagement_id=an_id("f1"),
        project_id=an_id("111"),
        task_id=an_id("1202"),
        person_id=PERSON,
        person_name="Ada Brandt",
        delivering_entity_id=ENTITY,
        role="consultant",
        level="senior",
        region="DE",
        description="Architecture workshop",
        service_from=date(2026, 9, 7),
        service_to=date(2026, 9, 8),
        minutes=60,
        price=None,
        price_basis="",
        is_billable=True,
        is_accepted=True,
        refusal="",
        approved_by="user:paula.pmo",
        source=None,
    )
    return replace(item, **different)


def an_expense(price: Money, **different: Any) -> SourceItem:
    return an_item(
        type=ItemType.EXPENSE,
        source_item_id=SourceItemId(an_id("172")),
        task_id=None,
        role="",
        minutes=0,
        price=price,
        **different,
    )


def a_milestone(price: Money, **different: Any) -> SourceItem:
    return an_item(
        type=ItemType.MILESTONE,
        source_item_id=SourceItemId(an_id("1301")),
        task_id=None,
        person_id=None,
        role="",
        minutes=0,
        price=price,
        price_basis="agreed amount of milestone kickoff",
        **different,
    )


def a_card(*entries: CardEntry, **different: Any) -> RateCard:
    by_role: dict[str, list[CardEntry]] = {}
    for entry in entries:
        by_role.setdefault(entry.role, []).append(entry)
    card = RateCard(
        rate_card_id=CARD,
        version=1,
        code="RC-DE-2026",
        currency="EUR",
        legal_entity_id=ENTITY,
        customer_id=None,
        published_at=datetime(2026, 8, 1, tzinfo=UTC),
        entries=by_role,
    )
    return replace(card, **different)


def an_entry(rate: str, **different: Any) -> CardEntry:
    entry = CardEntry("consultant", None, None, None, eur(rate), date(2026, 1, 1), None)
    return replace(entry, **different)


def a_book(*rooms: tuple[ContractLineId | None, str]) -> LimitBook:
    """Return the limits of the contract (None) and of lines, with what is left of each."""
    return LimitBook(
        Account(
            account_id(CONTRACT, line_id),
            LimitScope.CONTRACT if line_id is None else LimitScope.CONTRACT_LINE,
            Decimal(room),
        )
        for line_id, room in rooms
    )


def a_judge(
    facts: Facts | None = None,
    book: LimitBook | None = None,
    *,
    threshold: str = "5000.00",
) -> Judge:
    policy = ReleasePolicy(ENTITY, 1, eur(threshold), "user:finance", NOW)
    return Judge(facts or some_facts(), book or LimitBook(), {ENTITY: policy}, at=NOW)


def line_of(contract_id: UUID, line: ContractLineId) -> UUID:
    """Return the line of another contract that stands for this one of the story's contract."""
    return line if contract_id == CONTRACT else derived_id("line", contract_id, line)


def a_contract(
    *,
    not_to_exceed: str | None = None,
    version: int = 1,
    contract_id: UUID = CONTRACT,
    rates: dict[str, str] | None = None,
) -> contract_pb2.Contract:
    """Return the story's contract; its line of hours has this limit, and these rates if given."""
    contract = contract_pb2.Contract()
    contract.CopyFrom(sample(contracts.ContractActivated).contract)
    contract.contract_id = str(contract_id)
    contract.contract_version = version
    for line in contract.lines:
        story = ContractLineId(UUID(line.contract_line_id))
        line.contract_line_id = str(line_of(contract_id, story))
    hours = contract.lines[1].terms
    hours.ClearField("not_to_exceed")
    if not_to_exceed is not None:
        hours.not_to_exceed.amount = not_to_exceed
        hours.not_to_exceed.currency = "EUR"
    if rates is not None:
        del hours.rates[:]
        for role, rate in rates.items():
            agreed = hours.rates.add(role=role, planned_hours="0")
            agreed.hourly_rate.amount, agreed.hourly_rate.currency = rate, "EUR"
    return contract


def activated(contract: contract_pb2.Contract) -> contracts.ContractActivated:
    return contracts.ContractActivated(
        contract=contract,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
    )


def limit_changed(contract: contract_pb2.Contract) -> contracts.ContractLimitChanged:
    return contracts.ContractLimitChanged(
        contract=contract,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
    )


def recorded(
    version: int = 1,
    *,
    credit_hold: bool = False,
    tax_status: customer_pb2.TaxStatus.ValueType = customer_pb2.TAX_STATUS_VALID,
) -> contracts.CustomerRecorded:
    event = sample(contracts.CustomerRecorded)
    event.customer.version = version
    event.customer.credit_hold = credit_hold
    event.customer.tax_status = tax_status
    return event


def a_contract_with_a_block() -> contract_pb2.Contract:
    """Return the story's contract, its support line a block of 20 hours a month.

    What is beyond them is billed, half of what is left is carried on.
    """
    contract = a_contract()
    [line] = [each for each in contract.lines if each.contract_line_id == str(SUPPORT)]
    line.terms.billing_model = quote_pb2.BILLING_MODEL_RETAINER
    line.terms.unit_price.amount = "3000.00"
    block = line.terms.retainer
    block.period_months, block.hours = 1, "20"
    block.roll_over = quote_pb2.RETAINER_ROLL_OVER_CARRY
    block.roll_over_limit_percent = "50"
    block.overage = quote_pb2.RETAINER_OVERAGE_BILL
    block.overage_rate.amount, block.overage_rate.currency = "175.00", "EUR"
    return contract


def published(rates: dict[str, str], *, version: int = 1) -> contracts.RateCardPublished:
    event = sample(contracts.RateCardPublished)
    event.rate_card.version = version
    del event.rate_card.entries[:]
    for role, rate in rates.items():
        entry = rate_card_pb2.RateCardEntry(role=role, valid_from="2026-01-01")
        entry.hourly_rate.amount, entry.hourly_rate.currency = rate, "EUR"
        event.rate_card.entries.append(entry)
    return event


def an_approved_entry(number: int = 1, **different: Any) -> work_pb2.TimeEntry:
    """Return the story's time entry as entry `number`: eight hours of a senior consultant."""
    entry = work_pb2.TimeEntry()
    entry.CopyFrom(sample(projects.TimeApproved).entries[0])
    entry.time_entry_id = str(an_id(f"15{number:06x}"))
    entry.source.object_id = f"TE-{number:06d}"
    for name, value in different.items():
        if value is None:
            entry.ClearField(name)  # type: ignore[arg-type]  # a name of a field
        else:
            setattr(entry, name, value)
    return entry


def approved(
    *entries: work_pb2.TimeEntry, by: str = "user:paula.pmo", number: int = 1
) -> projects.TimeApproved:
    event = projects.TimeApproved(
        approval_id=str(an_id(f"16{number:06x}")), version=1, entries=entries, approved_by=by
    )
    event.approved_at.FromDatetime(NOW - timedelta(minutes=30))
    return event


def credited(
    *items: tuple[str, str, str],
    note: str = "1a2",
    disposition: invoice_pb2.CreditDisposition.ValueType = (
        invoice_pb2.CREDIT_DISPOSITION_RETURN_TO_UNBILLED
    ),
) -> invoices.InvoiceItemsCredited:
    """Return what a credit note gave back: billing event id, quantity, amount of each item."""
    event = sample(invoices.InvoiceItemsCredited)
    event.credit_note_id = str(an_id(note))
    template = event.items[0]
    del event.items[:]
    for row_id, quantity, amount in items:
        item = event.items.add()
        item.CopyFrom(template)
        item.billing_event_id, item.quantity = row_id, quantity
        item.amount.amount, item.disposition = amount, disposition
    return event


def billed(
    *items: tuple[str, str, str], invoice: str = "1a1", line: str = "1b1"
) -> invoices.InvoiceItemsBilled:
    """Return what an invoice billed: billing event id, quantity and amount of each item."""
    event = sample(invoices.InvoiceItemsBilled)
    event.invoice_id = str(an_id(invoice))
    del event.items[:]
    for row_id, quantity, amount in items:
        item = invoice_pb2.InvoiceItem(
            billing_event_id=row_id, invoice_line_id=str(an_id(line)), quantity=quantity
        )
        item.amount.amount, item.amount.currency = amount, "EUR"
        event.items.append(item)
    return event
