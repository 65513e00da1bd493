"""Commands on customers."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import customer as domain
from customer_contract.domain.customer import Customer, CustomerProfile
from customer_contract.domain.values import CustomerId, SourceRef
from customer_contract.domain.versions import require_version
from customer_contract.repository import customer as repository
from customer_contract.repository import number_series
from customer_contract.repository.number_series import Series
from throughline_core.ids import derived_id
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id


async def create(
    tx: AsyncConnection, profile: CustomerProfile, *, source: SourceRef | None
) -> Customer:
    """Record a customer and announce `CustomerRecorded`.

    The customer of a known source is brought to the given profile instead.

    Raises:
        ParentNotFound, ParentCycle, RegionMissing, UnknownCurrency: the profile.
        TaxIdExists: it has no source, and another customer has its registration.
        StaleVersion: another writer brought in the same source first; safe to retry.
    """
    customer_id = CustomerId(new_id() if source is None else derived_id("customer", *source.parts))
    known = None if source is None else await repository.find(tx, customer_id)
    if known is not None:
        return await _revise(tx, known, profile)
    await repository.ancestors(tx, profile.parent_customer_id)
    number = await number_series.take(tx, Series.CUSTOMER)
    change = domain.record(customer_id, profile, number=number, source=source)
    await repository.claim_tax_id(tx, change.state)
    await repository.add(tx, change)
    return change.state


async def update(
    tx: AsyncConnection, customer_id: CustomerId, profile: CustomerProfile, *, version: int
) -> Customer:
    """Replace what may be edited and announce `CustomerRecorded`, if anything differs.

    Raises:
        CustomerNotFound, StaleVersion: the customer.
        ParentNotFound, ParentCycle, RegionMissing, UnknownCurrency, TaxIdExists: the profile.
    """
    customer = await repository.get(tx, customer_id)
    require_version(customer.version, version)
    return await _revise(tx, customer, profile)


async def place_hold(tx: AsyncConnection, customer_id: CustomerId, *, reason: str) -> Customer:
    """Stop new work and releases, and announce `CustomerRecorded`.

    Raises:
        CustomerNotFound: there is no such customer.
        AlreadyOnHold: it is stopped already.
    """
    change = domain.place_hold(await repository.get(tx, customer_id), reason=reason)
    await repository.save(tx, change, moved_by=current_caller().subject)
    return change.state


async def release_hold(tx: AsyncConnection, customer_id: CustomerId, *, reason: str) -> Customer:
    """Let new work and releases go on, and announce `CustomerRecorded`.

    Raises:
        CustomerNotFound: there is no such customer.
        NotOnHold: nothing stops it.
    """
    change = domain.release_hold(await repository.get(tx, customer_id), reason=reason)
    await repository.save(tx, change, moved_by=current_caller().subject)
    return change.state


async def _revise(tx: AsyncConnection, customer: Customer, profile: CustomerProfile) -> Customer:
    ancestors = await repository.ancestors(tx, profile.parent_customer_id)
    change = domain.revise(customer, profile, ancestors=ancestors)
    if change.events:
        if change.state.profile.tax_id != customer.profile.tax_id:
            await repository.claim_tax_id(tx, change.state)
        await repository.save(tx, change, moved_by=current_caller().subject)
    return change.state
