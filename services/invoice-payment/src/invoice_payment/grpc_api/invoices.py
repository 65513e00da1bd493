"""Single invoices and tax rules over gRPC."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.commands import invoice as commands
from invoice_payment.commands import setup
from invoice_payment.domain.amounts import TaxTreatment
from invoice_payment.domain.tax import TaxRule
from invoice_payment.queries import invoices as queries
from invoice_payment.queries.invoices import InvoiceFilter
from invoice_payment.schedules import DOCUMENTS, TAX
from invoice_payment.wire import invoice as wire
from throughline.invoice_payment.v1 import invoice_service_pb2 as pb
from throughline.invoice_payment.v1 import tax_service_pb2
from throughline.invoice_payment.v1.invoice_service_pb2_grpc import InvoiceServiceServicer
from throughline.invoice_payment.v1.tax_service_pb2_grpc import TaxServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_decimal,
    read_enum,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import MalformedPage, next_token, read_page

_PARTS_MAX: Final = 500
_PERCENT_PLACES: Final = 2


class InvoiceServicer(InvoiceServiceServicer):
    """`InvoiceService`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def GetInvoice(
        self, request: pb.GetInvoiceRequest, context: object
    ) -> pb.GetInvoiceResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)
        async with read(self._engine) as tx:
            return pb.GetInvoiceResponse(invoice=await queries.invoice(tx, invoice_id))

    async def ListInvoices(
        self, request: pb.ListInvoicesRequest, context: object
    ) -> pb.ListInvoicesResponse:
        chosen = InvoiceFilter(
            status=read_optional_enum("status", request.status, wire.STATUSES),
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            customer_id=read_optional_uuid("customer_id", request.customer_id),
            contract_id=read_optional_uuid("contract_id", request.contract_id),
            number=request.number or None,
            issued_from=read_optional_date("issued_from", request.issued_from),
            issued_to=read_optional_date("issued_to", request.issued_to),
            run_id=read_optional_uuid("run_id", request.run_id),
            engagement_id=read_optional_uuid("engagement_id", request.engagement_id),
            document_type=read_optional_enum(
                "document_type", request.document_type, wire.DOCUMENT_TYPES
            ),
            credits_invoice_id=read_optional_uuid("credits_invoice_id", request.credits_invoice_id),
        )
        page = read_page(request)
        before = read_uuid("page_token", page.after[0]) if page.after else None
        async with read(self._engine) as tx:
            invoices = await queries.invoices(tx, chosen, before=before, size=page.size)
        is_full = len(invoices) == page.size
        return pb.ListInvoicesResponse(
            invoices=invoices,
            next_page_token=next_token(invoices[-1].invoice_id) if is_full else "",
        )

    async def ListInvoiceLines(
        self, request: pb.ListInvoiceLinesRequest, context: object
    ) -> pb.ListInvoiceLinesResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)
        page = read_page(request, max=_PARTS_MAX)
        after = _read_position(page.after[0]) if page.after else 0
        async with read(self._engine) as tx:
            lines = await queries.lines(tx, invoice_id, after=after, size=page.size)
        is_full = len(lines) == page.size
        return pb.ListInvoiceLinesResponse(
            lines=lines, next_page_token=next_token(lines[-1].position) if is_full else ""
        )

    async def ListInvoiceItems(
        self, request: pb.ListInvoiceItemsRequest, context: object
    ) -> pb.ListInvoiceItemsResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)
        line_id = read_optional_uuid("invoice_line_id", request.invoice_line_id)
        page = read_page(request, max=_PARTS_MAX)
        after = read_uuid("page_token", page.after[0]) if page.after else None
        async with read(self._engine) as tx:
            items = await queries.items(
                tx, invoice_id, invoice_line_id=line_id, after=after, size=page.size
            )
        is_full = len(items) == page.size
        return pb.ListInvoiceItemsResponse(
            items=items, next_page_token=next_token(items[-1].billing_event_id) if is_full else ""
        )

    async def ApproveInvoice(
        self, request: pb.ApproveInvoiceRequest, context: object
    ) -> pb.ApproveInvoiceResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)

        async def handle(tx: AsyncConnection) -> pb.ApproveInvoiceResponse:
            invoice = await commands.approve_invoice(tx, invoice_id, by=current_caller().subject)
            return pb.ApproveInvoiceResponse(invoice=wire.write_invoice(invoice))

        return await once(self._engine, request, pb.ApproveInvoiceResponse, handle)

    async def IssueInvoice(
        self, request: pb.IssueInvoiceRequest, context: object
    ) -> pb.IssueInvoiceResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)

        async def handle(tx: AsyncConnection) -> pb.IssueInvoiceResponse:
            now = self._context.clock.now()
            invoice = await commands.issue_invoice(tx, invoice_id, at=now)
            return pb.IssueInvoiceResponse(invoice=wire.write_invoice(invoice))

        response = await once(self._engine, request, pb.IssueInvoiceResponse, handle)
        self._context.wake(DOCUMENTS)
        return response

    async def VoidInvoice(
        self, request: pb.VoidInvoiceRequest, context: object
    ) -> pb.VoidInvoiceResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)

        async def handle(tx: AsyncConnection) -> pb.VoidInvoiceResponse:
            invoice = await commands.void_invoice(tx, invoice_id, reason=request.reason)
            return pb.VoidInvoiceResponse(invoice=wire.write_invoice(invoice))

        return await once(self._engine, request, pb.VoidInvoiceResponse, handle)

    async def GetInvoiceDocument(
        self, request: pb.GetInvoiceDocumentRequest, context: object
    ) -> pb.GetInvoiceDocumentResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)
        async with read(self._engine) as tx:
            return await queries.document(tx, invoice_id)

    async def RetryDocument(
        self, request: pb.RetryDocumentRequest, context: object
    ) -> pb.RetryDocumentResponse:
        invoice_id = read_uuid("invoice_id", request.invoice_id)

        async def handle(tx: AsyncConnection) -> pb.RetryDocumentResponse:
            invoice = await commands.retry_document(tx, invoice_id)
            return pb.RetryDocumentResponse(invoice=wire.write_invoice(invoice))

        response = await once(self._engine, request, pb.RetryDocumentResponse, handle)
        self._context.wake(DOCUMENTS)
        return response


class TaxServicer(TaxServiceServicer):
    """`TaxService`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def PutTaxRule(
        self, request: tax_service_pb2.PutTaxRuleRequest, context: object
    ) -> tax_service_pb2.PutTaxRuleResponse:
        rate = read_decimal("rate_percent", request.rate_percent, places=_PERCENT_PLACES)
        rule = TaxRule(
            tax_rule_id=new_id(),
            version=1,
            seller_country=request.seller_country,
            buyer_country=request.buyer_country,
            buyer_registration=read_enum(
                "buyer_registration", request.buyer_registration, wire.REGISTRATIONS
            ),
            tax_category=request.tax_category,
            treatment=TaxTreatment(request.tax_code, rate, request.exemption_reason),
            valid_from=read_date("valid_from", request.valid_from),
            valid_to=read_optional_date("valid_to", request.valid_to),
        )

        async def handle(tx: AsyncConnection) -> tax_service_pb2.PutTaxRuleResponse:
            stored = await setup.put_tax_rule(tx, rule)
            return tax_service_pb2.PutTaxRuleResponse(tax_rule=wire.write_tax_rule(stored))

        response = await once(self._engine, request, tax_service_pb2.PutTaxRuleResponse, handle)
        self._context.wake(TAX)
        return response

    async def ListTaxRules(
        self, request: tax_service_pb2.ListTaxRulesRequest, context: object
    ) -> tax_service_pb2.ListTaxRulesResponse:
        valid_on = read_optional_date("valid_on", request.valid_on)
        page = read_page(request, keys=5)
        after = None
        if page.after:
            seller, category, buyer, registration, first_day = page.after
            after = (seller, category, buyer, registration, read_date("page_token", first_day))
        async with read(self._engine) as tx:
            rules = await queries.tax_rules(
                tx,
                seller_country=request.seller_country or None,
                tax_category=request.tax_category or None,
                valid_on=valid_on,
                after=after,
                size=page.size,
            )
        token = ""
        if len(rules) == page.size:
            last = rules[-1]
            token = next_token(
                last.seller_country,
                last.tax_category,
                last.buyer_country,
                read_enum("buyer_registration", last.buyer_registration, wire.REGISTRATIONS),
                last.valid_from,
            )
        return tax_service_pb2.ListTaxRulesResponse(tax_rules=rules, next_page_token=token)


def _read_position(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise MalformedPage("page_token is not one this list gave out", field="page_token")
    return int(value)
