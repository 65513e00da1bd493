"""TimeRuleService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import rule_set as commands
from project_provisioning.domain.rule_set import RuleSet, RuleSetKind, RuleSetStatus, scope_of
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import rule_set as queries
from project_provisioning.wire import rule_set as wire
from throughline.project_provisioning.v1 import time_rule_service_pb2 as pb
from throughline.project_provisioning.v1.time_rule_service_pb2_grpc import TimeRuleServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class TimeRuleServicer(TimeRuleServiceServicer):
    """Working-time rules."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ProposeTimeRules(
        self, request: pb.ProposeTimeRulesRequest, context: object
    ) -> pb.ProposeTimeRulesResponse:
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        scope = scope_of(entity, request.country)
        effective_from = read_date("effective_from", request.effective_from)
        rules = wire.read_time_rules("rules", request.rules)

        async def handle(tx: AsyncConnection) -> pb.ProposeTimeRulesResponse:
            proposal = RuleSet(
                rule_set_id=new_id(),
                kind=RuleSetKind.TIME,
                scope=scope,
                version=1,
                effective_from=effective_from,
                status=RuleSetStatus.DRAFT,
                rules=rules,
                proposed_by=subject_of_caller(),
                proposed_at=self._context.clock.now(),
            )
            proposed = await commands.propose(tx, proposal)
            return pb.ProposeTimeRulesResponse(time_rules=wire.write_time_rule_set(proposed))

        return await once(self._engine, request, pb.ProposeTimeRulesResponse, handle)

    async def ActivateTimeRules(
        self, request: pb.ActivateTimeRulesRequest, context: object
    ) -> pb.ActivateTimeRulesResponse:
        rule_set_id = read_uuid("time_rules_id", request.time_rules_id)

        async def handle(tx: AsyncConnection) -> pb.ActivateTimeRulesResponse:
            activated = await commands.activate(
                tx,
                RuleSetKind.TIME,
                rule_set_id,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.ActivateTimeRulesResponse(time_rules=wire.write_time_rule_set(activated))

        return await once(self._engine, request, pb.ActivateTimeRulesResponse, handle)

    async def WithdrawTimeRules(
        self, request: pb.WithdrawTimeRulesRequest, context: object
    ) -> pb.WithdrawTimeRulesResponse:
        rule_set_id = read_uuid("time_rules_id", request.time_rules_id)

        async def handle(tx: AsyncConnection) -> pb.WithdrawTimeRulesResponse:
            withdrawn = await commands.withdraw(
                tx,
                RuleSetKind.TIME,
                rule_set_id,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.WithdrawTimeRulesResponse(time_rules=wire.write_time_rule_set(withdrawn))

        return await once(self._engine, request, pb.WithdrawTimeRulesResponse, handle)

    async def GetTimeRules(
        self, request: pb.GetTimeRulesRequest, context: object
    ) -> pb.GetTimeRulesResponse:
        rule_set_id = read_uuid("time_rules_id", request.time_rules_id)
        async with read(self._engine) as tx:
            found = await queries.get_rule_set(tx, RuleSetKind.TIME, rule_set_id, sight_of_caller())
        return pb.GetTimeRulesResponse(time_rules=wire.write_time_rule_set(found))

    async def ListTimeRules(
        self, request: pb.ListTimeRulesRequest, context: object
    ) -> pb.ListTimeRulesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        async with read(self._engine) as tx:
            found, token = await queries.rule_sets(
                tx,
                RuleSetKind.TIME,
                legal_entity_id=legal_entity_id,
                country=request.country,
                status=status,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListTimeRulesResponse(
            time_rules=map(wire.write_time_rule_set, found), next_page_token=token
        )
