"""Calling for approval of what waits too long, and for weeks that nobody handed in."""

from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands.timesheet import MISSING, OVERDUE, missing_id
from project_provisioning.domain.person import Sight
from project_provisioning.domain.timesheet import REMINDER_DAYS_DEFAULT, week_start_of
from project_provisioning.queries import timesheet as queries
from throughline_runtime import exceptions
from throughline_runtime.exceptions import Halt
from throughline_runtime.page import Page

MISSING_WEEKS: Final = timedelta(weeks=8)
_CALLS_MAX: Final = 500
_EVERYTHING: Final = Sight(entities=None, own_subject=None)

# What is in the queue already keeps its place there untouched.
_OVERDUE: Final = text("""
    SELECT sheet.timesheet_id, sheet.legal_entity_id, sheet.week_start, sheet.submitted_at,
           coalesce(policy.approver, 'pmo') AS approver
    FROM timesheet AS sheet LEFT JOIN time_approval_policy AS policy USING (legal_entity_id)
    WHERE sheet.status = 'submitted'
      AND sheet.submitted_at <= CAST(:at AS timestamptz)
          - make_interval(days => coalesce(policy.reminder_days, :reminder_days))
      AND NOT EXISTS (
          SELECT FROM exception_item AS item
          WHERE item.kind = :kind AND item.subject_id = sheet.timesheet_id
            AND item.closed_at IS NULL
      )
    ORDER BY sheet.submitted_at LIMIT :size
""")

_CALLED_FOR: Final = text("""
    SELECT subject_id FROM exception_item WHERE kind = :kind AND closed_at IS NULL
""")


async def call_for_approval(tx: AsyncConnection, *, at: datetime) -> int:
    """Put sheets that wait longer than their policy allows into the queue; return how many."""
    values = {
        "at": at,
        "reminder_days": REMINDER_DAYS_DEFAULT,
        "kind": OVERDUE,
        "size": _CALLS_MAX,
    }
    rows = (await tx.execute(_OVERDUE, values)).all()
    await exceptions.open_all(tx, map(_overdue, rows))
    return len(rows)


async def call_for_weeks(tx: AsyncConnection, *, today: date) -> int:
    """Put ended weeks nobody handed in into the queue, take out those that are; return how many.

    Of the last eight weeks, the oldest first, up to `_CALLS_MAX`.
    """
    this_week = week_start_of(today)
    rows, token = await queries.missing(
        tx,
        legal_entity_id=None,
        person_id=None,
        week_from=this_week - MISSING_WEEKS,
        week_before=this_week,
        sight=_EVERYTHING,
        page=Page(_CALLS_MAX, None),
    )
    called = set((await tx.execute(_CALLED_FOR, {"kind": MISSING})).scalars())
    missing = {missing_id(row.person_id, row.week_start): row for row in rows}
    fresh = [row for key, row in missing.items() if key not in called]
    await exceptions.open_all(tx, map(_missing, fresh))
    if not token:
        await exceptions.close(tx, MISSING, called - missing.keys())
    return len(fresh)


def _overdue(row: Row[Any]) -> Halt:
    return Halt(
        kind=OVERDUE,
        subject_id=row.timesheet_id,
        reason=OVERDUE,
        owner="pmo",
        advice="approve or reject the timesheet, or have who approves it delegate that",
        legal_entity_id=row.legal_entity_id,
        detail={
            "week_start": row.week_start.isoformat(),
            "submitted_at": row.submitted_at.isoformat(),
            "approver": row.approver,
        },
    )


def _missing(row: Row[Any]) -> Halt:
    return Halt(
        kind=MISSING,
        subject_id=missing_id(row.person_id, row.week_start),
        reason=MISSING,
        owner="pmo",
        advice="ask the person to record and submit the week, or correct the assignment",
        legal_entity_id=row.legal_entity_id,
        detail={
            "person_id": str(row.person_id),
            "week_start": row.week_start.isoformat(),
            "assigned_hours": str(row.assigned_hours),
        },
    )
