"""Projects handed over from one manager to another, with what awaits a decision on them."""

from datetime import date, timedelta
from typing import Any

import pytest
from project_provisioning_builders import DE01, MONDAY, US01, an_id
from project_provisioning_world import (
    PMO,
    Deal,
    World,
    a_key,
    a_row,
    contract_activated,
)
from sqlalchemy import text

from project_provisioning.commands import handover as commands
from project_provisioning.upkeep import follow_parties, hand_over_projects
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectChanged,
)
from throughline.project_provisioning.v1 import project_change_service_pb2 as pb
from throughline.project_provisioning.v1 import (
    project_service_pb2,
    time_service_pb2,
    timesheet_service_pb2,
    workforce_service_pb2,
)
from throughline.project_provisioning.v1.project_change_service_pb2_grpc import (
    ProjectChangeServiceStub,
)
from throughline.project_provisioning.v1.timesheet_service_pb2_grpc import TimesheetServiceStub
from throughline.project_provisioning.v1.workforce_service_pb2_grpc import WorkforceServiceStub
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from throughline_runtime.database import write
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.serving import a_caller

LENA, LUIS = (a_caller("consultant", subject=f"user:{name}") for name in ("lena", "luis"))
GERMAN = a_caller("pmo", subject="user:gerda.pmo", entities=[DE01])
AMERICAN = a_caller("pmo", subject="user:amy.pmo", entities=[US01])


class Managers:
    """Lena, who leads all projects of a deal, and Luis, who is to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lena = self.luis = ""

    async def prepare(self) -> None:
        self.lena = (await self.world.a_person(name="Lena", subject="user:lena")).person_id
        self.luis = (await self.world.a_person(name="Luis", subject="user:luis")).person_id

    async def lead(self) -> None:
        """Let Lena lead whatever there is."""
        async with write(self.world.context.engine) as tx:
            await tx.execute(
                text("UPDATE project SET manager_person_id = :lena"), {"lena": self.lena}
            )

    def stub(self, caller: Caller = PMO) -> Any:
        return self.world.running.stub(ProjectChangeServiceStub, caller=caller)

    def wish(self, **values: Any) -> pb.ReassignProjectsRequest:
        wish = {"from_person_id": self.lena, "to_person_id": self.luis, "request_id": a_key()}
        return pb.ReassignProjectsRequest(**wish | values)

    async def reassign(self, caller: Caller = PMO, **values: Any) -> pb.ReassignProjectsResponse:
        response: pb.ReassignProjectsResponse = await self.stub(caller).ReassignProjects(
            self.wish(**values)
        )
        return response

    async def led_by(self, person_id: str) -> int:
        request = project_service_pb2.ListProjectsRequest(
            manager_person_id=person_id, page_size=100
        )
        return len((await self.world.projects().ListProjects(request)).projects)

    async def run(self) -> None:
        with acting_as(Caller.service("project-provisioning")):
            await hand_over_projects(self.world.context)


@pytest.fixture
async def managers(world: World) -> Managers:
    managers = Managers(world)
    await managers.prepare()
    return managers


async def five_projects(world: World, managers: Managers) -> None:
    await world.put_templates()
    ids = (str(an_id(f"d{number:05}")) for number in range(5))
    await world.announce(*(contract_activated(contract_id=contract_id) for contract_id in ids))
    await world.advance()
    await managers.lead()


async def test_a_dry_run_says_what_would_follow_and_changes_nothing(
    world: World, managers: Managers
) -> None:
    await five_projects(world, managers)

    said = await managers.reassign(dry_run=True)

    assert (said.handover.remaining_projects, said.handover.moved_projects) == (5, 0)
    assert (len(said.project_numbers), said.handover.handover_id) == (5, "")
    assert await managers.led_by(managers.lena) == 5
    assert (await managers.stub().ListManagerHandovers(pb.ListManagerHandoversRequest())) == (
        pb.ListManagerHandoversResponse()
    )


async def test_projects_follow_with_an_event_and_an_entry_each_and_once(
    world: World, managers: Managers
) -> None:
    await five_projects(world, managers)
    wish = managers.wish(reason="Parental leave")

    first = await managers.stub().ReassignProjects(wish)
    again = await managers.stub().ReassignProjects(wish)

    assert again == first
    assert first.handover.status == pb.HANDOVER_STATUS_DONE
    assert (first.handover.moved_projects, first.handover.remaining_projects) == (5, 0)
    assert (await managers.led_by(managers.lena), await managers.led_by(managers.luis)) == (0, 5)
    events = await world.published(ProjectChanged)
    assert [event.project.manager_person_id for event in events] == [managers.luis] * 5
    request = pb.ListProjectChangesRequest(project_id=events[0].project.project_id)
    [change] = (await managers.stub().ListProjectChanges(request)).changes
    assert (change.kind, change.subject_id) == (
        pb.PROJECT_CHANGE_KIND_MANAGER,
        managers.luis,
    )
    assert (change.reason, change.changed_by) == ("Parental leave", "user:paula.pmo")
    assert change.handover_id == first.handover.handover_id


async def test_many_projects_follow_in_parts_and_go_on_after_a_stop(
    world: World, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "AT_ONCE", 2)
    await five_projects(world, managers)

    begun = (await managers.reassign()).handover
    assert (begun.status, begun.moved_projects, begun.remaining_projects) == (
        pb.HANDOVER_STATUS_RUNNING,
        2,
        3,
    )
    await managers.run()

    request = pb.GetManagerHandoverRequest(handover_id=begun.handover_id)
    done = (await managers.stub().GetManagerHandover(request)).handover
    assert (done.status, done.moved_projects, done.remaining_projects) == (
        pb.HANDOVER_STATUS_DONE,
        5,
        0,
    )
    assert len(await world.published(ProjectChanged)) == 5


async def test_a_handover_waits_for_its_day_and_may_be_given_up(
    world: World, managers: Managers
) -> None:
    await five_projects(world, managers)
    tomorrow = world.context.clock.today("UTC") + timedelta(days=1)

    waiting = (await managers.reassign(effective_on=tomorrow.isoformat())).handover
    await managers.run()
    assert (waiting.status, await managers.led_by(managers.lena)) == (
        pb.HANDOVER_STATUS_WAITING,
        5,
    )

    cancel = pb.CancelManagerHandoverRequest(request_id=a_key(), handover_id=waiting.handover_id)
    given_up = (await managers.stub().CancelManagerHandover(cancel)).handover
    assert given_up.status == pb.HANDOVER_STATUS_CANCELLED
    cancel.request_id = a_key()
    with pytest.raises(FailedPrecondition) as refused:
        await managers.stub().CancelManagerHandover(cancel)
    assert refused.value.stable_code == "handover.finished"


async def test_a_handover_begins_when_its_day_comes(world: World, managers: Managers) -> None:
    await five_projects(world, managers)
    tomorrow = world.context.clock.today("UTC") + timedelta(days=1)
    waiting = (await managers.reassign(effective_on=tomorrow.isoformat())).handover

    async with write(world.context.engine) as tx:
        await tx.execute(text("UPDATE manager_handover SET effective_on = effective_on - 1"))
    await managers.run()

    request = pb.GetManagerHandoverRequest(handover_id=waiting.handover_id)
    done = (await managers.stub().GetManagerHandover(request)).handover
    assert (done.status, await managers.led_by(managers.luis)) == (pb.HANDOVER_STATUS_DONE, 5)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"to_person_id": "from"}, "handover.same_person"),
        ({"to_person_id": str(an_id("999"))}, "person.not_found"),
        ({"effective_on": "2020-01-01"}, "employment.not_employed"),
        ({"customer_id": str(an_id("999"))}, "handover.nothing_to_hand_over"),
    ],
)
async def test_what_cannot_be_handed_over_is_refused_and_changes_nothing(
    world: World, managers: Managers, values: dict[str, str], code: str
) -> None:
    await five_projects(world, managers)
    if values.get("to_person_id") == "from":
        values = {"to_person_id": managers.lena}

    with pytest.raises((InvalidArgument, FailedPrecondition, NotFound)) as refused:
        await managers.stub().ReassignProjects(managers.wish(**values))

    assert refused.value.stable_code == code
    assert await managers.led_by(managers.lena) == 5


async def test_who_is_limited_to_a_company_hands_over_its_projects_only(
    world: World, managers: Managers
) -> None:
    await five_projects(world, managers)
    async with write(world.context.engine) as tx:
        american = {"entity": US01, "contract": an_id("d00000")}
        await tx.execute(
            text("UPDATE project SET legal_entity_id = :entity WHERE contract_id = :contract"),
            american,
        )

    with pytest.raises(PermissionDenied):
        await managers.reassign(AMERICAN, legal_entity_id=str(DE01))
    handed = (await managers.reassign(GERMAN)).handover

    assert (handed.moved_projects, await managers.led_by(managers.lena)) == (4, 1)
    request = pb.GetManagerHandoverRequest(handover_id=handed.handover_id)
    assert (await managers.stub(GERMAN).GetManagerHandover(request)).handover == handed
    with pytest.raises(NotFound):
        await managers.stub(AMERICAN).GetManagerHandover(request)
    listed = pb.ListManagerHandoversRequest(person_id=managers.luis)
    assert len((await managers.stub(GERMAN).ListManagerHandovers(listed)).handovers) == 1
    assert not (await managers.stub(AMERICAN).ListManagerHandovers(listed)).handovers


async def hand_in(world: World, person_id: str, task: str, caller: Caller) -> str:
    await world.import_time([a_row(person_id, task, on=MONDAY)])
    [sheet] = await world.timesheets(person_id=person_id)
    await world.submit(sheet.timesheet_id, caller)
    return sheet.timesheet_id


async def approve(world: World, timesheet_id: str, caller: Caller) -> str:
    request = time_service_pb2.ApproveTimesheetRequest(
        request_id=a_key(), timesheet_id=timesheet_id
    )
    return (await world.time(caller).ApproveTimesheet(request)).timesheet.decided_by


async def test_pending_decisions_go_to_the_new_manager_but_never_on_own_time(
    world: World, managers: Managers
) -> None:
    deal = Deal(world)
    await deal.prepare(people=1)
    await managers.lead()
    await world.running.stub(TimesheetServiceStub, caller=PMO).PutTimeApprovalPolicy(
        timesheet_service_pb2.PutTimeApprovalPolicyRequest(
            request_id=a_key(),
            legal_entity_id=str(DE01),
            approver=timesheet_service_pb2.TIME_APPROVER_PROJECT_MANAGER,
            reminder_days=3,
        )
    )
    adas = await hand_in(
        world, deal.people[0], deal.task, a_caller("consultant", subject="user:ada.brandt")
    )
    own = await hand_in(world, managers.luis, deal.task, LUIS)

    pending = (await managers.reassign()).handover.pending

    assert (pending.timesheets, pending.own_timesheets) == (2, 1)
    with pytest.raises(PermissionDenied):
        await approve(world, adas, LENA)
    assert await approve(world, adas, LUIS) == "user:luis"
    with pytest.raises(PermissionDenied):
        await approve(world, own, LUIS)
    assert await approve(world, own, PMO) == "user:paula.pmo"


async def test_a_manager_who_leaves_is_told_of_until_the_projects_are_handed_over(
    world: World, managers: Managers
) -> None:
    await five_projects(world, managers)
    workforce = world.running.stub(WorkforceServiceStub, caller=PMO)
    await workforce.EndEmployment(
        workforce_service_pb2.EndEmploymentRequest(
            request_id=a_key(), person_id=managers.lena, ends_on=date(2027, 1, 1).isoformat()
        )
    )
    operations = world.running.stub(OperationsServiceStub, caller=a_caller("pmo"))
    request = operations_pb.ListExceptionsRequest(kind="manager_leaving")

    async def open_items() -> list[operations_pb.ExceptionItem]:
        with acting_as(Caller.service("project-provisioning")):
            await follow_parties(world.context)
        return list((await operations.ListExceptions(request)).exceptions)

    [item] = await open_items()
    assert (item.owner, item.reason) == ("pmo", "project.manager_leaving")
    assert "/v1/projects:reassign-manager" in item.advice

    await managers.reassign()
    assert await open_items() == []
