"""Limit accounts, brought to what is agreed; what was rated before is counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.limit import LimitAccountId
from billing_event.domain.limit_terms import Limit
from billing_event.domain.limit_usage import Usage
from billing_event.domain.terms import ContractTerms
from billing_event.repository.limit import USAGE, close_gates, enforced_of, usage_from

# Which rows a limit of each kind counts; draws on a retainer never, because their block is counted.
_OF_CONTRACT: Final = """
    billing_event.contract_id = account.contract_id
    AND (account.contract_line_id IS NULL
         OR billing_event.contract_line_id = account.contract_line_id)
    AND (account.purchase_order_number IS NULL
         OR billing_event.purchase_order_number = account.purchase_order_number)
    AND (account.customer_id IS NULL OR billing_event.bill_to_customer_id = account.customer_id)
"""
_OF_CUSTOMER: Final = """
    billing_event.bill_to_customer_id = account.customer_id
    AND billing_event.legal_entity_id = account.legal_entity_id
    AND billing_event.currency = account.currency
"""
_OF_CATEGORY: Final = """
    billing_event.contract_id = account.contract_id
    AND billing_event.contract_line_id = account.contract_line_id
    AND billing_event.service_from = account.day
    AND EXISTS (SELECT FROM source_item AS item
                WHERE item.source_item_id = billing_event.source_item_id
                  AND (item.category, item.person_id) = (account.category, account.person_id))
"""

# What another limit stops has reserved nothing yet: it does so at all limits once it goes on.
_NOT_STOPPED: Final = """
    billing_event.treatment <> 'drawn'
    AND NOT EXISTS (
        SELECT FROM hold WHERE hold.billing_event_id = billing_event.billing_event_id
                           AND hold.reason = 'limit_exceeded' AND hold.cleared_at IS NULL)
"""


# What was written off is claimed like what was invoiced, and takes no room.
_GIVEN_UP: Final = """
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(allocation.amount), 0) AS amount FROM allocation
        WHERE allocation.billing_event_id = billing_event.billing_event_id
          AND allocation.kind = 'write_off'
    ) AS given_up
"""


# A limit set for the first time over work already rated counts that work.
def _put(rows: str, *, newer: str) -> TextClause:
    return text(f"""
    INSERT INTO limit_account (
        limit_account_id, scope, contract_id, contract_line_id, legal_entity_id,
        purchase_order_number, customer_id, category, person_id, day, contract_version, currency,
        agreed, enforced, reserved, committed, alert_percents)
    SELECT account.limit_account_id, account.scope, account.contract_id,
           account.contract_line_id, account.legal_entity_id, account.purchase_order_number,
           account.customer_id, account.category, account.person_id, account.day,
           account.contract_version, account.currency, account.amount,
           greatest(account.amount, taken.reserved + taken.committed),
           taken.reserved, taken.committed,
           CASE account.scope WHEN 'category' THEN CAST('{{}}' AS integer[]) ELSE '{{80,100}}' END
    FROM unnest(
        CAST(:limit_account_id AS uuid[]), CAST(:scope AS text[]), CAST(:contract_id AS uuid[]),
        CAST(:contract_line_id AS uuid[]), CAST(:legal_entity_id AS uuid[]),
        CAST(:purchase_order_number AS text[]), CAST(:customer_id AS uuid[]),
        CAST(:category AS text[]), CAST(:person_id AS uuid[]), CAST(:day AS date[]),
        CAST(:contract_version AS integer[]), CAST(:currency AS text[]),
        CAST(:amount AS numeric[])
    ) AS account (limit_account_id, scope, contract_id, contract_line_id, legal_entity_id,
                  purchase_order_number, customer_id, category, person_id, day, contract_version,
                  currency, amount)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(position.amount - position.allocated_amount), 0) AS reserved,
               coalesce(sum(position.allocated_amount - given_up.amount), 0) AS committed
        FROM billing_event JOIN position USING (billing_event_id) {_GIVEN_UP}
        WHERE {rows} AND {_NOT_STOPPED}
    ) AS taken
    ORDER BY account.limit_account_id
    ON CONFLICT (limit_account_id) DO UPDATE SET
        contract_version = EXCLUDED.contract_version, agreed = EXCLUDED.agreed,
        enforced = {enforced_of("EXCLUDED.agreed")}
    WHERE {newer}
    RETURNING {USAGE}, xmax = 0 AS is_new
""")


_IS_NEWER: Final = "limit_account.contract_version < EXCLUDED.contract_version"
_PUT_OF_CONTRACTS: Final = _put(_OF_CONTRACT, newer=_IS_NEWER)
_PUT_CAPS: Final = _put(_OF_CATEGORY, newer=_IS_NEWER)
_PUT_OF_CUSTOMER: Final = _put(_OF_CUSTOMER, newer="true")

_LIFT_LIMITS: Final = text(f"""
    UPDATE limit_account SET agreed = NULL, enforced = NULL, contract_version = terms.version
    FROM unnest(CAST(:contract_ids AS uuid[]), CAST(:versions AS integer[]))
         AS terms (contract_id, version)
    WHERE limit_account.contract_id = terms.contract_id AND limit_account.scope <> 'category'
      AND limit_account.contract_version < terms.version
    RETURNING {USAGE.replace("contract_id,", "limit_account.contract_id,", 1)}
""")

_LIFT_LIMIT: Final = text(f"""
    UPDATE limit_account SET agreed = NULL, enforced = NULL
    WHERE limit_account_id = :limit_account_id
    RETURNING {USAGE}
""")


def _backfill(rows: str) -> TextClause:
    return text(f"""
    INSERT INTO limit_entry (limit_account_id, kind, cause_id, billing_event_id, amount,
                             recorded_at)
    SELECT account.limit_account_id, entry.kind, billing_event.billing_event_id,
           billing_event.billing_event_id, entry.amount, :at
    FROM limit_account AS account JOIN billing_event ON {rows} AND {_NOT_STOPPED}
    JOIN position USING (billing_event_id) {_GIVEN_UP}
    CROSS JOIN LATERAL (
        VALUES ('reserve', position.amount),
               ('commit', position.allocated_amount - given_up.amount),
               ('write_off', given_up.amount)
    ) AS entry (kind, amount)
    WHERE account.limit_account_id = ANY(CAST(:limit_account_ids AS uuid[]))
      AND (entry.kind = 'reserve' OR entry.amount <> 0)
    ON CONFLICT DO NOTHING
""")


_BACKFILL_OF_CONTRACTS: Final = _backfill(_OF_CONTRACT)
_BACKFILL_CAPS: Final = _backfill(_OF_CATEGORY)
_BACKFILL_OF_CUSTOMER: Final = _backfill(_OF_CUSTOMER)


_KNOWN: Final = text("""
    SELECT limit_account_id FROM limit_account
    WHERE limit_account_id = ANY(CAST(:limit_account_ids AS uuid[]))
""")


async def put_limits(
    tx: AsyncConnection, terms: Sequence[ContractTerms], limits: Sequence[Limit], *, at: datetime
) -> list[Usage]:
    """Bring limit accounts to the latest terms; a limit the terms no longer have stops nothing.

    The transaction has locked the limits that are there before.
    """
    usages = await _put_all(tx, _PUT_OF_CONTRACTS, _BACKFILL_OF_CONTRACTS, limits, at=at)
    lifted = await tx.execute(_LIFT_LIMITS, _versions(terms))
    return usages + [usage_from(row) for row in lifted]


async def put_caps(tx: AsyncConnection, caps: Sequence[Limit], *, at: datetime) -> None:
    """Open the accounts of daily caps that work is about to meet, or bring them to its terms."""
    await _put_all(tx, _PUT_CAPS, _BACKFILL_CAPS, caps, at=at)


async def put_customer_limit(tx: AsyncConnection, limit: Limit, *, at: datetime) -> Usage:
    """Set the limit of a customer over all its contracts, over what was rated already as well.

    The transaction has closed the gates of all contracts before.
    """
    [usage] = await _put_all(tx, _PUT_OF_CUSTOMER, _BACKFILL_OF_CUSTOMER, [limit], at=at)
    return usage


async def lift_limit(tx: AsyncConnection, limit_account_id: LimitAccountId) -> Usage:
    """Let a limit stop nothing any more; what was taken of it stays on its account."""
    lifted = await tx.execute(_LIFT_LIMIT, {"limit_account_id": limit_account_id})
    return usage_from(lifted.one())


async def _put_all(
    tx: AsyncConnection,
    put: TextClause,
    backfill: TextClause,
    limits: Sequence[Limit],
    *,
    at: datetime,
) -> list[Usage]:
    rows = (await tx.execute(put, _columns(limits))).all()
    new = [row.limit_account_id for row in rows if row.is_new]
    await tx.execute(backfill, {"limit_account_ids": new, "at": at})
    return [usage_from(row) for row in rows]


async def close_gates_of_new(
    tx: AsyncConnection, terms: Sequence[ContractTerms], limits: Sequence[Limit]
) -> None:
    """Wait for new work under contracts that are about to get a limit they did not have.

    The first version of the terms has no work yet: without terms nothing can be rated.
    """
    later = [limit for limit in limits if (limit.contract_version or 1) > 1]
    ids = {"limit_account_ids": [limit.limit_account_id for limit in later]}
    known = set((await tx.execute(_KNOWN, ids)).scalars())
    new = {limit.contract_id for limit in later if limit.limit_account_id not in known}
    new |= {each.contract_id for each in terms if each.contract_version > 1 and _has_caps(each)}
    await close_gates(tx, {contract_id for contract_id in new if contract_id is not None})


def _columns(limits: Sequence[Limit]) -> Mapping[str, list[Any]]:
    return {
        "limit_account_id": [limit.limit_account_id for limit in limits],
        "scope": [limit.scope for limit in limits],
        "contract_id": [limit.contract_id for limit in limits],
        "contract_line_id": [limit.contract_line_id for limit in limits],
        "legal_entity_id": [limit.legal_entity_id for limit in limits],
        "purchase_order_number": [limit.purchase_order_number for limit in limits],
        "customer_id": [limit.customer_id for limit in limits],
        "category": [limit.category for limit in limits],
        "person_id": [limit.person_id for limit in limits],
        "day": [limit.day for limit in limits],
        "contract_version": [limit.contract_version for limit in limits],
        "currency": [limit.agreed.currency for limit in limits],
        "amount": [limit.agreed.amount for limit in limits],
    }


def _has_caps(terms: ContractTerms) -> bool:
    return any(line.daily_caps for line in terms.lines.values())


def _versions(terms: Sequence[ContractTerms]) -> dict[str, list[Any]]:
    return {
        "contract_ids": [each.contract_id for each in terms],
        "versions": [each.contract_version for each in terms],
    }
