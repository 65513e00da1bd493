"""Releases of any number of rows, and releases that are taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType
from uuid import UUID

from billing_event.domain.job import RunStatus
from billing_event.domain.position import BillingEventId, EventType
from billing_event.domain.source import ContractId
from throughline_core.errors import AlreadyExists, FailedPrecondition, NotFound
from throughline_core.money import Money

ReleaseRunId = NewType("ReleaseRunId", UUID)
WithdrawalId = NewType("WithdrawalId", UUID)


@dataclass(frozen=True, slots=True)
class ReleaseScope:
    """Which eligible rows; None does not limit. `through` is the last day of service, inclusive.

    `legal_entity_ids` are the entities looked at: the one named, or all the caller may see.
    """

    contract_id: ContractId | None = None
    legal_entity_id: UUID | None = None
    legal_entity_ids: Sequence[UUID] | None = None
    through: date | None = None
    types: tuple[EventType, ...] = ()
    max_amount: Money | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRun:
    """A release of a scope by the person `started_by`; `cursor` is the last row dealt with."""

    release_run_id: ReleaseRunId
    version: int
    scope: ReleaseScope
    status: RunStatus
    rows_found: int
    rows_other_person: int
    started_by: str
    started_at: datetime
    rows_released: int = 0
    rows_held: int = 0
    released_amounts: Mapping[str, Decimal] | None = None
    cursor: BillingEventId | None = None
    finished_at: datetime | None = None

    @property
    def name_in_words(self) -> str:
        """What a refusal calls it."""
        return f"release run {self.release_run_id}"


class ReleaseRunNotFound(NotFound):
    """No such run, or none the caller may see."""

    code = "release_run.not_found"


class WithdrawalStatus(StrEnum):
    """Where a withdrawal stands."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A release that is taken back; `rows` are the rows with the version they had then."""

    withdrawal_id: WithdrawalId
    status: WithdrawalStatus
    rows: tuple[tuple[BillingEventId, int], ...]
    reason: str
    places_hold: bool
    requested_by: str
    requested_at: datetime
    refusal: str = ""
    finished_at: datetime | None = None


class WithdrawalNotFound(NotFound):
    """No such withdrawal, or none the caller may see."""

    code = "release_withdrawal.not_found"


class WithdrawalUnderWay(AlreadyExists):
    """The release of a row is being taken back already."""

    code = "release_withdrawal.under_way"


class NotReleased(FailedPrecondition):
    """There is no release to take back."""

    code = "billing_event.not_released"


class AlreadyInvoiced(FailedPrecondition):
    """An issued invoice has claimed the row."""

    code = "billing_event.already_invoiced"
