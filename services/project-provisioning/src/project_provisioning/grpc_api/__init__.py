"""The servicers, one module for each: read fields, run the command once, write the reply."""

from collections.abc import Sequence

from project_provisioning.grpc_api.expense import ExpenseServicer
from project_provisioning.grpc_api.milestone import MilestoneServicer
from project_provisioning.grpc_api.person import PersonServicer
from project_provisioning.grpc_api.project import ProjectServicer
from project_provisioning.grpc_api.provisioning import ProvisioningServicer
from project_provisioning.grpc_api.template import TemplateServicer
from project_provisioning.grpc_api.time import TimeServicer
from throughline.project_provisioning.v1.expense_service_pb2_grpc import (
    add_ExpenseServiceServicer_to_server,
)
from throughline.project_provisioning.v1.milestone_service_pb2_grpc import (
    add_MilestoneServiceServicer_to_server,
)
from throughline.project_provisioning.v1.person_service_pb2_grpc import (
    add_PersonServiceServicer_to_server,
)
from throughline.project_provisioning.v1.project_service_pb2_grpc import (
    add_ProjectServiceServicer_to_server,
)
from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
    add_ProvisioningServiceServicer_to_server,
)
from throughline.project_provisioning.v1.template_service_pb2_grpc import (
    add_TemplateServiceServicer_to_server,
)
from throughline.project_provisioning.v1.time_service_pb2_grpc import (
    add_TimeServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.rpc.server import Mount


def servicers(context: Context) -> Sequence[Mount]:
    """Return what this service mounts."""
    return (
        (add_TemplateServiceServicer_to_server, TemplateServicer(context)),
        (add_ProvisioningServiceServicer_to_server, ProvisioningServicer(context)),
        (add_ProjectServiceServicer_to_server, ProjectServicer(context)),
        (add_PersonServiceServicer_to_server, PersonServicer(context)),
        (add_TimeServiceServicer_to_server, TimeServicer(context)),
        (add_ExpenseServiceServicer_to_server, ExpenseServicer(context)),
        (add_MilestoneServiceServicer_to_server, MilestoneServicer(context)),
    )
