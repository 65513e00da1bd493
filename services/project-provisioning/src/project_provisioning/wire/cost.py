"""Costs as messages, and standard costs as customer-contract publishes them."""

from typing import Any, Final

from project_provisioning.domain.cost import (
    CostGrouping,
    CostOrigin,
    PersonCost,
    StandardCost,
    StandardCostCard,
)
from throughline.customer_contract.v1 import cost_rate_pb2
from throughline.project_provisioning.v1 import cost_service_pb2 as pb
from throughline_core.money import RATE_PLACES, Money
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_money,
    read_optional_date,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
)

GROUPINGS: Final = EnumMap(pb.CostGrouping, CostGrouping)
ORIGINS: Final = EnumMap(pb.CostOrigin, CostOrigin)


def read_card(card: cost_rate_pb2.CostRateCard) -> StandardCostCard:
    """Return a company's standard costs as they were published."""
    return StandardCostCard(
        cost_rate_card_id=read_uuid("cost_rate_card_id", card.cost_rate_card_id),
        version=card.version,
        legal_entity_id=read_uuid("legal_entity_id", card.legal_entity_id),
        costs=tuple(
            StandardCost(
                role=entry.role,
                level=entry.level if entry.HasField("level") else None,
                region=entry.region if entry.HasField("region") else None,
                hourly_cost=read_money("hourly_cost", entry.hourly_cost, places=RATE_PLACES),
                valid_from=read_date("valid_from", entry.valid_from),
                valid_to=read_optional_date("valid_to", entry.valid_to),
            )
            for entry in card.entries
        ),
    )


def write_person_cost(cost: PersonCost) -> pb.PersonCost:
    """Return what an hour of a person costs."""
    return pb.PersonCost(
        person_id=write_id(cost.person_id),
        valid_from=write_date(cost.valid_from),
        valid_to=None if cost.valid_to is None else write_date(cost.valid_to),
        hourly_cost=write_money(cost.hourly_cost),
        recorded_by=cost.recorded_by,
        recorded_at=write_instant(cost.recorded_at),
    )


def write_time_cost(row: Any) -> pb.TimeCost:
    """Return what an entry cost, from its row."""
    return pb.TimeCost(
        time_entry_id=write_id(row.time_entry_id),
        person_id=write_id(row.person_id),
        legal_entity_id=write_id(row.legal_entity_id),
        project_id=write_id(row.project_id),
        task_id=write_id(row.task_id),
        engagement_id=write_id(row.engagement_id),
        work_date=write_date(row.work_date),
        minutes=row.minutes,
        billable=row.billable,
        hourly_cost=write_money(Money(row.hourly_cost, row.currency)),
        amount=write_money(Money(row.amount, row.currency)),
        origin=ORIGINS.write(CostOrigin(row.origin)),
        card_version=row.card_version,
    )


def write_sum(row: Any) -> pb.TimeCostSum:
    """Return a sum of costs from its row."""
    return pb.TimeCostSum(
        key=str(row.key),
        minutes=row.minutes,
        billable_minutes=row.billable_minutes,
        amount=write_money(Money(row.amount, row.currency)),
    )
