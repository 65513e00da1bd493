"""The world around connectors: vendors over real HTTP, and owners that note what they are asked."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from connectors import commands, repository, schedules
from connectors.domain import Connection, SyncState
from throughline.customer_contract.v1 import customer_pb2, quote_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as customers_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quotes_pb
from throughline.invoice_payment.v1 import payment_pb2
from throughline.invoice_payment.v1 import payment_service_pb2 as payments_pb
from throughline_core.errors import FailedPrecondition, Refusal
from throughline_core.ids import derived_id
from throughline_runtime import exceptions
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.identity import acting_as, current_caller
from throughline_simulators.testing import Simulators
from throughline_testing.serving import a_caller

INTEGRATION = a_caller("integration")

MAPPING = {
    "products": {"DISC": "DISCOVERY", "DELIVERY": "DELIVERY-TM", "SUPPORT": "MANAGED-SUPPORT"},
    "roles": {"HOUR-SENIOR": "senior_consultant", "HOUR-ANALYST": "analyst"},
    "not_to_exceed_field": "Not_To_Exceed__c",
    "tax_id_field": "VAT_Number__c",
}
FIELDS = [
    {"object": "Account", "name": "VAT_Number__c"},
    {"object": "SBQQ__QuoteLine__c", "name": "Not_To_Exceed__c", "type": "currency"},
]


def line(reference: str, number: int, code: str, **values: Any) -> dict[str, Any]:
    """Return a quote line of a product, one unit of it unless told."""
    return {
        "attributes": {"type": "SBQQ__QuoteLine__c", "referenceId": reference},
        "SBQQ__Number__c": number,
        "SBQQ__ProductCode__c": code,
        "SBQQ__ProductName__c": f"{code} product",
        "SBQQ__Quantity__c": 1,
        **values,
    }


def an_org(**quote: Any) -> list[dict[str, Any]]:
    """Return an account with one approved quote of a fixed fee, hours in a bundle and support."""
    return [
        {
            "attributes": {"type": "Account", "referenceId": "account"},
            "Name": "Nordlicht Werke GmbH",
            "CurrencyIsoCode": "EUR",
            "BillingStreet": "Hafenstrasse 12",
            "BillingCity": "Hamburg",
            "BillingPostalCode": "20457",
            "BillingCountry": "DE",
            "VAT_Number__c": "DE136695976",
        },
        {
            "attributes": {"type": "SBQQ__Quote__c", "referenceId": "quote"},
            "SBQQ__Account__c": "@account",
            "SBQQ__Status__c": "Approved",
            "SBQQ__Primary__c": True,
            "CurrencyIsoCode": "EUR",
            "SBQQ__StartDate__c": "2026-09-01",
            "SBQQ__SubscriptionTerm__c": 12,
            "SBQQ__BillingFrequency__c": "Monthly",
            "SBQQ__PaymentTerms__c": "Net 14",
            **quote,
            "SBQQ__LineItems__r": {
                "records": [
                    line("fixed", 1, "DISC", SBQQ__ListPrice__c=24000),
                    line("bundle", 2, "DELIVERY", SBQQ__ListPrice__c=0, Not_To_Exceed__c=60000),
                    line(
                        "senior",
                        3,
                        "HOUR-SENIOR",
                        SBQQ__RequiredBy__c="@bundle",
                        SBQQ__ListPrice__c=180,
                        SBQQ__Quantity__c=120,
                    ),
                    line(
                        "analyst",
                        4,
                        "HOUR-ANALYST",
                        SBQQ__RequiredBy__c="@bundle",
                        SBQQ__ListPrice__c=110,
                        SBQQ__Quantity__c=200,
                    ),
                    line(
                        "support",
                        5,
                        "SUPPORT",
                        SBQQ__ListPrice__c=30000,
                        SBQQ__SubscriptionType__c="Renewable",
                    ),
                    line("option", 6, "DISC", SBQQ__ListPrice__c=9000, SBQQ__Optional__c=True),
                ]
            },
        },
    ]


@dataclass
class Owners:
    """What the owning services were asked, and what they refuse."""

    customers: list[customers_pb.CreateCustomerRequest] = field(default_factory=list)
    quotes: list[quotes_pb.ImportQuoteRequest] = field(default_factory=list)
    payments: list[payments_pb.RecordPaymentRequest] = field(default_factory=list)
    refusal: Refusal | None = None
    systems: set[str | None] = field(default_factory=set)


@dataclass
class OwningServices:
    """Fakes of the owners' methods, over the notes in `owners`."""

    owners: Owners
    known: set[str] = field(default_factory=set)

    async def create_customer(
        self, request: customers_pb.CreateCustomerRequest
    ) -> customers_pb.CreateCustomerResponse:
        self.owners.customers.append(request)
        self.owners.systems.add(current_caller().system)
        customer_id = str(derived_id("customer", request.source.object_id))
        return customers_pb.CreateCustomerResponse(
            customer=customer_pb2.Customer(customer_id=customer_id)
        )

    async def import_quote(
        self, request: quotes_pb.ImportQuoteRequest
    ) -> quotes_pb.ImportQuoteResponse:
        self.owners.systems.add(current_caller().system)
        if self.owners.refusal is not None:
            raise self.owners.refusal
        self.owners.quotes.append(request)
        outcome = quotes_pb.IMPORT_OUTCOME_CREATED
        if request.request_id in self.known:
            outcome = quotes_pb.IMPORT_OUTCOME_UNCHANGED
        self.known.add(request.request_id)
        return quotes_pb.ImportQuoteResponse(
            outcome=outcome,
            quote=quote_pb2.Quote(
                quote_id=str(derived_id("quote", request.source.object_id)),
                lines=[
                    quote_pb2.ServiceLine(
                        quote_line_id=str(derived_id("line", line.source.object_id)),
                        source=line.source,
                    )
                    for line in request.terms.lines
                ],
            ),
        )

    async def record_payment(
        self, request: payments_pb.RecordPaymentRequest
    ) -> payments_pb.RecordPaymentResponse:
        self.owners.systems.add(current_caller().system)
        if self.owners.refusal is not None:
            raise self.owners.refusal
        self.owners.payments.append(request)
        return payments_pb.RecordPaymentResponse(payment=payment_pb2.Payment())


class NotNow(FailedPrecondition):
    """What an owner answers that cannot take something."""

    code = "test.not_now"


@dataclass
class World:
    """Everything a test of this service needs, with the shortest ways to act on it."""

    context: Context
    simulators: Simulators
    owners: Owners

    async def connect_salesforce(self, **values: Any) -> Connection:
        """Connect the simulated org for the entity DE01."""
        return await self._connect(
            Connection(
                name="salesforce",
                vendor="salesforce_cpq",
                base_url=self.simulators.salesforce_url,
                client_id="simulated-client",
                secret_ref="salesforce",
                enabled=True,
                legal_entity_id=UUID("01980000-0000-7000-8000-0000000000e1"),
                mapping=MAPPING,
                poll_seconds=60,
                version=0,
            ),
            **values,
        )

    async def connect_stripe(self, **values: Any) -> Connection:
        return await self._connect(
            Connection(
                name="stripe",
                vendor="stripe",
                base_url=self.simulators.stripe_url,
                client_id="",
                secret_ref="stripe",
                enabled=True,
                legal_entity_id=None,
                mapping={},
                poll_seconds=0,
                version=0,
            ),
            **values,
        )

    async def _connect(self, connection: Connection, **values: Any) -> Connection:
        wanted = replace(connection, **values)
        with acting_as(INTEGRATION):
            async with write(self.context.engine) as tx:
                return await commands.put_connection(tx, wanted, is_production=False)

    async def sync(self) -> SyncState:
        """Ask for a sync, run it, and return how far it came."""
        with acting_as(INTEGRATION):
            async with write(self.context.engine) as tx:
                await commands.request_sync(tx, "salesforce", at=self.context.clock.now())
        await schedules.sync(self.context)
        async with read(self.context.engine) as tx:
            return (await repository.get(tx, "salesforce", entities=None))[1]

    async def exceptions(self) -> dict[str, str]:
        """Return the open exceptions: kind and reason."""
        async with read(self.context.engine) as tx:
            items = await exceptions.page(tx, after=None, size=50)
        return {item.halt.kind: item.halt.reason for item in items}


Seed = Callable[..., Awaitable[Mapping[str, str]]]
