"""Provisioning runs as messages, and the contract and the checks they work from."""

from collections.abc import Iterable
from typing import Final

from project_provisioning.domain.run import (
    Check,
    Run,
    RunEvent,
    RunPaused,
    RunState,
    SoldLine,
    SoldMilestone,
    SoldRole,
    Terms,
)
from project_provisioning.wire.template import BILLING_MODELS
from throughline.customer_contract.v1 import contract_pb2, contract_service_pb2, quote_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_enum,
    read_money,
    read_optional_date,
    read_uuid,
    write_id,
    write_instant,
)

STATES: Final = EnumMap(pb.ProvisioningState, RunState)


def read_terms(contract: contract_pb2.Contract) -> Terms:
    """Return what delivery needs of a contract in force."""
    return Terms(
        contract_id=read_uuid("contract.contract_id", contract.contract_id),
        contract_number=contract.number,
        engagement_id=read_uuid("contract.engagement_id", contract.engagement_id),
        correlation_id=read_uuid("contract.correlation_id", contract.correlation_id),
        customer_id=read_uuid("contract.customer_id", contract.customer_id),
        legal_entity_id=read_uuid("contract.legal_entity_id", contract.legal_entity_id),
        currency=contract.currency,
        time_zone=contract.time_zone,
        starts_on=read_date("contract.start_on", contract.start_on),
        ends_on=read_date("contract.end_on", contract.end_on),
        lines=tuple(map(_read_line, contract.lines)),
    )


def _read_line(line: contract_pb2.ContractLine) -> SoldLine:
    terms = line.terms
    return SoldLine(
        contract_line_id=read_uuid("contract_line_id", line.contract_line_id),
        quote_line_id=read_uuid("terms.quote_line_id", terms.quote_line_id),
        position=terms.position,
        description=terms.description,
        billing_model=read_enum("terms.billing_model", terms.billing_model, BILLING_MODELS),
        template_code=terms.template_code,
        quantity=read_decimal("terms.quantity", terms.quantity, places=4),
        net_total=read_money("terms.net_total", terms.net_total),
        milestones=tuple(map(_read_milestone, terms.milestones)),
        roles=tuple(map(_read_role, terms.rates)),
    )


def _read_milestone(plan: quote_pb2.MilestonePlan) -> SoldMilestone:
    return SoldMilestone(
        key=plan.key,
        name=plan.name,
        share_percent=read_decimal("share_percent", plan.share_percent, places=4),
        due_on=read_optional_date("due_on", plan.due_on),
    )


def _read_role(rate: quote_pb2.LineRate) -> SoldRole:
    return SoldRole(rate.role, read_decimal("planned_hours", rate.planned_hours, places=2))


def read_checks(response: contract_service_pb2.CheckReadinessResponse) -> tuple[Check, ...]:
    """Return what customer-contract says about a contract."""
    return tuple(
        Check(check.code, check.passed, check.owner, check.advice) for check in response.checks
    )


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
        checks=_write_checks(run.checks),
        templates=run.pinned_templates,
        attempts=run.attempts,
        project_id=None if run.project_id is None else str(run.project_id),
        received_at=write_instant(run.received_at),
        changed_at=write_instant(run.changed_at),
        cancellation_reason=run.cancellation_reason,
    )


def _write_checks(checks: Iterable[Check]) -> list[pb.ProvisioningCheck]:
    return [
        pb.ProvisioningCheck(
            code=check.code, passed=check.passed, owner=check.owner, advice=check.advice
        )
        for check in checks
    ]


def write_event(event: RunEvent) -> Outgoing:
    """Return the event to publish."""
    run = event.run
    message = _write_paused(event) if isinstance(event, RunPaused) else _write_resumed(run)
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
