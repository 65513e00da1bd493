"""Readiness: whether work under a contract can start, and who mends what stops it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.contract_terms import Contract, ContractLine, ContractStatus
from customer_contract.domain.credit import Position, is_exceeded
from customer_contract.domain.customer import Customer
from customer_contract.domain.data_quality import Rule, Severity
from customer_contract.domain.legal_entity import LegalEntity
from customer_contract.domain.rate_card import Deal, RateCard, in_scope
from customer_contract.domain.service_line import BillingModel
from customer_contract.domain.tax_jurisdiction import judge_jurisdiction
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.domain.values import ContractLineId, CustomerId


class CheckOwner(StrEnum):
    """Who can mend what a check found."""

    SALES_OPERATIONS = "sales_operations"
    PMO = "pmo"
    FINANCE = "finance"
    INTEGRATION = "integration"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so; `advice` is empty when it is.

    `note` says what is worth knowing although nothing has to be done.
    """

    code: str
    passed: bool
    owner: CheckOwner
    advice: str
    contract_line_ids: tuple[ContractLineId, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a contract is judged by, as it stands now; `templates` are those the catalogue names.

    `credit` is how the parties stand, by customer, and None where invoice-payment did not say.
    `price_breaches` are the lines that break the price policy without anybody's exception.
    """

    customer: Customer
    bill_to: Customer
    entity: LegalEntity
    catalogue: Mapping[str, CatalogueEntry]
    templates: frozenset[str]
    cards: Sequence[RateCard]
    today: date
    credit: Mapping[CustomerId, Sequence[Position]] | None
    price_breaches: tuple[ContractLine, ...]
    broken_rules: tuple[Rule, ...]


def judge(contract: Contract, facts: Facts) -> tuple[Check, ...]:
    """Return every check in a fixed order, the passed ones too."""
    return (
        *_check_contract(contract, facts),
        *_check_customer(facts),
        *_check_catalogue(contract, facts),
        _check_rates(contract, facts),
        *_check_parties(facts),
        *_check_tax(facts),
        _check_purchase_orders(contract, facts),
        _check_prices(facts),
        *_check_credit(facts),
        *_check_data_quality(facts),
    )


def _check_contract(contract: Contract, facts: Facts) -> Iterable[Check]:
    yield _check(
        "contract.not_active",
        contract.status is ContractStatus.ACTIVE,
        CheckOwner.SALES_OPERATIONS,
        f"the contract is {contract.status}: have it signed and activate it",
    )
    # A line that a change order ended may have been agreed for longer than the term is now.
    outside = [
        line
        for line in contract.lines
        if line.ended_on is None
        and not contract.start_on
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
    currencies = {facts.entity.currency, *(card.scope.currency for card in own_card)}
    yield _check(
        "contract.currency_mixed",
        currencies == {contract.currency},
        CheckOwner.FINANCE,
        f"the contract is in {contract.currency}, the selling entity's books or the rate card are "
        "not: sell from another entity or quote again",
    )


def _check_customer(facts: Facts) -> Iterable[Check]:
    held = [party for party in _parties(facts) if party.on_credit_hold]
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


def _check_parties(facts: Facts) -> Iterable[Check]:
    ended = [party for party in _parties(facts) if party.has_ended(facts.today)]
    yield _check(
        "customer.ended",
        not ended,
        CheckOwner.SALES_OPERATIONS,
        f"business with customer {_numbers(ended)} has ended: reopen it, or contract with another "
        "party",
    )


def _check_tax(facts: Facts) -> Iterable[Check]:
    address = facts.bill_to.profile.address
    number = facts.bill_to.number
    jurisdiction = judge_jurisdiction(facts.entity, facts.bill_to, today=facts.today)
    yield _check(
        "customer.tax_jurisdiction",
        jurisdiction.is_settled,
        CheckOwner.FINANCE,
        jurisdiction.advice,
        note=jurisdiction.note,
    )
    certificates = [
        *facts.bill_to.profile.details.certificates_for(address.country, address.region)
    ]
    lapsed = bool(certificates) and all(one.valid_to <= facts.today for one in certificates)
    yield _check(
        "customer.exemption_expired",
        not lapsed,
        CheckOwner.FINANCE,
        f"the exemption certificates of customer {number} for {address.country} {address.region} "
        "have expired: record a new one, or remove them so that tax is charged",
    )


def _check_purchase_orders(contract: Contract, facts: Facts) -> Check:
    """A line that orders are for needs one that has not expired."""
    orders = contract.billing.purchase_orders
    expired = []
    for line in contract.lines:
        of_line = [
            order
            for order in orders
            if not order.contract_line_ids or line.contract_line_id in order.contract_line_ids
        ]
        open_ones = [one for one in of_line if one.valid_to is None or facts.today < one.valid_to]
        if of_line and not open_ones:
            expired.append(line)
    return _check(
        "contract.purchase_order_expired",
        not expired,
        CheckOwner.SALES_OPERATIONS,
        f"the customer's purchase orders for {_codes(expired)} have expired: ask for a new one",
        expired,
    )


def _check_prices(facts: Facts) -> Check:
    return _check(
        "price_policy.breached",
        not facts.price_breaches,
        CheckOwner.SALES_OPERATIONS,
        f"{_codes(facts.price_breaches)} break the price policy in force: have the exception "
        "approved with a new version of the quote, or correct the policy",
        facts.price_breaches,
    )


def _check_credit(facts: Facts) -> Iterable[Check]:
    yield _check(
        "customer.exposure_unknown",
        facts.credit is not None,
        CheckOwner.INTEGRATION,
        "invoice-payment does not say what the customer owes: it is asked again with the next "
        "check, once it is within reach",
    )
    standing = facts.credit or {}
    over = [one for one in _parties(facts) if is_exceeded(standing.get(one.customer_id, ()))]
    yield _check(
        "customer.credit_limit_exceeded",
        not over,
        CheckOwner.FINANCE,
        f"customer {_numbers(over)} owes more than its credit limit: collect, raise the limit, or "
        "have an override approved",
    )


def _check_data_quality(facts: Facts) -> Iterable[Check]:
    """One check for each owner, so that each is told what is theirs to mend."""
    stopping = [one for one in facts.broken_rules if one.terms.severity is Severity.STOP]
    for owner in CheckOwner:
        theirs = [one for one in stopping if one.terms.owner == owner]
        advice = "; ".join(f"{one.code}: {one.terms.advice}" for one in theirs)
        yield _check(f"data_quality.{owner}", not theirs, owner, advice)


def _parties(facts: Facts) -> Collection[Customer]:
    """Return the customer and the party invoices go to, once each."""
    return {party.customer_id: party for party in (facts.customer, facts.bill_to)}.values()


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
    *,
    note: str = "",
) -> Check:
    ids = tuple(line.contract_line_id for line in lines)
    return Check(code, passed, owner, "" if passed else advice, ids, note)


def _codes(lines: Iterable[ContractLine]) -> str:
    return ", ".join(sorted({line.terms.service_code for line in lines}))


def _numbers(customers: Iterable[Customer]) -> str:
    return ", ".join(customer.number for customer in customers)
