"""ExpensePolicyService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import rule_set as commands
from project_provisioning.domain.rule_set import RuleSet, RuleSetKind, RuleSetStatus, scope_of
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import rule_set as queries
from project_provisioning.wire import rule_set as wire
from throughline.project_provisioning.v1 import expense_policy_service_pb2 as pb
from throughline.project_provisioning.v1.expense_policy_service_pb2_grpc import (
    ExpensePolicyServiceServicer,
)
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


class ExpensePolicyServicer(ExpensePolicyServiceServicer):
    """Expense policies."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ProposeExpensePolicy(
        self, request: pb.ProposeExpensePolicyRequest, context: object
    ) -> pb.ProposeExpensePolicyResponse:
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        scope = scope_of(entity, request.country)
        effective_from = read_date("effective_from", request.effective_from)
        rules = wire.read_expense_policy("rules", request.rules)

        async def handle(tx: AsyncConnection) -> pb.ProposeExpensePolicyResponse:
            proposal = RuleSet(
                rule_set_id=new_id(),
                kind=RuleSetKind.EXPENSE,
                scope=scope,
                version=1,
                effective_from=effective_from,
                status=RuleSetStatus.DRAFT,
                rules=rules,
                proposed_by=subject_of_caller(),
                proposed_at=self._context.clock.now(),
            )
            proposed = await commands.propose(tx, proposal)
            return pb.ProposeExpensePolicyResponse(
                expense_policy=wire.write_expense_policy_set(proposed)
            )

        return await once(self._engine, request, pb.ProposeExpensePolicyResponse, handle)

    async def ActivateExpensePolicy(
        self, request: pb.ActivateExpensePolicyRequest, context: object
    ) -> pb.ActivateExpensePolicyResponse:
        rule_set_id = read_uuid("expense_policy_id", request.expense_policy_id)

        async def handle(tx: AsyncConnection) -> pb.ActivateExpensePolicyResponse:
            activated = await commands.activate(
                tx,
                RuleSetKind.EXPENSE,
                rule_set_id,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.ActivateExpensePolicyResponse(
                expense_policy=wire.write_expense_policy_set(activated)
            )

        return await once(self._engine, request, pb.ActivateExpensePolicyResponse, handle)

    async def WithdrawExpensePolicy(
        self, request: pb.WithdrawExpensePolicyRequest, context: object
    ) -> pb.WithdrawExpensePolicyResponse:
        rule_set_id = read_uuid("expense_policy_id", request.expense_policy_id)

        async def handle(tx: AsyncConnection) -> pb.WithdrawExpensePolicyResponse:
            withdrawn = await commands.withdraw(
                tx,
                RuleSetKind.EXPENSE,
                rule_set_id,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.WithdrawExpensePolicyResponse(
                expense_policy=wire.write_expense_policy_set(withdrawn)
            )

        return await once(self._engine, request, pb.WithdrawExpensePolicyResponse, handle)

    async def GetExpensePolicy(
        self, request: pb.GetExpensePolicyRequest, context: object
    ) -> pb.GetExpensePolicyResponse:
        rule_set_id = read_uuid("expense_policy_id", request.expense_policy_id)
        async with read(self._engine) as tx:
            found = await queries.get_rule_set(
                tx, RuleSetKind.EXPENSE, rule_set_id, sight_of_caller()
            )
        return pb.GetExpensePolicyResponse(expense_policy=wire.write_expense_policy_set(found))

    async def ListExpensePolicies(
        self, request: pb.ListExpensePoliciesRequest, context: object
    ) -> pb.ListExpensePoliciesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        async with read(self._engine) as tx:
            found, token = await queries.rule_sets(
                tx,
                RuleSetKind.EXPENSE,
                legal_entity_id=legal_entity_id,
                country=request.country,
                status=status,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListExpensePoliciesResponse(
            expense_policies=map(wire.write_expense_policy_set, found), next_page_token=token
        )
