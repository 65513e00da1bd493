"""Facts of other services that move the books: write-offs, lapses, intercompany charges."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from invoice_payment.domain.item import BillableItem, TakenBack, Treatment
from invoice_payment.domain.journal import (
    STANDS_ON,
    AccountRole,
    Entry,
    Fact,
    Posting,
    credit,
    debit,
    earn,
    entry_id,
    not_zero,
    only,
    posting_day,
)
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class Booking:
    """An entry of a legal entity that may not be known yet; its day follows from the zone."""

    legal_entity_id: UUID
    fact: Fact
    fact_id: UUID
    currency: str
    at: datetime
    postings: tuple[Posting, ...]
    engagement_id: UUID | None = None
    correlation_id: UUID | None = None

    def entry(self, zone: str) -> Entry:
        """Return the entry, posted on the day it was in the entity's time zone."""
        return Entry(
            journal_entry_id=entry_id(self.fact, self.fact_id, self.legal_entity_id, self.currency),
            legal_entity_id=self.legal_entity_id,
            posted_on=posting_day(self.at, zone),
            fact=self.fact,
            fact_id=self.fact_id,
            currency=self.currency,
            postings=self.postings,
            engagement_id=self.engagement_id,
            correlation_id=self.correlation_id,
        )


class Stands(Protocol):
    """An item as the books know it."""

    @property
    def legal_entity_id(self) -> UUID: ...
    @property
    def contract_id(self) -> UUID: ...
    @property
    def contract_line_id(self) -> UUID: ...
    @property
    def engagement_id(self) -> UUID: ...
    @property
    def correlation_id(self) -> UUID: ...
    @property
    def recognised(self) -> Money: ...
    @property
    def treatment(self) -> Treatment: ...


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """A row given up after its release, or that undone.

    `is_released` when it counts at once, `is_withdrawn` when that release was withdrawn before it
    was heard of.
    """

    batch_id: UUID
    at: datetime
    item: BillableItem
    undone: bool
    is_released: bool
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """What one legal entity owes another for work of its people; negative where taken back."""

    batch_id: UUID
    at: datetime
    lending_entity_id: UUID
    borrowing_entity_id: UUID
    contract_id: UUID
    contract_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    amount: Money


@dataclass(frozen=True, slots=True)
class Lapse:
    """What of a retainer lapsed and is earned without work."""

    lapse_id: UUID
    at: datetime
    legal_entity_id: UUID
    contract_id: UUID
    contract_line_id: UUID
    engagement_id: UUID | None
    correlation_id: UUID | None
    amount: Money


@dataclass(frozen=True, slots=True)
class _Part:
    """What one row adds to an entry of its batch."""

    fact: Fact
    fact_id: UUID
    legal_entity_id: UUID
    at: datetime
    engagement_id: UUID | None
    correlation_id: UUID | None
    postings: Sequence[Posting]


def book_withdrawal(withdrawal_id: UUID, items: Iterable[Stands], *, at: datetime) -> list[Booking]:
    """Take back what the release of these items recognised."""
    return _booked(
        _Part(
            Fact.WITHDRAWAL,
            withdrawal_id,
            item.legal_entity_id,
            at,
            item.engagement_id,
            item.correlation_id,
            _earned(item, taken_back=True),
        )
        for item in items
    )


def book_write_offs(written_off: Iterable[WrittenOff]) -> list[Booking]:
    """Give up released work: debit write-off, credit contract asset; the mirror where undone.

    Undone, and not released any more, its revenue is taken back too: the next release brings it.
    """
    parts = []
    for row in written_off:
        item = row.item
        postings = _given_up(item, undone=row.undone)
        if row.undone and (row.is_withdrawn or not row.is_released):
            postings += _earned(item, taken_back=True)
        parts.append(
            _Part(
                Fact.WRITE_OFF_UNDONE if row.undone else Fact.WRITE_OFF,
                row.batch_id,
                item.legal_entity_id,
                row.at,
                item.engagement_id,
                item.correlation_id,
                postings,
            )
        )
    return _booked(parts)


def book_charges(charges: Iterable[Charge]) -> list[Booking]:
    """Book both sides of intercompany charges, each in its own entity's books.

    Lending: debit intercompany receivable, credit intercompany revenue. Borrowing: debit
    intercompany cost, credit intercompany payable.
    """
    parts = []
    for charge in charges:
        amount = charge.amount.rounded()
        where = (charge.contract_id, charge.contract_line_id)
        lending = [
            debit(AccountRole.INTERCOMPANY_RECEIVABLE, amount, *where),
            credit(AccountRole.INTERCOMPANY_REVENUE, amount, *where),
        ]
        borrowing = [
            debit(AccountRole.INTERCOMPANY_COST, amount, *where),
            credit(AccountRole.INTERCOMPANY_PAYABLE, amount, *where),
        ]
        for entity_id, postings in (
            (charge.lending_entity_id, lending),
            (charge.borrowing_entity_id, borrowing),
        ):
            parts.append(
                _Part(
                    Fact.INTERCOMPANY,
                    charge.batch_id,
                    entity_id,
                    charge.at,
                    charge.engagement_id,
                    charge.correlation_id,
                    postings,
                )
            )
    return _booked(parts)


def book_lapses(lapses: Iterable[Lapse]) -> list[Booking]:
    """Earn what lapsed of retainers: debit contract liability, credit revenue."""
    return _booked(
        _Part(
            Fact.RETAINER_LAPSE,
            lapse.lapse_id,
            lapse.legal_entity_id,
            lapse.at,
            lapse.engagement_id,
            lapse.correlation_id,
            earn(
                lapse.amount.rounded(), Treatment.DRAWN, lapse.contract_id, lapse.contract_line_id
            ),
        )
        for lapse in lapses
    )


def book_taken_back(taken: Iterable[tuple[BillableItem, TakenBack]]) -> list[Booking]:
    """Undo what credit notes gave up of work that the row of its release takes back."""
    return _booked(
        _Part(
            Fact.WRITE_OFF_UNDONE,
            reversal.batch_id,
            part.legal_entity_id,
            reversal.released_at,
            part.engagement_id,
            part.correlation_id,
            _given_up(part, undone=True),
        )
        for reversal, part in taken
    )


def _given_up(item: Stands, *, undone: bool) -> list[Posting]:
    if item.treatment is Treatment.PREPAYMENT:
        return []
    amount = -item.recognised if undone else item.recognised
    where = (item.contract_id, item.contract_line_id)
    return [
        debit(AccountRole.WRITE_OFF, amount, *where),
        credit(STANDS_ON[item.treatment], amount, *where),
    ]


def _earned(item: Stands, *, taken_back: bool) -> tuple[Posting, ...]:
    amount = -item.recognised if taken_back else item.recognised
    return earn(amount, item.treatment, item.contract_id, item.contract_line_id)


def _booked(parts: Iterable[_Part]) -> list[Booking]:
    """Return one booking for each fact, entity and currency; none where nothing is left to post."""
    by_entry: dict[tuple[Fact, UUID, UUID, str], list[_Part]] = defaultdict(list)
    for part in parts:
        for currency in dict.fromkeys(each.debit.currency for each in part.postings):
            by_entry[part.fact, part.fact_id, part.legal_entity_id, currency].append(part)
    return [
        Booking(
            legal_entity_id=entity_id,
            fact=fact,
            fact_id=fact_id,
            currency=currency,
            at=of[0].at,
            postings=postings,
            engagement_id=only([part.engagement_id for part in of]),
            correlation_id=only([part.correlation_id for part in of]),
        )
        for (fact, fact_id, entity_id, currency), of in by_entry.items()
        if (postings := _summed([each for part in of for each in part.postings]))
    ]


def _summed(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    """Return one posting for each account and contract line, netted, without those of nothing."""
    sums: dict[tuple[AccountRole, UUID | None, UUID | None], Money] = {}
    for each in postings:
        key = (each.role, each.contract_id, each.contract_line_id)
        amount = each.debit - each.credit
        sums[key] = sums[key] + amount if key in sums else amount
    return not_zero(debit(role, amount, *where) for (role, *where), amount in sums.items())
