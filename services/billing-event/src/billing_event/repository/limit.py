"""Limit accounts: locked while a batch takes of them, and settled."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.agreement import Agreement
from billing_event.domain.claim import Claim, ClaimKind
from billing_event.domain.limit import (
    Account,
    EntryKind,
    LimitAccountId,
    LimitBook,
    LimitScope,
    Reservation,
)
from billing_event.domain.limit_terms import Limit, accounts_of, name_of
from billing_event.domain.limit_usage import Usage
from billing_event.domain.position import BillingEventId
from billing_event.domain.source import ContractId
from throughline_core.money import Money

_SUM: Final = "reserved + committed AS taken"
USAGE: Final = f"""
    limit_account_id, scope, contract_id, contract_line_id, legal_entity_id, currency, agreed,
    enforced, tolerance_percent, enforcement, {_SUM}, alert_percents,
    alerted_percent, alert_version, purchase_order_number, customer_id, category, person_id, day
"""


_TAKEN: Final = "limit_account.reserved + limit_account.committed"


def enforced_of(agreed: str, taken: str = _TAKEN, *, settings: str = "limit_account") -> str:
    """Return what is enforced: the agreed amount with its tolerance, or what had been taken.

    By the enforcement and the tolerance that `settings`, a table of the statement, has.
    """
    allowed = f"trunc({agreed} * (1 + {settings}.tolerance_percent / 100), 6)"
    return (
        f"CASE {settings}.enforcement WHEN 'soft' THEN {allowed}"
        f" ELSE greatest({allowed}, {taken}) END"
    )


# New work under a contract without a limit and the first limit of a contract exclude each other,
# or the work would be on neither side's count. A few gates stand for all contracts, because the
# server's lock table is small.
_PASS_GATES: Final = text(
    "SELECT pg_advisory_xact_lock_shared(:class, gate) FROM unnest(CAST(:gates AS int[])) AS gate"
)
_CLOSE_GATES: Final = text(
    "SELECT pg_advisory_xact_lock(:class, gate) FROM unnest(CAST(:gates AS int[])) AS gate"
)
_GATE_CLASS: Final = 0x6C69_6D74
_GATES: Final = 64

# In one order for all, so that two batches over the same limits wait and do not deadlock; daily
# caps come last, because whoever opens them holds the limits of their contracts by then.
_READ: Final = """
    SELECT *, CASE enforcement WHEN 'hard' THEN enforced - reserved - committed END AS room,
           coalesce(enforced - trunc(agreed * (1 + tolerance_percent / 100), 6), 0) AS excess
    FROM limit_account
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[])) AND scope <> 'category'
       OR limit_account_id = ANY(CAST(:limit_account_ids AS uuid[]))
    ORDER BY scope = 'category', limit_account_id
"""
_LOCK: Final = text(f"{_READ} FOR UPDATE")
_LOCK_OF_ROWS: Final = text("""
    SELECT FROM limit_account
    WHERE limit_account_id IN (SELECT limit_account_id FROM limit_entry
                               WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[])))
    ORDER BY scope = 'category', limit_account_id FOR UPDATE
""")

# What is given back brings a limit that was lowered below what had been taken nearer to it.
_RESERVE: Final = text(f"""
    UPDATE limit_account SET reserved = reserved + taken.amount,
        -- Only what is owed may raise it: the check refuses whatever else does not fit.
        enforced = CASE WHEN agreed IS NOT NULL THEN
            least(CASE WHEN NOT taken.is_owed THEN enforced END,
                  {enforced_of("agreed", "reserved + committed + taken.amount")}) END
    FROM (SELECT limit_account_id, sum(amount) AS amount, bool_or(is_owed) AS is_owed
          FROM unnest(CAST(:limit_account_id AS uuid[]), CAST(:amount AS numeric[]),
                      CAST(:is_owed AS boolean[])) AS row (limit_account_id, amount, is_owed)
          GROUP BY limit_account_id) AS taken
    WHERE limit_account.limit_account_id = taken.limit_account_id
    RETURNING {USAGE.replace("limit_account_id", "limit_account.limit_account_id", 1)}
""")

_ADD_ENTRIES: Final = tables.insert_of(tables.limit_entry)

_ENTRY_KINDS: Final = {
    ClaimKind.INVOICE: EntryKind.COMMIT,
    ClaimKind.CREDIT: EntryKind.RELEASE,
    ClaimKind.WRITE_OFF: EntryKind.WRITE_OFF,
    ClaimKind.RETAINER: EntryKind.COMMIT,
}

# A claim moves every limit its row took from; one that was held until it was claimed took of none.
_SETTLE: Final = text(f"""
    WITH claim AS (
        SELECT * FROM unnest(
            CAST(:allocation_ids AS uuid[]), CAST(:billing_event_ids AS uuid[]),
            CAST(:kinds AS text[]), CAST(:amounts AS numeric[])
        ) AS row (allocation_id, billing_event_id, kind, amount)
    ), entry AS (
        INSERT INTO limit_entry (limit_account_id, kind, cause_id, billing_event_id, amount,
                                 recorded_at)
        SELECT took.limit_account_id, claim.kind, claim.allocation_id, claim.billing_event_id,
               claim.amount, :at
        FROM claim JOIN (
            SELECT DISTINCT limit_account_id, billing_event_id FROM limit_entry
            WHERE kind = 'reserve' AND billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
        ) AS took USING (billing_event_id)
        RETURNING limit_account_id,
                  CASE kind WHEN 'commit' THEN amount WHEN 'release' THEN -amount ELSE 0 END
                      AS committed,
                  CASE kind WHEN 'write_off' THEN amount ELSE 0 END AS given_up
    )
    UPDATE limit_account
    SET reserved = reserved - moved.committed - moved.given_up,
        committed = limit_account.committed + moved.committed,
        enforced = CASE WHEN agreed IS NOT NULL THEN
            least(enforced, {enforced_of("agreed", f"{_TAKEN} - moved.given_up")}) END
    FROM (SELECT limit_account_id AS moved_id, sum(committed) AS committed,
                 sum(given_up) AS given_up
          FROM entry GROUP BY 1) AS moved
    WHERE limit_account_id = moved.moved_id
    RETURNING {USAGE.replace(_SUM, f"{_TAKEN} AS taken")}, moved.given_up
""")


async def pass_gates(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> None:
    """Keep first limits of these contracts out until this transaction has written its work.

    Before the facts are read, so that no work is rated by terms older than such a limit's.
    """
    gates = sorted({contract_id.int % _GATES for contract_id in contract_ids})
    await tx.execute(_PASS_GATES, {"class": _GATE_CLASS, "gates": gates})


async def close_gates(
    tx: AsyncConnection, contract_ids: Collection[ContractId] | None = None
) -> None:
    """Keep everybody from the limits of these contracts, or of all, until this transaction ends.

    Whoever changes a limit does so before it locks any, and has counted one more change of facts:
    two that close gates never wait for each other here.
    """
    gates = set(range(_GATES))
    if contract_ids is not None:
        gates = {contract_id.int % _GATES for contract_id in contract_ids}
    await tx.execute(_CLOSE_GATES, {"class": _GATE_CLASS, "gates": sorted(gates)})


async def lock(
    tx: AsyncConnection,
    contract_ids: Collection[ContractId],
    limit_account_ids: Collection[LimitAccountId] = (),
) -> LimitBook:
    """Lock the limits of these contracts and those named, and return what they leave.

    The transaction has passed the contracts' gates before.
    """
    values = {"contract_ids": list(contract_ids), "limit_account_ids": list(limit_account_ids)}
    return LimitBook(map(_account_from, await tx.execute(_LOCK, values)))


async def lock_of_contracts(
    tx: AsyncConnection, agreements: Mapping[ContractId, Agreement]
) -> None:
    """Pass the gates of contracts, and lock all limits that work under them meets but daily caps.

    For whoever is about to lock what comes after limits, and to rate work in the end.
    """
    await pass_gates(tx, agreements.keys())
    await lock(tx, agreements.keys(), accounts_of((), agreements))


async def read(
    tx: AsyncConnection,
    contract_ids: Collection[ContractId],
    limit_account_ids: Collection[LimitAccountId],
    *,
    taken: Mapping[LimitAccountId, Decimal],
) -> LimitBook:
    """Return what the limits of these contracts and those named leave, once `taken` is gone too.

    Nothing is locked: what is taken of such a book is not to be kept.
    """
    values = {"contract_ids": list(contract_ids), "limit_account_ids": list(limit_account_ids)}
    accounts = [_account_from(row) for row in await tx.execute(text(_READ), values)]
    for account in accounts:
        if account.room is not None:
            account.room -= taken.get(account.limit_account_id, Decimal(0))
    return LimitBook(accounts)


async def lock_of_rows(tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]) -> None:
    """Lock the limits that rows took from."""
    await tx.execute(_LOCK_OF_ROWS, {"billing_event_ids": list(billing_event_ids)})


async def reserve(
    tx: AsyncConnection, reservations: Sequence[Reservation], *, at: datetime
) -> list[Usage]:
    """Write what a batch took of the limits it has locked, and return how much is taken now."""
    account_ids = [reservation.limit_account_id for reservation in reservations]
    changes = [reservation.change for reservation in reservations]
    owed = [reservation.is_owed for reservation in reservations]
    used = await tx.execute(
        _RESERVE, {"limit_account_id": account_ids, "amount": changes, "is_owed": owed}
    )
    usages = [usage_from(row) for row in used]
    await tx.execute(
        _ADD_ENTRIES,
        {
            "limit_account_id": account_ids,
            "kind": [reservation.kind for reservation in reservations],
            "cause_id": [reservation.cause_id for reservation in reservations],
            "billing_event_id": [reservation.billing_event_id for reservation in reservations],
            "amount": [reservation.amount for reservation in reservations],
            "recorded_at": [at] * len(reservations),
        },
    )
    return usages


async def settle(tx: AsyncConnection, claims: Sequence[Claim], *, at: datetime) -> list[Usage]:
    """Commit what invoices claim of rows, and reserve again what credit notes give back.

    The limits these rows took from are locked. What is taken of them stays the same, unless what
    was given back is given up: then it is free again, and the limits it is free of are returned.
    """
    settled = await tx.execute(
        _SETTLE,
        {
            "allocation_ids": [claim.allocation_id for claim in claims],
            "billing_event_ids": [claim.billing_event_id for claim in claims],
            "kinds": [_ENTRY_KINDS[claim.kind] for claim in claims],
            "amounts": [
                -claim.amount.amount if _is_credit(claim) else claim.amount.amount
                for claim in claims
            ],
            "at": at,
        },
    )
    return [usage_from(row) for row in settled if row.given_up > 0]


def usage_from(row: Row[Any]) -> Usage:
    """Return how much of a limit is taken from the columns that tell of it."""
    limit = _limit_from(row)
    return Usage(
        limit=limit,
        name=name_of(limit),
        agreed=row.agreed,
        enforced=row.enforced,
        taken=row.taken,
        tolerance_percent=row.tolerance_percent,
        is_hard=row.enforcement == "hard",
        alert_percents=tuple(row.alert_percents),
        alerted_percent=row.alerted_percent,
        alert_version=row.alert_version,
    )


def _account_from(row: Row[Any]) -> Account:
    limit = _limit_from(row)
    agreed = None if row.agreed is None else limit.agreed
    name = name_of(limit)
    return Account(limit.limit_account_id, limit.scope, row.room, name, agreed, row.excess)


def _limit_from(row: Row[Any]) -> Limit:
    return Limit(
        limit_account_id=row.limit_account_id,
        scope=LimitScope(row.scope),
        legal_entity_id=row.legal_entity_id,
        agreed=Money(row.agreed or Decimal(0), row.currency),
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        purchase_order_number=row.purchase_order_number,
        customer_id=row.customer_id,
        category=row.category,
        person_id=row.person_id,
        day=row.day,
    )


def _is_credit(claim: Claim) -> bool:
    return claim.kind is ClaimKind.CREDIT
