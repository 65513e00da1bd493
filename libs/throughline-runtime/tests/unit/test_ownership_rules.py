"""The most precise rule decides, and silence is a no."""

import pytest

from throughline.customer_contract.v1 import customer_service_pb2
from throughline_runtime.ownership import ANY, Action, Owned, Rule, is_allowed, owned_by, owners_of

NOBODY = Rule(ANY, ANY, ANY, allowed=False)
CRM_CREATES = Rule("customer", "create", "salesforce", allowed=True)
CREATE = Owned("customer", Action.CREATE)


def test_without_any_rule_no_system_may_change_anything() -> None:
    assert not is_allowed([], CREATE, system="salesforce")


def test_a_system_does_what_a_rule_names_and_nothing_beside_it() -> None:
    rules = [NOBODY, CRM_CREATES]

    assert is_allowed(rules, CREATE, system="salesforce")
    assert not is_allowed(rules, CREATE, system="netsuite")
    assert not is_allowed(rules, Owned("customer", Action.CLOSE), system="salesforce")
    assert not is_allowed(rules, Owned("quote", Action.CREATE), system="salesforce")


@pytest.mark.parametrize(
    ("vague", "precise"),
    [
        (Rule(ANY, ANY, ANY, allowed=True), Rule("customer", ANY, ANY, allowed=False)),
        (
            Rule(ANY, "create", "salesforce", allowed=True),
            Rule("customer", ANY, ANY, allowed=False),
        ),
        (Rule("customer", ANY, "salesforce", allowed=True), Rule("customer", "create", ANY, False)),
        (
            Rule("customer", "create", ANY, allowed=True),
            Rule("customer", "create", "salesforce", False),
        ),
    ],
)
def test_the_rule_that_names_more_wins_whichever_comes_first(vague: Rule, precise: Rule) -> None:
    assert not is_allowed([vague, precise], CREATE, system="salesforce")
    assert not is_allowed([precise, vague], CREATE, system="salesforce")
    assert is_allowed([vague], CREATE, system="salesforce")


def test_the_owners_are_the_systems_that_may() -> None:
    blocked = Rule("customer", "create", "hubspot", allowed=False)
    wide = Rule("customer", ANY, "hubspot", allowed=True)

    assert owners_of([NOBODY, CRM_CREATES, wide, blocked], CREATE) == ("salesforce",)
    assert owners_of([NOBODY], CREATE) == ()


def test_a_method_says_what_it_touches_or_nothing() -> None:
    methods = customer_service_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name

    assert owned_by(methods["CreateCustomer"]) == CREATE
    assert owned_by(methods["GetCustomer"]) is None
