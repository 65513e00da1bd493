"""What entities owe each other."""

from typing import Final

from billing_event.grpc_api.fields import read_contract_id, read_item_id
from billing_event.queries import intercompany as queries
from throughline.billing_event.v1 import intercompany_service_pb2 as pb
from throughline.billing_event.v1.intercompany_service_pb2_grpc import (
    IntercompanyServiceServicer,
)
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import read_optional_date, read_optional_uuid
from throughline_runtime.identity import visible_entities
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class IntercompanyServicer(IntercompanyServiceServicer):
    """Charges of lending entities on borrowing ones."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def ListIntercompanyCharges(
        self, request: pb.ListIntercompanyChargesRequest, context: object
    ) -> pb.ListIntercompanyChargesResponse:
        wanted = queries.ChargeFilter(
            entity_ids=visible_entities(),
            lending_entity_id=read_optional_uuid(
                "lending_legal_entity_id", request.lending_legal_entity_id
            ),
            borrowing_entity_id=read_optional_uuid(
                "borrowing_legal_entity_id", request.borrowing_legal_entity_id
            ),
            contract_id=read_contract_id(request.contract_id),
            person_id=read_optional_uuid("person_id", request.person_id),
            work_from=read_optional_date("work_from", request.work_from),
            work_through=read_optional_date("work_through", request.work_through),
            source_item_id=read_item_id(request.source_item_id),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.charges(tx, wanted, page)

    async def SummarizeIntercompanyCharges(
        self, request: pb.SummarizeIntercompanyChargesRequest, context: object
    ) -> pb.SummarizeIntercompanyChargesResponse:
        wanted = queries.ChargeFilter(
            entity_ids=visible_entities(),
            lending_entity_id=read_optional_uuid(
                "lending_legal_entity_id", request.lending_legal_entity_id
            ),
            borrowing_entity_id=read_optional_uuid(
                "borrowing_legal_entity_id", request.borrowing_legal_entity_id
            ),
            contract_id=read_contract_id(request.contract_id),
            work_from=read_optional_date("work_from", request.work_from),
            work_through=read_optional_date("work_through", request.work_through),
        )
        page = read_page(request, keys=4, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.totals(tx, wanted, page)
