"""Exchange rates."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.exchange_rate import ExchangeRate, RateDiffers, check_rate
from project_provisioning.repository import exchange_rate as repository
from throughline_runtime.identity import require_every_entity


async def put_rates(
    tx: AsyncConnection, rates: Sequence[ExchangeRate], *, by: str, at: datetime
) -> int:
    """Record rates, and return how many were new; costs that were converted keep theirs.

    Raises:
        RateMalformed, UnknownCurrency: see `domain.exchange_rate.check_rate`.
        RateDiffers: another rate is recorded, or sent, for the same day and source.
        EntityForbidden: the caller is limited to some companies; rates are everybody's.
    """
    require_every_entity()
    recorded = {_key(each): each for each in await repository.known(tx, rates)}
    fresh: dict[tuple[object, ...], ExchangeRate] = {}
    for index, rate in enumerate(rates):
        field = f"rates[{index}]"
        check_rate(rate, field=field)
        before = recorded.get(_key(rate)) or fresh.get(_key(rate))
        if before is not None and before.rate != rate.rate:
            raise RateDiffers(
                f"{rate.base}/{rate.quote} of {rate.rate_on} is {before.rate} by {rate.source}",
                field=f"{field}.rate",
                advice="a published rate does not change: send a corrected one under a source of"
                " its own",
            )
        if before is None:
            fresh[_key(rate)] = rate
    await repository.add(tx, fresh.values(), by=by, at=at)
    return len(fresh)


def _key(rate: ExchangeRate) -> tuple[object, ...]:
    return rate.base, rate.quote, rate.rate_on, rate.source
