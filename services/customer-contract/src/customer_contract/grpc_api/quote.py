"""QuoteService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import quote as commands
from customer_contract.domain.quote import Approval
from customer_contract.domain.values import QuoteId, SourceRef
from customer_contract.grpc_api.caller import read_proposer
from customer_contract.queries import quotes as queries
from customer_contract.repository import quote as repository
from customer_contract.wire.contract import write_contract
from customer_contract.wire.quote import (
    IMPORT_OUTCOME,
    QUOTE_STATUS,
    content_sha256,
    read_approval,
    read_terms,
    write_quote,
)
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.identity import current_caller, require_entity
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class QuoteServicer(QuoteServiceServicer):
    """Versioned offers."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def CreateQuote(
        self, request: pb.CreateQuoteRequest, context: object
    ) -> pb.CreateQuoteResponse:
        terms = read_terms(request.terms)
        digest = content_sha256(request.terms)
        proposer = read_proposer()

        async def handle(tx: AsyncConnection) -> pb.CreateQuoteResponse:
            quote = await commands.create(tx, terms, proposer=proposer, content_sha256=digest)
            return pb.CreateQuoteResponse(quote=write_quote(quote))

        return await once(self._engine, request, pb.CreateQuoteResponse, handle)

    async def ImportQuote(
        self, request: pb.ImportQuoteRequest, context: object
    ) -> pb.ImportQuoteResponse:
        source = request.source
        terms = read_terms(request.terms)
        approval = read_approval(request)
        digest = content_sha256(request.terms)
        proposer = read_proposer()
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ImportQuoteResponse:
            imported = await commands.import_(
                tx,
                terms,
                source=SourceRef(source.system, source.object_type, source.object_id),
                number=request.number,
                approval=approval,
                proposer=proposer,
                content_sha256=digest,
                at=at,
            )
            contract = imported.contract
            return pb.ImportQuoteResponse(
                quote=write_quote(imported.quote),
                outcome=IMPORT_OUTCOME.write(imported.outcome),
                contract_id=None if contract is None else str(contract.contract_id),
                contract_number="" if contract is None else contract.number,
            )

        return await once(self._engine, request, pb.ImportQuoteResponse, handle)

    async def ApproveQuote(
        self, request: pb.ApproveQuoteRequest, context: object
    ) -> pb.ApproveQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        approval = Approval(current_caller().subject, self._clock.now())

        async def handle(tx: AsyncConnection) -> pb.ApproveQuoteResponse:
            quote, contract = await commands.approve(
                tx, quote_id, quote_version=request.quote_version, approval=approval
            )
            return pb.ApproveQuoteResponse(
                quote=write_quote(quote), contract=write_contract(contract)
            )

        return await once(self._engine, request, pb.ApproveQuoteResponse, handle)

    async def RejectQuote(
        self, request: pb.RejectQuoteRequest, context: object
    ) -> pb.RejectQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))

        async def handle(tx: AsyncConnection) -> pb.RejectQuoteResponse:
            quote = await commands.reject(
                tx, quote_id, quote_version=request.quote_version, reason=request.reason
            )
            return pb.RejectQuoteResponse(quote=write_quote(quote))

        return await once(self._engine, request, pb.RejectQuoteResponse, handle)

    async def GetQuote(self, request: pb.GetQuoteRequest, context: object) -> pb.GetQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        async with read(self._engine) as tx:
            quote = await repository.get(tx, quote_id, quote_version=request.quote_version or None)
        require_entity(quote.legal_entity_id)
        return pb.GetQuoteResponse(quote=write_quote(quote))

    async def ListQuotes(
        self, request: pb.ListQuotesRequest, context: object
    ) -> pb.ListQuotesResponse:
        page = read_page(request, max=100)
        customer = read_optional_uuid("customer_id", request.customer_id)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, QUOTE_STATUS)
        async with read(self._engine) as tx:
            quotes, token = await queries.quotes(
                tx,
                page,
                customer_id=customer,
                legal_entity_id=entity,
                status=status,
                number=request.number,
            )
        return pb.ListQuotesResponse(quotes=quotes, next_page_token=token)
