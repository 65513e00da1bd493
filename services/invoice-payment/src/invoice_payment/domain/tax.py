"""Tax rules: effective-dated data that say how a supply from a seller to a buyer is taxed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoice_payment.domain.amounts import TaxTreatment
from throughline_core.errors import InvalidArgument

ANYWHERE: Final = "*"
EUROPEAN_UNION: Final = "EU"

# Council Directive 2006/112/EC, Article 5(2): the member states, by ISO 3166-1.
MEMBER_STATES: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
)

# EN 16931-1, BT-118: the codes that tax at a rate, and those that say why none is due.
_STANDARD: Final = "S"
_ZERO_RATED: Final = "Z"


class RateNotZero(InvalidArgument):
    """Only the standard code carries a rate."""

    code = "tax_rule.rate_not_zero"


class RateZero(InvalidArgument):
    """The standard code needs a rate above zero."""

    code = "tax_rule.rate_zero"


class ExemptionTextMissing(InvalidArgument):
    """A document that charges no tax has to say why."""

    code = "tax_rule.exemption_text_missing"


class PeriodEmpty(InvalidArgument):
    """The rule would hold on no day."""

    code = "tax_rule.period_empty"


class BuyerRegistration(StrEnum):
    """Which buyers a rule is for."""

    ANY = "any"
    VALID = "valid"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TaxCase:
    """A supply to be taxed; `on` is its tax point."""

    seller_country: str
    buyer_country: str
    buyer_is_registered: bool
    tax_category: str
    on: date

    def __str__(self) -> str:
        registration = "with" if self.buyer_is_registered else "without"
        return (
            f"seller {self.seller_country}, buyer {self.buyer_country} {registration} a valid"
            f" registration, category {self.tax_category}, on {self.on}"
        )


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A row of the tax tables; holds on `[valid_from, valid_to)`, without an end on and on."""

    tax_rule_id: UUID
    version: int
    seller_country: str
    buyer_country: str
    buyer_registration: BuyerRegistration
    tax_category: str
    treatment: TaxTreatment
    valid_from: date
    valid_to: date | None


def check_rule(rule: TaxRule) -> TaxRule:
    """Return the rule if it can be printed on an invoice.

    Raises:
        RateNotZero, RateZero, ExemptionTextMissing, PeriodEmpty: what is wrong with it.
    """
    code, rate = rule.treatment.tax_code, rule.treatment.rate_percent
    if code == _STANDARD and rate == 0:
        raise RateZero(
            "a standard rate of zero does not exist",
            field="rate_percent",
            advice="use code Z for a zero rate, E for an exemption",
        )
    if code != _STANDARD and rate != 0:
        raise RateNotZero(
            f"code {code} charges no tax", field="rate_percent", advice="send 0, or use code S"
        )
    if code not in {_STANDARD, _ZERO_RATED} and not rule.treatment.exemption_reason:
        raise ExemptionTextMissing(
            f"code {code} needs the text the law wants printed",
            field="exemption_reason",
            advice="send it, for example: Reverse charge",
        )
    if rule.valid_to is not None and rule.valid_to <= rule.valid_from:
        raise PeriodEmpty(
            f"{rule.valid_from} to {rule.valid_to} has no day",
            field="valid_to",
            advice="send the first day on which the rule no longer holds",
        )
    return rule


def replace_rule(stored: TaxRule, wanted: TaxRule) -> TaxRule:
    """Return `wanted` as the next version of the stored rule, whose match and first day it has."""
    return replace(wanted, tax_rule_id=stored.tax_rule_id, version=stored.version + 1)


def treatment_of(case: TaxCase, rules: Iterable[TaxRule]) -> TaxTreatment | None:
    """Return how the supply is taxed, None when no rule fits.

    The most specific rule holds: the buyer's country before the Union before anywhere, a stated
    registration before any, a named category before each; then the one that began last.
    """
    fitting = [rule for rule in rules if _fits(rule, case)]
    if not fitting:
        return None
    return max(fitting, key=_specificity).treatment


def _fits(rule: TaxRule, case: TaxCase) -> bool:
    registration = BuyerRegistration.VALID if case.buyer_is_registered else BuyerRegistration.NONE
    return (
        rule.seller_country == case.seller_country
        and _is_in(case.buyer_country, rule.buyer_country, case.seller_country)
        and rule.buyer_registration in {BuyerRegistration.ANY, registration}
        and rule.tax_category in {ANYWHERE, case.tax_category}
        and rule.valid_from <= case.on
        and (rule.valid_to is None or case.on < rule.valid_to)
    )


def _is_in(buyer_country: str, place: str, seller_country: str) -> bool:
    if place == EUROPEAN_UNION:
        return buyer_country in MEMBER_STATES and buyer_country != seller_country
    return place in {ANYWHERE, buyer_country}


def _specificity(rule: TaxRule) -> tuple[int, bool, bool, date]:
    return (
        {ANYWHERE: 0, EUROPEAN_UNION: 1}.get(rule.buyer_country, 2),
        rule.buyer_registration is not BuyerRegistration.ANY,
        rule.tax_category != ANYWHERE,
        rule.valid_from,
    )


def percent(value: Decimal) -> str:
    """Return a rate as documents print it: `19.00`."""
    return f"{value:.2f}"
