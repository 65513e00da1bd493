"""UsageService."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import usage as commands
from billing_event.domain.reading import QUANTITY_PLACES, Reading, UsageRecordId
from billing_event.domain.source import SourceRef
from billing_event.domain.usage import UsagePeriodId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import usage as queries
from throughline.billing_event.v1 import usage_service_pb2 as pb
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceServicer
from throughline.common.v1 import source_pb2
from throughline_core.errors import Refusal
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_decimal,
    read_instant,
    read_optional_date,
    read_optional_enum,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class UsageServicer(UsageServiceServicer):
    """Readings of meters and the periods they are charged by."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ImportUsageRecords(
        self, request: pb.ImportUsageRecordsRequest, context: object
    ) -> pb.ImportUsageRecordsResponse:
        readings = [_read_reading(row) for row in request.rows]
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ImportUsageRecordsResponse:
            done = await commands.import_readings(tx, readings, by=by, at=at)
            return _write_import(done)

        return await once(self._engine, request, pb.ImportUsageRecordsResponse, handle)

    async def WithdrawUsageRecord(
        self, request: pb.WithdrawUsageRecordRequest, context: object
    ) -> pb.WithdrawUsageRecordResponse:
        record_id = UsageRecordId(read_uuid("usage_record_id", request.usage_record_id))
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.WithdrawUsageRecordResponse:
            repriced = await commands.withdraw(tx, record_id, request.reason, by=by, at=at)
            return pb.WithdrawUsageRecordResponse(
                usage_record=await queries.record(tx, record_id), repriced=repriced
            )

        return await once(self._engine, request, pb.WithdrawUsageRecordResponse, handle)

    async def ListUsageRecords(
        self, request: pb.ListUsageRecordsRequest, context: object
    ) -> pb.ListUsageRecordsResponse:
        wanted = queries.RecordFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            meter=request.meter,
            measured_from=read_optional_date("measured_from", request.measured_from),
            measured_to=read_optional_date("measured_to", request.measured_to),
            status=read_optional_enum("status", request.status, queries.RECORD_STATUSES),
            source_system=request.source_system,
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.records(tx, wanted, page)

    async def ListUsagePeriods(
        self, request: pb.ListUsagePeriodsRequest, context: object
    ) -> pb.ListUsagePeriodsResponse:
        wanted = queries.PeriodFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, queries.PERIOD_STATUSES),
            begun_by=read_optional_date("begun_by", request.begun_by),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.periods(tx, wanted, page, at=self._clock.now())

    async def GetUsagePeriod(
        self, request: pb.GetUsagePeriodRequest, context: object
    ) -> pb.GetUsagePeriodResponse:
        period_id = UsagePeriodId(read_uuid("usage_period_id", request.usage_period_id))
        async with database.read(self._engine) as tx:
            return await queries.period(tx, period_id, at=self._clock.now())


def _read_reading(row: pb.UsageReading) -> Reading | Refusal:
    try:
        return Reading(
            contract_id=read_contract_id(row.contract_id),
            contract_line_id=read_line_id(row.contract_line_id),
            meter=row.meter,
            quantity=read_decimal("quantity", row.quantity, places=QUANTITY_PLACES),
            measured_at=read_instant("measured_at", row.measured_at),
            unit=row.unit,
            source=_read_source(row.source) if row.HasField("source") else None,
            corrects=row.corrects,
        )
    except Refusal as refusal:
        return refusal


def _read_source(source: source_pb2.SourceRef) -> SourceRef:
    return SourceRef(source.system, source.object_type, source.object_id)


def _write_import(done: commands.Imported) -> pb.ImportUsageRecordsResponse:
    results = [_write_result(each) for each in done.results]
    return pb.ImportUsageRecordsResponse(
        results=results,
        recorded=_count(results, pb.USAGE_OUTCOME_RECORDED),
        corrected=_count(results, pb.USAGE_OUTCOME_CORRECTED),
        duplicates=_count(results, pb.USAGE_OUTCOME_DUPLICATE),
        refused=_count(results, pb.USAGE_OUTCOME_REFUSED),
        repriced_periods=done.repriced,
    )


def _count(results: Sequence[pb.UsageRowResult], outcome: pb.UsageOutcome.ValueType) -> int:
    return sum(result.outcome == outcome for result in results)


def _write_result(result: commands.RowResult) -> pb.UsageRowResult:
    refusal = result.refusal
    if refusal is not None:
        return pb.UsageRowResult(
            outcome=pb.USAGE_OUTCOME_REFUSED,
            code=refusal.stable_code,
            field=refusal.field or "",
            message=str(refusal),
            advice=refusal.advice or "",
        )
    assert result.record is not None, "what was not refused is kept"
    outcome = pb.USAGE_OUTCOME_DUPLICATE
    if result.is_new:
        is_first = result.record.revision == 1
        outcome = pb.USAGE_OUTCOME_RECORDED if is_first else pb.USAGE_OUTCOME_CORRECTED
    return pb.UsageRowResult(outcome=outcome, usage_record_id=str(result.record.usage_record_id))
