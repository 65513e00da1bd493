"""CostRateService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import cost_rate as commands
from customer_contract.domain.values import CostRateCardId, LegalEntityId, ProposalId
from customer_contract.grpc_api.caller import read_act
from customer_contract.queries import cost_rates as queries
from customer_contract.wire.cost_rate import read_entries, read_hour, write_card, write_proposal
from customer_contract.wire.proposal import PROPOSAL_STATUS
from throughline.customer_contract.v1 import cost_rate_service_pb2 as pb
from throughline.customer_contract.v1.cost_rate_service_pb2_grpc import CostRateServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_optional_enum,
    read_optional_instant,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_CARDS_A_PAGE_MAX = 50


class CostRateServicer(CostRateServiceServicer):
    """What an hour of the firm's people costs."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ProposeCostRates(
        self, request: pb.ProposeCostRatesRequest, context: object
    ) -> pb.ProposeCostRatesResponse:
        entity = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        entries = read_entries(request.entries)
        act = read_act(self._clock.now(), request.comment)

        async def handle(tx: AsyncConnection) -> pb.ProposeCostRatesResponse:
            proposal = await commands.propose(tx, entity, entries, proposed=act)
            return pb.ProposeCostRatesResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.ProposeCostRatesResponse, handle)

    async def PublishCostRates(
        self, request: pb.PublishCostRatesRequest, context: object
    ) -> pb.PublishCostRatesResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        act = read_act(self._clock.now(), request.comment)

        async def handle(tx: AsyncConnection) -> pb.PublishCostRatesResponse:
            proposal = await commands.publish(tx, proposal_id, act)
            return pb.PublishCostRatesResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.PublishCostRatesResponse, handle)

    async def RejectCostRates(
        self, request: pb.RejectCostRatesRequest, context: object
    ) -> pb.RejectCostRatesResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        act = read_act(self._clock.now(), request.reason)

        async def handle(tx: AsyncConnection) -> pb.RejectCostRatesResponse:
            proposal = await commands.reject(tx, proposal_id, act)
            return pb.RejectCostRatesResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.RejectCostRatesResponse, handle)

    async def WithdrawCostRates(
        self, request: pb.WithdrawCostRatesRequest, context: object
    ) -> pb.WithdrawCostRatesResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        act = read_act(self._clock.now(), request.reason)

        async def handle(tx: AsyncConnection) -> pb.WithdrawCostRatesResponse:
            proposal = await commands.withdraw(tx, proposal_id, act)
            return pb.WithdrawCostRatesResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.WithdrawCostRatesResponse, handle)

    async def ListCostRateProposals(
        self, request: pb.ListCostRateProposalsRequest, context: object
    ) -> pb.ListCostRateProposalsResponse:
        page = read_page(request, max=_CARDS_A_PAGE_MAX)
        status = read_optional_enum("status", request.status, PROPOSAL_STATUS)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            proposals, token = await queries.proposals(
                tx, page, status=status, legal_entity_id=entity
            )
        return pb.ListCostRateProposalsResponse(proposals=proposals, next_page_token=token)

    async def GetCostRateCard(
        self, request: pb.GetCostRateCardRequest, context: object
    ) -> pb.GetCostRateCardResponse:
        card_id = CostRateCardId(read_uuid("cost_rate_card_id", request.cost_rate_card_id))
        async with read(self._engine) as tx:
            card = await queries.visible_card(tx, card_id, version=request.version or None)
        return pb.GetCostRateCardResponse(cost_rate_card=write_card(card))

    async def ListCostRateCards(
        self, request: pb.ListCostRateCardsRequest, context: object
    ) -> pb.ListCostRateCardsResponse:
        page = read_page(request, max=_CARDS_A_PAGE_MAX)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            cards, token = await queries.cards(tx, page, legal_entity_id=entity)
        return pb.ListCostRateCardsResponse(cost_rate_cards=cards, next_page_token=token)

    async def ListCostRateCardVersions(
        self, request: pb.ListCostRateCardVersionsRequest, context: object
    ) -> pb.ListCostRateCardVersionsResponse:
        page = read_page(request, max=_CARDS_A_PAGE_MAX)
        card_id = CostRateCardId(read_uuid("cost_rate_card_id", request.cost_rate_card_id))
        async with read(self._engine) as tx:
            cards, token = await queries.card_versions(tx, page, cost_rate_card_id=card_id)
        return pb.ListCostRateCardVersionsResponse(cost_rate_cards=cards, next_page_token=token)

    async def ResolveCostRate(
        self, request: pb.ResolveCostRateRequest, context: object
    ) -> pb.ResolveCostRateResponse:
        entity = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        hour = read_hour(request)
        known_at = read_optional_instant("known_at", request.known_at)
        async with read(self._engine) as tx:
            return await queries.resolved_cost(tx, entity, hour, known_at=known_at)
