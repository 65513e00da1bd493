"""Commands on the service catalogue; what concerns prices takes two persons."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import catalogue as domain
from customer_contract.domain import proposal as proposals
from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.proposal import Act, Proposal
from customer_contract.domain.service_line import LineDefaults
from customer_contract.domain.values import ProposalId
from customer_contract.repository import catalogue as repository
from customer_contract.repository.proposal import PRICES
from customer_contract.wire.proposal import Content
from throughline_core.money import Money
from throughline_runtime.identity import require_every_entity
from throughline_runtime.ids import new_id


async def put(
    tx: AsyncConnection, code: str, defaults: LineDefaults, *, retired: bool, by: str, at: datetime
) -> CatalogueEntry:
    """Add the service, or bring it to this content.

    Raises:
        InvalidArgument, SecondPersonNeeded: see `domain.put`.
        StaleVersion: another writer changed it first; safe to retry.
    """
    current = await _find(tx, code)
    entry = domain.put(current, code=code, defaults=defaults, retired=retired, by=by, at=at)
    if entry is not current:
        await _write(tx, current, entry)
    return entry


async def propose(
    tx: AsyncConnection,
    code: str,
    defaults: LineDefaults,
    *,
    retired: bool,
    floor_prices: Iterable[Money],
    proposed: Act,
) -> Proposal[Content]:
    """Propose what the service is to be.

    Raises:
        EntityForbidden: the caller is limited to some legal entities; the catalogue is everybody's.
        InvalidArgument, ServiceUnchanged: see `domain.draft`.
    """
    require_every_entity()
    current = await _find(tx, code)
    draft = domain.draft(
        current, code=code, defaults=defaults, retired=retired, floor_prices=floor_prices
    )
    proposal: Proposal[Content] = proposals.propose(
        ProposalId(new_id()),
        draft,
        subject=code,
        legal_entity_id=None,
        base_version=0 if current is None else current.version,
        proposed=proposed,
    )
    await PRICES.add(tx, proposal)
    return proposal


async def publish(
    tx: AsyncConnection, proposal: Proposal[Content], draft: CatalogueEntry, decided: Act
) -> Proposal[Content]:
    """Put a proposed version into force.

    Raises:
        PublishedByProposer, Overtaken, IllegalTransition: see `proposals.publish`.
        EntityForbidden: the caller is limited to some legal entities.
        StaleVersion: another writer was faster; safe to retry.
    """
    require_every_entity()
    current = await _find(tx, draft.code)
    published = proposals.publish(
        proposal, decided, latest_version=0 if current is None else current.version
    )
    entry = domain.publish(
        draft, proposed_by=proposal.proposed.by, published_by=decided.by, at=decided.at
    )
    await PRICES.save(tx, published)
    await _write(tx, current, entry)
    return published


async def _find(tx: AsyncConnection, code: str) -> CatalogueEntry | None:
    return (await repository.entries(tx, [code])).get(code)


async def _write(
    tx: AsyncConnection, current: CatalogueEntry | None, entry: CatalogueEntry
) -> None:
    if current is None:
        await repository.add(tx, entry)
    else:
        await repository.save(tx, entry)
