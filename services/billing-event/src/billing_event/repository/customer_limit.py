"""Limits of customers over all their contracts, and proposals of higher ones."""

from typing import Any, Final

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.customer_limit import (
    AlreadyProposed,
    CustomerLimitProposalId,
    Framework,
    Proposal,
    ProposalNotFound,
)
from billing_event.domain.proposal import DecisionStatus
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime.identity import require_entity

_PROPOSAL: Final = tables.customer_limit_proposal

_AGREED: Final = text("""
    SELECT agreed FROM limit_account WHERE limit_account_id = :limit_account_id FOR UPDATE
""")


async def lock_agreed(tx: AsyncConnection, framework: Framework) -> Money | None:
    """Lock the limit of a customer and return it, None while any amount may be billed."""
    found = await tx.execute(_AGREED, {"limit_account_id": framework.limit_account_id})
    agreed = found.scalar_one_or_none()
    return None if agreed is None else Money(agreed, framework.currency)


async def add(tx: AsyncConnection, proposal: Proposal) -> None:
    """Keep a proposal that waits for a second person.

    Raises:
        AlreadyProposed: another one of the same limit waits.
    """
    values = {
        "customer_limit_proposal_id": proposal.customer_limit_proposal_id,
        "version": proposal.version,
        "limit_account_id": proposal.framework.limit_account_id,
        "customer_id": proposal.framework.customer_id,
        "legal_entity_id": proposal.framework.legal_entity_id,
        "currency": proposal.framework.currency,
        "amount": proposal.amount and proposal.amount.amount,
        "status": proposal.status,
        "reason": proposal.reason,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "comment": proposal.comment,
    }
    try:
        await tx.execute(insert(_PROPOSAL).values(**values))
    except IntegrityError as error:
        if "customer_limit_proposed_once" not in str(error.orig):
            raise
        raise AlreadyProposed(
            "another limit of this customer waits for a second person",
            advice="have it approved or rejected first",
        ) from error


async def get(tx: AsyncConnection, proposal_id: CustomerLimitProposalId) -> Proposal:
    """Return a proposal.

    Raises:
        ProposalNotFound: there is none.
        EntityForbidden: it is not for the caller.
    """
    query = select(_PROPOSAL).where(_PROPOSAL.c.customer_limit_proposal_id == proposal_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise ProposalNotFound(
            f"proposal {proposal_id} does not exist", field="customer_limit_proposal_id"
        )
    require_entity(row.legal_entity_id)
    return proposal_from(row)


async def save(tx: AsyncConnection, proposal: Proposal) -> None:
    """Keep how a proposal was decided on.

    Raises:
        StaleVersion: somebody else decided it first.
    """
    written = await tx.execute(
        update(_PROPOSAL)
        .where(_PROPOSAL.c.customer_limit_proposal_id == proposal.customer_limit_proposal_id)
        .where(_PROPOSAL.c.version == proposal.version - 1)
        .values(
            version=proposal.version,
            status=proposal.status,
            decided_by=proposal.decided_by,
            decided_at=proposal.decided_at,
            comment=proposal.comment,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"proposal {proposal.customer_limit_proposal_id} was decided meanwhile")


def proposal_from(row: Row[Any]) -> Proposal:
    """Return the proposal of a row."""
    return Proposal(
        customer_limit_proposal_id=row.customer_limit_proposal_id,
        version=row.version,
        framework=Framework(row.customer_id, row.legal_entity_id, row.currency),
        amount=None if row.amount is None else Money(row.amount, row.currency),
        status=DecisionStatus(row.status),
        reason=row.reason,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by or "",
        decided_at=row.decided_at,
        comment=row.comment,
    )
