"""Keeps rates of exchange and sets the policies by which prices are converted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands.rate import reconsider_due
from billing_event.domain.exchange import DateRule, ExchangePolicy, Quotation, check_policy
from billing_event.domain.source import LegalEntityId
from billing_event.repository import exchange, fact
from throughline_runtime import audit
from throughline_runtime.identity import require_entity


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a policy shall say; see `ExchangePolicy`."""

    rule: DateRule
    days_max: int
    source: str
    fixed_rates: Mapping[tuple[str, str], Decimal]


async def record_rates(
    tx: AsyncConnection, quotations: Sequence[Quotation], *, at: datetime
) -> None:
    """Keep rates, and rate what waited for one; what was converted keeps its rate."""
    epoch = await fact.raise_epoch(tx)
    await exchange.add_rates(tx, quotations, epoch=epoch, at=at)
    await reconsider_due(tx, at=at)


async def set_policy(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    terms: PolicyTerms,
    *,
    by: str,
    at: datetime,
) -> ExchangePolicy:
    """Set the policy of a legal entity, and look again at what waits for a rate.

    Raises:
        EntityForbidden: it is not for the caller.
        PolicyInconsistent, UnknownCurrency: see `domain.exchange.check_policy`.
        StaleVersion: somebody else changed it first.
    """
    require_entity(legal_entity_id)
    present = (await exchange.load_policies(tx, [legal_entity_id])).get(legal_entity_id)
    policy = ExchangePolicy(
        legal_entity_id,
        1 if present is None else present.version + 1,
        terms.rule,
        terms.days_max,
        terms.source,
        terms.fixed_rates,
        by,
        at,
    )
    check_policy(policy)
    epoch = await fact.raise_epoch(tx)
    await exchange.save_policy(tx, policy, epoch=epoch)
    audit.touch(tx, legal_entity_id)
    await reconsider_due(tx, at=at)
    return policy
