"""The double-entry journal: what each fact debits and credits."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from invoice_payment.domain.invoice import Invoice, InvoiceSettled
from invoice_payment.domain.item import Treatment
from invoice_payment.domain.line import Disposition, Line
from invoice_payment.domain.payment import Payment
from throughline_core.ids import derived_id
from throughline_core.money import Money

T = TypeVar("T")


class AccountRole(StrEnum):
    """What an account is for; each entity maps every role to an account of its chart."""

    RECEIVABLE = "receivable"
    CONTRACT_ASSET = "contract_asset"
    REVENUE = "revenue"
    TAX_PAYABLE = "tax_payable"
    CASH = "cash"
    UNAPPLIED_CASH = "unapplied_cash"
    ROUNDING = "rounding"
    CONTRACT_LIABILITY = "contract_liability"
    WRITE_OFF = "write_off"
    INTERCOMPANY_RECEIVABLE = "intercompany_receivable"
    INTERCOMPANY_REVENUE = "intercompany_revenue"
    INTERCOMPANY_COST = "intercompany_cost"
    INTERCOMPANY_PAYABLE = "intercompany_payable"


DEFAULT_ACCOUNTS: Final = {
    AccountRole.CASH: "1100",
    AccountRole.RECEIVABLE: "1200",
    AccountRole.CONTRACT_ASSET: "1250",
    AccountRole.INTERCOMPANY_RECEIVABLE: "1300",
    AccountRole.UNAPPLIED_CASH: "2100",
    AccountRole.TAX_PAYABLE: "2200",
    AccountRole.CONTRACT_LIABILITY: "2300",
    AccountRole.INTERCOMPANY_PAYABLE: "2400",
    AccountRole.REVENUE: "4000",
    AccountRole.INTERCOMPANY_REVENUE: "4100",
    AccountRole.ROUNDING: "4900",
    AccountRole.INTERCOMPANY_COST: "5100",
    AccountRole.WRITE_OFF: "6900",
}
"""The neutral chart a new entity starts with; finance maps it to its own."""


class Fact(StrEnum):
    """What an entry tells of."""

    RELEASE = "release"
    INVOICE = "invoice"
    PAYMENT = "payment"
    PAYMENT_ALLOCATION = "payment_allocation"
    CREDIT_NOTE = "credit_note"
    WITHDRAWAL = "withdrawal"
    WRITE_OFF = "write_off"
    WRITE_OFF_UNDONE = "write_off_undone"
    INTERCOMPANY = "intercompany"
    RETAINER_LAPSE = "retainer_lapse"


_DOCUMENT_FACTS: Final = {False: Fact.INVOICE, True: Fact.CREDIT_NOTE}

STANDS_ON: Final = {
    Treatment.INVOICED: AccountRole.CONTRACT_ASSET,
    Treatment.PREPAYMENT: AccountRole.CONTRACT_LIABILITY,
    Treatment.DRAWN: AccountRole.CONTRACT_LIABILITY,
}
"""The account of the balance sheet on which items of a treatment meet what settles them."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of an entry: debit or credit is above zero, the other is zero."""

    role: AccountRole
    debit: Money
    credit: Money
    contract_id: UUID | None = None
    contract_line_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A balanced entry before it gets its number; `posted_on` is a day in the entity's zone."""

    journal_entry_id: UUID
    legal_entity_id: UUID
    posted_on: date
    fact: Fact
    fact_id: UUID
    currency: str
    postings: tuple[Posting, ...]
    engagement_id: UUID | None = None
    correlation_id: UUID | None = None

    def __post_init__(self) -> None:
        debit = Money.total((posting.debit for posting in self.postings), self.currency)
        credit = Money.total((posting.credit for posting in self.postings), self.currency)
        assert debit == credit, f"{self.fact} {self.fact_id} debits {debit} and credits {credit}"


@dataclass(frozen=True, slots=True)
class Recognised:
    """What one batch releases on one contract line: the sum of its items, each rounded.

    A prepayment recognises nothing; what is drawn uses one up.
    """

    batch_id: UUID
    released_at: datetime
    contract_id: UUID
    contract_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    amount: Money
    treatment: Treatment = Treatment.INVOICED


def posting_day(at: datetime, zone: str) -> date:
    """Return the civil date of an instant in an entity's zone: 22:30 UTC is the next in Riyadh."""
    return at.astimezone(ZoneInfo(zone)).date()


def post_release(legal_entity_id: UUID, zone: str, recognised: Iterable[Recognised]) -> list[Entry]:
    """Recognise released work as delivered: one entry for each batch and currency.

    Debit contract asset, or contract liability where a prepayment pays for it; credit revenue, for
    each contract line. What rounds to nothing or cancels out leaves no entry.
    """
    by_entry: dict[tuple[UUID, str], list[Recognised]] = defaultdict(list)
    for part in recognised:
        by_entry[part.batch_id, part.amount.currency].append(part)
    entries = []
    for (batch_id, currency), parts in by_entry.items():
        postings = tuple(
            posting
            for part in parts
            for posting in earn(
                part.amount, part.treatment, part.contract_id, part.contract_line_id
            )
        )
        if not postings:
            continue
        entries.append(
            Entry(
                journal_entry_id=entry_id(Fact.RELEASE, batch_id, legal_entity_id, currency),
                legal_entity_id=legal_entity_id,
                posted_on=posting_day(parts[0].released_at, zone),
                fact=Fact.RELEASE,
                fact_id=batch_id,
                currency=currency,
                postings=postings,
                engagement_id=only([part.engagement_id for part in parts]),
                correlation_id=only([part.correlation_id for part in parts]),
            )
        )
    return entries


def post_invoice(invoice: Invoice) -> Entry:
    """Turn delivered work, or a prepayment, into a receivable; a credit note is the mirror of it.

    Debit receivable with the gross total; credit contract asset with what the items recognised, or
    contract liability with what is prepaid, tax payable with the tax, and rounding with the cents
    by which the lines differ from that. What a credit note gives up is debited to write-off.
    """
    assert invoice.issued_on is not None, "only what is issued is posted"
    recognised: dict[tuple[AccountRole, UUID], Money] = {}
    for line in invoice.lines:
        key = (_role_of(line), line.contract_line_id)
        before = recognised.get(key, Money.zero(invoice.currency))
        recognised[key] = before + line.recognised
    rounding = invoice.totals.net - Money.total(recognised.values(), invoice.currency)
    contract_id = invoice.contract_id
    sides = [
        debit(AccountRole.RECEIVABLE, invoice.totals.gross, contract_id),
        *(
            credit(role, amount, contract_id, contract_line_id)
            for (role, contract_line_id), amount in recognised.items()
        ),
        *(
            credit(AccountRole.TAX_PAYABLE, group.tax, contract_id)
            for group in invoice.totals.groups
        ),
        credit(AccountRole.ROUNDING, rounding, contract_id),
    ]
    fact = _DOCUMENT_FACTS[invoice.is_credit_note]
    return Entry(
        journal_entry_id=entry_id(
            fact, invoice.invoice_id, invoice.legal_entity_id, invoice.currency
        ),
        legal_entity_id=invoice.legal_entity_id,
        posted_on=invoice.issued_on,
        fact=fact,
        fact_id=invoice.invoice_id,
        currency=invoice.currency,
        postings=not_zero(sides),
        engagement_id=invoice.engagement_id,
        correlation_id=invoice.correlation_id,
    )


def post_payment(payment: Payment) -> Entry:
    """Take money in: debit cash, credit unapplied cash."""
    return Entry(
        journal_entry_id=entry_id(
            Fact.PAYMENT, payment.payment_id, payment.legal_entity_id, payment.amount.currency
        ),
        legal_entity_id=payment.legal_entity_id,
        posted_on=payment.received_on,
        fact=Fact.PAYMENT,
        fact_id=payment.payment_id,
        currency=payment.amount.currency,
        postings=(
            debit(AccountRole.CASH, payment.amount),
            credit(AccountRole.UNAPPLIED_CASH, payment.amount),
        ),
    )


def post_allocation(settled: InvoiceSettled) -> Entry:
    """Settle a receivable: debit unapplied cash, credit receivable."""
    invoice = settled.invoice
    return Entry(
        journal_entry_id=entry_id(
            Fact.PAYMENT_ALLOCATION,
            settled.payment_allocation_id,
            invoice.legal_entity_id,
            invoice.currency,
        ),
        legal_entity_id=invoice.legal_entity_id,
        posted_on=settled.allocated_on,
        fact=Fact.PAYMENT_ALLOCATION,
        fact_id=settled.payment_allocation_id,
        currency=invoice.currency,
        postings=(
            debit(AccountRole.UNAPPLIED_CASH, settled.amount, invoice.contract_id),
            credit(AccountRole.RECEIVABLE, settled.amount, invoice.contract_id),
        ),
        engagement_id=invoice.engagement_id,
        correlation_id=invoice.correlation_id,
    )


def earn(
    amount: Money, treatment: Treatment, contract_id: UUID, contract_line_id: UUID
) -> tuple[Posting, ...]:
    """Return the two sides of revenue that is earned, or taken back where it is below zero."""
    if treatment is Treatment.PREPAYMENT:
        return ()
    return not_zero(
        [
            debit(STANDS_ON[treatment], amount, contract_id, contract_line_id),
            credit(AccountRole.REVENUE, amount, contract_id, contract_line_id),
        ]
    )


def _role_of(line: Line) -> AccountRole:
    """Return the account a line settles, or what is given up is written off to."""
    is_given_up = line.disposition is Disposition.WRITE_OFF
    if is_given_up and line.treatment is Treatment.INVOICED:
        return AccountRole.WRITE_OFF
    return STANDS_ON[line.treatment]


def debit(
    role: AccountRole,
    amount: Money,
    contract_id: UUID | None = None,
    contract_line_id: UUID | None = None,
) -> Posting:
    """Return the amount on the debit side; a negative one stands on the credit side instead."""
    zero = Money.zero(amount.currency)
    left, right = (amount, zero) if amount >= zero else (zero, -amount)
    return Posting(role, left, right, contract_id, contract_line_id)


def credit(
    role: AccountRole,
    amount: Money,
    contract_id: UUID | None = None,
    contract_line_id: UUID | None = None,
) -> Posting:
    """Return the amount on the credit side; a negative one stands on the debit side instead."""
    return debit(role, -amount, contract_id, contract_line_id)


def not_zero(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    """Return the postings without those of nothing."""
    return tuple(side for side in postings if not (side.debit.is_zero and side.credit.is_zero))


def entry_id(fact: Fact, fact_id: UUID, legal_entity_id: UUID, currency: str) -> UUID:
    """Return the one id of the entry of a fact."""
    return derived_id("journal_entry", fact.value, fact_id, legal_entity_id, currency)


def only(values: Sequence[T]) -> T | None:
    """Return the value all have in common, None when they differ."""
    return values[0] if len(set(values)) == 1 else None
