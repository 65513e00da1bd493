"""invoice-payment as billing-event meets it before it takes back what was released."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import (
    BillableItemServiceServicer,
    add_BillableItemServiceServicer_to_server,
)
from throughline_core.errors import FailedPrecondition
from throughline_testing.serving import faked, serving

_UNTIL = Timestamp(seconds=1_790_000_000)


class Claimed(FailedPrecondition):
    code = "billable_item.claimed"


class SettingAside:
    """It sets items aside, or has them on a draft."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.put_back: list[list[str]] = []
        self.draft = ""

    async def set_aside(self, request: Any) -> items_pb.SetItemsAsideResponse:
        self.asked.append(list(request.billing_event_ids))
        if self.draft:
            raise Claimed(f"on draft {self.draft}", advice="void the draft first")
        return items_pb.SetItemsAsideResponse(until=_UNTIL)

    async def back(self, request: Any) -> items_pb.PutItemsBackResponse:
        assert request.until == _UNTIL
        self.put_back.append(list(request.billing_event_ids))
        return items_pb.PutItemsBackResponse()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, str]]:
        """Answer, and yield where."""
        servicer = faked(
            BillableItemServiceServicer, SetItemsAside=self.set_aside, PutItemsBack=self.back
        )
        async with serving([(add_BillableItemServiceServicer_to_server, servicer)]) as target:
            yield {"invoice-payment": target}
