"""How much of a limit is taken, what is told of it, and how strictly it is enforced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from billing_event.domain.limit import LimitAccountId
from billing_event.domain.limit_terms import Limit
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money

_HUNDRED: Final = Decimal(100)
_ALERTS_MAX: Final = 10


class Enforcement(StrEnum):
    """Whether work over a limit is held, or only told of."""

    HARD = "hard"
    SOFT = "soft"


class LimitNotFound(NotFound):
    """No such limit, or none the caller may see."""

    code = "limit.not_found"


class RepeatedThreshold(InvalidArgument):
    """A threshold that is named twice, or too many of them."""

    code = "limit.thresholds_repeated"


class PaysByAmount(FailedPrecondition):
    """The amount says who pays, and is no cap on it: there is nothing to enforce otherwise."""

    code = "limit.pays_by_amount"


@dataclass(frozen=True, slots=True)
class Usage:
    """What is agreed, enforced and taken of a limit; None where it stops nothing any more.

    `taken` is reserved and committed. `alerted_percent` is the highest threshold that was told as
    reached, 0 for none; `alert_version` counts what was told.
    """

    limit: Limit
    name: str
    agreed: Decimal | None
    enforced: Decimal | None
    taken: Decimal
    tolerance_percent: Decimal
    is_hard: bool
    alert_percents: Sequence[int]
    alerted_percent: int
    alert_version: int

    def in_words(self, amount: Decimal | None) -> str:
        """Return an amount of the limit as people read it."""
        return "nothing" if amount is None else str(Money(amount, self.limit.agreed.currency))

    @property
    def is_lowered(self) -> bool:
        """Whether a hard limit stands above what is agreed because more had been taken."""
        if not self.is_hard or self.agreed is None:
            return False
        return self.taken > self.agreed * (1 + self.tolerance_percent / _HUNDRED)

    @property
    def used_percent(self) -> Decimal | None:
        """What is taken of what is agreed, in percent; None where nothing is agreed."""
        if not self.agreed:
            return None
        return self.taken * _HUNDRED / self.agreed


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold of a limit that was reached, or that what is taken fell below again."""

    usage: Usage
    version: int
    threshold_percent: int
    reached: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told of a limit now: the crossings in order, and the highest threshold reached."""

    usage: Usage
    reached_percent: int
    crossings: Sequence[Crossing]


def alert_of(usage: Usage) -> Alert | None:
    """Return what has to be told of a limit, None where nothing changed.

    A threshold is reached at its percent of the agreed amount, whatever the tolerance.
    """
    reached = max(_reached(usage), default=0)
    if reached == usage.alerted_percent:
        return None
    rising = reached > usage.alerted_percent
    between = [
        percent
        for percent in sorted(set(usage.alert_percents), reverse=not rising)
        if min(reached, usage.alerted_percent) < percent <= max(reached, usage.alerted_percent)
    ]
    crossings = [
        Crossing(usage, usage.alert_version + number, percent, rising)
        for number, percent in enumerate(between, start=1)
    ]
    return Alert(usage, reached, crossings)


def _reached(usage: Usage) -> Iterator[int]:
    if usage.agreed is None or usage.taken <= 0:
        return
    for percent in usage.alert_percents:
        if usage.taken * _HUNDRED >= usage.agreed * percent:
            yield percent


@dataclass(frozen=True, slots=True)
class Settings:
    """How a limit is enforced; version 0 is the default nobody set.

    Up to `tolerance_percent` over what is agreed may be taken of a hard limit. At each of
    `alert_percents` of what is agreed it is told that the limit is used so far.
    """

    limit_account_id: LimitAccountId
    version: int
    enforcement: Enforcement
    tolerance_percent: Decimal
    alert_percents: tuple[int, ...]
    reason: str = ""
    set_by: str = ""
    set_at: datetime | None = None


def require_enforceable(
    amount: Money | None, *, enforcement: Enforcement, tolerance_percent: Decimal
) -> None:
    """Check that a limit may be enforced so, `amount` being what its payer pays before the others.

    Raises:
        PaysByAmount: it says who pays.
    """
    if amount is None or (enforcement is Enforcement.HARD and not tolerance_percent):
        return
    raise PaysByAmount(
        f"the payer pays up to {amount}, and the others what is beyond it",
        field="enforcement" if enforcement is not Enforcement.HARD else "tolerance_percent",
        advice="agree another amount with this payer, and change the contract",
    )


def reset(
    present: Settings,
    *,
    enforcement: Enforcement,
    tolerance_percent: Decimal,
    alert_percents: Sequence[int],
    reason: str,
    by: str,
    at: datetime,
) -> Settings:
    """Return the settings that take the place of the present ones.

    Raises:
        RepeatedThreshold: a threshold is named twice, or there are more than ten.
    """
    percents = tuple(sorted(set(alert_percents)))
    if len(percents) != len(alert_percents) or len(percents) > _ALERTS_MAX:
        raise RepeatedThreshold(
            f"{len(alert_percents)} thresholds, {len(percents)} of them different",
            field="alert_percents",
            advice=f"name up to {_ALERTS_MAX} different percents, such as 80 and 100",
        )
    return replace(
        present,
        version=present.version + 1,
        enforcement=enforcement,
        tolerance_percent=tolerance_percent,
        alert_percents=percents,
        reason=reason,
        set_by=by,
        set_at=at,
    )
