"""Messages of legal entities."""

from collections.abc import Sequence

from customer_contract.domain.calendar import CalendarDay
from customer_contract.domain.legal_entity import (
    EntityDetails,
    EntityProfile,
    LegalEntity,
    LegalEntityEvent,
)
from customer_contract.wire.party_details import read_registrations, write_registrations
from customer_contract.wire.values import read_address, write_address
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import legal_entity_pb2 as pb
from throughline.customer_contract.v1 import legal_entity_service_pb2 as service_pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import write_date


def read_profile(
    request: service_pb.CreateLegalEntityRequest | service_pb.UpdateLegalEntityRequest,
) -> EntityProfile:
    """Return the editable part of a legal entity as sent; without details it has none."""
    return EntityProfile(
        name=request.name,
        time_zone=request.time_zone,
        address=read_address(request.address),
        tax_id=request.tax_id or None,
        registration=request.registration,
        iban=request.iban or None,
        bic=request.bic or None,
        billing_email=request.billing_email,
        details=read_details(request.details),
    )


def read_details(message: service_pb.EntityDetails) -> EntityDetails:
    return EntityDetails(
        holiday_country=message.holiday_country,
        holiday_subdivision=message.holiday_subdivision,
        working_days=tuple(message.working_days),
        registrations=read_registrations(message.tax_registrations),
        fiscal_year_start_month=message.fiscal_year_start_month,
    )


def write_legal_entity(entity: LegalEntity) -> pb.LegalEntity:
    profile = entity.profile
    return pb.LegalEntity(
        legal_entity_id=str(entity.legal_entity_id),
        version=entity.version,
        code=entity.code,
        name=profile.name,
        currency=entity.currency,
        time_zone=profile.time_zone,
        address=write_address(profile.address),
        tax_id=profile.tax_id,
        registration=profile.registration,
        iban=profile.iban,
        bic=profile.bic,
        billing_email=profile.billing_email,
        holiday_country=profile.details.holiday_country,
        holiday_subdivision=profile.details.holiday_subdivision,
        working_days=profile.details.working_days,
        tax_registrations=write_registrations(profile.details.registrations),
        fiscal_year_start_month=profile.details.fiscal_year_start_month,
        closed_through=write_date(entity.closed_through) or None,
    )


def write_calendar(days: Sequence[CalendarDay]) -> service_pb.GetCalendarResponse:
    return service_pb.GetCalendarResponse(
        days=[
            service_pb.CalendarDay(on=write_date(day.on), working=day.working, holiday=day.holiday)
            for day in days
        ],
        working_days=sum(day.working for day in days),
    )


def write_event(event: LegalEntityEvent) -> Outgoing:
    """Return the event as it is published: always the entity's whole state."""
    entity = event.entity
    message = events_pb.LegalEntityRecorded(legal_entity=write_legal_entity(entity))
    return Outgoing(message, entity.legal_entity_id, entity.version)
