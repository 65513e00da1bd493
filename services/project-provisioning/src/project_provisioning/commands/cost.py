"""Costs of an hour, and entries that waited for them."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk import costing
from project_provisioning.domain import cost as domain
from project_provisioning.domain.cost import PersonCost
from project_provisioning.domain.employment import NotEmployed, employment_on
from project_provisioning.repository import cost as repository
from project_provisioning.repository import employment as employment_repository
from project_provisioning.repository import lock as lock_repository
from throughline_core.money import Money
from throughline_runtime.identity import require_entity


async def set_person_cost(
    tx: AsyncConnection,
    person_id: UUID,
    *,
    valid_from: date,
    hourly_cost: Money,
    by: str,
    at: datetime,
) -> Sequence[PersonCost]:
    """Record what an hour of a person costs from a day on, and cost what waited for it.

    Raises:
        PersonNotFound, EntityForbidden, NotEmployed, CostNegative, PeriodLocked.
    """
    employee = await employment_repository.get(tx, person_id)
    stretch = employment_on(employee.employments, valid_from)
    if stretch is None:
        raise NotEmployed(
            "nobody employs the person on that day",
            field="valid_from",
            advice="send a day within an employment",
        )
    require_entity(stretch.legal_entity_id)
    await lock_repository.require_open(
        tx, [(stretch.legal_entity_id, valid_from)], field="valid_from"
    )
    new = PersonCost(
        person_id,
        valid_from,
        None,
        stretch.legal_entity_id,
        hourly_cost,
        recorded_by=by,
        recorded_at=at,
    )
    costs = domain.set_cost(await repository.of_person(tx, person_id), new)
    await repository.replace_all(tx, person_id, costs)
    await costing.record_waiting(tx, person_ids=[person_id])
    return costs
