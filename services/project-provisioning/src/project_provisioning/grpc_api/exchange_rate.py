"""ExchangeRateService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import exchange_rate as commands
from project_provisioning.domain.exchange_rate import DAYS_MAX_DEFAULT
from project_provisioning.grpc_api.caller import subject_of_caller
from project_provisioning.queries import exchange_rate as queries
from project_provisioning.wire import exchange_rate as wire
from throughline.project_provisioning.v1 import exchange_rate_service_pb2 as pb
from throughline.project_provisioning.v1.exchange_rate_service_pb2_grpc import (
    ExchangeRateServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    write_date,
    write_decimal,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500
_TOKEN_KEYS: Final = 4


class ExchangeRateServicer(ExchangeRateServiceServicer):
    """Exchange rates of days."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def PutExchangeRates(
        self, request: pb.PutExchangeRatesRequest, context: object
    ) -> pb.PutExchangeRatesResponse:
        rates = wire.read_rates(request.rates)

        async def handle(tx: AsyncConnection) -> pb.PutExchangeRatesResponse:
            recorded = await commands.put_rates(
                tx, rates, by=subject_of_caller(), at=self._context.clock.now()
            )
            return pb.PutExchangeRatesResponse(recorded=recorded, duplicates=len(rates) - recorded)

        return await once(self._engine, request, pb.PutExchangeRatesResponse, handle)

    async def GetExchangeRate(
        self, request: pb.GetExchangeRateRequest, context: object
    ) -> pb.GetExchangeRateResponse:
        day = read_date("rate_on", request.rate_on)
        async with read(self._engine) as tx:
            found = await queries.find(
                tx,
                request.from_currency,
                request.to_currency,
                day,
                source=request.source,
                days_max=request.days_max if request.HasField("days_max") else DAYS_MAX_DEFAULT,
            )
        return pb.GetExchangeRateResponse(
            rate=write_decimal(found.rate),
            rate_on=write_date(found.rate_on),
            source=found.source,
        )

    async def ListExchangeRates(
        self, request: pb.ListExchangeRatesRequest, context: object
    ) -> pb.ListExchangeRatesResponse:
        page = read_page(request, keys=_TOKEN_KEYS, max=_PAGE_SIZE_MAX)
        first_on = read_optional_date("first_on", request.first_on)
        before = read_optional_date("before", request.before)
        async with read(self._engine) as tx:
            rates, token = await queries.rates(
                tx,
                base=request.base,
                quote=request.quote,
                source=request.source,
                first_on=first_on,
                before=before,
                page=page,
            )
        return pb.ListExchangeRatesResponse(
            rates=map(wire.write_rate, rates), next_page_token=token
        )
