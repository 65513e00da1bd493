"""Credit notes as clients see them."""

from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import CONTRACT, CUSTOMER, eur
from invoice_payment_world import World, a_batch, taking_back

from invoice_payment import schedules
from throughline.common.v1.money_pb2 import Money
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1 import credit_service_pb2 as pb
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.invoice_payment.v1 import invoice_service_pb2 as invoices_pb
from throughline.invoice_payment.v1 import number_series_service_pb2 as series_pb
from throughline.invoice_payment.v1 import receivable_service_pb2 as receivables_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline.invoice_payment.v1.credit_service_pb2_grpc import CreditServiceStub
from throughline.invoice_payment.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from throughline.invoice_payment.v1.number_series_service_pb2_grpc import NumberSeriesServiceStub
from throughline.invoice_payment.v1.receivable_service_pb2_grpc import ReceivableServiceStub
from throughline_core.errors import Refusal
from throughline_runtime.ids import new_id
from throughline_testing.serving import Running, a_caller

CLERK = a_caller("finance", subject="user:clerk")
LEAD = a_caller("finance", subject="user:lead")
STRANGER = a_caller("finance", subject="user:abroad", entities=[new_id()])
RETURN = invoice_pb2.CREDIT_DISPOSITION_RETURN_TO_UNBILLED


@pytest.fixture
async def invoice(world: World, running: Running) -> invoice_pb2.Invoice:
    """Return an issued invoice over sixteen hours."""
    await world.release(a_batch(2))
    await world.bill()
    stub = running.stub(InvoiceServiceStub, caller=CLERK)
    [found] = (await stub.ListInvoices(invoices_pb.ListInvoicesRequest())).invoices
    request = invoices_pb.GetInvoiceRequest(invoice_id=found.invoice_id)
    return (await stub.GetInvoice(request)).invoice


async def test_a_credit_note_from_preview_to_pdf(
    world: World, running: Running, invoice: invoice_pb2.Invoice
) -> None:
    clerk = running.stub(CreditServiceStub, caller=CLERK)
    lead = running.stub(CreditServiceStub, caller=LEAD)
    documents = running.stub(InvoiceServiceStub, caller=CLERK)
    [item, _] = (
        await documents.ListInvoiceItems(
            invoices_pb.ListInvoiceItemsRequest(invoice_id=invoice.invoice_id)
        )
    ).items
    line = pb.CreditLine(
        invoice_line_id=item.invoice_line_id,
        items=[pb.CreditItem(billing_event_id=item.billing_event_id, quantity="2.50")],
    )
    wanted: dict[str, Any] = {
        "invoice_id": invoice.invoice_id,
        "disposition": RETURN,
        "lines": [line],
    }

    preview = await clerk.PreviewCredit(pb.PreviewCreditRequest(**wanted))
    assert preview.credit_note.gross_total.amount == preview.settles.amount == "535.50"
    assert not preview.credit_note.invoice_id

    request = pb.CreateCreditNoteRequest(request_id="c1", reason="too long", **wanted)
    drafted = (await clerk.CreateCreditNote(request)).credit_note
    assert (await clerk.CreateCreditNote(request)).credit_note == drafted
    assert drafted.credits_invoice_number == invoice.number
    named = {"credit_note_id": drafted.invoice_id}
    with pytest.raises(Refusal) as refused:
        await clerk.ApproveCreditNote(pb.ApproveCreditNoteRequest(request_id="a0", **named))
    assert refused.value.stable_code == "invoice.approver_drafted_it"
    await lead.ApproveCreditNote(pb.ApproveCreditNoteRequest(request_id="a1", **named))
    issued = (
        await clerk.IssueCreditNote(pb.IssueCreditNoteRequest(request_id="i1", **named))
    ).credit_note
    assert (issued.number, issued.net_total.amount) == ("CN-DE01-2026-000001", "450.00")
    assert [each.quantity for each in issued.lines] == ["2.50"]

    again = await documents.GetInvoice(invoices_pb.GetInvoiceRequest(invoice_id=invoice.invoice_id))
    assert again.invoice.credited_total.amount == "535.50"
    credited = await documents.ListInvoiceItems(
        invoices_pb.ListInvoiceItemsRequest(invoice_id=invoice.invoice_id)
    )
    assert [each.credited_quantity for each in credited.items] == ["2.50", "0"]
    listed = await documents.ListInvoices(
        invoices_pb.ListInvoicesRequest(credits_invoice_id=invoice.invoice_id)
    )
    assert [each.number for each in listed.invoices] == ["CN-DE01-2026-000001"]
    series = await running.stub(NumberSeriesServiceStub, caller=CLERK).GetGapReport(
        series_pb.GetGapReportRequest(
            legal_entity_id=invoice.legal_entity_id, series="credit_note", year=2026
        )
    )
    assert series.complete
    await schedules.make_documents(world.context)
    pdf = await documents.GetInvoiceDocument(
        invoices_pb.GetInvoiceDocumentRequest(invoice_id=issued.invoice_id)
    )
    assert (pdf.file_name, pdf.content[:5]) == ("CN-DE01-2026-000001.pdf", b"%PDF-")


async def test_unapplied_credit_lowers_what_a_customer_owes_and_settles_the_next_invoice(
    world: World, running: Running, invoice: invoice_pb2.Invoice
) -> None:
    clerk = running.stub(CreditServiceStub, caller=CLERK)
    lead = running.stub(CreditServiceStub, caller=LEAD)
    receivables = running.stub(ReceivableServiceStub, caller=CLERK)
    await world.pay(UUID(invoice.invoice_id), eur("3427.20"))
    drafted = await clerk.CreateCreditNote(
        pb.CreateCreditNoteRequest(
            request_id="c1", invoice_id=invoice.invoice_id, disposition=RETURN, reason="all of it"
        )
    )
    named = {"credit_note_id": drafted.credit_note.invoice_id}
    await lead.ApproveCreditNote(pb.ApproveCreditNoteRequest(request_id="a1", **named))
    await clerk.IssueCreditNote(pb.IssueCreditNoteRequest(request_id="i1", **named))
    exposure = await receivables.GetExposure(
        receivables_pb.GetExposureRequest(customer_ids=[str(CUSTOMER)])
    )
    [owed] = exposure.customers[0].exposures
    assert (owed.open_invoices.amount, owed.unbilled.amount) == ("-3427.20", "2880.00")

    await world.bill(run_key="second")
    second = await world.value(
        "SELECT invoice_id FROM invoice WHERE document_type = 'invoice' AND paid_total = 0"
    )
    applied = await clerk.ApplyCredit(
        pb.ApplyCreditRequest(
            request_id="p1",
            invoice_id=str(second),
            amount=Money(amount="3427.20", currency="EUR"),
            **named,
        )
    )
    assert applied.invoice.status == invoice_pb2.INVOICE_STATUS_CREDITED
    assert applied.credit_note.status == invoice_pb2.INVOICE_STATUS_PAID


async def test_work_below_nothing_is_listed_and_credited(
    world: World, running: Running, invoice: invoice_pb2.Invoice
) -> None:
    items = running.stub(BillableItemServiceStub, caller=CLERK)
    wanted = items_pb.ListBillableItemsRequest(
        status=items_pb.BILLABLE_ITEM_STATUS_OPEN, net_negative_only=True
    )
    billed = a_batch(0)
    rows = await world.rows("SELECT billing_event_id::text FROM billable_item")
    for [row_id] in rows:
        row = billed.billing_events.add()
        row.CopyFrom(a_batch(1).billing_events[0])
        row.billing_event_id = row_id
    assert not (await items.ListBillableItems(wanted)).billable_items
    await world.release(taking_back(billed))
    assert len((await items.ListBillableItems(wanted)).billable_items) == 2

    clerk = running.stub(CreditServiceStub, caller=CLERK)
    request = pb.CreditOpenItemsRequest(
        request_id="o1", contract_id=str(CONTRACT), customer_id=str(CUSTOMER), reason="taken back"
    )
    note = (await clerk.CreditOpenItems(request)).credit_note
    assert (note.credits_invoice_number, note.net_total.amount) == (invoice.number, "2880.00")
    assert not (await items.ListBillableItems(wanted)).billable_items
    void = pb.VoidCreditNoteRequest(
        request_id="v1", credit_note_id=note.invoice_id, reason="a mistake"
    )
    await clerk.VoidCreditNote(void)
    assert len((await items.ListBillableItems(wanted)).billable_items) == 2


async def test_a_caller_of_another_entity_credits_nothing(
    running: Running, invoice: invoice_pb2.Invoice
) -> None:
    stranger = running.stub(CreditServiceStub, caller=STRANGER)
    wanted: dict[str, Any] = {"invoice_id": invoice.invoice_id, "disposition": RETURN}
    for call in (
        stranger.PreviewCredit(pb.PreviewCreditRequest(**wanted)),
        stranger.CreateCreditNote(
            pb.CreateCreditNoteRequest(request_id="s", reason="mine", **wanted)
        ),
    ):
        with pytest.raises(Refusal) as refused:
            await call
        assert refused.value.stable_code == "caller.entity_forbidden"
    with pytest.raises(Refusal) as refused:
        await stranger.ApproveCreditNote(
            pb.ApproveCreditNoteRequest(request_id="s2", credit_note_id=invoice.invoice_id)
        )
    assert refused.value.stable_code == "credit_note.not_found"
