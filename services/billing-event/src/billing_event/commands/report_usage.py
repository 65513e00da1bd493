"""Shows usage that newer terms price though nothing of it was billed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import usage
from billing_event.domain.agreement import Agreement
from billing_event.repository import usage as repository
from throughline_runtime import exceptions

PRICED_SINCE: Final = "usage.priced_since"


async def report_priced_since(
    tx: AsyncConnection, news: Sequence[Agreement], *, at: datetime
) -> None:
    """Show closed periods that cost nothing by their own terms, and something by newer ones.

    A re-rating run goes through what was billed, and does not find them.
    """
    agreements = {each.newest.contract_id: each for each in news}
    free = await repository.closed_at_nothing(tx, agreements.keys())
    charges = await usage.charges_by(tx, free, agreements, at=at)
    priced = {each: charge for each, charge in charges.items() if not charge.amount.is_zero}
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=PRICED_SINCE,
                subject_id=item_id,
                reason=f"{free[item_id].period.description} was closed at nothing, and costs"
                f" {charge.amount} by the terms of today: {charge.explanation}",
                owner="finance",
                advice="bill it by an adjustment if the new terms are meant to reach back so far",
                legal_entity_id=free[item_id].period.legal_entity_id,
                engagement_id=free[item_id].period.engagement_id,
            )
            for item_id, charge in priced.items()
        ),
    )
    await exceptions.close(tx, PRICED_SINCE, free.keys() - priced.keys())
