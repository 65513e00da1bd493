"""Rating by other rules beside the live ones: what comes out differently, and by how much."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType
from uuid import UUID

from billing_event.domain.agreement import Agreement, Facts
from billing_event.domain.drawing import Drawing
from billing_event.domain.job import RunStatus
from billing_event.domain.rating import Covered, Outcome, Priced, Rater
from billing_event.domain.source import ContractId, SourceItem
from billing_event.domain.terms import CardEntry, ContractTerms, LineTerms, RateCard
from throughline_core.errors import InvalidArgument, NotFound
from throughline_core.money import Money
from throughline_core.quantity import TimeRounding

ShadowRunId = NewType("ShadowRunId", UUID)


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """Rules to try: what is None, empty or false is as it is live.

    `cards` take the place of published cards with their ids, or are more of them; `multipliers`
    take that of those on contract lines.
    """

    cards: tuple[RateCard, ...] = ()
    time_rounding: TimeRounding | None = None
    ignores_line_rates: bool = False
    multipliers: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class ShadowScope:
    """Which work is compared; None does not limit, dates are inclusive.

    `legal_entity_ids` are the entities looked at: the one named, or all the caller may see.
    """

    contract_id: ContractId | None = None
    legal_entity_id: UUID | None = None
    legal_entity_ids: Sequence[UUID] | None = None
    service_from: date | None = None
    service_through: date | None = None


@dataclass(frozen=True, slots=True)
class ShadowRun:
    """A comparison; `rules` is the message they came as.

    `cursor_at` and `cursor_id` are when the last thing compared was recorded, and which it was.
    `totals` are what live and shadow rules come to, by currency.
    """

    shadow_run_id: ShadowRunId
    version: int
    name: str
    rules: bytes
    scope: ShadowScope
    is_live: bool
    status: RunStatus
    cursor_at: datetime
    started_by: str
    started_at: datetime
    cursor_id: UUID | None = None
    items_rated: int = 0
    items_different: int = 0
    totals: Mapping[str, tuple[Decimal, Decimal]] | None = None
    finished_at: datetime | None = None

    @property
    def name_in_words(self) -> str:
        """What a refusal calls it."""
        return f"shadow run {self.shadow_run_id}"


class ShadowRunNotFound(NotFound):
    """No such run, or none the caller may see."""

    code = "shadow_run.not_found"


class NoRules(InvalidArgument):
    """The rules to try are the live ones."""

    code = "shadow_run.no_rules"


class CardTwice(InvalidArgument):
    """One card is named in two versions."""

    code = "shadow_run.rate_card_twice"


class NoPrice(InvalidArgument):
    """An entry of a card is no price, or holds for no day; or a factor is none."""

    code = "shadow_run.no_price"


class OutcomeKind(StrEnum):
    """What rules make of a thing."""

    PRICED = "priced"
    HELD = "held"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class Comparable:
    """What rules make of a thing, over all who pay for it; no amount unless it is priced."""

    kind: OutcomeKind
    amount: Money | None
    quantity: Decimal | None
    explanation: str

    @property
    def essence(self) -> tuple[object, ...]:
        """What makes two outcomes the same; the words do not, where it is priced."""
        if self.kind is OutcomeKind.PRICED:
            return self.kind, self.amount, self.quantity
        return self.kind, self.explanation


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing by both sets of rules."""

    item: SourceItem
    live: Comparable
    shadow: Comparable

    @property
    def is_different(self) -> bool:
        return self.live.essence != self.shadow.essence


def require_rules(rules: ShadowRules) -> None:
    """Check that there is something to try, and each card once.

    Raises:
        NoRules, CardTwice, NoPrice: there is not, or it makes no sense.
    """
    if rules == ShadowRules():
        raise NoRules(
            "the rules name nothing to try",
            field="rules",
            advice="name rate cards, a rounding, factors, or leave out the rates of lines",
        )
    if len({card.rate_card_id for card in rules.cards}) != len(rules.cards):
        raise CardTwice("one rate card is named twice", field="rules.rate_cards")
    for number, card in enumerate(rules.cards):
        for entry in (each for entries in card.entries.values() for each in entries):
            _require_price(entry, field=f"rules.rate_cards[{number}].entries")
    factors = [rules.multipliers or {}, *(card.multipliers for card in rules.cards)]
    if any(factor <= 0 for each in factors for factor in each.values()):
        raise NoPrice(
            "a factor is not above zero",
            field="rules.multipliers",
            advice="a factor multiplies a price: 1.5 for half as much again",
        )


def _require_price(entry: CardEntry, *, field: str) -> None:
    if entry.hourly_rate.amount < 0:
        raise NoPrice(
            f"{entry.hourly_rate} an hour of {entry.role} is less than nothing",
            field=f"{field}.hourly_rate",
            advice="send what an hour costs",
        )
    if entry.valid_to is not None and entry.valid_to <= entry.valid_from:
        raise NoPrice(
            f"the price of {entry.role} is over on {entry.valid_to}, before it holds",
            field=f"{field}.valid_to",
            advice=f"name a day after {entry.valid_from}, or none",
        )


def compare(facts: Facts, rules: ShadowRules, items: Iterable[SourceItem]) -> Iterator[Compared]:
    """Yield what live and shadow rules make of things, by the same facts."""
    live, shadow = Rater(facts), Rater(by_rules(facts, rules))
    for item in items:
        yield Compared(item, _comparable(live.rate(item)), _comparable(shadow.rate(item)))


def by_rules(facts: Facts, rules: ShadowRules) -> Facts:
    """Return the facts as the rules would have them."""
    replaced = {card.rate_card_id for card in rules.cards}
    kept = [card for card in facts.cards if card.rate_card_id not in replaced]
    return replace(
        facts,
        cards=[*kept, *rules.cards],
        agreements={
            contract_id: _agreement(agreement, rules)
            for contract_id, agreement in facts.agreements.items()
        },
    )


def _agreement(agreement: Agreement, rules: ShadowRules) -> Agreement:
    return replace(agreement, versions=tuple(_terms(terms, rules) for terms in agreement.versions))


def _terms(terms: ContractTerms, rules: ShadowRules) -> ContractTerms:
    return replace(
        terms,
        time_rounding=rules.time_rounding or terms.time_rounding,
        lines={line_id: _line(line, rules) for line_id, line in terms.lines.items()},
    )


def _line(line: LineTerms, rules: ShadowRules) -> LineTerms:
    if rules.ignores_line_rates:
        line = replace(line, rates={}, person_rates={})
    if rules.multipliers is not None:
        line = replace(line, multipliers=rules.multipliers)
    return line


def _comparable(outcome: Outcome) -> Comparable:
    if isinstance(outcome, Priced):
        shares = outcome.shares
        return Comparable(
            OutcomeKind.PRICED,
            Money.total(
                (share.portion.amount for share in shares), shares[0].portion.amount.currency
            ),
            sum((share.portion.quantity for share in shares), Decimal(0)),
            shares[0].rating.explanation,
        )
    if isinstance(outcome, Drawing):
        rating, whole = outcome.rating, outcome.whole
        return Comparable(OutcomeKind.PRICED, whole.amount, whole.quantity, rating.explanation)
    if isinstance(outcome, Covered):
        return Comparable(OutcomeKind.COVERED, None, None, outcome.explanation)
    hold = outcome.hold
    return Comparable(OutcomeKind.HELD, None, None, f"{hold.reason}: {hold.detail}")
