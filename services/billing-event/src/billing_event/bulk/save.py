"""Writes what a batch decided: rows, holds, limits and events, or nothing of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.hold import HoldId
from billing_event.domain.position import Rating, Row
from billing_event.domain.rating import Covered
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Decision, HoldOpened
from billing_event.domain.step import SourceStep
from billing_event.wire import published
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline_core.errors import StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import outbox
from throughline_runtime.events import Outgoing
from throughline_runtime.ids import new_id

# What a row takes from its rating; many rows share one, which is sent once.
_RATING_FIELDS: Final[Mapping[str, str]] = {
    "contract_id": "contract_id",
    "contract_version": "contract_version",
    "contract_line_id": "contract_line_id",
    "quote_line_id": "quote_line_id",
    "engagement_id": "engagement_id",
    "correlation_id": "correlation_id",
    "bill_to_customer_id": "bill_to_customer_id",
    "legal_entity_id": "legal_entity_id",
    "unit": "unit",
    "unit_rate": "unit_rate.amount",
    "currency": "unit_rate.currency",
    "tax_category": "tax_category",
    "rate_card_id": "rate_card_id",
    "rate_card_version": "rate_card_version",
    "rate_explanation": "explanation",
    "delivering_entity_id": "delivering_entity_id",
    "multiplier": "multiplier",
    "purchase_order_number": "purchase_order_number",
    "treatment": "treatment",
    "share_percent": "share_percent",
}
_ROW_FIELDS: Final[Mapping[str, str]] = {
    "billing_event_id": "billing_event_id",
    "source_item_id": "item.source_item_id",
    "part": "part",
    "type": "event_type",
    "kind": "kind",
    "service_from": "item.service_from",
    "service_to": "item.service_to",
    "minutes": "minutes",
    "quantity": "quantity",
    "amount": "amount.amount",
    "rated_on": "rated_on",
    "status": "status",
    "released_by": "released_by",
    "reverses": "reverses",
    "adjusts": "adjusts",
    "rerating_run_id": "rerating_run_id",
    "retainer_period_id": "retainer_period_id",
}
_ITEM_FIELDS: Final = (
    "source_item_id",
    "type",
    "contract_id",
    "contract_line_id",
    "engagement_id",
    "project_id",
    "task_id",
    "person_id",
    "person_name",
    "delivering_entity_id",
    "role",
    "level",
    "region",
    "description",
    "service_from",
    "service_to",
    "minutes",
    "price_basis",
    "is_billable",
    "approved_by",
    "activity",
)

_STEP_FIELDS: Final = (
    "source_item_id",
    "version",
    "state",
    "service_to",
    "reason",
    "accepted_on",
    "accepted_by",
    "evidence_sha256",
    "recorded_by",
)

_ADD_ITEMS: Final = tables.insert_of(
    tables.source_item, "ON CONFLICT DO NOTHING RETURNING source_item_id"
)
_ADD_STEPS: Final = tables.insert_of(tables.source_step, "ON CONFLICT DO NOTHING")
_ADD_COVERED: Final = tables.insert_of(tables.covered_item, "ON CONFLICT DO NOTHING")
_ADD_ROWS: Final = text("""
    WITH rating AS (
        SELECT * FROM unnest(
            CAST(:contract_id AS uuid[]), CAST(:contract_version AS integer[]),
            CAST(:contract_line_id AS uuid[]), CAST(:quote_line_id AS uuid[]),
            CAST(:engagement_id AS uuid[]), CAST(:correlation_id AS uuid[]),
            CAST(:bill_to_customer_id AS uuid[]), CAST(:legal_entity_id AS uuid[]),
            CAST(:unit AS text[]), CAST(:unit_rate AS numeric[]), CAST(:currency AS text[]),
            CAST(:tax_category AS text[]), CAST(:rate_card_id AS uuid[]),
            CAST(:rate_card_version AS bigint[]), CAST(:rate_explanation AS text[]),
            CAST(:delivering_entity_id AS uuid[]), CAST(:multiplier AS numeric[]),
            CAST(:purchase_order_number AS text[]), CAST(:treatment AS text[]),
            CAST(:share_percent AS numeric[]), CAST(:converted_price AS numeric[]),
            CAST(:converted_currency AS text[]), CAST(:exchange_rate AS numeric[]),
            CAST(:exchange_rate_on AS date[]), CAST(:exchange_source AS text[])
        ) WITH ORDINALITY AS rating (
            contract_id, contract_version, contract_line_id, quote_line_id, engagement_id,
            correlation_id, bill_to_customer_id, legal_entity_id, unit, unit_rate, currency,
            tax_category, rate_card_id, rate_card_version, rate_explanation,
            delivering_entity_id, multiplier, purchase_order_number, treatment, share_percent,
            converted_price, converted_currency, exchange_rate, exchange_rate_on,
            exchange_source, number)
    ), fresh AS (
        SELECT * FROM unnest(
            CAST(:rating AS integer[]), CAST(:billing_event_id AS uuid[]),
            CAST(:source_item_id AS uuid[]), CAST(:part AS smallint[]), CAST(:type AS text[]),
            CAST(:kind AS text[]), CAST(:service_from AS date[]), CAST(:service_to AS date[]),
            CAST(:minutes AS integer[]), CAST(:quantity AS numeric[]),
            CAST(:amount AS numeric[]), CAST(:rated_on AS date[]), CAST(:status AS text[]),
            CAST(:released_by AS text[]), CAST(:reverses AS uuid[]), CAST(:adjusts AS uuid[]),
            CAST(:rerating_run_id AS uuid[]), CAST(:retainer_period_id AS uuid[])
        ) AS fresh (rating, billing_event_id, source_item_id, part, type, kind, service_from,
                    service_to, minutes, quantity, amount, rated_on, status, released_by,
                    reverses, adjusts, rerating_run_id, retainer_period_id)
    ), added AS (
        INSERT INTO billing_event (
            billing_event_id, source_item_id, part, type, kind, contract_id, contract_version,
            contract_line_id, quote_line_id, engagement_id, correlation_id, bill_to_customer_id,
            legal_entity_id, service_from, service_to, minutes, quantity, unit, unit_rate,
            amount, currency, tax_category, rate_card_id, rate_card_version, rate_explanation,
            rated_at, rated_on, reverses_billing_event_id, delivering_entity_id, multiplier,
            purchase_order_number, treatment, share_percent, converted_price,
            converted_currency, exchange_rate, exchange_rate_on, exchange_source,
            adjusts_billing_event_id, rerating_run_id, retainer_period_id)
        SELECT billing_event_id, source_item_id, part, type, kind, contract_id, contract_version,
               contract_line_id, quote_line_id, engagement_id, correlation_id,
               bill_to_customer_id, legal_entity_id, service_from, service_to, minutes, quantity,
               unit, unit_rate, amount, currency, tax_category, rate_card_id, rate_card_version,
               rate_explanation, :at, rated_on, reverses, delivering_entity_id, multiplier,
               purchase_order_number, treatment, share_percent, converted_price,
               converted_currency, exchange_rate, exchange_rate_on, exchange_source, adjusts,
               rerating_run_id, retainer_period_id
        FROM fresh JOIN rating ON rating.number = fresh.rating
    )
    INSERT INTO position (billing_event_id, status, version, quantity, amount, released_by,
                          released_at)
    SELECT billing_event_id, status, 1, quantity, amount, nullif(released_by, ''),
           CASE WHEN released_by <> '' THEN CAST(:at AS timestamptz) END
    FROM fresh
""")
_ADD_HOLDS: Final = tables.insert_of(
    tables.hold, without=("cleared_at", "cleared_by", "clearing_reason")
)

_MOVE_POSITIONS: Final = text("""
    UPDATE position
    SET status = moved.status, version = moved.version, released_by = moved.released_by,
        released_at = CASE WHEN moved.released_by IS NOT NULL THEN CAST(:at AS timestamptz) END
    FROM unnest(
        CAST(:billing_event_ids AS uuid[]), CAST(:statuses AS text[]),
        CAST(:versions AS bigint[]), CAST(:released_bys AS text[])
    ) AS moved (billing_event_id, status, version, released_by)
    WHERE position.billing_event_id = moved.billing_event_id
      AND position.version = moved.version - 1
""")

_CLEAR_HOLDS: Final = text("""
    UPDATE hold SET cleared_at = :at
    WHERE hold_id = ANY(CAST(:hold_ids AS uuid[])) AND cleared_at IS NULL
""")

_MARK_JUDGED: Final = text("""
    UPDATE hold SET epoch = :epoch
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[])) AND cleared_at IS NULL
      AND epoch < :epoch
""")


async def add_items(
    tx: AsyncConnection, items: Iterable[SourceItem], *, at: datetime
) -> list[SourceItem]:
    """Keep approved things, and return those that were not here before, in their order."""
    by_id = {item.source_item_id: item for item in items}
    found = list(by_id.values())
    columns: dict[str, Any] = {name: _column(found, name) for name in _ITEM_FIELDS}
    prices = [item.price for item in found]
    receipts = [item.receipt_price for item in found]
    sources = [item.source for item in found]
    columns["price"] = [price.amount if price else None for price in prices]
    columns["currency"] = [price.currency if price else None for price in prices]
    columns["receipt_price"] = [price.amount if price else None for price in receipts]
    columns["receipt_currency"] = [price.currency if price else None for price in receipts]
    columns["source_system"] = [source.system if source else None for source in sources]
    columns["source_object_type"] = [source.object_type if source else None for source in sources]
    columns["source_object_id"] = [source.object_id if source else None for source in sources]
    columns["reverses_source_item_id"] = _column(found, "reverses_item_id")
    columns["replaces_source_item_id"] = _column(found, "replaces_item_id")
    columns["recorded_at"] = [at] * len(found)
    added = set((await tx.execute(_ADD_ITEMS, columns)).scalars())
    return [item for item in found if item.source_item_id in added]


async def add_steps(tx: AsyncConnection, steps: Sequence[SourceStep], *, at: datetime) -> None:
    """Keep what is said of things; the first of one version counts."""
    columns: dict[str, Any] = {name: _column(steps, name) for name in _STEP_FIELDS}
    columns["price"] = [step.price.amount if step.price else None for step in steps]
    columns["recorded_at"] = [at] * len(steps)
    await tx.execute(_ADD_STEPS, columns)


async def save(tx: AsyncConnection, decision: Decision, *, epoch: int, at: datetime) -> None:
    """Write a decision that was made by the facts of `epoch`, and queue the events that tell of it.

    Raises:
        StaleVersion: a row was moved by somebody else since it was read.
    """
    if decision.rated:
        await _add_rows(tx, decision.rated, at=at)
    if decision.changed:
        await _move(tx, decision.changed, at=at)
    if decision.cleared:
        await tx.execute(_CLEAR_HOLDS, {"hold_ids": decision.cleared, "at": at})
    if decision.opened:
        await _add_holds(tx, decision.opened, epoch=epoch, at=at)
    if decision.covered:
        await _add_covered(tx, decision.covered, at=at)
    await outbox.append(tx, _events_of(decision, at=at))


async def mark_judged(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId], *, epoch: int
) -> None:
    """Note that the holds these things still have were judged by the facts of `epoch`."""
    await tx.execute(_MARK_JUDGED, {"source_item_ids": list(source_item_ids), "epoch": epoch})


async def _add_rows(tx: AsyncConnection, rows: Sequence[Row], *, at: datetime) -> None:
    numbers: dict[int, int] = {}
    ratings: list[Rating] = []
    for row in rows:
        if id(row.rating) not in numbers:
            ratings.append(row.rating)
            numbers[id(row.rating)] = len(ratings)
    columns = {name: _column(rows, field) for name, field in _ROW_FIELDS.items()}
    shared = {name: _column(ratings, field) for name, field in _RATING_FIELDS.items()}
    shared |= _conversions(ratings)
    own = [numbers[id(row.rating)] for row in rows]
    await tx.execute(_ADD_ROWS, {**columns, **shared, "rating": own, "at": at})


def _conversions(ratings: Sequence[Rating]) -> dict[str, list[Any]]:
    found = [rating.conversion for rating in ratings]
    return {
        "converted_price": [each and each.from_price.amount for each in found],
        "converted_currency": [each and each.from_price.currency for each in found],
        "exchange_rate": [each and each.rate for each in found],
        "exchange_rate_on": [each and each.rate_on for each in found],
        "exchange_source": [each and each.source for each in found],
    }


async def _move(tx: AsyncConnection, rows: Sequence[Row], *, at: datetime) -> None:
    moved = await tx.execute(
        _MOVE_POSITIONS,
        {
            "billing_event_ids": [row.billing_event_id for row in rows],
            "statuses": [row.status for row in rows],
            "versions": [row.version for row in rows],
            "released_bys": [row.released_by or None for row in rows],
            "at": at,
        },
    )
    if moved.rowcount != len(rows):
        raise StaleVersion("somebody else moved one of these billing events meanwhile")


async def _add_holds(
    tx: AsyncConnection, opened: Sequence[HoldOpened], *, epoch: int, at: datetime
) -> None:
    rows = [each.row for each in opened]
    items = [each.item for each in opened]
    holds = [each.hold for each in opened]
    await tx.execute(
        _ADD_HOLDS,
        {
            "hold_id": [hold_id(each, epoch=epoch) for each in opened],
            "source_item_id": [item.source_item_id for item in items],
            "billing_event_id": [row.billing_event_id if row else None for row in rows],
            "contract_id": [item.contract_id for item in items],
            "contract_line_id": [item.contract_line_id for item in items],
            "legal_entity_id": [
                row.rating.legal_entity_id if row else item.delivering_entity_id
                for row, item in zip(rows, items, strict=True)
            ],
            "reason": [hold.reason for hold in holds],
            "detail": [hold.detail for hold in holds],
            "owner": [hold.owner for hold in holds],
            "advice": [hold.way_out.advice if hold.way_out else None for hold in holds],
            "epoch": [epoch] * len(opened),
            "opened_at": [at] * len(opened),
            "opened_by": [hold.placed_by or None for hold in holds],
        },
    )


def hold_id(opened: HoldOpened, *, epoch: int) -> HoldId:
    """Return the id of a hold: of a row by the version it came with, else by the facts."""
    if opened.row is not None:
        row = opened.row
        return HoldId(derived_id("hold", row.billing_event_id, opened.hold.reason, row.version))
    return HoldId(derived_id("hold", opened.item.source_item_id, opened.hold.reason, epoch))


async def _add_covered(
    tx: AsyncConnection, covered: Sequence[tuple[SourceItem, Covered]], *, at: datetime
) -> None:
    await tx.execute(
        _ADD_COVERED,
        {
            "source_item_id": [item.source_item_id for item, _ in covered],
            "explanation": [reason.explanation for _, reason in covered],
            "recorded_at": [at] * len(covered),
        },
    )


def _events_of(decision: Decision, *, at: datetime) -> Iterator[Outgoing]:
    writer = published.RowWriter()
    rated = [writer.write(row) for row in decision.rated]
    changed = [writer.write(row) for row in decision.changed]
    yield from published.rated(rated, at=at, new_id=new_id)
    yield from published.changed(changed, at=at, new_id=new_id)
    rows = zip((*decision.rated, *decision.changed), (*rated, *changed), strict=True)
    by_releaser: dict[str, list[pb.BillingEvent]] = {}
    for row, message in rows:
        if row.released_by:
            by_releaser.setdefault(row.released_by, []).append(message)
    for releaser, messages in by_releaser.items():
        yield from published.released(messages, by=releaser, at=at, new_id=new_id)


def _column(values: Sequence[Any], field: str) -> list[Any]:
    return list(map(attrgetter(field), values))
