"""Data-quality rules: what they may say, what they find, and that two people make them hold."""

from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import pytest
from customer_contract_builders import (
    ENTITY_ID,
    a_customer,
    a_customer_profile,
    a_data_quality_rule,
    a_quote,
    an_active_contract,
    an_id,
)

from customer_contract.domain import data_quality as domain
from customer_contract.domain.customer_details import Contact, ContactPurpose, CustomerDetails
from customer_contract.domain.data_quality import (
    FIELDS,
    Condition,
    Rule,
    RuleObject,
    RuleStatus,
    Severity,
    broken,
)
from customer_contract.domain.data_quality_values import (
    contract_values,
    customer_values,
    quote_values,
)
from customer_contract.domain.values import LegalEntityId
from throughline_core.errors import Refusal

NOW = datetime(2026, 8, 1, tzinfo=UTC)


def found(rule: Rule, **profile: Any) -> bool:
    """Whether the rule finds something about the customer of the samples."""
    customer = a_customer(profile=a_customer_profile(**profile))
    values = {RuleObject.CUSTOMER: customer_values(customer)}
    return bool(broken([rule], values, legal_entity_id=ENTITY_ID, country="DE"))


def test_every_field_that_rules_may_name_is_there_to_be_looked_at() -> None:
    assert {
        RuleObject.CUSTOMER: customer_values(a_customer()).keys(),
        RuleObject.QUOTE: quote_values(a_quote()).keys(),
        RuleObject.CONTRACT: contract_values(an_active_contract()).keys(),
    } == FIELDS


def test_what_is_required_has_to_be_there() -> None:
    contact = Contact("Nina", ContactPurpose.BILLING, "nina@nordwind.example", "")

    assert found(a_data_quality_rule())
    assert not found(a_data_quality_rule(), details=CustomerDetails(contacts=(contact,)))
    assert found(
        a_data_quality_rule(field="contacts.purchasing"),
        details=CustomerDetails(contacts=(contact,)),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [("ap@nordwind.example", False), ("ap@nordwind.example.evil", True), ("", False)],
)
def test_a_pattern_is_held_against_the_whole_value_where_there_is_one(
    value: str, expected: bool
) -> None:
    rule = a_data_quality_rule(
        field="billing_email", condition=Condition.MATCHES, pattern=r"[a-z]+@nordwind\.example"
    )
    assert found(rule, billing_email=value) is expected


def test_lines_are_looked_at_one_by_one() -> None:
    quote = a_quote()
    codes = tuple(line.service_code for line in quote.lines)
    rule = a_data_quality_rule(
        object=RuleObject.QUOTE,
        field="lines.service_code",
        condition=Condition.ONE_OF,
        values=codes[1:],
    )
    values = {RuleObject.QUOTE: quote_values(quote)}

    assert broken([rule], values, legal_entity_id=ENTITY_ID, country="DE") == (rule,)
    all_known = replace(rule, terms=replace(rule.terms, values=codes))
    assert broken([all_known], values, legal_entity_id=ENTITY_ID, country="DE") == ()


def test_a_rule_holds_only_where_it_says() -> None:
    assert not found(a_data_quality_rule(country="FR"))
    assert found(a_data_quality_rule(country="DE"))
    assert found(a_data_quality_rule(legal_entity_id=ENTITY_ID))
    assert not found(a_data_quality_rule(legal_entity_id=LegalEntityId(an_id("e2"))))


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"field": "shoe_size"}, "data_quality.field_unknown", "field"),
        ({"field": "lines.description"}, "data_quality.field_unknown", "field"),
        ({"pattern": "x"}, "data_quality.argument_invalid", "pattern"),
        ({"condition": Condition.MATCHES}, "data_quality.argument_invalid", "pattern"),
        ({"condition": Condition.ONE_OF}, "data_quality.argument_invalid", "values"),
        ({"values": ("x",)}, "data_quality.argument_invalid", "values"),
        (
            {"condition": Condition.MATCHES, "pattern": "[a-"},
            "data_quality.argument_invalid",
            "pattern",
        ),
        (
            {"condition": Condition.MATCHES, "pattern": "(a+)+b"},
            "data_quality.argument_invalid",
            "pattern",
        ),
        (
            {"condition": Condition.MATCHES, "pattern": "a*a*a*b"},
            "data_quality.argument_invalid",
            "pattern",
        ),
    ],
)
def test_a_rule_that_cannot_be_held_is_refused(
    terms: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(Refusal) as refused:
        domain.propose("x", None, a_data_quality_rule(**terms).terms, by="paula", at=NOW)
    assert (refused.value.stable_code, refused.value.field) == (code, field)


def test_the_slowest_pattern_that_is_taken_is_fast_on_the_longest_value() -> None:
    terms = a_data_quality_rule(
        field="name", condition=Condition.MATCHES, pattern="[a-z]*[a-z]*b"
    ).terms
    rule = domain.propose("x", None, terms, by="paula", at=NOW)

    started = perf_counter()
    assert found(rule, name="a" * 5000)
    assert perf_counter() - started < 0.5


def test_two_people_put_a_version_in_force() -> None:
    first = domain.propose("x", None, a_data_quality_rule().terms, by="paula", at=NOW)
    with pytest.raises(domain.OwnProposal):
        domain.activate(first, by="paula", at=NOW)
    with pytest.raises(domain.ProposalOpen):
        domain.propose("x", first, first.terms, by="ines", at=NOW)

    active = domain.activate(first, by="ines", at=NOW)
    assert active.status is RuleStatus.ACTIVE
    with pytest.raises(domain.NotProposed):
        domain.activate(active, by="ines", at=NOW)
    second = domain.propose("x", active, first.terms, by="paula", at=NOW)
    assert second.rule_version == 2
    retired = domain.retire(active, reason="not needed")
    with pytest.raises(domain.RuleRetired):
        domain.retire(retired, reason="again")


def test_only_a_rule_that_stops_refuses_and_its_advice_is_told() -> None:
    domain.require_sound([a_data_quality_rule(severity=Severity.WARN)])
    with pytest.raises(domain.RuleBroken, match="billing-contact") as refused:
        domain.require_sound([a_data_quality_rule()])
    assert refused.value.advice == "record who approves invoices"
