"""Hand-overs and what projects followed, as messages."""

from typing import Any, Final

from sqlalchemy import Row

from project_provisioning.domain.following import ChangeKind
from project_provisioning.domain.handover import Handover, HandoverStatus
from throughline.project_provisioning.v1 import project_change_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant

STATUSES: Final = EnumMap(pb.HandoverStatus, HandoverStatus)
KINDS: Final = EnumMap(pb.ProjectChangeKind, ChangeKind)


def write_handover(handover: Handover, *, remaining: int) -> pb.ManagerHandover:
    """Return a hand-over; `remaining` projects have still to follow."""
    wish, pending = handover.wish, handover.pending
    return pb.ManagerHandover(
        handover_id=write_id(handover.handover_id) or None,
        status=STATUSES.write(handover.status),
        from_person_id=write_id(wish.from_person_id),
        to_person_id=write_id(wish.to_person_id),
        legal_entity_id=write_id(wish.legal_entity_id) or None,
        customer_id=write_id(wish.customer_id) or None,
        project_ids=map(write_id, wish.project_ids),
        effective_on=write_date(wish.effective_on),
        reason=wish.reason,
        moved_projects=handover.moved_projects,
        remaining_projects=remaining,
        pending=pb.PendingDecisions(
            timesheets=pending.timesheets,
            own_timesheets=pending.own_timesheets,
            expense_reports=pending.expense_reports,
            milestones=pending.milestones,
        ),
        requested_by=handover.requested_by,
        requested_at=write_instant(handover.requested_at),
        finished_at=write_instant(handover.finished_at),
    )


def write_change(row: Row[Any]) -> pb.ProjectChange:
    """Return what a project followed at once, from its row."""
    return pb.ProjectChange(
        project_change_id=write_id(row.project_change_id),
        project_id=write_id(row.project_id),
        project_version=row.project_version,
        kind=KINDS.write(ChangeKind(row.kind)),
        subject_id=write_id(row.subject_id) or None,
        subject_version=row.subject_version,
        facts=[pb.FactChange(**fact) for fact in row.facts],
        reason=row.reason,
        changed_by=row.changed_by,
        changed_at=write_instant(row.changed_at),
        handover_id=write_id(row.handover_id) or None,
    )
