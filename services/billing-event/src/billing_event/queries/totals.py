"""Figures two services must agree on, and the one operations watch."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.totals import ControlTotal

# Each statement gives `name, figure, value`; amounts carry their currency in the figure.
_SOURCES: Final = text("""
    WITH last_step AS (
        SELECT DISTINCT ON (source_item_id) source_item_id, state, price FROM source_step
        ORDER BY source_item_id, version DESC
    )
    SELECT 'source_time' AS name, figure.name AS figure, figure.value
    FROM (SELECT count(*) AS entries, coalesce(sum(minutes), 0) AS minutes FROM source_item
          WHERE type = 'time' AND is_billable AND contract_line_id IS NOT NULL) AS time
    CROSS JOIN LATERAL (
        VALUES ('entries', CAST(entries AS numeric)), ('minutes', CAST(minutes AS numeric))
    ) AS figure (name, value)
    UNION ALL
    -- Purchases are entered here: project-provisioning, which is compared with, has none of them.
    SELECT 'source_expenses', 'lines', count(*) FROM source_item
    WHERE type = 'expense' AND is_billable AND contract_line_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM purchase WHERE purchase_id = source_item_id)
    UNION ALL
    SELECT 'source_expenses', 'net.' || currency, sum(price) FROM source_item
    WHERE type = 'expense' AND is_billable AND contract_line_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM purchase WHERE purchase_id = source_item_id)
    GROUP BY currency
    UNION ALL
    SELECT 'source_milestones', 'accepted', count(*)
    FROM last_step JOIN source_item USING (source_item_id) WHERE state = 'accepted'
    UNION ALL
    SELECT 'source_milestones', 'accepted_amount.' || currency,
           sum(coalesce(last_step.price, source_item.price))
    FROM last_step JOIN source_item USING (source_item_id)
    WHERE state = 'accepted' GROUP BY currency
""")

_POSITIONS: Final = text("""
    SELECT 'positions' AS name, figure.name || '.' || total.currency AS figure, figure.value
    FROM (
        SELECT currency, sum(position.amount) AS rated,
               coalesce(sum(position.amount) FILTER (WHERE status = 'held'), 0) AS held,
               coalesce(sum(position.amount) FILTER (WHERE status = 'eligible'), 0) AS eligible,
               coalesce(sum(position.amount) FILTER (WHERE status = 'released'), 0) AS released,
               coalesce(sum(position.amount) FILTER (WHERE status = 'written_off'), 0)
                   AS written_off,
               coalesce(sum(allocated_amount) FILTER (WHERE status = 'released'), 0)
                   AS allocated
        FROM billing_event JOIN position USING (billing_event_id) GROUP BY currency
    ) AS total
    LEFT JOIN (
        SELECT billing_event.currency,
               coalesce(sum(allocation.amount) FILTER (WHERE allocation.kind = 'invoice'), 0)
                   AS invoiced,
               coalesce(-sum(allocation.amount) FILTER (WHERE allocation.kind = 'credit'), 0)
                   AS credited,
               coalesce(sum(allocation.amount) FILTER (WHERE allocation.kind = 'retainer'), 0)
                   AS drawn
        FROM allocation JOIN billing_event USING (billing_event_id) GROUP BY currency
    ) AS settled USING (currency)
    CROSS JOIN LATERAL (
        VALUES ('rated', rated), ('held', held), ('eligible', eligible), ('released', released),
               ('written_off', written_off), ('allocated', allocated),
               ('open_released', released - allocated),
               ('invoiced', coalesce(settled.invoiced, 0)),
               ('credited', coalesce(settled.credited, 0)),
               ('drawn', coalesce(settled.drawn, 0))
    ) AS figure (name, value)
""")

_INTERCOMPANY: Final = text("""
    SELECT 'intercompany' AS name, 'charges' AS figure, CAST(count(*) AS numeric) AS value
    FROM intercompany_charge
    UNION ALL
    SELECT 'intercompany', 'amount.' || currency, sum(amount) FROM intercompany_charge
    GROUP BY currency
""")

# Each counts what must not be.
_FAULTS: Final = text("""
    SELECT 'unexplained_sources' AS name, 'count' AS figure, count(*) AS value
    FROM source_item AS item
    WHERE is_billable
      AND NOT EXISTS (SELECT FROM billing_event AS event
                      WHERE event.source_item_id = item.source_item_id)
      AND NOT EXISTS (SELECT FROM hold WHERE hold.source_item_id = item.source_item_id
                                         AND cleared_at IS NULL)
      AND NOT EXISTS (SELECT FROM covered_item
                      WHERE covered_item.source_item_id = item.source_item_id)
    UNION ALL
    SELECT 'over_allocated', 'count', count(*)
    FROM billing_event AS event JOIN position USING (billing_event_id)
    LEFT JOIN (SELECT billing_event_id, sum(quantity) AS quantity, sum(amount) AS amount
               FROM allocation GROUP BY billing_event_id) AS claimed USING (billing_event_id)
    WHERE coalesce(claimed.amount, 0)
          NOT BETWEEN least(event.amount, 0) AND greatest(event.amount, 0)
       OR coalesce(claimed.quantity, 0)
          NOT BETWEEN least(event.quantity, 0) AND greatest(event.quantity, 0)
       OR (coalesce(claimed.quantity, 0), coalesce(claimed.amount, 0))
          <> (position.allocated_quantity, position.allocated_amount)
       OR (event.quantity, event.amount) <> (position.quantity, position.amount)
    UNION ALL
    SELECT 'quantity_mismatch', 'count', count(*)
    FROM source_item AS item
    JOIN (SELECT source_item_id, sum(minutes) AS minutes, max(rated_at) AS rated_at
          FROM billing_event GROUP BY source_item_id) AS net USING (source_item_id)
    WHERE item.type = 'time' AND item.minutes <> net.minutes
      -- What a fee has covered since it was rated is worth nothing.
      AND NOT (net.minutes = 0
               AND EXISTS (SELECT FROM covered_item
                           WHERE covered_item.source_item_id = item.source_item_id
                             AND covered_item.recorded_at >= net.rated_at))
    UNION ALL
    -- What is given up of a thing is taken back with it, or the customer would be credited twice.
    SELECT 'given_up', 'of_taken_back', count(*)
    FROM (
        SELECT coalesce(item.reverses_source_item_id, item.source_item_id) AS source_item_id
        FROM allocation JOIN billing_event USING (billing_event_id)
        JOIN source_item AS item USING (source_item_id)
        WHERE allocation.kind = 'write_off'
        GROUP BY 1 HAVING sum(allocation.quantity) <> 0
    ) AS given_up
    WHERE EXISTS (SELECT FROM source_item AS taker JOIN billing_event USING (source_item_id)
                  WHERE taker.reverses_source_item_id = given_up.source_item_id)
    UNION ALL
    SELECT 'limits', 'over_committed', count(*)
    FROM limit_account AS account
    LEFT JOIN (
        SELECT limit_account_id,
               sum(CASE kind WHEN 'reserve' THEN amount WHEN 'write_off' THEN -amount ELSE 0 END)
                   AS taken,
               sum(CASE kind WHEN 'commit' THEN amount WHEN 'release' THEN -amount ELSE 0 END)
                   AS committed
        FROM limit_entry GROUP BY limit_account_id
    ) AS entry USING (limit_account_id)
    WHERE account.enforcement = 'hard' AND account.reserved + account.committed > account.enforced
       OR account.reserved + account.committed <> coalesce(entry.taken, 0)
       OR account.committed <> coalesce(entry.committed, 0)
""")

_UNBILLED: Final = text("""
    SELECT currency, sum(position.amount - allocated_amount) AS amount
    FROM position JOIN billing_event USING (billing_event_id)
    WHERE status = 'released' AND position.amount <> allocated_amount
    GROUP BY currency
""")


async def control_totals(tx: AsyncConnection) -> Sequence[ControlTotal]:
    """Return the figures `reconcile` compares, as of one snapshot."""
    found: dict[str, dict[str, Decimal | int]] = {"positions": {}}
    for statement in (_SOURCES, _POSITIONS, _INTERCOMPANY, _FAULTS):
        for row in await tx.execute(statement):
            found.setdefault(row.name, {})[row.figure] = row.value
    return [ControlTotal(name, figures) for name, figures in found.items()]


async def unbilled(tx: AsyncConnection) -> dict[str, Decimal]:
    """Return what is released and not invoiced, by currency."""
    return {row.currency: row.amount for row in await tx.execute(_UNBILLED)}
