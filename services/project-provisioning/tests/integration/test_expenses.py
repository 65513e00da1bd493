"""Expenses carry their receipts, are judged by a second person, and are announced once."""

from typing import Any

import pytest
from project_provisioning_builders import PASS_THROUGH_LINE, an_id
from project_provisioning_world import ADA_SIGNED_IN, PMO, World, a_key

from project_provisioning.grpc_api import servicers
from project_provisioning.main import SERVICE
from throughline.common.v1.money_pb2 import Money
from throughline.common.v1.source_pb2 import SourceRef
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ExpenseReportApproved,
)
from throughline.project_provisioning.v1 import document_pb2, project_pb2
from throughline.project_provisioning.v1 import expense_service_pb2 as pb
from throughline.project_provisioning.v1.expense_service_pb2_grpc import ExpenseServiceStub
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_runtime.context import Context
from throughline_runtime.identity import Caller, CallerTokens, acting_as
from throughline_runtime.rpc.client import Peers
from throughline_runtime.rpc.server import RpcServer
from throughline_testing.serving import a_caller
from throughline_testing.settings import CALLER_KEY

PDF = b"%PDF-1.7\n" + bytes(1000)
OMAR = a_caller("consultant", subject="user:omar")


@pytest.fixture
async def project(world: World) -> project_pb2.Project:
    return await world.the_project()


async def upload(
    world: World,
    content: bytes = PDF,
    content_type: str = "application/pdf",
    caller: Caller = ADA_SIGNED_IN,
) -> str:
    receipt = document_pb2.Document(content_type=content_type, content=content)
    request = pb.UploadReceiptRequest(request_id=a_key(), receipt=receipt)
    return (await world.expenses(caller).UploadReceipt(request)).receipt_sha256


def a_line(project: project_pb2.Project, **values: Any) -> pb.NewExpenseLine:
    line: dict[str, Any] = {
        "project_id": project.project_id,
        "incurred_on": "2026-09-08",
        "category": "travel",
        "description": "Train Hamburg to Munich and back",
        "net_amount": Money(amount="200.00", currency="EUR"),
        "tax_amount": Money(amount="14.00", currency="EUR"),
    }
    return pb.NewExpenseLine(**line | values)


async def create(
    world: World, person_id: str, *lines: pb.NewExpenseLine, caller: Caller = ADA_SIGNED_IN
) -> pb.ExpenseReport:
    request = pb.CreateExpenseReportRequest(
        request_id=a_key(), person_id=person_id, title="Kickoff in Munich", lines=lines
    )
    return (await world.expenses(caller).CreateExpenseReport(request)).expense_report


async def submit(world: World, report: pb.ExpenseReport) -> pb.ExpenseReport:
    request = pb.SubmitExpenseReportRequest(
        request_id=a_key(), expense_report_id=report.expense_report_id
    )
    return (await world.expenses(ADA_SIGNED_IN).SubmitExpenseReport(request)).expense_report


async def approve(world: World, report: pb.ExpenseReport, caller: Caller = PMO) -> pb.ExpenseReport:
    request = pb.ApproveExpenseReportRequest(
        request_id=a_key(), expense_report_id=report.expense_report_id
    )
    return (await world.expenses(caller).ApproveExpenseReport(request)).expense_report


async def test_a_report_goes_from_receipt_to_announcement(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    receipt = await upload(world)
    report = await create(
        world,
        ada.person_id,
        a_line(project, receipt_sha256=receipt),
        a_line(project, billable=False, reimbursable=False, category="meals"),
    )
    assert report.status == pb.EXPENSE_REPORT_STATUS_DRAFT
    await submit(world, report)

    approved = await approve(world, report)

    [event] = await world.published(ExpenseReportApproved)
    assert event.lines == approved.lines
    billed, not_billed = event.lines
    assert billed.contract_line_id == str(PASS_THROUGH_LINE)
    assert billed.receipt_sha256 == receipt
    assert (not_billed.billable, not_billed.reimbursable) == (False, False)
    assert not not_billed.HasField("contract_line_id")
    with pytest.raises(IllegalTransition):
        await approve(world, report)


async def test_nobody_approves_own_expenses(world: World, project: project_pb2.Project) -> None:
    paula = await world.a_person(name="Paula", subject="user:paula.pmo")
    report = await create(world, paula.person_id, a_line(project), caller=PMO)
    request = pb.SubmitExpenseReportRequest(
        request_id=a_key(), expense_report_id=report.expense_report_id
    )
    await world.expenses(PMO).SubmitExpenseReport(request)

    with pytest.raises(PermissionDenied):
        await approve(world, report)
    await approve(world, report, a_caller("finance", subject="user:fina.finance"))


async def test_a_rejected_report_is_not_announced(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    report = await submit(world, await create(world, ada.person_id, a_line(project)))

    rejected = await world.expenses().RejectExpenseReport(
        pb.RejectExpenseReportRequest(
            request_id=a_key(),
            expense_report_id=report.expense_report_id,
            reason="first class is not paid",
        )
    )

    assert rejected.expense_report.rejection_reason == "first class is not paid"
    assert not await world.published(ExpenseReportApproved)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"project_id": str(an_id("404"))}, NotFound),
        ({"receipt_sha256": "00" * 32}, FailedPrecondition),
        ({"net_amount": Money(amount="0.00", currency="EUR")}, InvalidArgument),
        ({"net_amount": Money(amount="10.005", currency="EUR")}, InvalidArgument),
        ({"net_amount": Money(amount="10.00", currency="ZZZ")}, InvalidArgument),
        ({"category": "bribes"}, InvalidArgument),
        ({"contract_line_id": str(an_id("b102"))}, InvalidArgument),
        ({"incurred_on": "2026-02-30"}, InvalidArgument),
    ],
)
async def test_a_line_that_breaks_a_rule_stops_the_report(
    world: World, project: project_pb2.Project, values: dict[str, Any], refusal: type[Exception]
) -> None:
    ada = await world.ada()

    with pytest.raises(refusal):
        await create(world, ada.person_id, a_line(project), a_line(project, **values))

    assert await world.scalar("SELECT count(*) FROM expense_report") == 0


async def test_people_report_and_see_their_own_expenses_only(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    report = await create(world, ada.person_id, a_line(project))

    with pytest.raises(PermissionDenied):
        await create(world, ada.person_id, a_line(project), caller=OMAR)
    assert not (
        await world.expenses(OMAR).ListExpenseReports(pb.ListExpenseReportsRequest())
    ).expense_reports
    with pytest.raises(NotFound):
        await world.expenses(OMAR).GetExpenseReport(
            pb.GetExpenseReportRequest(expense_report_id=report.expense_report_id)
        )


async def test_reports_are_found_by_person_project_and_status(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    first = await create(world, ada.person_id, a_line(project))
    second = await submit(world, await create(world, ada.person_id, a_line(project)))

    async def found(**filters: Any) -> list[str]:
        request = pb.ListExpenseReportsRequest(**filters)
        reports = (await world.expenses().ListExpenseReports(request)).expense_reports
        return [report.expense_report_id for report in reports]

    both = [second.expense_report_id, first.expense_report_id]
    assert await found(person_id=ada.person_id) == both
    assert await found(project_id=project.project_id) == both
    assert await found(status=pb.EXPENSE_REPORT_STATUS_SUBMITTED) == both[:1]
    assert await found(project_id=str(an_id("404"))) == []


async def test_a_receipt_is_kept_once_and_given_back_as_it_was(world: World) -> None:
    first, again = await upload(world), await upload(world)

    assert first == again
    receipt = (
        await world.expenses(ADA_SIGNED_IN).GetReceipt(pb.GetReceiptRequest(receipt_sha256=first))
    ).receipt
    assert (receipt.content_type, receipt.content) == ("application/pdf", PDF)


async def test_a_receipt_of_5_mb_is_taken_and_no_larger_one(context: Context) -> None:
    tokens = CallerTokens(CALLER_KEY)
    server = RpcServer(servicers(context), tokens, bulk=SERVICE.hands_out_documents)
    target = f"dns:///127.0.0.1:{await server.start('127.0.0.1:0')}"
    peers = Peers("gateway", {"us": target}, tokens, is_front_door=True)
    stub = peers.stub(ExpenseServiceStub, "us", bulk=True)

    async def upload_bytes(size: int) -> int:
        content = b"%PDF-".ljust(size, b"\0")
        receipt = document_pb2.Document(content_type="application/pdf", content=content)
        request = pb.UploadReceiptRequest(request_id=a_key(), receipt=receipt)
        return (await stub.UploadReceipt(request)).size_bytes

    with acting_as(ADA_SIGNED_IN):
        assert await upload_bytes(5_000_000) == 5_000_000
        with pytest.raises(InvalidArgument):
            await upload_bytes(5_000_001)
    await peers.close()
    await server.stop(0)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"MZ\x90\x00 an executable", "application/pdf"),
        (PDF, "image/png"),
        (b"<html>", "text/html"),
    ],
)
async def test_a_disguised_file_is_refused(world: World, content: bytes, content_type: str) -> None:
    with pytest.raises(InvalidArgument):
        await upload(world, content, content_type)


async def test_a_receipt_is_seen_by_who_may_see_the_expense(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    receipt = await upload(world, caller=PMO)
    request = pb.GetReceiptRequest(receipt_sha256=receipt)
    with pytest.raises(NotFound):
        await world.expenses(ADA_SIGNED_IN).GetReceipt(request)

    await create(world, ada.person_id, a_line(project, receipt_sha256=receipt))

    await world.expenses(ADA_SIGNED_IN).GetReceipt(request)
    await world.expenses(a_caller("auditor", subject="user:auditor")).GetReceipt(request)
    with pytest.raises(NotFound):
        await world.expenses(OMAR).GetReceipt(request)


async def test_a_cost_of_another_system_comes_in_once(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    source = SourceRef(system="expense-tool", object_type="item", object_id="X-1")
    line = a_line(project, billable=False, source=source)
    report = await create(world, ada.person_id, line)

    for lines in ([line], [a_line(project, billable=False), line]):
        with pytest.raises(AlreadyExists) as refused:
            await create(world, ada.person_id, *lines)
        assert refused.value.stable_code == "expense_line.source_exists"
    assert refused.value.field == "lines[1].source"

    await submit(world, report)
    reject = pb.RejectExpenseReportRequest(
        request_id=a_key(), expense_report_id=report.expense_report_id, reason="wrong project"
    )
    await world.expenses(PMO).RejectExpenseReport(reject)
    assert (await create(world, ada.person_id, line)).lines[0].source == source


async def test_one_report_names_each_cost_of_another_system_once(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    source = SourceRef(system="expense-tool", object_type="item", object_id="X-1")
    line = a_line(project, billable=False, source=source)
    with pytest.raises(AlreadyExists) as refused:
        await create(world, ada.person_id, line, line)
    assert refused.value.field == "lines[1].source"


async def test_the_audit_finds_every_change_of_a_report_and_of_its_receipt(
    world: World, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    receipt = await upload(world)
    report = await create(world, ada.person_id, a_line(project, receipt_sha256=receipt))
    await submit(world, report)
    await approve(world, report)

    assert await world.audited(report.expense_report_id) == [
        "CreateExpenseReport",
        "SubmitExpenseReport",
        "ApproveExpenseReport",
    ]
    assert await world.audited(f"document:{receipt}") == ["UploadReceipt"]
