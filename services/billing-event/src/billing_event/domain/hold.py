"""Why something may not be released, who can change that, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound

HoldId = NewType("HoldId", UUID)


class HoldReason(StrEnum):
    """The reasons of the trade; each clears when its cause is gone, a manual one by a person."""

    AWAITING_ACCEPTANCE = "awaiting_acceptance"
    LIMIT_EXCEEDED = "limit_exceeded"
    CREDIT_HOLD = "credit_hold"
    MISSING_RATE = "missing_rate"
    MISSING_FX_RATE = "missing_fx_rate"
    CONTRACT_NOT_ACTIVE = "contract_not_active"
    OUTSIDE_TERM = "outside_term"
    TAX_INVALID = "tax_invalid"
    UNMAPPED = "unmapped"
    MANUAL = "manual"
    SOURCE_CHANGED = "source_changed"


@dataclass(frozen=True, slots=True)
class WayOut:
    """Who has to act, and what clears the hold."""

    owner: str
    advice: str


WAYS_OUT: Final[Mapping[HoldReason, WayOut]] = {
    HoldReason.AWAITING_ACCEPTANCE: WayOut(
        "pmo",
        "record the client's acceptance of the milestone; if the client refused it, mend what was"
        " refused and complete it again",
    ),
    HoldReason.LIMIT_EXCEEDED: WayOut(
        "sales_operations", "agree a higher not-to-exceed with the customer and change the limit"
    ),
    HoldReason.CREDIT_HOLD: WayOut("finance", "lift the credit hold of the bill-to customer"),
    HoldReason.MISSING_RATE: WayOut(
        "sales_operations", "publish a rate card with a rate for this role and work date"
    ),
    HoldReason.MISSING_FX_RATE: WayOut(
        "finance",
        "record the rate of exchange of that day, or let the entity's exchange policy take another",
    ),
    HoldReason.CONTRACT_NOT_ACTIVE: WayOut(
        "sales_operations",
        "sign and activate the contract; if it has ended, move the work to the right one",
    ),
    HoldReason.OUTSIDE_TERM: WayOut(
        "sales_operations", "extend the term of the contract line, or move the work"
    ),
    HoldReason.TAX_INVALID: WayOut(
        "finance", "correct the tax registration of the bill-to customer"
    ),
    HoldReason.UNMAPPED: WayOut("pmo", "move the work to a task that has a contract line"),
    HoldReason.MANUAL: WayOut("finance", "ask whoever placed the hold, or clear it"),
    HoldReason.SOURCE_CHANGED: WayOut(
        "integration",
        "see that what it takes back arrives; if that was taken back before, reverse this one too",
    ),
}

PERSONAL: Final = frozenset({HoldReason.MANUAL, HoldReason.SOURCE_CHANGED})
"""Holds that no fact about contract, card, customer or limit clears."""


TOLD: Final = frozenset({HoldReason.AWAITING_ACCEPTANCE, HoldReason.MISSING_FX_RATE})
"""Holds whose words are news by themselves: one with other words takes the place of the first."""


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A reason that applies now; `hold_id` is None until it is written.

    `placed_by` is the token subject behind a manual hold, empty for all others. `way_out` is who
    has to act and how, where the reason alone does not tell.
    """

    reason: HoldReason
    detail: str
    hold_id: HoldId | None = None
    placed_by: str = ""
    way_out: WayOut | None = None

    @property
    def owner(self) -> str:
        """Who has to act: a role, or the person who placed the hold."""
        return self.placed_by or (self.way_out or WAYS_OUT[self.reason]).owner


class NoHoldNamed(InvalidArgument):
    """The request names neither holds, nor a contract, nor a person."""

    code = "hold.nothing_named"


class HoldNotFound(NotFound):
    """No such hold, or none the caller may see."""

    code = "hold.not_found"


class HoldNotManual(FailedPrecondition):
    """The hold has a cause; it clears when the cause is gone."""

    code = "hold.not_manual"


class HoldAlreadyCleared(FailedPrecondition):
    """Somebody cleared the hold before."""

    code = "hold.already_cleared"


class HoldAlreadyPlaced(AlreadyExists):
    """The row has a manual hold."""

    code = "hold.already_placed"
