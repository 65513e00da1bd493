"""Legal entities over gRPC, on the real database."""

from typing import Any

import pytest
from customer_contract_world import World, a_request_id, entity_request, ids_of
from sqlalchemy import text

from customer_contract.domain.legal_entity import TimeZoneUnknown
from throughline.customer_contract.v1 import customer_pb2, legal_entity_pb2
from throughline.customer_contract.v1 import legal_entity_service_pb2 as pb
from throughline_core.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Refusal,
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
    with pytest.raises(NotFound):
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


async def closing(
    world: World, closed_through: str, *, reason: str = "", **caller: Any
) -> legal_entity_pb2.LegalEntity:
    request = pb.ClosePeriodRequest(
        request_id=a_request_id(),
        legal_entity_id=world.entity.legal_entity_id,
        closed_through=closed_through,
        reason=reason,
    )
    return (await world.entities(**caller).ClosePeriod(request)).legal_entity


async def test_finance_closes_a_period_and_opens_it_with_a_reason_on_record(world: World) -> None:
    closed = await closing(world, "2026-09-30", subject="fritz")
    assert closed.closed_through == "2026-09-30"
    for call, code in (
        (closing(world, "2026-08-31"), "legal_entity.reason_missing"),
        (closing(world, "2999-01-01"), "legal_entity.period_not_over"),
        (closing(world, "2026-10-31", entities=[]), "caller.entity_forbidden"),
    ):
        with pytest.raises(Refusal) as refused:
            await call
        assert refused.value.stable_code == code
    opened = await closing(world, "", reason="late accrual", subject="frieda")

    assert not opened.HasField("closed_through")
    async with world.engine.connect() as connection:
        moves = await connection.execute(
            text("SELECT reason, moved_by FROM period_close_move ORDER BY version")
        )
        assert [tuple(move) for move in moves] == [("", "fritz"), ("late accrual", "frieda")]
    assert (await world.events()).count("legal_entity.recorded.v1") == 3


async def test_the_details_of_a_company_stay_unless_they_are_sent(world: World) -> None:
    details = pb.EntityDetails(
        holiday_subdivision="BE",
        working_days=[5, 1, 2],
        tax_registrations=[customer_pb2.TaxRegistration(country="FR", tax_id="FR40303265045")],
        fiscal_year_start_month=7,
    )
    edited = (
        await world.entities().UpdateLegalEntity(update_of(world, details=details))
    ).legal_entity
    kept = (await world.entities().UpdateLegalEntity(update_of(world, name="New"))).legal_entity

    assert edited.holiday_subdivision == "BE"
    assert list(edited.working_days) == [1, 2, 5]
    assert edited.tax_registrations[0].status == customer_pb2.TAX_STATUS_VALID
    assert (kept.name, kept.fiscal_year_start_month) == ("New", 7)
    assert kept.tax_registrations == edited.tax_registrations
    calendar = await world.entities().GetCalendar(
        pb.GetCalendarRequest(
            legal_entity_id=world.entity.legal_entity_id, from_on="2026-03-06", to_on="2026-03-10"
        )
    )
    assert [(day.on, day.working) for day in calendar.days] == [
        ("2026-03-06", True),
        ("2026-03-07", False),
        ("2026-03-08", False),
        ("2026-03-09", True),
    ]
    assert calendar.days[2].holiday == "Frauentag"
    assert calendar.working_days == 2


async def test_that_a_company_has_no_nexus_somewhere_is_kept_and_told(world: World) -> None:
    entries = [
        customer_pb2.TaxRegistration(country="US", region="NJ", no_nexus=True),
        customer_pb2.TaxRegistration(country="US", region="MA", tax_id="MA-1"),
    ]
    update = update_of(world, details=pb.EntityDetails(tax_registrations=entries))
    await world.entities().UpdateLegalEntity(update)

    read = await world.entities().GetLegalEntity(
        pb.GetLegalEntityRequest(legal_entity_id=world.entity.legal_entity_id)
    )
    kept = read.legal_entity.tax_registrations
    assert [(one.region, one.tax_id, one.no_nexus) for one in kept] == [
        ("NJ", "", True),
        ("MA", "MA1", False),
    ]
