"""Lock dates as messages."""

from typing import Any

from project_provisioning.domain.lock import PeriodLock
from throughline.project_provisioning.v1 import lock_service_pb2 as pb
from throughline_runtime.fields import write_date, write_id, write_instant


def write_lock(lock: PeriodLock) -> pb.LockDate:
    """Return a company's lock date."""
    return pb.LockDate(
        legal_entity_id=write_id(lock.legal_entity_id),
        version=lock.version,
        open_from=write_date(lock.open_from),
        changed_by=lock.changed_by,
        changed_at=write_instant(lock.changed_at),
    )


def write_change(row: Any) -> pb.LockChange:
    """Return a move of a lock date from its row."""
    return pb.LockChange(
        legal_entity_id=write_id(row.legal_entity_id),
        version=row.version,
        open_from=write_date(row.open_from),
        reopened=row.reopened,
        reason=row.reason,
        changed_by=row.changed_by,
        changed_at=write_instant(row.changed_at),
    )
