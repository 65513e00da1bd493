"""BillingCalendarService."""

from typing import Final

from billing_event.domain.source import ContractId
from billing_event.queries import calendar as queries
from throughline.billing_event.v1 import billing_calendar_service_pb2 as pb
from throughline.billing_event.v1.billing_calendar_service_pb2_grpc import (
    BillingCalendarServiceServicer,
)
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import read_optional_date, read_uuid
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500
_TOKEN_KEYS: Final = 3


class BillingCalendarServicer(BillingCalendarServiceServicer):
    """What comes due of contracts."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def GetBillingCalendar(
        self, request: pb.GetBillingCalendarRequest, context: object
    ) -> pb.GetBillingCalendarResponse:
        contract_id = ContractId(read_uuid("contract_id", request.contract_id))
        wanted = queries.CalendarFilter(
            due_from=read_optional_date("due_from", request.due_from),
            due_through=read_optional_date("due_through", request.due_through),
            open_only=request.open_only,
        )
        page = read_page(request, keys=_TOKEN_KEYS, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.calendar(tx, contract_id, wanted, page)
