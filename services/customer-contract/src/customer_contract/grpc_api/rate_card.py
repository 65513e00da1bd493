"""RateCardService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import rate_card as commands
from customer_contract.domain.values import ContractLineId, RateCardId
from customer_contract.queries import price_lists as queries
from customer_contract.repository import rate_card as repository
from customer_contract.wire.rate_card import read_entries, read_hour, read_scope, write_rate_card
from throughline.customer_contract.v1 import rate_card_service_pb2 as pb
from throughline.customer_contract.v1.rate_card_service_pb2_grpc import RateCardServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_instant, read_optional_uuid, read_uuid
from throughline_runtime.identity import require_entity
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_CARDS_A_PAGE_MAX: Final = 50


class RateCardServicer(RateCardServiceServicer):
    """What hours cost."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PublishRateCard(
        self, request: pb.PublishRateCardRequest, context: object
    ) -> pb.PublishRateCardResponse:
        scope = read_scope(request)
        entries = read_entries(request.entries)
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.PublishRateCardResponse:
            card = await commands.publish(
                tx, code=request.code, name=request.name, scope=scope, entries=entries, at=at
            )
            return pb.PublishRateCardResponse(rate_card=write_rate_card(card))

        return await once(self._engine, request, pb.PublishRateCardResponse, handle)

    async def GetRateCard(
        self, request: pb.GetRateCardRequest, context: object
    ) -> pb.GetRateCardResponse:
        rate_card_id = RateCardId(read_uuid("rate_card_id", request.rate_card_id))
        async with read(self._engine) as tx:
            card = await repository.get(tx, rate_card_id, version=request.version or None)
        if card.scope.legal_entity_id is not None:
            require_entity(card.scope.legal_entity_id)
        return pb.GetRateCardResponse(rate_card=write_rate_card(card))

    async def ListRateCards(
        self, request: pb.ListRateCardsRequest, context: object
    ) -> pb.ListRateCardsResponse:
        page = read_page(request, max=_CARDS_A_PAGE_MAX)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        customer = read_optional_uuid("customer_id", request.customer_id)
        async with read(self._engine) as tx:
            cards, token = await queries.rate_cards(
                tx,
                page,
                code=request.code,
                currency=request.currency,
                legal_entity_id=entity,
                customer_id=customer,
            )
        return pb.ListRateCardsResponse(rate_cards=cards, next_page_token=token)

    async def ResolveRate(
        self, request: pb.ResolveRateRequest, context: object
    ) -> pb.ResolveRateResponse:
        line_id = ContractLineId(read_uuid("contract_line_id", request.contract_line_id))
        hour = read_hour(request)
        known_at = read_optional_instant("known_at", request.known_at)
        async with read(self._engine) as tx:
            return await queries.resolved_rate(tx, line_id, hour, known_at=known_at)
