"""Working-time rules and expense policies: proposed by one, activated by another."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import rule_set as domain
from project_provisioning.domain.expense_policy import ExpensePolicy, check_policy
from project_provisioning.domain.rule_set import RuleSet, RuleSetKind, Scope
from project_provisioning.domain.time_rules import TimeRules, check_rules
from project_provisioning.repository import rule_set as repository
from throughline_runtime.identity import require_entity, require_every_entity

AnyRuleSet = RuleSet[TimeRules | ExpensePolicy]


async def propose(tx: AsyncConnection, proposal: AnyRuleSet) -> AnyRuleSet:
    """Record the next version of a scope's rules, as a draft.

    Raises:
        EntityForbidden: the caller may not act for the company, or for all of them.
        RulesMalformed, PolicyMalformed: they contradict themselves.
    """
    _require_scope(proposal.scope)
    if isinstance(proposal.rules, TimeRules):
        check_rules(proposal.rules)
    else:
        check_policy(proposal.rules)
    return replace(proposal, version=await repository.add(tx, proposal))


async def activate(
    tx: AsyncConnection, kind: RuleSetKind, rule_set_id: UUID, *, by: str, at: datetime
) -> AnyRuleSet:
    """Let proposed rules hold.

    Raises:
        RuleSetNotFound, EntityForbidden, IllegalTransition, OwnProposal, StaleVersion.
    """
    rule_set = await repository.get(tx, kind, rule_set_id)
    _require_scope(rule_set.scope)
    activated = domain.activate(rule_set, by=by, at=at)
    await repository.save_decision(tx, activated)
    return activated


async def withdraw(
    tx: AsyncConnection, kind: RuleSetKind, rule_set_id: UUID, *, by: str, at: datetime
) -> AnyRuleSet:
    """Give a proposal up.

    Raises:
        RuleSetNotFound, EntityForbidden, IllegalTransition, StaleVersion.
    """
    rule_set = await repository.get(tx, kind, rule_set_id)
    _require_scope(rule_set.scope)
    withdrawn = domain.withdraw(rule_set, by=by, at=at)
    await repository.save_decision(tx, withdrawn)
    return withdrawn


def _require_scope(scope: Scope) -> None:
    if scope.legal_entity_id is None:
        require_every_entity()
    else:
        require_entity(scope.legal_entity_id)
