"""Leave as messages."""

from typing import Final

from project_provisioning.domain.leave import Leave, LeaveKind, LeaveStatus
from project_provisioning.domain.time_entry import Source
from throughline.common.v1 import source_pb2
from throughline.project_provisioning.v1 import calendar_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant

KINDS: Final = EnumMap(pb.LeaveKind, LeaveKind)
STATUSES: Final = EnumMap(pb.LeaveStatus, LeaveStatus)


def read_source(source: source_pb2.SourceRef) -> Source:
    """Return where a record came from."""
    return Source(source.system, source.object_type, source.object_id)


def write_leave(leave: Leave) -> pb.Leave:
    """Return a leave."""
    return pb.Leave(
        leave_id=write_id(leave.leave_id),
        version=leave.version,
        person_id=write_id(leave.person_id),
        legal_entity_id=write_id(leave.legal_entity_id),
        kind=KINDS.write(leave.kind),
        starts_on=write_date(leave.starts_on),
        ends_on=write_date(leave.ends_on),
        half_days=leave.half_days,
        status=STATUSES.write(leave.status),
        requested_by=leave.requested_by,
        decided_by=leave.decided_by,
        decided_at=write_instant(leave.decided_at),
        decision_reason=leave.decision_reason,
        source=source_pb2.SourceRef(**leave.source._asdict()) if leave.source else None,
    )
