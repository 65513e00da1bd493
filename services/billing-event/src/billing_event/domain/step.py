"""What is said of an approved thing after it came: that it is accepted, refused, repriced."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from billing_event.domain.source import SourceItemId
from throughline_core.errors import FailedPrecondition
from throughline_core.money import Money


class StepState(StrEnum):
    """What a step says; a thing is accepted while its last step is."""

    COMPLETED = "completed"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    REPRICED = "repriced"


@dataclass(frozen=True, slots=True)
class SourceStep:
    """One word on a thing; the one of the highest version, as its publisher counts, is the last.

    `price` is the agreed amount from then on, None where nothing is said of it; `service_from` and
    `service_to` are the days of a period that starts or ends otherwise since. `reason` says why it
    was refused, withdrawn or repriced. `recorded_by` is the token subject behind an acceptance,
    empty on all others.
    """

    source_item_id: SourceItemId
    version: int
    state: StepState
    price: Money | None = None
    service_from: date | None = None
    service_to: date | None = None
    reason: str = ""
    accepted_on: date | None = None
    accepted_by: str = ""
    evidence_sha256: str = ""
    recorded_by: str = ""


class AlreadyBilled(FailedPrecondition):
    """Something of the thing is on a draft or an issued invoice."""

    code = "source.already_billed"


class NotWithdrawable(FailedPrecondition):
    """Only the acceptance of a milestone can be withdrawn."""

    code = "source.not_withdrawable"
