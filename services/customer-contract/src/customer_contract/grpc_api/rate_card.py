"""RateCardService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import rate_card as commands
from customer_contract.domain.values import ContractLineId, RateCardId
from customer_contract.grpc_api.caller import read_act
from customer_contract.queries import price_lists as queries
from customer_contract.wire.rate_card import (
    CARD_PURPOSE,
    read_content,
    read_hour,
    write_rate_card,
    write_retroactive,
)
from throughline.customer_contract.v1 import rate_card_service_pb2 as pb
from throughline.customer_contract.v1.rate_card_service_pb2_grpc import RateCardServiceServicer
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

_CARDS_A_PAGE_MAX: Final = 50


class RateCardServicer(RateCardServiceServicer):
    """What hours cost."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PublishRateCard(
        self, request: pb.PublishRateCardRequest, context: object
    ) -> pb.PublishRateCardResponse:
        content = read_content(request)
        act = read_act(self._clock.now())

        async def handle(tx: AsyncConnection) -> pb.PublishRateCardResponse:
            published = await commands.publish_as_proposed(
                tx, content, act, today=self._clock.today
            )
            return pb.PublishRateCardResponse(
                rate_card=write_rate_card(published.card),
                retroactive=write_retroactive(published.retroactive, published.card.scope),
            )

        return await once(self._engine, request, pb.PublishRateCardResponse, handle)

    async def GetRateCard(
        self, request: pb.GetRateCardRequest, context: object
    ) -> pb.GetRateCardResponse:
        rate_card_id = RateCardId(read_uuid("rate_card_id", request.rate_card_id))
        async with read(self._engine) as tx:
            card = await queries.visible_card(tx, rate_card_id, version=request.version or None)
        return pb.GetRateCardResponse(rate_card=write_rate_card(card))

    async def ListRateCards(
        self, request: pb.ListRateCardsRequest, context: object
    ) -> pb.ListRateCardsResponse:
        page = read_page(request, max=_CARDS_A_PAGE_MAX)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        customer = read_optional_uuid("customer_id", request.customer_id)
        borrower = read_optional_uuid(
            "borrowing_legal_entity_id", request.borrowing_legal_entity_id
        )
        purpose = read_optional_enum("purpose", request.purpose, CARD_PURPOSE)
        async with read(self._engine) as tx:
            cards, token = await queries.rate_cards(
                tx,
                page,
                code=request.code,
                currency=request.currency,
                legal_entity_id=entity,
                customer_id=customer,
                purpose=purpose,
                borrowing_legal_entity_id=borrower,
            )
        return pb.ListRateCardsResponse(rate_cards=cards, next_page_token=token)

    async def ListRateCardVersions(
        self, request: pb.ListRateCardVersionsRequest, context: object
    ) -> pb.ListRateCardVersionsResponse:
        page = read_page(request, max=_CARDS_A_PAGE_MAX)
        rate_card_id = RateCardId(read_uuid("rate_card_id", request.rate_card_id))
        async with read(self._engine) as tx:
            cards, token = await queries.rate_card_versions(tx, page, rate_card_id=rate_card_id)
        return pb.ListRateCardVersionsResponse(rate_cards=cards, next_page_token=token)

    async def CompareRateCardVersions(
        self, request: pb.CompareRateCardVersionsRequest, context: object
    ) -> pb.CompareRateCardVersionsResponse:
        rate_card_id = RateCardId(read_uuid("rate_card_id", request.rate_card_id))
        async with read(self._engine) as tx:
            return await queries.compared_cards(
                tx,
                rate_card_id,
                from_version=request.from_version,
                to_version=request.to_version,
            )

    async def ResolveRate(
        self, request: pb.ResolveRateRequest, context: object
    ) -> pb.ResolveRateResponse:
        line_id = ContractLineId(read_uuid("contract_line_id", request.contract_line_id))
        hour = read_hour(request)
        known_at = read_optional_instant("known_at", request.known_at)
        async with read(self._engine) as tx:
            return await queries.resolved_rate(tx, line_id, hour, known_at=known_at)
