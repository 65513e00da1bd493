"""A person's week: filled, handed in, taken back, and judged by whoever is to judge it."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from project_provisioning_builders import DE01, MONDAY, US01
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    Deal,
    World,
    a_key,
    a_row,
)
from sqlalchemy import text

from project_provisioning.commands import reminder
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import TimeApproved
from throughline.project_provisioning.v1 import delegation_service_pb2 as delegation_pb
from throughline.project_provisioning.v1 import time_rule_service_pb2 as rule_pb
from throughline.project_provisioning.v1 import time_service_pb2 as time_pb
from throughline.project_provisioning.v1 import timesheet_service_pb2 as pb
from throughline.project_provisioning.v1.delegation_service_pb2_grpc import DelegationServiceStub
from throughline.project_provisioning.v1.time_rule_service_pb2_grpc import TimeRuleServiceStub
from throughline.project_provisioning.v1.timesheet_service_pb2_grpc import TimesheetServiceStub
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_core.ids import derived_id
from throughline_runtime.database import write
from throughline_runtime.identity import Caller
from throughline_runtime.rpc.errors import InvalidRequest
from throughline_testing.serving import a_caller

OMAR = a_caller("pmo", subject="user:omar.pmo")
LENA_LEADS = a_caller("consultant", subject="user:lena.lead")
DORA_DEPUTY = a_caller("consultant", subject="user:dora.deputy")
NEXT_MONDAY = MONDAY + timedelta(days=7)


@pytest.fixture
async def deal(world: World) -> Deal:
    deal = Deal(world)
    await deal.prepare(people=2)
    return deal


def weeks(world: World, caller: Caller = PMO) -> Any:
    return world.running.stub(TimesheetServiceStub, caller=caller)


def delegations(world: World, caller: Caller = PMO) -> Any:
    return world.running.stub(DelegationServiceStub, caller=caller)


async def run_sql(world: World, statement: str, **values: Any) -> None:
    async with write(world.context.engine) as tx:
        await tx.execute(text(statement), values)


async def entries_of(world: World, timesheet_id: str) -> list[time_pb.RecordedTimeEntry]:
    request = time_pb.ListTimeEntriesRequest(timesheet_id=timesheet_id)
    return list((await world.time().ListTimeEntries(request)).time_entries)


async def submitted(world: World, deal: Deal, *, days: int = 3, **values: Any) -> time_pb.Timesheet:
    """Record days of Ada, hand the week in and return its sheet."""
    await world.import_time(
        [
            a_row(deal.people[0], deal.task, on=MONDAY + timedelta(day), **values)
            for day in range(days)
        ]
    )
    [sheet] = await world.timesheets(person_id=deal.people[0])
    await world.submit(sheet.timesheet_id)
    return await sheet_of(world, sheet.timesheet_id)


async def sheet_of(world: World, timesheet_id: str, caller: Caller = PMO) -> time_pb.Timesheet:
    request = time_pb.GetTimesheetRequest(timesheet_id=timesheet_id)
    return (await world.time(caller).GetTimesheet(request)).timesheet


async def approve(world: World, timesheet_id: str, caller: Caller = PMO) -> time_pb.Timesheet:
    request = time_pb.ApproveTimesheetRequest(request_id=a_key(), timesheet_id=timesheet_id)
    return (await world.time(caller).ApproveTimesheet(request)).timesheet


async def send_back(
    world: World, sheet: time_pb.Timesheet, entry_ids: Sequence[str]
) -> pb.RejectTimeEntriesResponse:
    rejections = [
        time_pb.RejectedTimeEntry(time_entry_id=each, reason="Wrong task") for each in entry_ids
    ]
    response: pb.RejectTimeEntriesResponse = await weeks(world).RejectTimeEntries(
        pb.RejectTimeEntriesRequest(
            request_id=a_key(), timesheet_id=sheet.timesheet_id, rejections=rejections
        )
    )
    return response


async def put_policy(world: World, approver: "pb.TimeApprover.ValueType") -> None:
    await weeks(world).PutTimeApprovalPolicy(
        pb.PutTimeApprovalPolicyRequest(
            request_id=a_key(), legal_entity_id=str(DE01), approver=approver, reminder_days=3
        )
    )


async def lena(world: World, deal: Deal) -> str:
    """Hire Lena, who leads Ada and the project."""
    person = await world.a_person(name="Lena Lead", subject="user:lena.lead")
    await run_sql(
        world,
        "UPDATE employment SET manager_person_id = :lena WHERE person_id = :ada",
        lena=person.person_id,
        ada=deal.people[0],
    )
    await run_sql(
        world,
        "UPDATE project SET manager_person_id = :lena WHERE project_id = :project",
        lena=person.person_id,
        project=deal.project_id,
    )
    return person.person_id


async def test_single_entries_are_sent_back_and_the_rest_is_approved(
    deal: Deal, world: World
) -> None:
    sheet = await submitted(world, deal)
    entries = await entries_of(world, sheet.timesheet_id)

    response = await send_back(world, sheet, [entries[1].entry.time_entry_id])

    assert response.timesheet.status == time_pb.TIMESHEET_STATUS_APPROVED
    assert (response.timesheet.entry_count, response.draft.entry_count) == (2, 1)
    assert response.draft.status == time_pb.TIMESHEET_STATUS_DRAFT
    assert response.draft.split_from_timesheet_id == sheet.timesheet_id
    [rejected] = response.draft.rejected_entries
    assert rejected.reason == "Wrong task"
    [event] = await world.published(TimeApproved)
    assert len(event.entries) == 2

    # The person takes the entry off, records what is right, and hands the draft in.
    await world.time(ADA_SIGNED_IN).DeleteTimeEntry(
        time_pb.DeleteTimeEntryRequest(request_id=a_key(), time_entry_id=rejected.time_entry_id)
    )
    row = a_row(deal.people[0], deal.fixed_fee_task, on=MONDAY + timedelta(1))
    await world.import_time([row], caller=ADA_SIGNED_IN)
    made = await weeks(world, ADA_SIGNED_IN).SubmitTimesheets(
        pb.SubmitTimesheetsRequest(
            request_id=a_key(), week_from=MONDAY.isoformat(), week_before=NEXT_MONDAY.isoformat()
        )
    )
    assert list(made.submitted_timesheet_ids) == [response.draft.timesheet_id]
    await approve(world, response.draft.timesheet_id)
    assert await world.scalar("SELECT sum(minutes) FROM time_entry") == 3 * 480


async def test_a_sheet_is_not_sent_back_entry_by_entry_as_a_whole(deal: Deal, world: World) -> None:
    sheet = await submitted(world, deal)
    entries = await entries_of(world, sheet.timesheet_id)

    with pytest.raises(FailedPrecondition) as refused:
        await send_back(world, sheet, [each.entry.time_entry_id for each in entries])

    assert refused.value.stable_code == "timesheet.nothing_left"


@pytest.mark.parametrize("by", [ADA_SIGNED_IN, INTEGRATION, OMAR])
async def test_who_submitted_takes_back_before_the_decision(
    deal: Deal, world: World, by: Caller
) -> None:
    await world.import_time([a_row(deal.people[0], deal.task)])
    [sheet] = await world.timesheets(person_id=deal.people[0])
    await world.submit(sheet.timesheet_id, INTEGRATION)
    request = pb.RecallTimesheetRequest(request_id=a_key(), timesheet_id=sheet.timesheet_id)

    if by is OMAR:
        with pytest.raises(PermissionDenied) as refused:
            await weeks(world, by).RecallTimesheet(request)
        assert refused.value.stable_code == "timesheet.not_submitter"
        return
    recalled = (await weeks(world, by).RecallTimesheet(request)).timesheet

    assert recalled.status == time_pb.TIMESHEET_STATUS_DRAFT
    with pytest.raises(IllegalTransition):
        await approve(world, sheet.timesheet_id)
    # It is the week's draft again.
    await world.import_time([a_row(deal.people[0], deal.task, minutes=30)])
    assert (await sheet_of(world, sheet.timesheet_id)).entry_count == 2


async def test_a_recalled_sheet_leaves_the_draft_that_was_opened_since(
    deal: Deal, world: World
) -> None:
    sheet = await submitted(world, deal)
    await world.import_time([a_row(deal.people[0], deal.task, minutes=30)])

    await weeks(world, ADA_SIGNED_IN).RecallTimesheet(
        pb.RecallTimesheetRequest(request_id=a_key(), timesheet_id=sheet.timesheet_id)
    )
    await world.import_time([a_row(deal.people[0], deal.task, minutes=20)])

    sheets = await world.timesheets(person_id=deal.people[0])
    assert sorted(each.entry_count for each in sheets) == [2, 3]
    assert {each.status for each in sheets} == {time_pb.TIMESHEET_STATUS_DRAFT}


async def test_a_transfer_in_the_middle_of_a_week_makes_a_sheet_for_each_company(
    deal: Deal, world: World
) -> None:
    ada = deal.people[0]
    await run_sql(
        world,
        "UPDATE employment SET valid_to = :day WHERE person_id = :ada",
        day=MONDAY + timedelta(2),
        ada=ada,
    )
    await run_sql(
        world,
        "INSERT INTO employment (person_id, valid_from, legal_entity_id, role, level, region)"
        " VALUES (:ada, :day, :entity, 'lead', 'senior', 'US')",
        day=MONDAY + timedelta(2),
        ada=ada,
        entity=US01,
    )

    rows = [a_row(ada, deal.task, on=MONDAY + timedelta(day)) for day in range(5)]
    await world.import_time(rows, approved=True)

    sheets = await world.timesheets(person_id=ada)
    assert {(each.legal_entity_id, each.entry_count) for each in sheets} == {
        (str(DE01), 2),
        (str(US01), 3),
    }
    [event] = await world.published(TimeApproved)
    assert [(each.legal_entity_id, each.role) for each in event.entries[1:3]] == [
        (str(DE01), "senior_consultant"),
        (str(US01), "lead"),
    ]


async def test_by_default_no_consultant_approves(deal: Deal, world: World) -> None:
    sheet = await submitted(world, deal)
    await lena(world, deal)

    with pytest.raises(PermissionDenied) as refused:
        await approve(world, sheet.timesheet_id, LENA_LEADS)

    assert refused.value.stable_code == "timesheet.not_approver"


@pytest.mark.parametrize(
    "approver", [pb.TIME_APPROVER_LINE_MANAGER, pb.TIME_APPROVER_PROJECT_MANAGER]
)
async def test_the_manager_approves_where_the_policy_says_so(
    deal: Deal, world: World, approver: "pb.TimeApprover.ValueType"
) -> None:
    await lena(world, deal)
    await put_policy(world, approver)
    sheet = await submitted(world, deal)

    with pytest.raises(PermissionDenied) as refused:
        await approve(world, sheet.timesheet_id, PMO)
    assert refused.value.stable_code == "timesheet.not_approver"
    # Who leads sees the time of those that are led, and nobody else's.
    assert (await sheet_of(world, sheet.timesheet_id, LENA_LEADS)).minutes == 3 * 480
    with pytest.raises(NotFound):
        await sheet_of(world, sheet.timesheet_id, DORA_DEPUTY)

    approved = await approve(world, sheet.timesheet_id, LENA_LEADS)

    assert approved.decided_by == "user:lena.lead"


async def test_without_a_manager_the_pmo_approves(deal: Deal, world: World) -> None:
    await put_policy(world, pb.TIME_APPROVER_LINE_MANAGER)
    sheet = await submitted(world, deal)

    assert (await approve(world, sheet.timesheet_id)).decided_by == "user:paula.pmo"


async def test_where_project_managers_approve_each_project_is_a_sheet(
    deal: Deal, world: World
) -> None:
    await lena(world, deal)
    await put_policy(world, pb.TIME_APPROVER_PROJECT_MANAGER)
    # A second project, led by nobody: the same plan once more.
    await run_sql(
        world,
        "INSERT INTO project SELECT (jsonb_populate_record(project, jsonb_build_object("
        " 'project_id', gen_random_uuid(), 'number', 'P-9', 'region', 'north',"
        " 'manager_person_id', NULL))).* FROM project",
    )
    await run_sql(
        world,
        "INSERT INTO task SELECT (jsonb_populate_record(task, jsonb_build_object("
        " 'task_id', gen_random_uuid(), 'project_id', other.project_id, 'parent_task_id', NULL))).*"
        " FROM task, project AS other WHERE other.number = 'P-9' AND task.task_id = :task",
        task=deal.task,
    )
    other = str(
        await world.scalar(
            "SELECT task_id FROM task JOIN project USING (project_id) WHERE number = 'P-9'"
        )
    )
    ada = deal.people[0]
    await world.import_time([a_row(ada, deal.task), a_row(ada, other, on=MONDAY + timedelta(1))])
    [draft] = await world.timesheets(person_id=ada)

    await world.submit(draft.timesheet_id)

    sheets = await world.timesheets(person_id=ada)
    assert [each.entry_count for each in sheets] == [1, 1]
    assert {each.status for each in sheets} == {time_pb.TIMESHEET_STATUS_SUBMITTED}
    led = [
        each
        for each in sheets
        if (await entries_of(world, each.timesheet_id))[0].entry.task_id == deal.task
    ]
    assert (await approve(world, led[0].timesheet_id, LENA_LEADS)).minutes == 480


def a_delegation(**values: Any) -> delegation_pb.CreateDelegationRequest:
    request: dict[str, Any] = {
        "request_id": a_key(),
        "delegate": "user:dora.deputy",
        "scope": delegation_pb.DELEGATION_SCOPE_TIME,
        "starts_on": "2020-01-01",
        "ends_on": "2040-01-01",
        "reason": "Holidays",
    }
    return delegation_pb.CreateDelegationRequest(**request | values)


async def test_a_delegate_decides_in_the_managers_place_and_both_are_named(
    deal: Deal, world: World
) -> None:
    await lena(world, deal)
    await put_policy(world, pb.TIME_APPROVER_LINE_MANAGER)
    sheet = await submitted(world, deal)
    with pytest.raises(PermissionDenied):
        await approve(world, sheet.timesheet_id, DORA_DEPUTY)
    made = (await delegations(world, LENA_LEADS).CreateDelegation(a_delegation())).delegation

    approved = await approve(world, sheet.timesheet_id, DORA_DEPUTY)

    assert (approved.decided_by, approved.decided_for) == ("user:dora.deputy", "user:lena.lead")
    assert made.delegator == "user:lena.lead"


async def test_a_delegation_of_the_pmo_carries_its_right_until_it_is_revoked(
    deal: Deal, world: World
) -> None:
    request = a_delegation(legal_entity_id=str(DE01))
    made = (await delegations(world).CreateDelegation(request)).delegation
    first = await submitted(world, deal, days=1)
    assert (await approve(world, first.timesheet_id, DORA_DEPUTY)).decided_for == "user:paula.pmo"

    await delegations(world, DORA_DEPUTY).RevokeDelegation(
        delegation_pb.RevokeDelegationRequest(request_id=a_key(), delegation_id=made.delegation_id)
    )
    await world.import_time([a_row(deal.people[1], deal.task)])
    [second] = await world.timesheets(status=time_pb.TIMESHEET_STATUS_DRAFT)
    await world.submit(second.timesheet_id, INTEGRATION)

    with pytest.raises(PermissionDenied):
        await approve(world, second.timesheet_id, DORA_DEPUTY)
    with pytest.raises(FailedPrecondition) as refused:
        await delegations(world).RevokeDelegation(
            delegation_pb.RevokeDelegationRequest(
                request_id=a_key(), delegation_id=made.delegation_id
            )
        )
    assert refused.value.stable_code == "delegation.ended"


@pytest.mark.parametrize(
    ("caller", "values", "code"),
    [
        (PMO, {"delegate": "user:paula.pmo"}, "delegation.to_self"),
        (PMO, {"ends_on": "2020-01-01"}, "delegation.dates_reversed"),
        (LENA_LEADS, {"delegator": "user:paula.pmo"}, "delegation.not_own"),
        (PMO, {"scope": delegation_pb.DELEGATION_SCOPE_ALL}, "delegation.overlap"),
    ],
)
async def test_what_cannot_be_delegated(
    deal: Deal, world: World, caller: Caller, values: dict[str, Any], code: str
) -> None:
    await delegations(world).CreateDelegation(a_delegation())

    with pytest.raises((InvalidArgument, PermissionDenied, AlreadyExists)) as refused:
        await delegations(world, caller).CreateDelegation(a_delegation(**values))

    assert refused.value.stable_code == code
    listed = await delegations(world, DORA_DEPUTY).ListDelegations(
        delegation_pb.ListDelegationsRequest()
    )
    assert len(listed.delegations) == 1
    hidden = await delegations(world, LENA_LEADS).ListDelegations(
        delegation_pb.ListDelegationsRequest()
    )
    assert not hidden.delegations


async def in_force(world: World, **rules: Any) -> None:
    """Propose and activate working-time rules of the firm."""
    stub: Any = world.running.stub(TimeRuleServiceStub, caller=PMO)
    proposed = await stub.ProposeTimeRules(
        rule_pb.ProposeTimeRulesRequest(
            request_id=a_key(), effective_from="2024-01-01", rules=rule_pb.TimeRules(**rules)
        )
    )
    other: Any = world.running.stub(TimeRuleServiceStub, caller=OMAR)
    await other.ActivateTimeRules(
        rule_pb.ActivateTimeRulesRequest(
            request_id=a_key(), time_rules_id=proposed.time_rules.time_rules_id
        )
    )


async def test_what_a_rule_stops_is_refused_with_its_figures(deal: Deal, world: World) -> None:
    await in_force(
        world,
        day_minutes_max=rule_pb.RuleLimit(value=600, severity=rule_pb.RULE_SEVERITY_STOP),
    )
    ada = deal.people[0]
    await world.import_time([a_row(ada, deal.task)])

    with pytest.raises(InvalidRequest) as refused:
        await world.import_time([a_row(ada, deal.fixed_fee_task, minutes=121)])

    [violation] = refused.value.violations
    assert violation.rule == "time_entry.rule_broken"
    assert "601" in violation.text
    assert "600" in violation.text
    await world.import_time([a_row(ada, deal.fixed_fee_task, minutes=120)])


async def test_what_a_rule_warns_of_is_shown_to_who_approves(deal: Deal, world: World) -> None:
    await in_force(
        world,
        day_minutes_max=rule_pb.RuleLimit(value=400, severity=rule_pb.RULE_SEVERITY_WARN),
    )

    sheet = await submitted(world, deal, days=2)

    assert [(each.rule, each.work_date) for each in sheet.findings] == [
        ("time_rule.day_maximum", MONDAY.isoformat()),
        ("time_rule.day_maximum", (MONDAY + timedelta(1)).isoformat()),
    ]
    assert (await approve(world, sheet.timesheet_id)).findings == sheet.findings


async def test_a_week_that_a_rule_stops_is_left_out_when_many_are_handed_in(
    deal: Deal, world: World
) -> None:
    ada, grace = deal.people
    await world.import_time([a_row(ada, deal.task, minutes=700), a_row(grace, deal.task)])
    await in_force(
        world,
        day_minutes_max=rule_pb.RuleLimit(value=600, severity=rule_pb.RULE_SEVERITY_STOP),
    )

    made = await weeks(world, INTEGRATION).SubmitTimesheets(
        pb.SubmitTimesheetsRequest(
            request_id=a_key(), week_from=MONDAY.isoformat(), week_before=NEXT_MONDAY.isoformat()
        )
    )

    assert len(made.submitted_timesheet_ids) == 1
    [left_out] = made.left_out
    assert left_out.code == "timesheet.rule_broken"
    with pytest.raises(FailedPrecondition) as refused:
        await world.submit(left_out.timesheet_id)
    assert refused.value.stable_code == "timesheet.rule_broken"


async def test_a_week_is_filled_with_the_one_before(deal: Deal, world: World) -> None:
    ada = deal.people[0]
    await submitted(world, deal, days=2, note="Workshop", activity="travel")
    request = pb.ListSuggestedTimeEntriesRequest(
        person_id=ada, week_start=NEXT_MONDAY.isoformat(), basis=pb.TIMESHEET_BASIS_WEEK
    )

    suggested = (await weeks(world, ADA_SIGNED_IN).ListSuggestedTimeEntries(request)).rows

    async def fill() -> pb.FillTimesheetResponse:
        response: pb.FillTimesheetResponse = await weeks(world, ADA_SIGNED_IN).FillTimesheet(
            pb.FillTimesheetRequest(
                request_id=a_key(),
                person_id=ada,
                week_start=NEXT_MONDAY.isoformat(),
                basis=pb.TIMESHEET_BASIS_WEEK,
                minutes=60,
            )
        )
        return response

    filled, again = await fill(), await fill()

    assert [(row.work_date, row.minutes, row.activity, row.note) for row in suggested] == [
        ((NEXT_MONDAY + timedelta(day)).isoformat(), 480, "travel", "Workshop") for day in range(2)
    ]
    assert (filled.recorded_count, filled.recorded_minutes) == (2, 120)
    assert again.recorded_count == 0
    assert {each.rule for each in again.results} == {"time_entry.looks_duplicate"}


async def assign(world: World, deal: Deal, person_id: str, hours: int = 20) -> None:
    """Book a person firmly for two weeks."""
    await run_sql(
        world,
        "INSERT INTO assignment (assignment_id, version, project_id, task_id, person_id,"
        " legal_entity_id, engagement_id, correlation_id, role, booking, ended, starts_on, ends_on,"
        " planned_hours, transfer_rule, reason)"
        " SELECT :id, 1, project_id, :task, :person, legal_entity_id, engagement_id,"
        " correlation_id, 'consultant', 'hard', false, :starts, :ends, :hours, 'follow', ''"
        " FROM project WHERE project_id = :project",
        id=derived_id("test", person_id),
        task=deal.task,
        person=person_id,
        project=deal.project_id,
        starts=MONDAY,
        ends=MONDAY + timedelta(14),
        hours=2 * hours,
    )
    for week in (MONDAY, NEXT_MONDAY):
        await run_sql(
            world,
            "INSERT INTO assignment_week VALUES (:id, :week, :person, :hours)",
            id=derived_id("test", person_id),
            week=week,
            person=person_id,
            hours=hours,
        )


async def test_a_week_is_filled_from_assignments(deal: Deal, world: World) -> None:
    await assign(world, deal, deal.people[0], hours=21)

    filled = await weeks(world).FillTimesheet(
        pb.FillTimesheetRequest(
            request_id=a_key(),
            person_id=deal.people[0],
            week_start=(MONDAY + timedelta(3)).isoformat(),
            basis=pb.TIMESHEET_BASIS_ASSIGNMENTS,
        )
    )

    assert (filled.recorded_count, filled.recorded_minutes) == (5, 21 * 60)


async def test_nothing_is_suggested_to_others(deal: Deal, world: World) -> None:
    request = pb.FillTimesheetRequest(
        request_id=a_key(),
        person_id=deal.people[1],
        week_start=MONDAY.isoformat(),
        basis=pb.TIMESHEET_BASIS_WEEK,
    )

    with pytest.raises(PermissionDenied):
        await weeks(world, ADA_SIGNED_IN).FillTimesheet(request)
    with pytest.raises(FailedPrecondition) as refused:
        await weeks(world).FillTimesheet(request)
    assert refused.value.stable_code == "timesheet.nothing_to_fill"


async def exceptions(world: World, kind: str) -> list[UUID]:
    async with write(world.context.engine) as tx:
        rows = await tx.execute(
            text("SELECT subject_id FROM exception_item WHERE kind = :kind AND closed_at IS NULL"),
            {"kind": kind},
        )
        return list(rows.scalars())


async def test_weeks_of_assigned_people_are_missed_until_handed_in(
    deal: Deal, world: World
) -> None:
    for person_id in deal.people:
        await assign(world, deal, person_id)
    today = MONDAY + timedelta(days=15)
    async with write(world.context.engine) as tx:
        assert await reminder.call_for_weeks(tx, today=today) == 4
    async with write(world.context.engine) as tx:
        assert await reminder.call_for_weeks(tx, today=today) == 0

    await submitted(world, deal, days=1)

    assert len(await exceptions(world, "timesheet.missing")) == 3
    seen = await weeks(world).ListMissingTimesheets(
        pb.ListMissingTimesheetsRequest(
            week_from=MONDAY.isoformat(), week_before=NEXT_MONDAY.isoformat()
        )
    )
    assert [each.person_id for each in seen.missing] == [deal.people[1]]
    assert seen.missing[0].assigned_hours == "20"
    paged = await weeks(world).ListMissingTimesheets(
        pb.ListMissingTimesheetsRequest(week_from=MONDAY.isoformat(), page_size=1)
    )
    rest = await weeks(world).ListMissingTimesheets(
        pb.ListMissingTimesheetsRequest(
            week_from=MONDAY.isoformat(), page_token=paged.next_page_token
        )
    )
    found = [*paged.missing, *rest.missing]
    assert len({(each.person_id, each.week_start) for each in found}) == len(found) == 3


async def test_a_sheet_that_waits_too_long_is_called_for_until_it_is_decided_on(
    deal: Deal, world: World
) -> None:
    await put_policy(world, pb.TIME_APPROVER_PMO)
    sheet = await submitted(world, deal)
    now = world.context.clock.now()

    async def call(days: int) -> int:
        async with write(world.context.engine) as tx:
            return await reminder.call_for_approval(tx, at=now + timedelta(days=days))

    assert [await call(2), await call(4), await call(5)] == [0, 1, 0]
    assert await exceptions(world, "timesheet.approval_overdue") == [UUID(sheet.timesheet_id)]

    await approve(world, sheet.timesheet_id)

    assert not await exceptions(world, "timesheet.approval_overdue")


async def test_locked_time_is_neither_recorded_nor_approved(deal: Deal, world: World) -> None:
    sheet = await submitted(world, deal)
    await run_sql(
        world,
        "INSERT INTO period_lock VALUES (:entity, 1, :open_from, 'fiona', now())",
        entity=DE01,
        open_from=date(2026, 10, 1),
    )

    with pytest.raises(InvalidRequest) as refused:
        await world.import_time([a_row(deal.people[1], deal.task)])
    assert [each.rule for each in refused.value.violations] == ["time_entry.locked"]
    with pytest.raises(FailedPrecondition) as locked:
        await approve(world, sheet.timesheet_id)
    assert locked.value.stable_code == "period.locked"


@pytest.mark.parametrize(
    ("statement", "days", "rules"),
    [
        (
            "UPDATE project SET requires_assignment = true",
            [-7, 0, 13, 14],
            ["time_entry.before_assignment", "", "", "time_entry.not_assigned"],
        ),
        (
            "UPDATE project SET work_ends_on = '2026-09-09'",
            [1, 2],
            ["", "time_entry.work_ended"],
        ),
        ("UPDATE task SET work_ends_on = '2026-09-08'", [0, 1], ["", "time_entry.work_ended"]),
        ("UPDATE employment SET valid_to = '2026-09-08'", [0, 1], ["", "time_entry.not_employed"]),
    ],
)
async def test_work_is_taken_when_project_task_and_employment_allow_it(
    deal: Deal, world: World, statement: str, days: list[int], rules: list[str]
) -> None:
    ada = deal.people[0]
    await assign(world, deal, ada)
    await run_sql(world, statement)

    response = await world.import_time(
        [a_row(ada, deal.task, on=MONDAY + timedelta(day)) for day in days], partial=True
    )

    assert [each.rule for each in response.results] == rules


async def test_assignment_to_a_part_of_the_plan_covers_what_is_below_it(
    deal: Deal, world: World
) -> None:
    ada = deal.people[0]
    await assign(world, deal, ada)
    await run_sql(world, "UPDATE project SET requires_assignment = true")
    await run_sql(
        world,
        "UPDATE task SET wbs_code = whole.wbs_code || '.1' FROM task AS whole"
        " WHERE whole.task_id = :whole AND task.task_id = :part",
        whole=deal.task,
        part=deal.fixed_fee_task,
    )

    response = await world.import_time([a_row(ada, deal.fixed_fee_task)], partial=True)

    assert response.recorded_count == 1
