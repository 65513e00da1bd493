"""What the methods promise: who may call them, and what this service expects of its peer."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from google.protobuf.descriptor import MethodDescriptor

from project_provisioning.main import SERVICE
from throughline.customer_contract.v1 import contract_service_pb2
from throughline.project_provisioning import v1
from throughline_runtime.rpc.access import access_of

MODULES = tuple(
    import_module(module.name)
    for module in iter_modules(v1.__path__, f"{v1.__name__}.")
    if module.name.endswith("_service_pb2")
)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# The command looks for a delegation.
DELEGABLE = ("ExpenseReport", "Timesheet", "Timesheets", "TimeEntries")
READS = ("Get", "List", "Compare", "Preview")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_says_who_may_call_it(method: MethodDescriptor) -> None:
    verbs = {"read"} if method.name.startswith(READS) else {"write", "approve"}

    assert access_of(method).scope.partition(".")[2] in verbs


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_whatever_changes_something_takes_an_idempotency_key(method: MethodDescriptor) -> None:
    changes = not method.name.startswith(READS)

    assert changes == ("request_id" in method.input_type.fields_by_name)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_auditors_change_nothing(method: MethodDescriptor) -> None:
    if not method.name.startswith(READS):
        assert "ROLE_AUDITOR" not in access_of(method).roles


def test_people_who_only_record_approve_only_what_may_be_delegated_to_them() -> None:
    approvals = [method for method in METHODS if access_of(method).scope.endswith(".approve")]
    open_to_all = {m.name for m in approvals if "ROLE_CONSULTANT" in access_of(m).roles}

    assert approvals
    assert all(name.endswith(DELEGABLE) for name in open_to_all)


def test_customer_contract_answers_services_about_readiness() -> None:
    service = contract_service_pb2.DESCRIPTOR.services_by_name["ContractService"]
    method = service.methods_by_name["CheckReadinessBatch"]

    assert "ROLE_SERVICE" in access_of(method).roles
    assert "contract_ids" in method.input_type.fields_by_name
    check = contract_service_pb2.ReadinessCheck.DESCRIPTOR
    answer = contract_service_pb2.CheckReadinessResponse.DESCRIPTOR
    assert method.output_type.fields_by_name["contracts"].message_type is answer
    assert answer.fields_by_name["checks"].message_type is check
    assert {"code", "passed", "owner", "advice"} <= set(check.fields_by_name)


def test_documents_may_be_larger_than_an_ordinary_message() -> None:
    assert SERVICE.hands_out_documents
