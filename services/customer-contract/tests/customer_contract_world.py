"""A firm with one German company, its customer and its catalogue, reached over gRPC only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import grpc
from customer_contract_builders import a_quote
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.common.v1.address_pb2 import PostalAddress
from throughline.common.v1.money_pb2 import Money
from throughline.common.v1.source_pb2 import SourceRef
from throughline.customer_contract.v1 import catalogue_service_pb2 as catalogue_pb
from throughline.customer_contract.v1 import change_order_service_pb2 as change_order_pb
from throughline.customer_contract.v1 import (
    contract_pb2,
    customer_pb2,
    legal_entity_pb2,
    quote_pb2,
    rate_card_pb2,
)
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import customer_service_pb2 as customer_pb
from throughline.customer_contract.v1 import legal_entity_service_pb2 as entity_pb
from throughline.customer_contract.v1 import price_policy_service_pb2 as policy_pb
from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline.customer_contract.v1 import rate_card_service_pb2 as card_pb
from throughline.customer_contract.v1.catalogue_service_pb2_grpc import CatalogueServiceStub
from throughline.customer_contract.v1.change_order_service_pb2_grpc import ChangeOrderServiceStub
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline.customer_contract.v1.cost_rate_service_pb2_grpc import CostRateServiceStub
from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceStub
from throughline.customer_contract.v1.legal_entity_service_pb2_grpc import LegalEntityServiceStub
from throughline.customer_contract.v1.price_policy_service_pb2_grpc import PricePolicyServiceStub
from throughline.customer_contract.v1.proposal_service_pb2_grpc import ProposalServiceStub
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceStub
from throughline.customer_contract.v1.rate_card_service_pb2_grpc import RateCardServiceStub
from throughline.operations.v1.operations_service_pb2 import ListAuditEntriesRequest
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline_runtime.identity import Caller
from throughline_testing.serving import Running, a_caller

if TYPE_CHECKING:  # The classes exist in the stubs only.
    from throughline.customer_contract.v1.catalogue_service_pb2_grpc import (
        CatalogueServiceAsyncStub,
    )
    from throughline.customer_contract.v1.change_order_service_pb2_grpc import (
        ChangeOrderServiceAsyncStub,
    )
    from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceAsyncStub
    from throughline.customer_contract.v1.cost_rate_service_pb2_grpc import CostRateServiceAsyncStub
    from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceAsyncStub
    from throughline.customer_contract.v1.legal_entity_service_pb2_grpc import (
        LegalEntityServiceAsyncStub,
    )
    from throughline.customer_contract.v1.price_policy_service_pb2_grpc import (
        PricePolicyServiceAsyncStub,
    )
    from throughline.customer_contract.v1.proposal_service_pb2_grpc import ProposalServiceAsyncStub
    from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceAsyncStub
    from throughline.customer_contract.v1.rate_card_service_pb2_grpc import RateCardServiceAsyncStub

SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CONNECTOR: Final = Caller.service("connectors")

StubT = TypeVar("StubT")
_request_ids: Final = count(1)


def a_request_id() -> str:
    return f"request-{next(_request_ids)}"


def eur(amount: str) -> Money:
    return Money(amount=amount, currency="EUR")


BERLIN: Final = PostalAddress(
    lines=["Torstraße 140"], city="Berlin", postal_code="10119", country="DE"
)


def entity_request(**changes: Any) -> entity_pb.CreateLegalEntityRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "code": "DE01",
        "name": "Morgenstern Consulting GmbH",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "address": BERLIN,
        "tax_id": "DE136695976",
    }
    return entity_pb.CreateLegalEntityRequest(**values | changes)


def customer_request(**changes: Any) -> customer_pb.CreateCustomerRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "name": "Nordwind Logistik GmbH",
        "address": BERLIN,
        "tax_id": "DE284917655",
        "payment_terms_days": 30,
        "currency": "EUR",
        "billing_email": "accounts@nordwind.example",
    }
    return customer_pb.CreateCustomerRequest(**values | changes)


def service_request(
    code: str, model: "quote_pb2.BillingModel.ValueType", template_code: str, **changes: Any
) -> catalogue_pb.PutServiceRequest:
    values: dict[str, Any] = {"tax_category": "professional_services", "name": code.title()}
    return catalogue_pb.PutServiceRequest(
        request_id=a_request_id(),
        code=code,
        billing_model=model,
        template_code=template_code,
        **values | changes,
    )


def sampled_services() -> list[catalogue_pb.PutServiceRequest]:
    """Return the catalogue that the lines of the samples are sold from."""
    return [
        service_request(
            "DISCOVERY-FF",
            quote_pb2.BILLING_MODEL_FIXED_FEE,
            "discovery",
            milestones=[
                quote_pb2.MilestonePlan(key="kickoff", name="Kickoff", share_percent="40"),
                quote_pb2.MilestonePlan(key="final", name="Final report", share_percent="60"),
            ],
        ),
        service_request("ADVISORY-TM", quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS, "advisory"),
        service_request(
            "SUPPORT-MS", quote_pb2.BILLING_MODEL_RECURRING, "managed_service", anchor_day=1
        ),
        service_request(
            "EXPENSES-PT", quote_pb2.BILLING_MODEL_PASS_THROUGH, "pass_through", markup_percent="5"
        ),
    ]


def sampled_lines() -> list[quote_pb.QuoteLineTerms]:
    """Return the lines of the samples as a connector sends them: the catalogue says the rest."""
    rates = [
        quote_pb2.LineRate(
            role=rate.role,
            hourly_rate=eur(str(rate.hourly_rate.amount)),
            planned_hours=str(rate.planned_hours),
        )
        for rate in a_quote().lines[1].terms.rates
    ]
    return [
        quote_pb.QuoteLineTerms(
            service_code=line.service_code,
            description=line.description,
            quantity=str(line.quantity),
            unit_price=eur(str(line.unit_price.amount)),
            net_total=eur(str(line.net_total.amount)),
            rates=rates if line.position == 2 else [],
            not_to_exceed=eur("60000.00") if line.position == 2 else None,
            source=SourceRef(
                system="salesforce", object_type="QuoteLine", object_id=f"line-{line.position}"
            ),
        )
        for line in a_quote().lines
    ]


@dataclass(frozen=True, slots=True)
class World:
    """The service, and the ids of what everybody needs."""

    running: Running
    engine: AsyncEngine
    entity: legal_entity_pb2.LegalEntity
    customer: customer_pb2.Customer

    def entities(self, **caller: Any) -> "LegalEntityServiceAsyncStub":
        return self._stub(LegalEntityServiceStub, a_caller("finance", **caller))

    def customers(self, **caller: Any) -> "CustomerServiceAsyncStub":
        return self._stub(CustomerServiceStub, a_caller("finance", **caller))

    def catalogue(self, **caller: Any) -> "CatalogueServiceAsyncStub":
        return self._stub(CatalogueServiceStub, a_caller("sales_operations", **caller))

    def cards(self, **caller: Any) -> "RateCardServiceAsyncStub":
        return self._stub(RateCardServiceStub, a_caller("sales_operations", **caller))

    def proposals(self, **caller: Any) -> "ProposalServiceAsyncStub":
        return self._stub(ProposalServiceStub, a_caller("finance", **caller))

    def policies(self, **caller: Any) -> "PricePolicyServiceAsyncStub":
        return self._stub(PricePolicyServiceStub, a_caller("finance", **caller))

    def costs(self, *roles: str, **caller: Any) -> "CostRateServiceAsyncStub":
        return self._stub(CostRateServiceStub, a_caller(*(roles or ("finance",)), **caller))

    def approvals(self, *roles: str, subject: str) -> "QuoteServiceAsyncStub":
        return self._stub(QuoteServiceStub, a_caller(*roles, subject=subject))

    def quotes(self, **caller: Any) -> "QuoteServiceAsyncStub":
        return self._stub(QuoteServiceStub, a_caller("sales_operations", **caller))

    def contracts(self, **caller: Any) -> "ContractServiceAsyncStub":
        return self._stub(ContractServiceStub, a_caller("sales_operations", **caller))

    def change_orders(self, **caller: Any) -> "ChangeOrderServiceAsyncStub":
        return self._stub(ChangeOrderServiceStub, a_caller("sales_operations", **caller))

    def imports(self, caller: Caller = CONNECTOR) -> "QuoteServiceAsyncStub":
        return self._stub(QuoteServiceStub, caller)

    def _stub(self, stub_class: Callable[[grpc.aio.Channel], StubT], caller: Caller) -> StubT:
        return self.running.stub(stub_class, caller=caller)

    def terms(self, **changes: Any) -> quote_pb.QuoteTerms:
        values: dict[str, Any] = {
            "customer_id": self.customer.customer_id,
            "legal_entity_id": self.entity.legal_entity_id,
            "currency": "EUR",
            "start_on": "2026-09-01",
            "end_on": "2027-09-01",
            "lines": sampled_lines(),
        }
        return quote_pb.QuoteTerms(**values | changes)

    def import_request(
        self, source: str = "quote-1", *, approved: bool = True, **changes: Any
    ) -> quote_pb.ImportQuoteRequest:
        request = quote_pb.ImportQuoteRequest(
            request_id=a_request_id(),
            source=SourceRef(system="salesforce", object_type="Quote", object_id=source),
            number="Q-00412",
            terms=self.terms(**changes),
        )
        if approved:
            request.approval.approver = "0055g000009SalesAAW"
            request.approval.approved_at.FromJsonString("2026-08-20T09:30:00Z")
        return request

    async def created_quote(self, **changes: Any) -> quote_pb2.Quote:
        """Write an offer as olga."""
        reply = await self.quotes(subject="olga").CreateQuote(
            quote_pb.CreateQuoteRequest(request_id=a_request_id(), terms=self.terms(**changes))
        )
        return reply.quote

    async def a_draft(self, source: str = "quote-1", **changes: Any) -> contract_pb2.Contract:
        """Import an approved quote and return the contract drafted from it."""
        reply = await self.imports().ImportQuote(self.import_request(source, **changes))
        return await self.contract(reply.contract_id)

    async def a_signed(self, source: str = "quote-1", **changes: Any) -> contract_pb2.Contract:
        draft = await self.a_draft(source, **changes)
        reply = await self.contracts().SignContract(self.signature_of(draft.contract_id))
        return reply.contract

    async def an_active(self, source: str = "quote-1", **changes: Any) -> contract_pb2.Contract:
        signed = await self.a_signed(source, **changes)
        reply = await self.contracts().ActivateContract(
            contract_pb.ActivateContractRequest(
                request_id=a_request_id(),
                contract_id=signed.contract_id,
                activate_on="2026-09-01",
            )
        )
        return reply.contract

    async def contract(self, contract_id: str, **point: Any) -> contract_pb2.Contract:
        reply = await self.contracts().GetContract(
            contract_pb.GetContractRequest(contract_id=contract_id, **point)
        )
        return reply.contract

    def signature_of(self, contract_id: str) -> contract_pb.SignContractRequest:
        return contract_pb.SignContractRequest(
            request_id=a_request_id(),
            contract_id=contract_id,
            document_sha256=SHA256,
            signatory="Jonas Petersen",
            signed_on="2026-08-24",
        )

    def change_request(
        self, contract: contract_pb2.Contract, effective_on: str, **content: Any
    ) -> change_order_pb.CreateChangeOrderRequest:
        return change_order_pb.CreateChangeOrderRequest(
            request_id=a_request_id(),
            contract_id=contract.contract_id,
            reason="agreed in the steering committee",
            effective_on=effective_on,
            content=change_order_pb.ChangeOrderContent(**content),
        )

    async def a_proposal(
        self, contract: contract_pb2.Contract, effective_on: str, **content: Any
    ) -> change_order_pb.ChangeOrder:
        """Draft and propose a change as olga."""
        olga = self.change_orders(subject="olga")
        draft = await olga.CreateChangeOrder(self.change_request(contract, effective_on, **content))
        proposed = await olga.ProposeChangeOrder(
            change_order_pb.ProposeChangeOrderRequest(
                request_id=a_request_id(), change_order_id=draft.change_order.change_order_id
            )
        )
        return proposed.change_order

    def approval_of(
        self, change_order: change_order_pb.ChangeOrder, signed_on: str = "2026-09-25"
    ) -> change_order_pb.ApproveChangeOrderRequest:
        return change_order_pb.ApproveChangeOrderRequest(
            request_id=a_request_id(),
            change_order_id=change_order.change_order_id,
            signature=change_order_pb.ChangeOrderSignature(
                signatory="Jonas Petersen", signed_on=signed_on, document_sha256=SHA256
            ),
        )

    def card_request(
        self, *entries: rate_card_pb2.RateCardEntry, **changes: Any
    ) -> card_pb.PublishRateCardRequest:
        values: dict[str, Any] = {
            "request_id": a_request_id(),
            "code": "RC-DE-2026",
            "name": "Germany",
            "currency": "EUR",
            "legal_entity_id": self.entity.legal_entity_id,
            "entries": entries or [a_rate("consultant", "150.00")],
        }
        return card_pb.PublishRateCardRequest(**values | changes)

    async def publish_card(
        self, request: card_pb.PublishRateCardRequest, *, publisher: str = "paul"
    ) -> card_pb.PublishRateCardResponse:
        """Let olga propose the card and somebody else publish it."""
        await self.propose_card(request)
        return await self.cards(subject=publisher).PublishRateCard(request)

    async def propose_card(
        self, request: card_pb.PublishRateCardRequest
    ) -> proposal_pb.ProposeRateCardResponse:
        proposals = self.proposals(subject="olga")
        return await proposals.ProposeRateCard(self.card_proposal(request))

    def card_proposal(
        self, request: card_pb.PublishRateCardRequest
    ) -> proposal_pb.ProposeRateCardRequest:
        """Return the proposal that publishing by this request needs."""
        return proposal_pb.ProposeRateCardRequest(
            request_id=a_request_id(),
            code=request.code,
            name=request.name,
            currency=request.currency,
            legal_entity_id=request.legal_entity_id or None,
            customer_id=request.customer_id or None,
            entries=request.entries,
            multipliers=request.multipliers,
            purpose=request.purpose,
            borrowing_legal_entity_id=request.borrowing_legal_entity_id or None,
        )

    async def put_into_force(self, proposal: proposal_pb.Proposal) -> proposal_pb.Proposal:
        """Let frieda publish what somebody else has proposed."""
        reply = await self.proposals(subject="frieda").PublishProposal(
            proposal_pb.PublishProposalRequest(
                request_id=a_request_id(), proposal_id=proposal.proposal_id
            )
        )
        return reply.proposal

    async def a_policy(self, **rules: Any) -> policy_pb.PricePolicy:
        """Put a price policy of the company into force."""
        values: dict[str, Any] = {"legal_entity_id": self.entity.legal_entity_id}
        reply = await self.proposals(subject="olga").ProposePricePolicy(
            proposal_pb.ProposePricePolicyRequest(request_id=a_request_id(), **values | rules)
        )
        return (await self.put_into_force(reply.proposal)).price_policy

    async def events(self) -> list[str]:
        """Return the subjects of what is queued to be published, in order."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(text("SELECT subject FROM outbox ORDER BY position"))
            return [subject.removeprefix("customer_contract.") for subject in rows.scalars()]

    async def audited(self, aggregate_id: str) -> list[str]:
        """Return the methods that the audit names for an object, in order."""
        operations = self._stub(OperationsServiceStub, a_caller("auditor"))
        reply = await operations.ListAuditEntries(
            ListAuditEntriesRequest(aggregate_id=aggregate_id)
        )
        return [entry.method.rpartition(".")[2] for entry in reversed(reply.entries)]

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            return int(
                (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            )


def a_rate(role: str, amount: str, **changes: Any) -> rate_card_pb2.RateCardEntry:
    values: dict[str, Any] = {"role": role, "valid_from": "2026-01-01"}
    return rate_card_pb2.RateCardEntry(**values | changes, hourly_rate=eur(amount))


async def found(running: Running, engine: AsyncEngine) -> World:
    """Record the company, its customer and its catalogue."""
    finance = a_caller("finance")
    entities = running.stub(LegalEntityServiceStub, caller=finance)
    customers = running.stub(CustomerServiceStub, caller=finance)
    catalogue = running.stub(CatalogueServiceStub, caller=finance)
    entity = (await entities.CreateLegalEntity(entity_request())).legal_entity
    customer = (await customers.CreateCustomer(customer_request())).customer
    for service in sampled_services():
        await catalogue.PutService(service)
    return World(running, engine, entity, customer)


def ids_of(*values: str) -> Sequence[UUID]:
    return [UUID(value) for value in values]
