"""Legal entities: the companies of the firm."""

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from zoneinfo import available_timezones

from stdnum import iban as stdnum_iban

from customer_contract.domain import calendar
from customer_contract.domain.tax_registration import Registration, TaxStatus, judge, judge_all
from customer_contract.domain.values import (
    LegalEntityId,
    PostalAddress,
    require_known,
    require_region,
)
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument


class TimeZoneUnknown(InvalidArgument):
    """The zone is in no time zone database."""

    code = "legal_entity.time_zone_unknown"


class TaxIdInvalid(InvalidArgument):
    """The registration fails the check of the entity's country; it would be on every invoice."""

    code = "legal_entity.tax_id_invalid"


class IbanInvalid(InvalidArgument):
    """The account's check digits are wrong; customers would pay elsewhere."""

    code = "legal_entity.iban_invalid"


class PeriodNotOver(FailedPrecondition):
    """Accounting would be closed over days that are still to come."""

    code = "legal_entity.period_not_over"


class ReasonMissing(InvalidArgument):
    """What was closed is opened again without saying why."""

    code = "legal_entity.reason_missing"


@dataclass(frozen=True, slots=True)
class EntityDetails:
    """Calendar, further registrations and fiscal year.

    An empty `holiday_country` is the address's, no `working_days` are Monday to Friday.
    """

    holiday_country: str = ""
    holiday_subdivision: str = ""
    working_days: tuple[int, ...] = ()
    registrations: tuple[Registration, ...] = ()
    fiscal_year_start_month: int = 0


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
    details: EntityDetails = EntityDetails()


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A company of the firm; its code and the currency of its books never change.

    Accounting is closed up to and including `closed_through`.
    """

    legal_entity_id: LegalEntityId
    version: int
    code: str
    currency: str
    profile: EntityProfile
    closed_through: date | None = None

    def is_closed(self, on: date) -> bool:
        """Whether accounting is closed on a day."""
        return self.closed_through is not None and on <= self.closed_through


@dataclass(frozen=True, slots=True)
class LegalEntityRecorded:
    """A legal entity was created or changed."""

    entity: LegalEntity


@dataclass(frozen=True, slots=True)
class PeriodClosed:
    """The last closed day was moved, forth or back, for a reason."""

    entity: LegalEntity
    reason: str


LegalEntityEvent = LegalEntityRecorded | PeriodClosed


def record(
    legal_entity_id: LegalEntityId, *, code: str, currency: str, profile: EntityProfile
) -> Change[LegalEntity, LegalEntityEvent]:
    """Make a legal entity.

    Raises:
        UnknownCurrency: the books' currency is no ISO 4217 code.
        TimeZoneUnknown, TaxIdInvalid, IbanInvalid, RegionMissing, CalendarUnknown,
            RegistrationRepeated: the profile is wrong.
    """
    require_known(currency, field="currency")
    entity = LegalEntity(legal_entity_id, 1, code, currency, _checked(profile))
    return Change(entity, (LegalEntityRecorded(entity),))


def revise(entity: LegalEntity, profile: EntityProfile) -> Change[LegalEntity, LegalEntityEvent]:
    """Replace the profile; without a difference there is neither a new version nor an event.

    Raises:
        TimeZoneUnknown, TaxIdInvalid, IbanInvalid, RegionMissing, CalendarUnknown,
            RegistrationRepeated: the profile is wrong.
    """
    checked = _checked(profile)
    if checked == entity.profile:
        return Change(entity, ())
    revised = replace(entity, profile=checked, version=entity.version + 1)
    return Change(revised, (LegalEntityRecorded(revised),))


def close_period(
    entity: LegalEntity, closed_through: date | None, *, reason: str, today: date
) -> Change[LegalEntity, LegalEntityEvent]:
    """Close accounting up to and including a day, None to open everything.

    `today` is the entity's own. Without a difference there is neither a version nor an event.

    Raises:
        PeriodNotOver: the day is not over yet.
        ReasonMissing: something closed would be opened, and nobody says why.
    """
    if closed_through == entity.closed_through:
        return Change(entity, ())
    if closed_through is not None and closed_through >= today:
        raise PeriodNotOver(
            f"{closed_through} is not over in {entity.profile.time_zone}",
            field="closed_through",
            advice="close up to yesterday at the latest",
        )
    before = entity.closed_through
    is_opened = before is not None and (closed_through is None or closed_through < before)
    if is_opened and not reason.strip():
        raise ReasonMissing(
            f"accounting is closed through {before}; opening it needs a reason",
            field="reason",
            advice="say why",
        )
    moved = replace(entity, closed_through=closed_through, version=entity.version + 1)
    return Change(moved, (PeriodClosed(moved, reason),))


def calendar_days(
    entity: LegalEntity, *, from_on: date, to_on: date
) -> tuple[calendar.CalendarDay, ...]:
    """Return the days of `[from_on, to_on)` as the entity works on them.

    Raises:
        PeriodInvalid: there are none, or more than 400.
    """
    details = entity.profile.details
    return calendar.days(
        details.holiday_country or entity.profile.address.country,
        details.holiday_subdivision,
        details.working_days or calendar.MONDAY_TO_FRIDAY,
        from_on=from_on,
        to_on=to_on,
    )


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
    return replace(
        profile,
        tax_id=registration.tax_id,
        iban=_checked_iban(profile.iban),
        details=_checked_details(profile.details, profile.address.country),
    )


def _checked_details(details: EntityDetails, country: str) -> EntityDetails:
    if details.holiday_country or details.holiday_subdivision:
        calendar.require_calendar(details.holiday_country or country, details.holiday_subdivision)
    registrations = judge_all(details.registrations, field="details.tax_registrations")
    for index, one in enumerate(registrations):
        if one.status is TaxStatus.INVALID:
            raise TaxIdInvalid(
                f"the tax id has not the form of {one.country}",
                field=f"details.tax_registrations[{index}].tax_id",
                advice="check the number and the country",
            )
    return replace(
        details, registrations=registrations, working_days=tuple(sorted(details.working_days))
    )


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
