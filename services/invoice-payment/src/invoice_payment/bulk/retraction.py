"""Takes releases back: which portions they left, and what leaves the drafts these are on."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.draft import LineRest
from invoice_payment.domain.item import Portion, Retracted, Treatment
from invoice_payment.repository.open_items import ALIVE, NETTED, STILL_BILLED
from throughline_core.money import Money
from throughline_core.period import Period

_PORTIONS: Final = text(f"""
    SELECT item.billing_event_id, item.portion, item.row_version, item.legal_entity_id,
           item.contract_id, item.contract_line_id, item.engagement_id, item.correlation_id,
           item.recognised_amount, item.currency, item.treatment, {NETTED} AS is_netted,
           claim.invoice_id, invoice.number,
           coalesce(invoice.number IS NOT NULL AND {STILL_BILLED}, false) AS is_billed
    FROM billable_item AS item
    LEFT JOIN invoice_item AS claim
      ON claim.billing_event_id = item.billing_event_id AND claim.portion = item.portion
     AND claim.is_live
    LEFT JOIN invoice ON invoice.invoice_id = claim.invoice_id
    WHERE item.billing_event_id = ANY(CAST(:billing_event_ids AS uuid[])) AND {ALIVE}
    ORDER BY item.billing_event_id, item.portion
""")

_RETRACTED: Final = text("""
    SELECT billing_event_id, withdrawn_version, written_off_version, undone_version
    FROM retracted_item
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
""")

_RETRACT: Final = text("""
    INSERT INTO retracted_item (billing_event_id, withdrawn_version, written_off_version,
                                undone_version)
    SELECT * FROM unnest(
        CAST(:billing_event_ids AS uuid[]), CAST(:withdrawn AS bigint[]),
        CAST(:written_off AS bigint[]), CAST(:undone AS bigint[])
    ) AS item (billing_event_id, withdrawn, written_off, undone)
    ORDER BY billing_event_id
    ON CONFLICT (billing_event_id) DO UPDATE SET
        withdrawn_version =
            greatest(retracted_item.withdrawn_version, EXCLUDED.withdrawn_version),
        written_off_version = CASE
            WHEN EXCLUDED.written_off_version > retracted_item.withdrawn_version
            THEN greatest(retracted_item.written_off_version, EXCLUDED.written_off_version)
            ELSE retracted_item.written_off_version END,
        undone_version = greatest(retracted_item.undone_version, EXCLUDED.undone_version)
""")

_LEAVE: Final = text("""
    UPDATE invoice_item SET is_live = false
    WHERE is_live AND invoice_id = ANY(CAST(:invoice_ids AS uuid[]))
      AND billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
    RETURNING invoice_id, billing_event_id
""")

_REST: Final = text("""
    SELECT claim.invoice_id, claim.invoice_line_id, claim.currency,
           sum(claim.quantity) AS quantity, sum(claim.recognised_amount) AS recognised,
           min(item.service_from) AS service_from, max(item.service_to) AS service_to,
           count(*) AS item_count
    FROM invoice_item AS claim JOIN billable_item AS item USING (billing_event_id, portion)
    WHERE claim.is_live AND claim.invoice_id = ANY(CAST(:invoice_ids AS uuid[]))
    GROUP BY claim.invoice_id, claim.invoice_line_id, claim.currency
""")


async def portions(tx: AsyncConnection, billing_event_ids: Collection[UUID]) -> list[Portion]:
    """Return the portions of these items that count, and where they are."""
    rows = await tx.execute(_PORTIONS, {"billing_event_ids": list(billing_event_ids)})
    return [
        Portion(
            billing_event_id=row.billing_event_id,
            portion=row.portion,
            row_version=row.row_version,
            legal_entity_id=row.legal_entity_id,
            contract_id=row.contract_id,
            contract_line_id=row.contract_line_id,
            engagement_id=row.engagement_id,
            correlation_id=row.correlation_id,
            recognised=Money(row.recognised_amount, row.currency),
            treatment=Treatment(row.treatment),
            is_netted=row.is_netted,
            invoice_id=row.invoice_id,
            number=row.number,
            is_billed=row.is_billed,
        )
        for row in rows
    ]


async def retracted(
    tx: AsyncConnection, billing_event_ids: Collection[UUID]
) -> dict[UUID, Retracted]:
    """Return what was said against the releases of these items; nothing of most."""
    rows = await tx.execute(_RETRACTED, {"billing_event_ids": list(billing_event_ids)})
    return {
        row.billing_event_id: Retracted(
            row.withdrawn_version, row.written_off_version, row.undone_version
        )
        for row in rows
    }


async def withdraw(tx: AsyncConnection, versions: Mapping[UUID, int]) -> None:
    """Let releases up to these versions count no more, as if they had never been."""
    await _retract(tx, list(versions), withdrawn=list(versions.values()))


async def write_off(tx: AsyncConnection, versions: Mapping[UUID, int]) -> None:
    """Let releases up to these versions not be billed; that they were recognised stays.

    Of what was withdrawn since nothing is noted: its release counts no more anyway, and what was
    written off when the withdrawal came stays to be seen.
    """
    await _retract(tx, list(versions), written_off=list(versions.values()))


async def undo(tx: AsyncConnection, versions: Mapping[UUID, int]) -> None:
    """Let write-offs up to these versions not be in force; the rows wait for a new release."""
    undone = list(versions.values())
    await _retract(tx, list(versions), written_off=undone, undone=undone)


async def take_up(tx: AsyncConnection, versions: Mapping[UUID, int]) -> None:
    """Let write-offs up to these versions not be in force; the rows are released again."""
    await _retract(tx, list(versions), undone=list(versions.values()))


async def _retract(
    tx: AsyncConnection,
    billing_event_ids: Sequence[UUID],
    *,
    withdrawn: Sequence[int] | None = None,
    written_off: Sequence[int] | None = None,
    undone: Sequence[int] | None = None,
) -> None:
    none = [0] * len(billing_event_ids)
    values = {
        "billing_event_ids": billing_event_ids,
        "withdrawn": withdrawn or none,
        "written_off": written_off or none,
        "undone": undone or none,
    }
    await tx.execute(_RETRACT, values)


async def leave(
    tx: AsyncConnection, invoice_ids: Collection[UUID], billing_event_ids: Collection[UUID]
) -> dict[UUID, list[UUID]]:
    """Take items off drafts the caller has locked; return which left which."""
    values = {
        "invoice_ids": list(invoice_ids),
        "billing_event_ids": list(billing_event_ids),
    }
    left: dict[UUID, list[UUID]] = defaultdict(list)
    for row in await tx.execute(_LEAVE, values):
        left[row.invoice_id].append(row.billing_event_id)
    return {invoice_id: sorted(left[invoice_id]) for invoice_id in sorted(left)}


async def rest(
    tx: AsyncConnection, invoice_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[LineRest]]:
    """Return what is left of the lines of these drafts; lines nothing is left of are not there."""
    found: dict[UUID, list[LineRest]] = defaultdict(list)
    for row in await tx.execute(_REST, {"invoice_ids": list(invoice_ids)}):
        found[row.invoice_id].append(
            LineRest(
                invoice_line_id=row.invoice_line_id,
                quantity=row.quantity,
                recognised=Money(row.recognised, row.currency),
                service=Period(row.service_from, row.service_to),
                item_count=row.item_count,
            )
        )
    return found
