"""The billing calendar: planned from the terms, charged when due."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.agreement import Agreement
from billing_event.domain.recurring import RecurringPeriod
from billing_event.domain.source import ContractId
from throughline_core.money import Money
from throughline_core.period import Period

_PLAN: Final = tables.insert_of(
    tables.recurring_period,
    """ON CONFLICT (recurring_period_id) DO UPDATE SET
        contract_version = EXCLUDED.contract_version, service_from = EXCLUDED.service_from,
        service_to = EXCLUDED.service_to, due_on = EXCLUDED.due_on, amount = EXCLUDED.amount,
        description = EXCLUDED.description, explanation = EXCLUDED.explanation
    WHERE NOT EXISTS (SELECT FROM source_item
                      WHERE source_item_id = recurring_period.recurring_period_id)""",
)

_DROP_PLANNED: Final = text("""
    DELETE FROM recurring_period
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
      AND recurring_period_id <> ALL(CAST(:planned AS uuid[]))
      AND NOT EXISTS (SELECT FROM source_item
                      WHERE source_item_id = recurring_period.recurring_period_id)
""")

# By the price that is agreed now, and the terms it comes from: those of the last re-rating, if any.
_CHARGED: Final = text("""
    SELECT period.recurring_period_id, period.contract_id, period.contract_line_id,
           coalesce((SELECT contract_version FROM billing_event AS event
                     WHERE event.source_item_id = item.source_item_id
                       AND event.rerating_run_id IS NOT NULL
                     ORDER BY part DESC LIMIT 1), period.contract_version) AS contract_version,
           period.engagement_id, period.legal_entity_id, period.service_from, period.service_to,
           period.due_on, period.currency, period.description, period.explanation,
           coalesce((SELECT price FROM source_step AS step
                     WHERE step.source_item_id = item.source_item_id AND price IS NOT NULL
                     ORDER BY version DESC LIMIT 1), item.price) AS amount
    FROM recurring_period AS period
    JOIN source_item AS item ON item.source_item_id = period.recurring_period_id
    WHERE period.contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ORDER BY period.service_from, period.recurring_period_id
""")

_CHARGE_ANEW: Final = text("""
    UPDATE recurring_period AS period SET
        contract_version = anew.contract_version, service_from = anew.service_from,
        service_to = anew.service_to, due_on = anew.due_on, amount = anew.amount,
        description = anew.description, explanation = anew.explanation
    FROM unnest(CAST(:recurring_period_id AS uuid[]), CAST(:contract_version AS integer[]),
                CAST(:service_from AS date[]), CAST(:service_to AS date[]),
                CAST(:due_on AS date[]), CAST(:amount AS numeric[]),
                CAST(:description AS text[]), CAST(:explanation AS text[]))
        AS anew (recurring_period_id, contract_version, service_from, service_to, due_on, amount,
                 description, explanation)
    WHERE period.recurring_period_id = anew.recurring_period_id
""")

_DUE_PERIODS: Final = text("""
    SELECT period.* FROM recurring_period AS period
    JOIN unnest(CAST(:zones AS text[]), CAST(:days AS date[])) AS today (zone, day)
      ON today.zone = period.time_zone AND period.due_on <= today.day
    WHERE NOT EXISTS (SELECT FROM source_item WHERE source_item_id = period.recurring_period_id)
      AND (CAST(:contract_id AS uuid) IS NULL OR period.contract_id = CAST(:contract_id AS uuid))
      AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
           OR period.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
    ORDER BY period.due_on, period.recurring_period_id LIMIT :limit
""")


_ZONES: Final = text("SELECT DISTINCT time_zone FROM recurring_period")


async def plan_periods(
    tx: AsyncConnection, agreements: Sequence[Agreement], periods: Sequence[RecurringPeriod]
) -> None:
    """Bring the billing calendar to the terms as they are; what was charged stays as it was.

    Whoever records terms does so alone, so the last plan is by all terms that have arrived.
    """
    newest = [each.newest for each in agreements]
    zones = {each.contract_id: each.time_zone for each in newest}
    await tx.execute(
        _PLAN,
        {
            **_columns(periods),
            "contract_id": [period.contract_id for period in periods],
            "contract_line_id": [period.contract_line_id for period in periods],
            "engagement_id": [period.engagement_id for period in periods],
            "legal_entity_id": [period.legal_entity_id for period in periods],
            "time_zone": [zones[period.contract_id] for period in periods],
            "currency": [period.amount.currency for period in periods],
        },
    )
    planned = [period.recurring_period_id for period in periods]
    await tx.execute(_DROP_PLANNED, {"contract_ids": list(zones), "planned": planned})


async def charge_anew(tx: AsyncConnection, periods: Sequence[RecurringPeriod]) -> None:
    """Note of charged periods which days and price they have from now on."""
    await tx.execute(_CHARGE_ANEW, _columns(periods))


def _columns(periods: Sequence[RecurringPeriod]) -> dict[str, list[Any]]:
    """Return what newer terms may say otherwise of periods."""
    return {
        "recurring_period_id": [period.recurring_period_id for period in periods],
        "contract_version": [period.contract_version for period in periods],
        "service_from": [period.service.start for period in periods],
        "service_to": [period.service.end for period in periods],
        "due_on": [period.due_on for period in periods],
        "amount": [period.amount.amount for period in periods],
        "description": [period.description for period in periods],
        "explanation": [period.explanation for period in periods],
    }


async def load_charged(
    tx: AsyncConnection, contract_ids: Collection[ContractId]
) -> dict[ContractId, list[RecurringPeriod]]:
    """Return the periods of contracts that were charged, each at the price agreed of it now."""
    found: dict[ContractId, list[RecurringPeriod]] = {}
    for row in await tx.execute(_CHARGED, {"contract_ids": list(contract_ids)}):
        found.setdefault(row.contract_id, []).append(_period_from(row))
    return found


async def load_zones(tx: AsyncConnection) -> list[str]:
    """Return the time zones in which periods may fall due."""
    return list((await tx.execute(_ZONES)).scalars())


async def load_due(
    tx: AsyncConnection,
    through: Mapping[str, date],
    *,
    limit: int,
    contract_id: ContractId | None = None,
    legal_entity_ids: Collection[UUID] | None = None,
) -> list[RecurringPeriod]:
    """Return periods not charged yet that are due by the day given for their zone, oldest first."""
    rows = await tx.execute(
        _DUE_PERIODS,
        {
            "zones": list(through),
            "days": list(through.values()),
            "contract_id": contract_id,
            "legal_entity_ids": None if legal_entity_ids is None else list(legal_entity_ids),
            "limit": limit,
        },
    )
    return [_period_from(row) for row in rows]


def _period_from(row: Row[Any]) -> RecurringPeriod:
    return RecurringPeriod(
        row.recurring_period_id,
        row.contract_id,
        row.contract_line_id,
        row.contract_version,
        row.engagement_id,
        row.legal_entity_id,
        Period(row.service_from, row.service_to),
        row.due_on,
        Money(row.amount, row.currency),
        row.description,
        row.explanation,
    )
