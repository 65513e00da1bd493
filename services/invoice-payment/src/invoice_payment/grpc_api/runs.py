"""Invoice runs and invoice policies over gRPC."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.bulk import claims
from invoice_payment.bulk.claims import Scope
from invoice_payment.commands import run as commands
from invoice_payment.commands import setup
from invoice_payment.domain import run as domain
from invoice_payment.domain.invoice import InvoiceChange
from invoice_payment.queries import invoices as queries
from invoice_payment.repository import master, tax
from invoice_payment.repository import run as repository
from invoice_payment.schedules import RUNS
from invoice_payment.wire import invoice as wire
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.invoice_payment.v1 import invoice_run_service_pb2 as pb
from throughline.invoice_payment.v1.invoice_run_service_pb2_grpc import InvoiceRunServiceServicer
from throughline_core.money import Money
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_money,
)
from throughline_runtime.identity import current_caller, require_entity
from throughline_runtime.once import once
from throughline_runtime.page import next_token, read_page

_NO_RUN: Final = UUID(int=0)


class InvoiceRunServicer(InvoiceRunServiceServicer):
    """`InvoiceRunService`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def PreviewInvoiceRun(
        self, request: pb.PreviewInvoiceRunRequest, context: object
    ) -> pb.PreviewInvoiceRunResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        page = read_page(request)
        after = read_uuid("page_token", page.after[0]) if page.after else None
        run = domain.start(
            _NO_RUN,
            legal_entity_id,
            cut_off=read_date("cut_off", request.cut_off),
            run_key=domain.REGULAR,
            contract_ids=_contract_ids(request.contract_ids),
            by=current_caller().subject,
            at=self._context.clock.now(),
        )
        require_entity(legal_entity_id)
        async with read(self._engine) as tx:
            found = await claims.next_contracts(tx, Scope.of(run), after=after, limit=page.size)
            preview = await commands.preview_contracts(tx, run, found)
        is_full = len(found) == page.size
        return pb.PreviewInvoiceRunResponse(
            invoices=[_without_ids(wire.write_invoice(draft.state)) for draft in preview.drafts],
            totals=_totals(preview.drafts),
            waiting=[
                pb.WaitingContract(
                    contract_id=str(contract.contract_id),
                    item_count=contract.item_count,
                    reason=contract.wait or "",
                )
                for contract in preview.waiting
            ],
            next_page_token=next_token(found[-1].contract_id) if is_full else "",
        )

    async def StartInvoiceRun(
        self, request: pb.StartInvoiceRunRequest, context: object
    ) -> pb.StartInvoiceRunResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        cut_off = read_date("cut_off", request.cut_off)
        contract_ids = _contract_ids(request.contract_ids)

        async def handle(tx: AsyncConnection) -> pb.StartInvoiceRunResponse:
            run = await commands.start_run(
                tx,
                legal_entity_id,
                cut_off=cut_off,
                run_key=request.run_key,
                contract_ids=contract_ids,
                by=current_caller().subject,
                at=self._context.clock.now(),
            )
            return pb.StartInvoiceRunResponse(run=wire.write_run(run))

        response = await once(self._engine, request, pb.StartInvoiceRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def GetInvoiceRun(
        self, request: pb.GetInvoiceRunRequest, context: object
    ) -> pb.GetInvoiceRunResponse:
        run_id = read_uuid("run_id", request.run_id)
        async with read(self._engine) as tx:
            run = await repository.get(tx, run_id)
        require_entity(run.legal_entity_id)
        return pb.GetInvoiceRunResponse(run=wire.write_run(run))

    async def ListInvoiceRuns(
        self, request: pb.ListInvoiceRunsRequest, context: object
    ) -> pb.ListInvoiceRunsResponse:
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, wire.RUN_STATUSES)
        page = read_page(request)
        before = read_uuid("page_token", page.after[0]) if page.after else None
        async with read(self._engine) as tx:
            runs = await queries.runs(
                tx,
                legal_entity_id=legal_entity_id,
                status=status,
                before=before,
                size=page.size,
            )
        is_full = len(runs) == page.size
        return pb.ListInvoiceRunsResponse(
            runs=runs, next_page_token=next_token(runs[-1].run_id) if is_full else ""
        )

    async def StopInvoiceRun(
        self, request: pb.StopInvoiceRunRequest, context: object
    ) -> pb.StopInvoiceRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.StopInvoiceRunResponse:
            run = await commands.stop_run(tx, run_id)
            return pb.StopInvoiceRunResponse(run=wire.write_run(run))

        return await once(self._engine, request, pb.StopInvoiceRunResponse, handle)

    async def ResumeInvoiceRun(
        self, request: pb.ResumeInvoiceRunRequest, context: object
    ) -> pb.ResumeInvoiceRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.ResumeInvoiceRunResponse:
            run = await commands.resume_run(tx, run_id)
            return pb.ResumeInvoiceRunResponse(run=wire.write_run(run))

        response = await once(self._engine, request, pb.ResumeInvoiceRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def ApproveInvoiceRun(
        self, request: pb.ApproveInvoiceRunRequest, context: object
    ) -> pb.ApproveInvoiceRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.ApproveInvoiceRunResponse:
            run = await commands.approve_run(tx, run_id, by=current_caller().subject)
            return pb.ApproveInvoiceRunResponse(run=wire.write_run(run))

        response = await once(self._engine, request, pb.ApproveInvoiceRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def IssueInvoiceRun(
        self, request: pb.IssueInvoiceRunRequest, context: object
    ) -> pb.IssueInvoiceRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.IssueInvoiceRunResponse:
            run = await commands.issue_run(tx, run_id)
            return pb.IssueInvoiceRunResponse(run=wire.write_run(run))

        response = await once(self._engine, request, pb.IssueInvoiceRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def PutInvoicePolicy(
        self, request: pb.PutInvoicePolicyRequest, context: object
    ) -> pb.PutInvoicePolicyResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        policy = read_enum("rounding_policy", request.rounding_policy, wire.POLICIES)

        async def handle(tx: AsyncConnection) -> pb.PutInvoicePolicyResponse:
            version = await setup.put_policy(tx, legal_entity_id, policy)
            return pb.PutInvoicePolicyResponse(
                policy=pb.InvoicePolicy(
                    legal_entity_id=str(legal_entity_id),
                    rounding_policy=request.rounding_policy,
                    version=version,
                )
            )

        return await once(self._engine, request, pb.PutInvoicePolicyResponse, handle)

    async def GetInvoicePolicy(
        self, request: pb.GetInvoicePolicyRequest, context: object
    ) -> pb.GetInvoicePolicyResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        require_entity(legal_entity_id)
        async with read(self._engine) as tx:
            await master.entity(tx, legal_entity_id)
            policy, version = await tax.policy_of(tx, legal_entity_id)
        return pb.GetInvoicePolicyResponse(
            policy=pb.InvoicePolicy(
                legal_entity_id=str(legal_entity_id),
                rounding_policy=wire.POLICIES.write(policy),
                version=version,
            )
        )


def _contract_ids(values: Iterable[str]) -> tuple[UUID, ...]:
    return tuple(read_uuid("contract_ids", value) for value in values)


def _without_ids(invoice: invoice_pb2.Invoice) -> invoice_pb2.Invoice:
    """Return a previewed invoice without the ids it would not get."""
    invoice.ClearField("invoice_id")
    invoice.ClearField("run_id")
    for line in invoice.lines:
        line.ClearField("invoice_line_id")
    return invoice


def _totals(drafts: Iterable[InvoiceChange]) -> list[pb.InvoiceTotals]:
    sums: dict[str, list[InvoiceChange]] = {}
    for draft in drafts:
        sums.setdefault(draft.state.currency, []).append(draft)
    return [
        pb.InvoiceTotals(
            currency=currency,
            invoice_count=len(part),
            net_total=write_money(Money.total((d.state.totals.net for d in part), currency)),
            tax_total=write_money(Money.total((d.state.totals.tax for d in part), currency)),
            gross_total=write_money(Money.total((d.state.totals.gross for d in part), currency)),
        )
        for currency, part in sorted(sums.items())
    ]
