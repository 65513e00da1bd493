"""The servicers, one module for each: read fields, run the command once, write the reply."""

from collections.abc import Sequence

from project_provisioning.grpc_api.assignment import AssignmentServicer
from project_provisioning.grpc_api.baseline import BaselineServicer
from project_provisioning.grpc_api.calendar import CalendarServicer
from project_provisioning.grpc_api.correction import CorrectionServicer
from project_provisioning.grpc_api.cost import CostServicer
from project_provisioning.grpc_api.delegation import DelegationServicer
from project_provisioning.grpc_api.exchange_rate import ExchangeRateServicer
from project_provisioning.grpc_api.expense import ExpenseServicer
from project_provisioning.grpc_api.expense_intake import ExpenseIntakeServicer
from project_provisioning.grpc_api.expense_policy import ExpensePolicyServicer
from project_provisioning.grpc_api.leave import LeaveServicer
from project_provisioning.grpc_api.lock import LockServicer
from project_provisioning.grpc_api.milestone import MilestoneServicer
from project_provisioning.grpc_api.person import PersonServicer
from project_provisioning.grpc_api.plan import PlanServicer
from project_provisioning.grpc_api.project import ProjectServicer
from project_provisioning.grpc_api.project_change import ProjectChangeServicer
from project_provisioning.grpc_api.provisioning import ProvisioningServicer
from project_provisioning.grpc_api.reimbursement import ReimbursementServicer
from project_provisioning.grpc_api.skill import SkillServicer
from project_provisioning.grpc_api.template import TemplateServicer
from project_provisioning.grpc_api.time import TimeServicer
from project_provisioning.grpc_api.time_rule import TimeRuleServicer
from project_provisioning.grpc_api.timesheet import TimesheetServicer
from project_provisioning.grpc_api.workforce import WorkforceServicer
from throughline.project_provisioning.v1.assignment_service_pb2_grpc import (
    add_AssignmentServiceServicer_to_server,
)
from throughline.project_provisioning.v1.baseline_service_pb2_grpc import (
    add_BaselineServiceServicer_to_server,
)
from throughline.project_provisioning.v1.calendar_service_pb2_grpc import (
    add_CalendarServiceServicer_to_server,
    add_LeaveServiceServicer_to_server,
)
from throughline.project_provisioning.v1.correction_service_pb2_grpc import (
    add_TimeCorrectionServiceServicer_to_server,
)
from throughline.project_provisioning.v1.cost_service_pb2_grpc import (
    add_CostServiceServicer_to_server,
)
from throughline.project_provisioning.v1.delegation_service_pb2_grpc import (
    add_DelegationServiceServicer_to_server,
)
from throughline.project_provisioning.v1.exchange_rate_service_pb2_grpc import (
    add_ExchangeRateServiceServicer_to_server,
)
from throughline.project_provisioning.v1.expense_intake_service_pb2_grpc import (
    add_ExpenseIntakeServiceServicer_to_server,
)
from throughline.project_provisioning.v1.expense_policy_service_pb2_grpc import (
    add_ExpensePolicyServiceServicer_to_server,
)
from throughline.project_provisioning.v1.expense_service_pb2_grpc import (
    add_ExpenseServiceServicer_to_server,
)
from throughline.project_provisioning.v1.lock_service_pb2_grpc import (
    add_LockServiceServicer_to_server,
)
from throughline.project_provisioning.v1.milestone_service_pb2_grpc import (
    add_MilestoneServiceServicer_to_server,
)
from throughline.project_provisioning.v1.person_service_pb2_grpc import (
    add_PersonServiceServicer_to_server,
)
from throughline.project_provisioning.v1.plan_service_pb2_grpc import (
    add_PlanServiceServicer_to_server,
)
from throughline.project_provisioning.v1.project_change_service_pb2_grpc import (
    add_ProjectChangeServiceServicer_to_server,
)
from throughline.project_provisioning.v1.project_service_pb2_grpc import (
    add_ProjectServiceServicer_to_server,
)
from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
    add_ProvisioningServiceServicer_to_server,
)
from throughline.project_provisioning.v1.reimbursement_service_pb2_grpc import (
    add_ReimbursementServiceServicer_to_server,
)
from throughline.project_provisioning.v1.skill_service_pb2_grpc import (
    add_SkillServiceServicer_to_server,
)
from throughline.project_provisioning.v1.template_service_pb2_grpc import (
    add_TemplateServiceServicer_to_server,
)
from throughline.project_provisioning.v1.time_rule_service_pb2_grpc import (
    add_TimeRuleServiceServicer_to_server,
)
from throughline.project_provisioning.v1.time_service_pb2_grpc import (
    add_TimeServiceServicer_to_server,
)
from throughline.project_provisioning.v1.timesheet_service_pb2_grpc import (
    add_TimesheetServiceServicer_to_server,
)
from throughline.project_provisioning.v1.workforce_service_pb2_grpc import (
    add_WorkforceServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.rpc.server import Mount


def servicers(context: Context) -> Sequence[Mount]:
    """Return what this service mounts."""
    return (
        (add_TemplateServiceServicer_to_server, TemplateServicer(context)),
        (add_ProvisioningServiceServicer_to_server, ProvisioningServicer(context)),
        (add_ProjectServiceServicer_to_server, ProjectServicer(context)),
        (add_ProjectChangeServiceServicer_to_server, ProjectChangeServicer(context)),
        (add_PersonServiceServicer_to_server, PersonServicer(context)),
        (add_WorkforceServiceServicer_to_server, WorkforceServicer(context)),
        (add_CalendarServiceServicer_to_server, CalendarServicer(context)),
        (add_CostServiceServicer_to_server, CostServicer(context)),
        (add_ExchangeRateServiceServicer_to_server, ExchangeRateServicer(context)),
        (add_ExpenseIntakeServiceServicer_to_server, ExpenseIntakeServicer(context)),
        (add_ExpensePolicyServiceServicer_to_server, ExpensePolicyServicer(context)),
        (add_LeaveServiceServicer_to_server, LeaveServicer(context)),
        (add_LockServiceServicer_to_server, LockServicer(context)),
        (add_ReimbursementServiceServicer_to_server, ReimbursementServicer(context)),
        (add_SkillServiceServicer_to_server, SkillServicer(context)),
        (add_TimeRuleServiceServicer_to_server, TimeRuleServicer(context)),
        (add_TimeServiceServicer_to_server, TimeServicer(context)),
        (add_TimesheetServiceServicer_to_server, TimesheetServicer(context)),
        (add_TimeCorrectionServiceServicer_to_server, CorrectionServicer(context)),
        (add_DelegationServiceServicer_to_server, DelegationServicer(context)),
        (add_ExpenseServiceServicer_to_server, ExpenseServicer(context)),
        (add_MilestoneServiceServicer_to_server, MilestoneServicer(context)),
        (add_PlanServiceServicer_to_server, PlanServicer(context)),
        (add_BaselineServiceServicer_to_server, BaselineServicer(context)),
        (add_AssignmentServiceServicer_to_server, AssignmentServicer(context)),
    )
