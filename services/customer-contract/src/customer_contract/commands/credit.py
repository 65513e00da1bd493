"""Commands on overrides of credit limits."""

from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import credit as domain
from customer_contract.domain.credit import Override
from customer_contract.repository import credit as repository
from customer_contract.repository import customer as customers
from throughline_runtime.clock import Clock
from throughline_runtime.identity import current_caller


async def propose(tx: AsyncConnection, override: Override, *, today: date) -> Override:
    """Write an override that waits for a second person.

    Raises:
        CustomerNotFound: whose it would be.
        LimitNotPositive, UnknownCurrency, OverrideOver: see `domain.propose`.
    """
    await customers.get(tx, override.customer_id)
    proposed = domain.propose(override, today=today)
    await repository.add(tx, proposed)
    return proposed


async def approve(tx: AsyncConnection, credit_override_id: UUID, *, clock: Clock) -> Override:
    """Let an override count.

    Raises:
        OverrideNotFound: there is none.
        OverrideSettled, OverrideOwn, OverrideOver: see `domain.approve`.
    """
    override = await repository.get(tx, credit_override_id)
    approved = domain.approve(
        override, by=current_caller().subject, at=clock.now(), today=clock.today("UTC")
    )
    await repository.save(tx, approved)
    return approved


async def revoke(
    tx: AsyncConnection, credit_override_id: UUID, *, reason: str, clock: Clock
) -> Override:
    """Turn an override down, or end it.

    Raises:
        OverrideNotFound: there is none.
        OverrideSettled: see `domain.revoke`.
    """
    override = await repository.get(tx, credit_override_id)
    revoked = domain.revoke(override, by=current_caller().subject, at=clock.now(), reason=reason)
    await repository.save(tx, revoked)
    return revoked
