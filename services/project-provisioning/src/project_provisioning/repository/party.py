"""Customers as rows, and the parties whose open projects have still to follow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.following import Parties
from project_provisioning.domain.party import Customer, CustomerFacts
from project_provisioning.domain.project import Project
from project_provisioning.repository.legal_entity import entity_from

CUSTOMER: Final = "customer"
LEGAL_ENTITY: Final = "legal_entity"

_FIELDS: Final = (
    "version",
    "number",
    "name",
    "parent_customer_id",
    "bill_to_customer_id",
    "payer_customer_id",
    "address",
    "tax_id",
    "tax_status",
    "ended_on",
    "credit_hold",
)

# A row that is there is written anew, so that the job which is about to take it out is waited for.
_NOTE: Final = text("""
    INSERT INTO party_following (party, party_id)
    SELECT :party, party_id FROM unnest(CAST(:party_ids AS uuid[])) AS fresh (party_id)
    ORDER BY party_id
    ON CONFLICT (party, party_id) DO UPDATE SET noted_at = excluded.noted_at
""")

_DUE: Final = text("""
    SELECT party, party_id FROM party_following ORDER BY noted_at, party_id LIMIT 1 FOR UPDATE
""")

_DONE: Final = text("DELETE FROM party_following WHERE party = :party AND party_id = :party_id")

# What a project knows has the version it is of, so that the work that is left finds itself.
_BEHIND: Final = {
    CUSTOMER: """
        SELECT project.project_id
        FROM customer JOIN project USING (customer_id)
        WHERE customer.customer_id = :party_id AND project.status = 'active'
          AND customer.version > coalesce(CAST(project.customer->>'version' AS bigint), 0)
        ORDER BY project.project_id LIMIT :size
    """,
    LEGAL_ENTITY: """
        SELECT project.project_id
        FROM legal_entity AS entity JOIN project
            ON project.legal_entity_id = entity.legal_entity_id
               AND entity.version
                   > coalesce(CAST(project.legal_entity->>'version' AS bigint), 0)
            OR project.selling_legal_entity_id = entity.legal_entity_id
               AND entity.version > project.selling_entity_version
        WHERE entity.legal_entity_id = :party_id AND project.status = 'active'
        ORDER BY project.project_id LIMIT :size
    """,
}
# Nobody is waited for with a party in hand: a project that somebody works on follows next time.
_FREE: Final = {
    party: text(f"{query} FOR UPDATE OF project SKIP LOCKED") for party, query in _BEHIND.items()
}
_ANY: Final = {party: text(query) for party, query in _BEHIND.items()}


async def keep_customers(tx: AsyncConnection, customers: Sequence[Customer]) -> Sequence[UUID]:
    """Keep customers, unless a newer version is kept already; return those that were news.

    Each of them comes once.
    """
    table = tables.customer
    statement = insert(table).values(
        [
            {
                "customer_id": customer.customer_id,
                "credit_hold_reason": customer.credit_hold_reason,
                **{field: getattr(customer.facts, field) for field in _FIELDS},
            }
            for customer in sorted(customers, key=lambda customer: customer.customer_id)
        ]
    )
    kept = statement.on_conflict_do_update(
        index_elements=["customer_id"],
        set_={field: statement.excluded[field] for field in (*_FIELDS, "credit_hold_reason")},
        where=table.c.version < statement.excluded.version,
    )
    return list((await tx.execute(kept.returning(table.c.customer_id))).scalars())


async def note(tx: AsyncConnection, party: str, party_ids: Iterable[UUID]) -> None:
    """Have the open projects of these parties follow: one statement, or none without parties."""
    distinct = list(set(party_ids))
    if distinct:
        await tx.execute(_NOTE, {"party": party, "party_ids": distinct})


async def due(tx: AsyncConnection) -> tuple[str, UUID] | None:
    """Return the party that was noted first, locked; None when none waits."""
    row = (await tx.execute(_DUE)).one_or_none()
    return None if row is None else (row.party, row.party_id)


async def behind(tx: AsyncConnection, party: str, party_id: UUID, *, size: int) -> Sequence[UUID]:
    """Lock and return open projects that know an older version of a party, at most `size`.

    Those that somebody else has locked are passed over.
    """
    rows = await tx.execute(_FREE[party], {"party_id": party_id, "size": size})
    return rows.scalars().all()


async def finish(tx: AsyncConnection, party: str, party_id: UUID) -> bool:
    """Take a party out of those whose projects have to follow, if none of them is behind."""
    left = await tx.execute(_ANY[party], {"party_id": party_id, "size": 1})
    if left.first() is not None:
        return False
    await tx.execute(_DONE, {"party": party, "party_id": party_id})
    return True


async def of_projects(
    tx: AsyncConnection, projects: Iterable[Project], *, hold: bool = False
) -> Parties:
    """Return what is known of the parties of projects: two queries.

    With `hold` no newer version of them is kept until the transaction ends.
    """
    found = list(projects)
    customer, entity = tables.customer, tables.legal_entity
    buyers = {each.customer_id for each in found}
    companies = {each.legal_entity_id for each in found}
    companies |= {each.selling_legal_entity_id for each in found}
    asked = (
        select(customer).where(customer.c.customer_id.in_(buyers)).order_by(customer.c.customer_id),
        select(entity)
        .where(entity.c.legal_entity_id.in_(companies))
        .order_by(entity.c.legal_entity_id),
    )
    customers, entities = [
        (await tx.execute(query.with_for_update(read=True) if hold else query)).all()
        for query in asked
    ]
    return Parties(
        customers=customers_from(customers),
        entities={row.legal_entity_id: entity_from(row).facts for row in entities},
    )


def customers_from(rows: Iterable[Row[Any]]) -> Mapping[UUID, CustomerFacts]:
    """Return the facts of each customer's row."""
    return {
        row.customer_id: CustomerFacts(**{field: getattr(row, field) for field in _FIELDS})
        for row in rows
    }
