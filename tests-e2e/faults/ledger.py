"""What clients know they were promised: every thing the platform has said yes to."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from e2e_deals import MARKUP_PERCENT, RATE

TAX_PERCENT: Final = 19

_CENT: Final = Decimal("0.01")
_HOUR_MINUTES: Final = 60


def hours_amount(minutes: int) -> Decimal:
    """Return the price of an entry: hours to two decimals, times the rate, to the cent."""
    hours = (Decimal(minutes) / _HOUR_MINUTES).quantize(_CENT, ROUND_HALF_UP)
    return (hours * RATE).quantize(_CENT, ROUND_HALF_UP)


def expense_amount(net: Decimal) -> Decimal:
    """Return cost plus markup; nets are such that it is whole cents."""
    return (net * (100 + MARKUP_PERCENT) / 100).quantize(_CENT, ROUND_HALF_UP)


def with_tax(net: Decimal) -> Decimal:
    """Return a German invoice's total: tax once, on its whole base."""
    return net + (net * TAX_PERCENT / 100).quantize(_CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Promise:
    """One accepted thing, under a name that no other one has."""

    name: str
    contract_id: str
    amount: Decimal
    minutes: int = 0


@dataclass
class Ledger:
    """The clients' own books, kept apart from everything they are compared with."""

    time: dict[str, Promise] = field(default_factory=dict)
    expenses: dict[str, Promise] = field(default_factory=dict)
    milestones: dict[str, Promise] = field(default_factory=dict)
    requests: int = 0
    repetitions: Counter[str] = field(default_factory=Counter)
    """Why requests were sent again, and how often."""
    surprises: list[str] = field(default_factory=list)
    """Answers that no client should ever get."""

    def accept_time(self, contract_id: str, rows: Iterable[tuple[str, int]]) -> None:
        """Book approved entries, each by its note and minutes."""
        for name, minutes in rows:
            self.time[name] = Promise(name, contract_id, hours_amount(minutes), minutes)

    def accept_expense(self, contract_id: str, name: str, net: Decimal) -> None:
        """Book an approved expense by its description and cost."""
        self.expenses[name] = Promise(name, contract_id, expense_amount(net))

    def accept_milestone(self, contract_id: str, milestone_id: str, amount: Decimal) -> None:
        """Book an accepted milestone by its id."""
        self.milestones[milestone_id] = Promise(milestone_id, contract_id, amount)

    def __iter__(self) -> Iterator[Promise]:
        yield from self.time.values()
        yield from self.expenses.values()
        yield from self.milestones.values()

    @property
    def minutes(self) -> int:
        return sum(promise.minutes for promise in self)

    @property
    def amount(self) -> Decimal:
        return sum((promise.amount for promise in self), Decimal(0))

    @property
    def gross(self) -> Decimal:
        """What the invoices must ask for: one for each contract, tax on its whole net."""
        nets: dict[str, Decimal] = {}
        for promise in self:
            nets[promise.contract_id] = nets.get(promise.contract_id, Decimal(0)) + promise.amount
        return sum(map(with_tax, nets.values()), Decimal(0))
