"""Writes rated rows, how far they have come, and what claims them as a whole."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.claim import settlement_id
from billing_event.domain.position import Rating, Row
from billing_event.domain.standing import Decision, Settlement
from throughline_core.errors import StaleVersion

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
    "rate_rule": "rule",
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
            CAST(:exchange_rate_on AS date[]), CAST(:exchange_source AS text[]),
            CAST(:rate_rule AS text[]), CAST(:base_rate AS numeric[]),
            CAST(:rounding_minutes AS integer[]), CAST(:rounding_mode AS text[])
        ) WITH ORDINALITY AS rating (
            contract_id, contract_version, contract_line_id, quote_line_id, engagement_id,
            correlation_id, bill_to_customer_id, legal_entity_id, unit, unit_rate, currency,
            tax_category, rate_card_id, rate_card_version, rate_explanation,
            delivering_entity_id, multiplier, purchase_order_number, treatment, share_percent,
            converted_price, converted_currency, exchange_rate, exchange_rate_on,
            exchange_source, rate_rule, base_rate, rounding_minutes, rounding_mode, number)
    ), fresh AS (
        SELECT * FROM unnest(
            CAST(:rating AS integer[]), CAST(:billing_event_id AS uuid[]),
            CAST(:source_item_id AS uuid[]), CAST(:part AS smallint[]), CAST(:type AS text[]),
            CAST(:kind AS text[]), CAST(:service_from AS date[]), CAST(:service_to AS date[]),
            CAST(:minutes AS integer[]), CAST(:quantity AS numeric[]),
            CAST(:amount AS numeric[]), CAST(:rated_on AS date[]), CAST(:status AS text[]),
            CAST(:released_by AS text[]), CAST(:reverses AS uuid[]), CAST(:adjusts AS uuid[]),
            CAST(:rerating_run_id AS uuid[]), CAST(:retainer_period_id AS uuid[]),
            CAST(:is_settled AS boolean[])
        ) AS fresh (rating, billing_event_id, source_item_id, part, type, kind, service_from,
                    service_to, minutes, quantity, amount, rated_on, status, released_by,
                    reverses, adjusts, rerating_run_id, retainer_period_id, is_settled)
    ), added AS (
        INSERT INTO billing_event (
            billing_event_id, source_item_id, part, type, kind, contract_id, contract_version,
            contract_line_id, quote_line_id, engagement_id, correlation_id, bill_to_customer_id,
            legal_entity_id, service_from, service_to, minutes, quantity, unit, unit_rate,
            amount, currency, tax_category, rate_card_id, rate_card_version, rate_explanation,
            rated_at, rated_on, reverses_billing_event_id, delivering_entity_id, multiplier,
            purchase_order_number, treatment, share_percent, converted_price,
            converted_currency, exchange_rate, exchange_rate_on, exchange_source,
            adjusts_billing_event_id, rerating_run_id, retainer_period_id, rate_rule, base_rate,
            rounding_minutes, rounding_mode)
        SELECT billing_event_id, source_item_id, part, type, kind, contract_id, contract_version,
               contract_line_id, quote_line_id, engagement_id, correlation_id,
               bill_to_customer_id, legal_entity_id, service_from, service_to, minutes, quantity,
               unit, unit_rate, amount, currency, tax_category, rate_card_id, rate_card_version,
               rate_explanation, :at, rated_on, reverses, delivering_entity_id, multiplier,
               purchase_order_number, treatment, share_percent, converted_price,
               converted_currency, exchange_rate, exchange_rate_on, exchange_source, adjusts,
               rerating_run_id, retainer_period_id, rate_rule, base_rate, rounding_minutes,
               rounding_mode
        FROM fresh JOIN rating ON rating.number = fresh.rating
    )
    INSERT INTO position (billing_event_id, status, version, quantity, amount,
                          allocated_quantity, allocated_amount, released_by, released_at)
    SELECT billing_event_id, status, 1, quantity, amount,
           CASE WHEN is_settled THEN quantity ELSE 0 END,
           CASE WHEN is_settled THEN amount ELSE 0 END, nullif(released_by, ''),
           CASE WHEN released_by <> '' THEN CAST(:at AS timestamptz) END
    FROM fresh
""")
_ADD_ALLOCATIONS: Final = tables.insert_of(
    tables.allocation, without=("invoice_id", "invoice_line_id")
)
_MOVE_POSITIONS: Final = text("""
    UPDATE position
    SET status = moved.status, version = moved.version, released_by = moved.released_by,
        released_at = CASE
            WHEN moved.released_by = position.released_by THEN position.released_at
            WHEN moved.released_by IS NOT NULL THEN CAST(:at AS timestamptz) END,
        -- What is written off is claimed as a whole, and no longer once that is undone.
        allocated_quantity = CASE WHEN moved.status = 'written_off' THEN quantity
                                  WHEN position.status = 'written_off' THEN 0
                                  ELSE allocated_quantity END,
        allocated_amount = CASE WHEN moved.status = 'written_off' THEN amount
                                WHEN position.status = 'written_off' THEN 0
                                ELSE allocated_amount END
    FROM unnest(
        CAST(:billing_event_ids AS uuid[]), CAST(:statuses AS text[]),
        CAST(:versions AS bigint[]), CAST(:released_bys AS text[])
    ) AS moved (billing_event_id, status, version, released_by)
    WHERE position.billing_event_id = moved.billing_event_id
      AND position.version = moved.version - 1
""")


async def add_rows(tx: AsyncConnection, decision: Decision, *, at: datetime) -> None:
    """Append the rated rows of a decision with their positions."""
    rows = decision.rated
    settled = {each.row.billing_event_id for each in decision.settled}
    numbers: dict[int, int] = {}
    ratings: list[Rating] = []
    for row in rows:
        if id(row.rating) not in numbers:
            ratings.append(row.rating)
            numbers[id(row.rating)] = len(ratings)
    columns = {name: unless_empty(column_of(rows, field)) for name, field in _ROW_FIELDS.items()}
    shared = {name: column_of(ratings, field) for name, field in _RATING_FIELDS.items()}
    shared |= _conversions(ratings) | _origins(ratings)
    own = [numbers[id(row.rating)] for row in rows]
    is_settled = [row.billing_event_id in settled for row in rows]
    await tx.execute(
        _ADD_ROWS, {**columns, **shared, "rating": own, "is_settled": is_settled, "at": at}
    )


async def add_settlements(
    tx: AsyncConnection, settled: Sequence[Settlement], *, at: datetime
) -> None:
    """Write the claims on whole rows that are no invoices."""
    rows = [each.row for each in settled]
    signs = [-1 if each.gives_back else 1 for each in settled]
    await tx.execute(
        _ADD_ALLOCATIONS,
        {
            "allocation_id": [
                settlement_id(each.row.billing_event_id, each.kind, each.row.version)
                for each in settled
            ],
            "billing_event_id": [row.billing_event_id for row in rows],
            "quantity": [sign * row.quantity for sign, row in zip(signs, rows, strict=True)],
            "amount": [sign * row.amount.amount for sign, row in zip(signs, rows, strict=True)],
            "recorded_at": [at] * len(settled),
            "recorded_on": [each.on for each in settled],
            "kind": [each.kind for each in settled],
        },
    )


def _conversions(ratings: Sequence[Rating]) -> dict[str, list[Any]]:
    found = [rating.conversion for rating in ratings]
    return {
        "converted_price": [each and each.from_price.amount for each in found],
        "converted_currency": [each and each.from_price.currency for each in found],
        "exchange_rate": [each and each.rate for each in found],
        "exchange_rate_on": [each and each.rate_on for each in found],
        "exchange_source": [each and each.source for each in found],
    }


def _origins(ratings: Sequence[Rating]) -> dict[str, list[Any]]:
    roundings = [rating.rounding for rating in ratings]
    return {
        "base_rate": [each.base_rate and each.base_rate.amount for each in ratings],
        "rounding_minutes": [each and each.increment_minutes for each in roundings],
        "rounding_mode": [each and each.mode for each in roundings],
    }


async def move(tx: AsyncConnection, rows: Sequence[Row], *, at: datetime) -> None:
    """Write the new status of rows, each one version on.

    Raises:
        StaleVersion: a row was moved by somebody else since it was read.
    """
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


def column_of(values: Sequence[Any], field: str) -> list[Any]:
    """Return one attribute of each value, by its dotted name."""
    return list(map(attrgetter(field), values))


def unless_empty(column: list[Any]) -> list[Any]:
    """Return a column, empty where it holds nothing: `unnest` fills what is missing with nulls."""
    return [] if column.count(None) == len(column) else column
