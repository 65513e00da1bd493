"""PurchaseService."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import purchase as commands
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.purchase import Bought, PurchaseId
from billing_event.domain.source import ContractId, ContractLineId, SourceRef
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import purchase as queries
from throughline.billing_event.v1 import purchase_service_pb2 as pb
from throughline.billing_event.v1.purchase_service_pb2_grpc import PurchaseServiceServicer
from throughline_core.errors import Refusal
from throughline_core.money import RATE_PLACES
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import read_date, read_money, read_optional_enum, read_uuid
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class PurchaseServicer(PurchaseServiceServicer):
    """What was bought for customers."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ImportPurchases(
        self, request: pb.ImportPurchasesRequest, context: object
    ) -> pb.ImportPurchasesResponse:
        rows = [_read_row(row) for row in request.rows]
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ImportPurchasesResponse:
            results = await commands.import_purchases(tx, rows, by=by, at=at)
            return _write_import([_write_result(each) for each in results])

        return await once(self._engine, request, pb.ImportPurchasesResponse, handle)

    async def ApprovePurchases(
        self, request: pb.ApprovePurchasesRequest, context: object
    ) -> pb.ApprovePurchasesResponse:
        ids = _read_ids(request.purchase_ids)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ApprovePurchasesResponse:
            decided = await commands.decide(tx, ids, ProposalStatus.APPROVED, by=by, at=at)
            return pb.ApprovePurchasesResponse(approved=len(decided))

        return await once(self._engine, request, pb.ApprovePurchasesResponse, handle)

    async def RejectPurchases(
        self, request: pb.RejectPurchasesRequest, context: object
    ) -> pb.RejectPurchasesResponse:
        ids = _read_ids(request.purchase_ids)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectPurchasesResponse:
            decided = await commands.decide(
                tx, ids, ProposalStatus.REJECTED, by=by, at=at, reason=request.reason
            )
            return pb.RejectPurchasesResponse(rejected=len(decided))

        return await once(self._engine, request, pb.RejectPurchasesResponse, handle)

    async def WithdrawPurchase(
        self, request: pb.WithdrawPurchaseRequest, context: object
    ) -> pb.WithdrawPurchaseResponse:
        [purchase_id] = _read_ids([request.purchase_id])
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.WithdrawPurchaseResponse:
            [decided] = await commands.decide(
                tx, [purchase_id], ProposalStatus.WITHDRAWN, by=by, at=at
            )
            return pb.WithdrawPurchaseResponse(purchase=queries.write_purchase(decided))

        return await once(self._engine, request, pb.WithdrawPurchaseResponse, handle)

    async def GetPurchase(
        self, request: pb.GetPurchaseRequest, context: object
    ) -> pb.GetPurchaseResponse:
        [purchase_id] = _read_ids([request.purchase_id])
        async with database.read(self._engine) as tx:
            return pb.GetPurchaseResponse(purchase=await queries.purchase(tx, purchase_id))

    async def ListPurchases(
        self, request: pb.ListPurchasesRequest, context: object
    ) -> pb.ListPurchasesResponse:
        wanted = queries.PurchaseFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, queries.STATUSES),
            category=request.category,
            source_system=request.source_system,
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.purchases(tx, wanted, page)


def _read_ids(values: Sequence[str]) -> list[PurchaseId]:
    return [PurchaseId(read_uuid("purchase_ids", value)) for value in values]


def _read_row(row: pb.PurchaseRow) -> Bought | Refusal:
    source = row.source
    try:
        return Bought(
            contract_id=ContractId(read_uuid("contract_id", row.contract_id)),
            contract_line_id=ContractLineId(read_uuid("contract_line_id", row.contract_line_id)),
            category=row.category,
            supplier=row.supplier,
            document_number=row.document_number,
            description=row.description,
            incurred_on=read_date("incurred_on", row.incurred_on),
            cost=read_money("cost", row.cost, places=RATE_PLACES),
            source=SourceRef(source.system, source.object_type, source.object_id),
        )
    except Refusal as refusal:
        return refusal


def _write_import(results: Sequence[pb.PurchaseRowResult]) -> pb.ImportPurchasesResponse:
    def count(outcome: pb.PurchaseOutcome.ValueType) -> int:
        return sum(result.outcome == outcome for result in results)

    return pb.ImportPurchasesResponse(
        results=results,
        recorded=count(pb.PURCHASE_OUTCOME_RECORDED),
        duplicates=count(pb.PURCHASE_OUTCOME_DUPLICATE),
        refused=count(pb.PURCHASE_OUTCOME_REFUSED),
    )


def _write_result(result: commands.RowResult) -> pb.PurchaseRowResult:
    refusal = result.refusal
    if refusal is not None:
        return pb.PurchaseRowResult(
            outcome=pb.PURCHASE_OUTCOME_REFUSED,
            code=refusal.stable_code,
            field=refusal.field or "",
            message=str(refusal),
            advice=refusal.advice or "",
        )
    new, known = pb.PURCHASE_OUTCOME_RECORDED, pb.PURCHASE_OUTCOME_DUPLICATE
    return pb.PurchaseRowResult(
        outcome=new if result.is_new else known, purchase_id=str(result.purchase_id)
    )
