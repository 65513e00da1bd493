"""Messages of legal entities."""

from customer_contract.domain.legal_entity import EntityProfile, LegalEntity, LegalEntityRecorded
from customer_contract.wire.values import read_address, write_address
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import legal_entity_pb2 as pb
from throughline.customer_contract.v1 import legal_entity_service_pb2 as service_pb
from throughline_runtime.events import Outgoing


def read_profile(
    request: service_pb.CreateLegalEntityRequest | service_pb.UpdateLegalEntityRequest,
) -> EntityProfile:
    """Return the editable part of a legal entity as sent."""
    return EntityProfile(
        name=request.name,
        time_zone=request.time_zone,
        address=read_address(request.address),
        tax_id=request.tax_id or None,
        registration=request.registration,
        iban=request.iban or None,
        bic=request.bic or None,
        billing_email=request.billing_email,
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
    )


def write_event(event: LegalEntityRecorded) -> Outgoing:
    """Return the event as it is published."""
    entity = event.entity
    message = events_pb.LegalEntityRecorded(legal_entity=write_legal_entity(entity))
    return Outgoing(message, entity.legal_entity_id, entity.version)
