"""Values for tests: the deal all samples tell of, and what is made of it here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final
from uuid import UUID

from project_provisioning.domain.assignment import Assignment, Booking
from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.domain.person import Person
from project_provisioning.domain.planning import plan_projects
from project_provisioning.domain.project import Project, project_id_of
from project_provisioning.domain.run import Run, RunKind, RunState
from project_provisioning.domain.template import (
    BillingModel,
    Plan,
    Template,
    TemplatePhase,
    TemplateRole,
    TemplateStatus,
    TemplateTask,
)
from project_provisioning.domain.terms import SoldLine, SoldMilestone, SoldRole, Terms, Workstream
from project_provisioning.domain.time_entry import EntryColumns, Source
from project_provisioning.domain.time_facts import Facts, Stretch, Worker, WorkTask
from project_provisioning.domain.timesheet import Timesheet, TimesheetStatus
from throughline_core.money import Money


def an_id(suffix: str) -> UUID:
    """Return an id of the deal that all samples tell of, by its last digits."""
    return UUID(f"01980000-0000-7000-8000-{suffix.rjust(12, '0')}")


DE01: Final = an_id("e1")
US01: Final = an_id("e2")
CUSTOMER: Final = an_id("c1")
CONTRACT: Final = an_id("b1")
FIXED_FEE_LINE: Final = an_id("b101")
TIME_LINE: Final = an_id("b102")
RECURRING_LINE: Final = an_id("b103")
PASS_THROUGH_LINE: Final = an_id("b104")
ENGAGEMENT: Final = an_id("f1")
CORRELATION: Final = an_id("f2")
RUN: Final = an_id("101")
PROJECT: Final = an_id("111")
FIXED_FEE_TASK: Final = an_id("1201")
TIME_TASK: Final = an_id("1202")
SUPPORT_TASK: Final = an_id("1203")
KICKOFF: Final = an_id("1301")
TARGET_ARCHITECTURE: Final = an_id("1302")
ADA: Final = an_id("131")

AT: Final = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
MONDAY: Final = date(2026, 9, 7)


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def a_milestone_plan(
    key: str, name: str, share: str, due_on: date, amount: Money | None = None
) -> SoldMilestone:
    return SoldMilestone(key, name, Decimal(share), due_on, amount)


THE_PLAN: Final = (
    a_milestone_plan(
        "kickoff", "Kickoff held and scope agreed", "40", date(2026, 9, 15), eur("9600.00")
    ),
    a_milestone_plan(
        "target_architecture",
        "Target architecture accepted",
        "60",
        date(2026, 11, 30),
        eur("14400.00"),
    ),
)


def a_line(model: BillingModel, **values: Any) -> SoldLine:
    """Return a sold line of this model with nothing on it but a price."""
    line: dict[str, Any] = {
        "contract_line_id": TIME_LINE,
        "quote_line_id": an_id("a102"),
        "position": 1,
        "description": "Work",
        "billing_model": model,
        "template_code": "advisory",
        "quantity": Decimal(1),
        "net_total": eur("1000.00"),
        "milestones": (),
        "roles": (),
        "starts_on": date(2026, 9, 1),
        "ends_on": date(2027, 9, 1),
        "legal_entity_id": DE01,
    }
    return SoldLine(**line | values)


def the_lines() -> tuple[SoldLine, ...]:
    """Return the four lines of the samples' contract."""
    return (
        a_line(
            BillingModel.FIXED_FEE,
            contract_line_id=FIXED_FEE_LINE,
            quote_line_id=an_id("a101"),
            description="Discovery workshop and target architecture",
            template_code="discovery",
            net_total=eur("24000.00"),
            milestones=THE_PLAN,
            ends_on=date(2026, 12, 1),
        ),
        a_line(
            BillingModel.TIME_AND_MATERIALS,
            position=2,
            description="Delivery by time and materials",
            quantity=Decimal(400),
            net_total=eur("58400.00"),
            roles=(
                SoldRole("senior_consultant", Decimal(120)),
                SoldRole("consultant", Decimal(200)),
                SoldRole("analyst", Decimal(80)),
            ),
        ),
        a_line(
            BillingModel.RECURRING,
            contract_line_id=RECURRING_LINE,
            quote_line_id=an_id("a103"),
            position=3,
            description="Managed support, monthly",
            template_code="managed_service",
            quantity=Decimal(12),
            net_total=eur("30000.00"),
        ),
        a_line(
            BillingModel.PASS_THROUGH,
            contract_line_id=PASS_THROUGH_LINE,
            quote_line_id=an_id("a104"),
            position=4,
            description="Travel and other expenses at cost plus 5 %",
            template_code="pass_through",
            net_total=eur("4000.00"),
        ),
    )


def the_terms(**values: Any) -> Terms:
    """Return the samples' contract, as far as delivery needs it."""
    terms: dict[str, Any] = {
        "contract_id": CONTRACT,
        "contract_version": 1,
        "contract_number": "CT-000017",
        "engagement_id": ENGAGEMENT,
        "correlation_id": CORRELATION,
        "customer_id": CUSTOMER,
        "bill_to_customer_id": CUSTOMER,
        "legal_entity_id": DE01,
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "starts_on": date(2026, 9, 1),
        "ends_on": date(2027, 9, 1),
        "lines": the_lines(),
    }
    return Terms(**terms | values)


def a_template(
    code: str,
    model: BillingModel,
    *,
    phases: Sequence[TemplatePhase] = (),
    roles: Sequence[TemplateRole] = (),
    **values: Any,
) -> Template:
    """Return a first version, published, that plans these phases and roles."""
    template: dict[str, Any] = {
        "code": code,
        "version": 1,
        "name": code.capitalize(),
        "billing_models": (model,),
        "plan": Plan(tuple(phases), tuple(roles)),
        "variants": (),
        "status": TemplateStatus.PUBLISHED,
        "proposed_at": AT,
        "proposed_by": "user:peter.pmo",
        "decided_at": AT,
        "decided_by": "user:paula.pmo",
    }
    return Template(**template | values)


def a_phase(name: str, *tasks: tuple[str, str, bool]) -> TemplatePhase:
    return TemplatePhase(name, tuple(TemplateTask(*task) for task in tasks))


def the_templates() -> Mapping[str, Template]:
    """Return the templates of the samples' contract by code."""
    templates = (
        a_template(
            "discovery",
            BillingModel.FIXED_FEE,
            phases=(a_phase("Discovery", ("workshops", "Discovery workshops", False)),),
        ),
        a_template(
            "advisory",
            BillingModel.TIME_AND_MATERIALS,
            phases=(a_phase("Delivery", ("advisory", "Advisory work", True)),),
            roles=(TemplateRole("consultant", None, Decimal(100)),),
        ),
        a_template(
            "managed_service",
            BillingModel.RECURRING,
            phases=(a_phase("Support", ("support", "Managed support", True)),),
        ),
        a_template("pass_through", BillingModel.PASS_THROUGH),
    )
    return {template.code: template for template in templates}


def a_run(state: RunState = RunState.VALIDATING, **values: Any) -> Run:
    """Return the samples' run, pinned to the templates' first versions."""
    run: dict[str, Any] = {
        "run_id": RUN,
        "version": 2,
        "kind": RunKind.DELIVERY,
        "state": state,
        "terms": the_terms(),
        "change_order_id": None,
        "pins": dict.fromkeys(the_templates(), 1),
        "checks": (),
        "attempts": 0,
        "project_ids": (),
        "received_at": AT,
        "changed_at": AT,
        "cancellation_reason": "",
    }
    return Run(**run | values)


def planned(
    *lines: SoldLine, templates: Mapping[str, Template] | None = None, **values: Any
) -> list[Project]:
    """Return the projects of the samples' contract, or of one with these lines."""
    terms = the_terms(**({"lines": lines} if lines else {}) | values)
    numbers = (f"P-{number:06d}" for number in count(31))
    changes = plan_projects(terms, templates or the_templates(), run_id=RUN, numbers=numbers, at=AT)
    return [change.state for change in changes]


def the_milestone(status: MilestoneStatus = MilestoneStatus.PLANNED, **values: Any) -> Milestone:
    """Return the samples' kickoff milestone."""
    milestone: dict[str, Any] = {
        "milestone_id": KICKOFF,
        "version": 1,
        "project_id": PROJECT,
        "contract_id": CONTRACT,
        "contract_line_id": FIXED_FEE_LINE,
        "quote_line_id": an_id("a101"),
        "engagement_id": ENGAGEMENT,
        "correlation_id": CORRELATION,
        "legal_entity_id": DE01,
        "position": 1,
        "key": "kickoff",
        "name": "Kickoff held and scope agreed",
        "amount": eur("9600.00"),
        "status": status,
        "due_on": date(2026, 9, 15),
    }
    return Milestone(**milestone | values)


def ada(**values: Any) -> Person:
    """Return the samples' person."""
    person: dict[str, Any] = {
        "person_id": ADA,
        "version": 1,
        "name": "Ada Brandt",
        "legal_entity_id": DE01,
        "role": "senior_consultant",
        "level": "senior",
        "region": "DE",
        "employed_from": date(2024, 1, 1),
        "subject": "user:ada.brandt",
    }
    return Person(**person | values)


def a_sheet(status: TimesheetStatus = TimesheetStatus.DRAFT, **values: Any) -> Timesheet:
    """Return Ada's sheet of the week of the samples."""
    sheet: dict[str, Any] = {
        "timesheet_id": an_id("141"),
        "version": 1,
        "person_id": ADA,
        "person_subject": "user:ada.brandt",
        "legal_entity_id": DE01,
        "week_start": MONDAY,
        "status": status,
    }
    return Timesheet(**sheet | values)


def a_stretch(**values: Any) -> Stretch:
    """Return Ada's employment as the rules of recording time see it."""
    stretch: dict[str, Any] = {
        "legal_entity_id": str(DE01),
        "valid_from": date(2024, 1, 1),
        "valid_to": None,
        "role": "senior_consultant",
        "level": "senior",
        "region": "DE",
    }
    return Stretch(**stretch | values)


def a_worker(day_minutes: Mapping[date, int] | None = None, **values: Any) -> Worker:
    """Return Ada as the rules of recording time see her."""
    worker: dict[str, Any] = {
        "person_id": str(ADA),
        "name": "Ada Brandt",
        "subject": "user:ada.brandt",
        "stretches": (a_stretch(),),
        "day_minutes": day_minutes or {},
    }
    return Worker(**worker | values)


def a_work_task(**values: Any) -> WorkTask:
    """Return the samples' billable task as the rules of recording time see it."""
    task: dict[str, Any] = {
        "task_id": str(TIME_TASK),
        "project_id": str(PROJECT),
        "contract_id": str(CONTRACT),
        "contract_line_id": str(TIME_LINE),
        "engagement_id": str(ENGAGEMENT),
        "billable": True,
        "closed": False,
    }
    return WorkTask(**task | values)


def facts(
    *,
    workers: Sequence[Worker] = (),
    tasks: Sequence[WorkTask] = (),
    **values: Any,
) -> Facts:
    """Return what is known: Ada and the billable task, unless told otherwise."""
    people = workers or (a_worker(),)
    work = tasks or (a_work_task(),)
    known: dict[str, Any] = {
        "workers": {worker.person_id: worker for worker in people},
        "tasks": {task.task_id: task for task in work},
        "recorded": {},
        "own_subject": None,
    }
    return Facts(**known | values)


def a_row(**values: Any) -> dict[str, Any]:
    """Return one entry as it was sent: eight hours of Ada on the Monday."""
    row: dict[str, Any] = {
        "entry_id": str(an_id("151")),
        "person_id": str(ADA),
        "task_id": str(TIME_TASK),
        "work_date": MONDAY.isoformat(),
        "minutes": 480,
        "role": None,
        "level": None,
        "region": None,
        "billable": None,
        "note": "Architecture workshop",
        "source": None,
        "activity": "",
        "allow_duplicate": False,
    }
    return row | values


def columns(*rows: Mapping[str, Any]) -> EntryColumns:
    """Return entries column by column."""
    plural = {
        "entry_id": "entry_ids",
        "person_id": "person_ids",
        "task_id": "task_ids",
        "work_date": "work_dates",
        "minutes": "minutes",
        "role": "roles",
        "level": "levels",
        "region": "regions",
        "billable": "billables",
        "note": "notes",
        "source": "sources",
        "activity": "activities",
        "allow_duplicate": "allowed_duplicates",
    }
    return EntryColumns(**{many: [row[one] for row in rows] for one, many in plural.items()})


THE_SOURCE: Final = Source("time-tracker", "entry", "TE-20260907-001")


def an_assignment(**values: Any) -> Assignment:
    """Return Ada's assignment to the samples' project from Monday to Friday, without hours."""
    draft: dict[str, Any] = {
        "assignment_id": an_id("1501"),
        "version": 1,
        "project_id": project_id_of(CONTRACT, Workstream(DE01, "")),
        "task_id": None,
        "person_id": ADA,
        "legal_entity_id": DE01,
        "engagement_id": ENGAGEMENT,
        "correlation_id": CORRELATION,
        "role": "senior_consultant",
        "booking": Booking.HARD,
        "starts_on": MONDAY,
        "ends_on": MONDAY + timedelta(days=5),
        "weeks": (),
    }
    return Assignment(**draft | values)
