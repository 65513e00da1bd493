"""What is published is exactly what was agreed, and what is agreed is understood."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
from project_provisioning_builders import (
    DE01,
    FIXED_FEE_LINE,
    FIXED_FEE_TASK,
    KICKOFF,
    MONDAY,
    PASS_THROUGH_LINE,
    PROJECT,
    RECURRING_LINE,
    RUN,
    SUPPORT_TASK,
    TARGET_ARCHITECTURE,
    THE_SOURCE,
    TIME_LINE,
    TIME_TASK,
    US01,
    a_row,
    a_run,
    ada,
    an_assignment,
    an_id,
    columns,
    eur,
    facts,
    the_milestone,
    the_terms,
)

from project_provisioning.domain import milestone as milestones
from project_provisioning.domain.assignment import AssignmentChanged
from project_provisioning.domain.check import Check
from project_provisioning.domain.employment import Employee, Employment, PersonRecorded
from project_provisioning.domain.exchange_rate import ExchangeRate
from project_provisioning.domain.expense import (
    ExpenseReport,
    ExpenseReportApproved,
    ExpenseReportStatus,
)
from project_provisioning.domain.expense_line import ExpenseLine
from project_provisioning.domain.milestone import MilestoneStatus
from project_provisioning.domain.project import (
    Project,
    ProjectActivated,
    ProjectChanged,
    ProjectStatus,
    RoleRequirement,
    Task,
)
from project_provisioning.domain.run import RunCancelled, RunPaused, RunResumed, RunState
from project_provisioning.domain.time_entry import judge
from project_provisioning.wire import assignment as assignment_wire
from project_provisioning.wire import employment as employment_wire
from project_provisioning.wire import exchange_rate as exchange_rate_wire
from project_provisioning.wire import expense as expense_wire
from project_provisioning.wire import milestone as milestone_wire
from project_provisioning.wire import project as project_wire
from project_provisioning.wire import run as run_wire
from project_provisioning.wire.terms import read_terms
from project_provisioning.wire.time import write_entry
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import ContractActivated
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import project_pb2
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import write_instant
from throughline_testing.samples import assert_matches_sample, sample

CHANGE_ORDER = UUID("01980000-0000-7000-8000-0000000000b9")
COMPLETED_ON = date(2026, 9, 11)
THE_SECOND: Final[Mapping[str, Any]] = {
    "milestone_id": TARGET_ARCHITECTURE,
    "position": 2,
    "key": "target_architecture",
    "name": "Target architecture accepted",
    "amount": eur("14400.00"),
    "due_on": date(2026, 11, 30),
}


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 9, day, hour, minute, second, tzinfo=UTC)


def test_a_paused_run_is_published_as_agreed() -> None:
    blocker = Check(
        "customer.tax_id_invalid",
        False,
        "sales_operations",
        "correct the customer's tax registration, then resume the run",
    )
    run = a_run(RunState.PAUSED, version=3, checks=(blocker,), changed_at=at(1, 7))

    assert_matches_sample(run_wire.write_event(RunPaused(run, blocker)), events_pb.RunPaused)


def test_a_resumed_run_is_published_as_agreed() -> None:
    run = a_run(RunState.VALIDATING, version=4, changed_at=at(1, 9))

    assert_matches_sample(run_wire.write_event(RunResumed(run)), events_pb.RunResumed)


def test_a_cancelled_run_is_published_as_agreed() -> None:
    run = a_run(
        RunState.CANCELLED,
        version=4,
        changed_at=at(1, 8),
        cancellation_reason="the client withdrew before work began",
    )

    assert_matches_sample(run_wire.write_event(RunCancelled(run)), events_pb.RunCancelled)


def the_project() -> Project:
    terms = the_terms()
    return Project(
        project_id=PROJECT,
        version=1,
        number="P-000031",
        name="CT-000017 Discovery workshop and target architecture",
        status=ProjectStatus.ACTIVE,
        contract_id=terms.contract_id,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        customer_id=terms.customer_id,
        legal_entity_id=terms.legal_entity_id,
        time_zone=terms.time_zone,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        budget=eur("116400.00"),
        activated_at=at(1, 9, 0, 1),
        templates=("advisory@1", "discovery@1", "managed_service@1", "pass_through@1"),
        lines=(),
        tasks=(
            replace(
                Task(FIXED_FEE_TASK, 1, "Discovery", "Discovery workshops", FIXED_FEE_LINE, False),
                wbs_code="1.1",
            ),
            Task(TIME_TASK, 2, "Delivery", "Advisory work", TIME_LINE, True, wbs_code="2.1"),
            Task(
                SUPPORT_TASK, 3, "Support", "Managed support", RECURRING_LINE, False, wbs_code="3.1"
            ),
        ),
        milestones=(the_milestone(), the_milestone(**THE_SECOND)),
        role_requirements=tuple(
            RoleRequirement(TIME_LINE, position, role, Decimal(hours))
            for position, (role, hours) in enumerate(
                [("senior_consultant", 120), ("consultant", 200), ("analyst", 80)], start=1
            )
        ),
        selling_legal_entity_id=terms.legal_entity_id,
    )


def test_a_project_is_published_as_agreed() -> None:
    outgoing = project_wire.write_event(ProjectActivated(the_project(), RUN))

    assert_matches_sample(outgoing, events_pb.ProjectActivated)


def test_a_changed_project_is_published_as_agreed() -> None:
    project = the_project()
    project = replace(project, version=2, contract_version=2, budget=eur("131000.00"))

    outgoing = project_wire.write_event(ProjectChanged(project, CHANGE_ORDER))

    assert_matches_sample(outgoing, events_pb.ProjectChanged)


def test_approved_time_is_published_as_agreed() -> None:
    ruling = judge(columns(a_row(source=THE_SOURCE)), facts())
    [entry] = ruling.entries
    sheets = {
        (entry.worker.person_id, entry.stretch.legal_entity_id, entry.week_start): str(an_id("141"))
    }

    message = events_pb.TimeApproved(
        approval_id=str(an_id("161")),
        version=1,
        entries=[write_entry(entry, sheets)],
        approved_by="user:paula.pmo",
        approved_at=write_instant(at(14, 7)),
    )

    assert_matches_sample(Outgoing(message, an_id("161"), 1), events_pb.TimeApproved)


def test_a_persons_employment_is_published_as_agreed_without_what_it_costs() -> None:
    moves_on = date(2027, 1, 1)
    german = Employment(DE01, date(2024, 1, 1), moves_on, "senior_consultant", "senior", "DE")
    american = Employment(
        US01, moves_on, None, "senior_consultant", "senior", "US", manager_person_id=an_id("132")
    )
    employee = Employee(ada(version=2), (german, american))

    outgoing = employment_wire.write_event(PersonRecorded(employee))

    assert_matches_sample(outgoing, events_pb.PersonRecorded)


def test_an_approved_expense_report_is_published_as_agreed() -> None:
    agreed = sample(events_pb.ExpenseReportApproved).lines[0]
    line = ExpenseLine(
        expense_line_id=an_id("172"),
        project_id=PROJECT,
        contract_id=the_terms().contract_id,
        contract_line_id=PASS_THROUGH_LINE,
        engagement_id=the_terms().engagement_id,
        incurred_on=date(2026, 9, 8),
        category="travel",
        description="Train Hamburg to Munich and back",
        net_amount=eur("200.00"),
        tax_amount=eur("14.00"),
        billable=True,
        reimbursable=True,
        receipt_sha256=agreed.receipt_sha256,
        source=None,
    )
    report = ExpenseReport(
        expense_report_id=an_id("171"),
        version=3,
        person=ada(),
        legal_entity_id=DE01,
        title="Kickoff in Munich",
        status=ExpenseReportStatus.APPROVED,
        lines=(line,),
        decided_by="user:paula.pmo",
        decided_at=at(21, 8, 30),
    )

    outgoing = expense_wire.write_event(
        ExpenseReportApproved(report, report.lines, "user:paula.pmo", at(21, 8, 30))
    )

    assert_matches_sample(outgoing, events_pb.ExpenseReportApproved)


def test_milestones_are_published_as_agreed() -> None:
    completed = the_milestone(MilestoneStatus.COMPLETED, version=2, completed_on=COMPLETED_ON)
    accepted = the_milestone(
        MilestoneStatus.ACCEPTED,
        version=3,
        completed_on=COMPLETED_ON,
        accepted_on=date(2026, 9, 14),
        accepted_by="Clara Neumann",
        evidence_sha256=sample(events_pb.MilestoneAccepted).milestone.evidence_sha256,
        recorded_by="user:paula.pmo",
    )
    withdrawn = the_milestone(MilestoneStatus.COMPLETED, version=4, completed_on=COMPLETED_ON)
    rejected = the_milestone(
        MilestoneStatus.REJECTED, version=3, completed_on=date(2026, 11, 16), **THE_SECOND
    )

    write = milestone_wire.write_event
    assert_matches_sample(
        write(milestones.MilestoneCompleted(completed)), events_pb.MilestoneCompleted
    )
    assert_matches_sample(
        write(milestones.MilestoneAccepted(accepted)), events_pb.MilestoneAccepted
    )
    assert_matches_sample(
        write(milestones.MilestoneRejected(rejected, "the integration view is missing")),
        events_pb.MilestoneRejected,
    )
    assert_matches_sample(
        write(
            milestones.AcceptanceWithdrawn(withdrawn, "the client signed for the wrong deliverable")
        ),
        events_pb.MilestoneAcceptanceWithdrawn,
    )


def test_the_rest_of_a_milestone_comes_with_its_acceptance() -> None:
    accepted = the_milestone(MilestoneStatus.ACCEPTED, accepted_on=COMPLETED_ON)
    rest = the_milestone(
        MilestoneStatus.COMPLETED, milestone_id=an_id("1303"), split_from_milestone_id=KICKOFF
    )

    message = milestone_wire.write_event(milestones.MilestoneAccepted(accepted, rest)).message

    assert isinstance(message, events_pb.MilestoneAccepted)
    assert message.rest.split_from_milestone_id == message.milestone.milestone_id
    assert message.rest.milestone_id == str(an_id("1303"))


def test_the_rest_that_goes_back_into_a_milestone_comes_with_the_withdrawal() -> None:
    withdrawn = the_milestone(MilestoneStatus.COMPLETED, completed_on=COMPLETED_ON)
    rest = the_milestone(
        MilestoneStatus.CANCELLED,
        milestone_id=an_id("1303"),
        split_from_milestone_id=KICKOFF,
        amount=eur("0.00"),
    )

    event = milestones.AcceptanceWithdrawn(withdrawn, "why", rest)
    message = milestone_wire.write_event(event).message

    assert isinstance(message, events_pb.MilestoneAcceptanceWithdrawn)
    assert message.rest.status == project_pb2.MILESTONE_STATUS_CANCELLED
    assert (message.rest.milestone_id, message.rest.amount.amount) == (str(an_id("1303")), "0.00")


def test_an_assignment_is_published_as_agreed() -> None:
    weeks = tuple((MONDAY + timedelta(days=7 * number), Decimal(30)) for number in range(4))
    assignment = an_assignment(
        project_id=PROJECT, task_id=TIME_TASK, ends_on=date(2026, 10, 3), weeks=weeks
    )

    outgoing = assignment_wire.write_event(AssignmentChanged(assignment))

    assert_matches_sample(outgoing, events_pb.AssignmentChanged)


def test_the_agreed_contract_is_read_whole() -> None:
    terms = read_terms(sample(ContractActivated).contract)

    assert terms == the_terms(), "the samples' contract is no longer the one the tests work with"


@pytest.mark.parametrize(
    "message_type", [events_pb.MilestoneCompleted, events_pb.MilestoneAccepted]
)
def test_the_milestone_of_the_samples_is_the_projects(
    message_type: type[events_pb.MilestoneCompleted],
) -> None:
    assert sample(message_type).milestone.milestone_id == str(KICKOFF)


def test_recorded_exchange_rates_are_published_as_agreed() -> None:
    rates = [
        ExchangeRate("EUR", quote, date(2026, 9, 4), "ecb", rate)
        for quote, rate in (("USD", Decimal("1.2500")), ("GBP", Decimal("0.8")))
    ]
    at = datetime(2026, 9, 4, 15, tzinfo=UTC)
    event = exchange_rate_wire.write_recorded(rates, batch_id=an_id("195"), at=at)
    assert_matches_sample(event, events_pb.ExchangeRatesRecorded)
