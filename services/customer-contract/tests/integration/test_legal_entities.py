"""Legal entities over gRPC, on the real database."""

import pytest
from customer_contract_world import World, a_request_id, entity_request, ids_of

from customer_contract.domain.legal_entity import TimeZoneUnknown
from throughline.customer_contract.v1 import legal_entity_service_pb2 as pb
from throughline_core.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)

UNKNOWN = "01980000-0000-7000-8000-00000000dead"


def update_of(world: World, **changes: object) -> pb.UpdateLegalEntityRequest:
    entity = world.entity
    request = pb.UpdateLegalEntityRequest(
        request_id=a_request_id(),
        legal_entity_id=entity.legal_entity_id,
        name=entity.name,
        time_zone=entity.time_zone,
        address=entity.address,
        tax_id=entity.tax_id,
    )
    request.MergeFrom(pb.UpdateLegalEntityRequest(**changes))  # type: ignore[arg-type]
    return request


async def test_a_legal_entity_is_recorded_edited_and_read(world: World) -> None:
    entities = world.entities()

    edited = (
        await entities.UpdateLegalEntity(update_of(world, name="Morgenstern AG"))
    ).legal_entity
    unchanged = await entities.UpdateLegalEntity(update_of(world, name="Morgenstern AG"))

    assert (edited.name, edited.version, edited.code) == ("Morgenstern AG", 2, "DE01")
    assert unchanged.legal_entity == edited
    read = await entities.GetLegalEntity(
        pb.GetLegalEntityRequest(legal_entity_id=edited.legal_entity_id)
    )
    assert read.legal_entity == edited
    assert (await world.events()).count("legal_entity.recorded.v1") == 2


async def test_a_code_is_given_once(world: World) -> None:
    with pytest.raises(AlreadyExists) as refused:
        await world.entities().CreateLegalEntity(entity_request())
    assert refused.value.stable_code == "legal_entity.code_taken"


async def test_an_edit_on_an_older_version_is_refused(world: World) -> None:
    await world.entities().UpdateLegalEntity(update_of(world, name="First", version=1))
    with pytest.raises(Aborted) as refused:
        await world.entities().UpdateLegalEntity(update_of(world, name="Second", version=1))
    assert refused.value.stable_code == "request.stale_version"


async def test_a_wrong_profile_names_its_field(world: World) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await world.entities().UpdateLegalEntity(update_of(world, time_zone="Mars/Olympus"))
    assert (refused.value.stable_code, refused.value.field) == (TimeZoneUnknown.code, "time_zone")


async def test_who_is_limited_to_a_company_sees_and_edits_no_other(world: World) -> None:
    other = (
        await world.entities().CreateLegalEntity(
            entity_request(code="US01", currency="USD", tax_id=None)
        )
    ).legal_entity
    limited = world.entities(entities=ids_of(world.entity.legal_entity_id))

    listed = await limited.ListLegalEntities(pb.ListLegalEntitiesRequest())
    assert [entity.code for entity in listed.legal_entities] == ["DE01"]
    with pytest.raises(PermissionDenied):
        await limited.GetLegalEntity(
            pb.GetLegalEntityRequest(legal_entity_id=other.legal_entity_id)
        )
    with pytest.raises(PermissionDenied):
        await limited.UpdateLegalEntity(update_of(world, legal_entity_id=other.legal_entity_id))
    with pytest.raises(PermissionDenied):
        await limited.CreateLegalEntity(entity_request(code="FR01", tax_id=None))


async def test_the_list_is_filtered_by_code_and_country(world: World) -> None:
    listed = await world.entities().ListLegalEntities(
        pb.ListLegalEntitiesRequest(code="DE01", country="DE")
    )
    assert list(listed.legal_entities) == [world.entity]
    none = await world.entities().ListLegalEntities(pb.ListLegalEntitiesRequest(country="FR"))
    assert not none.legal_entities


async def test_an_unknown_company_is_not_found(world: World) -> None:
    with pytest.raises(NotFound) as refused:
        await world.entities().GetLegalEntity(pb.GetLegalEntityRequest(legal_entity_id=UNKNOWN))
    assert refused.value.stable_code == "legal_entity.not_found"
