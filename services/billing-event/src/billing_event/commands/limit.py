"""What people say of limits: how they are enforced, and the most a customer is billed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import report_limits
from billing_event.commands.rate import reconsider_due
from billing_event.domain import customer_limit as domain
from billing_event.domain import limit_usage
from billing_event.domain.customer_limit import (
    CustomerLimitProposalId,
    Framework,
    Proposal,
)
from billing_event.domain.limit import LimitAccountId
from billing_event.domain.limit_usage import Enforcement, Usage
from billing_event.domain.proposal import DecisionStatus
from billing_event.domain.source import ContractId
from billing_event.repository import customer_limit, fact, limit, limit_setting, limit_terms
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


async def put_settings(
    tx: AsyncConnection,
    limit_account_id: LimitAccountId,
    *,
    enforcement: Enforcement,
    tolerance_percent: Decimal,
    alert_percents: Sequence[int],
    reason: str,
    by: str,
    at: datetime,
) -> None:
    """Set how a limit is enforced; what it stopped and now has room goes on.

    Raises:
        LimitNotFound, EntityForbidden: it is not there, or not for the caller.
        PaysByAmount, RepeatedThreshold: see `domain.limit_usage`.
    """
    epoch = await fact.raise_epoch(tx)
    contract_id, payer_id = await limit_setting.owner_of(tx, limit_account_id)
    contract_ids = None if contract_id is None else [contract_id]
    await limit.close_gates(tx, contract_ids)
    present = await limit_setting.lock_settings(tx, limit_account_id)
    if contract_id is not None and payer_id is not None:
        _, agreements = await fact.load_agreements(tx, [contract_id])
        paid = {each.customer_id: each.amount for each in agreements[contract_id].newest.payers}
        limit_usage.require_enforceable(
            paid.get(payer_id), enforcement=enforcement, tolerance_percent=tolerance_percent
        )
    settings = limit_usage.reset(
        present,
        enforcement=enforcement,
        tolerance_percent=tolerance_percent,
        alert_percents=alert_percents,
        reason=reason,
        by=by,
        at=at,
    )
    usage = await limit_setting.save_settings(tx, settings)
    audit.touch(tx, limit_account_id)
    await _follow(tx, usage, contract_ids, epoch=epoch, at=at)


async def put_customer_limit(
    tx: AsyncConnection,
    framework: Framework,
    amount: Money | None,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> Proposal | None:
    """Set the limit of a customer; return the proposal that waits if it takes a second person.

    Raises:
        EntityForbidden: it is not for the caller.
        UnknownCurrency, NegativeLimit, LimitUnchanged: see `domain.customer_limit`.
        AlreadyProposed: another limit waits for a second person.
    """
    require_entity(framework.legal_entity_id)
    domain.require_limit(framework, amount)
    epoch = await fact.raise_epoch(tx)
    await limit.close_gates(tx)
    present = await customer_limit.lock_agreed(tx, framework)
    audit.touch(tx, framework.limit_account_id, framework.customer_id)
    if not domain.takes_two(present, amount):
        await _put_into_force(tx, framework, amount, epoch=epoch, at=at)
        return None
    proposal = Proposal(
        customer_limit_proposal_id=CustomerLimitProposalId(new_id()),
        version=1,
        framework=framework,
        amount=amount,
        status=DecisionStatus.PROPOSED,
        reason=reason,
        proposed_by=by,
        proposed_at=at,
    )
    await customer_limit.add(tx, proposal)
    audit.touch(tx, proposal.customer_limit_proposal_id)
    return proposal


async def approve_customer_limit(
    tx: AsyncConnection,
    proposal_id: CustomerLimitProposalId,
    *,
    by: str,
    at: datetime,
    comment: str,
) -> Proposal:
    """Put a proposed limit into force.

    Raises:
        ProposalNotFound, EntityForbidden: it is not there, or not for the caller.
        IllegalTransition, OwnProposal: see `domain.customer_limit.approve`.
        StaleVersion: somebody else decided it first.
    """
    proposal = await customer_limit.get(tx, proposal_id)
    approved = domain.approve(proposal, by=by, at=at, comment=comment)
    await customer_limit.save(tx, approved)
    epoch = await fact.raise_epoch(tx)
    await limit.close_gates(tx)
    await _put_into_force(tx, approved.framework, approved.amount, epoch=epoch, at=at)
    audit.touch(tx, proposal_id, approved.framework.limit_account_id)
    return approved


async def reject_customer_limit(
    tx: AsyncConnection,
    proposal_id: CustomerLimitProposalId,
    *,
    by: str,
    at: datetime,
    comment: str,
) -> Proposal:
    """Turn a proposed limit down.

    Raises:
        ProposalNotFound, EntityForbidden: it is not there, or not for the caller.
        IllegalTransition: it was decided on before.
        StaleVersion: somebody else decided it first.
    """
    proposal = await customer_limit.get(tx, proposal_id)
    rejected = domain.reject(proposal, by=by, at=at, comment=comment)
    await customer_limit.save(tx, rejected)
    audit.touch(tx, proposal_id)
    return rejected


async def _put_into_force(
    tx: AsyncConnection, framework: Framework, amount: Money | None, *, epoch: int, at: datetime
) -> None:
    if amount is not None:
        usage = await limit_terms.put_customer_limit(tx, framework.limit(amount), at=at)
    else:
        usage = await limit_terms.lift_limit(tx, framework.limit_account_id)
    await _follow(tx, usage, None, epoch=epoch, at=at)


async def _follow(
    tx: AsyncConnection,
    usage: Usage,
    contract_ids: Collection[ContractId] | None,
    *,
    epoch: int,
    at: datetime,
) -> None:
    """Tell what a limit is used now, and judge again what it stopped.

    Under the contracts whose gates are closed, None for all.
    """
    await report_limits.report_lowered(tx, [usage])
    await report_limits.report_usage(tx, [usage], at=at)
    await limit_setting.wake(tx, usage.limit.limit_account_id, epoch=epoch)
    await reconsider_due(tx, at=at, contract_ids=contract_ids)
