"""Brings purchases in and decides about them; what is approved is rated at cost plus markup."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands.lines import ContractNotFound
from billing_event.commands.rate import rate
from billing_event.domain import purchase as domain
from billing_event.domain.agreement import Agreement
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.purchase import Bought, Purchase, PurchaseId, PurchaseNotFound
from billing_event.domain.source import ContractId, SourceRef
from billing_event.repository import fact
from billing_event.repository import purchase as repository
from throughline_core.errors import Refusal
from throughline_runtime import audit
from throughline_runtime.identity import require_entity


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row: the purchase it is, whether it was added, or why it was refused."""

    purchase_id: PurchaseId | None
    is_new: bool = False
    refusal: Refusal | None = None


async def import_purchases(
    tx: AsyncConnection, rows: Sequence[Bought | Refusal], *, by: str, at: datetime
) -> list[RowResult]:
    """Keep purchases that are new, or come again mended, until a second person decides.

    A few statements for all.

    Raises:
        StaleVersion: somebody else brings one of them in at this moment.
    """
    sent = [row for row in rows if isinstance(row, Bought)]
    _, agreements = await fact.load_agreements(tx, {row.contract_id for row in sent})
    known = await repository.known_of(tx, {row.source for row in sent})
    fresh: dict[SourceRef, Purchase] = {}
    results = []
    for row in rows:
        if isinstance(row, Refusal):
            results.append(RowResult(None, refusal=row))
            continue
        before = known.get(row.source)
        try:
            require_entity(_agreement(agreements, row.contract_id).newest.legal_entity_id)
            if before is not None:
                require_entity(before.legal_entity_id)
            made = domain.record(row, agreements[row.contract_id], by=by, at=at)
            added = domain.bring(made, before, fresh.get(row.source))
        except Refusal as refusal:
            results.append(RowResult(None, refusal=refusal))
            continue
        if added is not None:
            fresh[row.source] = added
        results.append(RowResult((before or made).purchase_id, is_new=added is not None))
    if fresh:
        await repository.add(tx, list(fresh.values()))
        audit.touch(tx, *(purchase.purchase_id for purchase in fresh.values()))
    return results


async def decide(
    tx: AsyncConnection,
    purchase_ids: Collection[PurchaseId],
    status: ProposalStatus,
    *,
    by: str,
    at: datetime,
    reason: str = "",
) -> list[Purchase]:
    """Decide about purchases, all or none, or take them back; what is approved is rated.

    Raises:
        PurchaseNotFound, EntityForbidden: one is not there, or not for the caller.
        PurchaseNotOpen, RecordedByCaller, DayOutOfRange: see `domain.purchase.decide`.
    """
    found = await repository.known(tx, purchase_ids, lock=True)
    missing = set(purchase_ids) - found.keys()
    if missing:
        raise PurchaseNotFound(f"purchase {min(missing)} does not exist", field="purchase_ids")
    for purchase in found.values():
        require_entity(purchase.legal_entity_id)
    decided = [
        domain.decide(purchase, status, by=by, at=at, reason=reason) for purchase in found.values()
    ]
    await repository.save(tx, decided)
    audit.touch(tx, *found)
    if status is ProposalStatus.APPROVED:
        await rate(tx, map(domain.source_item_of, decided), at=at)
    return decided


def _agreement(agreements: dict[ContractId, Agreement], contract_id: ContractId) -> Agreement:
    agreement = agreements.get(contract_id)
    if agreement is None:
        raise ContractNotFound.of(contract_id)
    return agreement
