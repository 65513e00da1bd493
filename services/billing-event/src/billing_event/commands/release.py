"""The approval checkpoint: rows by name or by scope, and the policies of legal entities."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row as SqlRow
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import checkpoint
from billing_event.commands.lines import require_contracts
from billing_event.commands.rate import keep, make_judge
from billing_event.domain.position import (
    BillingEventId,
    BillingEventNotFound,
    EventStatus,
    Row,
)
from billing_event.domain.release import (
    ReleasePolicy,
    ReleaseRule,
    replaced,
    require_releasable,
)
from billing_event.domain.release_run import ReleaseScope
from billing_event.domain.source import LegalEntityId
from billing_event.domain.standing import Standing
from billing_event.repository import policy, standing
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.identity import require_entity

RELEASED_MAX: Final = 5_000
"""Rows one call releases."""


@dataclass(frozen=True, slots=True)
class Released:
    """What became of the rows a person wanted to release."""

    rows: Sequence[Row]
    held: int
    needs_other_person: int = 0
    has_more: bool = False

    @property
    def amounts(self) -> list[Money]:
        """The sum of the released rows, one for each currency."""
        totals: dict[str, Money] = {}
        for row in self.rows:
            amount = row.amount
            totals[amount.currency] = totals.get(amount.currency, amount - amount) + amount
        return [totals[currency] for currency in sorted(totals)]


async def release_named(
    tx: AsyncConnection,
    billing_event_ids: Collection[BillingEventId],
    *,
    by: str,
    at: datetime,
) -> Released:
    """Release exactly these rows, or none of them.

    Raises:
        BillingEventNotFound, EntityForbidden: one is not there, or not for the caller.
        NotEligible, SecondPersonRequired: see `domain.release.require_releasable`.
    """
    standings = await lock_named(tx, billing_event_ids)
    for row in rows_of(standings, billing_event_ids):
        require_releasable(row, by=by)
    return await _pass(tx, standings, billing_event_ids, by=by, at=at)


async def release_matching(
    tx: AsyncConnection, scope: ReleaseScope, *, by: str, at: datetime
) -> Released:
    """Release the eligible rows of a contract or of legal entities, as many as one call may.

    Rows whose work `by` approved are left for somebody else and counted.

    Raises:
        ContractNotFound, EntityForbidden: the contract is not there for the caller.
    """
    await require_contracts(tx, {"contract_id": scope.contract_id})
    found = await checkpoint.match(tx, scope, by=by, limit=RELEASED_MAX + 1)
    done = await release_found(tx, found[:RELEASED_MAX], by=by, at=at)
    own = await checkpoint.count_own(tx, scope, by=by)
    return Released(done.rows, done.held, own, has_more=len(found) > RELEASED_MAX)


async def release_found(
    tx: AsyncConnection, found: Sequence[SqlRow[Any]], *, by: str, at: datetime
) -> Released:
    """Release rows that were found eligible; what turns out to be held by now is counted."""
    item_ids = list({row.source_item_id: None for row in found})
    standings = await standing.lock_standings(tx, item_ids)
    return await _pass(tx, standings, {row.billing_event_id for row in found}, by=by, at=at)


async def set_policy(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    threshold: Money,
    rules: tuple[ReleaseRule, ...],
    *,
    by: str,
    at: datetime,
) -> ReleasePolicy:
    """Set the threshold of a legal entity, and the exceptions from it.

    Raises:
        EntityForbidden: it is not for the caller.
        ContractNotFound: a rule is for a contract that is not there for the caller.
        NegativeThreshold: see `domain.release.replaced`.
        StaleVersion: somebody else changed it first.
    """
    require_entity(legal_entity_id)
    await require_contracts(
        tx,
        {f"rules[{number}].contract_id": rule.contract_id for number, rule in enumerate(rules)},
    )
    present = await policy.get_policy(tx, legal_entity_id)
    changed = replaced(present, legal_entity_id, threshold, rules, by=by, at=at)
    await policy.save_policy(tx, changed)
    audit.touch(tx, legal_entity_id)
    return changed


async def _pass(
    tx: AsyncConnection,
    standings: Sequence[Standing],
    named: Collection[BillingEventId],
    *,
    by: str,
    at: datetime,
) -> Released:
    """Look at the facts once more, then let those named rows pass that nothing holds."""
    judge = await make_judge(tx, (each.item for each in standings), at=at)
    judge.decide_again(standings)
    stopped = {row.billing_event_id for row in judge.decision.changed}
    passing = [
        row
        for row in rows_of(standings, named)
        if row.billing_event_id not in stopped and row.status is EventStatus.ELIGIBLE
    ]
    judge.release(passing, by=by)
    audit.touch(tx, *(row.billing_event_id for row in passing))
    await keep(tx, judge, at=at)
    held = sum(row.billing_event_id in stopped for row in rows_of(standings, named))
    return Released(passing, held)


async def lock_named(
    tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]
) -> list[Standing]:
    """Lock the things whose rows a person names, and return where they stand.

    Raises:
        BillingEventNotFound, EntityForbidden: a row is not there, or not for the caller.
    """
    owners = await checkpoint.find(tx, billing_event_ids)
    missing = set(billing_event_ids) - owners.keys()
    if missing:
        raise BillingEventNotFound(
            f"billing event {min(missing)} does not exist", field="billing_event_ids"
        )
    for owner in owners.values():
        require_entity(owner.legal_entity_id)
    return await lock_owners(tx, owners)


async def lock_owners(
    tx: AsyncConnection, owners: Mapping[BillingEventId, SqlRow[Any]]
) -> list[Standing]:
    """Lock the things that `checkpoint.find` names for rows, and return where they stand."""
    items = list({owner.source_item_id: None for owner in owners.values()})
    return await standing.lock_standings(tx, items)


def rows_of(standings: Sequence[Standing], named: Collection[BillingEventId]) -> list[Row]:
    """Return the rows that were named, of all that these things have."""
    wanted = set(named)
    return [row for each in standings for row in each.rows if row.billing_event_id in wanted]
