"""How open projects follow their customer, their legal entities and who leads them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from project_provisioning.domain.party import (
    CustomerFacts,
    EntityFacts,
    FactChange,
    differences,
    spelled,
)
from project_provisioning.domain.project import Project, ProjectChanged, ProjectStatus

Facts = TypeVar("Facts", CustomerFacts, EntityFacts)


class ChangeKind(StrEnum):
    """What a project followed."""

    CUSTOMER = "customer"
    DELIVERING_ENTITY = "delivering_entity"
    SELLING_ENTITY = "selling_entity"
    MANAGER = "manager"


@dataclass(frozen=True, slots=True)
class Followed:
    """What a project followed at once; the subject is whom it followed, None = nobody leads it.

    `subject_version` is the customer's or the entity's, 0 for a manager.
    """

    kind: ChangeKind
    subject_id: UUID | None
    subject_version: int
    facts: tuple[FactChange, ...]


@dataclass(frozen=True, slots=True)
class Following:
    """A project after it followed; without events nothing it shows has changed."""

    state: Project
    followed: tuple[Followed, ...]

    @property
    def events(self) -> tuple[ProjectChanged, ...]:
        """What there is to tell: once, however much was followed."""
        return (ProjectChanged(self.state),) if self.followed else ()


@dataclass(frozen=True, slots=True)
class Parties:
    """Customers and legal entities as they are known, by id."""

    customers: Mapping[UUID, CustomerFacts]
    entities: Mapping[UUID, EntityFacts]


def know(project: Project, parties: Parties) -> Project:
    """Return a project with what is known of its parties, as the same version."""
    customer = _newer(project.customer, parties.customers.get(project.customer_id))
    entity = _newer(project.legal_entity, parties.entities.get(project.legal_entity_id))
    seller = parties.entities.get(project.selling_legal_entity_id)
    if seller is None or seller.version <= project.selling_entity_version:
        return replace(project, customer=customer, legal_entity=entity)
    return replace(
        project,
        customer=customer,
        legal_entity=entity,
        selling_entity_version=seller.version,
        time_zone=seller.time_zone,
    )


def follow(project: Project, parties: Parties) -> Following:
    """Bring an open project to what is known of its parties; what is older changes nothing."""
    if project.status is not ProjectStatus.ACTIVE:
        return Following(project, ())
    known = know(project, parties)
    followed = tuple(
        each
        for each in (
            _followed(ChangeKind.CUSTOMER, project.customer_id, project.customer, known.customer),
            _followed(
                ChangeKind.DELIVERING_ENTITY,
                project.legal_entity_id,
                project.legal_entity,
                known.legal_entity,
            ),
            _followed_zone(project, known),
        )
        if each is not None
    )
    if not followed:
        return Following(known, ())
    return Following(replace(known, version=project.version + 1), followed)


def lead(project: Project, person_id: UUID | None) -> Following:
    """Let a person lead a project from now on, or nobody."""
    if project.manager_person_id == person_id:
        return Following(project, ())
    fact = FactChange("manager_person_id", spelled(project.manager_person_id), spelled(person_id))
    led = replace(project, version=project.version + 1, manager_person_id=person_id)
    return Following(led, (Followed(ChangeKind.MANAGER, person_id, 0, (fact,)),))


def _newer(held: Facts | None, told: Facts | None) -> Facts | None:
    if held is None or told is None:
        return held if told is None else told
    return told if told.version > held.version else held


def _followed(
    kind: ChangeKind,
    subject_id: UUID,
    before: CustomerFacts | EntityFacts | None,
    after: CustomerFacts | EntityFacts | None,
) -> Followed | None:
    if after is None or not (facts := differences(before, after)):
        return None
    return Followed(kind, subject_id, after.version, facts)


def _followed_zone(before: Project, after: Project) -> Followed | None:
    """Of the entity that sells, a project has its days only."""
    if before.time_zone == after.time_zone:
        return None
    fact = FactChange("time_zone", before.time_zone, after.time_zone)
    return Followed(
        ChangeKind.SELLING_ENTITY,
        after.selling_legal_entity_id,
        after.selling_entity_version,
        (fact,),
    )
