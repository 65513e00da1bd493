"""Readiness: whether work under a contract can start, and who mends what stops it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.contract_terms import Contract, ContractLine, ContractStatus
from customer_contract.domain.customer import Customer
from customer_contract.domain.rate_card import Deal, RateCard, in_scope
from customer_contract.domain.service_line import BillingModel
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.domain.values import ContractLineId


class CheckOwner(StrEnum):
    """Who can mend what a check found."""

    SALES_OPERATIONS = "sales_operations"
    PMO = "pmo"
    FINANCE = "finance"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so; `advice` is empty when it is."""

    code: str
    passed: bool
    owner: CheckOwner
    advice: str
    contract_line_ids: tuple[ContractLineId, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a contract is judged by, as it stands now; `templates` are those the catalogue names."""

    customer: Customer
    bill_to: Customer
    entity_currency: str
    catalogue: Mapping[str, CatalogueEntry]
    templates: frozenset[str]
    cards: Sequence[RateCard]
    today: date


def judge(contract: Contract, facts: Facts) -> tuple[Check, ...]:
    """Return every check in a fixed order, the passed ones too."""
    return (
        *_check_contract(contract, facts),
        *_check_customer(facts),
        *_check_catalogue(contract, facts),
        _check_rates(contract, facts),
    )


def _check_contract(contract: Contract, facts: Facts) -> Iterable[Check]:
    yield _check(
        "contract.not_active",
        contract.status is ContractStatus.ACTIVE,
        CheckOwner.SALES_OPERATIONS,
        f"the contract is {contract.status}: have it signed and activate it",
    )
    outside = [
        line
        for line in contract.lines
        if not contract.start_on
        <= (line.terms.start_on or contract.start_on)
        < (line.terms.end_on or contract.end_on)
        <= contract.end_on
    ]
    yield _check(
        "contract.term_invalid",
        contract.start_on < contract.end_on and facts.today < contract.end_on and not outside,
        CheckOwner.SALES_OPERATIONS,
        f"the term {contract.start_on} to {contract.end_on} is over, or a line lies outside it: "
        "agree on a new term",
        outside,
    )
    # Lines are in the contract's currency by construction; its surroundings need not be.
    own_card = [card for card in facts.cards if card.rate_card_id == contract.billing.rate_card_id]
    currencies = {facts.entity_currency, *(card.scope.currency for card in own_card)}
    yield _check(
        "contract.currency_mixed",
        currencies == {contract.currency},
        CheckOwner.FINANCE,
        f"the contract is in {contract.currency}, the selling entity's books or the rate card are "
        "not: sell from another entity or quote again",
    )


def _check_customer(facts: Facts) -> Iterable[Check]:
    parties = {party.customer_id: party for party in (facts.customer, facts.bill_to)}.values()
    held = [party for party in parties if party.on_credit_hold]
    yield _check(
        "customer.credit_hold",
        not held,
        CheckOwner.FINANCE,
        f"customer {_numbers(held)} is on credit hold: release the hold once its reason is gone",
    )
    # The party invoices go to is the one whose registration is printed.
    status = facts.bill_to.tax_status
    number = facts.bill_to.number
    yield _check(
        "customer.tax_id_missing",
        status is not TaxStatus.MISSING,
        CheckOwner.SALES_OPERATIONS,
        f"customer {number} has no tax registration: ask for it and record it",
    )
    yield _check(
        "customer.tax_id_invalid",
        status is not TaxStatus.INVALID,
        CheckOwner.SALES_OPERATIONS,
        f"the tax registration of customer {number} fails the check of its country: correct the "
        "number or the country of the address",
    )


def _check_catalogue(contract: Contract, facts: Facts) -> Iterable[Check]:
    unknown, differing = [], []
    for line in contract.lines:
        entry = facts.catalogue.get(line.terms.service_code)
        if entry is None or entry.retired:
            unknown.append(line)
        elif entry.defaults.billing_model is not line.terms.billing_model:
            differing.append(line)
    strange = [line for line in contract.lines if line.terms.template_code not in facts.templates]
    yield _check(
        "catalogue.service_unknown",
        not unknown,
        CheckOwner.SALES_OPERATIONS,
        f"put {_codes(unknown)} into the service catalogue",
        unknown,
    )
    yield _check(
        "catalogue.billing_model_differs",
        not differing,
        CheckOwner.SALES_OPERATIONS,
        f"the catalogue bills {_codes(differing)} otherwise than the contract: correct the "
        "catalogue or quote again",
        differing,
    )
    yield _check(
        "catalogue.template_unknown",
        not strange,
        CheckOwner.PMO,
        f"no service of the catalogue has the delivery template of {_codes(strange)}: correct the "
        "catalogue or quote again",
        strange,
    )


def _check_rates(contract: Contract, facts: Facts) -> Check:
    without = [
        line
        for line in contract.lines
        if line.terms.billing_model is BillingModel.TIME_AND_MATERIALS
        and not line.terms.terms.rates
        and not _is_priced_by_card(contract, line, facts.cards)
    ]
    return _check(
        "rate_card.no_rate",
        not without,
        CheckOwner.SALES_OPERATIONS,
        "publish a rate card that is valid from the first day of the line, or agree rates on it",
        without,
    )


def _is_priced_by_card(contract: Contract, line: ContractLine, cards: Iterable[RateCard]) -> bool:
    first_day = line.terms.start_on or contract.start_on
    deal = deal_of(contract)
    return any(
        entry.holds_on(first_day)
        for card in cards
        if in_scope(card, deal) is not None
        for entry in card.entries
    )


def deal_of(contract: Contract) -> Deal:
    """Return what decides which cards price the contract's hours."""
    return Deal(
        contract.customer_id,
        contract.legal_entity_id,
        contract.currency,
        contract.billing.rate_card_id,
    )


def _check(
    code: str,
    passed: bool,
    owner: CheckOwner,
    advice: str,
    lines: Iterable[ContractLine] = (),
) -> Check:
    ids = tuple(line.contract_line_id for line in lines)
    return Check(code, passed, owner, "" if passed else advice, ids)


def _codes(lines: Iterable[ContractLine]) -> str:
    return ", ".join(sorted({line.terms.service_code for line in lines}))


def _numbers(customers: Iterable[Customer]) -> str:
    return ", ".join(customer.number for customer in customers)
