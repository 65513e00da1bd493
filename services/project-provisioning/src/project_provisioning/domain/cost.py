"""What an hour of people costs: a person's own cost over time, and a company's standard costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from throughline_core.errors import InvalidArgument
from throughline_core.money import Money


class CostNegative(InvalidArgument):
    """An hour does not cost less than nothing."""

    code = "cost_rate.negative"


class SummaryTooLarge(InvalidArgument):
    """There are more sums than an answer holds."""

    code = "cost.summary_too_large"


class CostOrigin(StrEnum):
    """Where the cost of an entry came from."""

    PERSON = "person"
    CARD = "card"


class CostGrouping(StrEnum):
    """What costs are summed over."""

    PROJECT = "project"
    TASK = "task"
    PERSON = "person"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class PersonCost:
    """What an hour of a person costs the company that employs, in `[valid_from, valid_to)`."""

    person_id: UUID
    valid_from: date
    valid_to: date | None
    legal_entity_id: UUID
    hourly_cost: Money
    recorded_by: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class StandardCost:
    """What an hour of a role costs; None is any level or region."""

    role: str
    level: str | None
    region: str | None
    hourly_cost: Money
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class StandardCostCard:
    """One version of a company's standard costs."""

    cost_rate_card_id: UUID
    version: int
    legal_entity_id: UUID
    costs: tuple[StandardCost, ...]


def set_cost(costs: Sequence[PersonCost], new: PersonCost) -> tuple[PersonCost, ...]:
    """Return a person's costs after `new` holds from its first day on.

    The one that holds on that day ends with the day before; the next one that is recorded ends
    the new one.

    Raises:
        CostNegative: see above.
    """
    if new.hourly_cost.amount < 0:
        raise CostNegative(
            "an hour does not cost less than nothing",
            field="hourly_cost.amount",
            advice="send zero or more",
        )
    earlier = [each for each in costs if each.valid_from < new.valid_from]
    later = [each for each in costs if each.valid_from > new.valid_from]
    if earlier and (earlier[-1].valid_to is None or earlier[-1].valid_to > new.valid_from):
        earlier[-1] = replace(earlier[-1], valid_to=new.valid_from)
    ends = later[0].valid_from if later else None
    return (*earlier, replace(new, valid_to=ends), *later)
