"""DataQualityService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import data_quality as commands
from customer_contract.queries import data_quality as queries
from customer_contract.wire.data_quality import RULE_OBJECT, RULE_STATUS, read_terms, write_rule
from throughline.customer_contract.v1 import data_quality_service_pb2 as pb
from throughline.customer_contract.v1.data_quality_service_pb2_grpc import (
    DataQualityServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class DataQualityServicer(DataQualityServiceServicer):
    """What the firm wants to be recorded before it goes on."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PutDataQualityRule(
        self, request: pb.PutDataQualityRuleRequest, context: object
    ) -> pb.PutDataQualityRuleResponse:
        terms = read_terms(request)

        async def handle(tx: AsyncConnection) -> pb.PutDataQualityRuleResponse:
            rule = await commands.put(tx, request.code, terms, at=self._clock.now())
            return pb.PutDataQualityRuleResponse(rule=write_rule(rule))

        return await once(self._engine, request, pb.PutDataQualityRuleResponse, handle)

    async def ActivateDataQualityRule(
        self, request: pb.ActivateDataQualityRuleRequest, context: object
    ) -> pb.ActivateDataQualityRuleResponse:
        async def handle(tx: AsyncConnection) -> pb.ActivateDataQualityRuleResponse:
            rule = await commands.activate(
                tx, request.code, rule_version=request.rule_version, at=self._clock.now()
            )
            return pb.ActivateDataQualityRuleResponse(rule=write_rule(rule))

        return await once(self._engine, request, pb.ActivateDataQualityRuleResponse, handle)

    async def RetireDataQualityRule(
        self, request: pb.RetireDataQualityRuleRequest, context: object
    ) -> pb.RetireDataQualityRuleResponse:
        async def handle(tx: AsyncConnection) -> pb.RetireDataQualityRuleResponse:
            rule = await commands.retire(
                tx, request.code, rule_version=request.rule_version, reason=request.reason
            )
            return pb.RetireDataQualityRuleResponse(rule=write_rule(rule))

        return await once(self._engine, request, pb.RetireDataQualityRuleResponse, handle)

    async def ListDataQualityRules(
        self, request: pb.ListDataQualityRulesRequest, context: object
    ) -> pb.ListDataQualityRulesResponse:
        page = read_page(request, keys=2)
        status = read_optional_enum("status", request.status, RULE_STATUS)
        object_ = read_optional_enum("object", request.object, RULE_OBJECT)
        async with read(self._engine) as tx:
            rules, token = await queries.rules(tx, page, status=status, object_=object_)
        return pb.ListDataQualityRulesResponse(rules=rules, next_page_token=token)

    async def CheckCustomers(
        self, request: pb.CheckCustomersRequest, context: object
    ) -> pb.CheckCustomersResponse:
        page = read_page(request)
        customer_id = read_optional_uuid("customer_id", request.customer_id)
        async with read(self._engine) as tx:
            return await queries.findings(
                tx, page, customer_id=customer_id, country=request.country
            )
