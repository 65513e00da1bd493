"""Where approved things stand, and everything that one decision about them changes."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from billing_event.domain.claim import ClaimKind
from billing_event.domain.hold import PERSONAL, HoldId, OpenHold
from billing_event.domain.position import BillingEventId, EventStatus, Row
from billing_event.domain.rating import Covered
from billing_event.domain.source import SourceItem


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says of one thing: its rows and, while it has none, its own open holds.

    `is_reversed` of one whose rows all were taken back: whether another thing takes it back, so
    that it is never billed again. `given_up` is how much of its released rows credit notes gave
    back for good; it is known of what is locked.
    """

    item: SourceItem
    rows: tuple[Row, ...]
    item_holds: tuple[OpenHold, ...] = ()
    is_reversed: bool = False
    given_up: Mapping[BillingEventId, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HoldOpened:
    """A hold to write, on a row or on a thing that has none."""

    item: SourceItem
    row: Row | None
    hold: OpenHold


@dataclass(frozen=True, slots=True)
class Reversal:
    """A thing that takes another back, and where that one stands.

    `waits` are the open holds the reversal has had so far. `original` is None while the thing it
    takes back has not arrived.
    """

    item: SourceItem
    waits: tuple[OpenHold, ...]
    original: Standing | None


def is_waiting_reversal(standing: Standing) -> bool:
    """Whether a thing has to take another back and could not do so yet."""
    return standing.item.reverses_item_id is not None and not standing.rows


@dataclass(frozen=True, slots=True)
class Settlement:
    """All of a row is claimed otherwise than by an invoice, or given back, on a civil day.

    `row` is as it ends up.
    """

    row: Row
    kind: ClaimKind
    on: date
    gives_back: bool = False


@dataclass(slots=True)
class Decision:
    """Everything one batch changes; `rated` and `changed` hold the rows as they end up.

    `settled` says which of them are claimed as a whole at once, or no longer.
    """

    rated: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    opened: list[HoldOpened] = field(default_factory=list)
    cleared: list[HoldId] = field(default_factory=list)
    covered: list[tuple[SourceItem, Covered]] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)

    def carry_over(
        self, taken: Iterable[Row], first_new: int, *, dropping: Collection[HoldId] = ()
    ) -> None:
        """Hold the rows rated from `first_new` on as people held those `taken` back for them."""
        holds = {
            hold.reason: replace(hold, hold_id=None)
            for row in taken
            for hold in row.holds
            if hold.reason in PERSONAL and hold.hold_id not in dropping
        }
        for index in range(first_new, len(self.rated) if holds else 0):
            row = self.rated[index]
            all_holds = (*row.holds, *holds.values())
            held = replace(row, status=EventStatus.HELD, released_by="", holds=all_holds)
            self.rated[index] = held
            self.opened += [HoldOpened(held.item, held, hold) for hold in holds.values()]
