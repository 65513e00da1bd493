"""Milestones as messages."""

from typing import Any, Final

from sqlalchemy import Row

from project_provisioning.domain.milestone import (
    AcceptanceWithdrawn,
    Milestone,
    MilestoneAccepted,
    MilestoneCompleted,
    MilestoneEvent,
    MilestoneStatus,
    StepKind,
)
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import milestone_service_pb2 as service_pb
from throughline.project_provisioning.v1 import project_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant, write_money

STATUSES: Final = EnumMap(pb.MilestoneStatus, MilestoneStatus)
STEP_KINDS: Final = EnumMap(service_pb.MilestoneStepKind, StepKind)


def write_milestone(milestone: Milestone) -> pb.Milestone:
    """Return a milestone."""
    return pb.Milestone(
        milestone_id=write_id(milestone.milestone_id),
        version=milestone.version,
        project_id=write_id(milestone.project_id),
        contract_id=write_id(milestone.contract_id),
        contract_line_id=write_id(milestone.contract_line_id),
        quote_line_id=write_id(milestone.quote_line_id),
        key=milestone.key,
        name=milestone.name,
        amount=write_money(milestone.amount),
        status=STATUSES.write(milestone.status),
        due_on=write_date(milestone.due_on) or None,
        completed_on=write_date(milestone.completed_on) or None,
        accepted_on=write_date(milestone.accepted_on) or None,
        accepted_by=milestone.accepted_by,
        evidence_sha256=milestone.evidence_sha256,
        recorded_by=milestone.recorded_by,
        acceptance_requested_on=write_date(milestone.acceptance_requested_on) or None,
        split_from_milestone_id=write_id(milestone.split_from_milestone_id) or None,
    )


def write_step(row: Row[Any]) -> service_pb.MilestoneStep:
    """Return one thing that happened to a milestone, from its row."""
    return service_pb.MilestoneStep(
        milestone_version=row.milestone_version,
        kind=STEP_KINDS.write(StepKind(row.kind)),
        on=write_date(row.happened_on),
        party=row.party,
        document_sha256=row.document_sha256,
        amount=write_money(Money(row.amount, row.currency)),
        reason=row.reason,
        recorded_by=row.recorded_by,
        recorded_at=write_instant(row.recorded_at),
    )


def write_event(event: MilestoneEvent) -> Outgoing:
    """Return the event to publish."""
    milestone = event.milestone
    return Outgoing(_write_message(event), milestone.milestone_id, milestone.version)


def _write_message(
    event: MilestoneEvent,
) -> (
    events_pb.MilestoneCompleted
    | events_pb.MilestoneAccepted
    | events_pb.MilestoneRejected
    | events_pb.MilestoneAcceptanceWithdrawn
):
    milestone = write_milestone(event.milestone)
    engagement_id = write_id(event.milestone.engagement_id)
    correlation_id = write_id(event.milestone.correlation_id)
    if isinstance(event, MilestoneCompleted):
        return events_pb.MilestoneCompleted(
            milestone=milestone, engagement_id=engagement_id, correlation_id=correlation_id
        )
    if isinstance(event, MilestoneAccepted):
        return events_pb.MilestoneAccepted(
            milestone=milestone,
            engagement_id=engagement_id,
            correlation_id=correlation_id,
            rest=None if event.rest is None else write_milestone(event.rest),
        )
    if isinstance(event, AcceptanceWithdrawn):
        return events_pb.MilestoneAcceptanceWithdrawn(
            milestone=milestone,
            engagement_id=engagement_id,
            correlation_id=correlation_id,
            reason=event.reason,
            rest=None if event.rest is None else write_milestone(event.rest),
        )
    return events_pb.MilestoneRejected(
        milestone=milestone,
        engagement_id=engagement_id,
        correlation_id=correlation_id,
        reason=event.reason,
    )
