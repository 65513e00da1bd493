"""Versioned rules of the firm, of a country or of a company: proposed by one, activated by another.

What the rules say is another module's: time rules and expense policies live alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar
from uuid import UUID

from throughline_core.errors import InvalidArgument, NotFound, PermissionDenied
from throughline_core.transition import move

Rules = TypeVar("Rules", covariant=True)


class RuleSetStatus(StrEnum):
    """Where a version stands; one that is active is replaced by a later one, never changed."""

    DRAFT = "draft"
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"


TRANSITIONS: Final[Mapping[RuleSetStatus, frozenset[RuleSetStatus]]] = {
    RuleSetStatus.DRAFT: frozenset({RuleSetStatus.ACTIVE, RuleSetStatus.WITHDRAWN}),
    RuleSetStatus.ACTIVE: frozenset(),
    RuleSetStatus.WITHDRAWN: frozenset(),
}


class RuleSetKind(StrEnum):
    """What the rules are about."""

    TIME = "time"
    EXPENSE = "expense"


class Severity(StrEnum):
    """What a broken rule does."""

    WARN = "warn"
    STOP = "stop"


class RuleSetNotFound(NotFound):
    """There is no such version of such rules, or none the caller may see."""

    code = "rule_set.not_found"


class OwnProposal(PermissionDenied):
    """Rules are activated by somebody other than who proposed them."""

    code = "rule_set.own_proposal"


class ScopeUnclear(InvalidArgument):
    """Rules are those of a company, of a country, or of the firm."""

    code = "rule_set.scope_unclear"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rules they are: a company's, a country's, or the firm's where both are None."""

    legal_entity_id: UUID | None = None
    country: str | None = None

    def __str__(self) -> str:
        return str(self.legal_entity_id or self.country or "firm")


@dataclass(frozen=True, slots=True)
class RuleSet(Generic[Rules]):
    """One version of the rules of a scope; in force from `effective_from` on, once active."""

    rule_set_id: UUID
    kind: RuleSetKind
    scope: Scope
    version: int
    effective_from: date
    status: RuleSetStatus
    rules: Rules
    proposed_by: str
    proposed_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleBook(Generic[Rules]):
    """The active versions of one kind of rules, and each company's country."""

    versions: tuple[RuleSet[Rules], ...]
    countries: Mapping[UUID, str]

    def in_force(self, legal_entity_id: UUID, day: date) -> RuleSet[Rules] | None:
        """Return what holds for a company on a day: its own rules, its country's, the firm's.

        Of several versions of one scope the one that came into effect last holds.
        """
        country = self.countries.get(legal_entity_id)
        scopes = (Scope(legal_entity_id), Scope(country=country), Scope())
        for scope in scopes:
            found = [
                each for each in self.versions if each.scope == scope and each.effective_from <= day
            ]
            if found:
                return max(found, key=lambda each: (each.effective_from, each.version))
        return None


def scope_of(legal_entity_id: UUID | None, country: str) -> Scope:
    """Return the scope that a request names.

    Raises:
        ScopeUnclear: it names a company and a country.
    """
    if legal_entity_id is not None and country:
        raise ScopeUnclear(
            "rules belong to a company or to a country",
            field="country",
            advice="send one of the two, or neither for the whole firm",
        )
    return Scope(legal_entity_id, country or None)


def activate(rule_set: RuleSet[Rules], *, by: str, at: datetime) -> RuleSet[Rules]:
    """Let proposed rules hold.

    Raises:
        IllegalTransition: they are no draft.
        OwnProposal: `by` proposed them.
    """
    activated = _decide(rule_set, RuleSetStatus.ACTIVE, by, at)
    if by == rule_set.proposed_by:
        raise OwnProposal(
            "the caller proposed these rules", advice="ask a second person to activate them"
        )
    return activated


def withdraw(rule_set: RuleSet[Rules], *, by: str, at: datetime) -> RuleSet[Rules]:
    """Give a proposal up.

    Raises:
        IllegalTransition: it is no draft.
    """
    return _decide(rule_set, RuleSetStatus.WITHDRAWN, by, at)


def next_version(versions: Iterable[int]) -> int:
    """Return the number of the version after these."""
    return max(versions, default=0) + 1


def _decide(
    rule_set: RuleSet[Rules], target: RuleSetStatus, by: str, at: datetime
) -> RuleSet[Rules]:
    name = f"version {rule_set.version} of the {rule_set.kind} rules"
    status = move(name, rule_set.status, target, TRANSITIONS)
    return replace(rule_set, status=status, decided_by=by, decided_at=at)
