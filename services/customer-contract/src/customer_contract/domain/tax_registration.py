"""Judges tax registrations by the form and checksum of their country, without asking anybody."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from stdnum import get_cc_module
from stdnum.eu import vat as eu_vat


class TaxStatus(StrEnum):
    """What is known about a party's registration."""

    MISSING = "missing"
    VALID = "valid"
    INVALID = "invalid"
    NOT_REQUIRED = "not_required"


@dataclass(frozen=True, slots=True)
class TaxRegistration:
    """A registration in the form documents print, and what its check said."""

    tax_id: str | None
    status: TaxStatus


# stdnum lists Northern Ireland among them; addresses there are in GB.
_EUROPEAN_UNION: Final = frozenset(code.upper() for code in eu_vat.MEMBER_STATES) - {"XI"}
_REGISTRATION_EXPECTED: Final = _EUROPEAN_UNION | {"GB", "CH", "NO"}
# The number that identifies a business where there is no value added tax.
_OTHER_FORMS: Final = {"US": "ein"}


def judge(country: str, tax_id: str | None) -> TaxRegistration:
    """Return the registration in its compact form, judged by the rules of `country`.

    A European number is returned with its country's prefix. A number that belongs to another
    country is invalid. Where no form is known, none is required and what was given is kept.
    """
    compact = "".join(filter(str.isalnum, (tax_id or "").upper()))
    if not compact:
        expected = country in _REGISTRATION_EXPECTED
        return TaxRegistration(None, TaxStatus.MISSING if expected else TaxStatus.NOT_REQUIRED)
    if country in _EUROPEAN_UNION:
        return _judge_european(country, compact)
    is_valid = _form_of(country)
    if is_valid is not None:
        status = TaxStatus.VALID if is_valid(compact) else TaxStatus.INVALID
    else:
        is_foreign = eu_vat.is_valid(compact)
        status = TaxStatus.INVALID if is_foreign else TaxStatus.NOT_REQUIRED
    return TaxRegistration(compact, status)


def _judge_european(country: str, compact: str) -> TaxRegistration:
    # Greece is GR in addresses and EL in registrations (Directive 2006/112/EC, article 215).
    prefix = "EL" if country == "GR" else country
    number = compact if compact.startswith(prefix) else prefix + compact
    if eu_vat.is_valid(number):
        return TaxRegistration(number, TaxStatus.VALID)
    return TaxRegistration(compact, TaxStatus.INVALID)


@cache
def _form_of(country: str) -> Callable[[str], bool] | None:
    module = get_cc_module(country.lower(), _OTHER_FORMS.get(country, "vat"))
    return None if module is None else module.is_valid
