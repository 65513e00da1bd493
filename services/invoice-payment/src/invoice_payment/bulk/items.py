"""Takes released items in, and finds what their release still has to be recognised as."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.item import BillableItem, Treatment
from invoice_payment.domain.journal import Recognised
from throughline_core.money import Money

_ADD_ITEMS: Final = text("""
    INSERT INTO billable_item (
        billing_event_id, batch_id, source_item_id, type, kind, contract_id, contract_line_id,
        quote_line_id, engagement_id, correlation_id, bill_to_customer_id, legal_entity_id,
        project_id, person_id, person_name, role, description, service_from, service_to,
        billable_on, quantity, unit, unit_rate, currency, amount, recognised_amount, tax_category,
        released_at, reverses_billing_event_id, row_version, treatment, purchase_order_number,
        rerating_run_id, portion)
    SELECT told.*, coalesce(before.portion + 1, 0)
    FROM unnest(
        CAST(:billing_event_ids AS uuid[]), CAST(:batch_ids AS uuid[]),
        CAST(:source_item_ids AS uuid[]), CAST(:types AS text[]), CAST(:kinds AS text[]),
        CAST(:contract_ids AS uuid[]), CAST(:contract_line_ids AS uuid[]),
        CAST(:quote_line_ids AS uuid[]), CAST(:engagement_ids AS uuid[]),
        CAST(:correlation_ids AS uuid[]), CAST(:bill_to_customer_ids AS uuid[]),
        CAST(:legal_entity_ids AS uuid[]), CAST(:project_ids AS uuid[]),
        CAST(:person_ids AS uuid[]), CAST(:person_names AS text[]), CAST(:roles AS text[]),
        CAST(:descriptions AS text[]), CAST(:service_froms AS date[]),
        CAST(:service_tos AS date[]), CAST(:billable_ons AS date[]),
        CAST(:quantities AS numeric[]), CAST(:units AS text[]), CAST(:unit_rates AS numeric[]),
        CAST(:currencies AS text[]), CAST(:amounts AS numeric[]),
        CAST(:recognised_amounts AS numeric[]), CAST(:tax_categories AS text[]),
        CAST(:released_ats AS timestamptz[]), CAST(:reversed_ids AS uuid[]),
        CAST(:versions AS bigint[]), CAST(:treatments AS text[]), CAST(:orders AS text[]),
        CAST(:rerating_run_ids AS uuid[])
    ) AS told (
        billing_event_id, batch_id, source_item_id, type, kind, contract_id, contract_line_id,
        quote_line_id, engagement_id, correlation_id, bill_to_customer_id, legal_entity_id,
        project_id, person_id, person_name, role, description, service_from, service_to,
        billable_on, quantity, unit, unit_rate, currency, amount, recognised_amount, tax_category,
        released_at, reverses_billing_event_id, row_version, treatment, purchase_order_number,
        rerating_run_id)
    LEFT JOIN LATERAL (
        SELECT max(item.portion) AS portion, max(item.row_version) AS row_version
        FROM billable_item AS item WHERE item.billing_event_id = told.billing_event_id
    ) AS before ON true
    WHERE told.row_version > coalesce(before.row_version, 0)
      AND NOT EXISTS (
          SELECT FROM retracted_item AS retracted
          WHERE retracted.billing_event_id = told.billing_event_id
            AND retracted.withdrawn_version >= told.row_version)
    ON CONFLICT DO NOTHING
    RETURNING billing_event_id
""")

# Batches whose entity was not known when they came: their journal entry is still to be made.
_UNRECOGNISED: Final = text("""
    SELECT item.legal_entity_id, item.batch_id, item.currency, item.contract_id,
           item.contract_line_id, item.engagement_id, item.correlation_id, item.treatment,
           min(item.released_at) AS released_at,
           sum(item.recognised_amount) AS amount
    FROM billable_item AS item
    WHERE item.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[]))
      AND item.returned_by IS NULL
      AND NOT EXISTS (
          SELECT FROM retracted_item AS retracted
          WHERE retracted.billing_event_id = item.billing_event_id
            AND retracted.withdrawn_version >= item.row_version)
      AND NOT EXISTS (
          SELECT FROM journal_entry AS entry
          WHERE entry.fact_id = item.batch_id AND entry.fact = 'release'
            AND entry.legal_entity_id = item.legal_entity_id AND entry.currency = item.currency)
    GROUP BY item.legal_entity_id, item.batch_id, item.currency, item.contract_id,
             item.contract_line_id, item.engagement_id, item.correlation_id, item.treatment
    ORDER BY item.legal_entity_id, item.batch_id, item.currency, item.contract_line_id
""")


_KNOWN: Final = text("""
    SELECT DISTINCT billing_event_id FROM billable_item
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
""")


async def add_items(tx: AsyncConnection, items: Sequence[BillableItem]) -> list[BillableItem]:
    """Store released items and return those that were not there before.

    One released anew, with a higher version, is there a second time; what was withdrawn is not.
    One statement, and one more for each further release of an item that is already among these.
    """
    fresh: list[BillableItem] = []
    rest = sorted(items, key=lambda item: item.version)
    while rest:
        first: dict[UUID, BillableItem] = {}
        for item in rest:
            first.setdefault(item.billing_event_id, item)
        rest = [item for item in rest if item.version > first[item.billing_event_id].version]
        fresh += await _add(tx, list(first.values()))
    return fresh


async def _add(tx: AsyncConnection, distinct: Sequence[BillableItem]) -> list[BillableItem]:
    added = await tx.execute(
        _ADD_ITEMS,
        {
            "billing_event_ids": [item.billing_event_id for item in distinct],
            "batch_ids": [item.batch_id for item in distinct],
            "source_item_ids": [item.source_item_id for item in distinct],
            "types": [item.type for item in distinct],
            "kinds": [item.kind for item in distinct],
            "contract_ids": [item.contract_id for item in distinct],
            "contract_line_ids": [item.contract_line_id for item in distinct],
            "quote_line_ids": [item.quote_line_id for item in distinct],
            "engagement_ids": [item.engagement_id for item in distinct],
            "correlation_ids": [item.correlation_id for item in distinct],
            "bill_to_customer_ids": [item.bill_to_customer_id for item in distinct],
            "legal_entity_ids": [item.legal_entity_id for item in distinct],
            "project_ids": [item.project_id for item in distinct],
            "person_ids": [item.person_id for item in distinct],
            "person_names": [item.person_name for item in distinct],
            "roles": [item.role for item in distinct],
            "descriptions": [item.description for item in distinct],
            "service_froms": [item.service.start for item in distinct],
            "service_tos": [item.service.end for item in distinct],
            "billable_ons": [item.billable_on for item in distinct],
            "quantities": [item.quantity for item in distinct],
            "units": [item.unit for item in distinct],
            "unit_rates": [item.unit_rate.amount for item in distinct],
            "currencies": [item.amount.currency for item in distinct],
            "amounts": [item.amount.amount for item in distinct],
            "recognised_amounts": [item.recognised.amount for item in distinct],
            "tax_categories": [item.tax_category for item in distinct],
            "released_ats": [item.released_at for item in distinct],
            "reversed_ids": [item.reverses_billing_event_id for item in distinct],
            "versions": [item.version for item in distinct],
            "treatments": [item.treatment for item in distinct],
            "orders": [item.purchase_order_number for item in distinct],
            "rerating_run_ids": [item.rerating_run_id for item in distinct],
        },
    )
    fresh = set(added.scalars())
    return [item for item in distinct if item.billing_event_id in fresh]


async def known(tx: AsyncConnection, billing_event_ids: Iterable[UUID]) -> set[UUID]:
    """Return those of the items that arrived."""
    rows = await tx.execute(_KNOWN, {"billing_event_ids": sorted(set(billing_event_ids))})
    return set(rows.scalars())


async def unrecognised(
    tx: AsyncConnection, legal_entity_ids: Iterable[UUID]
) -> dict[UUID, list[Recognised]]:
    """Return, for each entity, what its batches released without a journal entry so far."""
    rows = await tx.execute(_UNRECOGNISED, {"legal_entity_ids": sorted(set(legal_entity_ids))})
    found: dict[UUID, list[Recognised]] = {}
    for row in rows:
        found.setdefault(row.legal_entity_id, []).append(
            Recognised(
                batch_id=row.batch_id,
                released_at=row.released_at,
                contract_id=row.contract_id,
                contract_line_id=row.contract_line_id,
                engagement_id=row.engagement_id,
                correlation_id=row.correlation_id,
                amount=Money(row.amount, row.currency),
                treatment=Treatment(row.treatment),
            )
        )
    return found
