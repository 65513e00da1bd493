"""Judges tax registrations by the form and checksum of their country, without asking anybody."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from stdnum import get_cc_module
from stdnum.eu import vat as eu_vat

from throughline_core.errors import InvalidArgument


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


class RegistrationRepeated(InvalidArgument):
    """Two registrations of a party are for one jurisdiction."""

    code = "tax_registration.repeated"


class RegistrationIncomplete(InvalidArgument):
    """A registration has no number, or one although it says that there is no nexus."""

    code = "tax_registration.incomplete"


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration for tax in a country or, where it names one, in a state or province of it.

    With `no_nexus` it is the decision that there is none to have, and has no number.
    """

    country: str
    region: str
    tax_id: str
    status: TaxStatus = TaxStatus.NOT_REQUIRED
    no_nexus: bool = False


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
        is_foreign = bool(country) and eu_vat.is_valid(compact)
        status = TaxStatus.INVALID if is_foreign else TaxStatus.NOT_REQUIRED
    return TaxRegistration(compact, status)


def judge_all(registrations: Iterable[Registration], *, field: str) -> tuple[Registration, ...]:
    """Return the registrations in compact form, each with what its country's check says.

    States and provinces have no form that is known: theirs are kept as they are, without a verdict.

    Raises:
        RegistrationRepeated: two are for one jurisdiction.
        RegistrationIncomplete: one has not exactly one of a number and `no_nexus`.
    """
    judged: dict[tuple[str, str], Registration] = {}
    for index, one in enumerate(registrations):
        if (one.country, one.region) in judged:
            raise RegistrationRepeated(
                f"there are two registrations for {one.country} {one.region}".rstrip(),
                field=f"{field}[{index}]",
                advice="send one for each country and region",
            )
        if one.no_nexus == bool(one.tax_id):
            raise RegistrationIncomplete(
                f"the entry for {one.country} {one.region}".rstrip() + " has to be either",
                field=f"{field}[{index}].tax_id",
                advice="send the number, or no_nexus where there is no registration to have",
            )
        found = judge("" if one.region else one.country, one.tax_id)
        judged[one.country, one.region] = Registration(
            one.country,
            one.region,
            found.tax_id or "",
            TaxStatus.NOT_REQUIRED if one.no_nexus else found.status,
            one.no_nexus,
        )
    return tuple(judged.values())


def is_in_european_union(country: str) -> bool:
    """Whether the country's businesses are registered for the Union's value added tax."""
    return country in _EUROPEAN_UNION


def _judge_european(country: str, compact: str) -> TaxRegistration:
    # Greece is GR in addresses and EL in registrations (Directive 2006/112/EC, article 215).
    prefix = "EL" if country == "GR" else country
    number = compact if compact.startswith(prefix) else prefix + compact
    if eu_vat.is_valid(number):
        return TaxRegistration(number, TaxStatus.VALID)
    return TaxRegistration(compact, TaxStatus.INVALID)


@cache
def _form_of(country: str) -> Callable[[str], bool] | None:
    module = country and get_cc_module(country.lower(), _OTHER_FORMS.get(country, "vat"))
    return module.is_valid if module else None
