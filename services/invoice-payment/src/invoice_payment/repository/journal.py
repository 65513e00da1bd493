"""The journal: entries get their numbers and accounts here, and are published."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.booking import Booking
from invoice_payment.domain.journal import DEFAULT_ACCOUNTS, AccountRole, Entry
from invoice_payment.domain.series import Number, Series, SeriesKey
from invoice_payment.repository import series
from invoice_payment.wire import ledger
from throughline_runtime import outbox

_ADD_ENTRIES: Final = text("""
    INSERT INTO journal_entry (journal_entry_id, legal_entity_id, series_year, sequence, number,
                               posted_on, fact, fact_id, currency, engagement_id, correlation_id)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:entities AS uuid[]), CAST(:years AS integer[]),
        CAST(:sequences AS bigint[]), CAST(:numbers AS text[]), CAST(:days AS date[]),
        CAST(:facts AS text[]), CAST(:fact_ids AS uuid[]), CAST(:currencies AS text[]),
        CAST(:engagement_ids AS uuid[]), CAST(:correlation_ids AS uuid[]))
""")

_ADD_LINES: Final = text("""
    INSERT INTO journal_line (journal_entry_id, line_number, account, account_role, debit, credit,
                              contract_id, contract_line_id)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:line_numbers AS integer[]), CAST(:accounts AS text[]),
        CAST(:roles AS text[]), CAST(:debits AS numeric[]), CAST(:credits AS numeric[]),
        CAST(:contract_ids AS uuid[]), CAST(:contract_line_ids AS uuid[]))
""")

_SEED_ACCOUNTS: Final = text("""
    INSERT INTO account_mapping (legal_entity_id, account_role, version, account)
    SELECT legal_entity_id, account_role, 1, account
    FROM unnest(CAST(:entities AS uuid[])) AS entity (legal_entity_id),
         unnest(CAST(:roles AS text[]), CAST(:accounts AS text[])) AS seed (account_role, account)
    ON CONFLICT DO NOTHING
""")

_POSTED: Final = text("""
    SELECT fact, fact_id, legal_entity_id, currency FROM journal_entry
    JOIN unnest(
        CAST(:facts AS text[]), CAST(:fact_ids AS uuid[]), CAST(:entities AS uuid[]),
        CAST(:currencies AS text[])) AS wanted (fact, fact_id, legal_entity_id, currency)
    USING (fact, fact_id, legal_entity_id, currency)
""")

Accounts = Mapping[AccountRole, str]


async def seed_accounts(tx: AsyncConnection, legal_entity_ids: Iterable[UUID]) -> None:
    """Give new entities the neutral chart; what finance has mapped stays."""
    await tx.execute(
        _SEED_ACCOUNTS,
        {
            "entities": sorted(set(legal_entity_ids)),
            "roles": [role.value for role in DEFAULT_ACCOUNTS],
            "accounts": list(DEFAULT_ACCOUNTS.values()),
        },
    )


async def unposted(tx: AsyncConnection, bookings: Sequence[Booking]) -> list[Booking]:
    """Return those of the facts that have no entry yet."""
    if not bookings:
        return []
    rows = await tx.execute(
        _POSTED,
        {
            "facts": [booking.fact for booking in bookings],
            "fact_ids": [booking.fact_id for booking in bookings],
            "entities": [booking.legal_entity_id for booking in bookings],
            "currencies": [booking.currency for booking in bookings],
        },
    )
    posted = {tuple(row) for row in rows}
    return [
        booking
        for booking in bookings
        if (booking.fact, booking.fact_id, booking.legal_entity_id, booking.currency) not in posted
    ]


async def post(tx: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Write entries and publish them, in a number of statements that does not grow with them.

    Takes numbers of the journal's series, so nothing else is locked after it. What moves nothing,
    such as an invoice of free work, leaves no entry.
    """
    entries = [entry for entry in entries if entry.postings]
    if not entries:
        return
    accounts = await _accounts(tx, {entry.legal_entity_id for entry in entries})
    keys = [_key(entry) for entry in entries]
    taken = await series.lock(tx, Counter(keys))
    used: Counter[SeriesKey] = Counter()
    numbers: list[Number] = []
    for key in keys:
        numbers.append(taken[key].number(used[key]))
        used[key] += 1
    await _write(tx, entries, numbers, accounts)
    messages = [
        ledger.write_entry(entry, number, accounts[entry.legal_entity_id])
        for entry, number in zip(entries, numbers, strict=True)
    ]
    await outbox.append(tx, map(ledger.write_posted, entries, messages))
    await series.advance(tx, taken, {})


async def _accounts(tx: AsyncConnection, entities: Iterable[UUID]) -> Mapping[UUID, Accounts]:
    table = tables.account_mapping
    found: dict[UUID, dict[AccountRole, str]] = {entity: {} for entity in entities}
    for row in await tx.execute(select(table).where(table.c.legal_entity_id.in_(found))):
        found[row.legal_entity_id][AccountRole(row.account_role)] = row.account
    return found


async def _write(
    tx: AsyncConnection,
    entries: Sequence[Entry],
    numbers: Sequence[Number],
    accounts: Mapping[UUID, Accounts],
) -> None:
    await tx.execute(
        _ADD_ENTRIES,
        {
            "ids": [entry.journal_entry_id for entry in entries],
            "entities": [entry.legal_entity_id for entry in entries],
            "years": [number.key.year for number in numbers],
            "sequences": [number.sequence for number in numbers],
            "numbers": [number.text for number in numbers],
            "days": [entry.posted_on for entry in entries],
            "facts": [entry.fact.value for entry in entries],
            "fact_ids": [entry.fact_id for entry in entries],
            "currencies": [entry.currency for entry in entries],
            "engagement_ids": [entry.engagement_id for entry in entries],
            "correlation_ids": [entry.correlation_id for entry in entries],
        },
    )
    lines = [
        (entry, line_number, posting)
        for entry in entries
        for line_number, posting in enumerate(entry.postings, start=1)
    ]
    await tx.execute(
        _ADD_LINES,
        {
            "ids": [entry.journal_entry_id for entry, _, _ in lines],
            "line_numbers": [line_number for _, line_number, _ in lines],
            "accounts": [accounts[entry.legal_entity_id][line.role] for entry, _, line in lines],
            "roles": [line.role.value for _, _, line in lines],
            "debits": [line.debit.amount for _, _, line in lines],
            "credits": [line.credit.amount for _, _, line in lines],
            "contract_ids": [line.contract_id for _, _, line in lines],
            "contract_line_ids": [line.contract_line_id for _, _, line in lines],
        },
    )


def _key(entry: Entry) -> SeriesKey:
    return SeriesKey(entry.legal_entity_id, Series.JOURNAL_ENTRY, entry.posted_on.year)
