"""Versions of offers over gRPC: revised, compared, withdrawn, expired, with their documents."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from customer_contract_world import World, a_request_id, eur, ids_of, sampled_lines
from sqlalchemy import text

from customer_contract import schedules
from customer_contract.commands import quote_decision
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline_core.errors import Refusal
from throughline_runtime.context import Context
from throughline_runtime.database import write
from throughline_runtime.identity import Caller, acting_as

UNKNOWN = "01980000-0000-7000-8000-00000000dead"
PDF = b"%PDF-1.7\nstatement of work\n%%EOF\n"
EXECUTABLE = b"MZ\x90\x00" + PDF


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


def lines_of(quote: quote_pb2.Quote) -> list[pb.QuoteLineTerms]:
    """Return the lines of the version as they go on into the next one."""
    lines = sampled_lines()
    for line, known in zip(lines, quote.lines, strict=True):
        line.ClearField("source")
        line.quote_line_id = known.quote_line_id
    return lines


def revision_of(world: World, quote: quote_pb2.Quote, **changes: Any) -> pb.ReviseQuoteRequest:
    values: dict[str, Any] = {"lines": lines_of(quote)}
    return pb.ReviseQuoteRequest(
        request_id=a_request_id(),
        quote_id=quote.quote_id,
        quote_version=quote.quote_version,
        terms=world.terms(**values | changes),
    )


def approval_of(quote: quote_pb2.Quote) -> pb.ApproveQuoteRequest:
    return pb.ApproveQuoteRequest(
        request_id=a_request_id(), quote_id=quote.quote_id, quote_version=quote.quote_version
    )


def document_of(quote: quote_pb2.Quote, **changes: Any) -> pb.AttachQuoteDocumentRequest:
    values: dict[str, Any] = {"file_name": "sow.pdf", "content": PDF}
    return pb.AttachQuoteDocumentRequest(
        request_id=a_request_id(),
        quote_id=quote.quote_id,
        quote_version=quote.quote_version,
        **values | changes,
    )


async def test_a_revision_is_the_next_version_and_its_approval_starts_anew(world: World) -> None:
    quote = await world.created_quote()
    draft = await world.quotes(subject="paul").ApproveQuote(approval_of(quote))
    lines = lines_of(quote)[:3]
    lines[2].unit_price.CopyFrom(eur("2600.00"))
    lines[2].ClearField("net_total")
    new = pb.QuoteLineTerms(service_code="EXPENSES-PT", quantity="1", unit_price=eur("500.00"))

    revise = revision_of(world, quote, lines=[*lines, new], purchase_order_number="PO-2")
    revised = (await world.quotes(subject="olga").ReviseQuote(revise)).quote

    assert (revised.quote_version, revised.number) == (2, quote.number)
    assert (revised.status, revised.correlation_id) == (
        quote_pb2.QUOTE_STATUS_IN_REVIEW,
        quote.correlation_id,
    )
    sign = world.contracts().SignContract(world.signature_of(draft.contract.contract_id))
    assert await refusal_of(sign) == "request.illegal_transition"
    approved = await world.quotes(subject="paul").ApproveQuote(approval_of(revised))
    assert approved.contract.contract_id == draft.contract.contract_id
    assert approved.contract.quote_version == 2
    versions = await world.quotes().ListQuoteVersions(
        pb.ListQuoteVersionsRequest(quote_id=quote.quote_id)
    )
    assert [one.status for one in versions.quotes] == [
        quote_pb2.QUOTE_STATUS_SUPERSEDED,
        quote_pb2.QUOTE_STATUS_APPROVED,
    ]


async def test_two_versions_are_compared_line_by_line(world: World) -> None:
    quote = await world.created_quote()
    lines = lines_of(quote)
    lines[1].rates[0].hourly_rate.CopyFrom(eur("185.00"))
    lines[2].unit_price.CopyFrom(eur("2600.00"))
    lines[2].ClearField("net_total")
    new = pb.QuoteLineTerms(service_code="EXPENSES-PT", quantity="1", unit_price=eur("500.00"))
    revise = revision_of(world, quote, lines=[*lines[:3], new], purchase_order_number="PO-2")
    revised = (await world.quotes(subject="olga").ReviseQuote(revise)).quote

    found = await world.quotes().CompareQuoteVersions(
        pb.CompareQuoteVersionsRequest(quote_id=quote.quote_id, from_version=1, to_version=2)
    )

    kind = contract_pb2.TermChangeKind.Name
    assert [
        (kind(one.kind)[17:], one.position, one.term, one.old_value, one.new_value)
        for one in found.differences
    ] == [
        ("ADDED", 0, "purchase_order_number", "", "PO-2"),
        ("ALTERED", 2, "rates[senior_consultant].hourly_rate", "180.00", "185.00"),
        ("ALTERED", 3, "unit_price", "2500.00", "2600.00"),
        ("ALTERED", 3, "net_total", "30000.00", "31200.00"),
        ("ADDED", 4, "", "", "500.00"),
        ("ENDED", 4, "", "4000.00", ""),
    ]
    assert (found.old_net_total.amount, found.new_net_total.amount, found.rise.amount) == (
        "116400.00",
        "114100.00",
        "-2300.00",
    )
    latest = await world.quotes().CompareQuoteVersions(
        pb.CompareQuoteVersionsRequest(quote_id=revised.quote_id)
    )
    assert latest.differences == found.differences


async def test_what_belongs_to_another_system_or_is_signed_is_not_revised(world: World) -> None:
    imported = (await world.imports().ImportQuote(world.import_request())).quote
    revise = world.quotes().ReviseQuote(revision_of(world, imported))
    assert await refusal_of(revise) == "quote.written_elsewhere"
    quote = await world.created_quote()
    contract = (await world.quotes(subject="paul").ApproveQuote(approval_of(quote))).contract
    await world.contracts().SignContract(world.signature_of(contract.contract_id))

    revise = world.quotes().ReviseQuote(revision_of(world, quote))
    assert await refusal_of(revise) == "quote.contract_already_signed"
    withdraw = world.quotes().WithdrawQuote(
        pb.WithdrawQuoteRequest(
            request_id=a_request_id(), quote_id=quote.quote_id, quote_version=1, reason="late"
        )
    )
    assert await refusal_of(withdraw) == "quote.contract_already_signed"


async def test_a_revision_names_lines_of_the_version_before(world: World) -> None:
    quote = await world.created_quote()
    lines = lines_of(quote)
    lines[0].quote_line_id = UNKNOWN
    revise = world.quotes().ReviseQuote(revision_of(world, quote, lines=lines))
    assert await refusal_of(revise) == "quote.line_not_found"
    lines[0].quote_line_id = lines[1].quote_line_id
    revise = world.quotes().ReviseQuote(revision_of(world, quote, lines=lines))
    assert await refusal_of(revise) == "quote.line_repeated"
    assert await world.count("quote") == 1


async def test_an_offer_taken_back_is_not_signed(world: World) -> None:
    quote = await world.created_quote()
    contract = (await world.quotes(subject="paul").ApproveQuote(approval_of(quote))).contract
    reply = await world.quotes().WithdrawQuote(
        pb.WithdrawQuoteRequest(
            request_id=a_request_id(),
            quote_id=quote.quote_id,
            quote_version=1,
            reason="no capacity before May",
            reason_code=quote_pb2.QUOTE_REJECTION_REASON_CAPACITY,
        )
    )
    assert reply.quote.status == quote_pb2.QUOTE_STATUS_WITHDRAWN
    assert reply.quote.rejection_code == quote_pb2.QUOTE_REJECTION_REASON_CAPACITY
    sign = world.contracts().SignContract(world.signature_of(contract.contract_id))
    assert await refusal_of(sign) == "request.illegal_transition"


async def test_an_offer_expires_after_its_last_day_in_its_entitys_zone(
    world: World, move_clock: Any
) -> None:
    move_clock(datetime(2026, 8, 1, tzinfo=UTC))
    quote = await world.created_quote(valid_until="2026-08-31")
    other = await world.created_quote(valid_until="2026-09-30")
    open_ended = await world.created_quote()

    # Midnight of the last day in Berlin is two hours before midnight UTC.
    assert await expire_at(world, datetime(2026, 8, 31, 21, 59, tzinfo=UTC)) == 0
    move_clock(datetime(2026, 8, 31, 22, 1, tzinfo=UTC))
    approve = world.quotes(subject="paul").ApproveQuote(approval_of(quote))
    assert await refusal_of(approve) == "quote.validity_over"
    assert await expire_at(world, datetime(2026, 8, 31, 22, 1, tzinfo=UTC)) == 1
    assert await expire_at(world, datetime(2026, 8, 31, 22, 1, tzinfo=UTC)) == 0

    async def status(one: quote_pb2.Quote) -> str:
        read = await world.quotes().GetQuote(pb.GetQuoteRequest(quote_id=one.quote_id))
        return quote_pb2.QuoteStatus.Name(read.quote.status).removeprefix("QUOTE_STATUS_")

    assert [await status(one) for one in (quote, other, open_ended)] == [
        "EXPIRED",
        "IN_REVIEW",
        "IN_REVIEW",
    ]
    revise = revision_of(world, quote, valid_until="2026-10-31")
    assert (await world.quotes().ReviseQuote(revise)).quote.quote_version == 2


async def test_an_offer_whose_last_day_is_gone_is_not_signed_before_it_expires_either(
    world: World, move_clock: Any
) -> None:
    move_clock(datetime(2026, 8, 25, tzinfo=UTC))
    draft = await world.a_draft(valid_until="2026-08-31")
    move_clock(datetime(2026, 8, 31, 22, 1, tzinfo=UTC))

    sign = world.contracts().SignContract(world.signature_of(draft.contract_id))
    assert await refusal_of(sign) == "quote.validity_over"
    assert (await world.contract(draft.contract_id)).status == contract_pb2.CONTRACT_STATUS_DRAFT

    move_clock(datetime(2026, 8, 31, 21, 59, tzinfo=UTC))
    await world.contracts().SignContract(world.signature_of(draft.contract_id))


async def test_what_expires_by_the_clock_is_on_record(
    world: World, move_clock: Any, context: Context
) -> None:
    move_clock(datetime(2026, 8, 1, tzinfo=UTC))
    gone = [await world.created_quote(valid_until="2026-08-31") for _ in range(2)]
    move_clock(datetime(2026, 9, 1, tzinfo=UTC))

    with acting_as(Caller.service("customer-contract")):
        await schedules.expire_quotes(context)
        await schedules.expire_quotes(context)

    for quote in gone:
        assert await world.audited(quote.quote_id) == ["CreateQuote", "ExpireQuotes"]


async def expire_at(world: World, now: datetime) -> int:
    async with write(world.engine) as tx:
        return await quote_decision.expire_due(
            tx, today=lambda zone: now.astimezone(ZoneInfo(zone)).date(), limit=100
        )


async def test_an_offer_that_is_over_before_it_begins_is_refused(
    world: World, move_clock: Any
) -> None:
    move_clock(datetime(2026, 9, 2, tzinfo=UTC))
    created = world.created_quote(valid_until="2026-09-01")
    assert await refusal_of(created) == "quote.already_expired"


async def test_a_customer_business_has_ended_with_gets_no_offer(world: World) -> None:
    async with world.engine.begin() as connection:
        await connection.execute(text("UPDATE customer SET ended_on = '2020-01-01'"))
    assert await refusal_of(world.created_quote()) == "customer.ended"
    assert await refusal_of(world.imports().ImportQuote(world.import_request())) == "customer.ended"


async def test_a_statement_of_work_is_kept_once_and_read_back(world: World) -> None:
    first, second = await world.created_quote(), await world.created_quote()
    attach = document_of(first)
    attached = (await world.quotes().AttachQuoteDocument(attach)).document
    again = document_of(first, file_name="copy.pdf")
    assert (await world.quotes().AttachQuoteDocument(again)).document == attached
    await world.quotes().AttachQuoteDocument(document_of(second))

    assert attached.sha256 == sha256(PDF).hexdigest()
    assert (attached.kind, attached.size_bytes, attached.content_type) == (
        pb.QUOTE_DOCUMENT_KIND_STATEMENT_OF_WORK,
        len(PDF),
        "application/pdf",
    )
    assert (await world.count("document"), await world.count("quote_document")) == (1, 2)
    read = await world.quotes().GetQuoteDocument(
        pb.GetQuoteDocumentRequest(quote_id=first.quote_id, sha256=attached.sha256)
    )
    assert (read.content, read.document) == (PDF, attached)
    await world.quotes().AttachQuoteDocument(
        document_of(first, content=PDF + b"\n", kind=pb.QUOTE_DOCUMENT_KIND_ATTACHMENT)
    )
    page = await world.quotes().ListQuoteDocuments(
        pb.ListQuoteDocumentsRequest(quote_id=first.quote_id, page_size=1)
    )
    rest = await world.quotes().ListQuoteDocuments(
        pb.ListQuoteDocumentsRequest(
            quote_id=first.quote_id, page_size=1, page_token=page.next_page_token
        )
    )
    assert len({one.sha256 for one in (*page.documents, *rest.documents)}) == 2
    assert rest.next_page_token == ""


@pytest.mark.parametrize(
    "content", [EXECUTABLE, b"PK\x03\x04", b"<html>%PDF-1.7 %%EOF", b"%PDF-1.7\ncut off"]
)
async def test_a_document_that_only_claims_to_be_a_pdf_is_refused(
    world: World, content: bytes
) -> None:
    quote = await world.created_quote()
    attach = world.quotes().AttachQuoteDocument(document_of(quote, content=content))
    assert await refusal_of(attach) == "quote_document.not_a_pdf"
    assert await world.count("document") == 0


async def test_a_document_is_as_long_as_a_request_may_be_and_has_a_plain_name(
    world: World,
) -> None:
    quote = await world.created_quote()
    long = PDF[:-6] + b" " * 3 * 1024 * 1024 + b"%%EOF"
    for changes, field in (({"content": long}, "content"), ({"file_name": "../x"}, "file_name")):
        with pytest.raises(Refusal) as refused:
            await world.quotes().AttachQuoteDocument(document_of(quote, **changes))
        assert refused.value.field == field


async def test_a_document_of_another_companys_offer_is_out_of_reach(world: World) -> None:
    quote = await world.created_quote()
    attached = (await world.quotes().AttachQuoteDocument(document_of(quote))).document
    stranger = world.quotes(entities=ids_of(UNKNOWN))
    get = pb.GetQuoteDocumentRequest(quote_id=quote.quote_id, sha256=attached.sha256)
    assert await refusal_of(stranger.GetQuoteDocument(get)) == "quote.not_found"
    get.sha256 = "0" * 64
    assert await refusal_of(world.quotes().GetQuoteDocument(get)) == "quote_document.not_found"


async def test_nothing_is_attached_to_what_is_settled(world: World) -> None:
    quote = await world.created_quote()
    await world.quotes().RejectQuote(
        pb.RejectQuoteRequest(
            request_id=a_request_id(), quote_id=quote.quote_id, quote_version=1, reason="dear"
        )
    )
    attach = world.quotes().AttachQuoteDocument(document_of(quote))
    assert await refusal_of(attach) == "request.illegal_transition"
