"""ProposalService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import catalogue, price_policy, rate_card
from customer_contract.commands import proposal as commands
from customer_contract.domain.rate_card import CardDraft
from customer_contract.domain.values import LegalEntityId, ProposalId
from customer_contract.grpc_api.caller import read_act
from customer_contract.queries import proposals as queries
from customer_contract.wire.catalogue import read_defaults, read_floor_prices
from customer_contract.wire.price_policy import read_policy_rules
from customer_contract.wire.proposal import PROPOSAL_KIND, PROPOSAL_STATUS, write_proposal
from customer_contract.wire.rate_card import read_content, write_retroactive
from throughline.customer_contract.v1 import proposal_service_pb2 as pb
from throughline.customer_contract.v1.proposal_service_pb2_grpc import ProposalServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PROPOSALS_A_PAGE_MAX = 50


class ProposalServicer(ProposalServiceServicer):
    """Changes of prices before they hold."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ProposeRateCard(
        self, request: pb.ProposeRateCardRequest, context: object
    ) -> pb.ProposeRateCardResponse:
        content = read_content(request)
        act = read_act(self._clock.now(), request.comment)

        async def handle(tx: AsyncConnection) -> pb.ProposeRateCardResponse:
            proposal, day = await rate_card.propose(
                tx, content, proposed=act, today=self._clock.today
            )
            return pb.ProposeRateCardResponse(
                proposal=write_proposal(proposal),
                retroactive=write_retroactive(day, content.scope),
            )

        return await once(self._engine, request, pb.ProposeRateCardResponse, handle)

    async def ProposeService(
        self, request: pb.ProposeServiceRequest, context: object
    ) -> pb.ProposeServiceResponse:
        defaults = read_defaults(request.service)
        floors = read_floor_prices(request.service)
        act = read_act(self._clock.now(), request.comment)

        async def handle(tx: AsyncConnection) -> pb.ProposeServiceResponse:
            proposal = await catalogue.propose(
                tx,
                request.code,
                defaults,
                retired=request.service.retired,
                floor_prices=floors,
                proposed=act,
            )
            return pb.ProposeServiceResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.ProposeServiceResponse, handle)

    async def ProposePricePolicy(
        self, request: pb.ProposePricePolicyRequest, context: object
    ) -> pb.ProposePricePolicyResponse:
        rules = read_policy_rules(request)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        act = read_act(self._clock.now(), request.comment)

        async def handle(tx: AsyncConnection) -> pb.ProposePricePolicyResponse:
            proposal = await price_policy.propose(
                tx,
                rules,
                legal_entity_id=None if entity is None else LegalEntityId(entity),
                proposed=act,
            )
            return pb.ProposePricePolicyResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.ProposePricePolicyResponse, handle)

    async def PublishProposal(
        self, request: pb.PublishProposalRequest, context: object
    ) -> pb.PublishProposalResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        act = read_act(self._clock.now(), request.comment)

        async def handle(tx: AsyncConnection) -> pb.PublishProposalResponse:
            proposal, day = await commands.publish(tx, proposal_id, act, today=self._clock.today)
            content = proposal.content
            scope = content.content.scope if isinstance(content, CardDraft) else None
            return pb.PublishProposalResponse(
                proposal=write_proposal(proposal), retroactive=write_retroactive(day, scope)
            )

        return await once(self._engine, request, pb.PublishProposalResponse, handle)

    async def RejectProposal(
        self, request: pb.RejectProposalRequest, context: object
    ) -> pb.RejectProposalResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        act = read_act(self._clock.now(), request.reason)

        async def handle(tx: AsyncConnection) -> pb.RejectProposalResponse:
            proposal = await commands.reject(tx, proposal_id, act)
            return pb.RejectProposalResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.RejectProposalResponse, handle)

    async def WithdrawProposal(
        self, request: pb.WithdrawProposalRequest, context: object
    ) -> pb.WithdrawProposalResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        act = read_act(self._clock.now(), request.reason)

        async def handle(tx: AsyncConnection) -> pb.WithdrawProposalResponse:
            proposal = await commands.withdraw(tx, proposal_id, act)
            return pb.WithdrawProposalResponse(proposal=write_proposal(proposal))

        return await once(self._engine, request, pb.WithdrawProposalResponse, handle)

    async def GetProposal(
        self, request: pb.GetProposalRequest, context: object
    ) -> pb.GetProposalResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        async with read(self._engine) as tx:
            proposal = await queries.visible_proposal(tx, proposal_id)
        return pb.GetProposalResponse(proposal=write_proposal(proposal))

    async def ListProposals(
        self, request: pb.ListProposalsRequest, context: object
    ) -> pb.ListProposalsResponse:
        page = read_page(request, max=_PROPOSALS_A_PAGE_MAX)
        kind = read_optional_enum("kind", request.kind, PROPOSAL_KIND)
        status = read_optional_enum("status", request.status, PROPOSAL_STATUS)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            proposals, token = await queries.proposals(
                tx,
                page,
                kind=kind,
                status=status,
                subject=request.subject,
                legal_entity_id=entity,
            )
        return pb.ListProposalsResponse(proposals=proposals, next_page_token=token)

    async def CompareProposal(
        self, request: pb.CompareProposalRequest, context: object
    ) -> pb.CompareProposalResponse:
        proposal_id = ProposalId(read_uuid("proposal_id", request.proposal_id))
        async with read(self._engine) as tx:
            return await queries.compared_proposal(tx, proposal_id, today=self._clock.today("UTC"))
