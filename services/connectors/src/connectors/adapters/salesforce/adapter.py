"""Brings approved quotes of a Salesforce org in: customers first, then the offers themselves."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID

from connectors.adapters.salesforce import mapping as salesforce
from connectors.adapters.salesforce import soql
from connectors.adapters.salesforce.client import Record, SalesforceClient
from connectors.adapters.salesforce.org_mapping import SalesforceMapping
from connectors.adapters.salesforce.records import read_stamp
from connectors.adapters.salesforce.refusals import QuoteUnreadable
from connectors.domain import Connection, Link
from throughline.customer_contract.v1 import customer_service_pb2 as customers_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quotes_pb
from throughline_core.errors import Aborted, Refusal, ResourceExhausted, Unavailable
from throughline_runtime.fields import write_instant

if TYPE_CHECKING:
    from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceAsyncStub
    from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceAsyncStub


# What time cures: the cursor stays before the quote, and it is read again.
_TRANSIENT: Final = (Aborted, ResourceExhausted, Unavailable)


# CPQ takes minutes at most; what does not add up after this long never will by itself.
CALCULATION_MAX: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one quote, and the links it gave."""

    source_id: str
    changed_at: datetime
    is_new: bool = False
    refusal: Refusal | None = None
    is_pending: bool = False
    links: tuple[Link, ...] = ()


class SalesforceAdapter:
    """One connected org, read on behalf of one selling legal entity."""

    def __init__(
        self,
        connection: Connection,
        client: SalesforceClient,
        customers: "CustomerServiceAsyncStub",
        quotes: "QuoteServiceAsyncStub",
    ) -> None:
        self._connection = connection
        self._mapping = SalesforceMapping.read(connection.mapping)
        self._client = client
        self._customers = customers
        self._quotes = quotes

    async def import_quotes(
        self, since: datetime | None, *, now: datetime
    ) -> AsyncIterator[Imported]:
        """Yield what became of each quote that changed since, oldest change first.

        A refusal concerns one quote and is yielded; what concerns all of them is raised.

        Raises:
            Unavailable, Aborted, ResourceExhausted: Salesforce or the owning service is out of
                reach, or busy with the same things.
            LoginRefused, QueryRefused.
        """
        async for imported in self._import(soql.changed_quotes(self._mapping, since), now):
            yield imported

    async def import_again(
        self, source_ids: Sequence[str], *, now: datetime
    ) -> AsyncIterator[Imported]:
        """Yield what became of these quotes, read anew; nothing of one that is not there any more.

        Raises like `import_quotes`.
        """
        async for imported in self._import(soql.quotes_by_id(self._mapping, source_ids), now):
            yield imported

    async def _import(self, query: str, now: datetime) -> AsyncIterator[Imported]:
        async for page in self._client.pages(query):
            for quote in page:
                lines = await self._client.all_children(quote["SBQQ__LineItems__r"])
                yield await self._import_one(quote, lines, now)

    async def _import_one(self, quote: Record, lines: list[Record], now: datetime) -> Imported:
        changed_at = read_stamp(quote)
        if not salesforce.is_calculated(quote, lines):
            if now - changed_at < CALCULATION_MAX:
                return Imported(quote["Id"], changed_at, is_pending=True)
            return Imported(quote["Id"], changed_at, refusal=salesforce.never_added_up(quote))
        try:
            return await self._bring_in(quote, lines, changed_at)
        except _TRANSIENT:
            raise
        except Refusal as refusal:
            return Imported(quote["Id"], changed_at, refusal=refusal)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            unreadable = QuoteUnreadable(
                f"quote {quote['Id']} holds a value that cannot be read: {type(error).__name__}",
                advice="look for an empty or unusual field in the quote and its lines",
            )
            return Imported(quote["Id"], changed_at, refusal=unreadable)

    async def _bring_in(self, quote: Record, lines: list[Record], changed_at: datetime) -> Imported:
        system = self._connection.name
        account = salesforce.read_customer(quote, self._mapping, system)
        account.request_id = _content_key(account)
        customer = (await self._customers.CreateCustomer(account)).customer
        terms = salesforce.read_terms(
            quote,
            lines,
            self._mapping,
            system=system,
            customer_id=customer.customer_id,
            legal_entity_id=salesforce.read_seller(
                quote, self._mapping, self._connection.legal_entity_id
            ),
        )
        offer = quotes_pb.ImportQuoteRequest(
            source=salesforce.source_ref(system, salesforce.QUOTE, quote["Id"], version=changed_at),
            number=quote["Name"],
            terms=terms,
            approval=quotes_pb.ExternalApproval(
                approver=quote["SBQQ__SalesRep__c"] or "cpq",
                approved_at=write_instant(changed_at),
            ),
        )
        offer.request_id = _content_key(offer)
        answer = await self._quotes.ImportQuote(offer)
        links = (
            Link(
                system,
                salesforce.ACCOUNT,
                account.source.object_id,
                "customer",
                UUID(customer.customer_id),
            ),
            Link(system, salesforce.QUOTE, quote["Id"], "quote", UUID(answer.quote.quote_id)),
            *(
                Link(
                    system,
                    salesforce.QUOTE_LINE,
                    line.source.object_id,
                    "quote_line",
                    UUID(line.quote_line_id),
                )
                for line in answer.quote.lines
            ),
        )
        is_new = answer.outcome != quotes_pb.IMPORT_OUTCOME_UNCHANGED
        return Imported(quote["Id"], changed_at, is_new=is_new, links=links)


def _content_key(request: customers_pb.CreateCustomerRequest | quotes_pb.ImportQuoteRequest) -> str:
    """Return the idempotency key of what a record says: read again unchanged, it is one request.

    The owner keeps a digest of what the record said last besides, which outlives the memory of
    requests: a correction made here stands until the record changes there.
    """
    return sha256(request.SerializeToString(deterministic=True)).hexdigest()
