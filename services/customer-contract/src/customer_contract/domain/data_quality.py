"""Data quality: what the firm wants to be recorded before it goes on, as rules it sets itself."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from customer_contract.domain.values import LegalEntityId
from throughline_core.errors import FailedPrecondition, InvalidArgument, PermissionDenied

VALUE_LENGTH_MAX: Final = 500
_UNBOUNDED_MAX: Final = 2


class FieldUnknown(InvalidArgument):
    """Rules cannot look at such a field of the object."""

    code = "data_quality.field_unknown"


class ArgumentInvalid(InvalidArgument):
    """The pattern or the list of values does not fit the condition, or cannot be used safely."""

    code = "data_quality.argument_invalid"


class ProposalOpen(FailedPrecondition):
    """A version of the rule waits for a second person already."""

    code = "data_quality.proposal_open"


class NotProposed(FailedPrecondition):
    """The version does not wait for anybody."""

    code = "data_quality.not_proposed"


class OwnProposal(PermissionDenied):
    """Who wrote a version puts it in force: there is no second person."""

    code = "data_quality.own_proposal"


class RuleRetired(FailedPrecondition):
    """The version was taken back already."""

    code = "data_quality.rule_retired"


class RuleBroken(FailedPrecondition):
    """A rule that stops is broken: what it names has to be recorded first."""

    code = "data_quality.rule_broken"


class RuleObject(StrEnum):
    """What a rule looks at."""

    CUSTOMER = "customer"
    QUOTE = "quote"
    CONTRACT = "contract"


class Condition(StrEnum):
    """What a field has to be."""

    REQUIRED = "required"
    MATCHES = "matches"
    ONE_OF = "one_of"


class Severity(StrEnum):
    """What happens when it is not so."""

    WARN = "warn"
    STOP = "stop"


class RuleStatus(StrEnum):
    """Where a version of a rule stands."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    RETIRED = "retired"


FIELDS: Final[Mapping[RuleObject, frozenset[str]]] = {
    RuleObject.CUSTOMER: frozenset(
        {
            "name",
            "tax_id",
            "billing_email",
            "address.region",
            "address.postal_code",
            "address.city",
            "contacts.billing",
            "contacts.purchasing",
            "source",
        }
    ),
    RuleObject.QUOTE: frozenset(
        {
            "number",
            "currency",
            "start_on",
            "end_on",
            "lines.description",
            "lines.tax_category",
            "lines.template_code",
            "lines.service_code",
        }
    ),
    RuleObject.CONTRACT: frozenset(
        {
            "billing.purchase_order",
            "lines.description",
            "lines.tax_category",
            "lines.template_code",
        }
    ),
}
"""The fields rules may look at; those of lines are looked at on each line."""

Values = Mapping[str, Sequence[str]]
"""What an object has in each of its `FIELDS`: one value, or one for each line; empty = none."""


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """What a rule says; `legal_entity_id` and `country` None hold for all."""

    object: RuleObject
    field: str
    condition: Condition
    pattern: str
    values: tuple[str, ...]
    legal_entity_id: LegalEntityId | None
    country: str | None
    severity: Severity
    owner: str
    advice: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule."""

    code: str
    rule_version: int
    terms: RuleTerms
    status: RuleStatus
    proposed_by: str
    proposed_at: datetime
    activated_by: str = ""
    activated_at: datetime | None = None
    retired_reason: str = ""


def propose(code: str, latest: Rule | None, terms: RuleTerms, *, by: str, at: datetime) -> Rule:
    """Return the next version of a rule, which waits for a second person.

    Raises:
        FieldUnknown, ArgumentInvalid: the terms.
        ProposalOpen: the version before it waits still.
    """
    _check(terms)
    if latest is not None and latest.status is RuleStatus.PROPOSED:
        raise ProposalOpen(
            f"version {latest.rule_version} of {code} waits for a second person",
            advice="activate or retire it first",
        )
    version = 1 if latest is None else latest.rule_version + 1
    return Rule(code, version, terms, RuleStatus.PROPOSED, by, at)


def activate(rule: Rule, *, by: str, at: datetime) -> Rule:
    """Put a version in force.

    Raises:
        NotProposed: it does not wait.
        OwnProposal: by whom it was written.
    """
    if rule.status is not RuleStatus.PROPOSED:
        raise NotProposed(f"version {rule.rule_version} of {rule.code} is {rule.status}")
    if rule.proposed_by == by:
        raise OwnProposal("who wrote the rule may not activate it", advice="ask a second person")
    return replace(rule, status=RuleStatus.ACTIVE, activated_by=by, activated_at=at)


def retire(rule: Rule, *, reason: str) -> Rule:
    """Take a version back.

    Raises:
        RuleRetired: it was.
    """
    if rule.status is RuleStatus.RETIRED:
        raise RuleRetired(f"version {rule.rule_version} of {rule.code} is retired already")
    return replace(rule, status=RuleStatus.RETIRED, retired_reason=reason)


def broken(
    rules: Iterable[Rule],
    values: Mapping[RuleObject, Values],
    *,
    legal_entity_id: LegalEntityId | None,
    country: str,
) -> tuple[Rule, ...]:
    """Return the rules that what is recorded breaks, in the order given.

    Without a legal entity only the rules for all of them are held against it.
    """
    return tuple(
        rule
        for rule in rules
        if rule.terms.object in values
        and rule.terms.legal_entity_id in (None, legal_entity_id)
        and rule.terms.country in (None, country)
        and not all(
            _is_met(rule.terms, value) for value in values[rule.terms.object][rule.terms.field]
        )
    )


def require_sound(findings: Sequence[Rule]) -> None:
    """Refuse to go on while a rule that stops is broken.

    Raises:
        RuleBroken: naming the first one and its advice.
    """
    stopping = [rule for rule in findings if rule.terms.severity is Severity.STOP]
    if stopping:
        codes = ", ".join(rule.code for rule in stopping)
        raise RuleBroken(f"data-quality rules stop this: {codes}", advice=stopping[0].terms.advice)


def _is_met(terms: RuleTerms, value: str) -> bool:
    if terms.condition is Condition.REQUIRED:
        return bool(value.strip())
    if not value:
        return True
    if terms.condition is Condition.ONE_OF:
        return value in terms.values
    return re.fullmatch(terms.pattern, value[:VALUE_LENGTH_MAX]) is not None


def _check(terms: RuleTerms) -> None:
    if terms.field not in FIELDS[terms.object]:
        raise FieldUnknown(
            f"rules cannot look at {terms.field} of a {terms.object}",
            field="field",
            advice=f"name one of {', '.join(sorted(FIELDS[terms.object]))}",
        )
    if bool(terms.pattern) != (terms.condition is Condition.MATCHES):
        raise ArgumentInvalid("a pattern goes with the condition matches only", field="pattern")
    if bool(terms.values) != (terms.condition is Condition.ONE_OF):
        raise ArgumentInvalid("values go with the condition one_of only", field="values")
    if terms.pattern:
        _check_pattern(terms.pattern)


def _check_pattern(pattern: str) -> None:
    """Refuse what could take exponential time: groups, references, many unbounded repetitions."""
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern)
    unbounded = len(re.findall(r"[*+]|\{\d*,\}", plain))
    has_reference = re.search(r"\\[1-9]", pattern) is not None
    try:
        re.compile(pattern)
    except re.error as error:
        raise ArgumentInvalid(f"the pattern is none: {error.msg}", field="pattern") from error
    if "(" in plain or has_reference or unbounded > _UNBOUNDED_MAX:
        raise ArgumentInvalid(
            "the pattern has groups, references, or more than two unbounded repetitions",
            field="pattern",
            advice="use character classes and bounded repetitions such as {2,10}",
        )
