"""What the service does about other services' events, and which it listens to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.bulk import items, netting
from invoice_payment.domain.item import BillableItem
from invoice_payment.domain.journal import Recognised, post_release
from invoice_payment.repository import journal, master
from invoice_payment.wire import incoming
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractActivated,
    ContractAmended,
    ContractCompleted,
    ContractLimitChanged,
    ContractTerminated,
    CustomerRecorded,
    LegalEntityRecorded,
)
from throughline_core.money import Money
from throughline_runtime.subscription import Subscription


async def keep_entities(tx: AsyncConnection, events: Sequence[LegalEntityRecorded]) -> None:
    """A legal entity is known, has its accounts, and what was released before it is recognised."""
    entities = [incoming.read_entity(event.legal_entity) for event in events]
    ids = {entity.party.party_id for entity in entities}
    await master.lock_arrivals(tx)
    new = ids - (await master.entities(tx, ids)).keys()
    await master.put_entities(tx, entities)
    if new:
        await journal.seed_accounts(tx, new)
        await _recognise(tx, await items.unrecognised(tx, new))


async def keep_customers(tx: AsyncConnection, events: Sequence[CustomerRecorded]) -> None:
    """A customer's name, address and registration stand on the next draft."""
    await master.put_customers(tx, [incoming.read_customer(event.customer) for event in events])


async def keep_activated_terms(tx: AsyncConnection, events: Sequence[ContractActivated]) -> None:
    """A contract's terms decide how its work is invoiced."""
    await master.put_terms(tx, [incoming.read_terms(event.contract) for event in events])


Changed: TypeAlias = ContractLimitChanged | ContractAmended | ContractTerminated | ContractCompleted


async def keep_changed_terms(tx: AsyncConnection, events: Sequence[Changed]) -> None:
    """The next version of a contract's terms replaces the one before, also where it ended."""
    await master.put_terms(tx, [incoming.read_terms(event.contract) for event in events])


async def take_released(tx: AsyncConnection, events: Sequence[BillingEventsReleased]) -> None:
    """Released work can be invoiced, and its revenue is recognised as delivered.

    Of an entity not known yet the work is kept; it is recognised when the entity arrives. What
    takes back work that no draft has claimed cancels with it; else it is a credit to come.
    """
    fresh = await items.add_items(tx, incoming.read_items(events))
    await _recognise(tx, _sums(fresh))
    if fresh:
        at = max(item.released_at for item in fresh)
        await netting.net_arrived(tx, [item.billing_event_id for item in fresh], at=at)


def _sums(fresh: Iterable[BillableItem]) -> Mapping[UUID, Sequence[Recognised]]:
    """Return what the items recognise, summed for each batch, contract line and currency."""
    parts: dict[tuple[object, ...], list[BillableItem]] = defaultdict(list)
    for item in fresh:
        key = (item.legal_entity_id, item.batch_id, item.amount.currency, item.contract_line_id)
        parts[key].append(item)
    sums: dict[UUID, list[Recognised]] = defaultdict(list)
    for part in parts.values():
        first = part[0]
        sums[first.legal_entity_id].append(
            Recognised(
                batch_id=first.batch_id,
                released_at=first.released_at,
                contract_id=first.contract_id,
                contract_line_id=first.contract_line_id,
                engagement_id=first.engagement_id,
                correlation_id=first.correlation_id,
                amount=Money.total((item.recognised for item in part), first.amount.currency),
            )
        )
    return sums


async def _recognise(tx: AsyncConnection, recognised: Mapping[UUID, Sequence[Recognised]]) -> None:
    known = await master.entities(tx, recognised)
    if known.keys() != recognised.keys():
        # An entity that arrives at this moment either finds these items or is found here.
        await master.lock_arrivals(tx)
        known = await master.entities(tx, recognised)
    entries = [
        entry
        for entity_id in sorted(known)
        for entry in post_release(entity_id, known[entity_id].time_zone, recognised[entity_id])
    ]
    await journal.post(tx, entries)


SUBSCRIPTIONS: Final = (
    Subscription("invoice-payment-keep-entities", LegalEntityRecorded, keep_entities),
    Subscription("invoice-payment-keep-customers", CustomerRecorded, keep_customers),
    Subscription("invoice-payment-keep-activated-terms", ContractActivated, keep_activated_terms),
    Subscription("invoice-payment-keep-changed-terms", ContractLimitChanged, keep_changed_terms),
    Subscription("invoice-payment-keep-amended-terms", ContractAmended, keep_changed_terms),
    Subscription("invoice-payment-keep-terminated-terms", ContractTerminated, keep_changed_terms),
    Subscription("invoice-payment-keep-completed-terms", ContractCompleted, keep_changed_terms),
    Subscription("invoice-payment-take-released", BillingEventsReleased, take_released),
)
