"""Templates, people, and the figures others compare with theirs."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from project_provisioning_builders import DE01, US01
from project_provisioning_world import (
    ADA_SIGNED_IN,
    World,
    a_key,
    a_row,
    contract_activated,
    task_of,
    template_request,
)

from project_provisioning.queries.totals import control_totals
from throughline.customer_contract.v1 import quote_pb2
from throughline.project_provisioning.v1 import person_service_pb2, template_service_pb2
from throughline_core.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from throughline_runtime.database import read
from throughline_testing.serving import a_caller


async def template(world: World, code: str, **values: Any) -> template_service_pb2.Template:
    request = template_service_pb2.GetTemplateRequest(code=code, **values)
    return (await world.templates().GetTemplate(request)).template


async def test_each_publication_is_a_version_that_stays(world: World) -> None:
    await world.put_templates("advisory")
    role = template_service_pb2.TemplateRole(role="analyst", share_percent="12.5")
    request = template_request("advisory", name="Advisory 2026", roles=[role])
    second = await world.publish(request)

    assert (second.version, second.published_by) == (2, "user:paula.pmo")
    assert await template(world, "advisory") == second
    assert (await template(world, "advisory", version=1)).name == "Advisory"
    with pytest.raises(NotFound):
        await template(world, "advisory", version=3)


async def test_proposals_at_once_are_versions_one_after_the_other(world: World) -> None:
    requests = [template_request("advisory") for _ in range(5)]

    results = await asyncio.gather(
        *map(world.templates().PutTemplate, requests), return_exceptions=True
    )

    proposed = [result for result in results if not isinstance(result, BaseException)]
    versions = sorted(response.template.version for response in proposed)
    assert versions == list(range(1, len(versions) + 1))


async def test_a_template_that_contradicts_itself_is_refused(world: World) -> None:
    role = template_service_pb2.TemplateRole(role="analyst")
    with pytest.raises(InvalidArgument):
        await world.templates().PutTemplate(template_request("advisory", roles=[role]))
    with pytest.raises(InvalidArgument):
        await world.templates().PutTemplate(template_request("advisory", billing_models=[]))


async def test_the_latest_templates_are_listed_by_code(world: World) -> None:
    await world.put_templates()
    await world.put_templates("advisory")
    request = template_service_pb2.ListTemplatesRequest(page_size=3)

    first = await world.templates().ListTemplates(request)
    request.page_token = first.next_page_token
    second = await world.templates().ListTemplates(request)

    listed = [(each.code, each.version) for each in (*first.templates, *second.templates)]
    assert listed == [
        ("advisory", 2),
        ("discovery", 1),
        ("managed_service", 1),
        ("pass_through", 1),
    ]
    request = template_service_pb2.ListTemplatesRequest(
        billing_model=quote_pb2.BILLING_MODEL_RECURRING
    )
    [recurring] = (await world.templates().ListTemplates(request)).templates
    assert recurring.code == "managed_service"


async def test_consultants_publish_no_templates(world: World) -> None:
    with pytest.raises(PermissionDenied):
        await world.templates(ADA_SIGNED_IN).PutTemplate(template_request("advisory"))


async def test_a_person_is_recorded_and_found(world: World) -> None:
    ada = await world.ada()
    await world.a_person(legal_entity_id=str(US01))

    async def found(**filters: Any) -> list[str]:
        request = person_service_pb2.ListPersonsRequest(**filters)
        return [each.person_id for each in (await world.persons().ListPersons(request)).persons]

    got = await world.persons().GetPerson(
        person_service_pb2.GetPersonRequest(person_id=ada.person_id)
    )
    assert got.person == ada
    assert await found(legal_entity_id=str(DE01)) == [ada.person_id]
    assert await found(role="senior_consultant") == [ada.person_id]
    assert len(await found()) == 2


async def test_two_people_do_not_sign_in_as_one(world: World) -> None:
    await world.ada()

    with pytest.raises(AlreadyExists):
        await world.ada()
    await world.a_person()
    await world.a_person()


async def test_people_of_other_entities_are_out_of_reach(world: World) -> None:
    ada = await world.ada()
    stranger = a_caller("pmo", subject="user:us.pmo", entities=[US01])

    with pytest.raises(NotFound):
        await world.persons(stranger).GetPerson(
            person_service_pb2.GetPersonRequest(person_id=ada.person_id)
        )
    with pytest.raises(PermissionDenied):
        await world.persons(stranger).CreatePerson(
            person_service_pb2.CreatePersonRequest(
                request_id=a_key(),
                name="Somebody",
                legal_entity_id=str(DE01),
                role="consultant",
                employed_from="2024-01-01",
            )
        )


async def totals(world: World) -> dict[str, Mapping[str, object]]:
    async with read(world.context.engine) as tx:
        return {total.name: total.figures for total in await control_totals(tx)}


async def test_control_totals_say_what_there_is(world: World) -> None:
    project = await world.the_project()
    ada = await world.ada()
    billed, costed = task_of(project, "Advisory"), task_of(project, "Workshops")
    rows = [a_row(ada.person_id, billed), a_row(ada.person_id, costed, minutes=60)]
    await world.import_time(rows, approved=True)
    await world.import_time([a_row(ada.person_id, billed, minutes=30)])
    for milestone in project.milestones:
        await world.complete(milestone.milestone_id)
    await world.accept(project.milestones[0].milestone_id)

    assert await totals(world) == {
        "approved_time": {"entries": 1, "minutes": 480},
        "approved_expenses": {"lines": 0},
        "milestones": {"completed": 2, "accepted": 1, "accepted_amount.EUR": Decimal(9600)},
        "projects": {"active": 1},
        "contracts_without_project": {"count": 0},
    }


async def test_a_contract_whose_run_waits_has_no_project(world: World) -> None:
    await world.announce(contract_activated())
    await world.advance()

    assert (await totals(world))["contracts_without_project"] == {"count": 1}
