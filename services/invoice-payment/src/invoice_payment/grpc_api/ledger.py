"""Payments, the journal, accounts and number series over gRPC."""

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.commands import payment as commands
from invoice_payment.commands import setup
from invoice_payment.commands.payment import Told
from invoice_payment.domain.journal import AccountRole, Fact
from invoice_payment.domain.series import Series
from invoice_payment.queries import ledger as queries
from invoice_payment.queries.ledger import EntryFilter, PaymentFilter
from invoice_payment.repository import master
from invoice_payment.wire import ledger as wire
from invoice_payment.wire.invoice import write_settled_allocation
from throughline.invoice_payment.v1 import journal_service_pb2 as journal_pb
from throughline.invoice_payment.v1 import number_series_service_pb2 as series_pb
from throughline.invoice_payment.v1 import payment_service_pb2 as pb
from throughline.invoice_payment.v1.journal_service_pb2_grpc import (
    AccountServiceServicer,
    JournalServiceServicer,
)
from throughline.invoice_payment.v1.number_series_service_pb2_grpc import (
    NumberSeriesServiceServicer,
)
from throughline.invoice_payment.v1.payment_service_pb2_grpc import PaymentServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_money,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_date,
)
from throughline_runtime.identity import require_entity
from throughline_runtime.once import once
from throughline_runtime.page import MalformedPage, next_token, read_page


class PaymentServicer(PaymentServiceServicer):
    """`PaymentService`."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._engine = context.engine

    async def RecordPayment(
        self, request: pb.RecordPaymentRequest, context: object
    ) -> pb.RecordPaymentResponse:
        told = Told(
            provider=request.provider,
            provider_payment_id=request.provider_payment_id,
            status=read_enum("status", request.status, wire.PAYMENT_STATUSES),
            amount=read_money("amount", request.amount),
            received_on=read_optional_date("received_on", request.received_on),
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            legal_entity_code=request.legal_entity_code,
            customer_id=read_optional_uuid("customer_id", request.customer_id),
            reference=request.reference,
        )

        async def handle(tx: AsyncConnection) -> pb.RecordPaymentResponse:
            payment = await commands.record_payment(tx, told, at=self._clock.now())
            return pb.RecordPaymentResponse(
                payment=wire.write_payment(payment),
                allocations=await queries.allocations(tx, payment.payment_id),
            )

        return await once(self._engine, request, pb.RecordPaymentResponse, handle)

    async def AllocatePayment(
        self, request: pb.AllocatePaymentRequest, context: object
    ) -> pb.AllocatePaymentResponse:
        payment_id = read_uuid("payment_id", request.payment_id)
        invoice_id = read_uuid("invoice_id", request.invoice_id)
        amount = read_money("amount", request.amount)

        async def handle(tx: AsyncConnection) -> pb.AllocatePaymentResponse:
            allocation = await commands.allocate_payment(
                tx, payment_id, invoice_id, amount, at=self._clock.now()
            )
            return pb.AllocatePaymentResponse(
                allocation=write_settled_allocation(allocation.settled),
                payment=wire.write_payment(allocation.payment),
            )

        return await once(self._engine, request, pb.AllocatePaymentResponse, handle)

    async def GetPayment(
        self, request: pb.GetPaymentRequest, context: object
    ) -> pb.GetPaymentResponse:
        payment_id = read_uuid("payment_id", request.payment_id)
        async with read(self._engine) as tx:
            return pb.GetPaymentResponse(
                payment=await queries.payment(tx, payment_id),
                allocations=await queries.allocations(tx, payment_id),
            )

    async def ListPayments(
        self, request: pb.ListPaymentsRequest, context: object
    ) -> pb.ListPaymentsResponse:
        chosen = PaymentFilter(
            status=read_optional_enum("status", request.status, wire.PAYMENT_STATUSES),
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            customer_id=read_optional_uuid("customer_id", request.customer_id),
            invoice_id=read_optional_uuid("invoice_id", request.invoice_id),
            provider=request.provider or None,
            provider_payment_id=request.provider_payment_id or None,
            unapplied_only=request.unapplied_only,
        )
        page = read_page(request)
        before = read_uuid("page_token", page.after[0]) if page.after else None
        async with read(self._engine) as tx:
            payments = await queries.payments(tx, chosen, before=before, size=page.size)
        is_full = len(payments) == page.size
        return pb.ListPaymentsResponse(
            payments=payments,
            next_page_token=next_token(payments[-1].payment_id) if is_full else "",
        )


class JournalServicer(JournalServiceServicer):
    """`JournalService`."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._engine = context.engine

    async def ListJournalEntries(
        self, request: journal_pb.ListJournalEntriesRequest, context: object
    ) -> journal_pb.ListJournalEntriesResponse:
        chosen = EntryFilter(
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            posted_from=read_optional_date("posted_from", request.posted_from),
            posted_to=read_optional_date("posted_to", request.posted_to),
            fact=Fact(request.fact) if request.fact else None,
            fact_id=read_optional_uuid("fact_id", request.fact_id),
            engagement_id=read_optional_uuid("engagement_id", request.engagement_id),
        )
        page = read_page(request, keys=2)
        before = None
        if page.after:
            before = (
                read_date("page_token", page.after[0]),
                read_uuid("page_token", page.after[1]),
            )
        async with read(self._engine) as tx:
            entries = await queries.entries(tx, chosen, before=before, size=page.size)
        token = ""
        if len(entries) == page.size:
            token = next_token(entries[-1].posted_on, entries[-1].journal_entry_id)
        return journal_pb.ListJournalEntriesResponse(journal_entries=entries, next_page_token=token)

    async def GetTrialBalance(
        self, request: journal_pb.GetTrialBalanceRequest, context: object
    ) -> journal_pb.GetTrialBalanceResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        asked = read_optional_date("as_of", request.as_of)
        require_entity(legal_entity_id)
        async with read(self._engine) as tx:
            entity = await master.entity(tx, legal_entity_id)
            as_of = asked or self._clock.today(entity.time_zone)
            lines = await queries.trial_balance(tx, legal_entity_id, as_of=as_of)
        return journal_pb.GetTrialBalanceResponse(
            legal_entity_id=str(legal_entity_id), as_of=write_date(as_of), lines=lines
        )


class AccountServicer(AccountServiceServicer):
    """`AccountService`."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def PutAccountMapping(
        self, request: journal_pb.PutAccountMappingRequest, context: object
    ) -> journal_pb.PutAccountMappingResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        role = AccountRole(request.account_role)

        async def handle(tx: AsyncConnection) -> journal_pb.PutAccountMappingResponse:
            version = await setup.put_account(tx, legal_entity_id, role, request.account)
            return journal_pb.PutAccountMappingResponse(
                mapping=journal_pb.AccountMapping(
                    legal_entity_id=str(legal_entity_id),
                    account_role=role.value,
                    account=request.account,
                    version=version,
                )
            )

        return await once(self._engine, request, journal_pb.PutAccountMappingResponse, handle)

    async def ListAccountMappings(
        self, request: journal_pb.ListAccountMappingsRequest, context: object
    ) -> journal_pb.ListAccountMappingsResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        require_entity(legal_entity_id)
        async with read(self._engine) as tx:
            await master.entity(tx, legal_entity_id)
            mappings = await queries.account_mappings(tx, legal_entity_id)
        return journal_pb.ListAccountMappingsResponse(mappings=mappings)


class NumberSeriesServicer(NumberSeriesServiceServicer):
    """`NumberSeriesService`."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def ListNumberSeries(
        self, request: series_pb.ListNumberSeriesRequest, context: object
    ) -> series_pb.ListNumberSeriesResponse:
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        page = read_page(request, keys=3)
        after = None
        if page.after:
            entity, kind, year = page.after
            after = (read_uuid("page_token", entity), kind, _read_year(year))
        async with read(self._engine) as tx:
            series = await queries.number_series(
                tx,
                legal_entity_id=legal_entity_id,
                year=request.year or None,
                after=after,
                size=page.size,
            )
        token = ""
        if len(series) == page.size:
            last = series[-1]
            token = next_token(last.legal_entity_id, last.series, last.year)
        return series_pb.ListNumberSeriesResponse(series=series, next_page_token=token)

    async def GetGapReport(
        self, request: series_pb.GetGapReportRequest, context: object
    ) -> series_pb.GetGapReportResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        series = Series(request.series)
        async with read(self._engine) as tx:
            return await queries.gap_report(tx, legal_entity_id, series, request.year)


def _read_year(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 5):
        raise MalformedPage("page_token is not one this list gave out", field="page_token")
    return int(value)
