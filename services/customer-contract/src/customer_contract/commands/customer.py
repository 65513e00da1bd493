"""Commands on customers."""

from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import customer as domain
from customer_contract.domain.customer import (
    Customer,
    CustomerEvent,
    CustomerOutcome,
    CustomerProfile,
    SourceForeign,
)
from customer_contract.domain.source_record import News, SourceMark, weigh
from customer_contract.domain.values import CustomerId, SourceRef
from customer_contract.domain.versions import require_version
from customer_contract.repository import customer as repository
from customer_contract.repository import number_series
from customer_contract.repository.number_series import Series
from throughline_core.change import Change
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_runtime import ownership
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.ownership import Action


async def create(
    tx: AsyncConnection,
    profile: CustomerProfile,
    *,
    source: SourceRef | None,
    mark: SourceMark,
    keeps_details: bool,
) -> tuple[Customer, CustomerOutcome]:
    """Record a customer and announce `CustomerRecorded`.

    The customer of a known source is brought to the given profile instead, unless the source said
    the same last time or has said something newer since. `keeps_details`: the profile says nothing
    about them, and what is known stays.

    Raises:
        InvalidArgument: see `domain.record`; SourceForeign: another system's record.
        ParentNotFound, PartyNotFound, ParentCycle: the parties.
        TaxIdExists: it has no source, and another customer has its registration.
        OwnershipNotAllowed: the source is known, and the calling system may not change it.
        StaleVersion: another writer brought in the same source first; safe to retry.
    """
    if source is None:
        return await _record(tx, CustomerId(new_id()), profile, None), CustomerOutcome.CREATED
    _require_own(source)
    # How new it is there belongs to the mark: the customer does not change by it.
    source = replace(source, object_version="")
    customer_id = CustomerId(derived_id("customer", *source.parts))
    known = await repository.find_with_mark(tx, customer_id)
    if known is None:
        customer = await _record(tx, customer_id, profile, source)
        await repository.note_source(tx, customer_id, mark)
        return customer, CustomerOutcome.CREATED
    await ownership.require(tx, "customer", Action.UPDATE)
    customer, known_mark = known
    news = weigh(known_mark, mark)
    if news is News.STALE:
        return customer, CustomerOutcome.STALE
    await repository.note_source(tx, customer_id, mark)
    if news is News.SAME:
        return customer, CustomerOutcome.UNCHANGED
    revised = await _revise(tx, customer, profile, keeps_details=keeps_details)
    is_changed = revised.version != customer.version
    return revised, CustomerOutcome.UPDATED if is_changed else CustomerOutcome.UNCHANGED


async def update(
    tx: AsyncConnection,
    customer_id: CustomerId,
    profile: CustomerProfile,
    *,
    version: int,
    keeps_details: bool,
) -> Customer:
    """Replace what may be edited and announce `CustomerRecorded`, if anything differs.

    Raises:
        CustomerNotFound, StaleVersion: the customer.
        InvalidArgument, ParentNotFound, PartyNotFound, ParentCycle, TaxIdExists: the profile.
    """
    customer = await repository.get(tx, customer_id)
    require_version(customer.version, version)
    return await _revise(tx, customer, profile, keeps_details=keeps_details)


async def place_hold(tx: AsyncConnection, customer_id: CustomerId, *, reason: str) -> Customer:
    """Stop new work and releases, and announce `CustomerRecorded`.

    Raises:
        CustomerNotFound: there is no such customer.
        AlreadyOnHold: it is stopped already.
    """
    customer = await repository.get(tx, customer_id)
    return await _save(tx, domain.place_hold(customer, reason=reason, changed_in=_system()))


async def release_hold(tx: AsyncConnection, customer_id: CustomerId, *, reason: str) -> Customer:
    """Let new work and releases go on, and announce `CustomerRecorded`.

    Raises:
        CustomerNotFound: there is no such customer.
        NotOnHold: nothing stops it.
    """
    customer = await repository.get(tx, customer_id)
    return await _save(tx, domain.release_hold(customer, reason=reason, changed_in=_system()))


async def end(
    tx: AsyncConnection, customer_id: CustomerId, *, on: date, reason: str, version: int
) -> Customer:
    """End the business as of a day, and announce `CustomerRecorded`.

    Raises:
        CustomerNotFound, StaleVersion: the customer.
        AlreadyEnded: a day is set already.
    """
    customer = await repository.get(tx, customer_id)
    require_version(customer.version, version)
    return await _save(tx, domain.end(customer, on=on, reason=reason, changed_in=_system()))


async def reopen(
    tx: AsyncConnection, customer_id: CustomerId, *, reason: str, version: int
) -> Customer:
    """Take the business up again, and announce `CustomerRecorded`.

    Raises:
        CustomerNotFound, StaleVersion: the customer.
        NotEnded: it never ended.
    """
    customer = await repository.get(tx, customer_id)
    require_version(customer.version, version)
    return await _save(tx, domain.reopen(customer, reason=reason, changed_in=_system()))


async def set_limit(
    tx: AsyncConnection, customer_id: CustomerId, limit: Money | None, *, reason: str, version: int
) -> Customer:
    """Set the most the customer may owe, and announce `CustomerRecorded`, if it differs.

    Raises:
        CustomerNotFound, StaleVersion: the customer.
        LimitNotPositive: the limit.
    """
    customer = await repository.get(tx, customer_id)
    require_version(customer.version, version)
    return await _save(tx, domain.set_limit(customer, limit, reason=reason, changed_in=_system()))


async def _record(
    tx: AsyncConnection,
    customer_id: CustomerId,
    profile: CustomerProfile,
    source: SourceRef | None,
) -> Customer:
    await repository.ancestors(tx, profile.parent_customer_id)
    number = await number_series.take(tx, Series.CUSTOMER)
    change = domain.record(customer_id, profile, number=number, source=source, changed_in=_system())
    await repository.require_parties(tx, change.state)
    await repository.claim_tax_id(tx, change.state)
    await repository.add(tx, change)
    return change.state


async def _revise(
    tx: AsyncConnection, customer: Customer, profile: CustomerProfile, *, keeps_details: bool
) -> Customer:
    if keeps_details:
        profile = replace(profile, details=customer.profile.details)
    ancestors = await repository.ancestors(tx, profile.parent_customer_id)
    change = domain.revise(customer, profile, ancestors=ancestors, changed_in=_system())
    if change.events:
        await repository.require_parties(tx, change.state)
        if change.state.profile.tax_id != customer.profile.tax_id:
            await repository.claim_tax_id(tx, change.state)
    return await _save(tx, change)


async def _save(tx: AsyncConnection, change: Change[Customer, CustomerEvent]) -> Customer:
    if change.events:
        await repository.save(tx, change, moved_by=current_caller().subject)
    return change.state


def _system() -> str:
    """Return the outside system the caller speaks for, empty for a person."""
    return current_caller().system or ""


def _require_own(source: SourceRef) -> None:
    system = current_caller().system
    if system is not None and system != source.system:
        raise SourceForeign(
            f"{system} cannot bring in a record of {source.system}",
            field="source.system",
            advice="name the system that the token speaks for",
        )
