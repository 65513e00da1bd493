"""Callers and calls that tests of people, their costs and their expenses repeat."""

from typing import TYPE_CHECKING, Any, Final

from project_provisioning_world import ADA_SIGNED_IN, PMO, World, a_key

from throughline.common.v1.money_pb2 import Money
from throughline.project_provisioning.v1 import (
    cost_service_pb2 as cost_pb,
)
from throughline.project_provisioning.v1 import (
    exchange_rate_service_pb2 as rate_pb,
)
from throughline.project_provisioning.v1 import (
    expense_policy_service_pb2 as policy_pb,
)
from throughline.project_provisioning.v1 import (
    expense_service_pb2 as expense_pb,
)
from throughline.project_provisioning.v1 import (
    lock_service_pb2 as lock_pb,
)
from throughline.project_provisioning.v1 import (
    project_pb2,
)
from throughline.project_provisioning.v1 import (
    time_rule_service_pb2 as rule_pb,
)
from throughline.project_provisioning.v1 import (
    workforce_service_pb2 as workforce_pb,
)
from throughline.project_provisioning.v1.calendar_service_pb2_grpc import (
    CalendarServiceStub,
    LeaveServiceStub,
)
from throughline.project_provisioning.v1.cost_service_pb2_grpc import CostServiceStub
from throughline.project_provisioning.v1.exchange_rate_service_pb2_grpc import (
    ExchangeRateServiceStub,
)
from throughline.project_provisioning.v1.expense_intake_service_pb2_grpc import (
    ExpenseIntakeServiceStub,
)
from throughline.project_provisioning.v1.expense_policy_service_pb2_grpc import (
    ExpensePolicyServiceStub,
)
from throughline.project_provisioning.v1.lock_service_pb2_grpc import LockServiceStub
from throughline.project_provisioning.v1.reimbursement_service_pb2_grpc import (
    ReimbursementServiceStub,
)
from throughline.project_provisioning.v1.skill_service_pb2_grpc import SkillServiceStub
from throughline.project_provisioning.v1.time_rule_service_pb2_grpc import TimeRuleServiceStub
from throughline.project_provisioning.v1.workforce_service_pb2_grpc import WorkforceServiceStub
from throughline_runtime.identity import Caller
from throughline_testing.serving import a_caller

if TYPE_CHECKING:
    from throughline.project_provisioning.v1.calendar_service_pb2_grpc import (
        CalendarServiceAsyncStub,
        LeaveServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.cost_service_pb2_grpc import CostServiceAsyncStub
    from throughline.project_provisioning.v1.exchange_rate_service_pb2_grpc import (
        ExchangeRateServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.expense_intake_service_pb2_grpc import (
        ExpenseIntakeServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.expense_policy_service_pb2_grpc import (
        ExpensePolicyServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.lock_service_pb2_grpc import LockServiceAsyncStub
    from throughline.project_provisioning.v1.reimbursement_service_pb2_grpc import (
        ReimbursementServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.skill_service_pb2_grpc import SkillServiceAsyncStub
    from throughline.project_provisioning.v1.time_rule_service_pb2_grpc import (
        TimeRuleServiceAsyncStub,
    )
    from throughline.project_provisioning.v1.workforce_service_pb2_grpc import (
        WorkforceServiceAsyncStub,
    )

FINANCE: Final = a_caller("finance", subject="user:fina.finance")
SECOND: Final = a_caller("finance", subject="user:felix.finance")


def eur(amount: str) -> Money:
    return Money(amount=amount, currency="EUR")


class People:
    """The services of people, and what tests do with them again and again."""

    def __init__(self, world: World) -> None:
        self.world = world

    def workforce(self, caller: Caller = PMO) -> "WorkforceServiceAsyncStub":
        return self.world.running.stub(WorkforceServiceStub, caller=caller)

    def skills(self, caller: Caller = PMO) -> "SkillServiceAsyncStub":
        return self.world.running.stub(SkillServiceStub, caller=caller)

    def calendars(self, caller: Caller = PMO) -> "CalendarServiceAsyncStub":
        return self.world.running.stub(CalendarServiceStub, caller=caller)

    def leaves(self, caller: Caller = PMO) -> "LeaveServiceAsyncStub":
        return self.world.running.stub(LeaveServiceStub, caller=caller)

    def time_rules(self, caller: Caller = PMO) -> "TimeRuleServiceAsyncStub":
        return self.world.running.stub(TimeRuleServiceStub, caller=caller)

    def policies(self, caller: Caller = FINANCE) -> "ExpensePolicyServiceAsyncStub":
        return self.world.running.stub(ExpensePolicyServiceStub, caller=caller)

    def costs(self, caller: Caller = FINANCE) -> "CostServiceAsyncStub":
        return self.world.running.stub(CostServiceStub, caller=caller)

    def locks(self, caller: Caller = FINANCE) -> "LockServiceAsyncStub":
        return self.world.running.stub(LockServiceStub, caller=caller)

    def rates(self, caller: Caller = FINANCE) -> "ExchangeRateServiceAsyncStub":
        return self.world.running.stub(ExchangeRateServiceStub, caller=caller)

    def intake(self, caller: Caller = PMO) -> "ExpenseIntakeServiceAsyncStub":
        return self.world.running.stub(ExpenseIntakeServiceStub, caller=caller)

    def reimbursements(self, caller: Caller = FINANCE) -> "ReimbursementServiceAsyncStub":
        return self.world.running.stub(ReimbursementServiceStub, caller=caller)

    async def transfer(
        self, person_id: str, legal_entity_id: str, on: str, caller: Caller = PMO, **terms: Any
    ) -> workforce_pb.TransferPersonResponse:
        """Let another company employ somebody."""
        return await self.workforce(caller).TransferPerson(
            workforce_pb.TransferPersonRequest(
                request_id=a_key(),
                person_id=person_id,
                legal_entity_id=legal_entity_id,
                effective_on=on,
                terms=workforce_pb.EmploymentTerms(**terms),
            )
        )

    async def set_cost(
        self, person_id: str, amount: str, on: str = "2024-01-01", caller: Caller = FINANCE
    ) -> None:
        """Say what an hour of somebody costs."""
        await self.costs(caller).SetPersonCost(
            cost_pb.SetPersonCostRequest(
                request_id=a_key(), person_id=person_id, valid_from=on, hourly_cost=eur(amount)
            )
        )

    async def lock(self, legal_entity_id: object, open_from: str) -> None:
        """Lock what is dated before a day."""
        await self.locks().SetLockDate(
            lock_pb.SetLockDateRequest(
                request_id=a_key(), legal_entity_id=str(legal_entity_id), open_from=open_from
            )
        )

    async def put_rates(self, *rates: tuple[str, str, str, str]) -> None:
        """Record rates of the European Central Bank: base, quote, day and rate."""
        await self.rates().PutExchangeRates(
            rate_pb.PutExchangeRatesRequest(
                request_id=a_key(),
                rates=[
                    rate_pb.ExchangeRate(
                        base=base, quote=quote, rate_on=day, source="ecb", rate=rate
                    )
                    for base, quote, day, rate in rates
                ],
            )
        )

    async def put_policy(self, **rules: Any) -> str:
        """Let an expense policy hold for the firm, proposed by one and activated by another."""
        proposed = await self.policies().ProposeExpensePolicy(
            policy_pb.ProposeExpensePolicyRequest(
                request_id=a_key(),
                effective_from="2026-01-01",
                rules=policy_pb.ExpenseRules(**rules),
            )
        )
        policy_id = proposed.expense_policy.expense_policy_id
        await self.policies(SECOND).ActivateExpensePolicy(
            policy_pb.ActivateExpensePolicyRequest(request_id=a_key(), expense_policy_id=policy_id)
        )
        return policy_id

    async def a_report(
        self,
        person_id: str,
        *lines: expense_pb.NewExpenseLine,
        caller: Caller = ADA_SIGNED_IN,
    ) -> expense_pb.ExpenseReport:
        """Record a draft."""
        request = expense_pb.CreateExpenseReportRequest(
            request_id=a_key(), person_id=person_id, title="Kickoff", lines=lines
        )
        return (await self.world.expenses(caller).CreateExpenseReport(request)).expense_report

    async def submit(
        self, report: expense_pb.ExpenseReport, caller: Caller = ADA_SIGNED_IN
    ) -> expense_pb.ExpenseReport:
        """Hand a report in."""
        request = expense_pb.SubmitExpenseReportRequest(
            request_id=a_key(), expense_report_id=report.expense_report_id
        )
        return (await self.world.expenses(caller).SubmitExpenseReport(request)).expense_report

    async def approve(
        self, report: expense_pb.ExpenseReport, caller: Caller = PMO
    ) -> expense_pb.ExpenseReport:
        """Approve a report."""
        request = expense_pb.ApproveExpenseReportRequest(
            request_id=a_key(), expense_report_id=report.expense_report_id
        )
        return (await self.world.expenses(caller).ApproveExpenseReport(request)).expense_report


def a_limit(value: int, severity: "rule_pb.RuleSeverity.ValueType") -> rule_pb.RuleLimit:
    return rule_pb.RuleLimit(value=value, severity=severity)


def a_line(project: project_pb2.Project, **values: Any) -> expense_pb.NewExpenseLine:
    """Return a train ride to the kickoff."""
    line: dict[str, Any] = {
        "project_id": project.project_id,
        "incurred_on": "2026-09-08",
        "category": "travel",
        "description": "Train Hamburg to Munich and back",
        "net_amount": eur("200.00"),
        "tax_amount": eur("14.00"),
    }
    return expense_pb.NewExpenseLine(**line | values)
