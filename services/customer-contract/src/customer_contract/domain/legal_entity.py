"""Legal entities: the companies of the firm."""

from dataclasses import dataclass, replace
from functools import cache
from zoneinfo import available_timezones

from stdnum import iban as stdnum_iban

from customer_contract.domain.tax_registration import TaxStatus, judge
from customer_contract.domain.values import (
    LegalEntityId,
    PostalAddress,
    require_known,
    require_region,
)
from throughline_core.change import Change
from throughline_core.errors import InvalidArgument


class TimeZoneUnknown(InvalidArgument):
    """The zone is in no time zone database."""

    code = "legal_entity.time_zone_unknown"


class TaxIdInvalid(InvalidArgument):
    """The registration fails the check of the entity's country; it would be on every invoice."""

    code = "legal_entity.tax_id_invalid"


class IbanInvalid(InvalidArgument):
    """The account's check digits are wrong; customers would pay elsewhere."""

    code = "legal_entity.iban_invalid"


@dataclass(frozen=True, slots=True)
class EntityProfile:
    """What may be edited; `time_zone` is an IANA name."""

    name: str
    time_zone: str
    address: PostalAddress
    tax_id: str | None
    registration: str
    iban: str | None
    bic: str | None
    billing_email: str


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A company of the firm; its code and the currency of its books never change."""

    legal_entity_id: LegalEntityId
    version: int
    code: str
    currency: str
    profile: EntityProfile


@dataclass(frozen=True, slots=True)
class LegalEntityRecorded:
    """A legal entity was created or changed."""

    entity: LegalEntity


def record(
    legal_entity_id: LegalEntityId, *, code: str, currency: str, profile: EntityProfile
) -> Change[LegalEntity, LegalEntityRecorded]:
    """Make a legal entity.

    Raises:
        UnknownCurrency: the books' currency is no ISO 4217 code.
        TimeZoneUnknown, TaxIdInvalid, IbanInvalid, RegionMissing: the profile is wrong.
    """
    require_known(currency, field="currency")
    entity = LegalEntity(legal_entity_id, 1, code, currency, _checked(profile))
    return Change(entity, (LegalEntityRecorded(entity),))


def revise(entity: LegalEntity, profile: EntityProfile) -> Change[LegalEntity, LegalEntityRecorded]:
    """Replace the profile; without a difference there is neither a new version nor an event.

    Raises:
        TimeZoneUnknown, TaxIdInvalid, IbanInvalid, RegionMissing: the profile is wrong.
    """
    checked = _checked(profile)
    if checked == entity.profile:
        return Change(entity, ())
    revised = replace(entity, profile=checked, version=entity.version + 1)
    return Change(revised, (LegalEntityRecorded(revised),))


def _checked(profile: EntityProfile) -> EntityProfile:
    """Return the profile with its numbers in compact form."""
    require_region(profile.address)
    if profile.time_zone not in _time_zones():
        raise TimeZoneUnknown(
            f"{profile.time_zone} is no IANA time zone",
            field="time_zone",
            advice="send a name such as Europe/Berlin",
        )
    registration = judge(profile.address.country, profile.tax_id)
    if registration.status is TaxStatus.INVALID:
        raise TaxIdInvalid(
            f"the tax id has not the form of {profile.address.country}",
            field="tax_id",
            advice="check the number and the country of the address",
        )
    return replace(profile, tax_id=registration.tax_id, iban=_checked_iban(profile.iban))


def _checked_iban(iban: str | None) -> str | None:
    if iban is None:
        return None
    if not stdnum_iban.is_valid(iban):
        raise IbanInvalid(
            "the check digits of the IBAN are wrong", field="iban", advice="check the number"
        )
    return str(stdnum_iban.compact(iban))


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
