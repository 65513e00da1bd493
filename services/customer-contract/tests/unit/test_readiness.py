"""Readiness: every check is told, and what fails says who mends it and how."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from customer_contract_builders import (
    END,
    START,
    a_billing_profile,
    a_card,
    a_customer,
    a_customer_profile,
    a_data_quality_rule,
    a_line,
    a_rate,
    an_active_contract,
    an_entity,
    an_entity_profile,
    an_id,
    eur,
)

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.contract_terms import Contract, ContractStatus, PurchaseOrder
from customer_contract.domain.credit import Exposure, positions
from customer_contract.domain.customer import Customer
from customer_contract.domain.customer_details import CustomerDetails, ExemptionCertificate
from customer_contract.domain.data_quality import Severity
from customer_contract.domain.legal_entity import EntityDetails
from customer_contract.domain.rate_card import CardScope
from customer_contract.domain.readiness import Check, CheckOwner, Facts, judge
from customer_contract.domain.service_line import BillingModel, LineDefaults, ModelTerms
from customer_contract.domain.tax_registration import Registration, TaxStatus
from customer_contract.domain.values import CustomerId, PostalAddress

CODES = (
    "contract.not_active",
    "contract.term_invalid",
    "contract.currency_mixed",
    "customer.credit_hold",
    "customer.tax_id_missing",
    "customer.tax_id_invalid",
    "catalogue.service_unknown",
    "catalogue.billing_model_differs",
    "catalogue.template_unknown",
    "rate_card.no_rate",
    "customer.ended",
    "customer.tax_jurisdiction",
    "customer.exemption_expired",
    "contract.purchase_order_expired",
    "price_policy.breached",
    "customer.exposure_unknown",
    "customer.credit_limit_exceeded",
    "data_quality.sales_operations",
    "data_quality.pmo",
    "data_quality.finance",
    "data_quality.integration",
)


def a_catalogue() -> Mapping[str, CatalogueEntry]:
    lines = [a_line(position) for position in (1, 2, 3, 4)]
    return {
        line.service_code: CatalogueEntry(
            line.service_code,
            1,
            LineDefaults("x", line.billing_model, "x", line.template_code, ModelTerms()),
            False,
        )
        for line in lines
    }


def some_facts(**changes: Any) -> Facts:
    facts = Facts(
        customer=a_customer(),
        bill_to=a_customer(),
        entity=an_entity(),
        catalogue=a_catalogue(),
        templates=frozenset(a_line(position).template_code for position in (1, 2, 3, 4)),
        cards=[a_card()],
        today=START,
        credit={},
        price_breaches=(),
        broken_rules=(),
    )
    return replace(facts, **changes)


def failed(contract: Contract | None = None, **facts: Any) -> list[Check]:
    checks = judge(contract or an_active_contract(), some_facts(**facts))
    assert tuple(check.code for check in checks) == CODES
    assert all(bool(check.advice) != check.passed for check in checks)
    return [check for check in checks if not check.passed]


def test_a_deal_in_order_passes_every_check() -> None:
    assert failed() == []


@pytest.mark.parametrize(
    ("facts", "code", "owner"),
    [
        ({"entity": an_entity(currency="USD")}, "contract.currency_mixed", CheckOwner.FINANCE),
        ({"today": END}, "contract.term_invalid", CheckOwner.SALES_OPERATIONS),
        (
            dict.fromkeys(("customer", "bill_to"), a_customer(credit_hold_reason="overdue")),
            "customer.credit_hold",
            CheckOwner.FINANCE,
        ),
        (
            {"bill_to": a_customer(tax_status=TaxStatus.MISSING)},
            "customer.tax_id_missing",
            CheckOwner.SALES_OPERATIONS,
        ),
        (
            {"bill_to": a_customer(tax_status=TaxStatus.INVALID)},
            "customer.tax_id_invalid",
            CheckOwner.SALES_OPERATIONS,
        ),
        (
            dict.fromkeys(("customer", "bill_to"), a_customer(ended_on=START)),
            "customer.ended",
            CheckOwner.SALES_OPERATIONS,
        ),
        ({"credit": None}, "customer.exposure_unknown", CheckOwner.INTEGRATION),
        (
            {"price_breaches": an_active_contract().lines[:1]},
            "price_policy.breached",
            CheckOwner.SALES_OPERATIONS,
        ),
        ({"templates": frozenset()}, "catalogue.template_unknown", CheckOwner.PMO),
        ({"catalogue": {}}, "catalogue.service_unknown", CheckOwner.SALES_OPERATIONS),
    ],
)
def test_what_fails_names_its_owner(facts: dict[str, Any], code: str, owner: CheckOwner) -> None:
    [check] = failed(**facts)
    assert (check.code, check.owner) == (code, owner)


@pytest.mark.parametrize(
    "status", [one for one in ContractStatus if one is not ContractStatus.ACTIVE]
)
def test_work_starts_under_an_active_contract_only(status: ContractStatus) -> None:
    [check] = failed(an_active_contract(status=status))
    assert check.code == "contract.not_active"


def test_the_bill_to_party_is_judged_beside_the_customer() -> None:
    payer = a_customer(
        customer_id=CustomerId(an_id("c2")), number="C-000043", credit_hold_reason="overdue"
    )
    [check] = failed(bill_to=payer)
    assert (check.code, "C-000043" in check.advice) == ("customer.credit_hold", True)


def test_a_retired_or_rebilled_service_is_told_for_its_lines() -> None:
    contract = an_active_contract()
    entries = dict(a_catalogue())
    entries["ADVISORY-TM"] = replace(entries["ADVISORY-TM"], retired=True)
    support = entries["SUPPORT-MS"]
    entries["SUPPORT-MS"] = replace(
        support, defaults=replace(support.defaults, billing_model=BillingModel.FIXED_FEE)
    )

    unknown, differing = failed(contract, catalogue=entries)

    assert unknown.contract_line_ids == (contract.lines[1].contract_line_id,)
    assert differing.contract_line_ids == (contract.lines[2].contract_line_id,)


def test_a_line_outside_the_term_is_told() -> None:
    contract = an_active_contract()
    first = contract.lines[0]
    late = replace(first, terms=replace(first.terms, end_on=date(2027, 9, 2)))

    [check] = failed(replace(contract, lines=(late, *contract.lines[1:])))

    assert check.contract_line_ids == (first.contract_line_id,)


def test_a_line_ended_together_with_the_rest_of_the_term_is_not_outside_it() -> None:
    contract = an_active_contract()
    first = contract.lines[0]
    ended = replace(
        first,
        terms=replace(first.terms, end_on=contract.end_on),
        ended_on=date(2027, 1, 1),
    )
    shorter = replace(contract, end_on=date(2027, 3, 1), lines=(ended, *contract.lines[1:]))

    assert failed(shorter) == []


def _with_open_rates(contract: Contract) -> Contract:
    open_line = replace(contract.lines[1], terms=a_line(2, terms=ModelTerms()))
    return replace(contract, lines=(open_line,))


def test_hours_without_an_agreed_rate_need_a_card_valid_from_their_first_day() -> None:
    contract = _with_open_rates(an_active_contract())
    late = a_card(a_rate("consultant", "1", valid_from=date(2026, 9, 2)))
    foreign = a_card(
        rate_card_id=an_id("d9"), scope=CardScope("EUR", None, CustomerId(an_id("c9")))
    )

    assert failed(contract) == []
    for cards in ([], [late], [foreign]):
        [check] = failed(contract, cards=cards)
        assert check.code == "rate_card.no_rate"
        assert check.contract_line_ids == (contract.lines[0].contract_line_id,)


def test_the_contracts_own_card_is_in_its_currency() -> None:
    contract = an_active_contract(billing=a_billing_profile(rate_card_id=a_card().rate_card_id))
    dollars = a_card(scope=CardScope("USD", None, None))
    [check] = failed(contract, cards=[dollars])
    assert check.code == "contract.currency_mixed"


NEW_YORK = PostalAddress(("1 Broadway",), "New York", "10004", "NY", "US")
PARIS = PostalAddress(("1 rue de Rivoli",), "Paris", "75001", "", "FR")


def a_foreign_customer(address: PostalAddress, **changes: Any) -> Customer:
    return a_customer(profile=a_customer_profile(address=address, tax_id=None), **changes)


@pytest.mark.parametrize(
    ("customer", "entity_changes", "known"),
    [
        (a_foreign_customer(PARIS, tax_status=TaxStatus.VALID), {}, True),
        (a_foreign_customer(PARIS, tax_status=TaxStatus.VALID), {"tax_id": None}, False),
        (a_foreign_customer(PARIS, tax_status=TaxStatus.MISSING), {}, False),
        (
            a_foreign_customer(PARIS, tax_status=TaxStatus.MISSING),
            {"details": EntityDetails(registrations=(Registration("FR", "", "FR40303265045"),))},
            True,
        ),
        (a_foreign_customer(NEW_YORK, tax_status=TaxStatus.NOT_REQUIRED), {"tax_id": None}, True),
        (a_foreign_customer(NEW_YORK, tax_status=TaxStatus.INVALID), {}, False),
    ],
)
def test_somebody_accounts_for_the_tax_where_the_bill_goes(
    customer: Customer, entity_changes: dict[str, Any], known: bool
) -> None:
    entity = an_entity(profile=an_entity_profile(**entity_changes))

    codes = [check.code for check in failed(customer=customer, bill_to=customer, entity=entity)]

    assert ("customer.tax_jurisdiction" not in codes) is known


def a_certificate(valid_to: date, region: str = "NY") -> ExemptionCertificate:
    return ExemptionCertificate("US", region, "EX-1", date(2020, 1, 1), valid_to, "")


@pytest.mark.parametrize(
    ("certificates", "is_lapsed"),
    [
        ((), False),
        ((a_certificate(START),), True),
        ((a_certificate(date(2026, 9, 2)),), False),
        ((a_certificate(START), a_certificate(date(2026, 9, 2))), False),
        ((a_certificate(START, region="CA"),), False),
        ((a_certificate(START, region=""),), True),
    ],
)
def test_an_exemption_that_ran_out_is_told_before_tax_is_left_out(
    certificates: tuple[ExemptionCertificate, ...], is_lapsed: bool
) -> None:
    details = CustomerDetails(certificates=certificates)
    customer = a_customer(profile=a_customer_profile(address=NEW_YORK, details=details))

    codes = [check.code for check in failed(customer=customer, bill_to=customer)]

    assert ("customer.exemption_expired" in codes) is is_lapsed


def an_order(valid_to: date | None, *lines: int) -> PurchaseOrder:
    covered = tuple(an_active_contract().lines[line].contract_line_id for line in lines)
    return PurchaseOrder(f"PO-{valid_to}", date(2026, 1, 1), valid_to, None, covered)


def test_a_line_whose_purchase_orders_have_all_expired_waits_for_a_new_one() -> None:
    contract = an_active_contract()
    expired, valid = an_order(START, 0, 1), an_order(date(2026, 9, 2), 1)

    def judged(*orders: PurchaseOrder) -> list[Check]:
        return failed(replace(contract, billing=a_billing_profile(purchase_orders=orders)))

    [check] = judged(expired, valid)
    assert check.code == "contract.purchase_order_expired"
    assert check.contract_line_ids == (contract.lines[0].contract_line_id,)
    assert judged(expired, an_order(None)) == []
    assert judged() == []


def test_a_party_that_owes_more_than_it_may_stops_new_work() -> None:
    customer = a_customer()
    exposure = Exposure(eur("900.00"), eur("100.01"))
    standing = positions(eur("1000.00"), (), [exposure], today=START)

    [check] = failed(credit={customer.customer_id: standing})

    assert (check.code, check.owner) == ("customer.credit_limit_exceeded", CheckOwner.FINANCE)
    assert "C-000042" in check.advice


def test_each_owner_is_told_the_rules_that_are_theirs_and_warnings_stop_nothing() -> None:
    stop, warn = (
        a_data_quality_rule(severity=severity, owner="finance")
        for severity in (Severity.STOP, Severity.WARN)
    )

    [check] = failed(broken_rules=(stop,))
    assert (check.code, check.owner) == ("data_quality.finance", CheckOwner.FINANCE)
    assert failed(broken_rules=(warn,)) == []
