"""Top-ups of retainers, proposed and decided on."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.proposal import DecisionStatus
from billing_event.domain.retainer import RetainerPeriodId
from billing_event.domain.retainer_top_up import (
    PeriodNotFound,
    RetainerTopUpId,
    TopUp,
    TopUpNotFound,
)
from billing_event.domain.source import ContractId
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime.identity import require_entity

_TOP_UP: Final = tables.retainer_top_up
_PERIOD: Final = tables.retainer_period

_WAKE: Final = text("""
    UPDATE contract_state SET epoch = :epoch WHERE contract_id = :contract_id AND epoch < :epoch
""")


async def contract_of(tx: AsyncConnection, retainer_period_id: RetainerPeriodId) -> ContractId:
    """Return the contract a period belongs to.

    Raises:
        PeriodNotFound: there is no such period.
    """
    query = select(_PERIOD.c.contract_id).where(_PERIOD.c.retainer_period_id == retainer_period_id)
    found = (await tx.execute(query)).scalar_one_or_none()
    if found is None:
        raise PeriodNotFound(
            f"period {retainer_period_id} of a retainer does not exist",
            field="retainer_period_id",
        )
    return ContractId(found)


async def add(tx: AsyncConnection, top_up: TopUp) -> None:
    """Keep a top-up that waits for a second person."""
    await tx.execute(
        insert(_TOP_UP).values(
            retainer_top_up_id=top_up.retainer_top_up_id,
            version=top_up.version,
            retainer_period_id=top_up.retainer_period_id,
            legal_entity_id=top_up.legal_entity_id,
            quantity=top_up.quantity,
            price=top_up.price.amount,
            currency=top_up.price.currency,
            status=top_up.status,
            reason=top_up.reason,
            proposed_by=top_up.proposed_by,
            proposed_at=top_up.proposed_at,
            comment=top_up.comment,
        )
    )


async def get(tx: AsyncConnection, top_up_id: RetainerTopUpId) -> TopUp:
    """Return a top-up.

    Raises:
        TopUpNotFound: there is none.
        EntityForbidden: it is not for the caller.
    """
    query = select(_TOP_UP).where(_TOP_UP.c.retainer_top_up_id == top_up_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise TopUpNotFound(f"top-up {top_up_id} does not exist", field="retainer_top_up_id")
    require_entity(row.legal_entity_id)
    return top_up_from(row)


async def approved_of(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> list[TopUp]:
    """Return all approved top-ups of the retainers of contracts, oldest first."""
    query = (
        select(_TOP_UP)
        .join(_PERIOD, _PERIOD.c.retainer_period_id == _TOP_UP.c.retainer_period_id)
        .where(_PERIOD.c.contract_id.in_(contract_ids))
        .where(_TOP_UP.c.status == DecisionStatus.APPROVED)
        .order_by(_TOP_UP.c.retainer_top_up_id)
    )
    return [top_up_from(row) for row in await tx.execute(query)]


async def save(tx: AsyncConnection, top_up: TopUp) -> None:
    """Keep how a top-up was decided on.

    Raises:
        StaleVersion: somebody else decided it first.
    """
    written = await tx.execute(
        update(_TOP_UP)
        .where(_TOP_UP.c.retainer_top_up_id == top_up.retainer_top_up_id)
        .where(_TOP_UP.c.version == top_up.version - 1)
        .values(
            version=top_up.version,
            status=top_up.status,
            decided_by=top_up.decided_by,
            decided_at=top_up.decided_at,
            comment=top_up.comment,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"top-up {top_up.retainer_top_up_id} was decided meanwhile")


async def wake(tx: AsyncConnection, contract_id: ContractId, *, epoch: int) -> None:
    """Have the held work of a contract judged again, by the facts of `epoch`."""
    await tx.execute(_WAKE, {"contract_id": contract_id, "epoch": epoch})


def top_up_from(row: Row[Any]) -> TopUp:
    """Return the top-up of a row."""
    return TopUp(
        retainer_top_up_id=row.retainer_top_up_id,
        version=row.version,
        retainer_period_id=row.retainer_period_id,
        legal_entity_id=row.legal_entity_id,
        quantity=row.quantity,
        price=Money(row.price, row.currency),
        status=DecisionStatus(row.status),
        reason=row.reason,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by or "",
        decided_at=row.decided_at,
        comment=row.comment,
    )
