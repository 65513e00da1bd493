"""The service over gRPC: what it answers, to whom, and how it refuses."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from invoice_payment_builders import CONTRACT, CUSTOMER, DE01
from invoice_payment_world import SERVICE, World, a_batch

from invoice_payment import schedules
from throughline.common.v1.money_pb2 import Money
from throughline.invoice_payment.v1 import invoice_pb2, payment_pb2
from throughline.invoice_payment.v1 import invoice_run_service_pb2 as runs_pb
from throughline.invoice_payment.v1 import invoice_service_pb2 as invoices_pb
from throughline.invoice_payment.v1 import journal_service_pb2 as journal_pb
from throughline.invoice_payment.v1 import number_series_service_pb2 as series_pb
from throughline.invoice_payment.v1 import payment_service_pb2 as payments_pb
from throughline.invoice_payment.v1 import tax_service_pb2 as tax_pb
from throughline.invoice_payment.v1.invoice_run_service_pb2_grpc import InvoiceRunServiceStub
from throughline.invoice_payment.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from throughline.invoice_payment.v1.journal_service_pb2_grpc import (
    AccountServiceStub,
    JournalServiceStub,
)
from throughline.invoice_payment.v1.number_series_service_pb2_grpc import NumberSeriesServiceStub
from throughline.invoice_payment.v1.payment_service_pb2_grpc import PaymentServiceStub
from throughline.invoice_payment.v1.tax_service_pb2_grpc import TaxServiceStub
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline_core.errors import Refusal
from throughline_runtime.identity import Caller, acting_as
from throughline_testing.serving import Running, a_caller

if TYPE_CHECKING:  # These classes exist in the stubs only.
    from throughline.invoice_payment.v1.invoice_run_service_pb2_grpc import (
        InvoiceRunServiceAsyncStub,
    )
    from throughline.invoice_payment.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

CLERK = a_caller("finance", subject="user:clerk")
LEAD = a_caller("finance", subject="user:lead")
STRANGER = a_caller("finance", subject="user:abroad", entities=[UUID(int=1)])
UNKNOWN = str(UUID(int=404))


@pytest.fixture
def runs(running: Running) -> "InvoiceRunServiceAsyncStub":
    return running.stub(InvoiceRunServiceStub, caller=CLERK)


@pytest.fixture
def invoices(running: Running) -> "InvoiceServiceAsyncStub":
    return running.stub(InvoiceServiceStub, caller=CLERK)


async def work(world: World) -> None:
    with acting_as(SERVICE):
        await schedules.drive_runs(world.context)
        await schedules.make_documents(world.context)


@pytest.fixture
async def issued(
    world: World,
    running: Running,
    runs: "InvoiceRunServiceAsyncStub",
    move_clock: Callable[[datetime], None],
) -> invoice_pb2.Invoice:
    """The invoice of the samples, from release to issue over gRPC."""
    move_clock(datetime(2026, 9, 30, 16, tzinfo=UTC))
    await world.release()
    started = await runs.StartInvoiceRun(
        runs_pb.StartInvoiceRunRequest(
            request_id="start", legal_entity_id=str(DE01), cut_off="2026-09-30"
        )
    )
    await work(world)
    lead = running.stub(InvoiceRunServiceStub, caller=LEAD)
    run_id = started.run.run_id
    await lead.ApproveInvoiceRun(
        runs_pb.ApproveInvoiceRunRequest(request_id="approve", run_id=run_id)
    )
    await work(world)
    await runs.IssueInvoiceRun(runs_pb.IssueInvoiceRunRequest(request_id="issue", run_id=run_id))
    await work(world)
    run = (await runs.GetInvoiceRun(runs_pb.GetInvoiceRunRequest(run_id=run_id))).run
    assert run.status == runs_pb.INVOICE_RUN_STATUS_ISSUED
    listed = await running.stub(InvoiceServiceStub, caller=CLERK).ListInvoices(
        invoices_pb.ListInvoicesRequest(run_id=run_id)
    )
    return listed.invoices[0]


async def test_an_invoice_is_read_with_its_lines_items_and_document(
    issued: invoice_pb2.Invoice, invoices: "InvoiceServiceAsyncStub"
) -> None:
    got = await invoices.GetInvoice(invoices_pb.GetInvoiceRequest(invoice_id=issued.invoice_id))
    lines = await invoices.ListInvoiceLines(
        invoices_pb.ListInvoiceLinesRequest(invoice_id=issued.invoice_id, page_size=1)
    )
    rest = await invoices.ListInvoiceLines(
        invoices_pb.ListInvoiceLinesRequest(
            invoice_id=issued.invoice_id, page_size=1, page_token=lines.next_page_token
        )
    )
    items = await invoices.ListInvoiceItems(
        invoices_pb.ListInvoiceItemsRequest(
            invoice_id=issued.invoice_id, invoice_line_id=rest.lines[0].invoice_line_id
        )
    )
    document = await invoices.GetInvoiceDocument(
        invoices_pb.GetInvoiceDocumentRequest(invoice_id=issued.invoice_id)
    )

    assert got.invoice.gross_total.amount == "13137.60"
    assert (got.invoice.issued_on, got.invoice.due_on) == ("2026-09-30", "2026-10-30")
    assert [*lines.lines, *rest.lines] == list(got.invoice.lines)
    assert [item.quantity for item in items.items] == ["8.00"]
    assert issued.line_count == 2
    assert document.file_name == "INV-DE01-2026-000001.pdf"
    assert document.content.startswith(b"%PDF-")
    assert got.invoice.document_sha256 == document.sha256


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"number": "INV-DE01-2026-000001"}, 1),
        ({"number": "INV-DE01-2026-000002"}, 0),
        ({"customer_id": str(CUSTOMER), "contract_id": str(CONTRACT)}, 1),
        ({"customer_id": UNKNOWN}, 0),
        ({"issued_from": "2026-09-30", "issued_to": "2026-09-30"}, 1),
        ({"issued_from": "2026-10-01"}, 0),
        ({"issued_to": "2026-09-29"}, 0),
        ({"status": invoice_pb2.INVOICE_STATUS_ISSUED}, 1),
        ({"status": invoice_pb2.INVOICE_STATUS_PAID}, 0),
        ({"legal_entity_id": str(DE01)}, 1),
    ],
)
async def test_invoices_are_found_by_what_is_known_of_them(
    issued: invoice_pb2.Invoice,
    invoices: "InvoiceServiceAsyncStub",
    chosen: dict[str, Any],
    found: int,
) -> None:
    listed = await invoices.ListInvoices(invoices_pb.ListInvoicesRequest(**chosen))

    assert len(listed.invoices) == found


async def test_a_preview_shows_what_a_run_drafts_and_changes_nothing(
    world: World, runs: "InvoiceRunServiceAsyncStub", invoices: "InvoiceServiceAsyncStub"
) -> None:
    await world.release()
    await world.release(a_batch(2, contract_id=UNKNOWN))
    before = await world.totals()
    asked = runs_pb.PreviewInvoiceRunRequest(
        legal_entity_id=str(DE01), cut_off="2026-09-30", page_size=1
    )

    first = await runs.PreviewInvoiceRun(asked)
    asked.page_token = first.next_page_token
    second = await runs.PreviewInvoiceRun(asked)

    assert await world.totals() == before
    [waiting] = first.waiting
    assert (waiting.contract_id, waiting.reason) == (UNKNOWN, "contract_unknown")
    [preview] = second.invoices
    assert (preview.invoice_id, preview.gross_total.amount) == ("", "13137.60")
    assert [total.net_total.amount for total in second.totals] == ["11040.00"]
    await world.draft()
    drafted = (await invoices.ListInvoices(invoices_pb.ListInvoicesRequest())).invoices[0]
    assert drafted.gross_total == preview.gross_total
    assert list(drafted.tax_groups) == []


async def test_a_run_can_be_stopped_and_resumed_by_people(
    world: World, runs: "InvoiceRunServiceAsyncStub"
) -> None:
    started = await runs.StartInvoiceRun(
        runs_pb.StartInvoiceRunRequest(
            request_id="1", legal_entity_id=str(DE01), cut_off="2026-09-30"
        )
    )
    run_id = started.run.run_id

    stopped = await runs.StopInvoiceRun(
        runs_pb.StopInvoiceRunRequest(request_id="2", run_id=run_id)
    )
    await work(world)
    resumed = await runs.ResumeInvoiceRun(
        runs_pb.ResumeInvoiceRunRequest(request_id="3", run_id=run_id)
    )
    await work(world)
    listed = await runs.ListInvoiceRuns(
        runs_pb.ListInvoiceRunsRequest(status=runs_pb.INVOICE_RUN_STATUS_DRAFTED)
    )

    assert stopped.run.status == runs_pb.INVOICE_RUN_STATUS_DRAFTING_STOPPED
    assert resumed.run.status == runs_pb.INVOICE_RUN_STATUS_DRAFTING
    assert [run.run_id for run in listed.runs] == [run_id]


async def test_a_single_draft_is_approved_issued_or_voided(
    world: World, running: Running, invoices: "InvoiceServiceAsyncStub"
) -> None:
    for contract_id in await world.sign(2):
        await world.release(a_batch(1, contract_id=contract_id))
    await world.draft()
    listed = await invoices.ListInvoices(invoices_pb.ListInvoicesRequest())
    first, second = [invoice.invoice_id for invoice in listed.invoices]
    lead = running.stub(InvoiceServiceStub, caller=LEAD)

    await lead.ApproveInvoice(invoices_pb.ApproveInvoiceRequest(request_id="1", invoice_id=first))
    issued = await lead.IssueInvoice(
        invoices_pb.IssueInvoiceRequest(request_id="2", invoice_id=first)
    )
    again = await lead.IssueInvoice(
        invoices_pb.IssueInvoiceRequest(request_id="2", invoice_id=first)
    )
    voided = await lead.VoidInvoice(
        invoices_pb.VoidInvoiceRequest(request_id="3", invoice_id=second, reason="a mistake")
    )

    assert issued.invoice.number == "INV-DE01-2026-000001"
    assert again == issued
    assert voided.invoice.status == invoice_pb2.INVOICE_STATUS_VOIDED


async def test_money_in_is_recorded_allocated_and_listed(
    issued: invoice_pb2.Invoice, running: Running
) -> None:
    payments = running.stub(PaymentServiceStub, caller=Caller.service("connectors"))
    desk = running.stub(PaymentServiceStub, caller=CLERK)
    recorded = await payments.RecordPayment(
        payments_pb.RecordPaymentRequest(
            request_id="1",
            provider="stripe",
            provider_payment_id="ch_1",
            status=payment_pb2.PAYMENT_STATUS_RECEIVED,
            amount=Money(amount="20000.00", currency="EUR"),
            reference=issued.number,
        )
    )
    payment_id = recorded.payment.payment_id
    got = await desk.GetPayment(payments_pb.GetPaymentRequest(payment_id=payment_id))
    listed = await desk.ListPayments(
        payments_pb.ListPaymentsRequest(invoice_id=issued.invoice_id, unapplied_only=True)
    )

    assert [allocation.amount.amount for allocation in recorded.allocations] == ["13137.60"]
    assert (got.payment, list(got.allocations)) == (recorded.payment, list(recorded.allocations))
    assert [payment.payment_id for payment in listed.payments] == [payment_id]
    with pytest.raises(Refusal) as refusal:
        await desk.AllocatePayment(
            payments_pb.AllocatePaymentRequest(
                request_id="2",
                payment_id=payment_id,
                invoice_id=issued.invoice_id,
                amount=Money(amount="1.00", currency="EUR"),
            )
        )
    assert refusal.value.stable_code == "invoice.not_open"


async def test_the_books_can_be_read_and_balance(
    issued: invoice_pb2.Invoice, running: Running
) -> None:
    journal = running.stub(JournalServiceStub, caller=a_caller("auditor"))
    first = await journal.ListJournalEntries(journal_pb.ListJournalEntriesRequest(page_size=1))
    rest = await journal.ListJournalEntries(
        journal_pb.ListJournalEntriesRequest(page_size=5, page_token=first.next_page_token)
    )
    invoiced = await journal.ListJournalEntries(
        journal_pb.ListJournalEntriesRequest(fact="invoice", fact_id=issued.invoice_id)
    )
    balance = await journal.GetTrialBalance(
        journal_pb.GetTrialBalanceRequest(legal_entity_id=str(DE01), as_of="2026-09-30")
    )

    numbers = [entry.number for entry in (*first.journal_entries, *rest.journal_entries)]
    assert sorted(numbers) == ["JE-DE01-2026-000001", "JE-DE01-2026-000002"]
    assert len(invoiced.journal_entries[0].lines) == 4
    balances = {line.account: line.balance.amount for line in balance.lines}
    assert balances == {
        "1200": "13137.60",
        "1250": "0.00",
        "2200": "-2097.60",
        "4000": "-11040.00",
    }


async def test_configuration_is_put_and_listed(world: World, running: Running) -> None:
    accounts = running.stub(AccountServiceStub, caller=CLERK)
    taxes = running.stub(TaxServiceStub, caller=CLERK)
    policies = running.stub(InvoiceRunServiceStub, caller=CLERK)

    mapping = await accounts.PutAccountMapping(
        journal_pb.PutAccountMappingRequest(
            request_id="1", legal_entity_id=str(DE01), account_role="revenue", account="8400"
        )
    )
    rule = await taxes.PutTaxRule(
        tax_pb.PutTaxRuleRequest(
            request_id="1",
            seller_country="DE",
            buyer_country="EU",
            buyer_registration=tax_pb.BUYER_REGISTRATION_VALID,
            tax_category="*",
            tax_code="AE",
            rate_percent="0",
            exemption_reason="Reverse charge",
            valid_from="2026-01-01",
        )
    )
    policy = await policies.PutInvoicePolicy(
        runs_pb.PutInvoicePolicyRequest(
            request_id="1",
            legal_entity_id=str(DE01),
            rounding_policy=runs_pb.ROUNDING_POLICY_PRECISE_SUM,
        )
    )

    listed = await accounts.ListAccountMappings(
        journal_pb.ListAccountMappingsRequest(legal_entity_id=str(DE01))
    )
    assert (mapping.mapping.version, len(listed.mappings)) == (2, 13)
    page = await taxes.ListTaxRules(tax_pb.ListTaxRulesRequest(page_size=1))
    rest = await taxes.ListTaxRules(
        tax_pb.ListTaxRulesRequest(page_size=5, page_token=page.next_page_token)
    )
    countries = [each.buyer_country for each in (*page.tax_rules, *rest.tax_rules)]
    assert countries == ["DE", rule.tax_rule.buyer_country]
    got = await policies.GetInvoicePolicy(
        runs_pb.GetInvoicePolicyRequest(legal_entity_id=str(DE01))
    )
    assert got.policy == policy.policy
    await world.release()
    await world.draft()
    assert await world.value("SELECT rounding_policy FROM invoice") == "precise_sum"


async def test_number_series_can_be_listed_and_proven(
    issued: invoice_pb2.Invoice, running: Running
) -> None:
    series = running.stub(NumberSeriesServiceStub, caller=a_caller("auditor"))
    first = await series.ListNumberSeries(series_pb.ListNumberSeriesRequest(page_size=1))
    rest = await series.ListNumberSeries(
        series_pb.ListNumberSeriesRequest(page_size=5, page_token=first.next_page_token)
    )
    report = await series.GetGapReport(
        series_pb.GetGapReportRequest(legal_entity_id=str(DE01), series="invoice", year=2026)
    )

    told = [(each.series, each.last_number) for each in (*first.series, *rest.series)]
    assert told == [("invoice", 1), ("journal_entry", 2)]
    assert report.complete
    assert issued.number.startswith(report.series.prefix)


async def test_control_totals_have_every_figure_others_compare(
    issued: invoice_pb2.Invoice, running: Running
) -> None:
    operations = running.stub(OperationsServiceStub, caller=a_caller("auditor"))

    answer = await operations.GetControlTotals(operations_pb.GetControlTotalsRequest())

    names = {total.name for total in answer.totals}
    assert names >= {
        "billable_items",
        "invoices",
        "number_series",
        "journal",
        "recognised_open",
        "payments",
        "issued_chain",
    }


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (
            lambda stub: stub.GetInvoice(invoices_pb.GetInvoiceRequest(invoice_id=UNKNOWN)),
            "invoice.not_found",
        ),
        (
            lambda stub: stub.ListInvoiceLines(
                invoices_pb.ListInvoiceLinesRequest(invoice_id=UNKNOWN)
            ),
            "invoice.not_found",
        ),
        (
            lambda stub: stub.ListInvoices(invoices_pb.ListInvoicesRequest(page_token="nonsense")),
            "request.malformed_page",
        ),
        (
            lambda stub: stub.GetInvoice(invoices_pb.GetInvoiceRequest(invoice_id="nonsense")),
            "request.invalid_field",
        ),
        (
            lambda stub: stub.VoidInvoice(
                invoices_pb.VoidInvoiceRequest(request_id="1", invoice_id=UNKNOWN, reason="x")
            ),
            "invoice.not_found",
        ),
    ],
)
async def test_what_is_not_there_is_refused_by_a_stable_code(
    world: World, invoices: "InvoiceServiceAsyncStub", call: Callable[..., Any], code: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        await call(invoices)

    assert refusal.value.stable_code == code


async def test_an_issued_invoice_refuses_what_comes_too_late(
    issued: invoice_pb2.Invoice, invoices: "InvoiceServiceAsyncStub", running: Running
) -> None:
    lead = running.stub(InvoiceServiceStub, caller=LEAD)
    ids = {"request_id": "late", "invoice_id": issued.invoice_id}
    calls: dict[str, list[Awaitable[object]]] = {
        "request.illegal_transition": [
            invoices.VoidInvoice(invoices_pb.VoidInvoiceRequest(reason="late", **ids)),
            lead.ApproveInvoice(invoices_pb.ApproveInvoiceRequest(**ids)),
            lead.IssueInvoice(invoices_pb.IssueInvoiceRequest(**ids)),
        ],
        "invoice.document_not_failed": [
            lead.RetryDocument(invoices_pb.RetryDocumentRequest(**ids))
        ],
    }
    for code, late in calls.items():
        for call in late:
            with pytest.raises(Refusal) as refusal:
                await call
            assert refusal.value.stable_code == code


async def test_a_caller_of_another_entity_sees_and_touches_nothing(
    issued: invoice_pb2.Invoice, running: Running
) -> None:
    invoices = running.stub(InvoiceServiceStub, caller=STRANGER)
    runs = running.stub(InvoiceRunServiceStub, caller=STRANGER)
    journal = running.stub(JournalServiceStub, caller=STRANGER)

    assert not (await invoices.ListInvoices(invoices_pb.ListInvoicesRequest())).invoices
    assert not (await runs.ListInvoiceRuns(runs_pb.ListInvoiceRunsRequest())).runs
    entries = await journal.ListJournalEntries(journal_pb.ListJournalEntriesRequest())
    assert not entries.journal_entries
    for call in (
        invoices.GetInvoice(invoices_pb.GetInvoiceRequest(invoice_id=issued.invoice_id)),
        invoices.GetInvoiceDocument(
            invoices_pb.GetInvoiceDocumentRequest(invoice_id=issued.invoice_id)
        ),
        invoices.VoidInvoice(
            invoices_pb.VoidInvoiceRequest(request_id="1", invoice_id=issued.invoice_id, reason="x")
        ),
        runs.GetInvoiceRun(runs_pb.GetInvoiceRunRequest(run_id=issued.run_id)),
        runs.StartInvoiceRun(
            runs_pb.StartInvoiceRunRequest(
                request_id="1", legal_entity_id=str(DE01), cut_off="2026-09-30"
            )
        ),
        runs.PreviewInvoiceRun(
            runs_pb.PreviewInvoiceRunRequest(legal_entity_id=str(DE01), cut_off="2026-09-30")
        ),
        journal.GetTrialBalance(journal_pb.GetTrialBalanceRequest(legal_entity_id=str(DE01))),
    ):
        with pytest.raises(Refusal) as refusal:
            await call
        assert refusal.value.stable_code == "caller.entity_forbidden"


@pytest.mark.parametrize(("country", "entities"), [("DE", [UUID(int=1)]), ("FR", [DE01])])
async def test_tax_rules_are_set_by_who_acts_for_all_they_concern(
    world: World, running: Running, country: str, entities: list[UUID]
) -> None:
    limited = a_caller("finance", subject="user:limited", entities=entities)
    rule = tax_pb.PutTaxRuleRequest(
        request_id="rule",
        seller_country=country,
        buyer_country="*",
        buyer_registration=tax_pb.BUYER_REGISTRATION_ANY,
        tax_category="*",
        tax_code="S",
        rate_percent="7.00",
        valid_from="2026-01-01",
    )
    with pytest.raises(Refusal) as refusal:
        await running.stub(TaxServiceStub, caller=limited).PutTaxRule(rule)
    assert refusal.value.stable_code == "caller.entity_forbidden"

    own = a_caller("finance", subject="user:own", entities=[DE01])
    rule.seller_country = "DE"
    await running.stub(TaxServiceStub, caller=own).PutTaxRule(rule)


async def test_the_audit_names_what_commands_without_events_changed(
    issued: invoice_pb2.Invoice, world: World
) -> None:
    nameless = "SELECT method FROM audit_entry WHERE cardinality(aggregate_ids) = 0"
    assert await world.rows(nameless) == []
    steered = "SELECT count(*) FROM audit_entry WHERE :run_id = ANY(aggregate_ids)"
    assert await world.value(steered, run_id=UUID(issued.run_id)) == 3


@pytest.mark.parametrize("role", ["consultant", "pmo", "auditor", "integration"])
async def test_only_finance_moves_money(world: World, running: Running, role: str) -> None:
    caller = a_caller(role)
    for call in (
        running.stub(InvoiceRunServiceStub, caller=caller).StartInvoiceRun(
            runs_pb.StartInvoiceRunRequest(
                request_id="1", legal_entity_id=str(DE01), cut_off="2026-09-30"
            )
        ),
        running.stub(PaymentServiceStub, caller=caller).RecordPayment(
            payments_pb.RecordPaymentRequest(request_id="1")
        ),
        running.stub(TaxServiceStub, caller=caller).PutTaxRule(
            tax_pb.PutTaxRuleRequest(request_id="1")
        ),
        running.stub(InvoiceServiceStub, caller=caller).IssueInvoice(
            invoices_pb.IssueInvoiceRequest(request_id="1", invoice_id=UNKNOWN)
        ),
    ):
        with pytest.raises(Refusal) as refusal:
            await call
        assert refusal.value.stable_code == "caller.role_missing"
