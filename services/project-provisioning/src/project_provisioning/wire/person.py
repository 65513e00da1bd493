"""People as messages."""

from uuid import UUID

from project_provisioning.domain.person import Person
from throughline.project_provisioning.v1 import person_service_pb2 as pb
from throughline_runtime.fields import read_date, read_uuid, write_date, write_id


def read_person(request: pb.CreatePersonRequest, person_id: UUID) -> Person:
    """Return the person to record."""
    return Person(
        person_id=person_id,
        version=1,
        name=request.name,
        legal_entity_id=read_uuid("legal_entity_id", request.legal_entity_id),
        role=request.role,
        level=request.level,
        region=request.region,
        employed_from=read_date("employed_from", request.employed_from),
        subject=request.subject,
    )


def write_person(person: Person) -> pb.Person:
    """Return a person."""
    return pb.Person(
        person_id=write_id(person.person_id),
        version=person.version,
        name=person.name,
        legal_entity_id=write_id(person.legal_entity_id),
        role=person.role,
        level=person.level,
        region=person.region,
        employed_from=write_date(person.employed_from),
        subject=person.subject,
        employed_to=None if person.employed_to is None else write_date(person.employed_to),
    )
