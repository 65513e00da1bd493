"""A contract with all versions of its terms: which one holds for a day, and whether it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from billing_event.domain.exchange import Exchange
from billing_event.domain.source import ContractId, ContractLineId, CustomerId
from billing_event.domain.terms import (
    ContractTerms,
    CustomerState,
    LineTerms,
    RateCard,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """A contract is in force no longer: from `on`, the first day without it, and why in words.

    Only one that was `is_early`, by termination, cuts a period short that has begun.
    """

    on: date
    is_early: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """All versions of one contract's terms that arrived, oldest first; at least one.

    `first_version` is the one that came into force with the contract and holds for every day
    before a later one does; None while it has not arrived.
    """

    versions: tuple[ContractTerms, ...]
    first_version: int | None
    ending: Ending | None = None

    @property
    def newest(self) -> ContractTerms:
        """The latest terms: who is billed, and up to which limits."""
        return self.versions[-1]

    @property
    def first_day(self) -> date:
        """The day the first of all its lines began."""
        return min(line.term.start for terms in self.versions for line in terms.lines.values())

    def on(self, day: date) -> ContractTerms | None:
        """Return the terms that hold for a day: of the versions in effect by then the latest.

        None while a version that may be this one has not arrived.
        """
        expected = self.newest.contract_version
        for terms in reversed(self.versions):
            if terms.contract_version != expected:
                return None
            if self._starts_by(terms, day):
                return terms
            expected -= 1
        return None

    def line_on(
        self, contract_line_id: ContractLineId, day: date
    ) -> tuple[ContractTerms, LineTerms] | None:
        """Return a line as it holds for a day; one added for later days, as it was added.

        None where no version has it, or while a version that may decide has not arrived.
        """
        terms = self.on(day)
        if terms is None:
            return None
        line = terms.lines.get(contract_line_id)
        if line is not None:
            return terms, line
        for later in self.versions:
            line = later.lines.get(contract_line_id)
            if line is not None and later.contract_version > terms.contract_version:
                return later, line
        return None

    def _starts_by(self, terms: ContractTerms, day: date) -> bool:
        if terms.contract_version == self.first_version:
            return True
        if terms.effective_on is not None:
            return terms.effective_on <= day
        # A moved limit says nothing of a day: it holds as long as the version it was made from.
        for before in self.versions:
            if before.contract_version == terms.contract_version - 1:
                return self._starts_by(before, day)
        return False


@dataclass(frozen=True, slots=True)
class Amendment:
    """That prices of some lines changed from a day on; work of these days may have to follow."""

    contract_id: ContractId
    contract_version: int
    effective_on: date
    change_order_number: str
    contract_line_ids: frozenset[ContractLineId]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a batch is rated by, as known at `epoch`, the count of changes to these facts."""

    epoch: int
    agreements: Mapping[ContractId, Agreement]
    cards: Sequence[RateCard]
    customers: Mapping[CustomerId, CustomerState]
    exchange: Exchange = field(default_factory=Exchange)


def unsupported(terms: ContractTerms) -> list[str]:
    """Return, in words, what of the terms is known here and not billed by itself yet."""
    words = []
    if terms.has_holdback:
        words.append("a holdback")
    return words
