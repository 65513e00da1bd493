"""Provisioning runs as messages, and what peers say about the terms they work from."""

from collections.abc import Iterable
from typing import Final

from project_provisioning.domain.check import Check, ErpAccount
from project_provisioning.domain.run import Run, RunEvent, RunKind, RunPaused, RunResumed, RunState
from throughline.connectors.v1 import erp_account_service_pb2 as erp_pb
from throughline.customer_contract.v1 import contract_service_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import EnumMap, write_id, write_instant

STATES: Final = EnumMap(pb.ProvisioningState, RunState)
KINDS: Final = EnumMap(pb.ProvisioningKind, RunKind)
ERP_ACCOUNTS: Final = EnumMap(erp_pb.ErpAccountState, ErpAccount)


def read_checks(checks: Iterable[contract_service_pb2.ReadinessCheck]) -> tuple[Check, ...]:
    """Return what customer-contract says about a contract."""
    return tuple(
        Check(check.code, check.passed, check.owner, check.advice, tuple(check.contract_line_ids))
        for check in checks
    )


def read_erp_account(account: erp_pb.ErpAccount) -> ErpAccount:
    """Return what connectors know of an account; what cannot be read is not known."""
    return ERP_ACCOUNTS.find(account.state) or ErpAccount.UNKNOWN


def write_run(run: Run) -> pb.ProvisioningRun:
    """Return a run with its last checks."""
    blocker = run.blocker
    return pb.ProvisioningRun(
        run_id=write_id(run.run_id),
        version=run.version,
        state=STATES.write(run.state),
        contract_id=write_id(run.terms.contract_id),
        contract_number=run.terms.contract_number,
        engagement_id=write_id(run.terms.engagement_id),
        correlation_id=write_id(run.terms.correlation_id),
        legal_entity_id=write_id(run.terms.legal_entity_id),
        reason=blocker.code if blocker else "",
        owner=blocker.owner if blocker else "",
        advice=blocker.advice if blocker else "",
        checks=write_checks(run.checks),
        templates=run.pinned_templates,
        attempts=run.attempts,
        project_id=write_id(run.project_id) or None,
        received_at=write_instant(run.received_at),
        changed_at=write_instant(run.changed_at),
        cancellation_reason=run.cancellation_reason,
        kind=KINDS.write(run.kind),
        contract_version=run.terms.contract_version,
        change_order_id=write_id(run.change_order_id) or None,
        project_ids=map(write_id, run.project_ids),
        next_check_at=write_instant(run.next_check_at),
        customer_id=write_id(run.terms.customer_id),
    )


def write_checks(checks: Iterable[Check]) -> list[pb.ProvisioningCheck]:
    """Return checks in the order given."""
    return [
        pb.ProvisioningCheck(
            code=check.code,
            passed=check.passed,
            owner=check.owner,
            advice=check.advice,
            contract_line_ids=check.contract_line_ids,
        )
        for check in checks
    ]


def write_event(event: RunEvent) -> Outgoing:
    """Return the event to publish."""
    run = event.run
    message: events_pb.RunPaused | events_pb.RunResumed | events_pb.RunCancelled
    if isinstance(event, RunPaused):
        message = _write_paused(event)
    elif isinstance(event, RunResumed):
        message = _write_resumed(run)
    else:
        message = _write_cancelled(run)
    return Outgoing(message, run.run_id, run.version)


def _write_paused(event: RunPaused) -> events_pb.RunPaused:
    run = event.run
    return events_pb.RunPaused(
        run_id=write_id(run.run_id),
        version=run.version,
        contract_id=write_id(run.terms.contract_id),
        engagement_id=write_id(run.terms.engagement_id),
        correlation_id=write_id(run.terms.correlation_id),
        legal_entity_id=write_id(run.terms.legal_entity_id),
        reason=event.blocker.code,
        owner=event.blocker.owner,
        advice=event.blocker.advice,
        paused_at=write_instant(run.changed_at),
    )


def _write_resumed(run: Run) -> events_pb.RunResumed:
    return events_pb.RunResumed(
        run_id=write_id(run.run_id),
        version=run.version,
        contract_id=write_id(run.terms.contract_id),
        engagement_id=write_id(run.terms.engagement_id),
        correlation_id=write_id(run.terms.correlation_id),
        resumed_at=write_instant(run.changed_at),
    )


def _write_cancelled(run: Run) -> events_pb.RunCancelled:
    return events_pb.RunCancelled(
        run_id=write_id(run.run_id),
        version=run.version,
        contract_id=write_id(run.terms.contract_id),
        engagement_id=write_id(run.terms.engagement_id),
        correlation_id=write_id(run.terms.correlation_id),
        legal_entity_id=write_id(run.terms.legal_entity_id),
        reason=run.cancellation_reason,
        cancelled_at=write_instant(run.changed_at),
    )
