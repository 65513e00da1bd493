"""A running service for tests: its callers, and a customer-contract that says what it is told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from google.protobuf.message import Message
from project_provisioning_builders import DE01, MONDAY, US01
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.consumers import keep_companies, start_runs
from project_provisioning.schedules import advance_runs
from throughline.common.v1 import address_pb2
from throughline.connectors.v1 import erp_account_service_pb2 as erp_pb
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractActivated,
    LegalEntityRecorded,
)
from throughline.customer_contract.v1 import contract_pb2 as contract_resource_pb
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import legal_entity_pb2, quote_pb2, quote_service_pb2
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline.project_provisioning.v1 import (
    document_pb2,
    milestone_service_pb2,
    person_service_pb2,
    project_pb2,
    project_service_pb2,
    provisioning_service_pb2,
    template_service_pb2,
    time_service_pb2,
)
from throughline.project_provisioning.v1.expense_service_pb2_grpc import ExpenseServiceStub
from throughline.project_provisioning.v1.milestone_service_pb2_grpc import MilestoneServiceStub
from throughline.project_provisioning.v1.person_service_pb2_grpc import PersonServiceStub
from throughline.project_provisioning.v1.project_service_pb2_grpc import ProjectServiceStub
from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
    ProvisioningServiceStub,
)
from throughline.project_provisioning.v1.template_service_pb2_grpc import TemplateServiceStub
from throughline.project_provisioning.v1.time_service_pb2_grpc import TimeServiceStub
from throughline_core.errors import NotFound
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.events import subject_of
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.samples import sample
from throughline_testing.serving import Running, a_caller

if TYPE_CHECKING:
    from throughline.project_provisioning.v1.expense_service_pb2_grpc import ExpenseServiceAsyncStub
    from throughline.project_provisioning.v1.milestone_service_pb2_grpc import (
        MilestoneServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.person_service_pb2_grpc import PersonServiceAsyncStub
    from throughline.project_provisioning.v1.project_service_pb2_grpc import ProjectServiceAsyncStub
    from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
        ProvisioningServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.template_service_pb2_grpc import (
        TemplateServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.time_service_pb2_grpc import TimeServiceAsyncStub

Event = TypeVar("Event", bound=Message)

PMO: Final = a_caller("pmo", subject="user:paula.pmo")
PROPOSER: Final = a_caller("pmo", subject="user:peter.pmo")
INTEGRATION: Final = a_caller("integration", subject="client:time-tracker")
ADA_SIGNED_IN: Final = a_caller("consultant", subject="user:ada.brandt")
SIGNED: Final = document_pb2.Document(
    content_type="application/pdf", content=b"%PDF-1.7\nsigned by the client"
)

_TEMPLATES: Final[
    Mapping[str, tuple["quote_pb2.BillingModel.ValueType", Sequence[tuple[str, bool]]]]
] = {
    "discovery": (quote_pb2.BILLING_MODEL_FIXED_FEE, [("workshops", False)]),
    "advisory": (
        quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS,
        [("advisory", True), ("steering", True)],
    ),
    "managed_service": (quote_pb2.BILLING_MODEL_RECURRING, [("support", True)]),
    "pass_through": (quote_pb2.BILLING_MODEL_PASS_THROUGH, []),
}

_numbers: Final = count(1)


def a_key() -> str:
    """Return a fresh idempotency key."""
    return str(uuid4())


def contract_activated(**values: Any) -> ContractActivated:
    """Return the sample, or another contract like it when it is given another id."""
    event = sample(ContractActivated)
    for name, value in values.items():
        setattr(event.contract, name, value)
    return event


def template_request(code: str, **values: Any) -> template_service_pb2.PutTemplateRequest:
    """Return the request that publishes one of the templates of the samples' contract."""
    model, tasks = _TEMPLATES[code]
    phase = template_service_pb2.TemplatePhase(
        name=code.capitalize(),
        tasks=[
            template_service_pb2.TemplateTask(key=key, name=key.capitalize(), billable=billable)
            for key, billable in tasks
        ],
    )
    request: dict[str, Any] = {
        "request_id": a_key(),
        "code": code,
        "name": code.capitalize(),
        "billing_models": [model],
        "phases": [phase] if tasks else [],
    }
    return template_service_pb2.PutTemplateRequest(**request | values)


@dataclass(slots=True)
class Readiness:
    """What customer-contract answers: all is well, unless a test says otherwise."""

    failing: list[contract_pb.ReadinessCheck] = field(default_factory=list)
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def answer(
        self, request: contract_pb.CheckReadinessBatchRequest
    ) -> contract_pb.CheckReadinessBatchResponse:
        self.asked.extend(request.contract_ids)
        if self.error is not None:
            raise self.error
        passed = contract_pb.ReadinessCheck(
            code="customer.credit_hold", passed=True, owner="finance"
        )
        return contract_pb.CheckReadinessBatchResponse(
            contracts=[
                contract_pb.CheckReadinessResponse(
                    contract_id=contract_id,
                    ready=not self.failing,
                    checks=[passed, *self.failing],
                )
                for contract_id in request.contract_ids
            ]
        )

    def fail(self, code: str, owner: str, advice: str, *contract_line_ids: str) -> None:
        """Let one check fail from now on, of these lines, or of the contract as a whole."""
        self.failing.append(
            contract_pb.ReadinessCheck(
                code=code,
                passed=False,
                owner=owner,
                advice=advice,
                contract_line_ids=contract_line_ids,
            )
        )


@dataclass(slots=True)
class ErpAccounts:
    """What connectors answer: no account is required, unless a test says otherwise."""

    state: "erp_pb.ErpAccountState.ValueType" = erp_pb.ERP_ACCOUNT_STATE_NOT_REQUIRED
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def answer(
        self, request: erp_pb.CheckErpAccountsRequest
    ) -> erp_pb.CheckErpAccountsResponse:
        self.asked.extend((key.customer_id, key.legal_entity_id) for key in request.keys)
        accounts = [erp_pb.ErpAccount(state=self.state) for _ in request.keys]
        return erp_pb.CheckErpAccountsResponse(accounts=accounts)


@dataclass(slots=True)
class Deals:
    """What customer-contract holds, for a dry run."""

    contract: contract_resource_pb.Contract | None = None
    quote: quote_pb2.Quote | None = None

    async def get_contract(
        self, request: contract_pb.GetContractRequest
    ) -> contract_pb.GetContractResponse:
        if self.contract is None:
            raise NotFound("no such contract", code="contract.not_found")
        return contract_pb.GetContractResponse(contract=self.contract)

    async def get_quote(
        self, request: quote_service_pb2.GetQuoteRequest
    ) -> quote_service_pb2.GetQuoteResponse:
        if self.quote is None:
            raise NotFound("no such quote", code="quote.not_found")
        return quote_service_pb2.GetQuoteResponse(quote=self.quote)


class World:
    """The service, its callers and what they do, as far as tests repeat it."""

    def __init__(self, running: Running, context: Context) -> None:
        self.running = running
        self.context = context

    def templates(self, caller: Caller = PMO) -> "TemplateServiceAsyncStub":
        return self.running.stub(TemplateServiceStub, caller=caller)

    def runs(self, caller: Caller = PMO) -> "ProvisioningServiceAsyncStub":
        return self.running.stub(ProvisioningServiceStub, caller=caller)

    def projects(self, caller: Caller = PMO) -> "ProjectServiceAsyncStub":
        return self.running.stub(ProjectServiceStub, caller=caller)

    def persons(self, caller: Caller = PMO) -> "PersonServiceAsyncStub":
        return self.running.stub(PersonServiceStub, caller=caller)

    def time(self, caller: Caller = PMO) -> "TimeServiceAsyncStub":
        return self.running.stub(TimeServiceStub, caller=caller)

    def expenses(self, caller: Caller = PMO) -> "ExpenseServiceAsyncStub":
        return self.running.stub(ExpenseServiceStub, caller=caller)

    def milestones(self, caller: Caller = PMO) -> "MilestoneServiceAsyncStub":
        return self.running.stub(MilestoneServiceStub, caller=caller)

    async def put_templates(self, *codes: str) -> None:
        """Publish these templates of the samples' contract, by default all of them."""
        for code in codes or _TEMPLATES:
            await self.publish(template_request(code))

    async def publish(
        self, request: template_service_pb2.PutTemplateRequest
    ) -> template_service_pb2.Template:
        """Propose a version as one person and approve it as another."""
        proposed = (await self.templates(PROPOSER).PutTemplate(request)).template
        approval = template_service_pb2.ApproveTemplateRequest(
            request_id=a_key(), code=proposed.code, version=proposed.version
        )
        return (await self.templates().ApproveTemplate(approval)).template

    async def announce(self, *events: ContractActivated) -> None:
        """Hand events over as the consumer does."""
        await self.consume(start_runs, *events)

    async def consume(
        self,
        function: Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]],
        *events: Event,
    ) -> None:
        """Hand events over to a function that consumes them, in one transaction."""
        with acting_as(Caller.service("project-provisioning")):
            async with write(self.context.engine) as tx:
                await function(tx, events)

    async def advance(self) -> None:
        """Let the scheduled job look once for runs that are due."""
        with acting_as(Caller.service("project-provisioning")):
            await advance_runs(self.context)

    async def the_run(self) -> provisioning_service_pb2.ProvisioningRun:
        """Return the only run."""
        request = provisioning_service_pb2.ListProvisioningRunsRequest()
        [run] = (await self.runs().ListProvisioningRuns(request)).runs
        return run

    async def the_project(self) -> project_pb2.Project:
        """Bring the samples' contract to a project, and return it."""
        await self.put_templates()
        await self.announce(contract_activated())
        await self.advance()
        [project] = (
            await self.projects().ListProjects(project_service_pb2.ListProjectsRequest())
        ).projects
        return project

    async def a_person(self, **values: Any) -> person_service_pb2.Person:
        """Record a person, by default without a sign-in, and know who employs people."""
        await self.know_companies()
        request: dict[str, Any] = {
            "request_id": a_key(),
            "name": f"Person {next(_numbers)}",
            "legal_entity_id": str(DE01),
            "role": "consultant",
            "employed_from": "2024-01-01",
        }
        response = await self.persons().CreatePerson(
            person_service_pb2.CreatePersonRequest(**request | values)
        )
        return response.person

    async def know_companies(self) -> None:
        """Take in what customer-contract says of DE01, and of US01 as far as it differs."""
        german = sample(LegalEntityRecorded)
        american = sample(LegalEntityRecorded)
        american.legal_entity.MergeFrom(
            legal_entity_pb2.LegalEntity(
                legal_entity_id=str(US01),
                code="US01",
                currency="USD",
                time_zone="America/New_York",
                address=address_pb2.PostalAddress(country="US"),
            )
        )
        await self.consume(keep_companies, german, american)

    async def ada(self) -> person_service_pb2.Person:
        """Record the samples' person, who signs in."""
        return await self.a_person(
            name="Ada Brandt",
            role="senior_consultant",
            level="senior",
            region="DE",
            subject="user:ada.brandt",
        )

    async def import_time(
        self,
        rows: Sequence[time_service_pb2.TimeEntryRow],
        *,
        caller: Caller = INTEGRATION,
        **values: Any,
    ) -> time_service_pb2.ImportTimeEntriesResponse:
        """Import rows under a fresh key."""
        request = time_service_pb2.ImportTimeEntriesRequest(
            **{"request_id": a_key(), "rows": rows} | values
        )
        return await self.time(caller).ImportTimeEntries(request)

    async def timesheets(self, **filters: Any) -> Sequence[time_service_pb2.Timesheet]:
        """Return timesheets as PMO sees them."""
        request = time_service_pb2.ListTimesheetsRequest(**filters)
        return (await self.time().ListTimesheets(request)).timesheets

    async def submit(self, timesheet_id: str, caller: Caller = ADA_SIGNED_IN) -> None:
        """Hand a sheet in."""
        await self.time(caller).SubmitTimesheet(
            time_service_pb2.SubmitTimesheetRequest(request_id=a_key(), timesheet_id=timesheet_id)
        )

    async def complete(
        self, milestone_id: str, caller: Caller = PMO, **values: Any
    ) -> project_pb2.Milestone:
        """Say that a milestone is complete."""
        request = milestone_service_pb2.CompleteMilestoneRequest(
            request_id=a_key(), milestone_id=milestone_id, **values
        )
        return (await self.milestones(caller).CompleteMilestone(request)).milestone

    async def accept(self, milestone_id: str, **values: Any) -> project_pb2.Milestone:
        """Record the client's acceptance, today and with a signed document."""
        request: dict[str, Any] = {
            "request_id": a_key(),
            "milestone_id": milestone_id,
            "accepted_by": "Clara Neumann",
            "accepted_on": self.context.clock.today("Europe/Berlin").isoformat(),
            "evidence": SIGNED,
        }
        response = await self.milestones().AcceptMilestone(
            milestone_service_pb2.AcceptMilestoneRequest(**request | values)
        )
        return response.milestone

    async def audited(self, aggregate_id: str) -> list[str]:
        """Return the methods that the audit names for an object, in order."""
        operations = self.running.stub(OperationsServiceStub, caller=a_caller("auditor"))
        reply = await operations.ListAuditEntries(
            operations_pb.ListAuditEntriesRequest(aggregate_id=aggregate_id)
        )
        return [entry.method.rpartition(".")[2] for entry in reversed(reply.entries)]

    async def entry_count(self) -> int:
        """Return how many entries are stored."""
        return int(await self.scalar("SELECT count(*) FROM time_entry"))

    async def scalar(self, query: str) -> Any:
        """Return the one value of a query."""
        async with read(self.context.engine) as tx:
            return await tx.scalar(text(query))

    async def published(self, message_type: type[Event]) -> list[Event]:
        """Return the events of a type that are queued to be published, in order."""
        query = text("SELECT payload FROM outbox WHERE subject = :subject ORDER BY position")
        async with read(self.context.engine) as tx:
            rows = await tx.execute(query, {"subject": subject_of(message_type)})
            return [message_type.FromString(row.payload) for row in rows]


def a_row(
    person_id: str, task_id: str, *, on: date = MONDAY, minutes: int = 480, **values: Any
) -> time_service_pb2.TimeEntryRow:
    """Return a row of an import."""
    return time_service_pb2.TimeEntryRow(
        person_id=person_id, task_id=task_id, work_date=on.isoformat(), minutes=minutes, **values
    )


def task_of(project: project_pb2.Project, name: str) -> str:
    """Return the id of the project's task of this name."""
    return next(task.task_id for task in project.tasks if task.name == name)


class Deal:
    """A project, people on it, and rows of their time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.task = ""
        self.fixed_fee_task = ""
        self.project_id = ""
        self.people: list[str] = []

    async def prepare(self, people: int) -> None:
        """Bring the project about and record this many people, Ada first."""
        project = await self.world.the_project()
        self.project_id = project.project_id
        self.task = task_of(project, "Advisory")
        self.fixed_fee_task = task_of(project, "Workshops")
        self.people = [(await self.world.ada()).person_id]
        self.people += [(await self.world.a_person()).person_id for _ in range(people - 1)]

    def rows(
        self, count: int, *, sources: bool = False, start: int = 0
    ) -> list[time_service_pb2.TimeEntryRow]:
        """Return good rows, spread over people and days."""
        rows = []
        for number in range(start, start + count):
            person = self.people[number % len(self.people)]
            day = MONDAY + timedelta(days=number // len(self.people) % 28)
            row = a_row(person, self.task, on=day, minutes=15, note=f"Work {number}")
            if sources:
                row.source.system = "time-tracker"
                row.source.object_type = "entry"
                row.source.object_id = f"TE-{number}"
            rows.append(row)
        return rows
