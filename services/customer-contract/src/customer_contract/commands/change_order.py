"""Commands on change orders; applying one makes the next version of its contract."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands.contract_parties import require_parties
from customer_contract.commands.deliverers import require_deliverers
from customer_contract.domain import change_order as domain
from customer_contract.domain.change_order_content import ChangeOrderContent, ContentOffer
from customer_contract.domain.change_order_record import ChangeOrder, Grounds
from customer_contract.domain.contract_amendment import complete_content
from customer_contract.domain.contract_terms import Amendment, Contract, Signature
from customer_contract.domain.values import ChangeOrderId, ContractId
from customer_contract.domain.versions import require_version
from customer_contract.repository import catalogue, number_series
from customer_contract.repository import change_order as change_orders
from customer_contract.repository import contract as contracts
from customer_contract.repository import legal_entity as legal_entities
from customer_contract.repository.number_series import Series
from throughline_runtime import exceptions
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

EXCEPTION_KIND: Final = "change_order"
"""Under which the exceptions queue holds change orders that could not be applied by themselves."""

Today = Callable[[str], date]
"""Tells the business date in a time zone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks a change order to say."""

    reason: str
    effective_on: date
    offer: ContentOffer


async def create(
    tx: AsyncConnection, contract_id: ContractId, wanted: Wanted, *, by: str, today: Today
) -> ChangeOrder:
    """Draft a change to a signed contract.

    Raises:
        ContractNotFound, EntityForbidden: the contract.
        CustomerNotFound, CustomerEnded, LegalEntityNotFound: whom the content names.
        ContractNotOpen, ChangesNothing, and what else `change_order.draft` refuses.
    """
    grounds = await load_grounds(tx, contract_id, today=today)
    domain.require_open(grounds.contract)
    change_order_id = ChangeOrderId(new_id())
    content = await _completed(tx, wanted, grounds, change_order_id)
    change_order = domain.draft(
        grounds,
        content,
        change_order_id=change_order_id,
        number="",
        reason=wanted.reason,
        effective_on=wanted.effective_on,
        by=by,
    )
    # Taken last: the series stays locked until the transaction ends.
    numbered = replace(change_order, number=await number_series.take(tx, Series.CHANGE_ORDER))
    await change_orders.add(tx, numbered)
    return numbered


async def update(
    tx: AsyncConnection,
    change_order_id: ChangeOrderId,
    wanted: Wanted,
    *,
    version: int,
    by: str,
    today: Today,
) -> ChangeOrder:
    """Replace what a draft says.

    Raises:
        ChangeOrderNotFound, EntityForbidden, StaleVersion: the change order.
        NotADraft: it was proposed.
        CustomerNotFound, ContractNotOpen, ChangesNothing: see `create`.
    """
    change_order = await _get(tx, change_order_id, version)
    domain.require_draft(change_order)
    grounds = await load_grounds(tx, change_order.contract_id, today=today)
    content = await _completed(tx, wanted, grounds, change_order_id)
    redrafted = domain.redraft(
        change_order,
        grounds,
        content,
        reason=wanted.reason,
        effective_on=wanted.effective_on,
        by=by,
    )
    await change_orders.save(tx, redrafted)
    return redrafted


async def propose(
    tx: AsyncConnection, change_order_id: ChangeOrderId, *, version: int, by: str, today: Today
) -> ChangeOrder:
    """Hand a change order over for approval.

    Raises:
        ChangeOrderNotFound, EntityForbidden, StaleVersion: the change order.
        IllegalTransition, ContractNotOpen, PeriodClosed, ChangesNothing: see
            `change_order.propose`.
    """
    change_order = await _get(tx, change_order_id, version)
    grounds = await load_grounds(tx, change_order.contract_id, today=today)
    proposed = domain.propose(change_order, grounds, by=by)
    await change_orders.save(tx, proposed)
    await exceptions.close(tx, EXCEPTION_KIND, [change_order_id])
    return proposed


async def approve(
    tx: AsyncConnection,
    change_order_id: ChangeOrderId,
    signature: Signature,
    *,
    version: int,
    by: str,
    at: datetime,
    today: Today,
) -> ChangeOrder:
    """Approve a proposal and announce `ChangeOrderApproved`; one whose day has come is applied.

    Raises:
        ChangeOrderNotFound, EntityForbidden, StaleVersion: the change order.
        IllegalTransition, ApprovedByProposer, DateInFuture, PeriodClosed, ChangesNothing: see
            `change_order.approve`.
    """
    change_order = await _get(tx, change_order_id, version)
    grounds = await load_grounds(tx, change_order.contract_id, today=today, holds_open=True)
    change = domain.approve(change_order, grounds, by=by, signature=signature, at=at)
    await change_orders.save_approved(tx, change)
    if not domain.is_due(change.state, grounds):
        return change.state
    applied, _ = await _apply(tx, change.state, grounds, by=by, at=at)
    return applied


async def reject(
    tx: AsyncConnection, change_order_id: ChangeOrderId, *, version: int, reason: str
) -> ChangeOrder:
    """Turn a proposal down.

    Raises:
        ChangeOrderNotFound, EntityForbidden, StaleVersion: the change order.
        IllegalTransition: it is not proposed.
    """
    rejected = domain.reject(await _get(tx, change_order_id, version), reason=reason)
    await change_orders.save(tx, rejected)
    return rejected


async def withdraw(
    tx: AsyncConnection, change_order_id: ChangeOrderId, *, version: int, reason: str
) -> ChangeOrder:
    """Take a change order back before it is applied.

    Raises:
        ChangeOrderNotFound, EntityForbidden, StaleVersion: the change order.
        IllegalTransition: it is applied or closed.
    """
    withdrawn = domain.withdraw(await _get(tx, change_order_id, version), reason=reason)
    await change_orders.save(tx, withdrawn)
    await exceptions.close(tx, EXCEPTION_KIND, [change_order_id])
    return withdrawn


async def apply(
    tx: AsyncConnection,
    change_order_id: ChangeOrderId,
    *,
    version: int,
    by: str,
    at: datetime,
    today: Today,
) -> tuple[ChangeOrder, Contract]:
    """Apply an approved change order and announce `ContractAmended`.

    Raises:
        ChangeOrderNotFound, EntityForbidden, StaleVersion: the change order.
        IllegalTransition, NotActive, NotDue, PeriodClosed, Stale: see `change_order.apply`.
    """
    change_order = await _get(tx, change_order_id, version)
    grounds = await load_grounds(tx, change_order.contract_id, today=today, holds_open=True)
    return await _apply(tx, change_order, grounds, by=by, at=at)


async def load_grounds(
    tx: AsyncConnection, contract_id: ContractId, *, today: Today, holds_open: bool = False
) -> Grounds:
    """Return what a change order to the contract is judged on.

    With `holds_open` nobody closes a period over its day before the transaction ends.

    Raises:
        ContractNotFound, EntityForbidden: the contract.
    """
    history = await contracts.history(tx, contract_id)
    contract = history[-1]
    require_entity(contract.legal_entity_id)
    get = legal_entities.hold_open if holds_open else legal_entities.get
    entity = await get(tx, contract.legal_entity_id)
    return Grounds(history, entity.closed_through, today(contract.time_zone))


async def _apply(
    tx: AsyncConnection, change_order: ChangeOrder, grounds: Grounds, *, by: str, at: datetime
) -> tuple[ChangeOrder, Contract]:
    recorded = Amendment(by, at, reason=change_order.reason)
    applied, changes = domain.apply(change_order, grounds, recorded=recorded)
    for change in changes:
        await contracts.save_amended(tx, change)
    await change_orders.save(tx, applied)
    await exceptions.close(tx, EXCEPTION_KIND, [change_order.change_order_id])
    return applied, changes[-1].state


async def _completed(
    tx: AsyncConnection, wanted: Wanted, grounds: Grounds, change_order_id: ChangeOrderId
) -> ChangeOrderContent:
    codes = (line.offer.service_code for line in wanted.offer.added)
    entries = await catalogue.entries(tx, codes)
    content = complete_content(
        wanted.offer,
        grounds.contract,
        {code: entry.defaults for code, entry in entries.items()},
        change_order_id=change_order_id,
        effective_on=wanted.effective_on,
    )
    await require_deliverers(
        tx,
        {
            f"content.added_lines[{index}].terms": one.line.delivery.legal_entity_id
            for index, one in enumerate(content.added)
        },
    )
    await _require_parties(tx, content, grounds)
    return content


async def _require_parties(
    tx: AsyncConnection, content: ChangeOrderContent, grounds: Grounds
) -> None:
    """Refuse a new bill-to customer or new payers that do not exist, or that have ended."""
    billing = grounds.contract.billing
    if content.payers is None and content.bill_to_customer_id is None:
        return
    if content.payers is not None:
        billing = replace(billing, payers=content.payers)
    if content.bill_to_customer_id is not None:
        billing = replace(billing, bill_to_customer_id=content.bill_to_customer_id)
    await require_parties(
        tx,
        billing,
        on=grounds.today,
        bill_to_field="content.bill_to_customer_id",
        payers_field="content.payers.payers",
    )


async def _get(tx: AsyncConnection, change_order_id: ChangeOrderId, version: int) -> ChangeOrder:
    change_order = await change_orders.get(tx, change_order_id)
    require_entity(change_order.legal_entity_id)
    require_version(change_order.version, version)
    return change_order
