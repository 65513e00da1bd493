"""Timesheets, who approves them, and what is missing, as messages."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from project_provisioning.domain.time_entry import EntryColumns
from project_provisioning.domain.timesheet import (
    Approval,
    ApprovalPolicy,
    LeftOut,
    TimeApprover,
    TimesheetBasis,
    TimesheetStatus,
)
from project_provisioning.wire.time import STATUSES
from throughline.project_provisioning.v1 import time_service_pb2 as pb
from throughline.project_provisioning.v1 import timesheet_service_pb2 as sheet_pb
from throughline_runtime.fields import EnumMap, write_date, write_decimal, write_id, write_instant

APPROVERS: Final = EnumMap(sheet_pb.TimeApprover, TimeApprover)
BASES: Final = EnumMap(sheet_pb.TimesheetBasis, TimesheetBasis)


def write_timesheet(
    row: Row[Any], findings: Iterable[Row[Any]] = (), rejections: Iterable[tuple[UUID, str]] = ()
) -> pb.Timesheet:
    """Return a sheet with the sums of its entries, and what is known besides."""
    return pb.Timesheet(
        timesheet_id=write_id(row.timesheet_id),
        version=row.version,
        person_id=write_id(row.person_id),
        person_name=row.person_name,
        legal_entity_id=write_id(row.legal_entity_id),
        week_start=write_date(row.week_start),
        status=STATUSES.write(TimesheetStatus(row.status)),
        entry_count=row.entry_count,
        minutes=row.minutes,
        billable_minutes=row.billable_minutes,
        submitted_by=row.submitted_by or "",
        submitted_at=write_instant(row.submitted_at),
        decided_by=row.decided_by or "",
        decided_at=write_instant(row.decided_at),
        rejection_reason=row.rejection_reason or "",
        decided_for=row.decided_for or "",
        split_from_timesheet_id=_optional_id(row.split_from_timesheet_id),
        findings=map(_write_finding, findings),
        rejected_entries=[
            pb.RejectedTimeEntry(time_entry_id=str(entry_id), reason=reason)
            for entry_id, reason in rejections
        ],
    )


def _write_finding(row: Row[Any]) -> pb.TimesheetFinding:
    day = None if row.work_date is None else write_date(row.work_date)
    return pb.TimesheetFinding(rule=row.rule, message=row.message, work_date=day)


def write_approval(approval: Approval) -> pb.ApproveTimesheetsResponse:
    """Return what one call approved."""
    return pb.ApproveTimesheetsResponse(
        approved_timesheet_ids=map(str, approval.timesheet_ids),
        entry_count=approval.entry_count,
        minutes=approval.minutes,
        left_out_timesheet_ids=map(str, approval.left_out),
        more=approval.more,
    )


def _optional_id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def write_left_out(sheets: Iterable[LeftOut]) -> list[sheet_pb.LeftOutTimesheet]:
    """Return sheets that were not handed in with the others."""
    return [
        sheet_pb.LeftOutTimesheet(
            timesheet_id=str(each.timesheet_id), code=each.code, message=each.message
        )
        for each in sheets
    ]


def write_policy(policy: ApprovalPolicy) -> sheet_pb.TimeApprovalPolicy:
    """Return who approves time."""
    return sheet_pb.TimeApprovalPolicy(
        legal_entity_id=str(policy.legal_entity_id),
        version=policy.version,
        approver=APPROVERS.write(policy.approver),
        reminder_days=policy.reminder_days,
    )


def write_missing(row: Row[Any]) -> sheet_pb.MissingTimesheet:
    """Return a week nobody handed in."""
    return sheet_pb.MissingTimesheet(
        person_id=str(row.person_id),
        person_name=row.person_name,
        legal_entity_id=str(row.legal_entity_id),
        week_start=write_date(row.week_start),
        assigned_hours=write_decimal(row.assigned_hours),
        recorded_minutes=row.recorded_minutes,
    )


def write_suggestions(columns: EntryColumns) -> Sequence[pb.TimeEntryRow]:
    """Return rows as an import takes them."""
    return [
        pb.TimeEntryRow(
            person_id=person_id,
            task_id=task_id,
            work_date=work_date,
            minutes=minutes,
            billable=billable,
            note=note,
            activity=activity,
        )
        for person_id, task_id, work_date, minutes, billable, note, activity in zip(
            columns.person_ids,
            columns.task_ids,
            columns.work_dates,
            columns.minutes,
            columns.billables,
            columns.notes,
            columns.activities,
            strict=True,
        )
    ]
