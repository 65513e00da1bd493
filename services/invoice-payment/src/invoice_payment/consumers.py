"""What the service does about other services' events, and which it listens to."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.bulk import items, netting, retraction
from invoice_payment.commands.book import book, book_waiting
from invoice_payment.commands.item import ASIDE_SECONDS, take_off_drafts
from invoice_payment.domain.booking import (
    WrittenOff,
    book_charges,
    book_lapses,
    book_taken_back,
    book_write_offs,
)
from invoice_payment.domain.item import BillableItem, Portion
from invoice_payment.domain.journal import Recognised, post_release
from invoice_payment.repository import journal, master
from invoice_payment.wire import incoming
from throughline.billing_event.events.v1.billing_event_events_pb2 import (
    BillingEventsReleased,
    BillingEventsWrittenOff,
    IntercompanyChargesRated,
    RetainerPeriodChanged,
)
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
from throughline_runtime import exceptions
from throughline_runtime.clock import Clock
from throughline_runtime.subscription import Subscription

M = TypeVar("M", bound=Message)

WRITTEN_OFF_LATE: Final = "billable_item.written_off_late"
"""Kind of the exception of an item that was written off when an invoice had billed it."""


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
        await book_waiting(tx, new)


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
    takes back work that no draft has claimed cancels with it; else it is a credit to come. What
    credit notes gave up of it while it was on its way is not given up.
    """
    fresh = await items.add_items(tx, incoming.read_items(events))
    if not fresh:
        return
    by_id = {item.billing_event_id: item for item in fresh}
    at = max(item.released_at for item in fresh)
    # Before the numbers of the journal are locked, which credits of the same contract take too.
    taken = await netting.net_arrived(tx, by_id, at=at)
    await _recognise(tx, _sums(fresh))
    await book(tx, book_taken_back((by_id[part.reversal_id], part) for part in taken))


async def take_written_off(tx: AsyncConnection, events: Sequence[BillingEventsWrittenOff]) -> None:
    """Work given up after its release is not billed any more; undone, it is, or once released.

    It leaves the draft it is on. What an invoice has issued in the meantime is shown to people.
    """
    read = incoming.read_written_off(events)
    given_up = _versions(row for row in read if not row.undone)
    await netting.lock_contracts(tx, sorted({row.item.contract_id for row in read}))
    told = await _with_withdrawals(tx, _distinct(read))
    found = [
        portion
        for portion in await retraction.portions(tx, given_up)
        if portion.row_version <= given_up[portion.billing_event_id]
    ]
    free = [portion for portion in found if not (portion.is_billed or portion.is_netted)]
    await take_off_drafts(tx, free, reason="what was on it is written off")
    await exceptions.open_all(
        tx, [_written_off_late(portion) for portion in found if portion.is_billed]
    )
    await retraction.write_off(tx, given_up)
    await retraction.undo(tx, _versions(r for r in told if r.undone and not r.is_released))
    await netting.put_back(
        tx,
        {
            row.item.billing_event_id: row.at + timedelta(seconds=ASIDE_SECONDS)
            for row in told
            if row.undone
        },
    )
    await retraction.take_up(tx, _versions(r for r in told if r.undone and r.is_released))
    await _keep_written_off(tx, told)
    await book(tx, book_write_offs(told))


async def _with_withdrawals(tx: AsyncConnection, told: Sequence[WrittenOff]) -> list[WrittenOff]:
    """Tell of each write-off that is undone if a withdrawal before it is to be booked with it."""
    back = {row.item.billing_event_id for row in told if row.undone and row.is_released}
    retracted = await retraction.retracted(tx, back)
    found = []
    for row in sorted(told, key=lambda each: each.item.version):
        before = retracted.get(row.item.billing_event_id)
        is_back = row.undone and row.is_released
        is_withdrawn = (
            is_back and before is not None and before.is_withdrawn_by_undoing(row.item.version)
        )
        if is_withdrawn:
            del retracted[row.item.billing_event_id]
        found.append(replace(row, is_withdrawn=is_withdrawn))
    return found


async def _keep_written_off(tx: AsyncConnection, told: Sequence[WrittenOff]) -> None:
    """Keep rows that are heard of for the first time, and those that are released again at once.

    The first word of a released row recognises it, whichever it is.
    """
    kept = [row.item for row in told if row.is_released or not row.undone]
    known = await items.known(tx, [item.billing_event_id for item in kept])
    released = {row.item.billing_event_id for row in told if row.is_released}
    fresh = await items.add_items(
        tx,
        [
            item
            for item in kept
            if item.billing_event_id in released or item.billing_event_id not in known
        ],
    )
    await _recognise(tx, _sums(item for item in fresh if item.billing_event_id not in known))


def _versions(rows: Iterable[WrittenOff]) -> dict[UUID, int]:
    """Return the latest version of each row."""
    versions: dict[UUID, int] = {}
    for row in rows:
        item_id = row.item.billing_event_id
        versions[item_id] = max(row.item.version, versions.get(item_id, 0))
    return versions


async def take_charges(tx: AsyncConnection, events: Sequence[IntercompanyChargesRated]) -> None:
    """What one entity owes another for work of its people stands in the books of both."""
    await book(tx, book_charges(incoming.read_charges(events)))


async def take_lapsed(
    clock: Clock, tx: AsyncConnection, events: Sequence[RetainerPeriodChanged]
) -> None:
    """What lapsed of a retainer is earned without work."""
    await book(tx, book_lapses(incoming.read_lapses(events, at=clock.now())))


def _distinct(told: Iterable[WrittenOff]) -> list[WrittenOff]:
    return list({(row.batch_id, row.item.billing_event_id): row for row in told}.values())


def _written_off_late(portion: Portion) -> exceptions.Halt:
    return exceptions.Halt(
        kind=WRITTEN_OFF_LATE,
        subject_id=portion.billing_event_id,
        reason=f"written off after invoice {portion.number} had billed it",
        owner="finance",
        advice=f"credit it on invoice {portion.number} with return_to_unbilled, which does not bill"
        " it again, or undo the write-off",
        legal_entity_id=portion.legal_entity_id,
        engagement_id=portion.engagement_id,
    )


def _sums(fresh: Iterable[BillableItem]) -> Mapping[UUID, Sequence[Recognised]]:
    """Return what the items recognise, summed for each batch, contract line and currency."""
    parts: dict[tuple[object, ...], list[BillableItem]] = defaultdict(list)
    for item in fresh:
        key = (
            item.legal_entity_id,
            item.batch_id,
            item.amount.currency,
            item.contract_line_id,
            item.treatment,
        )
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
                treatment=first.treatment,
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


def subscriptions(clock: Clock) -> tuple[Subscription[Any], ...]:
    """Return what invoice-payment listens to, dated by `clock`."""

    def on(
        name: str,
        message: type[M],
        function: Callable[[AsyncConnection, Sequence[M]], Awaitable[None]],
    ) -> Subscription[M]:
        return Subscription(f"invoice-payment-{name}", message, function)

    return (
        on("keep-entities", LegalEntityRecorded, keep_entities),
        on("keep-customers", CustomerRecorded, keep_customers),
        on("keep-activated-terms", ContractActivated, keep_activated_terms),
        on("keep-changed-terms", ContractLimitChanged, keep_changed_terms),
        on("keep-amended-terms", ContractAmended, keep_changed_terms),
        on("keep-terminated-terms", ContractTerminated, keep_changed_terms),
        on("keep-completed-terms", ContractCompleted, keep_changed_terms),
        on("take-released", BillingEventsReleased, take_released),
        on("take-written-off", BillingEventsWrittenOff, take_written_off),
        on("take-charges", IntercompanyChargesRated, take_charges),
        on("take-lapsed", RetainerPeriodChanged, partial(take_lapsed, clock)),
    )
