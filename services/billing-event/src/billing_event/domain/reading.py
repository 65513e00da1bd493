"""Readings of meters: what is sent, what is kept of it, and when it is the same again."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

from billing_event.domain.agreement import Agreement
from billing_event.domain.civil_day import BILLABLE_DAYS
from billing_event.domain.recurring import charged_term, is_over
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    LegalEntityId,
    SourceRef,
)
from billing_event.domain.terms import LineTerms
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from throughline_core.ids import derived_id

UsageRecordId = NewType("UsageRecordId", UUID)

QUANTITY_PLACES: Final = 4


class LineNotFound(NotFound):
    """The contract has no line of this id, or none with this meter."""

    code = "usage_record.line_not_found"


class MeterAmbiguous(InvalidArgument):
    """Several lines of the contract have the meter."""

    code = "usage_record.meter_ambiguous"


class NotMetered(FailedPrecondition):
    """The line is not billed by usage, or counts something else."""

    code = "usage_record.not_metered"


class QuantityNegative(InvalidArgument):
    """A meter counts from nothing upwards."""

    code = "usage_record.quantity_negative"


class OutsideTerm(FailedPrecondition):
    """The line is not in force on the day of the reading."""

    code = "usage_record.outside_term"


class RecordDiffers(AlreadyExists):
    """The reading is known with other content, or was withdrawn."""

    code = "usage_record.differs"


class RecordRepeated(InvalidArgument):
    """The request has the same reading twice, with different content."""

    code = "usage_record.repeated"


class NothingToCorrect(NotFound):
    """There is no reading of this source, or of this line and instant."""

    code = "usage_record.nothing_to_correct"


class RecordNotFound(NotFound):
    """No such reading."""

    code = "usage_record.not_found"


class RecordEnded(FailedPrecondition):
    """The reading was replaced or withdrawn before."""

    code = "usage_record.ended"


class RecordStatus(StrEnum):
    """Whether a reading counts."""

    COUNTED = "counted"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading as it was sent: for a line, or for the line of a contract that has the meter."""

    contract_id: ContractId | None
    contract_line_id: ContractLineId | None
    meter: str
    quantity: Decimal
    measured_at: datetime
    unit: str
    source: SourceRef | None
    corrects: bool


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """A reading as it is kept.

    `record_key` is what it is known by when it comes again; `revision` counts its corrections from
    1. `measured_on` is the civil day of `measured_at` in the contract's zone.
    """

    usage_record_id: UsageRecordId
    record_key: str
    revision: int
    contract_id: ContractId
    contract_line_id: ContractLineId
    legal_entity_id: LegalEntityId
    meter: str
    quantity: Decimal
    unit: str
    measured_at: datetime
    measured_on: date
    source: SourceRef | None

    @property
    def content(self) -> tuple[object, ...]:
        """What makes a repetition the same reading."""
        return self.contract_line_id, self.quantity, self.unit, self.measured_at


def line_for(reading: Reading, agreement: Agreement) -> LineTerms:
    """Return the usage line a reading is for.

    Raises:
        LineNotFound, MeterAmbiguous, NotMetered: see there.
    """
    lines = agreement.newest.lines
    if reading.contract_line_id is not None:
        line = lines.get(reading.contract_line_id)
        if line is None:
            raise LineNotFound(
                f"contract {agreement.newest.contract_id} has no line {reading.contract_line_id}",
                field="contract_line_id",
            )
        if line.usage is None or reading.meter not in ("", line.usage.meter):
            raise NotMetered(
                f"line {line.contract_line_id} does not count {reading.meter or 'anything'}",
                field="meter",
                advice="name a line that is billed by usage, and its own meter or none",
            )
        return line
    metered = [line for line in lines.values() if line.usage is not None]
    if reading.meter:
        metered = [line for line in metered if line.usage and line.usage.meter == reading.meter]
    if not metered:
        raise LineNotFound(
            f"contract {agreement.newest.contract_id} has no line that counts"
            f" {reading.meter or 'anything'}",
            field="meter",
            advice="name the meter as the terms of the contract do",
        )
    if len(metered) > 1:
        raise MeterAmbiguous(
            f"{len(metered)} lines of the contract fit the reading",
            field="contract_line_id",
            advice="name the contract line",
        )
    return metered[0]


def record_of(reading: Reading, agreement: Agreement) -> UsageRecord:
    """Return a reading as the first revision of a record, on the line and day it counts for.

    Raises:
        LineNotFound, MeterAmbiguous, NotMetered: see `line_for`.
        QuantityNegative: see there.
        OutsideTerm: the line is not in force on that day.
    """
    if reading.quantity < 0:
        raise QuantityNegative(
            f"the quantity {reading.quantity} is negative",
            field="quantity",
            advice="send what was counted; correct or withdraw a reading that was too much",
        )
    line, newest = line_for(reading, agreement), agreement.newest
    assert line.usage is not None, "only a usage line takes readings"
    day = reading.measured_at.date()
    is_in_force = day in BILLABLE_DAYS
    if is_in_force:
        day = reading.measured_at.astimezone(ZoneInfo(newest.time_zone)).date()
        is_in_force = any(day in term for term in charged_term(agreement, line))
    if not is_in_force or is_over(agreement, day):
        raise OutsideTerm(
            f"line {line.contract_line_id} is not in force on {day}",
            field="measured_at",
            advice="check the instant, or extend the line by a change order",
        )
    key = _key_of(reading, line)
    return UsageRecord(
        _record_id(key, 1),
        key,
        1,
        newest.contract_id,
        line.contract_line_id,
        newest.legal_entity_id,
        line.usage.meter,
        reading.quantity,
        reading.unit,
        reading.measured_at,
        day,
        reading.source,
    )


def _key_of(reading: Reading, line: LineTerms) -> str:
    """Return what a reading is known by: all of its source, or else line and instant."""
    source = reading.source
    if source is None:
        return f"{line.contract_line_id}/{reading.measured_at.isoformat()}"
    # Other systems spell their ids as they like; a separator of units is in none of them.
    return "\x1f".join((source.system, source.object_type, source.object_id))


def _record_id(record_key: str, revision: int) -> UsageRecordId:
    return UsageRecordId(derived_id("usage_record", record_key, revision))


@dataclass(frozen=True, slots=True)
class Known:
    """The latest revision of a reading, and whether it counts; `earlier` ones had its place."""

    record: UsageRecord
    status: RecordStatus
    earlier: tuple[UsageRecord, ...] = ()

    def same_as(self, record: UsageRecord) -> UsageRecord | None:
        """Return the revision that a reading repeats, None where it says something else.

        What a correction took the place of is known as well: a file sent again must not undo what
        came after it. Only once nothing counts any more may it come back, as a correction.
        """
        if self.status is not RecordStatus.COUNTED:
            return None
        revisions = (self.record, *self.earlier)
        return next((each for each in revisions if each.content == record.content), None)


def decide(
    record: UsageRecord, corrects: bool, known: Known | None, fresh: UsageRecord | None
) -> UsageRecord | None:
    """Return the revision to add; None where the reading is known as it is.

    `known` is what was kept before, `fresh` what the same request adds under the key.

    Raises:
        RecordRepeated, RecordDiffers, NothingToCorrect: see there.
    """
    if fresh is not None:
        if fresh.content == record.content:
            return None
        raise RecordRepeated(
            "the request has this reading twice, with different content",
            field="quantity",
            advice="send the right one only; two readings of one instant need a source each",
        )
    if known is None:
        if corrects:
            raise NothingToCorrect(
                "there is no reading of this source, or of this line and instant",
                field="corrects",
                advice="send it without `corrects`",
            )
        return record
    if known.same_as(record) is not None:
        return None
    if not corrects:
        is_counted = known.status is RecordStatus.COUNTED
        state = "known with other content" if is_counted else f"{known.status} already"
        raise RecordDiffers(
            f"the reading is {state}",
            field="quantity",
            advice="send it with `corrects`, if it shall take the place of the one before",
        )
    revision = known.record.revision + 1
    return replace(
        record, usage_record_id=_record_id(record.record_key, revision), revision=revision
    )
