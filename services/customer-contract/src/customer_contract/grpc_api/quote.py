"""QuoteService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import quote as commands
from customer_contract.commands import quote_decision as decisions
from customer_contract.domain.quote import RejectionCode
from customer_contract.domain.values import QuoteId, SourceRef
from customer_contract.grpc_api.caller import read_act, read_proposer
from customer_contract.grpc_api.cost_figures import for_caller
from customer_contract.grpc_api.quote_reading import QuoteReading
from customer_contract.wire.contract import write_contract
from customer_contract.wire.quote import (
    IMPORT_OUTCOME,
    REJECTION_CODE,
    content_sha256,
    read_approval,
    read_terms,
    write_quote,
)
from customer_contract.wire.quote_document import read_kind, write_document
from customer_contract.wire.quote_review import roles_of, write_review
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline_runtime.fields import read_optional_enum, read_uuid
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once


class QuoteServicer(QuoteReading):
    """Versioned offers."""

    async def CreateQuote(
        self, request: pb.CreateQuoteRequest, context: object
    ) -> pb.CreateQuoteResponse:
        terms = read_terms(request.terms)
        digest = content_sha256(request.terms)
        proposer = read_proposer()

        async def handle(tx: AsyncConnection) -> pb.CreateQuoteResponse:
            quote = await commands.create(
                tx, terms, proposer=proposer, content_sha256=digest, today=self._clock.today
            )
            return pb.CreateQuoteResponse(
                quote=write_quote(quote), review=write_review(quote.review)
            )

        return await once(self._engine, request, pb.CreateQuoteResponse, handle)

    async def ReviseQuote(
        self, request: pb.ReviseQuoteRequest, context: object
    ) -> pb.ReviseQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        terms = read_terms(request.terms)
        digest = content_sha256(request.terms)
        proposer = read_proposer()

        async def handle(tx: AsyncConnection) -> pb.ReviseQuoteResponse:
            quote = await commands.revise(
                tx,
                quote_id,
                terms,
                quote_version=request.quote_version,
                proposer=proposer,
                content_sha256=digest,
                today=self._clock.today,
            )
            return pb.ReviseQuoteResponse(
                quote=write_quote(quote), review=write_review(quote.review)
            )

        return await once(self._engine, request, pb.ReviseQuoteResponse, handle)

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
                today=self._clock.today,
            )
            contract = imported.contract
            return pb.ImportQuoteResponse(
                quote=write_quote(imported.quote),
                outcome=IMPORT_OUTCOME.write(imported.outcome),
                contract_id=None if contract is None else str(contract.contract_id),
                contract_number="" if contract is None else contract.number,
                review=write_review(imported.quote.review),
            )

        return for_caller(await once(self._engine, request, pb.ImportQuoteResponse, handle))

    async def ApproveQuote(
        self, request: pb.ApproveQuoteRequest, context: object
    ) -> pb.ApproveQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        act = read_act(self._clock.now(), request.comment)
        roles = roles_of(current_caller())

        async def handle(tx: AsyncConnection) -> pb.ApproveQuoteResponse:
            quote, contract = await decisions.approve(
                tx,
                quote_id,
                quote_version=request.quote_version,
                act=act,
                roles=roles,
                today=self._clock.today,
            )
            return pb.ApproveQuoteResponse(
                quote=write_quote(quote),
                contract=None if contract is None else write_contract(contract),
                review=write_review(quote.review),
            )

        return await once(self._engine, request, pb.ApproveQuoteResponse, handle)

    async def AcceptPriceBreaches(
        self, request: pb.AcceptPriceBreachesRequest, context: object
    ) -> pb.AcceptPriceBreachesResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        act = read_act(self._clock.now(), request.comment)
        roles = roles_of(current_caller())

        async def handle(tx: AsyncConnection) -> pb.AcceptPriceBreachesResponse:
            quote = await decisions.accept_breaches(
                tx, quote_id, quote_version=request.quote_version, act=act, roles=roles
            )
            return pb.AcceptPriceBreachesResponse(
                quote=write_quote(quote), review=write_review(quote.review)
            )

        return await once(self._engine, request, pb.AcceptPriceBreachesResponse, handle)

    async def RejectQuote(
        self, request: pb.RejectQuoteRequest, context: object
    ) -> pb.RejectQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        code = _read_code(request)

        async def handle(tx: AsyncConnection) -> pb.RejectQuoteResponse:
            quote = await decisions.reject(
                tx,
                quote_id,
                quote_version=request.quote_version,
                reason=request.reason,
                code=code,
            )
            return pb.RejectQuoteResponse(quote=write_quote(quote))

        return await once(self._engine, request, pb.RejectQuoteResponse, handle)

    async def WithdrawQuote(
        self, request: pb.WithdrawQuoteRequest, context: object
    ) -> pb.WithdrawQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        code = _read_code(request)

        async def handle(tx: AsyncConnection) -> pb.WithdrawQuoteResponse:
            quote = await decisions.withdraw(
                tx,
                quote_id,
                quote_version=request.quote_version,
                reason=request.reason,
                code=code,
            )
            return pb.WithdrawQuoteResponse(quote=write_quote(quote))

        return await once(self._engine, request, pb.WithdrawQuoteResponse, handle)

    async def AttachQuoteDocument(
        self, request: pb.AttachQuoteDocumentRequest, context: object
    ) -> pb.AttachQuoteDocumentResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        kind = read_kind(request)
        act = read_act(self._clock.now())

        async def handle(tx: AsyncConnection) -> pb.AttachQuoteDocumentResponse:
            document = await decisions.attach(
                tx,
                quote_id,
                request.content,
                quote_version=request.quote_version,
                kind=kind,
                file_name=request.file_name,
                act=act,
            )
            return pb.AttachQuoteDocumentResponse(document=write_document(document))

        return await once(self._engine, request, pb.AttachQuoteDocumentResponse, handle)


def _read_code(request: pb.RejectQuoteRequest | pb.WithdrawQuoteRequest) -> RejectionCode:
    code = read_optional_enum("reason_code", request.reason_code, REJECTION_CODE)
    return code or RejectionCode.OTHER
