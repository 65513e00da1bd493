"""What QuoteService answers without changing anything."""

from customer_contract.domain.values import QuoteId
from customer_contract.grpc_api.cost_figures import for_caller
from customer_contract.queries import quotes as queries
from customer_contract.repository import quote_document as documents
from customer_contract.wire.price_policy import APPROVER_ROLE
from customer_contract.wire.quote import QUOTE_STATUS, write_quote
from customer_contract.wire.quote_document import write_document
from customer_contract.wire.quote_review import write_review
from throughline.customer_contract.v1 import quote_service_pb2 as pb
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.page import read_page


class QuoteReading(QuoteServiceServicer):
    """The reads of `QuoteServicer`."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def GetQuote(self, request: pb.GetQuoteRequest, context: object) -> pb.GetQuoteResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        async with read(self._engine) as tx:
            quote = await queries.visible_quote(
                tx, quote_id, quote_version=request.quote_version or None
            )
        return for_caller(
            pb.GetQuoteResponse(quote=write_quote(quote), review=write_review(quote.review))
        )

    async def ListQuotes(
        self, request: pb.ListQuotesRequest, context: object
    ) -> pb.ListQuotesResponse:
        page = read_page(request, max=100)
        customer = read_optional_uuid("customer_id", request.customer_id)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, QUOTE_STATUS)
        role = read_optional_enum("awaiting_role", request.awaiting_role, APPROVER_ROLE)
        async with read(self._engine) as tx:
            quotes, token = await queries.quotes(
                tx,
                page,
                customer_id=customer,
                legal_entity_id=entity,
                status=status,
                number=request.number,
                awaiting_role=role,
                breaching=request.breaching,
            )
        return for_caller(pb.ListQuotesResponse(quotes=quotes, next_page_token=token))

    async def ListQuoteVersions(
        self, request: pb.ListQuoteVersionsRequest, context: object
    ) -> pb.ListQuoteVersionsResponse:
        page = read_page(request, max=100)
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        async with read(self._engine) as tx:
            quotes, token = await queries.quote_versions(tx, page, quote_id=quote_id)
        return for_caller(pb.ListQuoteVersionsResponse(quotes=quotes, next_page_token=token))

    async def ListQuoteApprovals(
        self, request: pb.ListQuoteApprovalsRequest, context: object
    ) -> pb.ListQuoteApprovalsResponse:
        page = read_page(request, keys=2)
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        async with read(self._engine) as tx:
            approvals, token = await queries.quote_approvals(tx, page, quote_id=quote_id)
        return pb.ListQuoteApprovalsResponse(approvals=approvals, next_page_token=token)

    async def CompareQuoteVersions(
        self, request: pb.CompareQuoteVersionsRequest, context: object
    ) -> pb.CompareQuoteVersionsResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        async with read(self._engine) as tx:
            compared = await queries.compared(
                tx,
                quote_id,
                from_version=request.from_version,
                to_version=request.to_version,
            )
        return for_caller(compared)

    async def ListQuoteDocuments(
        self, request: pb.ListQuoteDocumentsRequest, context: object
    ) -> pb.ListQuoteDocumentsResponse:
        page = read_page(request, keys=2, max=100)
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        async with read(self._engine) as tx:
            found, token = await queries.quote_documents(
                tx, page, quote_id=quote_id, quote_version=request.quote_version
            )
        return pb.ListQuoteDocumentsResponse(documents=found, next_page_token=token)

    async def GetQuoteDocument(
        self, request: pb.GetQuoteDocumentRequest, context: object
    ) -> pb.GetQuoteDocumentResponse:
        quote_id = QuoteId(read_uuid("quote_id", request.quote_id))
        digest = bytes.fromhex(request.sha256)
        async with read(self._engine) as tx:
            await queries.visible_quote(tx, quote_id)
            document, content = await documents.get(tx, quote_id, digest)
        return pb.GetQuoteDocumentResponse(document=write_document(document), content=content)
