"""Costs of an hour as rows: people's own, and companies' standard ones."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.cost import PersonCost, StandardCostCard
from throughline_core.money import Money, exponent
from throughline_runtime import audit

_own, _card, _standard = tables.person_cost, tables.standard_cost_card, tables.standard_cost


async def of_person(tx: AsyncConnection, person_id: UUID) -> list[PersonCost]:
    """Return a person's costs, oldest first."""
    query = select(_own).where(_own.c.person_id == person_id).order_by(_own.c.valid_from)
    return [cost_from(row) for row in await tx.execute(query)]


async def replace_all(tx: AsyncConnection, person_id: UUID, costs: Sequence[PersonCost]) -> None:
    """Write a person's costs in place of those before; the person is locked by then."""
    await tx.execute(delete(_own).where(_own.c.person_id == person_id))
    rows = [
        {
            "person_id": each.person_id,
            "valid_from": each.valid_from,
            "valid_to": each.valid_to,
            "legal_entity_id": each.legal_entity_id,
            "hourly_cost": each.hourly_cost.amount,
            "currency": each.hourly_cost.currency,
            "decimals": exponent(each.hourly_cost.currency),
            "recorded_by": each.recorded_by,
            "recorded_at": each.recorded_at,
        }
        for each in costs
    ]
    await tx.execute(insert(_own), rows)
    audit.touch(tx, person_id)


async def keep_card(tx: AsyncConnection, card: StandardCostCard) -> bool:
    """Keep a company's standard costs, unless a newer version is kept; return whether it was."""
    values = {"cost_rate_card_id": card.cost_rate_card_id, "version": card.version}
    statement = upsert(_card).values(legal_entity_id=card.legal_entity_id, **values)
    kept = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["legal_entity_id"],
            set_=values,
            where=_card.c.version < statement.excluded.version,
        )
    )
    if kept.rowcount != 1:
        return False
    await tx.execute(delete(_standard).where(_standard.c.legal_entity_id == card.legal_entity_id))
    rows = [
        {
            "legal_entity_id": card.legal_entity_id,
            "position": position,
            "role": each.role,
            "level": each.level,
            "region": each.region,
            "hourly_cost": each.hourly_cost.amount,
            "currency": each.hourly_cost.currency,
            "decimals": exponent(each.hourly_cost.currency),
            "valid_from": each.valid_from,
            "valid_to": each.valid_to,
        }
        for position, each in enumerate(card.costs, start=1)
    ]
    await tx.execute(insert(_standard), rows)
    return True


def cost_from(row: Row[Any]) -> PersonCost:
    """Return the cost a row holds."""
    return PersonCost(
        person_id=row.person_id,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        legal_entity_id=row.legal_entity_id,
        hourly_cost=Money(row.hourly_cost, row.currency),
        recorded_by=row.recorded_by,
        recorded_at=row.recorded_at,
    )
