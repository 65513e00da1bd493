"""PricePolicyService."""

from customer_contract.domain.values import PricePolicyId
from customer_contract.queries import proposals as queries
from customer_contract.wire.price_policy import write_policy
from throughline.customer_contract.v1 import price_policy_service_pb2 as pb
from throughline.customer_contract.v1.price_policy_service_pb2_grpc import (
    PricePolicyServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_uuid, read_uuid
from throughline_runtime.page import read_page

_POLICIES_A_PAGE_MAX = 50


class PricePolicyServicer(PricePolicyServiceServicer):
    """What may be offered without asking, and who has to be asked otherwise."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def GetPricePolicy(
        self, request: pb.GetPricePolicyRequest, context: object
    ) -> pb.GetPricePolicyResponse:
        policy_id = PricePolicyId(read_uuid("price_policy_id", request.price_policy_id))
        async with read(self._engine) as tx:
            policy = await queries.visible_policy(tx, policy_id, version=request.version or None)
        return pb.GetPricePolicyResponse(price_policy=write_policy(policy))

    async def ListPricePolicies(
        self, request: pb.ListPricePoliciesRequest, context: object
    ) -> pb.ListPricePoliciesResponse:
        page = read_page(request, max=_POLICIES_A_PAGE_MAX)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            policies, token = await queries.price_policies(tx, page, legal_entity_id=entity)
        return pb.ListPricePoliciesResponse(price_policies=policies, next_page_token=token)

    async def ListPricePolicyVersions(
        self, request: pb.ListPricePolicyVersionsRequest, context: object
    ) -> pb.ListPricePolicyVersionsResponse:
        page = read_page(request, max=_POLICIES_A_PAGE_MAX)
        policy_id = PricePolicyId(read_uuid("price_policy_id", request.price_policy_id))
        async with read(self._engine) as tx:
            policies, token = await queries.price_policy_versions(
                tx, page, price_policy_id=policy_id
            )
        return pb.ListPricePolicyVersionsResponse(price_policies=policies, next_page_token=token)
