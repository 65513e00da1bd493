"""What reaches the services, as whom, under which key, and what comes back."""

import json
import logging
from typing import Any
from uuid import UUID

import pytest
from gateway_front import Front
from google.protobuf.message import Message
from structlog.testing import capture_logs

from throughline.connectors.v1 import webhook_service_pb2 as webhooks
from throughline.customer_contract.v1 import customer_service_pb2 as customers
from throughline.invoice_payment.v1 import invoice_pb2 as invoice
from throughline.invoice_payment.v1 import invoice_service_pb2 as invoices
from throughline.operations.v1 import operations_service_pb2 as operations
from throughline.project_provisioning.v1 import time_service_pb2 as time
from throughline.reporting.v1 import reconciliation_service_pb2 as reconciliation
from throughline_runtime.identity import Caller
from throughline_runtime.rpc.deadline import remaining_seconds

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "01980000-0000-7000-8000-000000000131"
ENTITY = "01980000-0000-7000-8000-0000000000e1"
ENTRY: dict[str, Any] = {"person_id": ID, "task_id": ID, "work_date": "2026-09-07", "minutes": 480}

SHEET = time.Timesheet(timesheet_id=ID, status=time.TIMESHEET_STATUS_SUBMITTED)


async def test_a_command_carries_its_key_and_the_reply_tells_it(front: Front) -> None:
    reply = await front.ask(
        "POST", "/v1/time-entries", json=ENTRY, headers={"Idempotency-Key": "import-7/42"}
    )

    assert reply.status_code == 200
    assert reply.headers["idempotency-key"] == "import-7/42"
    assert front.peers.last[1] == time.CreateTimeEntryRequest(request_id="import-7/42", **ENTRY)


async def test_a_command_without_a_key_gets_a_fresh_one(front: Front) -> None:
    replies = [await front.ask("POST", "/v1/time-entries", json=ENTRY) for _ in range(2)]

    keys = [reply.headers["idempotency-key"] for reply in replies]
    assert len({UUID(key) for key in keys}) == 2
    assert [request.request_id for _, request, _ in front.peers.asked] == keys  # type: ignore[attr-defined]  # a request of any type


async def test_a_question_ignores_the_key(front: Front) -> None:
    for method, path, body in (
        ("GET", "/v1/customers", None),
        ("POST", "/v1/invoice-runs:preview", {"legal_entity_id": ENTITY, "cut_off": "2026-09-30"}),
    ):
        reply = await front.ask(method, path, json=body, headers={"Idempotency-Key": "x" * 300})
        assert reply.status_code == 200, reply.text
        assert "idempotency-key" not in reply.headers


@pytest.mark.parametrize(
    ("path", "method", "reply", "seconds"),
    [
        ("/v1/customers", "ListCustomers", customers.ListCustomersResponse(), 10),
        ("/v1/reconciliation", "Reconcile", reconciliation.ReconcileResponse(), 50),
        (
            "/v1/operations/control-totals",
            "GetControlTotals",
            operations.GetControlTotalsResponse(),
            45,
        ),
    ],
)
async def test_a_service_gets_the_time_its_method_asks_for(
    front: Front, path: str, method: str, reply: Message, seconds: int
) -> None:
    left: list[float] = []

    async def answer(_request: Message) -> Message:
        left.append(remaining_seconds() or 0)
        return reply

    front.peers.answers[method] = answer
    assert (await front.ask("GET", path)).status_code == 200
    assert {round(each) for each in left} == {seconds}


async def test_a_command_without_a_body_takes_its_fields_from_the_path(front: Front) -> None:
    reply = await front.ask("DELETE", f"/v1/time-entries/{ID}", headers={"Idempotency-Key": "k"})

    assert reply.json() == {}
    assert front.peers.last[1] == time.DeleteTimeEntryRequest(request_id="k", time_entry_id=ID)


async def test_a_service_is_asked_as_the_person_with_her_roles_and_entities(front: Front) -> None:
    headers = front.bearer(
        "finance", "unheard_of", sub="grace", scope="customers.read a.b", entities=[ENTITY]
    )

    await front.client.get("/v1/customers", headers=headers)

    caller = front.peers.last[2]
    assert caller == Caller(
        subject="grace",
        roles=frozenset({"ROLE_FINANCE"}),
        scopes=frozenset({"customers.read", "a.b"}),
        entities=frozenset({UUID(ENTITY)}),
    )


async def test_a_service_is_asked_for_the_system_the_token_speaks_for(front: Front) -> None:
    headers = front.bearer("integration", sub="crm-push", system="salesforce")

    await front.client.get("/v1/customers", headers=headers)

    assert front.peers.last[2].system == "salesforce"


async def test_query_fields_have_the_types_of_the_contract(front: Front) -> None:
    query = {"page_size": "7", "page_token": "abc", "status": "issued", "customer_id": ID}

    reply = await front.ask("GET", "/v1/invoices", params=query)

    assert reply.status_code == 200, reply.text
    assert front.peers.last[1] == invoices.ListInvoicesRequest(
        page_size=7, page_token="abc", status=invoice.INVOICE_STATUS_ISSUED, customer_id=ID
    )


async def test_lines_are_rows_and_the_flags_stand_in_the_query(front: Front) -> None:
    lines = "\r\n".join([json.dumps({**ENTRY, "minutes": minutes}) for minutes in (1, 2)] + [""])

    reply = await front.ask(
        "POST",
        "/v1/time-entries:batch?partial=true",
        content=lines,
        headers={"Content-Type": "application/x-ndjson; charset=utf-8"},
    )

    assert reply.status_code == 200, reply.text
    request = front.peers.last[1]
    assert [row.minutes for row in request.rows] == [1, 2]
    assert (request.partial, request.approved) == (True, False)


async def test_lines_and_an_array_make_the_same_request(front: Front) -> None:
    rows = [{**ENTRY, "minutes": minutes, "source": None} for minutes in range(1, 1201)]
    key = {"Idempotency-Key": "k"}

    await front.ask("POST", "/v1/time-entries:batch", json={"rows": rows}, headers=key)
    await front.ask(
        "POST",
        "/v1/time-entries:batch",
        content="\n".join(map(json.dumps, rows)),
        headers={**key, "Content-Type": "application/x-ndjson"},
    )

    [(_, array, _), (_, lines, _)] = front.peers.asked
    assert array == lines


async def test_a_reply_holds_every_field(front: Front) -> None:
    async def answer(_request: Message) -> Message:
        return time.GetTimesheetResponse(timesheet=SHEET)

    front.peers.answers["GetTimesheet"] = answer
    sheet = (await front.ask("GET", f"/v1/timesheets/{ID}")).json()["timesheet"]

    assert sheet["status"] == "submitted"
    assert sheet["minutes"] == 0
    assert sheet["decided_at"] is None
    assert sheet["submitted_by"] == ""


async def test_a_trace_goes_on_through_the_gateway(front: Front) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}

    reply = await front.ask("GET", "/v1/customers", headers=headers)

    assert reply.headers["trace-id"] == trace


async def test_each_request_leaves_one_line_that_names_nobody(front: Front) -> None:
    with capture_logs() as lines:
        await front.client.get(f"/v1/customers/{ID}", headers=front.bearer(sub="ada@firm.test"))
        await front.client.get("/v1/nothing?name=ada")

    first, second = [line for line in lines if line["event"] == "request_answered"]
    assert (first["method"], first["route"], first["status"]) == (
        "GET",
        "/v1/customers/{customer_id}",
        200,
    )
    assert first["ms"] > 0
    assert len(first["subject"]) == 16
    assert (second["route"], second["status"], second["subject"]) == ("none", 404, None)
    assert "ada" not in str(lines)
    assert ID not in str(lines)


async def test_replies_are_not_kept_by_anybody_and_open_no_other_origin(front: Front) -> None:
    reply = await front.ask("GET", "/v1/customers", headers={"Origin": "https://evil.test"})

    assert reply.headers["cache-control"] == "no-store"
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_a_document_comes_with_its_name_and_is_sent_once(front: Front) -> None:
    async def answer(request: Any) -> Message:
        assert request.invoice_id == ID
        return invoices.GetInvoiceDocumentResponse(
            content=b"%PDF-1.7", content_type="application/pdf", file_name="INV-1.pdf", sha256="ab"
        )

    front.peers.answers["GetInvoiceDocument"] = answer
    path = f"/v1/invoices/{ID}/document"
    first = await front.ask("GET", path)
    again = await front.ask("GET", path, headers={"If-None-Match": 'W/"ab", "cd"'})

    assert (first.content, first.headers["content-type"]) == (b"%PDF-1.7", "application/pdf")
    assert first.headers["content-disposition"] == 'inline; filename="INV-1.pdf"'
    assert first.headers["cache-control"] == "private, no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert (await front.client.get(path)).status_code == 401
    assert (await front.client.get(path, headers=front.bearer("consultant"))).status_code == 403


async def test_a_callback_reaches_connectors_byte_for_byte_without_a_token(front: Front) -> None:
    body = b'{"id": "evt_1",\r\n "n": NaN}'
    headers = {
        "Stripe-Signature": "t=1,v1=ab",
        "Content-Type": "application/json",
        "Cookie": "a=b",
        "Authorization": "Bearer of-a-proxy",
    }

    reply = await front.client.post("/v1/webhooks/stripe", content=body, headers=headers)

    assert reply.status_code == 200
    method, request, caller = front.peers.last
    assert method == "ReceiveWebhook"
    assert isinstance(request, webhooks.ReceiveWebhookRequest)
    assert request.body == body
    assert request.headers["stripe-signature"] == "t=1,v1=ab"
    assert not {"cookie", "authorization"} & set(request.headers)
    assert (caller.subject, caller.is_service) == ("service:gateway", True)


async def test_a_callback_of_a_megabyte_is_refused(front: Front) -> None:
    reply = await front.client.post("/v1/webhooks/stripe", content=b"x" * 1_000_000)

    assert reply.status_code == 413
    assert not front.peers.asked


@pytest.fixture(autouse=True)
def _quiet_client() -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)
