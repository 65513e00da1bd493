"""Milestones as messages."""

from typing import Final

from project_provisioning.domain.milestone import (
    Milestone,
    MilestoneAccepted,
    MilestoneCompleted,
    MilestoneEvent,
    MilestoneStatus,
)
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import project_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import EnumMap, write_date, write_id, write_money

STATUSES: Final = EnumMap(pb.MilestoneStatus, MilestoneStatus)


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
    )


def write_event(event: MilestoneEvent) -> Outgoing:
    """Return the event to publish."""
    milestone = event.milestone
    engagement_id = write_id(milestone.engagement_id)
    correlation_id = write_id(milestone.correlation_id)
    message: (
        events_pb.MilestoneCompleted | events_pb.MilestoneAccepted | events_pb.MilestoneRejected
    )
    if isinstance(event, MilestoneCompleted):
        message = events_pb.MilestoneCompleted(
            milestone=write_milestone(milestone),
            engagement_id=engagement_id,
            correlation_id=correlation_id,
        )
    elif isinstance(event, MilestoneAccepted):
        message = events_pb.MilestoneAccepted(
            milestone=write_milestone(milestone),
            engagement_id=engagement_id,
            correlation_id=correlation_id,
        )
    else:
        message = events_pb.MilestoneRejected(
            milestone=write_milestone(milestone),
            engagement_id=engagement_id,
            correlation_id=correlation_id,
            reason=event.reason,
        )
    return Outgoing(message, milestone.milestone_id, milestone.version)
