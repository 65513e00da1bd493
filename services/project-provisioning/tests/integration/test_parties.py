"""Open projects follow their customer and their companies; closed ones keep what they had."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from project_provisioning_builders import CUSTOMER, DE01, an_id
from project_provisioning_planning import Planning
from project_provisioning_world import World, a_key, contract_activated

from project_provisioning.commands import following
from project_provisioning.consumers import keep_companies, keep_customers
from project_provisioning.upkeep import follow_parties
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    CustomerRecorded,
    LegalEntityRecorded,
)
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectActivated,
    ProjectChanged,
)
from throughline.project_provisioning.v1 import plan_service_pb2 as plan_pb
from throughline.project_provisioning.v1 import project_change_service_pb2 as change_pb
from throughline.project_provisioning.v1 import project_pb2, project_service_pb2
from throughline.project_provisioning.v1.project_change_service_pb2_grpc import (
    ProjectChangeServiceStub,
)
from throughline_core.errors import NotFound
from throughline_runtime.database import write
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.samples import sample
from throughline_testing.serving import a_caller

AMERICAN = a_caller("pmo", subject="user:amy.pmo", entities=[an_id("e2")])


def customer(version: int = 2, **values: Any) -> CustomerRecorded:
    event = sample(CustomerRecorded)
    event.customer.version = version
    for name, value in values.items():
        setattr(event.customer, name, value)
    return event


def company(version: int = 2, **values: Any) -> LegalEntityRecorded:
    event = sample(LegalEntityRecorded)
    event.legal_entity.version = version
    for name, value in values.items():
        setattr(event.legal_entity, name, value)
    return event


async def follow(world: World) -> None:
    with acting_as(Caller.service("project-provisioning")):
        await follow_parties(world.context)


async def told(world: World, *events: CustomerRecorded) -> None:
    """Hand over what was said of the customer, and let projects follow."""
    await world.consume(keep_customers, *events)
    await follow(world)


async def open_projects(world: World, count: int) -> Sequence[project_pb2.Project]:
    """Know the customer and the company, and deliver so many contracts of theirs."""
    await world.know_companies()
    await told(world, customer(1))
    await world.put_templates()
    ids = (str(an_id(f"d{number:05}")) for number in range(count))
    await world.announce(*(contract_activated(contract_id=contract_id) for contract_id in ids))
    await world.advance()
    return await projects(world)


async def projects(world: World) -> Sequence[project_pb2.Project]:
    request = project_service_pb2.ListProjectsRequest(page_size=100)
    return (await world.projects().ListProjects(request)).projects


async def project(world: World, project_id: str) -> project_pb2.Project:
    request = project_service_pb2.GetProjectRequest(project_id=project_id)
    return (await world.projects().GetProject(request)).project


async def changes(world: World, project_id: str, **filters: Any) -> list[change_pb.ProjectChange]:
    request = change_pb.ListProjectChangesRequest(project_id=project_id, **filters)
    stub = world.running.stub(ProjectChangeServiceStub, caller=a_caller("pmo"))
    return list((await stub.ListProjectChanges(request)).changes)


async def exceptions(world: World, kind: str) -> list[operations_pb.ExceptionItem]:
    operations = world.running.stub(OperationsServiceStub, caller=a_caller("pmo"))
    request = operations_pb.ListExceptionsRequest(kind=kind)
    return list((await operations.ListExceptions(request)).exceptions)


async def close(planning: Planning, project_id: str) -> None:
    await planning.plans().CloseProject(
        plan_pb.CloseProjectRequest(request_id=a_key(), project_id=project_id, reason="Delivered")
    )


async def without_milestones(world: World) -> None:
    with acting_as(Caller.service("project-provisioning")):
        async with write(world.context.engine) as tx:
            await tx.exec_driver_sql("DELETE FROM milestone")


async def test_a_project_knows_its_parties_from_the_first_day(world: World) -> None:
    [made] = await open_projects(world, 1)

    assert (made.version, made.customer.name) == (1, "Nordwind Logistik GmbH")
    assert made.customer.address == "Am Sandtorkai 50, 20457 Hamburg, DE"
    assert (made.legal_entity.code, made.time_zone) == ("DE01", "Europe/Berlin")
    [activated] = await world.published(ProjectActivated)
    assert activated.project == made
    await follow(world)
    assert await changes(world, made.project_id) == []


async def test_all_open_projects_follow_a_renamed_customer_in_chunks(
    world: World, planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "AT_ONCE", 2)
    *others, closed = await open_projects(world, 6)
    await without_milestones(world)
    await close(planning, closed.project_id)
    before = len(await world.published(ProjectChanged))

    await told(
        world, customer(3, name="Nordwind SE", bill_to_customer_id=str(an_id("c2"))), customer(2)
    )

    for each in others:
        now = await project(world, each.project_id)
        assert (now.customer.name, now.customer.version) == ("Nordwind SE", 3)
        assert now.version == each.version + 1
        [change] = await changes(world, each.project_id)
        assert (change.kind, change.subject_id) == (
            change_pb.PROJECT_CHANGE_KIND_CUSTOMER,
            str(CUSTOMER),
        )
        assert (change.subject_version, change.project_version) == (3, now.version)
        assert change.changed_by == "service:project-provisioning"
        assert [(fact.fact, fact.old_value, fact.new_value) for fact in change.facts] == [
            ("name", "Nordwind Logistik GmbH", "Nordwind SE"),
            ("bill_to_customer_id", "", str(an_id("c2"))),
        ]
    assert (await project(world, closed.project_id)).customer.name == "Nordwind Logistik GmbH"
    assert await changes(world, closed.project_id) == []
    assert len(await world.published(ProjectChanged)) == before + len(others)
    assert await world.scalar("SELECT count(*) FROM party_following") == 0


async def test_an_older_version_told_late_changes_nothing(world: World) -> None:
    [made] = await open_projects(world, 1)
    await told(world, customer(5, name="Nordwind SE"))

    await told(world, customer(4, name="Nordwind AG"))

    now = await project(world, made.project_id)
    assert (now.customer.name, now.version) == ("Nordwind SE", 2)


async def test_what_was_begun_goes_on_after_a_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "AT_ONCE", 1)
    await open_projects(world, 3)
    await world.consume(keep_customers, customer(2, name="Nordwind SE"))

    # The process dies after the first chunk.
    with acting_as(Caller.service("project-provisioning")):
        async with write(world.context.engine) as tx:
            assert await following.follow_next(tx, at=world.context.clock.now())
    assert {each.customer.version for each in await projects(world)} == {1, 2}
    await follow(world)

    assert {each.customer.name for each in await projects(world)} == {"Nordwind SE"}
    assert len(await world.published(ProjectChanged)) == 3


async def test_a_project_that_somebody_works_on_follows_afterwards(world: World) -> None:
    [made] = await open_projects(world, 1)
    await world.consume(keep_customers, customer(2, name="Nordwind SE"))

    async with world.context.engine.begin() as planner:
        await planner.exec_driver_sql("SELECT 1 FROM project FOR UPDATE")
        await asyncio.wait_for(follow(world), timeout=1.5)
        assert (await project(world, made.project_id)).customer.version == 1
    await follow(world)

    assert (await project(world, made.project_id)).customer.name == "Nordwind SE"


async def test_a_customer_told_of_after_its_project_is_followed(world: World) -> None:
    made = await world.the_project()
    assert not made.HasField("customer")

    await told(world, customer(1))

    now = await project(world, made.project_id)
    assert (now.customer.number, now.version) == ("C-000042", 2)


async def test_a_change_told_while_a_project_is_made_is_not_missed(world: World) -> None:
    await world.know_companies()
    await told(world, customer(1))
    await world.put_templates()
    await world.announce(contract_activated())
    gate = asyncio.Event()
    following_known = following.know_parties

    async def slow(*arguments: Any) -> Any:
        known = await following_known(*arguments)
        gate.set()
        await asyncio.sleep(0.3)
        return known

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("project_provisioning.commands.provisioning.know_parties", slow)
        making = asyncio.create_task(world.advance())
        await gate.wait()
        await told(world, customer(2, name="Nordwind SE"))
        await making
    await follow(world)

    [made] = await projects(world)
    assert made.customer.name == "Nordwind SE"


async def test_zone_and_calendar_of_a_company_are_followed(world: World) -> None:
    [made] = await open_projects(world, 1)

    await world.consume(
        keep_companies, company(2, time_zone="Europe/Lisbon", holiday_subdivision="BY")
    )
    await follow(world)

    now = await project(world, made.project_id)
    assert (now.time_zone, now.legal_entity.holiday_subdivision) == ("Europe/Lisbon", "BY")
    found = await changes(world, made.project_id)
    assert {each.kind for each in found} == {
        change_pb.PROJECT_CHANGE_KIND_DELIVERING_ENTITY,
        change_pb.PROJECT_CHANGE_KIND_SELLING_ENTITY,
    }
    assert {each.project_version for each in found} == {2}
    [zone] = await changes(
        world, made.project_id, kind=change_pb.PROJECT_CHANGE_KIND_SELLING_ENTITY
    )
    assert [(fact.fact, fact.new_value) for fact in zone.facts] == [("time_zone", "Europe/Lisbon")]


async def test_a_reopened_project_catches_up(world: World, planning: Planning) -> None:
    [made] = await open_projects(world, 1)
    await without_milestones(world)
    await close(planning, made.project_id)
    await told(world, customer(2, name="Nordwind SE"))

    await planning.plans().ReopenProject(
        plan_pb.ReopenProjectRequest(request_id=a_key(), project_id=made.project_id, reason="More")
    )
    await follow(world)

    assert (await project(world, made.project_id)).customer.name == "Nordwind SE"


async def test_changes_are_listed_latest_first_and_in_pages(world: World) -> None:
    [made] = await open_projects(world, 1)
    for version, name in ((2, "Nordwind SE"), (3, "Nordwind AG"), (4, "Nordwind KG")):
        await told(world, customer(version, name=name))
    stub = world.running.stub(ProjectChangeServiceStub, caller=a_caller("pmo"))
    request = change_pb.ListProjectChangesRequest(project_id=made.project_id, page_size=2)

    first = await stub.ListProjectChanges(request)
    request.page_token = first.next_page_token
    second = await stub.ListProjectChanges(request)

    listed = [each.subject_version for each in (*first.changes, *second.changes)]
    assert (listed, second.next_page_token) == ([4, 3, 2], "")
    with pytest.raises(NotFound):
        await world.running.stub(ProjectChangeServiceStub, caller=AMERICAN).ListProjectChanges(
            change_pb.ListProjectChangesRequest(project_id=made.project_id)
        )


# What stops while projects are open


async def test_a_customer_on_hold_is_told_of_until_the_hold_is_released(world: World) -> None:
    found = await open_projects(world, 2)

    await told(world, customer(2, credit_hold=True, credit_hold_reason="Three invoices overdue"))
    [item] = await exceptions(world, "customer_stopped")

    assert (item.reason, item.owner) == ("customer.credit_hold", "pmo")
    assert item.legal_entity_id == str(DE01)
    numbers = ", ".join(sorted(each.number for each in found))
    assert item.advice.endswith(f"open: {numbers}")
    await follow(world)
    assert (await exceptions(world, "customer_stopped"))[0].occurrences == 1

    await told(world, customer(3))
    assert await exceptions(world, "customer_stopped") == []


async def test_a_customer_that_ended_is_told_of_until_its_projects_are_closed(
    world: World, planning: Planning
) -> None:
    [made] = await open_projects(world, 1)
    await without_milestones(world)

    await told(world, customer(2, ended_on="2026-01-31"))
    [item] = await exceptions(world, "customer_stopped")
    assert item.reason == "customer.ended"
    assert made.number in item.advice

    await close(planning, made.project_id)
    await follow(world)
    assert await exceptions(world, "customer_stopped") == []


async def test_an_end_that_is_still_to_come_is_not_told_of(world: World) -> None:
    await open_projects(world, 1)

    await told(world, customer(2, ended_on="2099-01-31"))

    assert await exceptions(world, "customer_stopped") == []


async def test_a_company_whose_accounting_is_closed_is_told_of(world: World) -> None:
    await open_projects(world, 1)

    await world.consume(keep_companies, company(2, closed_through="2099-12-31"))
    await follow(world)
    [item] = await exceptions(world, "legal_entity_closed")
    assert (item.owner, item.reason) == ("pmo", "legal_entity.accounting_closed")

    await world.consume(keep_companies, company(3, closed_through="2026-01-31"))
    await follow(world)
    assert await exceptions(world, "legal_entity_closed") == []
