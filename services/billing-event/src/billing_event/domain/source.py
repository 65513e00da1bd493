"""What was approved: the things that are billed, as they came, before anybody priced them."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from throughline_core.money import Money

SourceItemId = NewType("SourceItemId", UUID)
ContractId = NewType("ContractId", UUID)
ContractLineId = NewType("ContractLineId", UUID)
CustomerId = NewType("CustomerId", UUID)
LegalEntityId = NewType("LegalEntityId", UUID)


class ItemType(StrEnum):
    """What kind of thing was approved."""

    TIME = "time"
    EXPENSE = "expense"
    MILESTONE = "milestone"
    RECURRING = "recurring"
    PROGRESS = "progress"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"


AGREED: Final = frozenset(
    {
        ItemType.MILESTONE,
        ItemType.RECURRING,
        ItemType.PROGRESS,
        ItemType.USAGE,
        ItemType.ADJUSTMENT,
    }
)
"""Things worth an agreed amount, which a later word on them may change."""


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where the thing was born, if outside: the crosswalk key it keeps."""

    system: str
    object_type: str
    object_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """One approved thing, kept once and never changed.

    `price` is the net cost of an expense or the agreed amount of a milestone or period, None for
    time; `price_basis` says in words where it comes from. `minutes` are as recorded, 0 for all but
    time, negative on a reversal. Service days are half-open. Only a milestone can be unaccepted;
    `refusal` says so where the client refused it or an acceptance was withdrawn, and is empty
    unless that is the last word on it. `price`, `approved_by` and the days of a period are by the
    last word on the thing as well. `activity` is the kind of work that may change the rate.
    `reverses_item_id` is the thing a reversal takes back, `replaces_item_id` the one a correction
    stands for. `receipt_price` is what an expense cost in the currency of its receipt, None where
    `price`, which is in the employer's, is in it as well. `category` is that of an expense.
    `project_contract_id` is the contract of the project where no line of it bills the work, else
    None.
    """

    source_item_id: SourceItemId
    type: ItemType
    contract_id: ContractId | None
    contract_line_id: ContractLineId | None
    engagement_id: UUID | None
    project_id: UUID | None = None
    task_id: UUID | None = None
    person_id: UUID | None = None
    person_name: str = ""
    delivering_entity_id: LegalEntityId | None
    role: str = ""
    level: str = ""
    region: str = ""
    description: str
    service_from: date
    service_to: date
    minutes: int = 0
    price: Money | None
    price_basis: str = ""
    is_billable: bool = True
    is_accepted: bool = True
    refusal: str = ""
    approved_by: str = ""
    source: SourceRef | None = None
    activity: str = ""
    reverses_item_id: SourceItemId | None = None
    replaces_item_id: SourceItemId | None = None
    receipt_price: Money | None = None
    category: str = ""
    project_contract_id: ContractId | None = None
