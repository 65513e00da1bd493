"""Policies of the checkpoint."""

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import release
from billing_event.domain.source import LegalEntityId
from billing_event.queries import release_policy as queries
from billing_event.repository import policy
from throughline.billing_event.v1 import release_policy_service_pb2 as policy_pb
from throughline.billing_event.v1.release_policy_service_pb2_grpc import (
    ReleasePolicyServiceServicer,
)
from throughline_core.money import Money
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import read_money, read_uuid
from throughline_runtime.identity import current_caller, require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class ReleasePolicyServicer(ReleasePolicyServiceServicer):
    """Thresholds of the checkpoint."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PutReleasePolicy(
        self, request: policy_pb.PutReleasePolicyRequest, context: object
    ) -> policy_pb.PutReleasePolicyResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        threshold: Money = read_money("threshold", request.threshold)
        rules = tuple(
            queries.read_rule(f"rules[{number}]", rule) for number, rule in enumerate(request.rules)
        )
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> policy_pb.PutReleasePolicyResponse:
            changed = await release.set_policy(tx, entity_id, threshold, rules, by=by, at=at)
            return policy_pb.PutReleasePolicyResponse(
                release_policy=queries.write_policy(changed, entity_id)
            )

        return await once(self._engine, request, policy_pb.PutReleasePolicyResponse, handle)

    async def GetReleasePolicy(
        self, request: policy_pb.GetReleasePolicyRequest, context: object
    ) -> policy_pb.GetReleasePolicyResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        require_entity(entity_id)
        async with database.read(self._engine) as tx:
            found = await policy.get_policy(tx, entity_id)
        return policy_pb.GetReleasePolicyResponse(
            release_policy=queries.write_policy(found, entity_id)
        )

    async def ListReleasePolicies(
        self, request: policy_pb.ListReleasePoliciesRequest, context: object
    ) -> policy_pb.ListReleasePoliciesResponse:
        page = read_page(request)
        entities = visible_entities()
        async with database.read(self._engine) as tx:
            return await queries.release_policies(tx, page, legal_entity_ids=entities)
