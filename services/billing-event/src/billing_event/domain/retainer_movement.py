"""What moves balances of retainers: the entries of statements, draws, and what lapsed."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from billing_event.domain.position import BillingEventId
from billing_event.domain.retainer import Bucket, MovementKind, RetainerPeriod, RetainerPeriodId

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of a period's statement: how much of which period's block, and what it was paid.

    Quantity and value are of the sign in which they move the balance.
    """

    retainer_period_id: RetainerPeriodId
    origin_period_id: RetainerPeriodId
    kind: MovementKind
    quantity: Decimal
    value: Decimal
    billing_event_id: BillingEventId | None = None


@dataclass(frozen=True, slots=True)
class Lapsed:
    """What of the block of a period lapsed at the end of one, and what it was paid."""

    quantity: Decimal = _NOTHING
    value: Decimal = _NOTHING


@dataclass(frozen=True, slots=True)
class Drawn:
    """A part of some work that a bucket of a period pays for: so much of it, paid so much."""

    period: RetainerPeriod
    bucket: Bucket
    quantity: Decimal
    value: Decimal
