"""Customers and the history of their credit holds."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.customer import (
    BusinessMoved,
    CreditHoldMoved,
    CreditLimitSet,
    Customer,
    CustomerEvent,
    CustomerProfile,
    TaxIdExists,
)
from customer_contract.domain.source_record import SourceMark
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.domain.values import CustomerId
from customer_contract.repository.columns import (
    address_columns,
    address_from,
    source_columns,
    source_from,
)
from customer_contract.repository.party_details import detail_columns, details_from
from customer_contract.wire import customer as wire
from throughline_core.change import Change
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.money import Money
from throughline_runtime import outbox

_FIND: Final = select(tables.customer).where(
    tables.customer.c.customer_id == bindparam("customer_id")
)

_ANCESTORS: Final = text("""
    WITH RECURSIVE ancestor AS (
        SELECT customer_id, parent_customer_id FROM customer WHERE customer_id = :parent
        UNION
        SELECT above.customer_id, above.parent_customer_id
        FROM customer AS above JOIN ancestor ON above.customer_id = ancestor.parent_customer_id
    )
    SELECT customer_id FROM ancestor
""")

_LOCK_TAX_ID: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:tax_id, 0))")


class CustomerNotFound(NotFound):
    """There is no customer of this id."""

    code = "customer.not_found"


class ParentNotFound(NotFound):
    """The customer named as the parent does not exist."""

    code = "customer.parent_not_found"


class PartyNotFound(NotFound):
    """The customer named as usual payer or bill-to party does not exist."""

    code = "customer.party_not_found"


async def get(tx: AsyncConnection, customer_id: CustomerId) -> Customer:
    """Return the customer.

    Raises:
        CustomerNotFound: there is none.
    """
    customer = await find(tx, customer_id)
    if customer is None:
        raise _missing(customer_id, "customer_id")
    return customer


async def find(tx: AsyncConnection, customer_id: CustomerId) -> Customer | None:
    """Return the customer, None where there is none."""
    row = (await tx.execute(_FIND, {"customer_id": customer_id})).one_or_none()
    return None if row is None else customer_from(row)


async def get_all(tx: AsyncConnection, named: Mapping[str, CustomerId]) -> Mapping[str, Customer]:
    """Return the customers by what names each, with one statement.

    Raises:
        CustomerNotFound: one does not exist.
    """
    table = tables.customer
    query = select(table).where(table.c.customer_id.in_(set(named.values())))
    found = {row.customer_id: customer_from(row) for row in await tx.execute(query)}
    for field, customer_id in named.items():
        if customer_id not in found:
            raise _missing(customer_id, field)
    return {field: found[customer_id] for field, customer_id in named.items()}


async def find_with_mark(
    tx: AsyncConnection, customer_id: CustomerId
) -> tuple[Customer, SourceMark | None] | None:
    """Return the customer with what its source said last, None where there is no customer.

    Its row stays locked: of two records from one source the second is weighed after the first.
    """
    table = tables.customer
    query = select(table).where(table.c.customer_id == customer_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    digest = row.source_content_sha256
    mark = None if digest is None else SourceMark(row.source_version, bytes(digest))
    return customer_from(row), mark


async def note_source(tx: AsyncConnection, customer_id: CustomerId, mark: SourceMark) -> None:
    """Keep what the source said last; no change of the customer."""
    table = tables.customer
    await tx.execute(
        update(table)
        .where(table.c.customer_id == customer_id)
        .values(source_version=mark.version, source_content_sha256=mark.content_sha256)
    )


async def require_parties(tx: AsyncConnection, customer: Customer) -> None:
    """Refuse a usual payer or bill-to party that does not exist.

    Raises:
        PartyNotFound: one of them.
    """
    wanted = customer.profile.details.parties - {customer.customer_id}
    if not wanted:
        return
    table = tables.customer
    query = select(table.c.customer_id).where(table.c.customer_id.in_(wanted))
    missing = wanted - set((await tx.execute(query)).scalars())
    if missing:
        raise PartyNotFound(f"there is no customer {min(missing)}", field="details")


async def ancestors(tx: AsyncConnection, parent: CustomerId | None) -> frozenset[CustomerId]:
    """Return the parent, its parent, and so on.

    Raises:
        ParentNotFound: the parent does not exist.
    """
    if parent is None:
        return frozenset()
    found = frozenset((await tx.execute(_ANCESTORS, {"parent": parent})).scalars())
    if not found:
        raise ParentNotFound(f"there is no customer {parent}", field="parent_customer_id")
    return found


async def claim_tax_id(tx: AsyncConnection, customer: Customer) -> None:
    """Keep a registration that was entered by hand to one customer.

    Raises:
        TaxIdExists: another customer has it.
    """
    tax_id, table = customer.profile.tax_id, tables.customer
    if tax_id is None or customer.source is not None:
        return
    # Two writers of one registration queue here, so that the second sees the first.
    await tx.execute(_LOCK_TAX_ID, {"tax_id": tax_id})
    other = select(table.c.number).where(
        table.c.tax_id == tax_id, table.c.customer_id != customer.customer_id
    )
    number = (await tx.execute(other.limit(1))).scalar_one_or_none()
    if number is not None:
        raise TaxIdExists(
            f"customer {number} has this tax id",
            field="tax_id",
            advice="use that customer, or make this one its child without a tax id of its own",
        )


async def add(tx: AsyncConnection, change: Change[Customer, CustomerEvent]) -> None:
    """Write a new customer and queue its events.

    Raises:
        StaleVersion: another writer made the same one first.
    """
    customer = change.state
    values = {
        "customer_id": customer.customer_id,
        "number": customer.number,
        **_state_columns(customer),
        **source_columns(customer.source),
    }
    written = await tx.execute(insert(tables.customer).values(values).on_conflict_do_nothing())
    if written.rowcount != 1:
        raise StaleVersion(f"customer {customer.customer_id} was made by another writer")
    await outbox.append(tx, map(wire.write_event, change.events))


async def save(
    tx: AsyncConnection, change: Change[Customer, CustomerEvent], *, moved_by: str
) -> None:
    """Write the new state and queue its events, or neither; `moved_by` is on record for holds.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    customer, table = change.state, tables.customer
    written = await tx.execute(
        update(table)
        .where(table.c.customer_id == customer.customer_id)
        .where(table.c.version == customer.version - 1)
        .values(_state_columns(customer))
    )
    if written.rowcount != 1:
        raise StaleVersion(f"customer {customer.number} is not at {customer.version - 1}")
    for event in change.events:
        await _note(tx, event, moved_by)
    await outbox.append(tx, map(wire.write_event, change.events))


def _missing(customer_id: CustomerId, field: str) -> CustomerNotFound:
    return CustomerNotFound(f"there is no customer {customer_id}", field=field)


async def _note(tx: AsyncConnection, event: CustomerEvent, moved_by: str) -> None:
    """Put on record who moved what, and why, where it takes a reason."""
    customer = event.customer
    match event:
        case CreditHoldMoved():
            statement = insert(tables.credit_hold_move).values(placed=customer.on_credit_hold)
        case BusinessMoved():
            statement = insert(tables.customer_move).values(ended_on=customer.ended_on)
        case CreditLimitSet():
            statement = insert(tables.credit_limit_move).values(
                _limit_columns(customer, "currency")
            )
        case _:
            return
    await tx.execute(
        statement.values(
            customer_id=customer.customer_id,
            version=customer.version,
            reason=event.reason,
            moved_by=moved_by,
        )
    )


def customer_from(row: Row[Any]) -> Customer:
    return Customer(
        customer_id=CustomerId(row.customer_id),
        version=row.version,
        number=row.number,
        profile=CustomerProfile(
            name=row.name,
            parent_customer_id=row.parent_customer_id,
            address=address_from(row),
            tax_id=row.tax_id,
            payment_terms_days=row.payment_terms_days,
            currency=row.currency,
            billing_email=row.billing_email,
            details=details_from(row),
        ),
        tax_status=TaxStatus(row.tax_status),
        credit_hold_reason=row.credit_hold_reason,
        source=source_from(row),
        credit_limit=None
        if row.credit_limit is None
        else Money(row.credit_limit, row.credit_limit_currency),
        ended_on=row.ended_on,
        changed_in=row.changed_in,
    )


def _state_columns(customer: Customer) -> dict[str, object]:
    profile = customer.profile
    return {
        "version": customer.version,
        "name": profile.name,
        "parent_customer_id": profile.parent_customer_id,
        **address_columns(profile.address),
        "tax_id": profile.tax_id,
        "tax_status": customer.tax_status,
        "payment_terms_days": profile.payment_terms_days,
        "currency": profile.currency,
        "billing_email": profile.billing_email,
        "credit_hold_reason": customer.credit_hold_reason,
        **detail_columns(profile.details),
        **_limit_columns(customer, "credit_limit_currency"),
        "ended_on": customer.ended_on,
        "changed_in": customer.changed_in,
    }


def _limit_columns(customer: Customer, currency: str) -> dict[str, object]:
    limit = customer.credit_limit
    return {
        "credit_limit": None if limit is None else limit.amount,
        currency: None if limit is None else limit.currency,
    }
