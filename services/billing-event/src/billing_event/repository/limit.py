"""Limit accounts, brought to the latest terms."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.claim import Claim
from billing_event.domain.limit import Account, Limit, LimitBook, Reservation
from billing_event.domain.source import ContractId
from billing_event.domain.terms import ContractTerms

# What another limit stops has reserved nothing yet: it does so at all limits once it goes on.
_NOT_STOPPED: Final = """
    NOT EXISTS (
        SELECT FROM hold WHERE hold.billing_event_id = billing_event.billing_event_id
                           AND hold.reason = 'limit_exceeded' AND hold.cleared_at IS NULL)
"""

# A limit set for the first time over work already rated counts that work.
_PUT_LIMITS: Final = text(f"""
    INSERT INTO limit_account (limit_account_id, contract_id, contract_line_id, legal_entity_id,
                               purchase_order_number, contract_version, currency, agreed,
                               enforced, reserved, committed)
    SELECT agreed.limit_account_id, agreed.contract_id, agreed.contract_line_id,
           agreed.legal_entity_id, agreed.purchase_order_number, agreed.contract_version,
           agreed.currency, agreed.amount,
           greatest(agreed.amount, taken.reserved + taken.committed),
           taken.reserved, taken.committed
    FROM unnest(
        CAST(:limit_account_id AS uuid[]), CAST(:contract_id AS uuid[]),
        CAST(:contract_line_id AS uuid[]), CAST(:legal_entity_id AS uuid[]),
        CAST(:purchase_order_number AS text[]), CAST(:contract_version AS integer[]),
        CAST(:currency AS text[]), CAST(:amount AS numeric[])
    ) AS agreed (limit_account_id, contract_id, contract_line_id, legal_entity_id,
                 purchase_order_number, contract_version, currency, amount)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(position.amount - position.allocated_amount), 0) AS reserved,
               coalesce(sum(position.allocated_amount), 0) AS committed
        FROM billing_event JOIN position USING (billing_event_id)
        WHERE billing_event.contract_id = agreed.contract_id
          AND (agreed.contract_line_id IS NULL
               OR billing_event.contract_line_id = agreed.contract_line_id)
          AND (agreed.purchase_order_number IS NULL
               OR billing_event.purchase_order_number = agreed.purchase_order_number)
          AND {_NOT_STOPPED}
    ) AS taken
    ORDER BY agreed.limit_account_id
    ON CONFLICT (limit_account_id) DO UPDATE SET
        contract_version = EXCLUDED.contract_version, agreed = EXCLUDED.agreed,
        enforced = greatest(EXCLUDED.agreed, limit_account.reserved + limit_account.committed)
    WHERE limit_account.contract_version < EXCLUDED.contract_version
    RETURNING limit_account_id, legal_entity_id, agreed, reserved + committed AS taken,
              currency, xmax = 0 AS is_new
""")

_LIFT_LIMITS: Final = text("""
    UPDATE limit_account SET agreed = NULL, enforced = NULL, contract_version = terms.version
    FROM unnest(CAST(:contract_ids AS uuid[]), CAST(:versions AS integer[]))
         AS terms (contract_id, version)
    WHERE limit_account.contract_id = terms.contract_id
      AND limit_account.contract_version < terms.version
""")

_BACKFILL_ENTRIES: Final = text(f"""
    INSERT INTO limit_entry (limit_account_id, kind, cause_id, billing_event_id, amount,
                             recorded_at)
    SELECT account.limit_account_id, entry.kind, billing_event.billing_event_id,
           billing_event.billing_event_id, entry.amount, :at
    FROM limit_account AS account
    JOIN billing_event ON billing_event.contract_id = account.contract_id
     AND (account.contract_line_id IS NULL
          OR billing_event.contract_line_id = account.contract_line_id)
     AND (account.purchase_order_number IS NULL
          OR billing_event.purchase_order_number = account.purchase_order_number)
     AND {_NOT_STOPPED}
    JOIN position USING (billing_event_id)
    CROSS JOIN LATERAL (
        VALUES ('reserve', position.amount), ('commit', position.allocated_amount)
    ) AS entry (kind, amount)
    WHERE account.limit_account_id = ANY(CAST(:limit_account_ids AS uuid[]))
      AND (entry.kind = 'reserve' OR entry.amount <> 0)
    ON CONFLICT DO NOTHING
""")


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

_KNOWN: Final = text("""
    SELECT limit_account_id FROM limit_account
    WHERE limit_account_id = ANY(CAST(:limit_account_ids AS uuid[]))
""")

# In one order for all, so that two batches over the same limits wait and do not deadlock.
_LOCK: Final = text("""
    SELECT limit_account_id, contract_id, contract_line_id, purchase_order_number,
           enforced - reserved - committed AS room
    FROM limit_account WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ORDER BY limit_account_id FOR UPDATE
""")

_RESERVE: Final = text("""
    UPDATE limit_account SET reserved = reserved + taken.amount
    FROM (SELECT limit_account_id, sum(amount) AS amount
          FROM unnest(CAST(:limit_account_id AS uuid[]), CAST(:amount AS numeric[]))
               AS row (limit_account_id, amount)
          GROUP BY limit_account_id) AS taken
    WHERE limit_account.limit_account_id = taken.limit_account_id
""")

_ADD_ENTRIES: Final = tables.insert_of(tables.limit_entry)

_COMMIT: Final = text("""
    WITH claim AS (
        SELECT * FROM unnest(
            CAST(:allocation_ids AS uuid[]), CAST(:billing_event_ids AS uuid[]),
            CAST(:amounts AS numeric[])
        ) AS row (allocation_id, billing_event_id, amount)
    ), entry AS (
        INSERT INTO limit_entry (limit_account_id, kind, cause_id, billing_event_id, amount,
                                 recorded_at)
        SELECT reserved.limit_account_id, 'commit', claim.allocation_id, claim.billing_event_id,
               claim.amount, :at
        FROM claim JOIN billing_event USING (billing_event_id)
        JOIN limit_account AS account ON account.contract_id = billing_event.contract_id
         AND (account.contract_line_id IS NULL
              OR account.contract_line_id = billing_event.contract_line_id)
        JOIN limit_entry AS reserved
          ON (reserved.limit_account_id, reserved.kind, reserved.cause_id)
           = (account.limit_account_id, 'reserve', claim.billing_event_id)
        RETURNING limit_account_id, amount
    )
    UPDATE limit_account
    SET reserved = reserved - taken.amount, committed = committed + taken.amount
    FROM (SELECT limit_account_id, sum(amount) AS amount FROM entry GROUP BY 1) AS taken
    WHERE limit_account.limit_account_id = taken.limit_account_id
""")


async def lock(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> LimitBook:
    """Lock the limits of these contracts for this transaction, and return what they leave."""
    gates = sorted({contract_id.int % _GATES for contract_id in contract_ids})
    await tx.execute(_PASS_GATES, {"class": _GATE_CLASS, "gates": gates})
    rows = await tx.execute(_LOCK, {"contract_ids": list(contract_ids)})
    return LimitBook(
        Account(
            row.limit_account_id,
            row.contract_id,
            row.contract_line_id,
            row.room,
            row.purchase_order_number,
        )
        for row in rows
    )


async def reserve(
    tx: AsyncConnection, reservations: Sequence[Reservation], *, at: datetime
) -> None:
    """Write what a batch took of the limits it has locked."""
    amounts = [reservation.amount for reservation in reservations]
    account_ids = [reservation.limit_account_id for reservation in reservations]
    row_ids = [reservation.billing_event_id for reservation in reservations]
    await tx.execute(_RESERVE, {"limit_account_id": account_ids, "amount": amounts})
    await tx.execute(
        _ADD_ENTRIES,
        {
            "limit_account_id": account_ids,
            "kind": ["reserve"] * len(amounts),
            "cause_id": row_ids,
            "billing_event_id": row_ids,
            "amount": amounts,
            "recorded_at": [at] * len(amounts),
        },
    )


async def commit(tx: AsyncConnection, claims: Sequence[Claim], *, at: datetime) -> None:
    """Turn what was reserved for claimed rows, whose limits are locked, into committed."""
    await tx.execute(
        _COMMIT,
        {
            "allocation_ids": [claim.allocation_id for claim in claims],
            "billing_event_ids": [claim.billing_event_id for claim in claims],
            "amounts": [claim.amount.amount for claim in claims],
            "at": at,
        },
    )


async def put_limits(
    tx: AsyncConnection, terms: Sequence[ContractTerms], limits: Sequence[Limit], *, at: datetime
) -> list[Row[Any]]:
    """Bring limit accounts to the latest terms; a limit the terms no longer have stops nothing.

    Returns `limit_account_id, legal_entity_id, agreed, taken, currency` of each.
    """
    await _close_gates(tx, limits)
    put = await tx.execute(
        _PUT_LIMITS,
        {
            "limit_account_id": [limit.limit_account_id for limit in limits],
            "contract_id": [limit.contract_id for limit in limits],
            "contract_line_id": [limit.contract_line_id for limit in limits],
            "legal_entity_id": [limit.legal_entity_id for limit in limits],
            "purchase_order_number": [limit.purchase_order_number for limit in limits],
            "contract_version": [limit.contract_version for limit in limits],
            "currency": [limit.agreed.currency for limit in limits],
            "amount": [limit.agreed.amount for limit in limits],
        },
    )
    accounts = list(put)
    await tx.execute(_LIFT_LIMITS, _versions(terms))
    new = [row.limit_account_id for row in accounts if row.is_new]
    await tx.execute(_BACKFILL_ENTRIES, {"limit_account_ids": new, "at": at})
    return accounts


async def _close_gates(tx: AsyncConnection, limits: Sequence[Limit]) -> None:
    """Wait for new work under contracts that are about to get a limit they did not have.

    The first version of the terms has no work yet: without terms nothing can be rated.
    """
    later = [limit for limit in limits if limit.contract_version > 1]
    ids = {"limit_account_ids": [limit.limit_account_id for limit in later]}
    known = set((await tx.execute(_KNOWN, ids)).scalars())
    new = [limit.contract_id for limit in later if limit.limit_account_id not in known]
    gates = sorted({contract_id.int % _GATES for contract_id in new})
    await tx.execute(_CLOSE_GATES, {"class": _GATE_CLASS, "gates": gates})


def _versions(terms: Sequence[ContractTerms]) -> dict[str, list[Any]]:
    return {
        "contract_ids": [each.contract_id for each in terms],
        "versions": [each.contract_version for each in terms],
    }
