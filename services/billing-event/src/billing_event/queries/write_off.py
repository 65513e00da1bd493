"""Write-offs, and what they do to the realisation of contract lines."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.position import BillingEventId
from billing_event.domain.write_off import (
    Realisation,
    WriteOff,
    WriteOffKind,
    WriteOffReason,
    WriteOffStatus,
)
from billing_event.repository import write_off as repository
from throughline.billing_event.v1 import write_off_service_pb2 as pb
from throughline_core.money import Money
from throughline_core.rounding import round_half_away
from throughline_runtime.fields import (
    EnumMap,
    read_uuid,
    write_decimal,
    write_instant,
    write_money,
)
from throughline_runtime.page import Page, next_token

KINDS: Final = EnumMap(pb.WriteOffKind, WriteOffKind)
STATUSES: Final = EnumMap(pb.WriteOffStatus, WriteOffStatus)
REASON_CODES: Final = EnumMap(pb.WriteOffReason, WriteOffReason)

_TABLE: Final = tables.write_off
_ROW: Final = tables.write_off_row

# What is excluded was never meant to be billed and counts on neither side.
_EFFECTS: Final = text("""
    WITH line AS (
        SELECT DISTINCT contract_line_id, currency
        FROM write_off_row AS named JOIN billing_event USING (billing_event_id, currency)
        WHERE named.write_off_id = :write_off_id
    ), gone AS (
        SELECT event.contract_line_id, event.currency, position.amount, member.write_off_id,
               write_off.kind
        FROM line JOIN billing_event AS event USING (contract_line_id, currency)
        JOIN position USING (billing_event_id)
        JOIN write_off_row AS member
          ON member.written_off_billing_event_id = event.billing_event_id
        JOIN write_off ON write_off.write_off_id = member.write_off_id
         AND write_off.status = 'approved'
        WHERE position.status = 'written_off'
    ), this AS (
        SELECT contract_line_id, named.currency, sum(named.amount) AS amount
        FROM write_off_row AS named JOIN billing_event USING (billing_event_id)
        WHERE named.write_off_id = :write_off_id GROUP BY 1, 2
    )
    SELECT contract_line_id, currency,
           coalesce((SELECT sum(amount) FROM billing_event AS event
                     WHERE event.contract_line_id = line.contract_line_id
                       AND event.currency = line.currency), 0) AS rated,
           coalesce((SELECT sum(amount) FROM gone
                     WHERE gone.contract_line_id = line.contract_line_id
                       AND gone.currency = line.currency AND gone.kind = 'exclusion'
                       AND gone.write_off_id <> :write_off_id), 0) AS excluded,
           coalesce((SELECT sum(amount) FROM gone
                     WHERE gone.contract_line_id = line.contract_line_id
                       AND gone.currency = line.currency AND gone.kind = 'write_off'
                       AND gone.write_off_id <> :write_off_id), 0) AS written_off,
           (SELECT amount FROM this WHERE this.contract_line_id = line.contract_line_id
                                      AND this.currency = line.currency) AS own
    FROM line ORDER BY contract_line_id, currency
""")


@dataclass(frozen=True, slots=True)
class WriteOffFilter:
    """Which write-offs are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    status: WriteOffStatus | None = None
    kind: WriteOffKind | None = None
    billing_event_id: BillingEventId | None = None


async def write_offs(
    tx: AsyncConnection, wanted: WriteOffFilter, page: Page
) -> pb.ListWriteOffsResponse:
    """Return a page of write-offs, latest first."""
    query = select(_TABLE)
    if wanted.legal_entity_ids is not None:
        query = query.where(_TABLE.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.status is not None:
        query = query.where(_TABLE.c.status == wanted.status)
    if wanted.kind is not None:
        query = query.where(_TABLE.c.kind == wanted.kind)
    if wanted.billing_event_id is not None:
        query = query.where(
            exists()
            .where(_ROW.c.write_off_id == _TABLE.c.write_off_id)
            .where(
                or_(
                    _ROW.c.billing_event_id == wanted.billing_event_id,
                    _ROW.c.written_off_billing_event_id == wanted.billing_event_id,
                )
            )
        )
    if page.after is not None:
        query = query.where(_TABLE.c.write_off_id < read_uuid("page_token", page.after[0]))
    ordered = query.order_by(_TABLE.c.write_off_id.desc()).limit(page.size + 1)
    rows = (await tx.execute(ordered)).all()
    shown = rows[: page.size]
    found = await repository.load(tx, shown)
    response = pb.ListWriteOffsResponse(write_offs=map(write, found))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].write_off_id)
    return response


async def effects(tx: AsyncConnection, write_off: WriteOff) -> list[pb.RealisationEffect]:
    """Return what a write-off does, or would do, to each contract line it touches."""
    is_exclusion = write_off.kind is WriteOffKind.EXCLUSION
    written = []
    for row in await tx.execute(_EFFECTS, {"write_off_id": write_off.write_off_id}):
        own = Decimal(0) if is_exclusion else row.own
        before = row.rated - row.excluded
        line = Realisation(
            row.contract_line_id,
            Money(before - row.own if is_exclusion else before, row.currency),
            Money(row.written_off, row.currency),
            Money(row.written_off + own, row.currency),
        )
        was = Realisation(
            line.contract_line_id,
            Money(before, row.currency),
            line.written_off_before,
            line.written_off_before,
        )
        written.append(
            pb.RealisationEffect(
                contract_line_id=str(line.contract_line_id),
                rated=write_money(line.rated),
                written_off_before=write_money(line.written_off_before),
                written_off_after=write_money(line.written_off_after),
                realisation_before=_percent(was.percent(was.written_off_before)),
                realisation_after=_percent(line.percent(line.written_off_after)),
            )
        )
    return written


def write(write_off: WriteOff) -> pb.WriteOff:
    """Return a write-off as it is replied."""
    totals: dict[str, Money] = {}
    for row in write_off.rows:
        currency = row.amount.currency
        totals[currency] = totals.get(currency, Money(Decimal(0), currency)) + row.amount
    quantity = write_off.quantity
    return pb.WriteOff(
        write_off_id=str(write_off.write_off_id),
        version=write_off.version,
        kind=KINDS.write(write_off.kind),
        status=STATUSES.write(write_off.status),
        reason_code=REASON_CODES.write(write_off.reason_code),
        reason=write_off.reason,
        billing_event_ids=[str(row.billing_event_id) for row in write_off.rows],
        quantity="" if quantity is None else write_decimal(quantity),
        legal_entity_id=str(write_off.legal_entity_id),
        amounts=[write_money(totals[currency]) for currency in sorted(totals)],
        written_off_billing_event_ids=[
            str(row.written_off_id) for row in write_off.rows if row.written_off_id is not None
        ],
        proposed_by=write_off.proposed_by,
        proposed_at=write_instant(write_off.proposed_at),
        decided_by=write_off.decided_by,
        decided_at=write_instant(write_off.decided_at),
        decision_reason=write_off.decision_reason,
    )


def _percent(value: Decimal | None) -> str:
    return "" if value is None else f"{round_half_away(value, 2):.2f}"
