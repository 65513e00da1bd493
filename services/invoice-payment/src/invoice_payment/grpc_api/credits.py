"""Credit notes over gRPC."""

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.commands import credit as commands
from invoice_payment.commands import open_items
from invoice_payment.commands.credit import Wanted
from invoice_payment.domain.credit import WantedItem, WantedLine
from invoice_payment.domain.credit_note import Request
from invoice_payment.domain.invoice import Invoice
from invoice_payment.domain.line import Disposition
from invoice_payment.schedules import DOCUMENTS
from invoice_payment.wire import invoice as wire
from throughline.invoice_payment.v1 import credit_service_pb2 as pb
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.invoice_payment.v1.credit_service_pb2_grpc import CreditServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_decimal,
    read_enum,
    read_money,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_money,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.once import once

_QUANTITY_PLACES = 4


class CreditServicer(CreditServiceServicer):
    """`CreditService`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def PreviewCredit(
        self, request: pb.PreviewCreditRequest, context: object
    ) -> pb.PreviewCreditResponse:
        wanted = Wanted(
            read_uuid("invoice_id", request.invoice_id),
            read_enum("disposition", request.disposition, wire.DISPOSITIONS),
            _read_lines(request.lines),
        )
        async with read(self._engine) as tx:
            credit_note, settles = await commands.preview_credit(tx, wanted, self._request(""))
        message = wire.write_invoice(credit_note)
        message.ClearField("invoice_id")
        for line in message.lines:
            line.ClearField("invoice_line_id")
        return pb.PreviewCreditResponse(credit_note=message, settles=write_money(settles))

    async def CreateCreditNote(
        self, request: pb.CreateCreditNoteRequest, context: object
    ) -> pb.CreateCreditNoteResponse:
        wanted = Wanted(
            read_uuid("invoice_id", request.invoice_id),
            read_enum("disposition", request.disposition, wire.DISPOSITIONS),
            _read_lines(request.lines),
        )

        async def handle(tx: AsyncConnection) -> pb.CreateCreditNoteResponse:
            drafted = await commands.create_credit_note(tx, wanted, self._request(request.reason))
            return pb.CreateCreditNoteResponse(credit_note=wire.write_invoice(drafted))

        return await once(self._engine, request, pb.CreateCreditNoteResponse, handle)

    async def CreditOpenItems(
        self, request: pb.CreditOpenItemsRequest, context: object
    ) -> pb.CreditOpenItemsResponse:
        contract_id = read_uuid("contract_id", request.contract_id)
        customer_id = read_uuid("customer_id", request.customer_id)
        invoice_id = read_optional_uuid("invoice_id", request.invoice_id)

        async def handle(tx: AsyncConnection) -> pb.CreditOpenItemsResponse:
            drafted = await open_items.credit_open_items(
                tx,
                contract_id,
                customer_id,
                self._request(request.reason),
                invoice_id=invoice_id,
            )
            return pb.CreditOpenItemsResponse(credit_note=wire.write_invoice(drafted))

        return await once(self._engine, request, pb.CreditOpenItemsResponse, handle)

    async def ApproveCreditNote(
        self, request: pb.ApproveCreditNoteRequest, context: object
    ) -> pb.ApproveCreditNoteResponse:
        credit_note_id = read_uuid("credit_note_id", request.credit_note_id)

        async def handle(tx: AsyncConnection) -> pb.ApproveCreditNoteResponse:
            by = current_caller().subject
            approved = await commands.approve_credit_note(tx, credit_note_id, by=by)
            return pb.ApproveCreditNoteResponse(credit_note=wire.write_invoice(approved))

        return await once(self._engine, request, pb.ApproveCreditNoteResponse, handle)

    async def IssueCreditNote(
        self, request: pb.IssueCreditNoteRequest, context: object
    ) -> pb.IssueCreditNoteResponse:
        credit_note_id = read_uuid("credit_note_id", request.credit_note_id)

        async def handle(tx: AsyncConnection) -> pb.IssueCreditNoteResponse:
            now = self._context.clock.now()
            issued = await commands.issue_credit(tx, credit_note_id, at=now)
            return pb.IssueCreditNoteResponse(credit_note=wire.write_invoice(issued))

        response = await once(self._engine, request, pb.IssueCreditNoteResponse, handle)
        self._context.wake(DOCUMENTS)
        return response

    async def VoidCreditNote(
        self, request: pb.VoidCreditNoteRequest, context: object
    ) -> pb.VoidCreditNoteResponse:
        credit_note_id = read_uuid("credit_note_id", request.credit_note_id)

        async def handle(tx: AsyncConnection) -> pb.VoidCreditNoteResponse:
            voided = await commands.void_credit_note(tx, credit_note_id, reason=request.reason)
            return pb.VoidCreditNoteResponse(credit_note=wire.write_invoice(voided))

        return await once(self._engine, request, pb.VoidCreditNoteResponse, handle)

    async def ApplyCredit(
        self, request: pb.ApplyCreditRequest, context: object
    ) -> pb.ApplyCreditResponse:
        credit_note_id = read_uuid("credit_note_id", request.credit_note_id)
        invoice_id = read_uuid("invoice_id", request.invoice_id)
        amount = read_money("amount", request.amount)

        async def handle(tx: AsyncConnection) -> pb.ApplyCreditResponse:
            applied = await commands.apply_to_invoice(
                tx, credit_note_id, invoice_id, amount, at=self._context.clock.now()
            )
            return pb.ApplyCreditResponse(
                credit_note=_without_lines(applied.credit_note),
                invoice=_without_lines(applied.invoice),
            )

        return await once(self._engine, request, pb.ApplyCreditResponse, handle)

    def _request(self, reason: str) -> Request:
        return Request(new_id(), reason, current_caller().subject, self._context.clock.now())


def _read_lines(lines: Iterable[pb.CreditLine]) -> tuple[WantedLine, ...]:
    return tuple(
        WantedLine(
            read_uuid("lines.invoice_line_id", line.invoice_line_id),
            _read_disposition(line),
            tuple(WantedItem(_read_item_id(item), _read_quantity(item)) for item in line.items),
        )
        for line in lines
    )


def _read_disposition(line: pb.CreditLine) -> Disposition | None:
    return read_optional_enum("lines.disposition", line.disposition, wire.DISPOSITIONS)


def _read_item_id(item: pb.CreditItem) -> UUID:
    return read_uuid("lines.items.billing_event_id", item.billing_event_id)


def _read_quantity(item: pb.CreditItem) -> Decimal | None:
    if not item.quantity:
        return None
    return read_decimal("lines.items.quantity", item.quantity, places=_QUANTITY_PLACES)


def _without_lines(document: Invoice) -> invoice_pb2.Invoice:
    message = wire.write_invoice(document)
    message.ClearField("lines")
    return message
