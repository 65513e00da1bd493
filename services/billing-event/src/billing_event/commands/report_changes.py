"""Brings into the exceptions queue what changed terms leave to people: re-rating, ends, gaps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.commands import rerating_open
from billing_event.domain.agreement import Amendment, unsupported
from billing_event.domain.rerating_run import Cause, ReratingRunId, Scope
from billing_event.domain.terms import ContractTerms
from billing_event.repository import rerating_cause
from throughline_runtime import exceptions

NOT_BILLED: Final = "contract.not_all_billed"
RERATING: Final = "contract.rerating_needed"
_MOVES_ALL: Final = "have what is invoiced credited and billed to the new party as well:"
AFTER_END: Final = "contract.released_after_end"

_ADD_AMENDMENTS: Final = tables.insert_of(tables.amendment, "ON CONFLICT DO NOTHING")

# What is looked at again: recent news, and what the queue shows, until a run over all of it has
# been applied or rejected. Milestones have agreed amounts. A usage period is billed by the terms it
# was closed by, whichever holds when a late reading bills it anew, and a recurring one by those it
# was charged by, also where it was rated anew for its days alone.
_RERATING: Final = text("""
    WITH looked_at AS (
        SELECT * FROM amendment
        WHERE recorded_at > CAST(:at AS timestamptz) - interval '2 days'
           OR EXISTS (SELECT FROM exception_item WHERE closed_at IS NULL AND kind = :kind
                        AND subject_id = amendment.contract_id)
    )
    SELECT looked_at.contract_id, contract.legal_entity_id,
           max(looked_at.contract_version) AS version,
           array_agg(DISTINCT looked_at.contract_version) AS versions,
           array_agg(DISTINCT looked_at.contract_line_id) AS contract_line_ids,
           min(looked_at.effective_on) AS since, count(DISTINCT event.source_item_id) AS items,
           count(DISTINCT event.source_item_id) FILTER (WHERE position.allocated_amount <> 0)
               AS invoiced,
           string_agg(DISTINCT looked_at.change_order_number, ', ') AS numbers
    FROM looked_at JOIN contract_state AS contract USING (contract_id)
    JOIN contract_terms AS terms USING (contract_id, contract_version)
    LEFT JOIN billing_event AS event
      ON event.contract_id = looked_at.contract_id
     AND event.service_from >= looked_at.effective_on
     AND coalesce(
             (SELECT period.contract_version FROM recurring_period AS period
              WHERE period.recurring_period_id = event.source_item_id
                AND event.rerating_run_id IS NULL),
             (SELECT period.contract_version FROM usage_period AS period
              WHERE event.type = 'usage' AND period.usage_period_id = event.source_item_id),
             event.contract_version) < looked_at.contract_version
     AND event.type <> 'milestone' AND event.reverses_billing_event_id IS NULL
     AND event.contract_line_id = looked_at.contract_line_id
     AND NOT EXISTS (SELECT FROM billing_event AS taker
                     WHERE taker.reverses_billing_event_id = event.billing_event_id)
     AND NOT EXISTS (
         SELECT FROM rerating_run AS run
         WHERE run.status IN ('applied', 'rejected') AND run.facts_epoch >= terms.epoch
           AND run.contract_ids @> ARRAY[looked_at.contract_id]
           AND (run.contract_line_ids = '{}'
                OR run.contract_line_ids @> ARRAY[looked_at.contract_line_id])
           AND (run.service_from IS NULL OR run.service_from <= looked_at.effective_on)
           AND run.service_through IS NULL AND run.person_ids = '{}'
           AND num_nonnulls(run.customer_id, run.rate_card_id) = 0)
    LEFT JOIN position USING (billing_event_id)
    GROUP BY looked_at.contract_id, contract.legal_entity_id
""")

# Released work of contracts whose bill-to moved. Where several share the bill, the terms of the day
# say who they are: that is an amendment of its own.
_MOVED: Final = text("""
    SELECT contract.contract_id, contract.legal_entity_id, contract.newest_version AS version,
           count(DISTINCT event.source_item_id) AS items, min(event.service_from) AS since
    FROM contract_state AS contract
    JOIN contract_terms AS terms
      ON (terms.contract_id, terms.contract_version)
         = (contract.contract_id, contract.newest_version)
    JOIN billing_event AS event
      ON event.contract_id = contract.contract_id AND event.share_percent IS NULL
     AND event.bill_to_customer_id <> contract.bill_to_customer_id
     AND event.treatment <> 'drawn' AND event.reverses_billing_event_id IS NULL
     AND NOT EXISTS (SELECT FROM billing_event AS taker
                     WHERE taker.reverses_billing_event_id = event.billing_event_id)
    JOIN position USING (billing_event_id)
    WHERE position.status = 'released'
      AND position.allocated_quantity = 0 AND position.allocated_amount = 0
      AND EXISTS (SELECT FROM contract_terms AS before
                  WHERE before.contract_id = contract.contract_id
                    AND before.bill_to_customer_id <> contract.bill_to_customer_id)
      AND NOT EXISTS (
          SELECT FROM rerating_run AS run
          WHERE run.status IN ('applied', 'rejected') AND run.facts_epoch >= terms.epoch
            AND run.contract_ids @> ARRAY[contract.contract_id] AND run.moves_payers)
    GROUP BY contract.contract_id, contract.legal_entity_id, contract.newest_version
""")

_SHOWN: Final = text("""
    SELECT subject_id FROM exception_item WHERE closed_at IS NULL AND kind = :kind
""")

_AFTER_END: Final = text("""
    SELECT contract.contract_id, contract.legal_entity_id, contract.ended_on,
           count(DISTINCT event.source_item_id) AS items
    FROM contract_state AS contract
    LEFT JOIN (billing_event AS event JOIN position USING (billing_event_id))
      ON event.contract_id = contract.contract_id AND event.service_from >= contract.ended_on
     AND event.type <> 'recurring' AND position.status = 'released'
     AND event.reverses_billing_event_id IS NULL
     AND NOT EXISTS (SELECT FROM billing_event AS taker
                     WHERE taker.reverses_billing_event_id = event.billing_event_id)
    WHERE contract.ended_on IS NOT NULL
    GROUP BY contract.contract_id, contract.legal_entity_id, contract.ended_on
""")


async def keep_amendments(
    tx: AsyncConnection, amendments: Sequence[Amendment], *, at: datetime
) -> None:
    """Keep from when on which lines are priced anew: a re-rating starts from there."""
    rows = [(each, line_id) for each in amendments for line_id in sorted(each.contract_line_ids)]
    await tx.execute(
        _ADD_AMENDMENTS,
        {
            "contract_id": [each.contract_id for each, _ in rows],
            "contract_version": [each.contract_version for each, _ in rows],
            "contract_line_id": [line_id for _, line_id in rows],
            "effective_on": [each.effective_on for each, _ in rows],
            "change_order_number": [each.change_order_number for each, _ in rows],
            "recorded_at": [at] * len(rows),
        },
    )


async def report_terms(tx: AsyncConnection, latest: Sequence[ContractTerms]) -> None:
    """Show what of contracts is known and not billed by itself, or take it out of the queue."""
    found = {terms.contract_id: (terms, unsupported(terms)) for terms in latest}
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=NOT_BILLED,
                subject_id=terms.contract_id,
                reason=f"not billed by itself: {', '.join(words)}",
                owner="finance",
                advice="bill it outside, or agree on terms that are billed here",
                legal_entity_id=terms.legal_entity_id,
                engagement_id=terms.engagement_id,
            )
            for terms, words in found.values()
            if words
        ),
    )
    await exceptions.close(
        tx, NOT_BILLED, [contract_id for contract_id, (_, words) in found.items() if not words]
    )


async def report_changes(tx: AsyncConnection, *, at: datetime) -> None:
    """Show work that was rated by terms or cards which changed since, or after a contract's end.

    Each such change opens a re-rating run, as a draft, once.
    """
    await _report_overtaken(tx, at=at)
    await rerating_open.open_for_cards(tx, at=at)
    ended = (await tx.execute(_AFTER_END)).all()
    await exceptions.open_all(tx, (_after_end(row) for row in ended if row.items))
    await exceptions.close(tx, AFTER_END, [row.contract_id for row in ended if not row.items])


async def _report_overtaken(tx: AsyncConnection, *, at: datetime) -> None:
    """Show work whose price or payer is another by now: one run and one entry a contract.

    A run that moves payers covers all of its contract, changed prices among it.
    """
    rows = (await tx.execute(_RERATING, {"at": at, "kind": RERATING})).all()
    priced = {row.contract_id: row for row in rows if row.items}
    moved = {row.contract_id: row for row in await tx.execute(_MOVED)}
    splits = await rerating_cause.moving_payers(
        tx, {contract_id: row.versions for contract_id, row in priced.items()}
    )
    halts = {}
    for contract_id, row in priced.items():
        if contract_id not in moved:
            run_id = await _open_run(tx, row, at=at, moves_payers=contract_id in splits)
            halts[contract_id] = _rerating(row, run_id)
    for contract_id, row in moved.items():
        halts[contract_id] = _moving(row, await _open_move(tx, row, at=at))
    await exceptions.open_all(tx, halts.values())
    shown = (await tx.execute(_SHOWN, {"kind": RERATING})).scalars()
    await exceptions.close(tx, RERATING, [each for each in shown if each not in halts])


async def _open_run(
    tx: AsyncConnection, row: Row[Any], *, at: datetime, moves_payers: bool
) -> ReratingRunId:
    scope = Scope(
        legal_entity_id=row.legal_entity_id,
        contract_ids=(row.contract_id,),
        contract_line_ids=tuple(row.contract_line_ids),
        service_from=row.since,
    )
    return await rerating_open.open_run(
        tx,
        rerating_open.run_of_terms(row.contract_id, row.version),
        scope,
        cause=Cause.CHANGE_ORDER,
        reason=row.numbers,
        at=at,
        moves_payers=moves_payers,
    )


async def _open_move(tx: AsyncConnection, row: Row[Any], *, at: datetime) -> ReratingRunId:
    return await rerating_open.open_run(
        tx,
        rerating_open.run_of_move(row.contract_id, row.version),
        Scope(legal_entity_id=row.legal_entity_id, contract_ids=(row.contract_id,)),
        cause=Cause.CHANGE_ORDER,
        reason=f"bill-to of version {row.version}",
        at=at,
        moves_payers=True,
        # Once nothing is left to move, changed prices need the run of their own again.
        takes_over=False,
    )


def _moving(row: Row[Any], run_id: ReratingRunId) -> exceptions.Halt:
    return _halt(
        row,
        run_id,
        reason=f"{row.items} released items of {row.since} and later are billed to who received the"
        f" invoices before version {row.version} of the terms",
        advice=f"withdraw their release, and they follow by themselves; or {_MOVES_ALL}"
        f" {rerating_open.advice_on(run_id)}",
    )


def _rerating(row: Row[Any], run_id: ReratingRunId) -> exceptions.Halt:
    return _halt(
        row,
        run_id,
        reason=f"re-rating needed: {row.items} rated items of {row.since} and later, {row.invoiced}"
        f" of them invoiced, fall under prices changed by {row.numbers}",
        advice=rerating_open.advice_on(run_id),
        invoiced=row.invoiced,
    )


def _halt(
    row: Row[Any], run_id: ReratingRunId, *, reason: str, advice: str, **counted: int
) -> exceptions.Halt:
    return exceptions.Halt(
        kind=RERATING,
        subject_id=row.contract_id,
        reason=reason,
        owner="finance",
        advice=advice,
        legal_entity_id=row.legal_entity_id,
        detail={
            "items": row.items,
            **counted,
            "since": row.since.isoformat(),
            "rerating_run_id": str(run_id),
        },
    )


def _after_end(row: Row[Any]) -> exceptions.Halt:
    return exceptions.Halt(
        kind=AFTER_END,
        subject_id=row.contract_id,
        reason=f"{row.items} items of {row.ended_on} and later were released before the end of the"
        " contract was known",
        owner="finance",
        advice="have the work reversed or moved to a contract in force, or agree that it is billed",
        legal_entity_id=row.legal_entity_id,
        detail={"items": row.items},
    )
