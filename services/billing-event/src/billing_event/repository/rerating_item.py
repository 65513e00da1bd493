"""What re-rating runs go through, and what they found of each thing."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.position import BillingEventId
from billing_event.domain.rerating import Action, Claims, Finding
from billing_event.domain.rerating_part import Part, fingerprint, parts_from
from billing_event.domain.rerating_run import Cursor, Outcome, ReratingRun, ReratingRunId
from billing_event.domain.source import ContractId, ContractLineId, CustomerId, SourceItemId
from billing_event.repository import standing
from billing_event.repository.rerating import contracts_of

_FORGOTTEN_MAX: Final = 20_000

SumKey: TypeAlias = tuple[ContractId, ContractLineId, date, UUID, Action, str]
"""Contract, line, first day of the month, payer, action and currency of a sum."""

# Every rated thing has exactly one first row, and the index gives these in order.
_NEXT: Final = text("""
    SELECT contract_id, service_from, billing_event_id, source_item_id
    FROM billing_event AS first
    WHERE part = 1 AND reverses_billing_event_id IS NULL
      AND contract_id = ANY(CAST(:contract_ids AS uuid[]))
      AND (contract_id, service_from, billing_event_id) > (:contract_id, :day, :billing_event_id)
      AND (CAST(:contract_line_ids AS uuid[]) IS NULL
           OR contract_line_id = ANY(CAST(:contract_line_ids AS uuid[])))
      AND (CAST(:service_from AS date) IS NULL OR service_from >= CAST(:service_from AS date))
      AND (CAST(:service_through AS date) IS NULL
           OR service_from <= CAST(:service_through AS date))
      AND (CAST(:person_ids AS uuid[]) IS NULL OR EXISTS (
               SELECT FROM source_item AS item
               WHERE item.source_item_id = first.source_item_id
                 AND item.person_id = ANY(CAST(:person_ids AS uuid[]))))
      AND (CAST(:customer_id AS uuid) IS NULL AND CAST(:rate_card_id AS uuid) IS NULL OR EXISTS (
               SELECT FROM billing_event AS own
               WHERE own.source_item_id = first.source_item_id
                 AND own.bill_to_customer_id
                     = coalesce(CAST(:customer_id AS uuid), own.bill_to_customer_id)
                 AND (CAST(:rate_card_id AS uuid) IS NULL
                      OR own.rate_card_id = CAST(:rate_card_id AS uuid))))
    ORDER BY contract_id, service_from, billing_event_id LIMIT :limit
""")

_CLAIMS: Final = text("""
    SELECT billing_event_id, allocated_quantity
    FROM billing_event JOIN position USING (billing_event_id)
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
      AND position.status = 'released' AND position.allocated_quantity <> 0
""")

_ASKED_BACK: Final = text("""
    SELECT billing_event_id FROM withdrawn_row JOIN billing_event USING (billing_event_id)
    WHERE is_pending AND source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")

_FORGET_ITEMS: Final = text("""
    DELETE FROM rerating_item WHERE rerating_run_id = :rerating_run_id AND source_item_id IN (
        SELECT source_item_id FROM rerating_item WHERE rerating_run_id = :rerating_run_id
        LIMIT :limit)
""")

_ADD_ITEMS: Final = text("""
    INSERT INTO rerating_item (
        rerating_run_id, source_item_id, contract_id, contract_line_id, service_from, payer_ids,
        place, invoices, action, reason, unit, currency, old_quantity, new_quantity, old_amount,
        new_amount, parts, is_different, outcome, number)
    SELECT :rerating_run_id, source_item_id, contract_id, contract_line_id, service_from,
           CAST(string_to_array(payer_ids, ' ') AS uuid[]), place,
           string_to_array(invoices, ' '), action, reason, unit, currency, old_quantity,
           new_quantity, old_amount, new_amount, CAST(parts AS jsonb), is_different, outcome,
           number
    FROM unnest(
        CAST(:source_item_id AS uuid[]), CAST(:contract_id AS uuid[]),
        CAST(:contract_line_id AS uuid[]), CAST(:service_from AS date[]),
        CAST(:payer_ids AS text[]), CAST(:place AS text[]), CAST(:invoices AS text[]),
        CAST(:action AS text[]), CAST(:reason AS text[]), CAST(:unit AS text[]),
        CAST(:currency AS text[]), CAST(:old_quantity AS numeric[]),
        CAST(:new_quantity AS numeric[]), CAST(:old_amount AS numeric[]),
        CAST(:new_amount AS numeric[]), CAST(:parts AS text[]), CAST(:is_different AS boolean[]),
        CAST(:outcome AS text[]), CAST(:number AS bigint[])
    ) AS found (source_item_id, contract_id, contract_line_id, service_from, payer_ids, place,
                invoices, action, reason, unit, currency, old_quantity, new_quantity, old_amount,
                new_amount, parts, is_different, outcome, number)
""")

_ADD_SUMS: Final = tables.insert_of(
    tables.rerating_sum,
    """ON CONFLICT (rerating_run_id, contract_id, contract_line_id, month, payer_id, action,
                    currency) DO UPDATE SET
        items = rerating_sum.items + EXCLUDED.items,
        old_amount = rerating_sum.old_amount + EXCLUDED.old_amount,
        new_amount = rerating_sum.new_amount + EXCLUDED.new_amount""",
)

# In the order of the preview, so that payers by amount bear what it showed.
_PENDING_ITEMS: Final = text("""
    SELECT source_item_id FROM rerating_item
    WHERE rerating_run_id = :rerating_run_id AND outcome = 'pending'
    ORDER BY number, source_item_id LIMIT :limit
""")

_WAITING_ITEMS: Final = text("""
    SELECT source_item_id FROM rerating_item
    WHERE rerating_run_id = :rerating_run_id AND outcome = 'waiting'
      AND (CAST(:after AS uuid) IS NULL OR source_item_id > CAST(:after AS uuid))
    ORDER BY source_item_id LIMIT :limit
""")

_MOVE_ITEMS: Final = text("""
    UPDATE rerating_item AS item
    SET outcome = moved.outcome, reason = moved.reason, action = moved.action
    FROM unnest(CAST(:source_item_ids AS uuid[]), CAST(:outcomes AS text[]),
                CAST(:reasons AS text[]), CAST(:actions AS text[]))
         AS moved (source_item_id, outcome, reason, action)
    WHERE item.rerating_run_id = :rerating_run_id
      AND item.source_item_id = moved.source_item_id
""")

_OPEN_AMONG: Final = text("""
    SELECT source_item_id, parts FROM rerating_item
    WHERE rerating_run_id = :rerating_run_id AND outcome = :outcome
      AND source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ORDER BY number, source_item_id
""")


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as a preview keeps it: where documents have it, and whether it will be posted."""

    finding: Finding
    invoices: tuple[str, ...]
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a thing of a run."""

    source_item_id: SourceItemId
    outcome: Outcome
    action: Action
    reason: str = ""


async def next_items(
    tx: AsyncConnection, run: ReratingRun, *, limit: int
) -> tuple[list[SourceItemId], Cursor | None]:
    """Return the things a preview looks at next, and the cursor past them; None if none are left.

    Contracts follow one another, the work of each by day.
    """
    after = run.cursor
    scope = run.scope
    contracts = await contracts_of(tx, scope, after=after.contract_id if after else None)
    rows = await tx.execute(
        _NEXT,
        {
            "contract_ids": contracts,
            "contract_id": after.contract_id if after else UUID(int=0),
            "day": after.service_from if after else date.min,
            "billing_event_id": after.billing_event_id if after else UUID(int=0),
            "contract_line_ids": list(scope.contract_line_ids) or None,
            "service_from": scope.service_from,
            "service_through": scope.service_through,
            "person_ids": list(scope.person_ids) or None,
            "customer_id": scope.customer_id,
            "rate_card_id": scope.rate_card_id,
            "limit": limit,
        },
    )
    found = rows.all()
    if not found:
        return [], None
    last = found[-1]
    return [row.source_item_id for row in found], Cursor(
        last.contract_id, last.service_from, last.billing_event_id
    )


async def load_claims(
    tx: AsyncConnection,
    source_item_ids: Collection[SourceItemId],
    drafted: Collection[BillingEventId] = (),
) -> Claims:
    """Return how much of the released rows of things invoices claim, net of what credits gave.

    Those on drafts are `drafted`, and what invoicing is being asked to let go of.
    """
    ids = {"source_item_ids": list(source_item_ids)}
    rows = await tx.execute(_CLAIMS, ids)
    quantities: dict[BillingEventId, Decimal] = {
        row.billing_event_id: row.allocated_quantity for row in rows
    }
    asked_back = (await tx.execute(_ASKED_BACK, ids)).scalars()
    unissued = frozenset([*drafted, *asked_back]) - quantities.keys()
    given_up = await standing.given_up(tx, source_item_ids)
    return Claims(quantities, unissued, given_up)


async def forget_preview(tx: AsyncConnection, run_id: ReratingRunId) -> bool:
    """Remove what an earlier preview found, in part; return whether there was anything."""
    sums = tables.rerating_sum
    values = {"rerating_run_id": run_id, "limit": _FORGOTTEN_MAX}
    forgotten = await tx.execute(_FORGET_ITEMS, values)
    await tx.execute(delete(sums).where(sums.c.rerating_run_id == run_id))
    return bool(forgotten.rowcount)


async def add_items(
    tx: AsyncConnection, run_id: ReratingRunId, found: Sequence[Found], *, after: int
) -> None:
    """Keep what a preview found of things, numbered on from `after`."""
    findings = [each.finding for each in found]
    items = [each.item for each in findings]
    await tx.execute(
        _ADD_ITEMS,
        {
            "rerating_run_id": run_id,
            "source_item_id": [item.source_item_id for item in items],
            "contract_id": [item.contract_id for item in items],
            "contract_line_id": [item.contract_line_id for item in items],
            "service_from": [item.service_from for item in items],
            "payer_ids": [_payers(each) for each in findings],
            "place": [each.place for each in findings],
            "invoices": [" ".join(each.invoices) for each in found],
            "action": [each.action for each in findings],
            "reason": [each.reason for each in found],
            "unit": [each.unit for each in findings],
            "currency": [each.currency for each in findings],
            "old_quantity": [each.old_quantity for each in findings],
            "new_quantity": [each.new_quantity for each in findings],
            "old_amount": [each.old for each in findings],
            "new_amount": [each.new for each in findings],
            "parts": [_written(each.parts) for each in findings],
            "is_different": [each.is_different for each in findings],
            "outcome": [each.outcome for each in found],
            "number": list(range(after + 1, after + 1 + len(found))),
        },
    )


def _payers(finding: Finding) -> str:
    return " ".join(sorted({str(part.key.payer) for part in finding.parts}))


def _written(parts: Iterable[Part]) -> str:
    return json.dumps(fingerprint(parts), separators=(",", ":"))


async def add_sums(
    tx: AsyncConnection,
    run_id: ReratingRunId,
    sums: Mapping[SumKey, Sequence[Decimal]],
) -> None:
    """Add differences to the sums of a run: by line, month, payer and action things, old, new."""
    # In one order, so that two writers cannot wait for each other.
    keys = sorted(sums)
    await tx.execute(
        _ADD_SUMS,
        {
            "rerating_run_id": [run_id] * len(keys),
            "contract_id": [key[0] for key in keys],
            "contract_line_id": [key[1] for key in keys],
            "month": [key[2] for key in keys],
            "payer_id": [key[3] for key in keys],
            "action": [key[4] for key in keys],
            "currency": [key[5] for key in keys],
            "items": [int(sums[key][0]) for key in keys],
            "old_amount": [sums[key][1] for key in keys],
            "new_amount": [sums[key][2] for key in keys],
        },
    )


async def pending_items(
    tx: AsyncConnection, run_id: ReratingRunId, *, limit: int
) -> list[SourceItemId]:
    """Return the things of a run that are to be posted next, in the order they were previewed."""
    values = {"rerating_run_id": run_id, "limit": limit}
    return list((await tx.execute(_PENDING_ITEMS, values)).scalars())


async def waiting_items(
    tx: AsyncConnection, run_id: ReratingRunId, *, after: SourceItemId | None, limit: int
) -> list[SourceItemId]:
    """Return things of a run that wait for drafts, by id."""
    values = {"rerating_run_id": run_id, "after": after, "limit": limit}
    return list((await tx.execute(_WAITING_ITEMS, values)).scalars())


async def moved_of_payers(
    tx: AsyncConnection, run_id: ReratingRunId, contract_id: ContractId
) -> dict[CustomerId, Decimal]:
    """Return how much more payers of a contract pay by what a preview has found so far."""
    sums = tables.rerating_sum.c
    rows = await tx.execute(
        select(sums.payer_id, func.sum(sums.new_amount - sums.old_amount).label("amount"))
        .where(sums.rerating_run_id == run_id, sums.contract_id == contract_id)
        .where(sums.action != Action.CANNOT)
        .group_by(sums.payer_id)
    )
    return {CustomerId(row.payer_id): row.amount for row in rows}


async def open_among(
    tx: AsyncConnection,
    run_id: ReratingRunId,
    source_item_ids: Sequence[SourceItemId],
    *,
    outcome: Outcome,
) -> dict[SourceItemId, tuple[Part, ...]]:
    """Return what was approved of those things that are in `outcome` still."""
    values = {
        "rerating_run_id": run_id,
        "outcome": outcome,
        "source_item_ids": list(source_item_ids),
    }
    rows = await tx.execute(_OPEN_AMONG, values)
    return {row.source_item_id: parts_from(row.parts) for row in rows}


async def move_items(tx: AsyncConnection, run_id: ReratingRunId, posted: Sequence[Posted]) -> None:
    """Write what became of things."""
    await tx.execute(
        _MOVE_ITEMS,
        {
            "rerating_run_id": run_id,
            "source_item_ids": [each.source_item_id for each in posted],
            "outcomes": [each.outcome for each in posted],
            "reasons": [each.reason for each in posted],
            "actions": [each.action for each in posted],
        },
    )
